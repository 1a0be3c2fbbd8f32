"""Finding faces in one frame of a clip, then following them through all of it."""

from __future__ import annotations

from typing import Any

import bpy

from ..engine.controls import Face
from ..host.client import Engine, Ticket
from ..rig import clips, face_tracks, stills
from ..rig.clips import Place
from ..rig.controllers import face_to_text
from ..rig.creation import Finding
from ..rig.later_faces import Look
from ..rig.stills import FrameRange
from ._detect import FindsFaces, RequestRun, Source, started_engine, submit_in_clip

# How the progress bar is divided.
FIND_PART = 0.05


class FollowRun(RequestRun):
    """Requests to find faces in a frame of a clip, and to follow them; see RequestRun.

    fields     what `detect` says beside the clip
    max_faces  only this many of the largest; 0 for all
    """

    def __init__(
        self,
        client: Engine,
        place: Place,
        fields: dict[str, Any],
        text: str,
        max_faces: int,
    ) -> None:
        super().__init__(client, submit_in_clip(client, place, fields), text)
        self._place = place
        self._max_faces = max_faces
        self._finding: Finding | None = None
        self._tracking: Ticket | None = None

    @property
    def _current(self) -> Ticket:
        return self._tracking or self.ticket

    @property
    def text(self) -> str:
        """What the engine says, else what was asked."""
        return self._current.progress.text or self._text

    @property
    def fraction(self) -> float:
        """How far both are, 0..1."""
        done = self._current.progress.fraction
        if self._tracking is None:
            return FIND_PART * done
        return FIND_PART + (1.0 - FIND_PART) * done

    @property
    def is_done(self) -> bool:
        """Whether the faces are followed, or there is nothing to follow."""
        return self._current.is_done and (self._tracking is not None or not self._has_faces)

    @property
    def _has_faces(self) -> bool:
        return self.ticket.error is None and bool(self._followed[1])

    @property
    def _found(self) -> Finding:
        if self._finding is None:
            finding = Finding.read(self.ticket.result().fields["faces"], self._max_faces)
            # As controllers are ordered, see creation.add_faces.
            finding.faces.sort(key=lambda face: face.box[0])
            self._finding = finding
        return self._finding

    @property
    def _followed(self) -> tuple[int, list[Face]]:
        """The frame that faces were found in, and those that are to be followed."""
        return self._place.frame, self._found.faces

    def step(self) -> None:
        """Begin to follow the faces as soon as they are found."""
        if self.ticket.is_done and self._tracking is None and self._has_faces:
            clip = self._place.clip
            frame, faces = self._followed
            path = face_tracks.path_of(clip, frame, [face_to_text(face) for face in faces])
            fields = {
                "clip": clip.wire_fields,
                "frame": frame,
                "faces": [face.to_json() for face in faces],
                "path": str(path),
            }
            face_tracks.trim()
            self._text = f"Following {len(faces)} face{'s' if len(faces) != 1 else ''}"
            self._tracking = self._client.submit("track", fields, use_drain=False)

    def run(self) -> None:
        """Wait for both answers."""
        self._wait(self.ticket)
        self.step()
        if self._tracking is not None:
            self._wait(self._tracking)

    def cancel(self) -> None:
        """Tell the engine to drop the work."""
        if not self.is_done:
            self.is_cancelled = True
            self._client.cancel(self._current)

    def detected(self, limit: int) -> Finding:
        """The faces, followed. Raises EngineError."""
        finding = self._found
        if self._tracking is not None:
            fields = self._tracking.result().fields
            finding.notes = told(fields, len(self._followed[1]))
        return finding


class FollowMoreRun(FollowRun):
    """Looks for more faces of a portrait in the frame of its clip that is shown, see FollowRun.

    look  what is known of it; all its faces are followed where there are new ones
    """

    def __init__(self, client: Engine, look: Look, fields: dict[str, Any], text: str) -> None:
        super().__init__(client, look.place, fields, text, 0)
        self._look = look

    @property
    def _followed(self) -> tuple[int, list[Face]]:
        fresh = self._look.fresh(self._found.faces)
        return self._look.found_frame, [*self._look.stored, *fresh] if fresh else []


class FollowsFaces(FindsFaces):
    """Mixin: movies and sequences of `sources` are followed, unless a still is wanted."""

    use_still: bpy.props.BoolProperty(
        name="Still",
        description="Of a movie or image sequence use only the frame that is shown now",
    )

    _places: dict[str, Place]

    def follow(
        self, open_source: Source, user: FrameRange | None, scene: bpy.types.Scene
    ) -> Source:
        """A source that notes where in a clip its faces are looked for.

        user  of the texture that shows the image; None: of any that does
        """
        self._places = getattr(self, "_places", {})

        def opened() -> tuple[bpy.types.Image, bool]:
            image, is_new = open_source()
            place = clips.place_of(image, user or stills.user_of(image), scene.frame_current)
            if place is not None:
                self._places[image.name] = place
            elif image.source in stills.MOVING:  # a sequence of one picture
                return stills.open_image(image, user, scene)
            return image, is_new

        return opened

    def place(self, image: bpy.types.Image) -> Place | None:
        return self._places.get(image.name)

    def ask_in_clip(self, place: Place, fields: dict[str, Any], text: str) -> RequestRun:
        client = started_engine(is_blocking=self.is_blocking)
        return FollowRun(client, place, fields, text, self.max_faces)


def told(tracked: dict[str, Any], face_count: int) -> list[str]:
    """What an artist wants to know of a track: cuts, losses, what could not be read."""
    notes = [f"{tracked['frame_count']} frames"]
    cuts = len(tracked["cuts"])
    if cuts:
        notes.append(f"{cuts} cut{'s' if cuts != 1 else ''}")
    lost: dict[int, int] = {}
    for loss in tracked["losses"]:
        lost[loss["face"]] = lost.get(loss["face"], 0) + loss["last"] - loss["first"] + 1
    for face, count in sorted(lost.items()):
        whose = f"face {face + 1}" if face_count > 1 else "the face"
        notes.append(f"{whose} is not seen in {count}, where it stays as it is")
    return [*notes, *tracked["notices"]]
