"""Face controllers: properties, the Empty as a handle, gaze, and what is evaluated."""

from __future__ import annotations

import math

import bpy
import pytest
from mathutils import Euler, Matrix, Vector


@pytest.fixture
def face(add_portrait):
    """(plane, controller) of the astronaut."""
    plane, (controller,) = add_portrait()
    return plane, controller


@pytest.fixture
def motion(module):
    """motion(controller) → its Motion now."""

    def read(controller):
        bpy.context.view_layer.update()
        depsgraph = bpy.context.evaluated_depsgraph_get()
        return module("rig.motions").motion_of(controller, depsgraph)

    return read


def test_every_control_is_a_property_with_its_range(face, module) -> None:
    _, controller = face
    own = module("rig.controllers").face_of(controller)
    for control in module("engine.controls").CONTROLS:
        data = controller.id_properties_ui(control.name).as_dict()
        assert (data["min"], data["max"]) == pytest.approx((control.minimum, control.maximum))
        assert (data["soft_min"], data["soft_max"]) == pytest.approx(control.soft_range)
        assert data["description"] == control.description
        assert controller[control.name] == pytest.approx(data["default"])
    assert controller["eyes_open"] == pytest.approx(own.eyes_open, abs=0.0051)
    assert controller["lips_open"] == pytest.approx(own.lips_open, abs=0.0051)
    assert controller["eyes_open"] > 0.1


def test_at_rest_nothing_moves(face, motion, module) -> None:
    assert motion(face[1]) == module("engine.motion").Motion()


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [("head_pitch", "pitch", 7.0), ("head_yaw", "yaw", -12.0), ("head_roll", "roll", 5.0),
     ("head_scale", "scale", 1.1), ("eyes_open", "eyes_open", 0.7),
     ("lips_open", "lips_open", 0.6)],
)  # fmt: skip
def test_a_property_becomes_motion(face, motion, name, field, value) -> None:
    face[1][name] = value
    assert getattr(motion(face[1]), field) == pytest.approx(value)


@pytest.mark.parametrize(
    ("axis", "field", "sign"),
    [("X", "pitch", 1.0), ("Y", "yaw", -1.0), ("Z", "roll", -1.0)],
)
def test_rotating_the_empty_turns_the_head(face, motion, module, axis, field, sign) -> None:
    _plane, controller = face
    own = module("rig.controllers").face_of(controller)
    angle = math.radians(10.0)
    controller.matrix_basis = controller.matrix_basis @ Matrix.Rotation(angle, 4, axis)
    result = motion(controller)
    values = {name: getattr(result, name) for name in ("pitch", "yaw", "roll")}
    assert values.pop(field) == pytest.approx(sign * 10.0, abs=1.0)
    # The photograph's own pose mixes a little of the other axes in.
    assert all(abs(v) < 2.5 for v in values.values()), (values, own.pitch, own.yaw, own.roll)


def test_the_turned_head_is_the_turn_times_the_own_pose(face, motion, module) -> None:
    _, controller = face
    own = module("rig.controllers").face_of(controller)
    turn = Euler((0.2, -0.3, 0.1)).to_matrix()
    controller.matrix_basis = controller.matrix_basis @ turn.to_4x4()
    result = motion(controller)

    def rotation(pitch: float, yaw: float, roll: float) -> Matrix:
        # R = Rz(roll) Ry(yaw) Rx(pitch) in LivePortrait's frame.
        return (
            Matrix.Rotation(math.radians(roll), 3, "Z")
            @ Matrix.Rotation(math.radians(yaw), 3, "Y")
            @ Matrix.Rotation(math.radians(pitch), 3, "X")
        )

    flip = Matrix.Diagonal((1, -1, -1))
    wanted = flip @ turn @ flip @ rotation(own.pitch, own.yaw, own.roll)
    got = rotation(own.pitch + result.pitch, own.yaw + result.yaw, own.roll + result.roll)
    pairs = [(a, b) for x, y in zip(wanted, got, strict=True) for a, b in zip(x, y, strict=True)]
    assert max(abs(a - b) for a, b in pairs) < 1e-5


def test_moving_and_scaling_the_empty(face, motion, module) -> None:
    _, controller = face
    half = controller.keyportrait.face.half_crop
    controller.location += Vector((0.2 * half, 0.1 * half, 0.0))
    controller.scale = (1.2, 1.2, 1.2)
    result = motion(controller)
    assert result.translation[:2] == pytest.approx((0.2, -0.1), abs=1e-5)
    assert result.scale == pytest.approx(1.2)
    bpy.context.view_layer.objects.active = controller
    bpy.ops.keyportrait.reset_handle()
    assert motion(controller) == module("engine.motion").Motion()


def test_a_face_that_does_not_exist_is_not_selected(face) -> None:
    with pytest.raises(RuntimeError, match="has no face number 5"):
        bpy.ops.keyportrait.select_face(index=5)


def test_the_plane_may_be_anywhere(face, motion, module) -> None:
    plane, controller = face
    parent = bpy.data.objects.new("parent", None)
    bpy.context.collection.objects.link(parent)
    plane.parent = parent
    parent.matrix_world = Matrix.LocRotScale(
        Vector((3, -2, 5)), Euler((0.3, 1.2, -0.7)), Vector((2, 2, 2))
    )
    assert motion(controller) == module("engine.motion").Motion()


def test_track_to_makes_the_face_look_at_an_object(face, motion) -> None:
    plane, controller = face
    target = bpy.data.objects.new("target", None)
    bpy.context.collection.objects.link(target)
    constraint = controller.constraints.new("TRACK_TO")
    constraint.target, constraint.track_axis, constraint.up_axis = target, "TRACK_Z", "UP_Y"
    bpy.context.view_layer.update()
    front = plane.matrix_world.to_3x3() @ Vector((0, 0, 1))
    right = plane.matrix_world.to_3x3() @ Vector((1, 0, 0))
    place = controller.matrix_world.translation.copy()
    target.location = place + 3 * front
    assert abs(motion(controller).yaw) < 0.5
    target.location = place + 3 * front + 3 * math.tan(math.radians(20)) * right
    assert motion(controller).yaw == pytest.approx(-20.0, abs=1.0)


def test_the_eyes_follow_the_gaze_target(face, module) -> None:
    _plane, controller = face
    neutral = module("engine.motion").Motion()
    target = bpy.data.objects.new("target", None)
    bpy.context.collection.objects.link(target)
    controller.keyportrait.face.gaze_target = target
    depsgraph = bpy.context.evaluated_depsgraph_get
    motions = module("rig.motions")

    def gaze(x: float, y: float) -> tuple[float, ...]:
        world = controller.matrix_world
        target.location = world @ Vector((x, y, 2.0))
        bpy.context.view_layer.update()
        return motions.motion_of(controller, depsgraph()).expression

    assert gaze(0.0, 0.0) == pytest.approx(neutral.expression, abs=1e-4)
    eye_x, eye_y = 11 * 3, 11 * 3 + 1
    assert gaze(1.0, 0.0)[eye_x] > 0.005 > -0.005 > gaze(-1.0, 0.0)[eye_x]
    assert gaze(0.0, 0.5)[eye_y] < -0.005 < 0.005 < gaze(0.0, -0.5)[eye_y]
    # Behind the picture the eyes stay within their range.
    target.location = controller.matrix_world @ Vector((1.0, 0.0, -5.0))
    bpy.context.view_layer.update()
    controls = module("engine.controls")
    limit = controls.motion_from_controls({"gaze_x": 1.0}).expression[eye_x]
    assert motions.motion_of(controller, depsgraph()).expression[eye_x] <= limit + 1e-6


def key_smile(controller) -> None:
    for frame, value in ((1, 0.0), (11, 1.0)):
        controller["smile"] = value
        controller.keyframe_insert('["smile"]', frame=frame)
    controller["smile"] = 0.25


@pytest.mark.parametrize("hidden", ["no", "hide_viewport", "hide_set", "collection"])
def test_keys_count_also_while_the_controller_is_hidden(face, module, hidden) -> None:
    _plane, controller = face
    key_smile(controller)
    if hidden == "hide_viewport":
        controller.hide_viewport = True
    elif hidden == "hide_set":
        controller.hide_set(True)
    elif hidden == "collection":
        extra = bpy.data.collections.new("extra")
        bpy.context.scene.collection.children.link(extra)
        extra.objects.link(controller)
        for collection in controller.users_collection:
            if collection != extra:
                collection.objects.unlink(controller)
        extra.hide_viewport = True
    scene = bpy.context.scene
    scene.frame_set(1)
    scene.frame_set(11)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    values = module("rig.motions").control_values(controller, depsgraph)
    assert values["smile"] == pytest.approx(1.0)


def test_drivers_and_the_nla_count(face, module) -> None:
    plane, controller = face
    driver = controller.driver_add('["brows"]').driver
    driver.type = "SUM"
    variable = driver.variables.new()
    variable.targets[0].id = plane
    variable.targets[0].data_path = "location.x"
    key_smile(controller)
    action = controller.animation_data.action
    track = controller.animation_data.nla_tracks.new()
    track.strips.new("smile", 21, action)
    controller.animation_data.action = None
    plane.location.x = 0.75
    bpy.context.scene.frame_set(31)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    values = module("rig.motions").control_values(controller, depsgraph)
    assert values["brows"] == pytest.approx(0.75)
    assert values["smile"] == pytest.approx(1.0)


def test_a_value_set_by_a_script_needs_no_tag(face, module) -> None:
    _, controller = face
    controller.keyframe_insert('["blink"]', frame=1)
    bpy.context.scene.frame_set(2)
    controller["smile"] = 0.5
    depsgraph = bpy.context.evaluated_depsgraph_get()
    assert module("rig.motions").control_values(controller, depsgraph)["smile"] == 0.5


def test_missing_and_damaged_properties_are_neutral(face, motion, module) -> None:
    _, controller = face
    del controller["smile"], controller["blink"]
    controller["blink"] = "closed"
    controller["brows"] = float("nan")
    assert motion(controller) == module("engine.motion").Motion()


def test_renaming_is_harmless(face, motion) -> None:
    plane, controller = face
    plane.name, controller.name = "Somebody", "Her face"
    controller["head_yaw"] = 5.0
    assert motion(controller).yaw == pytest.approx(5.0)
