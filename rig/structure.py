"""Keeps portraits whole when objects are copied, deleted or appended, and when files are saved."""

from __future__ import annotations

import logging

import bpy

from . import controllers, live, portraits
from .errors import AddonError
from .images import new_image, read_picture
from .portraits import Portrait

log = logging.getLogger(__name__)


def repair() -> None:
    """Find the portraits again and give copies their own identity, image and material."""
    portraits.forget()
    seen: set[str] = set()
    for item in sorted(portraits.all_portraits(), key=_age):
        if item.plane.library is not None:
            continue
        if item.settings.uid in seen:
            separate_copy(item)
        seen.add(item.settings.uid)
    live.forget_gone()


def _age(item: Portrait) -> int:
    return item.plane.session_uid


def separate_copy(item: Portrait) -> None:
    """Turn a duplicated plane into a portrait of its own. The picture stays shared."""
    settings = item.settings
    settings.uid = portraits.new_uid()
    shared = settings.output
    for index in reversed(range(len(settings.faces))):
        controller = settings.faces[index].controller
        if controller is None or not portraits.is_controller_of(controller, item.plane):
            settings.faces.remove(index)
    portraits.forget()
    if item.plane.is_editable:
        controllers.link_evaluation(item.plane)
    if shared is None or settings.source is None:
        return
    try:
        picture = read_picture(settings.source)
    except AddonError as error:
        log.warning("%s", error)
        return
    settings.output = new_image(shared.name, picture, settings.source)
    replace_image(item.plane, shared, settings.output)


def replace_image(plane: bpy.types.Object, old: bpy.types.Image, new: bpy.types.Image) -> None:
    """Let a plane's materials show another image; a material used elsewhere is copied first."""
    for slot in plane.material_slots:
        material = slot.material
        if material is None or not any(shows(material, old)):
            continue
        if material.users > 1 or not material.is_editable:
            if plane.data.users > 1:
                plane.data = plane.data.copy()
            slot.material = material = material.copy()
        for node in shows(material, old):
            node.image = new


def shows(material: bpy.types.Material, image: bpy.types.Image) -> list[bpy.types.Node]:
    """The material's own nodes that show an image."""
    nodes = material.node_tree.nodes if material.node_tree is not None else ()
    return [node for node in nodes if getattr(node, "image", None) == image]


def restore_output(item: Portrait) -> None:
    """Make the live image of a portrait again when it was removed, and show it on the plane.

    Raises AddonError when the picture is gone too.
    """
    settings = item.settings
    if settings.output is not None or settings.source is None:
        return
    picture = read_picture(settings.source)
    settings.output = new_image(f"{item.plane.name} Live", picture, settings.source)
    for slot in item.plane.material_slots:
        if slot.material is None or slot.material.node_tree is None:
            continue
        for node in slot.material.node_tree.nodes:
            if node.type == "TEX_IMAGE" and node.image is None:
                node.image = settings.output


def pack_outputs() -> None:
    """Keep the live images in the .blend, so that it opens with them without the extension."""
    for item in portraits.all_portraits():
        output = item.settings.output
        if output is not None and output.is_editable and output.has_data and output.is_dirty:
            try:
                output.pack()
            except RuntimeError as error:
                log.warning("'%s' could not be packed: %s", output.name, error)
