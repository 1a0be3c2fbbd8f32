"""Measures of what people see: second faces, stretched teeth, smeared lids, bent lines, exposure.

closed_loop.py takes them of every picture's largest face beside the controls' sweeps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from control_sweep import Subject, render
from looks_eyes import EyeLook
from looks_mouth import MouthLook
from looks_scene import (
    draw_lines,
    exposure_error,
    extra_faces,
    faces_seen,
    line_bend,
    mirrored_share,
    neighbour_moves,
)

from engine.controls import motion_from_controls
from engine.faces.canonical import EYES, fit_pose
from engine.faces.crop import Crop
from engine.faces.find import fit_drawn, view_8bit
from engine.faces.segmentation import person_mask
from engine.motion import Face
from engine.renderer import Renderer, ReportedError, SourceImage
from engine.srgb import linear_from_srgb

Values = dict[str, float]


class Floor(NamedTuple):
    """What a measure must keep: the statistic of all pictures, its limits, what it is."""

    kind: str
    statistic: str  # "worst" or "median"
    low: float
    high: float
    text: str

    def is_met(self, value: float) -> bool:
        """Whether a value is within the limits; a value that nobody could measure is."""
        return not np.isfinite(value) or self.low <= value <= self.high

    def worst(self, values: dict[str, float]) -> str:
        """The name of the value that is farthest out, by how much of the limit it takes."""
        middle = 1.0 if self.low > 0 else 0.0
        return max(values, key=lambda name: abs(values[name] - middle))


FLOORS: dict[str, Floor] = {
    "extra_faces": Floor("head", "worst", 0, 0, "faces where the source has none"),
    "mirrored_border": Floor("head", "worst", 0, 0.01, "share of the border that is mirrored"),
    "neighbour_moves": Floor("head", "worst", 0, 0, "pixels that other faces move"),
    "line_bend": Floor("head", "worst", 0, 2.0, "crop pixels, straight lines behind the head"),
    "teeth_height": Floor("mouth", "worst", 0.9, 1.15, "upper teeth after opening over before"),
    "lip_gap_closed": Floor("mouth", "worst", 0, 0.05, "lip ratio at lips_open 0"),
    "teeth_closed": Floor("mouth", "worst", 0, 0.03, "tooth pixels at lips_open 0 over before"),
    "lid_tone": Floor("lids", "median", 0, 6.0, "Lab ΔE of the shut lid from the skin around"),
    "sclera_closed": Floor("lids", "worst", 0, 0.02, "share of sclera-coloured pixels at blink 1"),
    "lid_opening": Floor("lids", "worst", 0, 0.15, "eyeball seen at blink 1 over the source's"),
    "lid_ratio": Floor("lids", "median", 0, np.inf, "the landmark model's opening, the same way"),
    "brow_shift": Floor("lids", "worst", 0, 0.03, "eye widths that a brow moves under blink"),
    "exposure_error": Floor("light", "worst", 0, 3.0, "grey levels, k · result against result(k)"),
}
KINDS = tuple(dict.fromkeys(floor.kind for floor in FLOORS.values()))

HEAD_MOVES: tuple[Values, ...] = (
    {"head_yaw": 25.0},
    {"head_yaw": -25.0},
    {"head_pitch": 15.0},
    {"head_pitch": -15.0},
    {"head_scale": 1.2},
)
LINE_MOVES: tuple[Values, ...] = ({"head_yaw": 20.0}, {"head_yaw": -20.0})
OPENINGS: tuple[Values, ...] = ({"mouth_open": 0.5}, {"mouth_open": 1.0})
EXPOSURES = (0.01, 0.1, 50.0)
EXPOSED: tuple[Values, ...] = ({"mouth_open": 1.0}, {"blink": 1.0, "gaze_x": 0.5})
_OPEN_LIPS = 0.06  # lip ratio from which a source is worth closing
_EXPOSURE_SIDE = 640  # pixels of the picture in which exposures are compared


def look_at(subject: Subject, renderer: Renderer, kinds: tuple[str, ...] = KINDS) -> Values:
    """Every measure of FLOORS for one opened picture; NaN where it does not apply."""
    values: Values = {}
    for kind, measure in MEASURES.items():
        if kind in kinds:
            values.update(measure(subject, renderer))
    return values


def look_at_head(subject: Subject, renderer: Renderer) -> Values:
    """Second faces, mirrored borders, neighbours that move, lines that bend."""
    source = view_8bit(subject.image)
    part = _part_around(subject.crop, source.shape)
    seen = faces_seen(source[part])
    extra, mirrored, moves = 0, 0.0, []
    for values in HEAD_MOVES:
        result, _ = render(subject, values)
        extra = max(extra, extra_faces(seen, faces_seen(result[part])))
        mirrored = max(mirrored, mirrored_share(source[part], result[part]))
        moves += [neighbour_moves(source, result, face) for face in subject.others]
    return {
        "extra_faces": float(extra),
        "mirrored_border": mirrored,
        "neighbour_moves": max(moves, default=float("nan")),
        "line_bend": _line_bend(subject, renderer),
    }


def look_at_mouth(subject: Subject, renderer: Renderer) -> Values:
    """Teeth of an opened and of a closed mouth."""
    pose = fit_pose(subject.landmarks)
    look = MouthLook.of(view_8bit(subject.image), subject.landmarks, pose.scale)
    heights = [look.teeth_height(render(subject, values)[0]) for values in OPENINGS]
    ratios = [height / look.teeth_height() for height in heights]
    values = {
        "teeth_height": max(ratios, key=lambda ratio: abs(ratio - 1.0)),
        "lip_gap_closed": float("nan"),
        "teeth_closed": float("nan"),
    }
    if subject.face.lips_open > _OPEN_LIPS:
        shut, _ = render(subject, {"lips_open": 0.0})
        reading = subject.read(shut)
        values["lip_gap_closed"] = reading.measures.lips_open if reading else float("inf")
        if reading:
            values["teeth_closed"] = look.tooth_share(shut, reading.landmarks)
    return values


def look_at_lids(subject: Subject, renderer: Renderer) -> Values:
    """The worse eye's lid, eyeball and brow under a full blink."""
    source = view_8bit(subject.image)
    looks = [EyeLook.of(source, subject.landmarks, eye) for eye in EYES]
    shut, _ = render(subject, {"blink": 1.0})
    reading = subject.read(shut)
    ratio = reading.measures.eyes_open / max(subject.face.eyes_open, 1e-3) if reading else 1.0
    return {
        "lid_tone": _worse([look.lid_difference(shut) for look in looks]),
        "sclera_closed": _worse([look.sclera_share(shut) for look in looks]),
        "lid_opening": _worse([look.opening_left(shut) for look in looks]),
        "lid_ratio": ratio,
        "brow_shift": _worse([look.brow_shift(shut) for look in looks]),
    }


def look_at_light(subject: Subject, renderer: Renderer) -> Values:
    """How far results at other exposures are from the same picture, exposed otherwise."""
    small, face = _cut_out(subject)
    linear = linear_from_srgb(small / np.float32(255.0))
    expected = _exposed(linear, 1.0, face, renderer)
    worst = 0.0
    for k in EXPOSURES:
        try:
            results = _exposed(linear, k, face, renderer)
        except ReportedError:  # a picture that cannot even be opened is as wrong as can be
            return {"exposure_error": 255.0}
        pairs = zip(expected, results, strict=True)
        worst = max([worst, *(exposure_error(right, seen, small) for right, seen in pairs)])
    return {"exposure_error": worst}


MEASURES: dict[str, Callable[[Subject, Renderer], Values]] = {
    "head": look_at_head,
    "mouth": look_at_mouth,
    "lids": look_at_lids,
    "light": look_at_light,
}


def _line_bend(subject: Subject, renderer: Renderer) -> float:
    """Bend of upright and of level lines behind the head, crop pixels."""
    rgb = view_8bit(subject.image)
    person = person_mask(subject.crop.extract(rgb))
    inside = cv2.erode(subject.crop.inside(rgb.shape).astype(np.uint8), np.ones((5, 5))) > 0
    bends = []
    for is_vertical in (True, False):
        lined = draw_lines(rgb, subject.crop, person, is_vertical)
        image = SourceImage(np.dstack([lined, np.full(rgb.shape[:2], 255, np.uint8)]), "srgb")
        portrait = renderer.open(image, subject.face)
        before = subject.crop.extract(lined)
        for values in LINE_MOVES:
            canvas = image.pixels.copy()
            portrait.render(motion_from_controls(values), canvas)
            after = subject.crop.extract(np.ascontiguousarray(canvas[..., :3]))
            bends.append(line_bend(before, after, person, is_vertical, inside))
    return _worse(bends)


def _cut_out(subject: Subject) -> tuple[np.ndarray, Face]:
    """(h, w, 3) uint8 picture of the face's crop, at most _EXPOSURE_SIDE, and the face in it."""
    rgb = view_8bit(subject.image)
    rows, columns = _part_around(subject.crop, rgb.shape)
    part = rgb[rows, columns]
    scale = min(1.0, _EXPOSURE_SIDE / max(part.shape[:2]))
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    shift = np.array([columns.start, rows.start])
    corners = (np.reshape(subject.face.box, (2, 2)) - shift) * scale
    x0, y0, x1, y1 = (float(v) for v in corners.flat)
    opaque = np.dstack([small, np.full(small.shape[:2], 255, np.uint8)])
    return small, fit_drawn(SourceImage(opaque, "srgb"), (x0, y0, x1, y1))


def _exposed(linear: np.ndarray, k: float, face: Face, renderer: Renderer) -> list[np.ndarray]:
    """(h, w, 3) uint8 results of k times a linear picture, each divided by k again."""
    alpha = np.ones((*linear.shape[:2], 1), np.float32)
    pixels = np.concatenate([linear * np.float32(k), alpha], axis=2)
    image = SourceImage(np.ascontiguousarray(pixels), "linear")
    portrait = renderer.open(image, face)
    results = []
    for values in EXPOSED:
        canvas = image.pixels.copy()
        motion = motion_from_controls(
            values, eyes_open=portrait.face.eyes_open, lips_open=portrait.face.lips_open
        )
        portrait.render(motion, canvas)
        canvas[..., :3] /= np.float32(k)
        results.append(view_8bit(SourceImage(canvas, "linear")))
    return results


def _part_around(crop: Crop, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of the picture that hold the crop and half of it again on each side."""
    half = 1.0 * crop.size / crop.scale
    x, y = crop.crop_to_picture @ np.array([crop.size / 2, crop.size / 2, 1.0])
    rows = slice(max(0, round(y - half)), min(shape[0], round(y + half)))
    return rows, slice(max(0, round(x - half)), min(shape[1], round(x + half)))


def _worse(values: list[float]) -> float:
    """The larger of those that could be measured; NaN where none could."""
    known = [value for value in values if np.isfinite(value)]
    return max(known, default=float("nan"))


def summarise_looks(results: dict[str, Values]) -> dict[str, dict[str, object]]:
    """summary.json's "looks": for each measure its statistics and the pictures that miss it.

    results  the values of each picture, by file name
    """
    summary: dict[str, dict[str, object]] = {}
    for name, floor in FLOORS.items():
        known = {
            picture: values[name]
            for picture, values in results.items()
            if name in values and not np.isnan(values[name])
        }
        if not known:
            continue
        worst = floor.worst(known)
        median = float(np.median(list(known.values())))
        judged = {"median": median, "worst": known[worst]}[floor.statistic]
        summary[name] = {
            "pictures": len(known),
            "median": round(median, 4),
            "worst": round(known[worst], 4),
            "worst_picture": worst,
            "floor": [floor.statistic, floor.low, floor.high],
            "is_met": floor.is_met(judged),
            "missed": sorted(p for p, value in known.items() if not floor.is_met(value)),
        }
    return summary


def table_of_looks(summary: dict[str, dict[str, object]]) -> str:
    """The looks for reading, the floors and which of them are missed at the end."""
    lines = [f"{'look':16} {'median':>8} {'worst':>8} {'(picture)':26} {'floor':>16}  "]
    for name, row in summary.items():
        floor = FLOORS[name]
        limits = f"{floor.statistic} {floor.low:g}..{floor.high:g}"
        picture = f"({row['worst_picture']})"
        missed = "" if row["is_met"] else f"MISSED by {len(row['missed'])} of {row['pictures']}"  # type: ignore[arg-type]
        lines.append(
            f"{name:16} {row['median']:8.3f} {row['worst']:8.3f} "
            f"{picture:26} {limits:>16}  {floor.text}  {missed}".rstrip()
        )
    missed = [name for name, row in summary.items() if not row["is_met"]]
    lines.append(f"floors missed: {', '.join(missed) or 'none'}")
    for name in missed:
        lines.append(f"  {name}: {', '.join(summary[name]['missed'])}")  # type: ignore[arg-type]
    return "\n".join(lines) + "\n"
