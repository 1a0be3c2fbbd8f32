"""What the engine is asked to open: a portrait's picture, its faces and who moves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import refit
from .controllers import face_of
from .portraits import Portrait, check_whole

if TYPE_CHECKING:
    from ..engine.protocol import Array


def faces_key(item: Portrait) -> tuple[Any, ...]:
    """What an opened picture depends on besides its pixels: the renderer and the faces."""
    faces = tuple(controller.keyportrait.face.data for controller in item.controllers)
    return item.settings.renderer, faces


def open_fields(item: Portrait) -> dict[str, Any]:
    """Header fields of the engine's `open` request, without the picture's encoding."""
    return {
        "renderer": item.settings.renderer,
        "faces": [face_of(controller).to_json() for controller in item.controllers],
        "options": {},
        "name": item.settings.source.name,
    }


def open_request(item: Portrait) -> tuple[dict[str, Any], dict[str, Array]]:
    """Fields and arrays of the engine's `open` request for a portrait.

    Raises AddonError when its picture or a face is gone or unreadable.
    """
    check_whole(item)
    picture = refit.whole_picture(item)
    return {**open_fields(item), **picture.wire_fields}, {"image": picture.to_wire()}
