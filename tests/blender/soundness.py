"""What hangs together in a file: every pointer of every portrait, to compare before and after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy
import numpy as np

COLLECTIONS = {
    "ARMATURE": "armatures",
    "OBJECT": "objects",
    "MESH": "meshes",
    "MATERIAL": "materials",
    "IMAGE": "images",
    "NODETREE": "node_groups",
    "COLLECTION": "collections",
    "ACTION": "actions",
    "SCENE": "scenes",
}


def wiring() -> dict[str, Any]:
    """Where every portrait's pointers lead: "owner: pointer" → name and session_uid."""
    found: dict[str, Any] = {}
    for item in bpy.data.objects:
        kind = item.keyportrait.kind
        if kind == "NONE":
            continue
        for label, target in pointers(item):
            assert_is_in_file(f"{item.name}: {label}", target)
        if not item.users_collection:
            continue
        for label, target in pointers(item):
            found[f"{item.name}: {label}"] = target and (target.name, target.session_uid)
        found[f"{item.name}: drivers"] = sorted(driver_targets(item))
        if kind == "PORTRAIT":
            found[f"{item.name}: uid"] = item.keyportrait.portrait.uid
            found[f"{item.name}: is_baked"] = item.keyportrait.portrait.use_baked
    return found


def pointers(item: bpy.types.Object) -> Iterator[tuple[str, bpy.types.ID | None]]:
    """Every pointer of a plane or face controller to another data-block."""
    settings = item.keyportrait
    yield "itself", item
    yield "parent", item.parent
    yield "data", item.data
    yield "face", settings.face.portrait
    yield "gaze", settings.face.gaze_target
    yield "source", settings.portrait.source
    yield "output", settings.portrait.output
    yield "bake", item.keyportrait_baked.image
    for index, link in enumerate(settings.portrait.faces):
        yield f"controller {index}", link.controller
    for index, slot in enumerate(item.material_slots):
        yield f"material {index}", slot.material
        if slot.material is not None:
            yield from _images(f"material {index}", slot.material.node_tree)


def driver_targets(item: bpy.types.Object) -> set[str]:
    """Names of what an object's drivers depend on."""
    targets = [
        variable.targets[0].id
        for curve in (item.animation_data.drivers if item.animation_data else ())
        for variable in curve.driver.variables
    ]
    for target in targets:
        assert_is_in_file(f"{item.name}: driver", target)
    return {target.name for target in targets if target is not None}


def _images(label: str, tree: bpy.types.NodeTree | None) -> Iterator[tuple[str, Any]]:
    for node in tree.nodes if tree is not None else ():
        if node.type == "TEX_IMAGE":
            yield f"{label} {node.name}", node.image
        elif node.type == "GROUP":
            yield f"{label} {node.name}", node.node_tree
            yield from _images(f"{label} {node.name}", node.node_tree)


def assert_is_in_file(label: str, target: bpy.types.ID | None) -> None:
    """A pointer leads to a data-block that exists: one to freed memory does not."""
    if target is None:
        return
    known = getattr(bpy.data, COLLECTIONS[target.id_type])
    assert any(item.as_pointer() == target.as_pointer() for item in known), (
        f"{label} points at a data-block that is not in the file"
    )


def portraits() -> list[bpy.types.Object]:
    """The planes that are in the scene."""
    items = bpy.data.objects
    return [o for o in items if o.keyportrait.kind == "PORTRAIT" and o.users_collection]


def shown_images(plane: bpy.types.Object) -> list[bpy.types.Image | None]:
    """What the texture nodes of a plane show."""
    return [target for label, target in pointers(plane) if "Image Texture" in label]


def is_picture(plane: bpy.types.Object) -> bool:
    """Whether a plane shows pictures, no black and no lost one."""
    for image in shown_images(plane):
        if image is None:
            return False
        if image.source in {"SEQUENCE", "MOVIE"}:
            continue
        if not image.size[0]:
            return False
        pixels = np.empty(image.size[0] * image.size[1] * image.channels, np.float32)
        image.pixels.foreach_get(pixels)
        if pixels.reshape(-1, image.channels)[:, :3].max() < 0.1:
            return False
    return True
