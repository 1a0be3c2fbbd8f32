"""The order in which faces were selected; Blender itself only knows which one came last."""

from __future__ import annotations

from collections.abc import Iterable

import bpy
from bpy.app.handlers import persistent

# Session uids of objects in the order in which they were last made active.
_order: list[int] = []
_owner = object()


def sorted_by_selection(items: Iterable[bpy.types.Object]) -> list[bpy.types.Object]:
    """Objects in the order of their selection; those selected together by their names, first."""
    places = {uid: place for place, uid in enumerate(_order)}
    return sorted(items, key=lambda item: (places.get(item.session_uid, -1), item.name))


def note_active() -> None:
    """Another object has become the active one."""
    item = bpy.context.view_layer.objects.active
    if item is None or item.keyportrait.kind != "FACE":
        return
    if item.session_uid in _order:
        _order.remove(item.session_uid)
    _order.append(item.session_uid)


def _subscribe() -> None:
    bpy.msgbus.subscribe_rna(
        key=(bpy.types.LayerObjects, "active"), owner=_owner, args=(), notify=note_active
    )


@persistent
def _on_load(*_args: object) -> None:
    _order.clear()
    _subscribe()  # another file forgets subscriptions


def register() -> None:
    _subscribe()
    bpy.app.handlers.load_post.append(_on_load)


def unregister() -> None:
    bpy.app.handlers.load_post.remove(_on_load)
    bpy.msgbus.clear_by_owner(_owner)
    _order.clear()
