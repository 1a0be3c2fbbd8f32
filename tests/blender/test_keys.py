"""Which channels the key buttons key, the groups of the curves, and the keying set."""

from __future__ import annotations

from typing import Any

import bpy
import pytest


@pytest.fixture
def face(add_portrait: Any) -> Any:
    _, (controller,) = add_portrait()
    bpy.context.view_layer.objects.active = controller
    controller.select_set(True)
    return controller


@pytest.fixture
def keys(module: Any) -> Any:
    """keys(controller) → data path → frames that have keys."""

    def found(controller: Any) -> dict[str, list[float]]:
        curves = module("compat").fcurves(controller)
        return {c.data_path: [point.co[0] for point in c.keyframe_points] for c in curves}

    return found


@pytest.fixture
def groups(module: Any) -> Any:
    """groups(controller) → data path → name of the curve's group."""

    def found(controller: Any) -> dict[str, str | None]:
        curves = module("compat").fcurves(controller)
        return {c.data_path: c.group.name if c.group else None for c in curves}

    return found


def test_key_changed_keys_what_was_posed_and_nothing_else(face: Any, keys: Any) -> None:
    assert bpy.ops.keyportrait.key_changed() == {"CANCELLED"}
    assert keys(face) == {}
    face["smile"] = 0.5
    assert bpy.ops.keyportrait.key_changed() == {"FINISHED"}
    assert keys(face) == {'["smile"]': [1.0]}
    bpy.context.scene.frame_set(10)
    assert bpy.ops.keyportrait.key_changed() == {"CANCELLED"}
    face["smile"], face["brows"] = 0.0, -0.25
    face.rotation_euler.z += 0.2
    bpy.ops.keyportrait.key_changed()
    expected = {'["smile"]': [1.0, 10.0], '["brows"]': [10.0], "rotation_euler": [10.0]}
    assert keys(face) == expected


def test_key_changed_leaves_the_handle_where_it_is(face: Any) -> None:
    face.location.x += 0.1
    face.scale.y = 1.2
    before = face.matrix_basis.copy()
    bpy.ops.keyportrait.key_changed()
    assert face.matrix_basis == before


def test_key_changed_counts_in_the_time_of_the_tweaked_strip(face: Any, keys: Any) -> None:
    scene = bpy.context.scene
    for frame, value in ((1, 0.0), (11, 0.5)):
        scene.frame_set(frame)
        face["smile"] = value
        bpy.ops.keyportrait.key_all()
    animation = face.animation_data
    action = animation.action
    strip = animation.nla_tracks.new().strips.new("shot", 101, action)
    if hasattr(strip, "action_slot") and strip.action_slot is None:
        strip.action_slot = action.slots[0]
    animation.action = None
    animation.nla_tracks[0].select = strip.select = True
    animation.nla_tracks.active = animation.nla_tracks[0]
    animation.use_tweak_mode = True
    if not animation.use_tweak_mode:
        pytest.skip("no strip to tweak")
    scene.frame_set(111)
    assert face["smile"] == pytest.approx(0.5)
    assert bpy.ops.keyportrait.key_changed() == {"CANCELLED"}


def test_key_available_keys_curves_that_are_there(face: Any, keys: Any) -> None:
    assert bpy.ops.keyportrait.key_available() == {"CANCELLED"}
    for name in ("blink", "smile"):
        face[name] = 0.5
    bpy.ops.keyportrait.key_changed()
    bpy.context.scene.frame_set(5)
    face["brows"] = 1.0
    bpy.ops.keyportrait.key_available()
    assert keys(face) == {'["blink"]': [1.0, 5.0], '["smile"]': [1.0, 5.0]}


def test_key_whole_character_keys_faces_that_are_not_selected(add_portrait: Any, keys: Any) -> None:
    plane, (first,) = add_portrait()
    bpy.ops.keyportrait.add_face(box=(300, 100, 400, 220))
    second = plane.keyportrait.portrait.faces[1].controller
    for item in bpy.context.view_layer.objects:
        item.select_set(item == first)
    bpy.context.view_layer.objects.active = first
    bpy.ops.keyportrait.key_all()
    assert not keys(second)
    bpy.ops.keyportrait.key_character()
    assert len(keys(second)) == len(keys(first)) > 20


def test_curves_lie_in_the_groups_of_the_controls(face: Any, groups: Any, module: Any) -> None:
    bpy.ops.keyportrait.key_all()
    expected = {f'["{c.name}"]': c.group for c in module("engine.controls").CONTROLS}
    transforms = dict.fromkeys(("location", "rotation_euler", "scale"), "Object Transforms")
    assert groups(face) == expected | transforms
    assert set(groups(face).values()) == {"Head", "Eyes", "Brows", "Mouth", "Object Transforms"}


def test_presets_and_reset_group_their_curves_too(face: Any, groups: Any) -> None:
    bpy.ops.keyportrait.apply_preset(preset="Smile", use_key=True)
    assert groups(face)['["smile"]'] == "Mouth" and groups(face)['["blink"]'] == "Eyes"


def test_a_curve_made_without_a_group_gets_it_at_the_next_update(face: Any, groups: Any) -> None:
    """As I on a slider makes it."""
    face.keyframe_insert('["smile"]', frame=1)
    assert groups(face)['["smile"]'] is None
    bpy.context.view_layer.update()
    assert groups(face)['["smile"]'] == "Mouth"


def test_a_group_of_the_artist_s_own_stays(face: Any, groups: Any, module: Any) -> None:
    face.keyframe_insert('["smile"]', frame=1, group="Mine")
    face.keyframe_insert('["blink"]', frame=1)
    face.keyframe_insert('["blink"]', frame=9)
    for curve in module("compat").fcurves(face):
        if curve.data_path == '["blink"]':
            curve.group = None
    face.animation_data.action.update_tag()
    bpy.context.view_layer.update()
    assert groups(face) == {'["smile"]': "Mine", '["blink"]': None}


@pytest.fixture
def viewport() -> dict[str, Any]:
    """What operators of the 3D viewport need of the context."""
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    return {"window": window, "area": area, "region": region}


def test_the_keying_set_keys_the_selected_faces(
    face: Any, keys: Any, groups: Any, viewport: Any, module: Any
) -> None:
    with bpy.context.temp_override(**viewport):
        answer = bpy.ops.anim.keyframe_insert_by_name(type="KEYPORTRAIT_KSI_face")
    assert answer == {"FINISHED"}
    assert len(keys(face)) == len(module("engine.controls").CONTROLS) + 3
    assert groups(face)['["brows"]'] == "Brows"


@pytest.mark.skipif(bpy.app.version < (4, 5, 0), reason="bpy 4.2 crashes in transform.translate")
def test_auto_keying_keys_the_whole_face_when_its_set_is_active(
    face: Any, keys: Any, viewport: Any
) -> None:
    face.parent.select_set(False)
    scene = bpy.context.scene
    sets = scene.keying_sets_all
    sets.active = next(item for item in sets if item.bl_idname == "KEYPORTRAIT_KSI_face")
    scene.tool_settings.use_keyframe_insert_auto = True
    scene.tool_settings.use_keyframe_insert_keyingset = True
    with bpy.context.temp_override(**viewport):
        bpy.ops.transform.translate(value=(0.05, 0.0, 0.0))
        assert keys(face)['["smile"]'] == [1.0]
        scene.frame_set(5)
        bpy.ops.anim.keyframe_insert()  # as K or I over the viewport
    assert keys(face)['["smile"]'] == keys(face)["location"] == [1.0, 5.0]
