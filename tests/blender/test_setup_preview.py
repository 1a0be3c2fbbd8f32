"""Preview never depends on the networks' installation, however broken or slow that is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import bpy
import pytest
from conftest import change_box
from test_panels import draw_all
from test_setup import preferences, pretend_environment  # noqa: F401

PATIENCE_S = 30.0
BROKEN = ["exit 3", "echo Segmentation fault >&2; kill -11 $$", "echo Welcome", "sleep 60"]


@pytest.fixture(autouse=True)
def fresh_engines(module: Any) -> Iterator[None]:
    """Engines that start in each test; none keeps a shell script of a test running."""
    module("rig.engine").stop()
    yield
    module("rig.engine").stop()
    module("rig.live").forget_all()


def smile(plane: Any, face: Any, pixels: Callable[[Any], Any]) -> bool:
    """Move a slider; whether the picture changes."""
    output = plane.keyportrait.portrait.output
    before = pixels(output).copy()
    face["smile"] = 1.0
    face.update_tag()
    bpy.context.scene.frame_set(2)
    return change_box(before, pixels(output)) is not None


@pytest.mark.parametrize("script", BROKEN)
def test_preview_works_beside_a_broken_environment(
    preferences: Any, module: Any, add_portrait: Any, pixels: Any, script: str
) -> None:
    pretend_environment(module("rig.setup").folder(), script)
    plane, (face,) = add_portrait()
    before = time.monotonic()
    assert smile(plane, face, pixels)
    assert time.monotonic() - before < PATIENCE_S
    assert module("rig.engine").status().problem is None


def test_final_says_what_is_wrong_and_preview_goes_on(
    preferences: Any, module: Any, add_portrait: Any, pixels: Any
) -> None:
    pretend_environment(module("rig.setup").folder(), "echo no torch here >&2; exit 3")
    plane, (face,) = add_portrait()
    plane.keyportrait.portrait.renderer = "liveportrait"
    item = module("rig.portraits").portrait(plane)
    with pytest.raises(module("host.client").EngineError, match="no torch here") as caught:
        face["smile"] = 0.5
        module("rig.live").show_now(item, bpy.context.evaluated_depsgraph_get())
    assert "Install LivePortrait's environment again" in caught.value.hint
    assert "no torch here" in draw_all()[0].replace("\n", " ")
    plane.keyportrait.portrait.renderer = "analytic"
    face["smile"] = 0.0
    bpy.context.scene.frame_set(3)
    assert smile(plane, face, pixels)


@pytest.fixture
def dead_drive(module: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever looks into the set-up's folder hangs, as on a network drive that is gone."""
    back = threading.Event()
    environment, setup = module("host.environment"), module("rig.setup")

    def hang(*_: Any) -> None:
        back.wait(PATIENCE_S)

    for name in ("read_marker", "own_files"):
        monkeypatch.setattr(environment, name, hang)
    monkeypatch.setattr(setup, "SCRIPT_PATIENCE_S", setup.PANEL_PATIENCE_S)
    monkeypatch.setattr(setup, "SILENT_S", 0.0)
    yield
    back.set()


def test_a_dead_drive_blocks_neither_panels_nor_preview(
    preferences: Any, module: Any, add_portrait: Any, pixels: Any, dead_drive: None
) -> None:
    plane, (face,) = add_portrait()
    before = time.monotonic()
    for _ in range(5):
        texts = draw_all()[0]
        bpy.ops.keyportrait.setup_check.poll()
    assert not module("rig.setup").installed().is_known
    assert time.monotonic() - before < 2.0
    assert "does not answer" in texts.replace("\n", " ")
    assert smile(plane, face, pixels)
    client = module("rig.engine").start("liveportrait")
    assert client.state.name == "STARTING"
    face["smile"] = 0.0
    bpy.context.scene.frame_set(3)
    assert smile(plane, face, pixels)


def test_changed_set_up_does_not_block_the_window(
    preferences: Any, module: Any, add_portrait: Any
) -> None:
    """The engine of the networks may be in the middle of a long load, deaf to everything."""
    pretend_environment(module("rig.setup").folder(), "trap '' TERM; sleep 60")
    client = module("rig.engine").start("liveportrait")
    deadline = time.monotonic() + PATIENCE_S
    while client.pid is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    before = time.monotonic()
    module("rig.setup").renew_engine()
    assert time.monotonic() - before < 0.3
    assert client.state.name == "STOPPED"
