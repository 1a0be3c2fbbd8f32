"""Files of KeyPortrait 0.1.0, from before controllers stood at rest with a transform of nothing.

tests/data/portrait_0_1_0.blend was made by 0.1.0 in Blender 4.2; the motions that 0.1.0 read from
it at some frames lie beside it as JSON. `Plain` has an Empty that was moved, turned and scaled,
`Keyed` and `Wall` have keys on it (the mesh of `Wall` stands upright in its own space), and the
Empty of `Boned` hangs on an animated bone.
"""

from __future__ import annotations

import json
from typing import Any

import bpy
import pytest
from conftest import DATA
from mathutils import Matrix, Vector

OLD_FILE = DATA / "portrait_0_1_0.blend"
FACES = ("Plain Face", "Keyed Face", "Wall Face", "Boned Face")


@pytest.fixture(scope="module")
def expected() -> dict[str, dict[str, dict[str, Any]]]:
    """Controller → frame → motion as 0.1.0 read it."""
    return json.loads(OLD_FILE.with_suffix(".json").read_text(encoding="utf-8"))


def assert_moves_as_before(module: Any, expected: dict[str, Any], names: tuple[str, ...]) -> None:
    for frame in expected[names[0]]:
        bpy.context.scene.frame_set(int(frame))
        depsgraph = bpy.context.evaluated_depsgraph_get()
        for name in names:
            motion = module("rig.motions").motion_of(bpy.data.objects[name], depsgraph).to_json()
            for field, value in expected[name][frame].items():
                wanted = value if value is None else pytest.approx(value, abs=1e-4)
                assert motion[field] == wanted, (name, frame, field)


def test_every_face_moves_as_before(module, expected) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(OLD_FILE))
    assert_moves_as_before(module, expected, FACES)


def test_it_still_does_after_saving_and_opening(module, expected, tmp_path) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(OLD_FILE))
    path = str(tmp_path / "new.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    assert_moves_as_before(module, expected, FACES)


def test_old_faces_get_the_new_controls_at_rest(module) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(OLD_FILE))
    controls = module("engine.controls").CONTROLS
    for name in FACES:
        controller = bpy.data.objects[name]
        assert all(control.name in controller for control in controls)
        assert controller["smile_left"] == controller["brow_inner_right"] == 0.0
    plain = bpy.data.objects["Plain Face"]
    smile = module("engine.controls").CONTROLS_BY_NAME["smile_left"]
    assert plain.id_properties_ui("smile_left").as_dict()["soft_min"] == smile.soft_minimum
    # Their curves are evaluated like those of any other control.
    plain["smile_left"] = 0.0
    plain.keyframe_insert('["smile_left"]', frame=1)
    plain["smile_left"] = 1.0
    plain.keyframe_insert('["smile_left"]', frame=11)
    plain.hide_viewport = True
    bpy.context.scene.frame_set(6)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    motion = module("rig.motions").motion_of(plain, depsgraph)
    assert motion.expression[3 * 6 + 2] == pytest.approx(0.5 * 0.002, abs=1e-5)


def test_empties_stand_where_they_stood() -> None:
    bpy.context.preferences.addons["bl_ext.user_default.keyportrait"]  # enabled
    with bpy.data.libraries.load(str(OLD_FILE), link=True) as (_there, here):
        here.objects = list(FACES)
    for item in here.objects:
        bpy.context.collection.objects.link(item)
    bpy.context.view_layer.update()
    stood = {item.name: item.matrix_world.copy() for item in here.objects}
    bpy.ops.wm.open_mainfile(filepath=str(OLD_FILE))
    bpy.context.view_layer.update()
    for name, matrix in stood.items():
        now = bpy.data.objects[name].matrix_world
        assert max(abs(v) for row in now - matrix for v in row) < 1e-5, name


@pytest.mark.parametrize("name", ["Plain Face", "Keyed Face"])
def test_clearing_means_rest_in_old_files_too(module, name) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(OLD_FILE))
    bpy.context.scene.frame_set(11)
    controller = bpy.data.objects[name]
    controller["smile"] = controller["head_yaw"] = 0.0
    controller.animation_data_clear()
    for item in bpy.context.selected_objects:
        item.select_set(False)
    controller.select_set(True)
    bpy.context.view_layer.objects.active = controller
    for clear in ("location_clear", "rotation_clear", "scale_clear"):
        getattr(bpy.ops.object, clear)()
    bpy.context.view_layer.update()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    motion = module("rig.motions").motion_of(controller, depsgraph)
    assert motion == module("engine.motion").Motion()


@pytest.mark.parametrize("plane", ["Keyed", "Wall"])
def test_old_keys_survive_what_is_done_to_the_mesh(module, expected, plane) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(OLD_FILE))
    item = bpy.data.objects[plane]
    bpy.context.view_layer.objects.active = item
    for other in bpy.context.selected_objects:
        other.select_set(False)
    item.select_set(True)
    bpy.ops.object.transform_apply(location=True, rotation=True, scale=True)
    item.data.transform(Matrix.Translation(Vector((0.3, 0.2, 0.1))))
    bpy.context.view_layer.update()
    assert_moves_as_before(module, expected, (f"{plane} Face",))


def test_appended_old_faces_move_as_before(module, expected) -> None:
    with bpy.data.libraries.load(str(OLD_FILE)) as (there, here):
        here.objects = list(there.objects)
    for item in here.objects:
        bpy.context.collection.objects.link(item)
    bpy.context.view_layer.update()
    assert_moves_as_before(module, expected, FACES)


@pytest.mark.parametrize("is_override", [False, True])
def test_linked_old_faces_move_as_before(module, expected, is_override) -> None:
    with bpy.data.libraries.load(str(OLD_FILE), link=True) as (there, here):
        here.objects = list(there.objects)
    collection = bpy.data.collections.new("Cast")
    bpy.context.scene.collection.children.link(collection)
    for item in here.objects:
        collection.objects.link(item)
        if is_override:
            item.override_create(remap_local_usages=True)
    bpy.context.view_layer.update()
    assert_moves_as_before(module, expected, FACES)
    if is_override:
        plain = bpy.data.objects["Plain Face"]
        assert plain.override_library is not None
        bpy.context.view_layer.objects.active = plain
        bpy.ops.keyportrait.reset_face(group="ALL")
        bpy.context.view_layer.update()
        depsgraph = bpy.context.evaluated_depsgraph_get()
        motion = module("rig.motions").motion_of(plain, depsgraph)
        assert motion.translation == pytest.approx((0, 0, 0), abs=1e-4)
        assert abs(motion.yaw) < 1e-2
