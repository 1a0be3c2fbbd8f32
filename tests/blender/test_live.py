"""The live image follows its controllers, and survives what happens to files and engines."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import bpy
import numpy as np
import pytest
from conftest import change_box, disable, enable


def face_box(module, controller) -> tuple[float, float, float, float]:
    return module("rig.controllers").face_of(controller).box


def update(*items) -> None:
    for item in items:
        item.update_tag()
    bpy.context.view_layer.update()


@pytest.fixture
def kill_engine(module):
    """Kill the engine process as the system would."""

    def kill() -> None:
        engine = module("rig.engine").engine()
        os.kill(engine.pid, signal.SIGKILL)
        for _ in range(1000):
            if engine.state.name == "FAILED":
                return
            time.sleep(0.01)
        raise AssertionError("the engine's death was not noticed")

    return kill


def test_a_smile_moves_the_mouth_and_nothing_else(add_portrait, pixels, module) -> None:
    plane, (controller,) = add_portrait()
    output = plane.keyportrait.portrait.output
    still = pixels(output)
    controller["smile"] = 1.0
    update(controller)
    x0, y0, x1, y1 = change_box(still, pixels(output))
    box = face_box(module, controller)
    height = box[3] - box[1]
    assert box[0] - 0.3 * height < x0 and x1 < box[2] + 0.3 * height
    assert box[1] - 0.1 * height < y0 and y1 < box[3] + 0.3 * height
    mouth_y = module("rig.controllers").face_of(controller).keypoints[3][1]
    change = np.abs(still - pixels(output)).max(axis=2)
    rows = slice(int(mouth_y - 0.1 * height), int(mouth_y + 0.15 * height))
    assert change[rows].max() > 0.15
    controller["smile"] = 0.0
    update(controller)
    assert (pixels(output) == still).all()


def test_every_control_changes_the_picture(add_portrait, pixels, module) -> None:
    plane, (controller,) = add_portrait()
    output = plane.keyportrait.portrait.output
    still = pixels(output)
    defaults = dict(controller.items())
    unchanged = []
    for control in module("engine.controls").CONTROLS:
        if control.name == "lid_offset":
            controller["blink"] = 1.0
            update(controller)
            still_here = pixels(output)
        else:
            still_here = still
        _low, high = control.soft_range
        controller[control.name] = float(high)
        update(controller)
        if change_box(still_here, pixels(output)) is None:
            unchanged.append(control.name)
        controller[control.name] = defaults[control.name]
        controller["blink"] = 0.0
    assert not unchanged


def test_keyframes_play(add_portrait, pixels) -> None:
    plane, (controller,) = add_portrait()
    output = plane.keyportrait.portrait.output
    still = pixels(output)
    for frame, value in ((1, 0.0), (5, 1.0)):
        controller["mouth_open"] = value
        controller.keyframe_insert('["mouth_open"]', frame=frame)
    scene = bpy.context.scene
    scene.frame_set(5)
    open_mouth = pixels(output)
    assert change_box(still, open_mouth)
    scene.frame_set(1)
    assert (pixels(output) == still).all()
    scene.frame_set(5)
    assert (pixels(output) == open_mouth).all()


def test_turning_the_empty_turns_the_picture(add_portrait, pixels) -> None:
    plane, (controller,) = add_portrait()
    still = pixels(plane.keyportrait.portrait.output)
    controller.rotation_euler.y += 0.2
    bpy.context.view_layer.update()
    assert change_box(still, pixels(plane.keyportrait.portrait.output))


def test_two_portraits_share_an_image(add_portrait, pixels) -> None:
    first, (one,) = add_portrait()
    second, (two,) = add_portrait()
    assert first.keyportrait.portrait.source == second.keyportrait.portrait.source
    outputs = [plane.keyportrait.portrait.output for plane in (first, second)]
    assert outputs[0] != outputs[1]
    still = pixels(outputs[1])
    one["smile"] = 1.0
    update(one)
    assert change_box(still, pixels(outputs[0]))
    assert (pixels(outputs[1]) == still).all()
    two["blink"] = 1.0
    update(two)
    assert change_box(pixels(outputs[0]), pixels(outputs[1]))


def duplicate(*items):
    for item in bpy.context.selected_objects:
        item.select_set(False)
    for item in items:
        item.select_set(True)
    bpy.context.view_layer.objects.active = items[0]
    bpy.ops.object.duplicate()
    bpy.context.view_layer.update()
    return list(bpy.context.selected_objects)


def test_a_duplicate_is_a_portrait_of_its_own(add_portrait, pixels) -> None:
    plane, (controller,) = add_portrait()
    copies = duplicate(plane, controller)
    other = next(item for item in copies if item.type == "MESH")
    second = next(item for item in copies if item.type == "EMPTY")
    mine, its = plane.keyportrait.portrait, other.keyportrait.portrait
    assert mine.uid != its.uid
    assert mine.output != its.output
    assert other.active_material.node_tree.nodes.active.image == its.output
    assert plane.active_material.node_tree.nodes.active.image == mine.output
    assert [link.controller for link in its.faces] == [second]
    still = pixels(mine.output)
    second["smile"] = 1.0
    update(second)
    assert change_box(still, pixels(its.output))
    assert (pixels(mine.output) == still).all()


def test_a_duplicated_plane_alone_is_still(add_portrait, pixels) -> None:
    plane, (controller,) = add_portrait()
    (other,) = duplicate(plane)
    controller["smile"] = 1.0
    update(controller)
    first, second = plane.keyportrait.portrait, other.keyportrait.portrait
    assert not second.faces
    assert change_box(pixels(first.output), pixels(second.output))


def test_deleting_a_controller_puts_its_face_to_rest(add_portrait, pixels) -> None:
    plane, (controller,) = add_portrait()
    output = plane.keyportrait.portrait.output
    still = pixels(output)
    controller["smile"] = 1.0
    update(controller)
    bpy.ops.object.select_all(action="DESELECT")
    controller.select_set(True)
    bpy.ops.object.delete()
    bpy.context.view_layer.update()
    assert (pixels(output) == still).all()


def test_deleting_the_plane_is_quiet(add_portrait, module) -> None:
    plane, (controller,) = add_portrait()
    controller["smile"] = 1.0
    update(controller)
    bpy.data.objects.remove(plane)
    controller["smile"] = 0.5
    update(controller)
    assert module("rig.portraits").all_portraits() == []


def test_a_lost_picture_is_told(add_portrait, module) -> None:
    plane, (controller,) = add_portrait()
    bpy.data.images.remove(plane.keyportrait.portrait.source)
    controller["smile"] = 1.0
    update(controller)
    with pytest.raises(RuntimeError, match="has lost its picture"):
        bpy.context.view_layer.objects.active = plane
        bpy.ops.keyportrait.refresh()


def test_saved_and_loaded_it_goes_on(add_portrait, pixels, tmp_path: Path) -> None:
    plane, (controller,) = add_portrait()
    still = pixels(plane.keyportrait.portrait.output)
    controller["smile"] = 1.0
    update(controller)
    smiling = pixels(plane.keyportrait.portrait.output)
    path = str(tmp_path / "portrait.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    disable()
    bpy.ops.wm.open_mainfile(filepath=path)
    plane = bpy.data.objects["astronaut"]
    image = plane.active_material.node_tree.nodes.active.image
    assert np.allclose(pixels(image), smiling, atol=1e-6)
    enable()
    bpy.ops.wm.open_mainfile(filepath=path)
    plane = bpy.data.objects["astronaut"]
    controller = plane.keyportrait.portrait.faces[0].controller
    output = plane.keyportrait.portrait.output
    assert (pixels(output) == smiling).all()
    controller["smile"] = 0.0
    update(controller)
    assert (pixels(output) == still).all()


def test_a_killed_engine_is_started_again(add_portrait, pixels, kill_engine) -> None:
    plane, (controller,) = add_portrait()
    output = plane.keyportrait.portrait.output
    still = pixels(output)
    controller["smile"] = 0.5
    update(controller)
    kill_engine()
    controller["smile"] = 1.0
    update(controller)
    assert change_box(still, pixels(output))


def test_an_engine_that_cannot_start_is_told_and_restarted(
    add_portrait, pixels, kill_engine, module, tmp_path: Path
) -> None:
    plane, (controller,) = add_portrait()
    output = plane.keyportrait.portrait.output
    still = pixels(output)
    module("preferences").preferences().python_path = str(tmp_path / "nothing")
    kill_engine()
    controller["smile"] = 1.0
    update(controller)
    assert (pixels(output) == still).all()
    assert "could not be started" in module("rig.live").problem_of(plane).message
    assert module("rig.engine").status().name == "FAILED"
    module("preferences").preferences().python_path = ""
    bpy.ops.keyportrait.engine_restart()
    assert module("rig.live").problem_of(plane) is None
    assert change_box(still, pixels(output))


def test_disabled_in_the_middle_of_work(add_portrait, pixels, module) -> None:
    plane, (controller,) = add_portrait()
    output = plane.keyportrait.portrait.output
    still = pixels(output)
    controller["smile"] = 1.0
    engine = module("rig.engine").engine()
    update(controller)
    disable()
    assert engine.pid is None
    assert change_box(still, pixels(output))
    controller["smile"] = 0.0
    update(controller)
    enable()
    update(controller)
    assert (pixels(output) == still).all()


def test_another_picture_replaces_the_old_one(add_portrait, pixels) -> None:
    plane, (controller,) = add_portrait()
    settings = plane.keyportrait.portrait
    darker = settings.source.copy()
    values = pixels(darker) * np.array([0.5, 0.5, 0.5, 1.0], np.float32)
    darker.pixels.foreach_set(np.ascontiguousarray(values[::-1]).ravel())
    settings.source = darker
    controller["smile"] = 1.0
    update(controller)
    assert pixels(settings.output)[400:].mean() == pytest.approx(values[400:].mean(), abs=0.01)


def test_a_float_picture_keeps_its_range_and_alpha(pixels, astronaut) -> None:
    photo = pixels(bpy.data.images.load(astronaut))
    hdr = photo.copy()
    hdr[..., :3] = (photo[..., :3] ** 2.2) * 3.0
    hdr[300:, :, 3] = 0.5
    hdr[300:, :, :3] *= 0.5
    image = bpy.data.images.new("hdr", 512, 512, alpha=True, float_buffer=True)
    image.pixels.foreach_set(np.ascontiguousarray(hdr[::-1]).ravel())
    bpy.ops.keyportrait.add_portrait(image="hdr")
    settings = bpy.context.active_object.keyportrait.portrait
    assert settings.output.is_float
    controller = settings.faces[0].controller
    controller["mouth_open"] = 1.0
    update(controller)
    after = pixels(settings.output)
    x0, y0, x1, y1 = change_box(hdr, after)
    outside = np.ones((512, 512), bool)
    outside[y0 - 30 : y1 + 30, x0 - 30 : x1 + 30] = False
    assert (after[outside] == hdr[outside]).all()
    inside = after[y0:y1, x0:x1, :3]
    assert inside.max() > 1.5
