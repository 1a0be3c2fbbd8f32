"""Faces of a clip that are found later, in another frame than those that a portrait has already.

Each face remembers the frame that it was found in (`Face.frame`), from which it is followed both
ways; those without one belong to the portrait's own (`clip.found_frame`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import bpy

from ..engine.controls import Face
from . import clips, face_tracks
from .controllers import face_of
from .creation import is_same_face
from .errors import PortraitError
from .portraits import Portrait


@dataclass(frozen=True)
class Look:
    """What is known of a portrait when more faces are looked for in a frame of its clip.

    place        of that frame
    found_frame  that the portrait's faces were found in, but for those that name another one
    stored       its faces, as they were found
    shown        those of them that are seen in this frame, as they are there
    """

    place: clips.Place
    found_frame: int
    stored: tuple[Face, ...]
    shown: tuple[Face, ...]

    def fresh(self, found: Sequence[Face]) -> list[Face]:
        """Those of the faces found in this frame that nobody has yet, left to right."""
        fresh = [face for face in found if not any(is_same_face(face, k) for k in self.shown)]
        return [self.noted(face) for face in sorted(fresh, key=lambda face: face.box[0])]

    def noted(self, face: Face) -> Face:
        """A face of this frame that remembers it."""
        frame = self.place.frame
        return replace(face, frame=None if frame == self.found_frame else frame)


def look_of(item: Portrait) -> Look | None:
    """What more faces of a portrait's clip are looked for with, where it stands now; None: a still.

    A portrait without faces begins anew: the frame that is shown becomes its own.
    Raises AddonError where the clip is gone, or its faces are not followed yet.
    """
    place = clips.found_place(item)
    if place is None or not item.controllers:
        return None if place is None else Look(place, place.frame, (), ())
    frame = clips.source_frame(item, bpy.context.evaluated_depsgraph_get())
    track = face_tracks.track_of(item)
    if track is None:
        raise PortraitError(
            f"The faces of '{item.settings.source.name}' are not followed yet.",
            "Wait until they are, with Live on, then try again.",
        )
    frame = track.clamped(frame or 0)
    stored = tuple(face_of(controller) for controller in item.controllers)
    shown = tuple(
        track.face_at(index, frame, face)
        for index, face in enumerate(stored)
        if track.is_seen[index, frame]
    )
    return Look(replace(place, frame=frame, number=frame), place.frame, stored, shown)
