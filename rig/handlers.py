"""Blender tells us that something changed: properties, frames, files, undo, renders.

Handlers never raise and never report; problems are kept for the panels and the log. They write
pixels and where controllers stand, but make, remove and link no data-block: that would happen
outside Blender's undo steps. After undo they put back what it has lost, see lost_links.py.
"""

from __future__ import annotations

import threading

import bpy
from bpy.app.handlers import persistent

from . import (
    bake_state,
    baked,
    clip_timing,
    content,
    controllers,
    copies,
    highlight,
    images,
    keying,
    live,
    lost_links,
    portraits,
    refit,
    render_guard,
    rest,
    riding,
    structure,
)

# Updates of these types may mean that objects came, went or were copied.
STRUCTURE_TYPES = ("COLLECTION", "SCENE")
# Updates of these may be motions.
MOTION_TYPES = ("OBJECT", "ACTION")
# Updates of these may move the spot of a mesh that shows a face.
SPOT_TYPES = ("MESH", "NODETREE", "MATERIAL")

_is_rendering = False
_is_inside = False


@persistent
def _on_depsgraph_update(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    global _is_inside
    changed = content.note_updates(depsgraph)
    if _is_rendering or _is_inside:
        return
    # Following may tag objects itself, which in the background calls this handler again.
    _is_inside = True
    try:
        if any(depsgraph.id_type_updated(kind) for kind in STRUCTURE_TYPES):
            portraits.forget()
            live.forget_gone()
            _renew_old_bakes()
        portraits.look_for_others()
        copies.notice()
        if depsgraph.id_type_updated("ACTION"):
            keying.group_portraits()
            riding.retime_keyed()
        is_settled = _settle(depsgraph)
        is_moved = any(depsgraph.id_type_updated(kind) for kind in MOTION_TYPES)
        if is_moved:
            lost_links.note()
        if is_settled or is_moved or live.shows_any(changed):
            live.follow(scene, depsgraph)
    finally:
        _is_inside = False


def _settle(depsgraph: bpy.types.Depsgraph) -> bool:
    """Let faces follow their meshes. Whether controllers were moved.

    Blender evaluates them again after this handler; evaluating inside it may crash.
    """
    if any(depsgraph.id_type_updated(kind) for kind in SPOT_TYPES):
        is_changed = rest.settle(is_mesh_changed=depsgraph.id_type_updated("MESH"))
    else:
        is_changed = depsgraph.id_type_updated("OBJECT") and rest.settle_handles()
    if is_changed and not bpy.app.background:
        live.refresh_later()
    return is_changed


@persistent
def _on_frame_change(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    if depsgraph.mode == "RENDER":
        render_guard.prepare_frame(scene, depsgraph)
    elif render_guard.is_viewport_render():
        render_guard.prepare_viewport_frame(scene, depsgraph)
    elif not _is_rendering:
        if depsgraph.id_type_updated("ACTION"):
            riding.retime_keyed()
        live.follow(scene, depsgraph)


def _renew_old_bakes() -> None:
    """Bakes of 0.1.0 may come with a file, or be appended."""
    for plane in portraits.all_planes():
        baked.hold_ends(plane)


@persistent
def _on_load(*_args: object) -> None:
    portraits.rebind_overrides()
    portraits.forget()
    lost_links.forget()
    highlight.forget()
    live.forget_all()
    clip_timing.forget()
    # Blender's first undo step is stored after this.
    copies.separate_all()
    bake_state.forget()
    _renew_old_bakes()
    structure.straighten_outputs()
    bake_state.fall_back()
    refit.ask()
    rest.forget()
    rest.settle()
    controllers.complete_all()
    live.refresh_later()


@persistent
def _on_undo(*_args: object) -> None:
    lost_links.mend()
    portraits.forget()
    bake_state.forget()
    content.note_changed()
    copies.leave_alone()
    rest.forget()
    rest.settle()
    live.push_all()
    refit.ask_again()
    live.refresh_later()


@persistent
def _on_save(*_args: object) -> None:
    copies.mark_instances()
    live.restore_modes()
    live.complete_all()
    structure.pack_outputs()


@persistent
def _on_render_start(scene: bpy.types.Scene, *_args: object) -> None:
    global _is_rendering
    _is_rendering = True
    portraits.forget()
    render_guard.begin(scene)


@persistent
def _on_render_frame(scene: bpy.types.Scene, *_args: object) -> None:
    render_guard.prepare_composite(scene)


@persistent
def _on_render_end(scene: bpy.types.Scene, *_args: object) -> None:
    global _is_rendering
    _is_rendering = False
    render_guard.end(scene)
    # In the interface this may be the render thread; Blender goes back to the viewport's frame
    # next, which refreshes in the main thread.
    if threading.current_thread() is threading.main_thread():
        live.refresh_later()


HANDLERS = (
    (bpy.app.handlers.depsgraph_update_post, _on_depsgraph_update),
    (bpy.app.handlers.frame_change_post, _on_frame_change),
    (bpy.app.handlers.load_post, _on_load),
    (bpy.app.handlers.undo_post, _on_undo),
    (bpy.app.handlers.redo_post, _on_undo),
    (bpy.app.handlers.save_pre, _on_save),
    (bpy.app.handlers.render_init, _on_render_start),
    (bpy.app.handlers.render_pre, _on_render_frame),
    (bpy.app.handlers.render_complete, _on_render_end),
    (bpy.app.handlers.render_cancel, _on_render_end),
)


def register() -> None:
    for handlers, handler in HANDLERS:
        handlers.append(handler)
    # bpy.data is closed while an extension is enabled; a timer may look at it.
    if not bpy.app.background:
        live.refresh_later()
        copies.notice_later()


def unregister() -> None:
    for handlers, handler in reversed(HANDLERS):
        handlers.remove(handler)
    copies.unregister()
    refit.unregister()
    render_guard.unregister()
    live.restore_modes()
    live.forget_all()
    images.unregister()
    portraits.forget()
