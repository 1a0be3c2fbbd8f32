"""What the Empty does to the head: its limits, and looking at an object."""

from __future__ import annotations

import itertools
import math
from typing import Any

import bpy
import pytest
from conftest import ASTRONAUT
from mathutils import Matrix, Vector
from test_panels import draw_all


@pytest.fixture
def face(module):
    """(plane, controller) of the astronaut, whose face needs no search here."""
    own = module("engine.motion").Face(
        box=(178.0, 69.0, 272.0, 176.0), pitch=-4.0, yaw=8.0, roll=3.0, eyes_open=0.3
    )
    image = bpy.data.images.load(str(ASTRONAUT))
    item = module("rig.creation").add_portrait(bpy.context, image, [own], "EMISSION")
    item.settings.use_live = False
    bpy.context.view_layer.update()
    return item.plane, item.controllers[0]


@pytest.fixture
def motion(module):
    def read(controller: Any) -> Any:
        bpy.context.view_layer.update()
        return module("rig.motions").motion_of(controller, bpy.context.evaluated_depsgraph_get())

    return read


def range_of(module: Any, name: str) -> tuple[float, float]:
    control = module("engine.controls").CONTROLS_BY_NAME[name]
    ends = control.raw(control.minimum), control.raw(control.maximum)
    return min(ends), max(ends)


def assert_soft(
    amounts: list[float], wanted: list[float], low: float, high: float, step: float
) -> None:
    """A curve that rises, stays within its limits, jumps nowhere, and is straight in the middle."""
    assert all(b >= a - 1e-4 for a, b in itertools.pairwise(amounts))
    assert max(b - a for a, b in itertools.pairwise(amounts)) <= 1.2 * step
    assert low <= min(amounts) and max(amounts) <= high
    assert max(amounts) > 0.9 * high and min(amounts) < 0.9 * low
    for got, want in zip(amounts, wanted, strict=True):
        if 0.6 * low <= want <= 0.6 * high:
            assert got == pytest.approx(want, abs=0.02 * high)


@pytest.mark.parametrize(
    ("axis", "field", "name", "sign"),
    [("X", "pitch", "head_pitch", 1), ("Y", "yaw", "head_yaw", -1), ("Z", "roll", "head_roll", -1)],
)
def test_turning_the_empty_stays_within_the_slider_s_limits(
    module, motion, axis, field, name, sign
) -> None:
    # A straight face: its axes are those of the Empty.
    own = module("engine.motion").Face(box=(178.0, 69.0, 272.0, 176.0))
    image = bpy.data.images.load(str(ASTRONAUT))
    item = module("rig.creation").add_portrait(bpy.context, image, [own], "EMISSION")
    item.settings.use_live = False
    controller = item.controllers[0]
    degrees = list(range(-170, 171, 5))
    amounts = []
    for angle in degrees:
        controller.matrix_basis = Matrix.Rotation(math.radians(sign * angle), 4, axis)
        amounts.append(getattr(motion(controller), field))
    assert_soft(amounts, degrees, *range_of(module, name), 5.0)


@pytest.mark.parametrize(("index", "name", "sign"), [(0, "head_x", 1), (1, "head_y", -1)])
def test_moving_the_empty_stays_within_the_slider_s_limits(
    face, motion, module, index, name, sign
) -> None:
    _, controller = face
    half = controller.keyportrait.face.half_crop
    places = [0.02 * step for step in range(-50, 51)]
    amounts = []
    for place in places:
        controller.location[index] = sign * place * half
        amounts.append(motion(controller).translation[index])
    assert_soft(amounts, places, *range_of(module, name), 0.02)


def test_scaling_the_empty_stays_within_the_slider_s_limits(face, motion, module) -> None:
    _, controller = face
    sizes = [2.0 ** (0.1 * step) for step in range(-40, 41)]
    amounts = []
    for size in sizes:
        controller.scale = (size, size, size)
        amounts.append(math.log(motion(controller).scale))
    low, high = (math.log(end) for end in range_of(module, "head_scale"))
    assert_soft(amounts, [math.log(size) for size in sizes], low, high, 0.1 * math.log(2.0))


def test_sliders_and_empty_together_keep_to_the_limits(face, motion) -> None:
    _, controller = face
    controller["head_yaw"], controller["head_x"], controller["head_scale"] = -50.0, 1.8, 1.9
    controller.rotation_euler.y = math.radians(50)
    controller.location.x = 1.0
    controller.scale = (3, 3, 3)
    result = motion(controller)
    assert -60.0 <= result.yaw < -50.0
    shift = result.translation[0] - result.expression[3 * 5]
    assert 1.8 * 0.19 < shift <= 0.38 + 1e-6
    assert 1.9 < result.scale <= 2.0
    # The sliders alone are untouched.
    controller.matrix_basis = Matrix.Identity(4)
    result = motion(controller)
    assert (result.yaw, result.translation[0], result.scale) == pytest.approx((-50.0, 0.0, 1.9))


def test_the_panel_tells_when_the_empty_is_beyond(face) -> None:
    _, controller = face
    bpy.context.view_layer.objects.active = controller
    bpy.context.view_layer.update()
    assert "beyond" not in draw_all()[0]
    controller.rotation_euler.x = math.radians(60)
    controller.location.x = 0.35
    bpy.context.view_layer.update()
    assert "The Empty is beyond the limits: Pitch, Move X" in draw_all()[0]


def new_target(place: Vector) -> Any:
    target = bpy.data.objects.new("Target", None)
    bpy.context.collection.objects.link(target)
    target.location = place
    return target


def select(*items: Any) -> None:
    bpy.ops.object.select_all(action="DESELECT")
    for item in items:
        item.select_set(True)
    bpy.context.view_layer.objects.active = items[-1]


def place_before(plane: Any, controller: Any, degrees: float) -> Vector:
    """Three units before the face, turned to the viewer's right."""
    turn = plane.matrix_world.to_3x3()
    offset = Vector((3 * math.tan(math.radians(degrees)), 0, 3))
    return controller.matrix_world.translation + turn @ offset


def test_the_head_looks_at_the_selected_object(face, motion) -> None:
    plane, controller = face
    target = new_target(place_before(plane, controller, 20))
    select(target, controller)
    assert bpy.ops.keyportrait.head_look_at() == {"FINISHED"}
    assert motion(controller).yaw == pytest.approx(-20.0, abs=1.0)
    target.location = place_before(plane, controller, 0)
    assert abs(motion(controller).yaw) < 0.5
    bpy.ops.keyportrait.head_look_free()
    target.location = place_before(plane, controller, 20)
    assert abs(motion(controller).yaw) < 1e-3
    assert target.name in bpy.data.objects


def test_it_looks_straight_on_at_a_new_empty(face, motion) -> None:
    _, controller = face
    select(controller)
    assert bpy.ops.keyportrait.head_look_at() == {"FINISHED"}
    (constraint,) = controller.constraints
    assert constraint.target is not None
    result = motion(controller)
    assert max(abs(result.pitch), abs(result.yaw), abs(result.roll)) < 0.05


def test_a_track_to_with_blender_s_defaults_is_put_right(face, motion) -> None:
    plane, controller = face
    target = new_target(place_before(plane, controller, 20))
    select(controller)
    controller.constraints.new("TRACK_TO").target = target
    bpy.context.view_layer.update()
    assert "turns the head away" in draw_all()[0]
    bpy.ops.keyportrait.head_look_at()
    assert len(controller.constraints) == 1
    assert controller.constraints[0].target == target
    assert motion(controller).yaw == pytest.approx(-20.0, abs=1.0)
    assert "turns the head away" not in draw_all()[0]


def test_a_target_may_be_named(face) -> None:
    _, controller = face
    new_target(Vector((0, -3, 1)))
    select(controller)
    bpy.ops.keyportrait.head_look_at(target="Target")
    assert controller.constraints[0].target.name == "Target"
    with pytest.raises(RuntimeError, match="no object 'Nobody'"):
        bpy.ops.keyportrait.head_look_at(target="Nobody")
    with pytest.raises(RuntimeError, match="cannot look at itself"):
        bpy.ops.keyportrait.head_look_at(target=controller.name)
    bpy.ops.keyportrait.head_look_free()
    with pytest.raises(RuntimeError, match="poll"):
        bpy.ops.keyportrait.head_look_free()


def test_it_looks_from_a_mirrored_picture_and_an_applied_plane(face, motion) -> None:
    plane, controller = face
    select(plane)
    bpy.ops.object.transform_apply(location=False, rotation=True, scale=False)
    for item in plane.data.uv_layers.active.data:
        item.uv.x = 1.0 - item.uv.x
    plane.data.update()
    bpy.context.view_layer.update()
    place = controller.matrix_world.translation
    target = new_target(place + Vector((3 * math.tan(math.radians(20)), -3, 0)))
    select(target, controller)
    bpy.ops.keyportrait.head_look_at()
    # The viewer's right is the picture's left.
    assert motion(controller).yaw == pytest.approx(20.0, abs=1.5)
