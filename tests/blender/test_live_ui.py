"""The way the interface takes: nothing waits, the newest wish wins.

Timers do not tick in the background, so these tests turn the pump by hand.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from functools import wraps
from pathlib import Path

import bpy
import numpy as np
import pytest
from conftest import change_box

PATIENCE_S = 60.0


@pytest.fixture
def ui(module, add_portrait, pixels):
    """A portrait driven like in the interface."""
    return Interface(module, add_portrait, pixels)


class Interface:
    def __init__(self, module, add_portrait, pixels) -> None:
        self.live, self.pump = module("rig.live"), module("rig.pump")
        self.engine = module("rig.engine")
        self.plane, (self.controller,) = add_portrait()
        self.output = self.plane.keyportrait.portrait.output
        self.pixels = lambda: pixels(self.output)
        # Background handlers would wait; only these tests' own calls count.
        self.live._pauses += 1

    def set(self, **values: float) -> None:
        """Move sliders, as one event of the interface."""
        for name, value in values.items():
            self.controller[name] = value
        self.live.refresh(bpy.context.scene, bpy.context.evaluated_depsgraph_get())

    def settle(self) -> None:
        """Turn the pump until no answer is due."""
        deadline = time.monotonic() + PATIENCE_S
        while self.live.is_pending():
            self.pump.drain()
            assert time.monotonic() < deadline, "the engine did not answer"
            time.sleep(0.005)

    def shown(self, **values: float) -> np.ndarray:
        """The picture of these sliders, by the waiting way."""
        self.set(**values)
        self.settle()
        return self.pixels()


@pytest.fixture(autouse=True)
def unpause(module, monkeypatch):
    yield
    module("rig.live")._pauses = 0
    if hasattr(module("rig.engine").launch, "__wrapped__"):
        module("rig.engine").stop()


def test_a_slider_returns_at_once_and_the_picture_comes(ui) -> None:
    still = ui.pixels()
    ui.set(smile=1.0)
    assert ui.live.is_pending()
    assert (ui.pixels() == still).all()
    ui.settle()
    assert change_box(still, ui.pixels())


def test_the_newest_of_many_wishes_is_shown(ui) -> None:
    last = ui.shown(smile=1.0)
    ui.shown(smile=0.0)
    session = next(iter(ui.live._sessions.values()))
    for step in range(1, 101):
        ui.set(smile=step / 100)
    ui.settle()
    assert (ui.pixels() == last).all()
    assert session.shown == session.wanted


def test_back_to_rest_needs_no_engine(ui) -> None:
    still = ui.pixels()
    ui.set(smile=1.0)
    ui.settle()
    ui.engine.stop()
    ui.set(smile=0.0)
    assert (ui.pixels() == still).all()


def test_rest_while_a_frame_is_under_way_stays_rest(ui) -> None:
    still = ui.pixels()
    ui.shown(smile=0.3)
    ui.set(smile=1.0)
    ui.set(smile=0.0)
    ui.settle()
    assert (ui.pixels() == still).all()


def test_a_dead_engine_is_a_state_and_restart_goes_on(ui) -> None:
    smiling = ui.shown(smile=1.0)
    ui.shown(smile=0.2)
    client = ui.engine.engine()
    os.kill(client.pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_S
    while client.state.name != "FAILED":
        assert time.monotonic() < deadline
        time.sleep(0.005)
    ui.set(smile=1.0)
    ui.settle()
    problem = ui.live.problem_of(ui.plane)
    assert problem is not None and "ended" in problem.message
    ui.engine.restart()
    ui.live.retry_all()
    ui.set(smile=1.0)
    ui.settle()
    assert ui.live.problem_of(ui.plane) is None
    assert (ui.pixels() == smiling).all()


def test_live_off_follows_nothing_until_asked(ui) -> None:
    still = ui.pixels()
    ui.plane.keyportrait.portrait.use_live = False
    ui.set(smile=1.0)
    assert not ui.live.is_pending()
    bpy.context.view_layer.objects.active = ui.plane
    bpy.ops.keyportrait.refresh(use_wait=True)
    assert change_box(still, ui.pixels())


def test_another_file_meanwhile(ui, module) -> None:
    ui.set(smile=1.0)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    assert not ui.live.is_pending()
    ui.pump.drain()
    assert module("rig.portraits").all_portraits() == []


def test_the_live_image_removed_meanwhile(ui, pixels) -> None:
    ui.set(smile=1.0)
    bpy.data.images.remove(ui.output)
    ui.settle()
    ui.set(smile=0.9)
    assert "lost its live image" in ui.live.problem_of(ui.plane).message
    bpy.context.view_layer.objects.active = ui.plane
    bpy.ops.keyportrait.refresh(use_wait=True)
    output = ui.plane.keyportrait.portrait.output
    assert ui.plane.active_material.node_tree.nodes.active.image == output
    assert change_box(pixels(ui.plane.keyportrait.portrait.source), pixels(output))


def test_while_a_render_holds_the_traffic_nothing_blocks(ui) -> None:
    holds, release = threading.Event(), threading.Event()

    def render() -> None:
        with ui.live.traffic:
            holds.set()
            release.wait(PATIENCE_S)

    thread = threading.Thread(target=render)
    thread.start()
    holds.wait(PATIENCE_S)
    try:
        ui.set(smile=1.0)
        assert not ui.live.is_pending()
        assert ui.pump.drain() == 0
    finally:
        release.set()
        thread.join()
    assert ui.live.take_due_refresh()


def test_a_damaged_face_stops_its_own_portrait_only(ui, add_portrait, pixels) -> None:
    other, (controller,) = add_portrait()
    output = other.keyportrait.portrait.output
    still = pixels(output)
    ui.controller.keyportrait.face.data = "{}"
    controller["smile"] = 1.0
    ui.set(smile=1.0)
    ui.settle()
    assert "no longer knows its face" in ui.live.problem_of(ui.plane).message
    assert change_box(still, pixels(output))


def open_handles(module, session) -> list[int]:
    """Handles of pictures that the engine still has open."""
    client = module("rig.engine").engine()
    fields = {"motions": [motion.to_json() for motion in session.wanted.motions], "options": {}}
    found = []
    for handle in range(1, 30):
        ticket = client.submit("render", {"handle": handle, **fields}, use_drain=False)
        assert ticket.wait(PATIENCE_S)
        if ticket.error is None:
            found.append(handle)
    return found


@pytest.mark.parametrize("is_answered", [False, True])
def test_a_picture_that_changes_while_it_opens_leaves_nothing_open(
    ui, module, is_answered: bool
) -> None:
    ui.engine.restart()
    source = ui.plane.keyportrait.portrait.source
    for step in range(4):
        ui.set(smile=1.0)
        session = next(iter(ui.live._sessions.values()))
        if is_answered:
            assert session._opening.wait(PATIENCE_S)
        other = source.copy()
        other.pixels[step] = 1.0 - other.pixels[step]  # an equal picture would stay open
        ui.plane.keyportrait.portrait.source = other
    ui.set(smile=0.9)
    ui.settle()
    assert ui.live.problem_of(ui.plane) is None
    assert len(open_handles(module, session)) == 1


@pytest.mark.parametrize(
    ("fault", "most"),
    [
        ("open:out_of_memory", 1),
        ("open:bad_request", 1),
        ("open:internal", 1),
        ("open:a_code_of_tomorrow", 1),
        ("render:out_of_memory", 1),
        ("render:bad_request", 1),
        ("open:engine_died", 4),
    ],
)
def test_what_would_fail_again_is_not_asked_at_every_slider_move(
    ui, module, monkeypatch, fault: str, most: int
) -> None:
    kind, _, code = fault.partition(":")
    use_fake_engine(ui, monkeypatch, "--fail", fault)
    asked: list[str] = []
    session_class = module("rig.session").Session
    for name in ("open", "render"):
        real = getattr(session_class, f"_submit_{name}")

        def counted(*arguments, name=name, real=real, **options):
            asked.append(name)
            return real(*arguments, **options)

        monkeypatch.setattr(session_class, f"_submit_{name}", counted)
    for step in range(1, 5):
        ui.set(smile=step / 10)
        ui.settle()
    assert asked.count(kind) == most
    problem = ui.live.problem_of(ui.plane)
    assert problem.message == f"It failed: {code}."
    if code == "out_of_memory":
        assert "press Refresh" in problem.hint
    ui.live.retry_all()
    ui.set(smile=0.9)
    ui.settle()
    assert asked.count(kind) == most + 1


def use_fake_engine(ui, monkeypatch, *modes: str) -> None:
    """From now on the pretended engine of the unit tests, misbehaving as told."""
    fake = Path(__file__).resolve().parents[1] / "fakes" / "engine.py"
    real = ui.engine.launch

    @wraps(real)
    def launch(renderer: str = "analytic"):
        return replace(real(renderer), arguments=(str(fake), *modes))

    monkeypatch.setattr(ui.engine, "launch", launch)
    ui.engine.restart()
