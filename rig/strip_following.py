"""Strips that were moved or trimmed since they have a portrait: its pictures and keys go along.

What a strip was when it was looked at last is noted on it, by custom properties.
"""

from __future__ import annotations

from typing import Any

import bpy

from .. import compat
from . import portraits, strip_links, strip_reading
from .errors import PortraitError

# [content's start, left handle, right handle] when the portrait last followed.
SEEN = "keyportrait_seen"
# Start of the content for which the keys lie right, and for which the pictures were rendered.
KEYS_AT = "keyportrait_keys_at"
RENDERED_AT = "keyportrait_rendered_at"


def note(strip: Any, *, is_rendered: bool) -> None:
    """A portrait was made of a strip as it is now."""
    start = compat.strip_place(strip).content_start
    strip[KEYS_AT] = start
    if is_rendered:
        strip[RENDERED_AT] = start
    strip[SEEN] = _place_of(strip)


def is_rendered(strip: Any) -> bool:
    """Whether a strip's portrait has pictures that Blender has rendered of it."""
    return strip.get(RENDERED_AT) is not None


def is_behind(strip: Any) -> bool:
    """Whether a strip was moved or trimmed since its portrait followed. Cheap, for panels."""
    seen = strip.get(SEEN)
    return seen is not None and (list(seen) != _place_of(strip) or key_shift(strip) != 0)


def key_shift(strip: Any) -> int:
    """Frames by which the keys of a strip's faces lie too early."""
    start = compat.strip_place(strip).content_start
    return round(start - strip.get(KEYS_AT, start))


def follow(strip: Any) -> str:
    """Let a strip's portrait show the strip's own frame again; what is in the way, or ""."""
    plane = strip_links.plane_of_strip(strip)
    if plane is None:
        return ""
    clip = plane.keyportrait.portrait.clip
    reason = strip_reading.why_unreadable(strip)
    rendered_at = strip.get(RENDERED_AT)
    if rendered_at is None and reason:
        return f"The strip '{strip.name}' {reason} since it was animated; its portrait does not"
    if clip.is_used and rendered_at is not None:
        # Rendered pictures are numbered by the frames of the scene that they were rendered for.
        shift = round(compat.strip_place(strip).content_start - rendered_at)
        clip.frame_start = clip.frame_offset + 1 + shift
    elif clip.is_used:
        pictures = strip_reading.read(strip, use_trimmed=True)
        for name in ("frame_start", "frame_duration", "frame_offset"):
            if getattr(clip, name) != getattr(pictures, name):
                setattr(clip, name, getattr(pictures, name))
    strip[SEEN] = _place_of(strip)
    return ""


def move_keys(strip: Any) -> int:
    """Move the keys of a strip's faces as far as the strip was moved. Returns how far, frames.

    Raises PortraitError where they also belong to others.
    """
    shift, plane = key_shift(strip), strip_links.plane_of_strip(strip)
    faces = portraits.portrait(plane).controllers if plane is not None else ()
    if shift:
        for face in faces:
            _check_own(face)
        for face in faces:
            _move(face, shift)
    strip[KEYS_AT] = compat.strip_place(strip).content_start
    return shift


def _place_of(strip: Any) -> list[float]:
    place = compat.strip_place(strip)
    return [place.content_start, place.left, place.right]


def _check_own(face: bpy.types.Object) -> None:
    action = face.animation_data.action if face.animation_data is not None else None
    if action is not None and action.users - action.use_fake_user > 1:
        users = [o for o in bpy.data.objects if o != face and action in compat.used_actions(o)]
        if users:
            raise PortraitError(
                f"The keys of '{face.name}' are also those of '{users[0].name}'.",
                "Make its action single-user, then follow the strip again.",
            )


def _move(face: bpy.types.Object, shift: int) -> None:
    for holder in compat.curve_holders(face):
        for curve in holder.fcurves:
            for point in curve.keyframe_points:
                point.co_ui[0] += shift
            curve.update()
    for nla_strip in compat.nla_strips(face):
        nla_strip.frame_start_ui += shift
    record = face.keyportrait_capture
    for name in ("start_frame", "first_frame", "last_frame"):
        setattr(record, name, getattr(record, name) + shift)
    face.update_tag()
