"""Files in which 0.1.0 has drawn a face by hand: it knew nothing of the face but its box."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

BOX = (175, 65, 275, 185)
KEYED = {1: 0.0, 6: 0.0, 11: 0.3}


@pytest.fixture
def old_file(add_portrait, module, tmp_path: Path):
    """old_file(box, keys) → path of a file as 0.1.0 has left it, with one drawn face.

    is_shared  whether another object uses its action
    """

    def make(box: Any = BOX, keys: Any = None, *, is_shared: bool = False) -> str:
        # What is right already must not be put right while it is made old.
        with module("rig.live").paused():
            return made(box, keys or {}, is_shared)

    def made(box: Any, keys: dict[int, float], is_shared: bool) -> str:
        _plane, (controller,) = add_portrait()
        controllers = module("rig.controllers")
        face = module("engine.controls").Face(box=box)
        for name in ("eyes_open", "lips_open"):
            controller[name] = 0.0
        controllers.write_controls(controller, face)
        controller.keyportrait.face.data = controllers.face_to_text(face)
        for frame, value in keys.items():
            controller["eyes_open"] = value
            controller.keyframe_insert('["eyes_open"]', frame=frame)
        if is_shared:
            other = bpy.data.objects.new("other", None)
            bpy.context.collection.objects.link(other)
            other.animation_data_create().action = controller.animation_data.action
        assert controllers.face_of(controller).eyes_open == 0.0
        path = str(tmp_path / "old.blend")
        bpy.ops.wm.save_as_mainfile(filepath=path)
        return path

    return make


def parts() -> tuple[bpy.types.Object, bpy.types.Object]:
    """The plane and the controller in the open file."""
    kinds = {o.keyportrait.kind: o for o in bpy.data.objects}
    return kinds["PORTRAIT"], kinds["FACE"]


def moved(plane: Any, pixels: Any) -> float:
    """How far the live image is from the still picture, as the largest difference."""
    settings = plane.keyportrait.portrait
    return float(np.abs(pixels(settings.output) - pixels(settings.source)).max())


def slide(controller: Any, **values: float) -> None:
    for name, value in values.items():
        controller[name] = value
    controller.update_tag()
    bpy.context.view_layer.update()


def test_its_sliders_stand_at_the_openings_of_the_face(old_file, module, pixels) -> None:
    bpy.ops.wm.open_mainfile(filepath=old_file())
    plane, controller = parts()
    face = module("rig.controllers").face_of(controller)
    assert face.box == BOX
    assert 0.2 < face.eyes_open < 0.6
    for name in ("eyes_open", "lips_open"):
        assert controller[name] == pytest.approx(getattr(face, name), abs=0.006)
        default = controller.id_properties_ui(name).as_dict()["default"]
        assert default == controller[name]
    assert moved(plane, pixels) == 0.0
    slide(controller, eyes_open=controller["eyes_open"] - 0.02)
    small = moved(plane, pixels)
    slide(controller, eyes_open=0.0)
    assert 0.0 < small < 0.5 * moved(plane, pixels), "a small move of the slider is a jump"


def test_keys_at_rest_stay_at_rest(old_file, module, pixels) -> None:
    bpy.ops.wm.open_mainfile(filepath=old_file(keys=KEYED))
    plane, controller = parts()
    rest = module("rig.controllers").face_of(controller).eyes_open
    curve = module("compat").fcurves(controller)[0]
    values = [point.co[1] for point in curve.keyframe_points]
    assert values == pytest.approx([rest, rest, 0.3], abs=0.006)
    for frame, is_still in ((1, True), (3, True), (6, True), (11, False)):
        bpy.context.scene.frame_set(frame)
        assert (moved(plane, pixels) == 0.0) == is_still, frame


def test_curves_that_others_use_keep_the_face_as_it_was(old_file, module, pixels) -> None:
    bpy.ops.wm.open_mainfile(filepath=old_file(keys=KEYED, is_shared=True))
    plane, controller = parts()
    face = module("rig.controllers").face_of(controller)
    assert face.eyes_open == 0.0 < face.lips_open
    bpy.context.scene.frame_set(1)
    assert moved(plane, pixels) == 0.0


def test_undo_takes_nothing_away_for_long(old_file, module) -> None:
    bpy.ops.wm.open_mainfile(filepath=old_file())
    bpy.ops.ed.undo_push(message="Original")
    _plane, controller = parts()
    module("rig.controllers").reset_handle(controller)
    face = module("engine.controls").Face(box=BOX)  # as a step from before it was read
    controller.keyportrait.face.data = module("rig.controllers").face_to_text(face)
    bpy.ops.ed.undo_push(message="Step")
    slide(controller, smile=1.0)
    bpy.ops.ed.undo_push(message="Smile")
    bpy.ops.ed.undo()
    _plane, controller = parts()
    assert module("rig.controllers").face_of(controller).eyes_open > 0.2


def test_a_box_without_a_face_rests(old_file, module, pixels) -> None:
    bpy.ops.wm.open_mainfile(filepath=old_file((10, 300, 120, 420)))
    plane, controller = parts()
    assert module("rig.controllers").face_of(controller).eyes_open == 0.0
    assert moved(plane, pixels) == 0.0


def test_without_an_engine_the_face_rests_and_renders(old_file, module, pixels, tmp_path) -> None:
    path = old_file()
    module("rig.engine").stop()
    module("preferences").preferences().python_path = str(tmp_path / "nothing")
    bpy.ops.wm.open_mainfile(filepath=path)
    plane, _controller = parts()
    assert moved(plane, pixels) == 0.0
    live = module("rig.live")
    live.refresh_now(bpy.context.scene, bpy.context.evaluated_depsgraph_get())


def test_in_the_interface_nothing_waits_and_nothing_is_asked_twice(old_file, module) -> None:
    live, pump = module("rig.live"), module("rig.pump")
    path = old_file()

    def refresh() -> None:
        live.refresh(bpy.context.scene, bpy.context.evaluated_depsgraph_get())

    with live.paused():  # background handlers would wait
        bpy.ops.wm.open_mainfile(filepath=path)
        _plane, controller = parts()
        refresh()
        assert live.is_pending()
        face_of = module("rig.controllers").face_of
        assert face_of(controller).eyes_open == 0.0
        end = time.monotonic() + 60.0
        while live.is_pending():
            assert time.monotonic() < end
            pump.drain()
            time.sleep(0.005)
        assert face_of(controller).eyes_open > 0.2
        refresh()
        assert not live.is_pending()
