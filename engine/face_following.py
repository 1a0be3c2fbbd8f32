"""Following faces of a moving source through all of its frames: how a face track is made."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .analytic.encoder import GAZE_COLUMNS, amounts_of, encode
from .face_track import FaceTrack, box_of
from .faces.candidates import keypoints_of
from .faces.canonical import (
    LANDMARK_COUNT,
    NOSE_TIP,
    STABLE,
    euler_to_matrix,
    matrix_to_euler,
)
from .faces.measures import MEASURE_NAMES
from .motion import KEYPOINT_COUNT, Face
from .moving_source import MovingSource
from .renderer import ReportedError
from .tracking.curves import (
    HEAD_NOISE,
    HEAD_WINDOW_S,
    MEASURE_NOISE,
    gapless,
    ratios_of,
    shots_of,
    usual_of,
)
from .tracking.performers import people_of
from .tracking.tracker import FACE_LIMIT, Tracker
from .tracking.tracklet import LANDMARK_CM, PIVOT, Tracklet

Report = Callable[[float, str], None]

_SMOOTH = 0.5  # see performance.smoothing.steadied
_READ_SHARE = 0.93  # of the time; the rest goes into smoothing
# Of a landmark in the face frame: noise, and how far in time it is averaged over.
_NOISE_CM, _WINDOW_S = 0.012, 0.08
_FACE_CM = 14.0  # width of an average face
_COLUMNS = 90  # coordinates that are smoothed at once
# So short a loss within a shot, frames and seconds, is motion blur rather than a hand.
_BRIDGED, _BRIDGED_S = 3, 0.13
_NEAREST = 0.5  # of a face's side between it and who was followed there
_SMALLER = 0.6  # of the smallest face: what may be looked for
_HINT = "Choose a frame that shows the face well, or draw its box there."


def follow_faces(
    source: MovingSource, frame: int, faces: Sequence[Face], report: Report
) -> FaceTrack:
    """The track of faces that were found in a source frame, or in that which they name.

    report  is told (0..1, text) after each frame and may raise to stop
    Raises ReportedError (bad_clip, bad_face, no_models).
    """
    frames = [source.check(frame if face.frame is None else face.frame) for face in faces]
    text = f"Following faces in '{source.name}'"
    tracker, factor = _followed(
        source, faces, set(frames), lambda part: report(_READ_SHARE * part, text)
    )
    cuts = tuple(tracker.cuts)
    people = _chosen(people_of(tracker.tracklets), frames, faces, factor)
    rows: list[dict[str, np.ndarray]] = []
    notices = [f"'{source.name}' is damaged: {source.damage}."] if source.damage else []
    for number, (face, person) in enumerate(zip(faces, people, strict=True)):
        if person is None:
            text = f"Face {number + 1} of '{source.name}' cannot be followed."
            if not any(people):
                raise ReportedError("bad_face", text, _HINT)
            notices.append(f"{text} {_HINT}")
            rows.append(_at_rest(face, source.frame_count))
            continue
        done = number / len(people)
        told = f"Smoothing face {number + 1} of {len(people)}"
        rows.append(
            _smoothed(
                person, source.times, cuts, factor,
                partial(report, _READ_SHARE + (1.0 - _READ_SHARE) * done, told),
            )
        )  # fmt: skip
    return FaceTrack(
        clip=source.fingerprint,
        frame=frame,
        faces=tuple(faces),
        size=source.size,
        times=np.asarray(source.times, np.float64),
        cuts=cuts,
        notices=tuple(notices),
        **{name: np.stack([row[name] for row in rows]) for name in rows[0]},
    )


def _followed(
    source: MovingSource,
    faces: Sequence[Face],
    frames: Container[int],
    report: Callable[[float], None],
) -> tuple[Tracker, float]:
    """Every face of every frame, and source pixels per pixel of the views that were looked at.

    frames  in which faces have been found
    """
    fraction = 0.0

    def step() -> None:
        report(fraction)

    tracker: Tracker | None = None
    factor = 1.0
    for number in range(source.frame_count):
        fraction = number / source.frame_count
        step()
        view = source.view(number, step)
        if tracker is None:
            factor = source.size[0] / view.shape[1]
            sides = [min(f.box[2] - f.box[0], f.box[3] - f.box[1]) for f in faces]
            tracker = Tracker(
                face_limit=max(FACE_LIMIT, len(faces) + 2),
                smallest=_SMALLER * min(sides) / factor,
                keeps_landmarks=True,
            )
        tracker.take(float(source.times[number]), view, must_look=number in frames)
    assert tracker is not None
    return tracker, factor


def _chosen(
    people: list[list[Tracklet]], frames: Sequence[int], faces: Sequence[Face], factor: float
) -> list[list[Tracklet] | None]:
    """Who each face is, by where everybody was in its frame; None for nobody."""
    pairs: list[tuple[float, int, int]] = []
    for number, person in enumerate(people):
        for index, (frame, face) in enumerate(zip(frames, faces, strict=True)):
            nose = _nose(person, frame)
            if nose is None:
                continue
            x0, y0, x1, y1 = face.box
            middle = face.keypoints[2] if face.keypoints else ((x0 + x1) / 2, (y0 + y1) / 2)
            off = float(np.hypot(*(factor * nose - middle))) / max(x1 - x0, y1 - y0)
            if off < _NEAREST:
                pairs.append((off, index, number))
    chosen: list[list[Tracklet] | None] = [None] * len(faces)
    taken: set[int] = set()
    for _, index, number in sorted(pairs):
        if chosen[index] is None and number not in taken:
            chosen[index] = people[number]
            taken.add(number)
    return chosen


def _nose(person: list[Tracklet], frame: int) -> np.ndarray | None:
    """(2,) view pixels of a performer's nose, None where it was not seen."""
    for part in person:
        if part.first <= frame <= part.last:
            row = frame - part.first
            points = part.landmarks[row][NOSE_TIP].astype(np.float64) * LANDMARK_CM
            turned = part.rotations[row] @ (points - PIVOT[0])
            return part.places[row] + part.scales[row] * turned[:2]
    return None


def _smoothed(
    person: list[Tracklet],
    times: np.ndarray,
    cuts: tuple[int, ...],
    factor: float,
    tick: Callable[[], None],
) -> dict[str, np.ndarray]:
    """The arrays of one face, see FaceTrack."""
    count = len(times)
    is_seen = np.zeros(count, bool)
    head = np.full((count, 6), np.nan)
    measures = np.full((count, len(MEASURE_NAMES)), np.nan)
    shape = np.zeros((count, LANDMARK_COUNT * 3), np.int16)
    for part in person:
        is_seen[part.rows] = True
        head[part.rows, :3] = [matrix_to_euler(np.asarray(r)) for r in part.rotations]
        head[part.rows, 3] = np.log(part.scales)
        head[part.rows, 4:] = part.places
        measures[part.rows] = part.measures
        shape[part.rows] = np.reshape(part.landmarks, (len(part.rows), -1))
    seen = np.flatnonzero(is_seen)
    head[seen, :3] = np.unwrap(head[seen, :3], axis=0, period=360.0)
    usual = float(np.exp(np.median(head[seen, 3])))
    head[:, 4:] /= usual
    was_read = _Placed.of(head, usual, factor)
    shown = {row: was_read.points(row, shape[row]) for row in seen.tolist()}
    head = gapless(head, times, cuts, HEAD_NOISE, HEAD_WINDOW_S, _SMOOTH)
    noise, window = np.array([MEASURE_NOISE[name] for name in MEASURE_NAMES]).T
    measures = gapless(measures, times, cuts, noise, window, _SMOOTH)
    ratios = ratios_of(measures)
    for first in range(0, shape.shape[1], _COLUMNS):
        tick()
        columns = slice(first, first + _COLUMNS)
        shape[:, columns] = _steady_shape(shape[:, columns], is_seen, times, cuts)
    placed = _Placed.of(head, usual, factor)
    for row, points in shown.items():
        tick()
        placed.anchor(row, shape[row], points)
    rotation, scale, place = placed
    result = {
        "is_seen": _bridged(is_seen, times, cuts),
        "pose": np.array([matrix_to_euler(turn) for turn in rotation], np.float32),
        "rotation": rotation.astype(np.float32),
        "scale": scale.astype(np.float32),
        "place": place.astype(np.float32),
        "ratios": np.column_stack([ratios.eyes.mean(axis=1), ratios.lips[:, 0]]),
        "landmarks": shape.reshape(count, LANDMARK_COUNT, 3),
        **_own_motion(measures, usual_of(measures[seen])),
    }
    return result | _places(result, tick)


def _own_motion(measures: np.ndarray, usual: np.ndarray) -> dict[str, np.ndarray]:
    """Gaze and expression of (T, M) measures of a face; usual: (M,) where it does little."""
    lids_open = usual[[MEASURE_NAMES.index("lid_left"), MEASURE_NAMES.index("lid_right")]]
    changes = encode(measures, lids_open) - encode(usual[None], lids_open)
    gaze = amounts_of(measures, lids_open)[:, GAZE_COLUMNS]
    return {
        "gaze": np.clip(gaze, -1.0, 1.0).astype(np.float32),
        "expression": changes.reshape(len(measures), -1),
    }


def _at_rest(face: Face, count: int) -> dict[str, np.ndarray]:
    """The arrays of a face that is never seen: where it was found."""
    keypoints = face.keypoints or ((0.0, 0.0),) * 6
    pose = np.array([face.pitch, face.yaw, face.roll])
    x0, y0, x1, y1 = face.box
    row = {
        "box": face.box, "keypoints": keypoints, "pose": pose, "rotation": euler_to_matrix(*pose),
        "scale": (x1 - x0) / _FACE_CM, "place": ((x0 + x1) / 2, (y0 + y1) / 2),
        "ratios": (face.eyes_open, face.lips_open), "gaze": (0.0, 0.0),
        "expression": np.zeros(3 * KEYPOINT_COUNT),
    }  # fmt: skip
    arrays = {
        name: np.repeat(np.asarray(value, np.float32)[None], count, axis=0)
        for name, value in row.items()
    }
    landmarks = np.zeros((count, LANDMARK_COUNT, 3), np.int16)
    return {**arrays, "landmarks": landmarks, "is_seen": np.zeros(count, bool)}


def _bridged(is_seen: np.ndarray, times: np.ndarray, cuts: tuple[int, ...]) -> np.ndarray:
    """Where a face was seen, or was lost for a moment only."""
    result = is_seen.copy()
    for shot in shots_of(len(times), cuts):
        seen = shot.start + np.flatnonzero(is_seen[shot])
        for before, after in pairwise(seen.tolist()):
            is_short = after - before - 1 <= _BRIDGED
            if is_short and times[after] - times[before] <= _BRIDGED_S + 1e-6:
                result[before:after] = True
    return result


class _Placed(NamedTuple):
    """Where a face is in every frame: (T, 3, 3) rotation, (T,) pixels per cm, (T, 2) pixels of the
    neck joint."""

    rotation: np.ndarray
    scale: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, head: np.ndarray, usual: float, factor: float) -> _Placed:
        """Of (T, 6) angles in degrees, logarithm of the size, and place over the usual size.

        factor  source pixels per pixel of the views that were looked at
        """
        rotation = np.stack([euler_to_matrix(*angles) for angles in head[:, :3]])
        place = (usual * head[:, 4:] + 0.5) * factor - 0.5
        return cls(rotation, np.exp(head[:, 3]) * factor, place)

    def points(self, row: int, shape: np.ndarray) -> np.ndarray:
        """(S, 2) pixels of what keeps its place on a face, of (1434,) steps of its landmarks."""
        points = shape.reshape(-1, 3)[list(STABLE)] * LANDMARK_CM - PIVOT[0]
        return self.scale[row] * (points @ self.rotation[row].T)[:, :2] + self.place[row]

    def anchor(self, row: int, shape: np.ndarray, wanted: np.ndarray) -> None:
        """Shift, turn and scale a frame's face onto (S, 2) points, in place.

        A head that is filmed from the hand shakes with all of the picture: smoothed, it would
        slide over what it belongs to.
        """
        own = self.points(row, shape)
        middle, aim = own.mean(axis=0), wanted.mean(axis=0)
        x, y = (own - middle).T
        u, v = (wanted - aim).T
        length = float((x * x + y * y).sum())
        cosine, sine = float((x * u + y * v).sum()) / length, float((x * v - y * u).sum()) / length
        turn = np.array([[cosine, -sine], [sine, cosine]])
        growth = float(np.hypot(cosine, sine))
        self.place[row] = turn @ (self.place[row] - middle) + aim
        self.scale[row] *= growth
        self.rotation[row, :2] = turn @ self.rotation[row, :2] / growth


def _steady_shape(
    steps: np.ndarray, is_seen: np.ndarray, times: np.ndarray, cuts: tuple[int, ...]
) -> np.ndarray:
    """(T, C) coordinates smoothed within shots, unseen ones between their neighbours."""
    values = steps.astype(np.float64) * LANDMARK_CM
    values[~is_seen] = np.nan
    noise, window = (np.full(values.shape[1], value) for value in (_NOISE_CM, _WINDOW_S))
    values = gapless(values, times, cuts, noise, window, _SMOOTH)
    return np.rint(values / LANDMARK_CM).astype(np.int16)


def _places(rows: dict[str, np.ndarray], tick: Callable[[], None]) -> dict[str, np.ndarray]:
    """Boxes and keypoints in pixels."""
    count = len(rows["scale"])
    boxes = np.empty((count, 4), np.float32)
    keypoints = np.empty((count, 6, 2), np.float32)
    for row in range(count):
        if row % 64 == 0:
            tick()
        points = rows["landmarks"][row] * LANDMARK_CM - PIVOT[0]
        points = rows["scale"][row] * points @ rows["rotation"][row].T
        points[:, :2] += rows["place"][row]
        boxes[row] = box_of(points)
        keypoints[row] = keypoints_of(points)
    return {"box": boxes, "keypoints": keypoints}
