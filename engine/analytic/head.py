"""How a turned, shifted or scaled head moves the crop's pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from ..faces.canonical import CHIN, MESH_COUNT, Pose, euler_to_matrix
from ..faces.crop import Crop
from .field import MOVED, Window, invert_field, without_folds
from .late import late
from .rbf import MultiquadricInterpolator
from .relight import factors, on_head
from .shapes import smoothstep

CELL = 6  # crop pixels between the field's nodes
_PIVOT = np.array([0.0, 1.5, 1.0])  # the neck joint, cm of the face frame
_CAMERA_DISTANCE = 60.0  # cm
_DEPTH_BLUR = 0.75  # cm; without it jaw lines get wavy
# A face turned further away than this shows its far side less and less: turning slows down.
_FULL_YAW, _YAW_ROOM = 32.0, 14.0
# A source counts as turned between these; then it has this much room back and further, which is
# used up evenly: half of it is left when as much is asked for.
_TURNED_FROM, _TURNED = 8.0, 30.0
_ROOM_BACK, _ROOM_FURTHER = 30.0, 23.0
# Smoothing flattens the face a little; these make up for it in what the turned face measures.
_PITCH_GAIN, _YAW_GAIN = 1.18, 1.05
_BORDER_SHARE = 0.07  # of the crop, over which motion fades out
# Motion away from a border that cuts the head sets in over this many cm, and more for large
# motions: over as many times their length.
_PIN_REACH, _STRETCH_REACH = 2.5, 6.0
_SHORTEST_CUT, _CUT_MARGIN = 2.0, 0.8  # cm along the border


class HeadMove(NamedTuple):
    """A head motion: degrees, crop pixels, factor."""

    pitch: float
    yaw: float
    roll: float
    shift_x: float
    shift_y: float
    scale: float

    @property
    def is_neutral(self) -> bool:
        """True where nothing would be seen to move."""
        turn = max(abs(self.pitch), abs(self.yaw), abs(self.roll))
        shift = max(abs(self.shift_x), abs(self.shift_y))
        return turn < 1e-3 and shift < 1e-3 and abs(self.scale - 1.0) < 1e-5


class _Pin(NamedTuple):
    """A border of the picture that cuts the head; arrays on the field's nodes.

    inward   (2,) direction into the picture, crop pixels
    inside   distance from the border, positive in the picture
    hold     0..1, how much of the head is cut where the node is nearest to the border
    is_near  bool, nodes at the border that are held
    """

    inward: np.ndarray
    inside: np.ndarray
    hold: np.ndarray
    is_near: np.ndarray

    def entering(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """How far held nodes would move into the picture."""
        return np.maximum(x * self.inward[0] + y * self.inward[1], 0.0) * self.hold


class HeadField:
    """The depth of one face's crop, and how strongly each place follows the head."""

    def __init__(
        self,
        landmarks: np.ndarray,
        pose: Pose,
        person: Callable[[], np.ndarray],
        crop: Crop,
        picture_shape: tuple[int, ...],
    ) -> None:
        """Prepare a head.

        landmarks      (478, 3) crop pixels
        person         gives (size, size) float32 over the crop, 1 where a person is seen
        picture_shape  (height, width, …) of the picture that the crop is of
        """
        crop_size = crop.size
        count = crop_size // CELL + 2
        self.window = Window(0.0, 0.0, CELL, count, count)
        self._pose = pose
        self._pivot = pose.to_picture(_PIVOT)
        nodes = self.window.nodes()
        self._x, self._y = (nodes[:, i].reshape(count, count).astype(np.float32) for i in (0, 1))
        self._landmarks, self._person = landmarks, person
        self._crop, self._picture_shape = crop, picture_shape

    def backward(self, move: HeadMove) -> np.ndarray | None:
        """(rows, columns, 2) float32 crop pixels: where each node's content comes from."""
        if move.is_neutral:
            return None
        offsets = self._forward(move)
        offsets = without_folds(offsets, CELL)
        if np.abs(offsets).max() < MOVED:
            return None
        return invert_field(offsets / CELL, iterations=6) * CELL

    def relit(self, move: HeadMove, light: np.ndarray) -> np.ndarray | None:
        """(rows, columns) float32: factor on each node's linear light; None without a turn.

        light  of relight.read_light
        """
        if max(abs(move.pitch), abs(move.yaw), abs(move.roll)) < 1e-3:
            return None
        return factors(self._depth, CELL, self._lit, light, self._turned(move))

    def _turned(self, move: HeadMove) -> np.ndarray:
        """(3, 3) float32 rotation from the head as it is to the turned one."""
        pitch, yaw, roll = self._pose.euler
        turned_yaw = _limited_yaw(yaw, move.yaw * _YAW_GAIN)
        turned = euler_to_matrix(pitch + move.pitch * _PITCH_GAIN, turned_yaw, roll + move.roll)
        return (turned @ self._pose.rotation.T).astype(np.float32)

    def _forward(self, move: HeadMove) -> np.ndarray:
        relative = self._turned(move)
        pivot = self._pivot.astype(np.float32)
        x, y, z = self._x - pivot[0], self._y - pivot[1], self._depth - pivot[2]
        new_x, new_y, new_z = (row[0] * x + row[1] * y + row[2] * z for row in relative)
        scale = self._pose.scale
        distance = _CAMERA_DISTANCE * scale
        perspective = (distance + z) / (distance + new_z) * move.scale
        offset_x = (new_x * perspective - x + move.shift_x) * self._weight
        offset_y = (new_y * perspective - y + move.shift_y) * self._weight
        for pin in self._pins:
            # What lies beyond the picture's border is not known, so nothing may come from there.
            (across, down), entering = pin.inward, pin.entering(offset_x, offset_y)
            reach = max(_STRETCH_REACH * float(entering[pin.is_near].max()), _PIN_REACH * scale)
            entering *= 1.0 - smoothstep(pin.inside / reach)
            offset_x, offset_y = offset_x - across * entering, offset_y - down * entering
        return np.dstack([offset_x, offset_y]).astype(np.float32)

    # What follows waits for a head that moves.

    @late
    def _pins(self) -> list[_Pin]:
        """The borders of the picture that cut the person."""
        height, width = self._picture_shape[:2]
        corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]])
        to_crop = self._crop.picture_to_crop
        corners = corners @ to_crop[:, :2].T + to_crop[:, 2]
        pins: list[_Pin] = []
        for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            length = float(np.hypot(*(end - start)))
            along = (end - start) / max(length, 1e-6)
            inward = np.array([-along[1], along[0]])
            steps = np.arange(0.0, max(length, 1.0))
            foot = start + steps[:, None] * along + 2.0 * inward
            cut = self._held(_at_points(self._person(), foot) > 0.5)
            x, y = self._x - start[0], self._y - start[1]
            hold = np.interp(x * along[0] + y * along[1], steps, cut).astype(np.float32)
            inside = (x * inward[0] + y * inward[1]).astype(np.float32)
            is_near = (np.abs(inside) < 2 * CELL) & (hold > 0.02)
            if is_near.any():
                pins.append(_Pin(inward.astype(np.float32), inside, hold, is_near))
        return pins

    def _held(self, is_cut: np.ndarray) -> np.ndarray:
        """(N,) float 0..1 of N pixels along a border, (N, 1) bool where it cuts the person."""
        scale = self._pose.scale
        width = max(1, round(_SHORTEST_CUT * scale)) | 1
        # A crown that only just touches the border is not held: it would become a peak.
        cut = cv2.morphologyEx(is_cut.astype(np.float32), cv2.MORPH_OPEN, np.ones((width, 1)))
        beyond = max(1, round(2.0 * _CUT_MARGIN * scale)) | 1
        cut = cv2.dilate(cut, np.ones((beyond, 1)))
        return cv2.GaussianBlur(cut, (1, beyond), _CUT_MARGIN * scale / 2.0)[:, 0]

    @late
    def _lit(self) -> np.ndarray:
        """0..1: how far light on every node changes with the head."""
        shape = (self.window.columns, self.window.rows)
        return on_head(self._weight, cv2.resize(self._person(), shape) > 0.9)

    @late
    def _depth(self) -> np.ndarray:
        """Depth of every node: the face's own, the skull's around it, the neck's below."""
        pose, landmarks = self._pose, self._landmarks
        angles = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)

        def ring(radius_x: float, radius_y: float, depth: float) -> np.ndarray:
            x, y = radius_x * np.cos(angles), -2.0 + radius_y * np.sin(angles)
            return pose.to_picture(np.stack([x, y, np.full_like(x, depth)], axis=1))

        skull = ring(9.2, 11.5, 0.2)
        skull = skull[skull[:, 1] < landmarks[CHIN, 1]]
        neck = pose.to_picture(
            np.array(
                [
                    [-4, 10, -1.0],
                    [0, 10.5, -2.5],
                    [4, 10, -1.0],
                    [-5, 13, 0],
                    [0, 13, -1],
                    [5, 13, 0],
                ]
            )
        )
        known = np.concatenate([landmarks[:MESH_COUNT], skull, ring(15, 17, 1.0), neck])
        interpolator = MultiquadricInterpolator(
            known[:, :2], known[:, 2:], softness=3.0, smoothing=6.0
        )
        # Every second node is enough for what is blurred next.
        half = (self.window.columns + 2) // 2
        coarse = Window(0.0, 0.0, 2.0 * CELL, half, half)
        depth = interpolator(coarse.nodes()).reshape(half, half)
        x, y = self._x / (2.0 * CELL), self._y / (2.0 * CELL)
        depth = cv2.remap(depth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return cv2.GaussianBlur(depth, (0, 0), _DEPTH_BLUR * pose.scale / CELL)

    @late
    def _weight(self) -> np.ndarray:
        """How far every node follows the head: 1 on it, 0 on background, body and crop border."""
        shape, crop_size = (self.window.rows, self.window.columns), self._crop.size
        nodes = self.window.nodes()
        roll = np.radians(self._pose.euler[2])
        cosine, sine = np.cos(roll), np.sin(roll)
        upright = (nodes - self._pose.translation[:2]) / self._pose.scale
        across = (upright @ [cosine, sine]).reshape(shape)
        down = (upright @ [-sine, cosine]).reshape(shape)
        around = 1.0 - smoothstep((np.hypot(across / 9.5, (down + 2.5) / 12.5) - 0.95) / 0.85)
        neck = 1.0 - smoothstep((down - 6.5) / 7.5)

        is_person = cv2.resize((self._person() > 0.4).astype(np.uint8), shape[::-1]) > 0
        is_person |= np.hypot(across / 7.6, (down + 1.0) / 10.5) < 1.0
        away = cv2.distanceTransform((~is_person).astype(np.uint8), cv2.DIST_L2, 5)
        near_person = 1.0 - smoothstep(away * CELL / self._pose.scale / 4.0)

        x, y = self._x, self._y
        edge = np.minimum(np.minimum(x, crop_size - x), np.minimum(y, crop_size - y))
        border = smoothstep(edge / (_BORDER_SHARE * crop_size))
        weight = cv2.GaussianBlur(
            (around * neck * near_person * border).astype(np.float32), (0, 0), 1.5
        )
        return weight * border.astype(np.float32)


def _at_points(field: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N, 1) values of a field over the crop at (N, 2) positions, 0 outside."""
    inside = np.clip(np.rint(points), 0, np.array(field.shape[::-1]) - 1).astype(int)
    is_in = (np.abs(inside - points) < 1.0).all(axis=1)
    return (field[inside[:, 1], inside[:, 0]] * is_in).astype(np.float32)[:, None]


def _limited_yaw(source: float, change: float) -> float:
    """The yaw to turn to: a head that is already turned turns less, in both directions.

    Back, a cheek would come into view that the picture does not show; further, what is left of the
    far side would be squeezed. Turning away from the camera slows down beyond _FULL_YAW.
    """
    turned = float(smoothstep((abs(source) - _TURNED_FROM) / (_TURNED - _TURNED_FROM)))
    room = _ROOM_BACK if change * source < 0.0 else _ROOM_FURTHER
    change /= 1.0 + turned * abs(change) / room
    wanted = source + change
    limit = max(_FULL_YAW, abs(source))
    if abs(wanted) <= limit:
        return wanted
    beyond = abs(wanted) - limit
    # What has been slowed down for a turned source need not be slowed down again.
    slowed = float(np.tanh(beyond / _YAW_ROOM)) * _YAW_ROOM
    beyond = slowed + turned * (beyond - slowed)
    return float(np.sign(wanted) * (limit + beyond))
