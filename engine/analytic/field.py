"""How expressions move the crop's pixels: dense fields of the deformers and their inversion."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from ..faces.canonical import (
    CANONICAL,
    CHIN,
    EYES,
    LIP_LOWER_INNER,
    LIP_LOWER_INNER2,
    LIP_LOWER_MIDDLE,
    LIP_LOWER_OUTER,
    LIP_UPPER_INNER,
    LIP_UPPER_INNER2,
    LIP_UPPER_MIDDLE,
    LIP_UPPER_OUTER,
    LOWER_LIP,
    MESH_COUNT,
    SUBNASALE,
    UPPER_LIP,
    Pose,
)
from .decoder import Amounts
from .deformers import deformers
from .lid_closing import closing_moves, past_share
from .rbf import Multiquadric, solve_both
from .shapes import falloff, smoothstep

CELL = 3  # crop pixels between the field's nodes
_MARGIN_SIDES, _MARGIN_TOP, _MARGIN_BOTTOM = 0.22, 0.18, 0.36  # of the landmarks' box
_BORDER_CELLS = 6.0
_SOFTNESS, _SMOOTHING = 2.0, 1.0
# Parts of a deformer weaker than this share of its strongest move are nothing.
_NOISE_FLOOR, _NOISE_FADE = 0.006, 0.03
_ROUND_GAP = 0.25  # cm that stay open between lips drawn together
_ROUND_MOST = 1.4  # cm that they go at the most: a mouth that the jaw holds open stays open
_ROUND_UPPER = 0.2  # share of their way that the upper lip goes
_ROUND_FROM, _ROUND_OVER = 0.2, 0.55  # of the mouth's half width: where its sides begin to shut
_LIPS_PAST = 0.12  # cm by which shut lips go past each other
_STEEPEST = -0.62  # compression, pixels per pixel, beyond which a field is smoothed
MOVED = 0.02  # crop pixels: less is not a move

_LIP_RINGS_UPPER = (LIP_UPPER_INNER, LIP_UPPER_INNER2, LIP_UPPER_MIDDLE, LIP_UPPER_OUTER)
_LIP_RINGS_LOWER = (LIP_LOWER_INNER, LIP_LOWER_INNER2, LIP_LOWER_MIDDLE, LIP_LOWER_OUTER)


class Window(NamedTuple):
    """A grid over part of the crop: node (row, column) lies at (x, y) + cell * (column, row)."""

    x: float
    y: float
    cell: float
    rows: int
    columns: int

    @property
    def box(self) -> tuple[float, float, float, float]:
        """(x0, y0, x1, y1) of its outer nodes, crop pixels."""
        return (
            self.x,
            self.y,
            self.x + self.cell * (self.columns - 1),
            self.y + self.cell * (self.rows - 1),
        )

    def part(self, row0: int, row1: int, column0: int, column1: int) -> Window:
        """Rows row0 to row1 and columns column0 to column1, ends excluded."""
        return Window(
            float(self.x + self.cell * column0),
            float(self.y + self.cell * row0),
            self.cell,
            int(row1 - row0),
            int(column1 - column0),
        )

    def nodes(self) -> np.ndarray:
        """(rows * columns, 2) positions."""
        x = self.x + self.cell * np.arange(self.columns)
        y = self.y + self.cell * np.arange(self.rows)
        return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


class BackwardField(NamedTuple):
    """Where each pixel of a moved picture comes from, as offsets on a grid.

    window  the grid over the crop
    upper   (rows, columns, 2) float32 crop pixels, as the skin above openings moves
    lower   the same for the skin below them: lower lids and lower lip
    """

    window: Window
    upper: np.ndarray
    lower: np.ndarray


class ExpressionField:
    """The deformers of one face, as vertex moves and as dense fields over its crop."""

    def __init__(self, landmarks: np.ndarray, pose: Pose) -> None:
        """landmarks (478, 3) and pose in crop pixels."""
        self.points = np.asarray(landmarks, np.float64)[:MESH_COUNT, :2]
        moves = {name: move @ pose.face_to_picture.T for name, move in deformers().items()}
        for side, eye in zip(("left", "right"), EYES, strict=True):
            for name, move in closing_moves(self.points, eye).items():
                moves[f"{name}_{side}"] = move
        moves["lips_close"] = self._lips_close()
        moves["lips_past"] = self._lips_past(pose)
        moves["lips_round"] = self._lips_round(pose)
        self._index = {name: i for i, name in enumerate(moves)}
        self._moves = np.stack(list(moves.values()))
        self._longest = np.hypot(self._moves[..., 0], self._moves[..., 1]).max(axis=1)
        self.window = self._place_window()
        self._guarded = self._place_guards()
        # What no motion asks for is never spread.
        self._spread: _Spread | None = None
        shape = (2, len(self._moves), 2, self.window.rows, self.window.columns)
        self._fields = np.zeros(shape, np.float32)
        self._is_ready = np.zeros(len(self._moves), bool)

    def weights(self, amounts: Amounts, lid_offset: float) -> np.ndarray:
        """(deformers,) float32 amounts in this field's order."""
        values = np.zeros(len(self._index), np.float32)
        for name, amount in amounts.deformers.items():
            values[self._index[name]] = amount
        for side, blink in zip(("left", "right"), amounts.blink, strict=True):
            values[self._index[f"blink_{side}"]] = blink
            values[self._index[f"lids_past_{side}"]] = past_share(blink)
            values[self._index[f"lid_offset_{side}"]] = lid_offset * max(blink, 0.0)
            # Closing lids draw the brow down a little.
            for end in ("inner", "outer"):
                values[self._index[f"brow_{end}_{side}"]] -= 0.02 * max(blink, 0.0)
        values[self._index["lips_close"]] = amounts.lips_close
        values[self._index["lips_round"]] = amounts.lips_round
        values[self._index["lips_past"]] = smoothstep((amounts.lips_close - 0.85) / 0.15)
        return values

    def move_vertices(self, weights: np.ndarray) -> np.ndarray:
        """(468, 2) crop pixels of the face's vertices under these amounts."""
        return self.points + np.tensordot(weights.astype(np.float64), self._moves, 1)

    def backward(self, weights: np.ndarray) -> BackwardField | None:
        """The inverted fields under these amounts, only as large as what moves."""
        # Decoding leaves traces of many deformers that nobody would see.
        active = np.flatnonzero(np.abs(weights) * self._longest > MOVED)
        if not len(active):
            return None
        forward = [
            cv2.merge([*np.tensordot(weights[active], side[active], 1)])
            for side in self._ready(active)
        ]
        moving = np.maximum(*(np.abs(field).max(axis=2) for field in forward)) > MOVED
        if not moving.any():
            return None
        forward = [
            without_folds(field, CELL, guarded)
            for field, guarded in zip(forward, self._guarded, strict=True)
        ]
        rows, columns = (np.flatnonzero(moving.any(axis=axis)) for axis in (1, 0))
        # Pixels beyond the moving nodes may be their targets.
        reach = 2 + int(max(np.abs(field).max() for field in forward) / CELL)
        row0, row1 = max(rows[0] - reach, 0), min(rows[-1] + reach + 1, self.window.rows)
        column0 = max(columns[0] - reach, 0)
        column1 = min(columns[-1] + reach + 1, self.window.columns)
        window = self.window.part(row0, row1, column0, column1)
        upper, lower = (
            invert_field(field[row0:row1, column0:column1] / CELL) * CELL for field in forward
        )
        return BackwardField(window, upper, lower)

    def _lips_close(self) -> np.ndarray:
        """The lower lip and the chin rise to an open mouth's upper lip."""
        return self._lips_together(np.ones(len(LIP_UPPER_INNER)), 0.15)

    def _lips_round(self, pose: Pose) -> np.ndarray:
        """Lips drawn together: an open mouth shuts from its sides, to a small opening."""
        gap = self.points[list(LIP_UPPER_INNER)] - self.points[list(LIP_LOWER_INNER)]
        widest = max(float(np.hypot(*gap.T).max()), 1e-6)
        middle = max(1.0 - _ROUND_GAP * pose.scale / widest, 0.0)
        away = np.abs(np.linspace(-1.0, 1.0, len(gap)))
        share = middle + (1.0 - middle) * smoothstep((away - _ROUND_FROM) / _ROUND_OVER)
        share = share * min(_ROUND_MOST * pose.scale / widest, 1.0)
        return self._lips_together(share, _ROUND_UPPER)

    def _lips_together(self, share: np.ndarray, of_upper: float) -> np.ndarray:
        """(468, 2) moves of lips that come together.

        share     (11,) from corner to corner, 1 where they meet
        of_upper  0..1, how much of the way the upper lip goes
        """
        points = self.points
        gap = share[:, None] * (points[list(LIP_UPPER_INNER)] - points[list(LIP_LOWER_INNER)])
        move = np.zeros((MESH_COUNT, 2))
        for rings, way, shares in (
            (_LIP_RINGS_LOWER, 1.0 - of_upper, (1.0, 0.95, 0.9, 0.85)),
            (_LIP_RINGS_UPPER, -of_upper, (1.0, 0.95, 0.9, 0.8)),
        ):
            for ring, with_edge in zip(rings, shares, strict=True):
                move[list(ring)] = way * with_edge * gap
        x, y, _ = CANONICAL[:MESH_COUNT].T
        chin = smoothstep(y - 4.6) * falloff(x**2, 2.5)
        chin[list(LOWER_LIP)] = 0.0
        return move + 0.75 * chin[:, None] * gap[len(gap) // 2]

    def _lips_past(self, pose: Pose) -> np.ndarray:
        """Lips that have met go a little past each other, lest a line of teeth stays."""
        gap = self.points[list(LIP_UPPER_INNER)] - self.points[list(LIP_LOWER_INNER)]
        height = np.hypot(*gap.T)[:, None]
        past = gap / np.maximum(height, 1e-6) * np.minimum(_LIPS_PAST * pose.scale, 0.25 * height)
        move = np.zeros((MESH_COUNT, 2))
        for upper, lower, share in (
            (LIP_UPPER_INNER, LIP_LOWER_INNER, 1.0),
            (LIP_UPPER_INNER2, LIP_LOWER_INNER2, 0.8),
            (LIP_UPPER_MIDDLE, LIP_LOWER_MIDDLE, 0.4),
        ):
            move[list(upper)], move[list(lower)] = -share * past, share * past
        return move

    def _place_window(self) -> Window:
        low, high = self.points.min(axis=0), self.points.max(axis=0)
        size = high - low
        x0, y0 = np.floor(low - size * [_MARGIN_SIDES, _MARGIN_TOP])
        x1, y1 = np.ceil(high + size * [_MARGIN_SIDES, _MARGIN_BOTTOM])
        columns, rows = int(np.ceil((x1 - x0) / CELL)) + 1, int(np.ceil((y1 - y0) / CELL)) + 1
        return Window(float(x0), float(y0), CELL, rows, columns)

    def _place_guards(self) -> tuple[np.ndarray, np.ndarray]:
        """(rows, columns) bool of the upper and of the lower field: where folds count.

        That is everywhere but at lids and lips, which do cover each other, and where the field of
        the one lip runs on under the other and is never seen.
        """
        window = self.window
        openings = [(eye.upper2 + eye.lower2[::-1]) for eye in EYES]
        guards = []
        for covered in (
            (*LIP_UPPER_INNER2, *LIP_LOWER_OUTER, CHIN),
            (*LIP_LOWER_INNER2, *LIP_UPPER_OUTER, SUBNASALE),
        ):
            free = np.zeros((window.rows, window.columns), np.uint8)
            for ring in openings:
                outline = (self.points[list(ring)] - [window.x, window.y]) / window.cell
                cv2.fillPoly(free, [np.rint(outline).astype(np.int32)], 1)
            reach = (self.points[list(covered)] - [window.x, window.y]) / window.cell
            hull = cv2.convexHull(np.rint(reach).astype(np.int32))
            cv2.fillConvexPoly(free, hull, 1)
            guards.append(cv2.dilate(free, np.ones((3, 3), np.uint8)) == 0)
        return guards[0], guards[1]

    def _ready(self, wanted: np.ndarray) -> np.ndarray:
        """(2, deformers, 2, rows, columns) float32: x and y of the upper and the lower field, of
        the wanted deformers at least."""
        missing = wanted[~self._is_ready[wanted]]
        if len(missing):
            if self._spread is None:
                self._spread = _Spread(self.points, self._moves, self.window)
            self._fields[:, missing] = self._spread(missing)
            self._is_ready[missing] = True
        return self._fields


class _Spread:
    """Spreads moves of the vertices over the window, once for what lies above the openings and
    once for what lies below them."""

    def __init__(self, points: np.ndarray, moves: np.ndarray, window: Window) -> None:
        """points (468, 2) and moves (deformers, 468, 2) in crop pixels."""
        self._window = window
        anchors = _frame(window.box, margin=2.0 * CELL, per_side=14)
        self._kernel = Multiquadric(np.concatenate([points, anchors]), softness=_SOFTNESS)
        right = np.zeros((len(points) + len(anchors) + 1, 2 * len(moves)))
        right[: len(points)] = moves.transpose(1, 0, 2).reshape(len(points), -1)
        left_out = tuple(np.array(sorted(_excluded(EYES, below=b))) for b in (True, False))
        system = self._kernel.system(_SMOOTHING)
        upper, lower = solve_both(system, right, (left_out[0], left_out[1]))
        self._weights = np.stack([upper, lower], axis=1).reshape(len(right), 2, -1, 2)

    def __call__(self, deformers: np.ndarray) -> np.ndarray:
        """(2, D, 2, rows, columns) float32 fields of D deformers."""
        window = self._window
        weights = self._weights[:, :, deformers]
        field = self._kernel(window.nodes(), weights.reshape(len(weights), -1))
        field = field.reshape(2, len(deformers), 2, window.rows, window.columns)
        strength = np.hypot(field[:, :, 0], field[:, :, 1])
        strongest = np.maximum(strength.max(axis=(2, 3), keepdims=True), np.float32(1e-6))
        fade = smoothstep((strength / strongest - np.float32(_NOISE_FLOOR)) / _NOISE_FADE)
        edge_x, edge_y = (
            smoothstep(np.minimum(np.arange(n), np.arange(n)[::-1]) / _BORDER_CELLS)
            for n in (window.columns, window.rows)
        )
        fade *= (edge_y[:, None] * edge_x).astype(np.float32)
        return field * fade[:, :, None]


def _excluded(eyes, *, below: bool) -> set[int]:
    """Vertices that a field leaves out, so that it runs on smoothly across lids and lips."""
    indices = set(LOWER_LIP if below else UPPER_LIP)
    for eye in eyes:
        rings = (eye.lower, eye.lower2) if below else (eye.upper, eye.upper2)
        indices.update(*(ring[1:-1] for ring in rings))
    return indices


def _frame(box: tuple[float, float, float, float], margin: float, per_side: int) -> np.ndarray:
    """(4 * per_side, 2) points on the border around a box."""
    x0, y0, x1, y1 = box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin
    x, y = np.linspace(x0, x1, per_side), np.linspace(y0, y1, per_side)
    sides = [(x, np.full_like(x, y0)), (x, np.full_like(x, y1))]
    sides += [(np.full_like(y, x0), y), (np.full_like(y, x1), y)]
    return np.concatenate([np.stack(side, axis=1) for side in sides])


def without_folds(
    forward: np.ndarray, cell: float, guarded: np.ndarray | None = None
) -> np.ndarray:
    """A field of forward offsets, smoothed where it would fold the picture over itself.

    forward  (rows, columns, 2) float32, in pixels like `cell`
    guarded  (rows, columns) bool, where folds count; everywhere if None
    """
    for attempt in range(5):
        slope_x = cv2.Sobel(forward[..., 0], cv2.CV_32F, 1, 0, ksize=3) / (8 * cell)
        slope_y = cv2.Sobel(forward[..., 1], cv2.CV_32F, 0, 1, ksize=3) / (8 * cell)
        folds = np.minimum(slope_x, slope_y) < _STEEPEST
        if guarded is not None:
            folds &= guarded
        if not folds.any():
            break
        around = cv2.dilate(folds.astype(np.float32), np.ones((7, 7), np.uint8))
        if guarded is not None:
            around *= guarded
        mask = cv2.GaussianBlur(around, (0, 0), 2.5)[..., None]
        smooth = cv2.GaussianBlur(forward, (0, 0), 1.5 + 0.8 * attempt)
        forward = forward * (1.0 - mask) + smooth * mask
    return forward


def invert_field(forward: np.ndarray, iterations: int = 5) -> np.ndarray:
    """The backward offsets of forward offsets on the same grid, by Newton's method.

    forward  (rows, columns, 2) float32, in cells: node x moves to x + forward(x)
    Returns (rows, columns, 2) float32: what lands on node y came from y + backward(y).
    """
    rows, columns = forward.shape[:2]
    grid_x, grid_y = np.meshgrid(
        np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32)
    )
    forward = np.ascontiguousarray(forward, np.float32)
    slope_x, slope_y = np.zeros_like(forward), np.zeros_like(forward)
    slope_x[:, 1:-1] = 0.5 * (forward[:, 2:] - forward[:, :-2])
    slope_y[1:-1] = 0.5 * (forward[2:] - forward[:-2])
    first = cv2.merge([*cv2.split(forward), *cv2.split(slope_x)])
    x, y = grid_x - 0.7 * forward[..., 0], grid_y - 0.7 * forward[..., 1]
    for _ in range(iterations):
        sampled = cv2.remap(first, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        slopes = cv2.remap(slope_y, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        error_x, error_y = x + sampled[..., 0] - grid_x, y + sampled[..., 1] - grid_y
        a, b = 1.0 + sampled[..., 2], slopes[..., 0]
        c, d = sampled[..., 3], 1.0 + slopes[..., 1]
        # Folds have no inverse: keep the step finite there.
        determinant = np.maximum(a * d - b * c, 0.2)
        x = x - np.clip((d * error_x - b * error_y) / determinant, -3.0, 3.0)
        y = y - np.clip((a * error_y - c * error_x) / determinant, -3.0, 3.0)
    return cv2.merge([x - grid_x, y - grid_y])
