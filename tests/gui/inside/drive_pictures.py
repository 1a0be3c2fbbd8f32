"""Another picture in the Picture field with undo, painting, and a texture of the artist's.

Started by run.sh; writes report.json and screenshots to FOLDER/out and ends Blender.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np

FOLDER = Path(sys.argv[-1])
OUT = FOLDER / "out"
sys.path.insert(0, str(FOLDER))

import pointer  # noqa: E402
from performing import perform  # noqa: E402
from pointer import Steps  # noqa: E402

PICTURE = str(FOLDER / "astronaut.jpg")
PATIENCE_S = 60.0
NOTES: dict[str, dict] = {}


def things(kind: str) -> list[bpy.types.Object]:
    return [item for item in bpy.data.objects if item.keyportrait.kind == kind]


def settings() -> bpy.types.PropertyGroup:
    return things("PORTRAIT")[0].keyportrait.portrait


def wait_for(condition: Callable[[], object], what: str) -> Steps:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {PATIENCE_S:.0f} s for {what}")
        yield 0.1


def in_view() -> bpy.types.Context:
    area = pointer.find_area("VIEW_3D")
    region = pointer.find_region(area, "WINDOW")
    return bpy.context.temp_override(window=pointer.window(), area=area, region=region)


def pixels(image: bpy.types.Image) -> np.ndarray:
    values = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(image.size[1], image.size[0], 4)


def state() -> dict:
    plane, face = things("PORTRAIT")[0], things("FACE")[0]
    return {
        "source": settings().source.name,
        "size": list(settings().size),
        "is_fitted": settings().is_fitted,
        "dimensions": [round(value, 3) for value in plane.dimensions[:2]],
        "place": round(face.matrix_world.translation.x - plane.matrix_world.translation.x, 3),
        "live": list(settings().output.size),
    }


def textured_plane() -> Steps:
    """A plane of the artist's, framed in textured solid view, becomes a portrait."""
    for item in list(bpy.data.objects):
        bpy.data.objects.remove(item)
    area = pointer.find_area("VIEW_3D")
    shading = area.spaces.active.shading
    shading.type, shading.color_type, shading.light = "SOLID", "TEXTURE", "FLAT"
    area.spaces.active.overlay.show_overlays = False
    with in_view():
        bpy.ops.mesh.primitive_plane_add()
        plane = bpy.context.active_object
        material = bpy.data.materials.new("Photo")
        material.use_nodes = True
        node = material.node_tree.nodes.new("ShaderNodeTexImage")
        node.image = bpy.data.images.load(PICTURE)
        material.node_tree.nodes.active = node
        plane.data.materials.append(material)
        bpy.ops.view3d.view_axis(type="TOP")
        bpy.ops.view3d.view_selected()
        bpy.ops.ed.undo_push(message="Plane")
    yield 2.0
    pointer.screenshot(OUT / "1_texture.png")
    with in_view():
        bpy.ops.keyportrait.use_texture("INVOKE_DEFAULT")
    yield from wait_for(lambda: things("FACE"), "a face")
    yield 2.0
    pointer.screenshot(OUT / "2_portrait.png")
    window = pointer.find_region(area, "WINDOW")
    height = pointer.window().height
    left, top = window.x + window.width // 4, height - window.y - window.height * 3 // 4
    NOTES["textured_plane"] = {
        "middle": [left, top, left + window.width // 2, top + window.height // 2]
    }


def another_picture() -> Steps:
    """As the Picture field does: the property is set, then Blender stores its undo step."""
    for item in list(bpy.data.objects):
        bpy.data.objects.remove(item)
    with in_view():
        bpy.ops.keyportrait.add_portrait(filepath=PICTURE)
        bpy.ops.ed.undo_push(message="Added")
    yield from wait_for(lambda: things("FACE"), "a face")
    photo = pixels(settings().source)
    wide = np.concatenate([np.full((512, 256, 4), 0.5, np.float32), photo], axis=1)
    other = bpy.data.images.new("wide", 768, 512)
    other.pixels.foreach_set(wide.ravel())
    other.pack()
    bpy.ops.ed.undo_push(message="Other")
    yield 1.0
    before = state()
    settings().source = bpy.data.images["wide"]
    at_once = state()
    bpy.ops.ed.undo_push(message="Picture")
    yield from wait_for(lambda: settings().is_fitted, "the faces of the new picture")
    yield 1.0
    fitted = state()
    with in_view():
        bpy.ops.ed.undo()
    yield 2.0
    undone = state()
    with in_view():
        bpy.ops.ed.redo()
    yield from wait_for(lambda: settings().is_fitted, "the faces after redo")
    yield 2.0
    NOTES["another_picture"] = {
        "before": before,
        "at_once": at_once,
        "fitted": fitted,
        "undone": undone,
        "redone": state(),
    }


def paint() -> Steps:
    """A stroke in the Image Editor, which tells no handler and moves no slider."""
    area = pointer.find_area("VIEW_3D")
    area.ui_type = "IMAGE_EDITOR"
    source = settings().source
    area.spaces.active.image = source
    yield 1.0
    values = pixels(source)
    values[:40, :40] = (1.0, 0.0, 0.0, 1.0)
    source.pixels.foreach_set(values.ravel())
    source.update()
    area.tag_redraw()

    def is_red() -> bool:
        return bool(np.allclose(pixels(settings().output)[:40, :40], (1.0, 0.0, 0.0, 1.0)))

    yield from wait_for(is_red, "the painted corner on the plane")
    NOTES["paint"] = {"is_red": is_red()}
    area.ui_type = "VIEW_3D"
    yield 0.5


def grown_on_disk() -> Steps:
    """A picture that has another size after Reload is fitted without any other touch."""
    with in_view():
        bpy.ops.keyportrait.add_portrait(filepath=PICTURE)
    yield 1.0
    values = pixels(bpy.data.images["astronaut.jpg"])[112:]
    source = bpy.data.images.new("cut", 512, 400)
    source.pixels.foreach_set(values.ravel())
    source.filepath_raw, source.file_format = str(FOLDER / "photo.png"), "PNG"
    big = bpy.data.images.new("big", 512, 512)
    big.pixels.foreach_set(pixels(bpy.data.images["astronaut.jpg"]).ravel())
    big.filepath_raw, big.file_format = str(FOLDER / "photo.png"), "PNG"
    big.save()
    for item in list(bpy.data.objects):
        bpy.data.objects.remove(item)
    with in_view():
        bpy.ops.keyportrait.add_portrait(filepath=str(FOLDER / "photo.png"))
    yield from wait_for(lambda: things("FACE"), "a face")
    source.save()
    area = pointer.find_area("VIEW_3D")
    area.ui_type = "IMAGE_EDITOR"
    area.spaces.active.image = settings().source
    yield 1.0
    region = pointer.find_region(area, "WINDOW")
    with bpy.context.temp_override(window=pointer.window(), area=area, region=region):
        bpy.ops.image.reload()
    yield from wait_for(lambda: tuple(settings().size) == (512, 400), "the new size")
    yield from wait_for(lambda: settings().is_fitted, "the faces")
    yield 1.0
    NOTES["grown_on_disk"] = state()


STEPS = (textured_plane, another_picture, paint, grown_on_disk)


def scenario() -> Steps:
    for step in STEPS:
        print(f"drive: {step.__name__}", flush=True)
        yield from step()


perform(scenario(), NOTES, OUT)
