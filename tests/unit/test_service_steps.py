"""Live requests between the steps of long ones, over the real engine process and the fake one.

The long request is a capture that takes steps until a file appears, in a copy of the engine.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from conftest import ROOT, wait_until
from keyportrait.engine.protocol import Array
from keyportrait.host.client import EngineError, Policy, State
from test_host_client import FRAME_S, open_picture, render_fields
from test_service_process import HELLO, Pipes, types_and_ids

from engine.analytic.renderer import AnalyticRenderer
from engine.controls import motion_from_controls
from engine.faces.find import find_faces
from engine.protocol import Message
from engine.renderer import SourceImage

PATIENCE_S = 60.0
SMILE = motion_from_controls({"smile": 1.0}).to_json()
PICTURE = np.dstack((skimage.data.astronaut(), np.full((512, 512), 255, np.uint8)))
IMAGE = {"image": Array("uint8", PICTURE.shape, PICTURE.tobytes())}

STEPPING_CAPTURE = '''
import time
from pathlib import Path

from .renderer import ReportedError


def capture(source, faces, options, report, find_reader):
    """Take steps until the file appears."""
    while not Path(source.path).exists():
        report(0.5, "Reading")
        time.sleep(0.001)
    raise ReportedError("bad_performance", "This clip has come to its end.")
'''

# The real fit, whose first step lasts until the file `release` appears where there is one `slow`.
STEPPING_OPEN = """

import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
_open = AnalyticRenderer.open


def open_in_steps(self, image, face, step=no_step):
    def wait():
        step()
        while (ROOT / "slow").exists() and not (ROOT / "release").exists():
            time.sleep(0.001)
            step()

    return _open(self, image, face, wait)


AnalyticRenderer.open = open_in_steps
"""


class Stepping:
    """An engine whose captures take steps until `release` is called."""

    def __init__(self, engine: Any, path: Path) -> None:
        self.engine, self._path = engine, path
        fields = {"encoding": "srgb"}
        self.faces = self.ask("detect", fields, IMAGE).fields["faces"]

    def ask(self, kind: str, fields: dict[str, Any], arrays: Any = None) -> Any:
        return self.engine.wait(self.engine.submit(kind, fields, arrays), PATIENCE_S)

    def open(self) -> int:
        fields = {"encoding": "srgb", "renderer": "analytic", "faces": self.faces, "options": {}}
        return self.ask("open", fields, IMAGE).fields["handle"]

    def begin_capture(self) -> Any:
        fields = {"source": {"path": str(self._path)}, "faces": self.faces, "options": {}}
        ticket = self.engine.submit("capture", fields, use_drain=False)
        wait_until(lambda: ticket.progress.text, "the capture's first step")
        return ticket

    def release(self) -> None:
        self._path.touch()


@pytest.fixture
def stepping_root(tmp_path: Path) -> Path:
    root = tmp_path / "extension"
    ignored = shutil.ignore_patterns("__pycache__", "networks", "liveportrait")
    shutil.copytree(ROOT / "engine", root / "engine", ignore=ignored)
    (root / "engine" / "capture.py").write_text(STEPPING_CAPTURE)
    with (root / "engine" / "analytic" / "renderer.py").open("a") as file:
        file.write(STEPPING_OPEN)
    return root


@pytest.fixture
def stepping(start_engine: Callable[..., Any], stepping_root: Path, tmp_path: Path) -> Stepping:
    engine = start_engine(fake=False, root=stepping_root)
    engine.wait_ready(PATIENCE_S)
    return Stepping(engine, tmp_path / "release")


def fields_of(handle: int, **options: Any) -> dict[str, Any]:
    return {"handle": handle, "motions": [SMILE], "options": options}


def error_of(ticket: Any) -> EngineError:
    wait_until(lambda: ticket.is_done, "the end of the request")
    assert ticket.error
    return ticket.error


def test_pictures_are_opened_moved_and_closed_while_a_performance_is_read(
    stepping: Stepping,
) -> None:
    before = stepping.open()
    alone = stepping.ask("render", fields_of(before))
    capture = stepping.begin_capture()
    handle = stepping.open()
    for opened in (before, handle):
        frame = stepping.ask("render", fields_of(opened))
        assert bytes(frame.arrays["pixels"].data) == bytes(alone.arrays["pixels"].data)
    stepping.ask("close", {"handle": handle})
    with pytest.raises(EngineError, match="no open picture"):
        stepping.ask("render", fields_of(handle))
    assert not capture.is_done
    stepping.release()
    assert error_of(capture).message == "This clip has come to its end."


def test_a_bake_goes_on_while_a_performance_is_read(stepping: Stepping, tmp_path: Path) -> None:
    handle = stepping.open()
    capture = stepping.begin_capture()
    paths = [tmp_path / f"{number:04}.png" for number in range(6)]
    tickets = [
        stepping.engine.submit("render", fields_of(handle, save={"path": str(path)}))
        for path in paths
    ]
    close = stepping.engine.submit("close", {"handle": handle})
    for ticket in (*tickets, close):
        stepping.engine.wait(ticket, PATIENCE_S)
    assert all(path.stat().st_size for path in paths)
    assert not capture.is_done


def test_a_cancelled_capture_ends_at_its_next_step(stepping: Stepping) -> None:
    handle = stepping.open()
    capture = stepping.begin_capture()
    stepping.engine.cancel(capture)
    assert error_of(capture).code == "cancelled"
    wait_until(lambda: stepping.engine.state is State.READY, "the engine's end of the capture")
    stepping.ask("render", fields_of(handle))


def test_a_capture_that_waits_is_cancelled_without_its_turn(
    stepping_root: Path, tmp_path: Path
) -> None:
    faces = [{"box": [1, 1, 9, 9]}]
    fields = {"source": {"path": str(tmp_path / "never")}, "faces": faces, "options": {}}
    pipes = Pipes(stepping_root)
    with pipes.process:
        pipes.write(HELLO, Message("capture", 2, fields))
        assert types_and_ids([pipes.read(), pipes.read()]) == [("ready", 1), ("progress", 2)]
        pipes.write(Message("capture", 3, fields))
        pipes.write(Message("cancel", 4, {"request": 3}))
        replies = [pipes.answer(), pipes.answer()]
        assert types_and_ids(replies) == [("cancelled", 4), ("failed", 3)]
        pipes.write(Message("shutdown", 5))
        assert types_and_ids([pipes.answer(), pipes.answer()]) == [("failed", 2), ("bye", 5)]


def test_an_engine_that_is_killed_ends_all_that_it_owes(stepping: Stepping) -> None:
    handle = stepping.open()
    capture = stepping.begin_capture()
    stepping.ask("render", fields_of(handle))
    os.kill(stepping.engine.pid, signal.SIGKILL)
    assert error_of(capture).code == "engine_died"
    stepping.engine.restart()
    with pytest.raises(EngineError, match="no open picture"):
        stepping.ask("render", fields_of(handle))
    assert stepping.open() == 1


def test_an_engine_that_is_asked_to_leave_gives_a_capture_up(stepping: Stepping) -> None:
    capture = stepping.begin_capture()
    pid = stepping.engine.pid
    stepping.engine.stop(PATIENCE_S)
    assert error_of(capture).code == "not_running"
    assert f"engine {pid} ends" in stepping.engine.log_path.read_text()


def test_live_wishes_are_met_between_the_steps(stepping: Stepping) -> None:
    """As a dragged slider asks: the newest wish of each portrait."""
    handles = [stepping.open(), stepping.open()]
    capture = stepping.begin_capture()
    shown = 0
    while shown < 20:
        for handle in handles:
            stepping.engine.submit(
                "render", fields_of(handle), policy=Policy.NEWEST, key=("live", handle)
            )
        shown += sum(reply.error is None for reply in stepping.engine.drain())
        time.sleep(0.001)
    assert not capture.is_done


def test_a_picture_moves_between_the_steps_of_another_that_opens(
    stepping: Stepping, stepping_root: Path
) -> None:
    before = stepping.open()
    alone = stepping.ask("render", fields_of(before))
    (stepping_root / "slow").touch()
    fields = {"encoding": "srgb", "renderer": "analytic", "faces": stepping.faces, "options": {}}
    opening = stepping.engine.submit("open", fields, IMAGE, use_drain=False)
    wait_until(lambda: opening.progress.text, "the first step of the fit")
    for _ in range(3):
        frame = stepping.ask("render", fields_of(before))
        assert bytes(frame.arrays["pixels"].data) == bytes(alone.arrays["pixels"].data)
    assert not opening.is_done
    (stepping_root / "release").touch()
    opened = stepping.engine.wait(opening, PATIENCE_S)
    frame = stepping.ask("render", fields_of(opened.fields["handle"]))
    assert bytes(frame.arrays["pixels"].data) == bytes(alone.arrays["pixels"].data)


def test_a_wait_for_a_frame_is_no_wait_for_the_capture(
    start_engine: Callable[..., Any], tmp_path: Path
) -> None:
    release = tmp_path / "never"
    engine = start_engine("--work", "capture", "--release", str(release), "--beat", "0.01")
    handle = open_picture(engine)
    fields = {"source": {"path": "clip"}, "faces": [], "options": {}}
    capture = engine.submit("capture", fields, use_drain=False)
    for _ in range(5):
        assert engine.wait(engine.submit("render", render_fields(handle)), FRAME_S).type == "frame"
    behind = engine.submit("capture", fields, use_drain=False)
    assert not capture.is_done
    release.touch()
    assert engine.wait(behind, FRAME_S).type == "captured"


@pytest.mark.parametrize("encoding", ["srgb", "linear"])
def test_a_large_picture_is_opened_in_steps_and_stops_at_any_of_them(encoding: str) -> None:
    pixels = np.tile(PICTURE, (5, 5, 1))
    if encoding == "linear":
        pixels = (pixels / 255.0).astype(np.float32)
    image = SourceImage(pixels, encoding)
    face = find_faces(SourceImage(PICTURE, "srgb"))[0]
    made: list[int] = []
    AnalyticRenderer().open(image, face, lambda: made.append(1))
    assert len(made) >= 9

    class StopError(Exception):
        pass

    for last in range(1, len(made) + 1, 3):
        steps = itertools.count(1)

        def step(last: int = last, steps: Any = steps) -> None:
            if next(steps) == last:
                raise StopError

        with pytest.raises(StopError):
            AnalyticRenderer().open(image, face, step)
