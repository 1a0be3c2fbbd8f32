"""Copies of portraits: noticed by handlers, separated in a step of their own that can be undone.

Blender's undo keeps a data-block that two steps have in common as it is in memory. A handler runs
after the step was stored; what it links to a new image would point at freed memory as soon as undo
takes the image away. So handlers change nothing. They see that a copied plane has the identity of
its original, whose picture it shows, and ask for an operator, which is a step like any other.

A duplicate (Shift-D, paste, a full copy of a scene, Make Single User) becomes a portrait of its
own. A linked duplicate (Alt-D) shares mesh and material by the artist's wish: it stays an instance.
"""

from __future__ import annotations

import logging

import bpy

from . import controllers, live, portraits
from .errors import AddonError
from .images import new_image, read_picture
from .portraits import Copy

log = logging.getLogger(__name__)

# Pointers of a portrait's settings to the images that belong to it alone.
OWN_IMAGES = ("output",)
FIRST_TICK_S = 0.05
WAIT_S = 0.2
# Modes whose undo steps keep the whole file; others keep strokes or one mesh.
WHOLE_FILE_MODES = {"OBJECT", "POSE"}

_left_alone: set[int] = set()
_last_operator = 0


# --- noticing -------------------------------------------------------------------------------------


def is_instance(copy: Copy) -> bool:
    """Whether a copy shares its original's mesh, and is to go on showing its picture."""
    return copy.plane.data == copy.original.data and copy.plane.override_library is None


def pending() -> list[bpy.types.Object]:
    """The copies that are to become portraits of their own."""
    found = [copy for copy in portraits.copies() if copy.plane.library is None]
    return [copy.plane for copy in found if not is_instance(copy)]


def notice() -> None:
    """Have new copies separated: in the background at once, else as soon as nothing is under way.

    Copies that undo or redo has brought back are left alone until the artist goes on working:
    another step would cut off what can be redone. The update of an operator comes before Blender
    lists it as done, so a timer looks again.
    """
    if not pending():
        return
    if not bpy.app.background:
        notice_later()
    elif _is_due():
        _separate()


def notice_later() -> None:
    """Look for copies from a timer, in the interface."""
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=FIRST_TICK_S)


def leave_alone() -> None:
    """After undo, redo: the copies that are there now wait for the next operator."""
    global _left_alone, _last_operator
    _left_alone = {plane.session_uid for plane in pending()}
    _last_operator = _newest_operator()


def _is_due() -> bool:
    found = pending()
    if _newest_operator() != _last_operator:
        _left_alone.clear()
    return any(plane.session_uid not in _left_alone for plane in found)


def _newest_operator() -> int:
    done = bpy.context.window_manager.operators
    return done[-1].as_pointer() if len(done) else 0


def _tick() -> float | None:
    if not _is_due():
        return None
    if is_busy():
        return WAIT_S
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        _separate()
    return None


def is_busy() -> bool:
    """Whether an undo step would disturb: a drag, a mode with its own undo, a render."""
    for window in bpy.context.window_manager.windows:
        if any("UNDO" in item.bl_options for item in window.modal_operators):
            return True
        active = window.view_layer.objects.active
        if active is not None and active.mode not in WHOLE_FILE_MODES:
            return True
    return bpy.app.is_job_running("RENDER")


def _separate() -> None:
    # True: with an undo step. Operators that scripts call make none by themselves.
    bpy.ops.keyportrait.separate_copies("EXEC_DEFAULT", True)


# --- separating: only in an undo step, or before the first one ------------------------------------


def separate_all() -> int:
    """Make every pending copy a portrait of its own; how many there were.

    Copies that share a mesh with each other are one portrait and its instances again.
    """
    groups: dict[tuple[str, int], list[bpy.types.Object]] = {}
    for plane in pending():
        is_override = plane.override_library is not None
        mesh = -plane.session_uid if is_override else plane.data.session_uid
        groups.setdefault((portraits.identity_of(plane), mesh), []).append(plane)
    for group in groups.values():
        separate(group)
    return sum(len(group) for group in groups.values())


def separate(planes: list[bpy.types.Object]) -> None:
    """Make copies a portrait of its own, the first of them, and instances of that."""
    live.restore_modes()
    uid = portraits.new_uid()
    for plane in planes:
        settings = plane.keyportrait.portrait
        settings.uid = uid
        settings.is_instance = plane != planes[0]
        for index in reversed(range(len(settings.faces))):
            controller = settings.faces[index].controller
            if controller is None or not portraits.is_controller_of(controller, plane):
                settings.faces.remove(index)
    portraits.forget()
    for plane in planes:
        if plane.is_editable:
            controllers.link_evaluation(plane)
    images = _own_images(planes)
    _own_materials(planes, images)
    live.forget_gone()


def _own_images(planes: list[bpy.types.Object]) -> dict[bpy.types.Image, bpy.types.Image]:
    """Give copies images of their own that look the same now; shared image → own image."""
    images: dict[bpy.types.Image, bpy.types.Image] = {}
    for name in OWN_IMAGES:
        shared = getattr(planes[0].keyportrait.portrait, name)
        if shared is not None and (not shared.is_editable or _is_used_by_others(planes, shared)):
            images[shared] = _same_image(shared, planes[0].keyportrait.portrait.source)
    for plane in planes:
        for name in OWN_IMAGES:
            shared = getattr(plane.keyportrait.portrait, name)
            setattr(plane.keyportrait.portrait, name, images.get(shared, shared))
    return images


def _is_used_by_others(planes: list[bpy.types.Object], image: bpy.types.Image) -> bool:
    others = (o for o in bpy.data.objects if o.keyportrait.kind == "PORTRAIT" and o not in planes)
    return any(
        getattr(other.keyportrait.portrait, name) == image
        for other in others
        for name in OWN_IMAGES
    )


def _same_image(image: bpy.types.Image, source: bpy.types.Image | None) -> bpy.types.Image:
    for template in (image, source):
        if template is None:
            continue
        try:
            return new_image(image.name, read_picture(template), template)
        except AddonError as error:
            log.warning("%s", error)
    return image.copy()


def _own_materials(
    planes: list[bpy.types.Object], images: dict[bpy.types.Image, bpy.types.Image]
) -> None:
    """Let copies show their own images, by materials and a mesh that nobody else uses."""
    plane = planes[0]
    bake = plane.keyportrait_baked.image
    # A shared bake is shown by a material of its own too: another image will be put there.
    shown = {*images, bake} - {None}
    slots = [s for s in plane.material_slots if s.material and shows(s.material.node_tree, shown)]
    if not slots:
        return
    is_mesh_shared = any(o.data == plane.data and o not in planes for o in bpy.data.objects)
    if is_mesh_shared or not plane.data.is_editable:
        mesh = plane.data.copy()
        for item in planes:
            item.data = mesh
    copied: dict[bpy.types.Material, bpy.types.Material] = {}
    for slot in slots:
        material = slot.material
        if material not in copied:
            is_own = material.users == 1 and material.is_editable
            copied[material] = material if is_own else material.copy()
            _show_in(copied[material].node_tree, images, shown)
        slot.material = copied[material]


def shows(tree: bpy.types.NodeTree | None, images: set[bpy.types.Image]) -> bool:
    """Whether a node tree, or a group in it, has a texture of one of the images."""
    for node in tree.nodes if tree is not None else ():
        if node.type == "GROUP" and shows(node.node_tree, images):
            return True
        if node.type == "TEX_IMAGE" and node.image in images:
            return True
    return False


def _show_in(
    tree: bpy.types.NodeTree,
    images: dict[bpy.types.Image, bpy.types.Image],
    shown: set[bpy.types.Image],
) -> None:
    for node in tree.nodes:
        if node.type == "GROUP" and shows(node.node_tree, shown):
            if node.node_tree.users > 1 or not node.node_tree.is_editable:
                node.node_tree = node.node_tree.copy()
            _show_in(node.node_tree, images, shown)
        elif node.type == "TEX_IMAGE" and node.image in images:
            node.image = images[node.image]


# --- saving ---------------------------------------------------------------------------------------


def mark_instances() -> None:
    """Note on every plane whether it is an instance: the file must tell it from its original."""
    copies = {copy.plane for copy in portraits.copies()}
    for plane in copies | {item.plane for item in portraits.all_portraits()}:
        settings = plane.keyportrait.portrait
        if plane.library is None and settings.is_instance != (plane in copies):
            settings.is_instance = plane in copies


def unregister() -> None:
    """End the timer, if any."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
