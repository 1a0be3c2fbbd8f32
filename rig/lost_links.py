"""Pointers between a plane and its controllers that Blender's undo has lost, put back.

Blender (seen in 4.2 to 4.5, without any extension) reads an object that a step changes into new
memory and swaps it with the one that is there; what points at the new memory then points at the
object itself. But what a step stores are the addresses of its day. Where the new memory happens to
lie at one of them, all pointers of the object to what once lay there end as None, or at another
object. That happens to what was read from a file, such as pasted objects: those lie where undo
reads to.

What is put back is what the step has stored, so memory and steps agree again; that is why a handler
may do it, see copies.py.
"""

from __future__ import annotations

import logging

import bpy

from . import controllers, portraits

log = logging.getLogger(__name__)

# session_uid of a plane → those of its controllers, in the order of its faces → whether the
# controller was a plain child of the plane.
_seen: dict[int, dict[int, bool]] = {}


def note() -> None:
    """Remember which controllers belong to which planes; a few microseconds each."""
    for plane in portraits.all_planes():
        seen = _seen.setdefault(plane.session_uid, {})
        for controller in portraits.portrait(plane).controllers:
            seen[controller.session_uid] = controllers.stands_on_plane(controller)


def forget() -> None:
    """Another file: its numbers begin anew."""
    _seen.clear()


def mend() -> None:
    """After undo or redo: put back what was lost on the way."""
    for plane in bpy.data.objects:
        seen = _seen.get(plane.session_uid)
        if seen and plane.is_editable and plane.keyportrait.kind == "PORTRAIT":
            _mend_controllers(plane, seen)
            _mend_plane(plane, seen)


def _mend_controllers(plane: bpy.types.Object, seen: dict[int, bool]) -> None:
    """What controllers point at their plane with."""
    for link in plane.keyportrait.portrait.faces:
        controller = link.controller
        if controller is None or controller.session_uid not in seen or not controller.is_editable:
            continue
        if not _has_lost(controller, plane):
            continue
        log.info("Undo lost the plane of '%s'; it is put back.", controller.name)
        controller.keyportrait.face.portrait = plane
        if controller.parent is None and seen[controller.session_uid]:
            inverse = controller.matrix_parent_inverse.copy()
            controller.parent = plane
            controller.matrix_parent_inverse = inverse


def _has_lost(controller: bpy.types.Object, plane: bpy.types.Object) -> bool:
    """Whether a controller points at no plane, or at one that it was never seen on."""
    other = controller.keyportrait.face.portrait
    if controller.keyportrait.kind != "FACE" or other == plane:
        return False
    return other is None or controller.session_uid not in _seen.get(other.session_uid, {})


def _mend_plane(plane: bpy.types.Object, seen: dict[int, bool]) -> None:
    """What a plane points at its controllers with; those that were deleted stay away."""
    links = plane.keyportrait.portrait.faces
    empty = [
        link for link in links if link.controller is None or link.controller.session_uid not in seen
    ]
    if not empty:
        return
    listed = {link.controller for link in links}
    own = {o.session_uid: o for o in bpy.data.objects if portraits.is_controller_of(o, plane)}
    lost = [own[uid] for uid in seen if uid in own and own[uid] not in listed]
    for link, controller in zip(empty, lost, strict=False):
        log.info("Undo lost '%s' of '%s'; it is put back.", controller.name, plane.name)
        link.controller = controller
    if lost:
        controllers.link_evaluation(plane)
