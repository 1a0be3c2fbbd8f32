"""Undo and redo over everything that makes, copies or removes parts of a portrait.

Operators are called with an undo step of their own, as the interface calls them: the step is stored
before any handler hears of the change.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import pytest
from soundness import portraits, wiring

STEP: tuple[Any, ...] = ("EXEC_DEFAULT", True)
Wiring = dict[str, Any]


@pytest.fixture(autouse=True)
def undo_stack(new_file, astronaut: str, tmp_path: Path) -> None:
    """An undo stack, which the background lacks until a script asks for it, and one portrait."""
    bpy.ops.ed.undo_push(message="Original")
    assert bpy.ops.keyportrait.add_portrait(*STEP, filepath=astronaut) == {"FINISHED"}
    bpy.context.scene.keyportrait_bake.folder = str(tmp_path / "bake")
    bpy.context.scene.frame_end = 2
    bpy.ops.ed.undo_push(message="Set")


def planes() -> list[bpy.types.Object]:
    return sorted(portraits(), key=lambda item: item.session_uid)


def controllers() -> list[bpy.types.Object]:
    found = [o for o in bpy.data.objects if o.keyportrait.kind == "FACE" and o.users_collection]
    return sorted(found, key=lambda item: item.session_uid)


def select(*items: bpy.types.Object) -> None:
    for item in bpy.context.view_layer.objects:
        item.select_set(item in items)
    bpy.context.view_layer.objects.active = items[0]


def select_everything() -> None:
    select(*planes(), *controllers())


@contextmanager
def area_of(kind: str):
    """The largest area of the window, turned into a kind of editor."""
    window = bpy.context.window_manager.windows[0]
    area = max(window.screen.areas, key=lambda item: item.width * item.height)
    old, area.type = area.type, kind
    try:
        region = next(region for region in area.regions if region.type == "WINDOW")
        with bpy.context.temp_override(window=window, area=area, region=region):
            yield
    finally:
        area.type = old


def duplicate() -> None:
    select_everything()
    bpy.ops.object.duplicate(*STEP)


def duplicate_linked() -> None:
    select_everything()
    bpy.ops.object.duplicate(*STEP, linked=True)


def duplicate_plane_alone() -> None:
    select(planes()[0])
    bpy.ops.object.duplicate(*STEP)


def duplicate_instance() -> None:
    """An instance and a duplicate of both it and its original."""
    duplicate_linked()
    duplicate()


def make_single_user() -> None:
    duplicate_linked()
    select(planes()[-1])
    bpy.ops.object.make_single_user(*STEP, object=True, obdata=True, material=False)


def make_own() -> None:
    duplicate_linked()
    select(planes()[-1])
    assert bpy.ops.keyportrait.make_own(*STEP) == {"FINISHED"}


def paste() -> None:
    select_everything()
    with area_of("VIEW_3D"):
        bpy.ops.view3d.copybuffer()
        bpy.ops.view3d.pastebuffer()  # with an undo step Blender crashes in the background
    bpy.ops.ed.undo_push(message="Paste")


def copy_scene() -> None:
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        bpy.ops.scene.new(*STEP, type="FULL_COPY")


def delete_plane() -> None:
    select(planes()[0])
    bpy.ops.object.delete(*STEP)


def delete_controller() -> None:
    select(controllers()[0])
    bpy.ops.object.delete(*STEP)


def delete_everything() -> None:
    select_everything()
    bpy.ops.object.delete(*STEP)


def draw_face() -> None:
    select(planes()[0])
    assert bpy.ops.keyportrait.add_face(*STEP, box=(20, 20, 120, 140)) == {"FINISHED"}


def remove_face() -> None:
    select(controllers()[0])
    assert bpy.ops.keyportrait.remove_face(*STEP) == {"FINISHED"}


def find_faces() -> None:
    remove_face()
    select(planes()[0])
    assert bpy.ops.keyportrait.find_faces(*STEP) == {"FINISHED"}


def apply_preset() -> None:
    select(controllers()[0])
    assert bpy.ops.keyportrait.apply_preset(*STEP, preset="Surprise") == {"FINISHED"}


def bake() -> None:
    select(planes()[0])
    assert bpy.ops.keyportrait.bake(*STEP) == {"FINISHED"}


def bake_and_duplicate() -> None:
    bake()
    duplicate()
    select(planes()[-1])
    assert bpy.ops.keyportrait.show_live(*STEP) == {"FINISHED"}


def refresh_lost_image() -> None:
    bpy.data.images.remove(planes()[0].keyportrait.portrait.output)
    bpy.ops.ed.undo_push(message="Remove the live image")
    select(planes()[0])
    assert bpy.ops.keyportrait.refresh(*STEP) == {"FINISHED"}


def use_texture() -> None:
    mesh = bpy.data.meshes.new("card")
    mesh.from_pydata([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], [], [(0, 1, 2, 3)])
    mesh.uv_layers.new().data.foreach_set("uv", [0, 0, 1, 0, 1, 1, 0, 1])
    card = bpy.data.objects.new("card", mesh)
    bpy.context.collection.objects.link(card)
    material = bpy.data.materials.new("card")
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = planes()[0].keyportrait.portrait.source
    mesh.materials.append(material)
    bpy.ops.ed.undo_push(message="Card")
    select(card)
    assert bpy.ops.keyportrait.use_texture(*STEP) == {"FINISHED"}


ACTIONS = (
    duplicate,
    duplicate_linked,
    duplicate_plane_alone,
    duplicate_instance,
    make_single_user,
    make_own,
    paste,
    copy_scene,
    delete_plane,
    delete_controller,
    delete_everything,
    draw_face,
    remove_face,
    find_faces,
    apply_preset,
    bake,
    bake_and_duplicate,
    refresh_lost_image,
    use_texture,
)


def walk(step: Callable[..., set[str]]) -> list[Wiring]:
    """Undo or redo to the end; what every step on the way shows, each of them sound."""
    found = [wiring()]
    while step.poll() and step() == {"FINISHED"}:
        bpy.context.view_layer.update()
        found.append(wiring())
    return found


def without_repeats(steps: list[Wiring]) -> list[Wiring]:
    return [step for number, step in enumerate(steps) if not number or step != steps[number - 1]]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.__name__)
def test_undo_and_redo_lead_every_pointer_back(action: Callable[[], None]) -> None:
    before = wiring()
    action()
    after = wiring()
    assert after != before or action is apply_preset
    for _ in range(2):
        back = walk(bpy.ops.ed.undo)
        assert back[0] == after
        assert before in back
        assert back[-1] == {}  # even the portrait is not there yet
        forth = walk(bpy.ops.ed.redo)
        assert without_repeats(forth) == without_repeats(back[::-1])


def test_one_walk_over_many_steps(astronaut: str) -> None:
    seen = [wiring()]
    for action in (duplicate, bake, duplicate_linked, draw_face, delete_plane, paste, make_own):
        action()
        seen.append(wiring())
    back = walk(bpy.ops.ed.undo)
    forth = walk(bpy.ops.ed.redo)
    assert without_repeats(forth) == without_repeats(back[::-1])
    rest = iter(forth)
    assert all(any(step == state for state in rest) for step in seen), "a state is never shown"


def test_a_stopped_bake_has_changed_nothing(astronaut: str, module) -> None:
    bpy.ops.keyportrait.add_portrait(*STEP, filepath=astronaut)
    select(*planes())
    before = wiring()
    bake_module = module("rig.bake")
    items = module("rig.portraits").all_portraits()
    settings = module("rig.bake_settings").settings_of(bpy.context.scene)
    run = bake_module.begin(bpy.context.scene, items, settings)
    try:
        while len(run.summary.names) < 1:
            run.step(0.0)
        assert run.files and not run.is_done
    finally:
        bake_module.cancel_active()
    assert wiring() == before


def lose_and_undo(lose: Callable[[], None]) -> None:
    """Lose pointers as Blender's own undo at times does, and go back a step that keeps them lost.

    A data-block that two steps have in common stays as it is in memory.
    """
    bpy.context.view_layer.update()
    bpy.ops.ed.undo_push(message="Before")
    bpy.data.objects.new("another", None)
    bpy.ops.ed.undo_push(message="Another")
    lose()
    assert bpy.ops.ed.undo() == {"FINISHED"}
    bpy.context.view_layer.update()


def lose_plane_of(
    controller: bpy.types.Object, found_instead: bpy.types.Object | None = None
) -> None:
    controller.keyportrait.face.portrait = found_instead
    controller.parent = None


@pytest.mark.parametrize("is_another_found", [False, True])
def test_a_plane_that_undo_loses_comes_back(is_another_found: bool) -> None:
    paste()
    bpy.context.view_layer.update()
    before, place = wiring(), controllers()[-1].matrix_world.copy()
    another = planes()[0] if is_another_found else None
    lose_and_undo(lambda: lose_plane_of(controllers()[-1], another))
    assert wiring() == before
    assert controllers()[-1].matrix_world == place


@pytest.mark.parametrize("is_another_found", [False, True])
def test_a_controller_that_undo_loses_comes_back(is_another_found: bool) -> None:
    draw_face()
    before = wiring()

    def lose() -> None:
        plane = planes()[0]
        plane.keyportrait.portrait.faces[0].controller = plane if is_another_found else None
        for curve in plane.animation_data.drivers:
            for variable in curve.driver.variables:
                if variable.targets[0].id == controllers()[0]:
                    variable.targets[0].id = None

    lose_and_undo(lose)
    assert wiring() == before


def test_a_controller_that_stood_free_comes_back_free() -> None:
    controllers()[0].parent = None
    bpy.context.view_layer.update()
    before = wiring()
    lose_and_undo(lambda: lose_plane_of(controllers()[0]))
    assert wiring() == before


def test_undo_brings_no_deleted_controller_back_to_the_list() -> None:
    draw_face()
    select(controllers()[0])
    bpy.ops.object.duplicate(*STEP)
    select(controllers()[0])
    bpy.ops.object.delete(*STEP)
    before = wiring()
    lose_and_undo(lambda: None)
    assert wiring() == before
