"""One face in one frame of its clip: what is done to the clip's own motion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..engine.controls import RATIO_TOLERANCE, Face, Motion
from ..engine.take import detail_rows
from .controllers import half_crop_px
from .face_tracks import FaceTrack
from .holds import HOLD_EYES, KEEP_EXPRESSION, KEEP_OF_GROUP, SILENCE_LIPS, STEADY_HEAD

# As the engine names the openings of a request's `holds`.
EYES, LIPS = "eyes", "lips"


@dataclass(frozen=True)
class MovingFace:
    """A face in a frame of its clip.

    track  of all faces
    index  of this one
    frame  of the clip, in the track
    found  the face in the frame that it was found in, whose openings sliders refer to
    """

    track: FaceTrack
    index: int
    frame: int
    found: Face

    @property
    def now(self) -> Face:
        """The face in this frame."""
        return self.track.face_at(self.index, self.frame, self.found)

    def steadied(self, holds: Mapping[str, float]) -> dict[str, float]:
        """What takes the head's own motion out, for the head controls: raw units, log of scale."""
        share = _share(holds, STEADY_HEAD)
        if not share:
            return {}
        track, at = self.track, (self.index, self.frame)
        pose, place, scale = track.typical[self.index]
        pitch, yaw, roll = (float(v) for v in share * (pose - track.pose[at]))
        x, y = (float(v) for v in share * (place - track.place[at]) / half_crop_px(self.now))
        size = share * math.log(max(scale, 1e-6) / max(float(track.scale[at]), 1e-6))
        names = ("head_pitch", "head_yaw", "head_roll", "head_x", "head_y", "head_scale")
        return dict(zip(names, (pitch, yaw, roll, x, y, size), strict=True))

    @property
    def gaze(self) -> tuple[float, float]:
        """Where the eyes look in this frame, as the gaze controls."""
        x, y = self.track.gaze[self.index, self.frame]
        return float(x), float(y)

    def replaced(self, motion: Motion, holds: Mapping[str, float]) -> Motion:
        """A motion that takes the clip's own expression out, as far as is wanted."""
        whole = _share(holds, KEEP_EXPRESSION, 1.0)
        expression = list(motion.expression)
        for group, name in KEEP_OF_GROUP.items():
            taken = 1.0 - whole * _share(holds, name, 1.0)
            for row in detail_rows({group}) if taken else ():
                expression[row] -= taken * float(self.track.expression[self.index, self.frame, row])
        return replace(motion, expression=tuple(expression))

    def held(self, motion: Motion, holds: Mapping[str, float]) -> tuple[Motion, tuple[str, ...]]:
        """A motion whose openings are held, and which of them are wanted as they are.

        The others are differences: the engine adds them to what each frame has.
        """
        own_eyes, own_lips = (float(v) for v in self.track.ratios[self.index, self.frame])
        wide = max(own_eyes, self.track.wide_eyes[self.index])
        rows = (
            (EYES, "eyes_open", _share(holds, HOLD_EYES), own_eyes, wide, self.found.eyes_open),
            (LIPS, "lips_open", _share(holds, SILENCE_LIPS), own_lips, 0.0, self.found.lips_open),
        )
        held: list[str] = []
        for name, field, share, own, goal, found in rows:
            if not share:
                continue
            asked = getattr(motion, field)
            change = 0.0 if asked is None else asked - found
            wanted = max(own + share * (goal - own) + change, 0.0)
            is_own = abs(wanted - own) <= RATIO_TOLERANCE
            motion = replace(motion, **{field: None if is_own else wanted})
            if not is_own:
                held.append(name)
        return motion, tuple(held)


def _share(holds: Mapping[str, float], name: str, default: float = 0.0) -> float:
    return min(max(holds.get(name, default), 0.0), 1.0)
