"""What crosses the wire about faces and motion, in LivePortrait's motion space.

Standard library only: Blender's side builds a `Motion` from the face controls, every renderer
reads it. LivePortrait places its 21 implicit keypoints by x = scale * (kp R + exp) + t; a Motion
says how pose, scale, translation and exp differ from the source picture's own.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

KEYPOINT_COUNT = 21
READING_COUNT = 3 + 3 + 2 * 3 * KEYPOINT_COUNT
# Narrower faces, along the line of the eyes, hold too little to be moved well: measured with the
# closed loop, whose controls keep what they promise down to 40.
MINIMUM_FACE_PX = 48
NO_FACE_HINT = f"Use a front view whose face is at least {MINIMUM_FACE_PX} px wide."


def _zero_expression() -> tuple[float, ...]:
    return (0.0,) * (3 * KEYPOINT_COUNT)


@dataclass(frozen=True)
class Motion:
    """Difference from the source picture; the default leaves the picture unchanged.

    pitch, yaw, roll  degrees, added to the source's head pose, LivePortrait's signs
    translation       (x, y, z) added to t; x to the right and y down, in half crop widths
    scale             factor on the source's scale
    expression        63 floats, keypoint-major (k * 3 + axis), added to exp
    eyes_open         wanted eye opening ratio (LivePortrait's), None leaves it alone
    lips_open         wanted lip opening ratio (LivePortrait's), None leaves it alone
    lid_offset        -1..1, moves the closed-lid line of stylised eyes (analytic renderer)
    """

    pitch: float = 0.0
    yaw: float = 0.0
    roll: float = 0.0
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0
    expression: tuple[float, ...] = field(default_factory=_zero_expression)
    eyes_open: float | None = None
    lips_open: float | None = None
    lid_offset: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; Motion.from_json reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Motion:
        """Read to_json's value. Raises ValueError on unknown keys or wrong lengths."""
        unknown = set(data) - set(cls.__dataclass_fields__)
        if unknown:
            raise ValueError(f"unknown motion field {sorted(unknown)}")
        values = dict(data)
        values["translation"] = tuple(float(v) for v in data.get("translation", (0.0, 0.0, 0.0)))
        values["expression"] = tuple(float(v) for v in data.get("expression", _zero_expression()))
        if len(values["translation"]) != 3 or len(values["expression"]) != 3 * KEYPOINT_COUNT:
            raise ValueError("translation needs 3 and expression 63 numbers")
        return cls(**values)


@dataclass(frozen=True)
class Face:
    """A face in a picture, in picture pixels from the top left.

    box         (x0, y0, x1, y1)
    score       detector's confidence 0..1
    keypoints   6 points (x, y): eye on the picture's left, eye on its right, nose tip, mouth,
                left and right ear of the picture; may be empty for a hand-drawn box
    outline     points (x, y) around the face as fitted, for drawing; may be empty
    pitch, yaw, roll  head pose of the picture, degrees
    eyes_open, lips_open  the picture's own opening ratios, LivePortrait's
    measures    what lids, lips, brows and gaze do, by names of engine.faces.measures; {} where no
                landmarks were fitted, and in older files
    problem     {} or {code, message, hint}: why no renderer should move this face
    reading     what LivePortrait's M read of the face, in `opened` alone; () where it has not:
                pitch, yaw, roll in degrees, t (3), exp (63), canonical keypoints (63)
    frame       of a moving source, the source frame that all this is of; None: that of the request
    """

    box: tuple[float, float, float, float]
    score: float = 1.0
    keypoints: tuple[tuple[float, float], ...] = ()
    outline: tuple[tuple[float, float], ...] = ()
    pitch: float = 0.0
    yaw: float = 0.0
    roll: float = 0.0
    eyes_open: float = 0.0
    lips_open: float = 0.0
    problem: dict[str, str] = field(default_factory=dict)  # type: ignore[assignment]
    measures: dict[str, float] = field(default_factory=dict)  # type: ignore[assignment]
    reading: tuple[float, ...] = ()
    frame: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; Face.from_json reads it back."""
        value = asdict(self)
        if self.frame is None:
            del value["frame"]
        return value

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Face:
        """Read to_json's value. Raises ValueError on unknown keys, a bad box, reading or frame."""
        unknown = set(data) - set(cls.__dataclass_fields__)
        if unknown or len(data.get("box", ())) != 4:
            raise ValueError(f"not a face: {sorted(data)}")
        values = dict(data)
        values["box"] = tuple(float(v) for v in data["box"])
        for name in ("keypoints", "outline"):
            points = data.get(name, ())
            values[name] = tuple((float(x), float(y)) for x, y in points)
        values["reading"] = tuple(float(v) for v in data.get("reading", ()))
        if len(values["reading"]) not in (0, READING_COUNT):
            raise ValueError(f"a reading has {READING_COUNT} numbers")
        frame = data.get("frame")
        if frame is not None and (type(frame) is not int or frame < 0):
            raise ValueError(f"'{frame}' is no source frame")
        return cls(**values)
