"""While a performance is read or a bake runs, sliders move the picture and renders get theirs."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import bpy
import numpy as np
import pytest
from baking import advance, begin, fresh, performance  # noqa: F401 - fixtures
from conftest import change_box
from test_live_ui import PATIENCE_S, Interface, ui, unpause  # noqa: F401 - fixtures
from test_render import controller, frames, scene  # noqa: F401 - fixtures

PICTURES = 5000  # read in minutes


@pytest.fixture
def sequence(astronaut: str, tmp_path: Path) -> Path:
    """The first of very many pictures."""
    folder = tmp_path / "sequence"
    folder.mkdir()
    first = folder / "take_0001.jpg"
    shutil.copyfile(astronaut, first)
    for number in range(2, PICTURES + 1):
        os.link(first, folder / f"take_{number:04}.jpg")
    return first


@pytest.fixture
def capture(module, sequence: Path):
    """begin() → the run of a long capture that is under way."""
    runs = []

    def begin_capture(face):
        faces = [module("rig.controllers").face_of(face).to_json()]
        take = module("engine.take")
        fields = {
            "source": take.PerformanceSource(str(sequence)).to_json(),
            "faces": faces,
            "options": take.TakeOptions().to_json(),
        }
        client = module("rig.engine").start_ready(PATIENCE_S)
        ticket = client.submit("capture", fields, use_drain=False)
        run = module("operators._detect").RequestRun(client, ticket, "Reading")
        runs.append(run)
        deadline = time.monotonic() + PATIENCE_S
        while not run.fraction:
            assert not run.is_done, ticket.error
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return run

    yield begin_capture
    for run in runs:
        run.cancel()


def test_sliders_move_the_picture_while_a_performance_is_read(ui, capture) -> None:
    still = ui.pixels()
    run = capture(ui.controller)
    before = run.fraction
    smiling = ui.shown(smile=1.0)
    assert change_box(still, smiling)
    assert (ui.shown(smile=0.0) == still).all()
    assert (ui.shown(smile=1.0) == smiling).all()
    deadline = time.monotonic() + PATIENCE_S
    while run.fraction <= before:
        assert time.monotonic() < deadline, "the capture stands still"
        time.sleep(0.01)
    assert not run.is_done
    run.cancel()
    client = ui.engine.engine()
    while client.state.name == "BUSY":
        assert time.monotonic() < deadline + PATIENCE_S, "the capture was not given up"
        time.sleep(0.01)
    assert run.is_cancelled and run.is_done


def test_a_render_waits_for_its_own_frames_and_not_for_the_capture(
    scene, controller, capture, pixels, tmp_path: Path
) -> None:
    wanted = tmp_path / "wanted"
    scene.render.filepath = str(wanted) + "/"
    bpy.ops.render.render(animation=True)
    run = capture(controller)
    for item in scene.objects:
        item.update_tag()
    scene.render.filepath = str(tmp_path / "meanwhile") + "/"
    bpy.ops.render.render(animation=True)
    assert not run.is_done
    pairs = zip(frames(wanted, pixels), frames(tmp_path / "meanwhile", pixels), strict=True)
    assert all(np.abs(first - second).mean() < 0.001 for first, second in pairs)


def test_sliders_move_the_picture_while_a_bake_runs(performance, module, pixels) -> None:
    plane, face = performance
    live, pump = module("rig.live"), module("rig.pump")
    output = plane.keyportrait.portrait.output

    def shown(value: float) -> np.ndarray:
        face["brows"] = value
        live.refresh(bpy.context.scene, bpy.context.evaluated_depsgraph_get())
        deadline = time.monotonic() + PATIENCE_S
        while live.is_pending():
            pump.drain()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return pixels(output)

    run = begin(module)
    for is_there in (
        lambda: run.text.startswith("Reading frame"),
        lambda: run._sequence is not None and len(run._sequence._flights) > 0,
    ):
        advance(run, is_there)
        assert not live._pauses
        raised, rest = shown(0.8), shown(0.0)
        assert change_box(rest, raised)
        assert not run.is_done
    run.cancel()


def test_an_engine_killed_in_mid_capture_leaves_nothing_behind(
    add_portrait, module, sequence: Path, monkeypatch
) -> None:
    _, (face,) = add_portrait()
    bpy.context.view_layer.objects.active = face
    before = (dict(face.items()), set(bpy.data.actions), list(bpy.context.scene.timeline_markers))
    client = module("rig.engine").engine()
    capture_run = module("rig.capture_run").CaptureRun
    begin_run = capture_run.__init__

    def begin_and_kill(run, *args, **options) -> None:
        begin_run(run, *args, **options)
        deadline = time.monotonic() + PATIENCE_S
        while not run.fraction:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(client.pid, signal.SIGKILL)

    monkeypatch.setattr(capture_run, "__init__", begin_and_kill)
    with pytest.raises(RuntimeError, match="The engine ended"):
        bpy.ops.keyportrait.capture(filepath=str(sequence))
    after = (dict(face.items()), set(bpy.data.actions), list(bpy.context.scene.timeline_markers))
    assert str(before) == str(after) and face.animation_data is None
    monkeypatch.undo()
    for path in sorted(sequence.parent.iterdir())[10:]:
        path.unlink()
    assert bpy.ops.keyportrait.capture(filepath=str(sequence)) == {"FINISHED"}
    assert face.animation_data.action is not None


def test_what_a_killed_engine_was_keeping_is_removed(module) -> None:
    cache = module("rig.performance_cache")
    parts = module("engine.part_files")
    cache.folder().mkdir(parents=True, exist_ok=True)
    name = parts.part_of(cache.folder() / "performance-1.npz").name
    left = cache.folder() / name.replace(f"-{os.getpid()}-", "-999999999-")
    own = cache.folder() / name
    for path in (left, own):
        path.write_bytes(b"half")
    cache.measure()
    assert not left.exists() and own.exists()
    own.unlink()
