"""What the engine is asked to open: a portrait's picture, its faces and who moves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import clips, face_tracks, refit
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


def clip_fields(item: Portrait) -> dict[str, Any]:
    """What `open` says of a moving source instead of pixels. Raises AddonError."""
    clip = clips.clip_of(item.settings.source)
    return {
        "clip": clip.wire_fields,
        "frame": item.settings.clip.found_frame,
        "track": str(face_tracks.track_path(item, clip)),
    }


def track_fields(item: Portrait) -> dict[str, Any]:
    """Header fields of the engine's `track` request. Raises AddonError."""
    clip = clips.clip_of(item.settings.source)
    return {
        "clip": clip.wire_fields,
        "frame": item.settings.clip.found_frame,
        "faces": [face_of(controller).to_json() for controller in item.controllers],
        "path": str(face_tracks.track_path(item, clip)),
    }


def open_request(item: Portrait) -> tuple[dict[str, Any], dict[str, Array]]:
    """Fields and arrays of the engine's `open` request for a portrait.

    Raises AddonError when its picture or a face is gone or unreadable.
    """
    check_whole(item)
    if clips.is_moving(item.settings):
        return {**open_fields(item), **clip_fields(item)}, {}
    picture = refit.whole_picture(item)
    return {**open_fields(item), **picture.wire_fields}, {"image": picture.to_wire()}
