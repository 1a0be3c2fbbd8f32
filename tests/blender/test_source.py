"""Adding portraits through the operators."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from conftest import ASTRONAUT
from test_panels import Layout


def counts() -> dict[str, int]:
    names = ("objects", "meshes", "materials", "images", "actions")
    return {name: len(getattr(bpy.data, name)) for name in names}


@pytest.fixture
def two_faces(tmp_path: Path, pixels) -> str:
    """A picture with two faces side by side, 1024 x 512."""
    image = bpy.data.images.load(str(ASTRONAUT))
    left = pixels(image)
    both = np.concatenate([left, left[:, ::-1]], axis=1)
    wide = bpy.data.images.new("two", both.shape[1], both.shape[0])
    wide.pixels.foreach_set(np.ascontiguousarray(both[::-1]).ravel())
    wide.filepath_raw, wide.file_format = str(tmp_path / "two.png"), "PNG"
    wide.save()
    bpy.data.images.remove(image)
    bpy.data.images.remove(wide)
    return str(tmp_path / "two.png")


def test_a_picture_becomes_a_plane_with_a_controller(add_portrait, pixels) -> None:
    plane, (controller,) = add_portrait()
    settings = plane.keyportrait.portrait
    assert plane.type == "MESH" and plane.select_get()
    assert np.allclose(plane.dimensions, (2.0, 2.0, 0.0))
    assert settings.source.name == "astronaut.jpg"
    assert settings.output.users and settings.output != settings.source
    assert (pixels(settings.output) == pixels(settings.source)).all()
    assert settings.output.colorspace_settings.name == settings.source.colorspace_settings.name
    assert controller.type == "EMPTY" and controller.parent == plane
    # The face of the photograph is left of and above the middle.
    x, y, z = plane.matrix_world.inverted() @ controller.matrix_world.translation
    assert -0.25 < x < 0.0 and 0.35 < y < 0.65 and abs(z) < 1e-5
    assert 0.1 < controller.empty_display_size < 0.35
    assert bpy.data.materials[0].node_tree.nodes.active.image == settings.output


def test_the_plane_has_the_picture_s_aspect(add_portrait, two_faces) -> None:
    plane, controllers = add_portrait(two_faces)
    assert np.allclose(plane.dimensions, (2.0, 1.0, 0.0))
    assert len(controllers) == 2
    left, right = (c.matrix_local.translation.x for c in controllers)
    assert left < 0 < right
    assert len({c.name for c in controllers}) == 2


def test_only_the_largest_faces(add_portrait, two_faces) -> None:
    assert len(add_portrait(two_faces, max_faces=1)[1]) == 1


@pytest.mark.parametrize("kind", ["EMISSION", "PRINCIPLED"])
def test_the_material_shows_the_live_image_with_alpha(add_portrait, kind) -> None:
    plane, _ = add_portrait(material=kind)
    tree = plane.active_material.node_tree
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    reached, todo = set(), [output]
    while todo:
        node = todo.pop()
        reached.add(node.type)
        todo += [link.from_node for link in tree.links if link.to_node == node]
    expected = {"EMISSION": "EMISSION", "PRINCIPLED": "BSDF_PRINCIPLED"}[kind]
    assert {"TEX_IMAGE", expected} <= reached
    texture = tree.nodes.active
    assert any(link.from_socket == texture.outputs["Alpha"] for link in tree.links)


def test_only_transparent_pictures_are_blended(add_portrait, pixels, astronaut) -> None:
    plane, _ = add_portrait()
    assert plane.active_material.surface_render_method == "DITHERED"
    cut = bpy.data.images.load(astronaut, check_existing=False)
    values = pixels(cut).copy()
    values[400:, :, 3] = 0.0
    transparent = bpy.data.images.new("cut", 512, 512, alpha=True)
    transparent.pixels.foreach_set(np.ascontiguousarray(values[::-1]).ravel())
    bpy.ops.keyportrait.add_portrait(image="cut")
    plane = bpy.context.active_object
    assert plane.active_material.surface_render_method == "BLENDED"
    output = plane.keyportrait.portrait.output
    assert (pixels(output)[450, :, 3] == 0.0).all()


def test_an_image_of_the_file(add_portrait, astronaut) -> None:
    image = bpy.data.images.load(astronaut)
    bpy.ops.keyportrait.add_portrait(image=image.name)
    assert bpy.context.active_object.keyportrait.portrait.source == image


def test_the_texture_of_the_active_object(module, astronaut) -> None:
    bpy.ops.mesh.primitive_plane_add(size=4.0)
    item = bpy.context.active_object
    image = bpy.data.images.load(astronaut)
    material = module("rig.planes").add_material("m", image, "PRINCIPLED")
    item.data.materials.append(material)
    assert bpy.ops.keyportrait.use_texture() == {"FINISHED"}
    settings = item.keyportrait.portrait
    assert settings.source == image
    assert material.node_tree.nodes.active.image == settings.output
    controller = settings.faces[0].controller
    x, y, _ = controller.matrix_local.translation
    assert -0.5 < x < 0.0 and 0.7 < y < 1.3


def test_a_shared_material_is_copied(module, astronaut) -> None:
    image = bpy.data.images.load(astronaut)
    material = module("rig.planes").add_material("m", image, "PRINCIPLED")
    for _ in range(2):
        bpy.ops.mesh.primitive_plane_add()
        bpy.context.active_object.data.materials.append(material)
    bpy.ops.keyportrait.use_texture()
    assert material.node_tree.nodes.active.image == image
    assert bpy.context.active_object.active_material != material


@pytest.mark.parametrize(
    ("breakage", "words"),
    [
        ("material", "has no material"),
        ("texture", "has no image texture"),
        ("uv", "has no UV map"),
    ],
)
def test_a_texture_that_cannot_be_driven(module, astronaut, breakage, words) -> None:
    bpy.ops.mesh.primitive_plane_add()
    item = bpy.context.active_object
    if breakage != "material":
        image = bpy.data.images.load(astronaut)
        item.data.materials.append(module("rig.planes").add_material("m", image, "PRINCIPLED"))
    if breakage == "texture":
        item.active_material.node_tree.nodes.active.image = None
    if breakage == "uv":
        item.data.uv_layers.remove(item.data.uv_layers[0])
    before = counts()
    with pytest.raises(RuntimeError, match=words):
        bpy.ops.keyportrait.use_texture()
    assert counts() == before
    assert item.keyportrait.kind == "NONE"


def test_faces_are_removed_and_found_again(add_portrait) -> None:
    plane, (controller,) = add_portrait()
    controller["smile"] = 1.0
    bpy.ops.keyportrait.find_faces()
    assert [link.controller for link in plane.keyportrait.portrait.faces] == [controller]
    bpy.context.view_layer.objects.active = controller
    bpy.ops.keyportrait.remove_face()
    assert not plane.keyportrait.portrait.faces
    assert bpy.context.active_object == plane
    bpy.ops.keyportrait.find_faces()
    assert plane.keyportrait.portrait.faces[0].controller["smile"] == 0.0


def test_a_face_by_hand(add_portrait) -> None:
    plane, _ = add_portrait()
    bpy.ops.keyportrait.add_face(box=(300, 100, 400, 220))
    assert len(plane.keyportrait.portrait.faces) == 2
    with pytest.raises(RuntimeError, match="not inside the picture"):
        bpy.ops.keyportrait.add_face(box=(300, 100, 900, 220))
    assert len(plane.keyportrait.portrait.faces) == 2


def test_every_poll_says_why() -> None:
    for name in dir(bpy.ops.keyportrait):
        operator = getattr(bpy.ops.keyportrait, name)
        if operator.poll():
            continue
        with pytest.raises(RuntimeError) as raised:
            operator()
        assert "context is incorrect" not in str(raised.value), name
        assert len(str(raised.value).split("failed")[-1]) > 20, name


def test_refused_faces_get_no_controller_and_are_counted(module) -> None:
    creation, errors = module("rig.creation"), module("rig.errors")
    fine = {"box": [0, 0, 10, 10]}
    tiny = {"box": [20, 0, 22, 2], "problem": {"code": "bad_face", "message": "Too small."}}
    finding = creation.Finding.read([fine, tiny])
    assert (len(finding.faces), len(finding.refused)) == (1, 1)
    finding.check("group.png")
    with pytest.raises(errors.FaceError, match=r"group.png.*Too small"):
        creation.Finding.read([tiny]).check("group.png")
    with pytest.raises(errors.FaceError, match=r"No face found in 'group.png'"):
        creation.Finding.read([]).check("group.png")


def test_a_drawn_face_knows_its_ratios_from_the_start(add_portrait, module, pixels) -> None:
    """Eyes Open and Lips Open begin where the picture is, so that their first step is small."""
    plane, (found,) = add_portrait()
    face_of = module("rig.controllers").face_of
    own = face_of(found)
    bpy.ops.keyportrait.remove_face()
    assert bpy.ops.keyportrait.add_face(box=(175, 65, 275, 185)) == {"FINISHED"}
    drawn = plane.keyportrait.portrait.faces[0].controller
    face = face_of(drawn)
    assert face.box == (175, 65, 275, 185)
    assert len(face.keypoints) == 6
    assert face.eyes_open == pytest.approx(own.eyes_open, abs=0.03)
    assert face.lips_open == pytest.approx(own.lips_open, abs=0.03)
    assert face.yaw == pytest.approx(own.yaw, abs=2.0)
    assert drawn["eyes_open"] == pytest.approx(face.eyes_open, abs=0.006)
    assert drawn["lips_open"] == pytest.approx(face.lips_open, abs=0.006)
    output = plane.keyportrait.portrait.output
    still = pixels(output).copy()
    drawn["eyes_open"] += 0.02
    drawn.update_tag()
    bpy.context.scene.frame_set(2)
    eyes = (slice(90, 135), slice(190, 262))
    changed = abs(pixels(output) - still)[eyes].max(axis=2)
    assert changed.max() > 0.0 and (changed > 0.1).mean() < 0.03


def test_a_box_without_a_face_is_told_at_once(add_portrait, capfd) -> None:
    plane, _ = add_portrait()
    assert bpy.ops.keyportrait.add_face(box=(10, 300, 120, 420)) == {"FINISHED"}
    assert "cannot be read" in capfd.readouterr().out
    assert len(plane.keyportrait.portrait.faces) == 2


def test_one_bad_box_stops_no_other_face_and_says_why(add_portrait, pixels, module) -> None:
    plane, (face,) = add_portrait()
    bpy.context.view_layer.objects.active = plane
    bpy.ops.keyportrait.add_face(box=(5, 5, 60, 60))
    face["smile"] = 1.0
    bpy.ops.keyportrait.refresh(use_wait=True)
    settings = plane.keyportrait.portrait
    difference = abs(pixels(settings.output) - pixels(settings.source)).max()
    assert difference > 0.1
    live = module("rig.live")
    assert live.problem_of(plane) is None
    assert live.face_problem_of(plane, 0) == ""
    problem = live.face_problem_of(plane, 1)
    texts: list[str] = []
    source = module("panels.source")
    source.draw_faces(Layout(texts, []), plane, face)
    bad = plane.keyportrait.portrait.faces[1].controller.name
    below = texts[texts.index(bad) + 1 :]
    assert problem and " ".join(below).startswith(" ".join(source.wrapped(problem)))
    assert texts[: texts.index(bad) + 1] == [face.name, bad]
