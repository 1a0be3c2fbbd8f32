"""What a moved head does to what is not this head: lines, neighbours, second copies at a border."""

from __future__ import annotations

import cv2
import numpy as np
from control_sweep import ROOT  # noqa: F401  (puts the engine on the path)

from engine.faces.crop import Crop
from engine.faces.detector import Detection, detect
from engine.motion import Face

# ---- second faces ------------------------------------------------------------------------------

_APART = 0.5  # of a face's size: nearer detections are the same face


def faces_seen(rgb: np.ndarray) -> list[Detection]:
    """Everything that the detector takes for a face in an (H, W, 3) uint8 picture."""
    return detect(rgb, lambda fraction: None)


def extra_faces(before: list[Detection], after: list[Detection]) -> int:
    """How many faces of a result lie where the source has none."""
    return sum(not any(_is_near(face, known) for known in before) for face in after)


def _is_near(face: Detection, known: Detection) -> bool:
    middle, place = (detection.box.reshape(2, 2).mean(axis=0) for detection in (face, known))
    size = np.maximum(known.box[2:] - known.box[:2], face.box[2:] - face.box[:2])
    return bool((np.abs(middle - place) < _APART * size).all())


# ---- mirrored borders --------------------------------------------------------------------------

_MIRROR_SIDE = 384  # pixels of the longer side in which copies are looked for
_BLOCK = 16  # rows of a block along a border
_DEEPEST, _SHALLOWEST = 48, 8  # pixels of a copy that is looked for
_ALIKE = 0.93  # correlation of the copy with what it is a copy of
_TEXTURE = 7.0  # grey levels, standard deviation: plain walls have no copies


def mirrored_share(before: np.ndarray, after: np.ndarray) -> float:
    """Share of a result's border at which the picture is mirrored, where the source's is not.

    before, after  (H, W, 3) uint8
    """
    scale = _MIRROR_SIDE / max(before.shape[:2])
    size = (round(before.shape[1] * scale), round(before.shape[0] * scale))
    small = [cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) for rgb in (before, after)]
    grey = [cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) for rgb in small]
    mirrored = total = 0
    for turns in range(4):
        source, result = (np.rot90(picture, turns) for picture in grey)
        flags = _mirrored_blocks(source, result)
        mirrored, total = mirrored + sum(flags), total + len(flags)
    return mirrored / max(total, 1)


def _mirrored_blocks(source: np.ndarray, result: np.ndarray) -> list[bool]:
    """For each block of rows whether the result is mirrored at its left border."""
    deepest = min(_DEEPEST, source.shape[1] // 3)
    flags = []
    for top in range(0, source.shape[0] - _BLOCK + 1, _BLOCK):
        rows = slice(top, top + _BLOCK)
        if np.abs(source[rows, :_SHALLOWEST] - result[rows, :_SHALLOWEST]).mean() < 2.0:
            flags.append(False)
            continue
        flags.append(
            any(
                _likeness(result[rows], depth) > _ALIKE > _likeness(source[rows], depth)
                for depth in range(_SHALLOWEST, deepest, 2)
            )
        )
    return flags


def _likeness(rows: np.ndarray, depth: int) -> float:
    """Correlation of the first `depth` columns with the mirrored ones behind them."""
    first, second = rows[:, :depth], rows[:, 2 * depth : depth : -1]
    # Without what whole rows have in common: streaks drawn out of a border are no copies.
    a, b = (part - part.mean(axis=1, keepdims=True) for part in (first, second))
    if min(a.std(), b.std()) < _TEXTURE:
        return 0.0
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


# ---- neighbours --------------------------------------------------------------------------------

_CHANGE = 3  # grey levels; less is rounding
_FLOW_SIDE = 256  # pixels of the neighbour's larger side in which its motion is followed


def neighbour_moves(before: np.ndarray, after: np.ndarray, face: Face) -> float:
    """By how many pixels of the picture another face has moved, where it moved most.

    before, after  (H, W, 3) uint8
    0 where no pixel inside the face's outline has changed.
    """
    inside = np.zeros(before.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.rint(np.array(face.outline)).astype(np.int32)], 1)
    change = np.abs(before.astype(np.int16) - after).max(axis=-1)
    if not ((change > _CHANGE) & (inside > 0)).any():
        return 0.0
    x0, y0, x1, y1 = (round(v) for v in face.box)
    margin = max(x1 - x0, y1 - y0) // 3
    rows = slice(max(0, y0 - margin), y1 + margin)
    columns = slice(max(0, x0 - margin), x1 + margin)
    parts = [cv2.cvtColor(rgb[rows, columns], cv2.COLOR_RGB2GRAY) for rgb in (before, after)]
    scale = _FLOW_SIDE / max(parts[0].shape)
    parts = [cv2.resize(p, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for p in parts]
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    moved = np.linalg.norm(flow.calc(parts[0], parts[1], np.zeros((0, 0), np.float32)), axis=-1)
    mask = cv2.resize(inside[rows, columns], moved.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return float(np.percentile(moved[mask > 0], 95)) / scale


# ---- straight lines behind the head ------------------------------------------------------------

LINE_STEP = 32  # pixels of the crop between lines
_LINE_WIDTH = 3
_BACKGROUND = 0.02  # of the person mask; the lines run up to the head without it
_SEARCH = 14  # pixels to each side of a line in which its bent part is looked for
_TRUSTED = 2.0  # pixels by which a line that was drawn may be found beside its place
_CLEAR = 6  # pixels from a line at which there must be paper
_LINE_CONTRAST = 0.3  # of the drawn contrast that must be left for a line to be seen
PAPER, INK = 200.0, 40.0


def draw_lines(rgb: np.ndarray, crop: Crop, person: np.ndarray, is_vertical: bool) -> np.ndarray:
    """The picture with straight lines on plain paper instead of what is behind the person.

    rgb     (H, W, 3) uint8
    person  (size, size) float32 of the crop, 0 background … 1 person
    Returns an (H, W, 3) uint8 copy. The lines are level or upright in the crop.
    """
    height, width = rgb.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    matrix = crop.picture_to_crop.astype(np.float32)
    axis = 0 if is_vertical else 1
    across = matrix[axis, 0] * columns + matrix[axis, 1] * rows + matrix[axis, 2]
    away = np.abs((across + LINE_STEP / 2) % LINE_STEP - LINE_STEP / 2)
    ink = np.clip(_LINE_WIDTH / 2 + 0.5 - away, 0.0, 1.0)
    lines = PAPER + (INK - PAPER) * ink
    mask = cv2.warpAffine(
        person,
        crop.picture_to_crop,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )[..., None]
    return np.rint(rgb * mask + lines[..., None] * (1.0 - mask)).astype(np.uint8)


def line_bend(
    before: np.ndarray,
    after: np.ndarray,
    person: np.ndarray,
    is_vertical: bool,
    inside: np.ndarray | None = None,
) -> float:
    """By how many crop pixels the lines behind a head are bent where they are bent most.

    before, after  (size, size, 3) uint8 crops of the picture with lines, as drawn and moved
    person         as for draw_lines
    inside         (size, size) bool, where the crops show the picture and not its outside
    NaN where no line is to be seen. A bend is the 98th percentile of a line's rows; that of the
    worst line is returned.
    """
    grey = [cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) for rgb in (before, after)]
    free = person < _BACKGROUND
    if inside is not None:
        free &= inside
    if not is_vertical:
        grey, free = [picture.T for picture in grey], free.T
    bends = []
    for line in range(LINE_STEP, free.shape[1] - LINE_STEP + 1, LINE_STEP):
        reach = slice(line - _SEARCH - _CLEAR, line + _SEARCH + _CLEAR + 1)
        drawn, _ = _follow(grey[0][:, reach])
        moved, is_seen = _follow(grey[1][:, reach])
        usable = (
            is_seen
            & (np.abs(drawn - _SEARCH - _CLEAR) < _TRUSTED)
            & free[:, line - 3 : line + 4].all(axis=1)
        )
        if usable.sum() >= 12:
            bends.append(float(np.percentile(np.abs(moved - drawn)[usable], 98)))
    return max(bends, default=float("nan"))


def _follow(strip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a dark line lies in each row of a strip, pixels, and whether it is seen there."""
    ink = np.maximum(PAPER - strip, 0.0)
    inner = ink[:, _CLEAR:-_CLEAR]
    peak = _CLEAR + inner.argmax(axis=1)[:, None]
    is_seen = inner.max(axis=1) > _LINE_CONTRAST * (PAPER - INK)
    for side in (-_CLEAR, _CLEAR):  # hair is dark, too, but it has no paper on both sides
        is_seen &= np.take_along_axis(ink, peak + side, axis=1)[:, 0] < 0.3 * (PAPER - INK)
    columns = np.arange(strip.shape[1])
    weights = ink * (np.abs(columns - peak) <= 4) + 1e-9
    return (weights * columns).sum(axis=1) / weights.sum(axis=1), is_seen


# ---- exposure ----------------------------------------------------------------------------------


def exposure_error(expected: np.ndarray, result: np.ndarray, source: np.ndarray) -> float:
    """How far a result at another exposure is off, grey levels, where the face has changed.

    expected, result, source  (H, W, 3) uint8: the moved picture, the one made of k times the
    picture and divided by k, and the picture itself
    """
    changed = np.abs(expected.astype(np.int16) - source).max(axis=-1) > 8
    if not changed.any():
        return float(np.abs(expected.astype(np.int16) - result).max())
    return float(np.abs(expected.astype(np.int16) - result)[changed].mean())
