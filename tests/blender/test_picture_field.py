"""The Picture field: another picture on a portrait that has its controllers already."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from conftest import ASTRONAUT, change_box
from pictures import save_picture


@pytest.fixture
def photo(pixels: Any) -> np.ndarray:
    image = bpy.data.images.load(str(ASTRONAUT))
    values = pixels(image).copy()
    bpy.data.images.remove(image)
    return values


def evaluate(*items: Any) -> None:
    for item in items:
        item.update_tag()
    bpy.context.view_layer.update()


def load(path: Path, values: np.ndarray) -> Any:
    return bpy.data.images.load(save_picture(path, values))


def place(plane: Any, controller: Any) -> np.ndarray:
    """Where a controller stands on its plane: from the left and from the top, parts of its size."""
    bpy.context.view_layer.update()
    x, y, _ = plane.matrix_world.inverted() @ controller.matrix_world.translation
    return np.array([0.5 + x / plane.dimensions.x, 0.5 - y / plane.dimensions.y])


def middle(module: Any, controller: Any, size: tuple[int, int]) -> np.ndarray:
    x0, y0, x1, y1 = module("rig.controllers").face_of(controller).box
    return np.array([(x0 + x1) / 2 / size[0], (y0 + y1) / 2 / size[1]])


def test_another_aspect_reshapes_the_plane_and_moves_the_controller(
    add_portrait, module, pixels, photo, tmp_path: Path
) -> None:
    plane, (controller,) = add_portrait()
    settings = plane.keyportrait.portrait
    controller["smile"] = 0.5
    controller.keyframe_insert('["smile"]', frame=1)
    objects = set(bpy.data.objects)
    # The face moves to the right: 200 px of the background's colour stand before it.
    wide = np.concatenate([np.broadcast_to(photo[:1, :1], (512, 256, 4)), photo], axis=1)
    settings.source = load(tmp_path / "wide.png", wide)
    assert set(bpy.data.objects) == objects
    assert np.allclose(plane.dimensions, (2.0, 2.0 * 512 / 768, 0.0), atol=1e-4)
    assert tuple(settings.size) == (768, 512) and settings.is_fitted
    assert np.allclose(place(plane, controller), middle(module, controller, (768, 512)), atol=0.01)
    assert place(plane, controller)[0] > 0.55
    assert controller["smile"] == 0.5
    evaluate(controller)
    assert tuple(settings.output.size) == (768, 512)
    left, _, right, _ = change_box(wide, pixels(settings.output))
    assert left > 256 + 100 and right < 256 + 330
    controller.animation_data_clear()
    controller["smile"] = 0.0
    evaluate(controller)
    assert (pixels(settings.output) == wide).all()


def test_a_picture_of_the_same_size_is_fitted_too(
    add_portrait, module, photo, tmp_path: Path
) -> None:
    plane, (controller,) = add_portrait()
    before = middle(module, controller, (512, 512))
    plane.keyportrait.portrait.source = load(tmp_path / "mirrored.png", photo[:, ::-1])
    after = middle(module, controller, (512, 512))
    assert after[0] == pytest.approx(1.0 - before[0], abs=0.02)
    assert np.allclose(place(plane, controller), after, atol=0.01)


def test_the_artist_s_motion_of_the_empty_stays(add_portrait, module, photo, tmp_path) -> None:
    plane, (controller,) = add_portrait()
    motions = module("rig.motions")
    controller.rotation_euler.y += 0.2
    evaluate(controller)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    before = motions.motion_of(controller, depsgraph)
    basis = controller.matrix_basis.copy()
    plane.keyportrait.portrait.source = load(tmp_path / "mirrored.png", photo[:, ::-1])
    evaluate(controller)
    after = motions.motion_of(controller, bpy.context.evaluated_depsgraph_get())
    assert controller.matrix_basis == basis
    assert abs(before.yaw) > 5.0
    assert after.yaw == pytest.approx(before.yaw, abs=2.0)


def test_a_picture_without_a_face_keeps_the_controller(
    add_portrait, module, photo, tmp_path: Path
) -> None:
    plane, (controller,) = add_portrait()
    before = middle(module, controller, (512, 512))
    plane.keyportrait.portrait.source = load(tmp_path / "wall.png", np.ones((256, 512, 4)) * 0.5)
    assert plane.keyportrait.portrait.is_fitted
    assert np.allclose(middle(module, controller, (512, 256)), before, atol=0.01)
    assert np.allclose(plane.dimensions, (2.0, 1.0, 0.0), atol=1e-4)


def test_a_mesh_of_the_artist_s_is_left_alone(module, photo, tmp_path: Path, astronaut) -> None:
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=3, y_subdivisions=3)
    item = bpy.context.active_object
    image = bpy.data.images.load(astronaut)
    item.data.materials.append(module("rig.planes").add_material("m", image, "EMISSION"))
    bpy.ops.keyportrait.use_texture()
    before = [tuple(vertex.co) for vertex in item.data.vertices]
    item.keyportrait.portrait.source = load(tmp_path / "high.png", photo[:, 100:400])
    assert [tuple(vertex.co) for vertex in item.data.vertices] == before
    assert tuple(item.keyportrait.portrait.size) == (300, 512)


def test_a_plane_that_was_turned_and_moved_keeps_its_middle(
    add_portrait, photo, tmp_path: Path
) -> None:
    plane, _ = add_portrait()
    bpy.ops.object.select_all(action="DESELECT")
    plane.select_set(True)
    bpy.context.view_layer.objects.active = plane
    plane.location.x = 3.0
    bpy.ops.object.transform_apply(location=True, rotation=True, scale=True)
    plane.keyportrait.portrait.source = load(tmp_path / "wide.png", photo[:256])
    places = np.array([plane.matrix_world @ vertex.co for vertex in plane.data.vertices])
    assert np.allclose(np.ptp(places, axis=0).max(), 2.0, atol=1e-4)
    assert np.allclose(sorted(np.ptp(places, axis=0))[1], 1.0, atol=1e-4)
    assert places[:, 0].mean() == pytest.approx(3.0, abs=1e-4)


def test_what_a_portrait_makes_is_no_picture(add_portrait, module) -> None:
    plane, _ = add_portrait()
    can_be_source = module("rig.portraits").can_be_source
    settings = plane.keyportrait.portrait
    assert can_be_source(settings.source)
    assert not can_be_source(settings.output)
    plane.keyportrait_baked.image = bpy.data.images.new("bake", 8, 8)
    assert not can_be_source(plane.keyportrait_baked.image)
    assert not can_be_source(bpy.data.images.new("tiles", 8, 8, tiled=True))
    written_in = vars(module("rig.properties"))
    fields = inspect.get_annotations(type(settings), globals=written_in, eval_str=True)
    poll = fields["source"].keywords["poll"]
    assert poll(settings, settings.source) and not poll(settings, settings.output)
    # The field refuses it; a script is told.
    settings.source = settings.output
    with pytest.raises(RuntimeError, match="has its own live image for a picture"):
        bpy.ops.keyportrait.refresh()


def test_a_clip_in_the_field_moves_and_a_picture_rests_again(
    add_portrait, module, photo, pixels, tmp_path: Path
) -> None:
    plane, (controller,) = add_portrait()
    settings = plane.keyportrait.portrait
    still, rest = settings.source, tuple(controller.matrix_world.translation)
    controller["smile"] = 0.5
    paths = [tmp_path / f"shot_{n:04}.exr" for n in (1, 2)]
    sequence = load(paths[0], photo)
    moved = np.roll(photo, 20, axis=1)
    save_picture(paths[1], moved)
    sequence.source = "SEQUENCE"
    bpy.context.scene.frame_set(2)
    settings.source = sequence
    assert module("rig.clips").is_moving(settings) and settings.source == sequence
    assert controller["smile"] == 0.5 and controller["silence_lips"] == 0.0
    assert settings.output.is_float
    assert settings.output in [
        n.image for n in plane.active_material.node_tree.nodes if hasattr(n, "image")
    ]
    controller["smile"] = 0.0
    places = []
    for frame, picture in ((1, photo), (2, moved)):
        bpy.context.scene.frame_set(frame)
        assert pixels(settings.output) == pytest.approx(picture, abs=2e-3)
        places.append(controller.matrix_world.translation.x)
    assert places[1] - places[0] == pytest.approx(2.0 * 20 / 512, rel=0.2)
    settings.source = still
    assert not module("rig.clips").is_moving(settings) and not settings.output.is_float
    assert tuple(controller.delta_location) == (0.0, 0.0, 0.0)
    evaluate(controller)
    assert tuple(controller.matrix_world.translation) == pytest.approx(rest, abs=1e-4)
    assert (pixels(settings.output) == photo).all()


def test_a_sequence_of_one_picture_becomes_a_still(add_portrait, photo, tmp_path: Path) -> None:
    plane, _ = add_portrait()
    sequence = load(tmp_path / "shot_0001.png", photo)
    sequence.source = "SEQUENCE"
    plane.keyportrait.portrait.source = sequence
    assert plane.keyportrait.portrait.source.name == "shot Frame 1"


@pytest.fixture
def searches(module, monkeypatch) -> list[str]:
    """Every look for faces that the engine is asked for from here on."""
    engine, asked = module("host.client").Engine, []
    submit = engine.submit

    def note(self: Any, kind: str, *arguments: Any, **options: Any) -> Any:
        asked.extend([kind] if kind == "detect" else [])
        return submit(self, kind, *arguments, **options)

    monkeypatch.setattr(engine, "submit", note)
    return asked


def test_a_picture_that_changed_its_size_on_disk(
    add_portrait, module, photo, tmp_path: Path, searches
) -> None:
    path = tmp_path / "face.png"
    save_picture(path, photo)
    plane, (controller,) = add_portrait(str(path))
    searches.clear()
    save_picture(path, photo[:400])
    settings = plane.keyportrait.portrait
    settings.source.reload()
    controller["mouth_open"] = 1.0
    evaluate(controller)
    assert tuple(settings.output.size) == (512, 400) == tuple(settings.size)
    assert np.allclose(plane.dimensions, (2.0, 2.0 * 400 / 512, 0.0), atol=1e-4)
    assert np.allclose(place(plane, controller), middle(module, controller, (512, 400)), atol=0.01)
    assert searches == ["detect"]


def test_another_file_in_the_same_image(add_portrait, module, pixels, photo, tmp_path) -> None:
    """Image > Replace: as another picture in the field."""
    plane, (controller,) = add_portrait(save_picture(tmp_path / "face.png", photo))
    before = middle(module, controller, (512, 512))
    source = plane.keyportrait.portrait.source
    source.filepath = save_picture(tmp_path / "other.png", photo[:, ::-1])
    evaluate(controller)
    after = middle(module, controller, (512, 512))
    assert after[0] == pytest.approx(1.0 - before[0], abs=0.02)
    assert np.allclose(place(plane, controller), after, atol=0.01)


def test_matching_prefers_overlap_then_distance(module) -> None:
    matching, controls = module("rig.matching"), module("engine.controls")

    def face(x: float, y: float) -> Any:
        return controls.Face(box=(x, y, x + 10, y + 10), keypoints=((x, y),))

    known = [face(0, 0), face(50, 0), face(100, 0)]
    found = [face(98, 2), face(70, 0), face(300, 300)]
    pairing = matching.pair_faces(known, found)
    assert dict(pairing.pairs) == {2: found[0], 1: found[1], 0: found[2]}
    assert not pairing.lonely and not pairing.fresh
    pairing = matching.pair_faces(known, found[:1])
    assert pairing.lonely == [0, 1]
    assert matching.pair_faces(known[:1], found).fresh == 2
    drawn = [controls.Face(box=(0, 0, 10, 10))]
    assert matching.pair_faces(drawn, found).lonely == [0]
    assert matching.pair_faces(drawn, [face(1, 1)]).pairs
