"""host.bake against a fake engine process: order, cache, log, cancel, death, bad folders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from keyportrait.engine import motion, part_files, protocol
from keyportrait.host import bake, cache, client, sequence
from keyportrait.host.errors import EngineError

ROOT = Path(__file__).parents[2]
FAKE = ROOT / "tests" / "fakes" / "engine.py"
SIZE = 8


class Studio:
    """Folders, engines and bakes of one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = sequence.SequenceOutput(folder / "out", "Ada")
        self.cache = cache.FrameCache(folder / "cache", 10**8)
        self.engines: list[Any] = []
        self.opened = 0

    def engine(self, *modes: str) -> Any:
        arguments = (str(FAKE), *modes)
        launch = client.Launch(sys.executable, ROOT, self.folder / "log.txt", arguments=arguments)
        engine = client.Engine(launch)
        engine.start()
        self.engines.append(engine)
        return engine

    def open_request(self) -> Any:
        self.opened += 1
        face = motion.Face((1.0, 1.0, 7.0, 7.0)).to_json()
        image = protocol.Array("uint8", (SIZE, SIZE, 4), bytes(range(256)))
        fields = {"encoding": "srgb", "renderer": "analytic", "faces": [face], "options": {}}
        return sequence.OpenRequest(fields, {"image": image})

    def tasks(self, frames: Any, yaws: dict[int, float] | None = None) -> list[Any]:
        """A frame's yaw is its number, but for those named in `yaws`."""
        tasks = []
        for frame in frames:
            motions = [motion.Motion(yaw=(yaws or {}).get(frame, float(frame))).to_json()]
            key = cache.frame_key(
                source="s", faces=[], motions=motions, renderer={}, output=self.output.settings()
            )
            tasks.append(sequence.FrameTask(frame, key, motions))
        return tasks

    def bake(self, engine: Any, tasks: list[Any], **options: Any) -> Any:
        return bake.SequenceBake(
            engine, self.open_request, tasks, self.output, self.cache, **options
        )

    def run(self, tasks: list[Any], *modes: str, **options: Any) -> Any:
        running = self.bake(self.engine(*modes), tasks, **options)
        running.run()
        return running

    def red(self, frame: int) -> int:
        return red_of(self.output.path(frame))


def red_of(path: Path) -> int:
    """The fake engine's cards are red by their yaw: the first pixel's red."""
    import zlib

    data = path.read_bytes()
    start = data.index(b"IDAT") + 4
    return zlib.decompressobj().decompress(data[start:])[1]


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    studio = Studio(tmp_path)
    yield studio
    for engine in studio.engines:
        engine.stop(1.0)


def counts(running: Any) -> tuple[int, int, int]:
    return running.counts.kept, running.counts.cached, running.counts.rendered


def test_every_frame_gets_its_own_picture(studio: Studio) -> None:
    running = studio.run(studio.tasks(range(1, 13)))
    assert counts(running) == (0, 0, 12) and running.fraction == 1.0
    assert [studio.red(frame) for frame in range(1, 13)] == list(range(1, 13))
    assert studio.opened == 1 and running.warnings == []


def test_baking_again_renders_nothing_and_opens_nothing(studio: Studio) -> None:
    studio.run(studio.tasks(range(1, 6)))
    assert counts(studio.run(studio.tasks(range(1, 6)))) == (5, 0, 0)
    assert studio.opened == 1


def test_only_frames_whose_motion_changed_are_made_again(studio: Studio) -> None:
    studio.run(studio.tasks(range(1, 8)))
    changed = {3: 103.0, 5: 105.0}
    assert counts(studio.run(studio.tasks(range(1, 8), changed))) == (5, 0, 2)
    assert [studio.red(frame) for frame in range(1, 8)] == [1, 2, 103, 4, 105, 6, 7]
    assert counts(studio.run(studio.tasks(range(1, 8)))) == (5, 2, 0)
    assert studio.red(3) == 3


def test_another_folder_is_filled_from_the_cache_without_the_engine(studio: Studio) -> None:
    studio.run(studio.tasks(range(1, 6)))
    studio.output = sequence.SequenceOutput(studio.folder / "elsewhere", "Ada")
    running = studio.run(studio.tasks(range(1, 6)), "--crash-on", "1")
    assert counts(running) == (0, 5, 0)
    assert studio.red(4) == 4


def test_held_frames_are_rendered_once(studio: Studio) -> None:
    still = dict.fromkeys(range(1, 9), 42.0)
    running = studio.run(studio.tasks(range(1, 9), still))
    assert counts(running) == (0, 7, 1)
    assert {studio.red(frame) for frame in range(1, 9)} == {42}


def test_a_deleted_and_a_cut_picture_come_back(studio: Studio) -> None:
    studio.run(studio.tasks(range(1, 5)))
    studio.output.path(2).unlink()
    studio.output.path(3).write_bytes(studio.output.path(3).read_bytes()[:20])
    assert counts(studio.run(studio.tasks(range(1, 5)))) == (2, 2, 0)
    assert studio.red(2) == 2 and studio.red(3) == 3


def test_baking_all_again_replaces_a_picture_that_was_painted_over(studio: Studio) -> None:
    studio.run(studio.tasks(range(1, 4)))
    painted = studio.output.path(1).read_bytes()
    studio.output.path(2).write_bytes(painted)
    assert counts(studio.run(studio.tasks(range(1, 4)))) == (3, 0, 0)
    assert studio.red(2) == 1, "the artist's own change stays"
    assert counts(studio.run(studio.tasks(range(1, 4)), use_existing=False)) == (0, 3, 0)
    assert studio.red(2) == 2


def test_cancel_keeps_finished_frames_and_the_next_bake_goes_on(studio: Studio) -> None:
    release = studio.folder / "release"
    running = studio.bake(studio.engine(), studio.tasks(range(1, 4)))
    running.run()
    stuck = studio.bake(studio.engine("--release", str(release)), studio.tasks(range(1, 10)))
    stuck.step()
    stuck.wait(0.05)
    stuck.step()
    stuck.cancel()
    assert stuck.is_done and stuck.counts.kept == 3
    assert sorted(path.name for path in studio.output.folder.glob("*.png")) == [
        f"Ada_{frame:04d}.png" for frame in (1, 2, 3)
    ]
    assert counts(studio.run(studio.tasks(range(1, 10)))) == (3, 0, 6)


def test_step_never_waits_for_the_engine(studio: Studio) -> None:
    release = studio.folder / "release"
    running = studio.bake(studio.engine("--release", str(release)), studio.tasks(range(1, 30)))
    for _ in range(50):
        running.step(10.0)  # returns although nothing can be finished yet
    assert not running.is_done and running.counts.total == 0
    release.touch()
    running.run()
    assert counts(running) == (0, 0, 29)


def test_a_dying_engine_is_restarted_and_the_bake_resumes(studio: Studio) -> None:
    running = studio.run(studio.tasks(range(1, 8)), "--crash-on", "5")
    assert running.counts.total == 7
    assert [studio.red(frame) for frame in range(1, 8)] == list(range(1, 8))
    assert any("restarted" in warning for warning in running.warnings)
    assert studio.opened >= 2


def test_an_engine_that_dies_at_the_same_frame_again_ends_the_bake(studio: Studio) -> None:
    running = studio.bake(studio.engine("--crash-on", "2"), studio.tasks(range(4, 9)))
    with pytest.raises(sequence.BakeError, match="Frame 4"):
        running.run()
    assert studio.engines[-1].generation == 2
    assert counts(studio.run(studio.tasks(range(4, 9)))) == (0, 0, 5)


def test_an_engine_restarted_by_someone_else_is_opened_again(studio: Studio) -> None:
    engine = studio.engine()
    running = studio.bake(engine, studio.tasks(range(1, 20)))
    while running.counts.total < 3:
        running.step(0.0)
        running.wait(1.0)
    engine.restart()
    running.run()
    assert running.counts.total == 19 and studio.opened == 2
    assert [studio.red(frame) for frame in range(1, 20)] == list(range(1, 20))


def test_a_cleared_cache_in_mid_bake_does_no_harm(studio: Studio) -> None:
    running = studio.bake(studio.engine(), studio.tasks(range(1, 15)))
    while not running.is_done:
        running.step(0.0)
        studio.cache.clear()
        running.wait(0.5)
    running.close()
    assert [studio.red(frame) for frame in range(1, 15)] == list(range(1, 15))


def test_an_unusable_cache_is_a_warning_not_a_failure(studio: Studio) -> None:
    (studio.folder / "blocked").write_text("a file")
    studio.cache = cache.FrameCache(studio.folder / "blocked", 10**8)
    running = studio.run(studio.tasks(range(1, 4)))
    assert counts(running) == (0, 0, 3) and "without the cache" in running.warnings[0]
    assert studio.red(3) == 3


def test_an_output_folder_that_cannot_be_made_is_named(studio: Studio) -> None:
    (studio.folder / "out").write_text("a file")
    with pytest.raises(sequence.BakeError, match=r"out.*cannot be written"):
        studio.bake(studio.engine(), studio.tasks([1]))


def test_a_folder_that_vanishes_names_the_frame_and_keeps_the_rest(studio: Studio) -> None:
    running = studio.bake(studio.engine(), studio.tasks(range(1, 40)))
    while not running.counts.total:
        running.step(0.0)
        running.wait(1.0)
    studio.output.folder.rename(studio.folder / "moved")
    with pytest.raises(sequence.BakeError, match=r"Frame \d+ could not be written"):
        running.run()
    assert list((studio.folder / "moved").glob("*.png"))


def test_no_frames_are_no_work(studio: Studio) -> None:
    running = studio.run([])
    assert running.is_done and running.fraction == 1.0 and studio.opened == 0


def test_two_processes_may_bake_parts_of_one_sequence(studio: Studio) -> None:
    first = studio.bake(studio.engine(), studio.tasks(range(1, 6)))
    second = studio.bake(studio.engine(), studio.tasks(range(6, 11)))
    while not (first.is_done and second.is_done):
        for running in (first, second):
            running.step(0.0)
            running.wait(0.05)
    assert set(sequence.read_log(studio.output.log_path)) == set(range(1, 11))
    assert counts(studio.run(studio.tasks(range(1, 11)))) == (10, 0, 0)


def test_damaged_lines_of_the_log_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    good = json.dumps({"frame": 7, "key": "abc"})
    newer = json.dumps({"frame": 7, "key": "def"})
    path.write_bytes(f'{good}\n{{"frame": 8\n[1]\nnull\n"x"\n\n{newer}\n'.encode() + b"\xff\xfe{")
    assert sequence.read_log(path) == {7: "def"}
    assert sequence.read_log(tmp_path / "missing") == {}


def test_an_engine_that_cannot_start_says_why(studio: Studio) -> None:
    running = studio.bake(studio.engine("--refuse"), studio.tasks([3]))
    with pytest.raises(sequence.BakeError, match=r"Frame 3: No cv2\. Install it"):
        running.run()


def test_a_bake_stopped_while_it_opens_leaves_no_picture_open(studio: Studio) -> None:
    release = studio.folder / "go"
    engine = studio.engine("--work", "open", "--release", str(release), "--ignore-cancel")
    engine.wait_ready(30.0)
    running = studio.bake(engine, studio.tasks([1]))
    running.step()
    running.cancel()
    release.touch()
    wait_until(lambda: engine.state is client.State.READY, "the end of opening and closing")
    motions = [motion.Motion().to_json()]
    fields = {"handle": 1, "motions": motions, "options": {}}
    with pytest.raises(client.EngineError) as caught:
        engine.wait(engine.submit("render", fields), 30.0)
    assert caught.value.code == "unknown_handle"


def test_a_frame_behind_a_long_request_is_waited_for(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bake, "FRAME_TIMEOUT_S", 0.8)
    monkeypatch.setattr(bake, "OPEN_TIMEOUT_S", 0.8)
    engine = studio.engine("--work", "detect", "--delay", "2", "--beat", "0.1")
    image = protocol.Array("uint8", (SIZE, SIZE, 4), bytes(range(256)))
    engine.submit("detect", {"encoding": "srgb"}, {"image": image})
    running = studio.bake(engine, studio.tasks([1, 2]))
    running.run()
    assert counts(running) == (0, 0, 2)


def test_what_the_engine_tells_of_frames_is_told_once(studio: Studio) -> None:
    running = studio.run(studio.tasks(range(1, 6)), "--notice", "Memory is short.")
    assert running.warnings == ["Memory is short."]


def test_frames_of_another_device_class_do_not_go_under_the_key(studio: Studio) -> None:
    facts = {"device": "RTX", "device_class": "cuda", "precision": "float32"}
    with pytest.raises(sequence.BakeError, match="device class 'cpu', not 'cuda'"):
        studio.run(studio.tasks(range(1, 3)), "--device-class", "cpu", facts=facts)
    assert not list(studio.cache.entries())
    assert studio.run(studio.tasks(range(1, 3)), "--device-class", "cuda", facts=facts).is_done


def test_what_a_killed_engine_has_left_half_written_goes(studio: Studio) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    target = studio.output.path(1)
    target.parent.mkdir(parents=True)
    mine = part_files.part_of(target)
    left = mine.with_name(mine.name.replace(f"-{os.getpid()}-", f"-{dead.pid}-"))
    others = target.with_name(f"{part_files.PREFIX}0123abcd-{dead.pid}-1234.png")
    for path in (mine, left, others):
        path.write_bytes(b"half")
    studio.run(studio.tasks(range(1, 3)))
    assert mine.exists() and others.exists() and not left.exists()
    os.utime(others, (1.0, 1.0))
    studio.run(studio.tasks(range(1, 3)))
    assert mine.exists() and not others.exists()


def test_an_engine_that_dies_in_a_bake_leaves_no_part(studio: Studio) -> None:
    running = studio.run(studio.tasks(range(1, 9)), "--crash-on", "4")
    assert running.is_done
    folders = [studio.output.folder, *studio.cache.folder.iterdir()]
    parts = [path for folder in folders for path in folder.glob(f"{part_files.PREFIX}*")]
    assert parts == []


def test_a_bake_cancelled_while_its_picture_is_opened_leaves_nothing_open(studio: Studio) -> None:
    release = studio.folder / "release"
    engine = studio.engine("--work", "open", "--release", str(release), "--ignore-cancel")
    running = studio.bake(engine, studio.tasks(range(1, 3)))
    deadline = time.monotonic() + 20.0
    while running._opening is None and time.monotonic() < deadline:
        running.step()
    opening = running._opening
    running.cancel()
    release.touch()
    # The fake numbers its handles from 1: it would still draw for an open one.
    while engine._book.is_busy and time.monotonic() < deadline:
        time.sleep(0.02)
    ticket = engine.submit("render", {"handle": 1, "motions": [], "options": {}}, use_drain=False)
    with pytest.raises(EngineError) as caught:
        engine.wait(ticket, 20.0)
    assert opening is not None and caught.value.code == "unknown_handle"
