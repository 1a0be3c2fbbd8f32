"""How a performer's own face answers the sliders, tried on a frame of the clip.

The landmark model reads less of a face than it does, and of every face another part. So a frame
that shows the performer nearly at rest is opened like a portrait, every slider is moved on it, and
the model reads what comes out: what it read in the clip then means what it means on this face.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np

from .analytic.portrait import AnalyticPortrait
from .analytic.renderer import AnalyticRenderer
from .analytic.response_fit import LEVELS, Response, directions
from .analytic.slider_fit import FITTED
from .controls import motion_from_controls
from .faces.canonical import fit_pose
from .faces.features import FEATURE_COUNT, features_of
from .faces.find import find_faces
from .faces.mesh import View
from .part_files import write_whole
from .renderer import ReportedError, SourceImage
from .tracking.performers import FaceTrack
from .tracking.steady import follow, read_face, view_of

Report = Callable[[float, str], None]

# Counts up when the same face would answer differently.
VERSION = 3

_TEXT = "Trying the performer's face"
_VIEW_PX = 640.0  # side of the network's view of the face; larger faces are made smaller
_SMALLEST_VIEW_PX = 90.0
_PICTURE_SIDES = 1.9  # of the picture that is opened, in sides of that view
_WIDEST_YAW_DEG, _WIDEST_PITCH_DEG = 25.0, 20.0
# What heads do meanwhile, and no slider of the face means.
_HEAD_MOVES: tuple[Mapping[str, float], ...] = tuple(
    {name: value + part * size}
    for name, value, size in (
        ("head_yaw", 0.0, 15.0), ("head_pitch", 0.0, 10.0), ("head_roll", 0.0, 8.0),
        ("head_x", 0.0, 0.6), ("head_y", 0.0, 0.6), ("head_scale", 1.0, 0.1),
    )
    for part in (-1.0, -0.5, 0.5, 1.0)
)  # fmt: skip
_NOISY_LOOKS, _NOISE, _SHIFT_PX = 6, 3.0, 1.0  # grey levels; of the picture
# How far the view may be off while a clip is followed: sides to the right and down, logarithm of
# the size, radians.
_VIEW_ERRORS = tuple(
    tuple(sign * size * (place == axis) for place in range(4))
    for axis, size in enumerate((0.008, 0.008, 0.01, 0.012))
    for sign in (-1.0, 1.0)
)
_FOLLOWING = 6  # frames that a view may take to come after a face that does something
_MIXTURES, _MIXED = 16, (2, 3)  # of sliders at once
_MIXTURE_WEIGHT = 2.0
_SEED = 1


def response_of(frame: np.ndarray, track: FaceTrack, row: int, report: Report) -> Response | None:
    """The response of a performer's face, None where this frame cannot be opened as a portrait.

    frame   (H, W, 3) uint8 sRGB, the clip's frame number `row`
    report  is told (0..1, text) between two pictures and may raise to stop
    Raises ReportedError "no_models".
    """
    report(0.0, _TEXT)
    part = _picture(frame, track, row)
    if part is None:
        return None
    picture, view = part
    image = SourceImage(np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)]), "srgb")
    try:
        faces = [face for face in find_faces(image) if face.keypoints and not face.problem]
        if not faces:
            return None
        face = min(faces, key=lambda f: np.hypot(*(np.array(f.keypoints[2]) - view.centre)))
        portrait = AnalyticRenderer().open(image, face, lambda: report(0.0, _TEXT))
    except ReportedError as error:
        if error.code != "bad_face":
            raise
        return None
    return _Studio(image, portrait, view, report).response()


def _picture(frame: np.ndarray, track: FaceTrack, row: int) -> tuple[np.ndarray, View] | None:
    """The frame's part around the face, no larger than it needs to be, and where the face is."""
    pose = track.pose(row)
    pitch, yaw, _ = pose.euler
    x, y, side, angle = map(float, track.view[row])
    view = View(np.array([x, y]), side, angle)
    is_turned = abs(yaw) > _WIDEST_YAW_DEG or abs(pitch) > _WIDEST_PITCH_DEG
    if is_turned or view_of(pose).side < _SMALLEST_VIEW_PX:
        return None
    half = 0.5 * _PICTURE_SIDES * view.side
    limits = np.array(frame.shape[1::-1])
    low = np.clip(np.floor(view.centre - half), 0, limits).astype(int)
    high = np.clip(np.ceil(view.centre + half), 0, limits).astype(int)
    if (high - low).min() < view.side / 2:
        return None
    part = frame[low[1] : high[1], low[0] : high[0]]
    scale = min(1.0, _VIEW_PX / view.side)
    size = round(scale * part.shape[1]), round(scale * part.shape[0])
    small = np.ascontiguousarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA))
    return small, View(scale * (view.centre - low), scale * view.side, view.angle)


class _Studio:
    """Moves one face and looks at it."""

    def __init__(
        self, image: SourceImage, portrait: AnalyticPortrait, view: View, report: Report
    ) -> None:
        self._image, self._portrait, self._report = image, portrait, report
        self._done = 0
        count = len(directions()) * len(LEVELS) + len(_HEAD_MOVES) + _NOISY_LOOKS + _MIXTURES
        self._total = count + len(_VIEW_ERRORS) + 1
        self._random = np.random.default_rng(_SEED)
        still = np.ascontiguousarray(image.pixels[..., :3])
        # The clip was read in this very view: in another one the network says something else.
        self._view = view
        self._pose = fit_pose(read_face(still, view).landmarks)
        self._rest = self._look(still)

    def response(self) -> Response:
        """Everything."""
        looks = [
            [self._moved({FITTED[way.index]: level * way.end}) for level in LEVELS]
            for way in directions()
        ]
        features = np.array(looks)
        errors = [self._moved(values) for values in _HEAD_MOVES]
        noisy = np.array(list(self._noisy_looks()))
        errors += list((noisy - noisy.mean(axis=0)) / np.sqrt(_NOISY_LOOKS))
        errors += list(self._view_errors())
        errors += list(self._mixture_errors(features))
        return Response(
            features.astype(np.float32),
            np.array(errors, np.float32),
        )

    def _moved(self, values: Mapping[str, float]) -> np.ndarray:
        """The difference that control values make."""
        face = self._portrait.face
        motion = motion_from_controls(values, eyes_open=face.eyes_open, lips_open=face.lips_open)
        canvas = self._image.pixels.copy()
        self._portrait.render(motion, canvas)
        return self._look(np.ascontiguousarray(canvas[..., :3])) - self._rest

    def _look(self, rgb: np.ndarray) -> np.ndarray:
        """(FEATURE_COUNT,) of a picture."""
        self._report(self._done / self._total, _TEXT)
        self._done += 1
        view, before = self._view, self._pose
        for _ in range(_FOLLOWING):
            mesh = read_face(rgb, view)
            pose = fit_pose(mesh.landmarks)
            looked, view, before = view, follow(view, pose, before), pose
            if view.side == looked.side and (view.centre == looked.centre).all():
                break
        return features_of(mesh.landmarks, pose)

    def _noisy_looks(self) -> Iterator[np.ndarray]:
        still = self._image.pixels[..., :3]
        for _ in range(_NOISY_LOOKS):
            noise = self._random.normal(0.0, _NOISE, still.shape)
            noisy = np.clip(still + noise, 0, 255).astype(np.uint8)
            shift = self._random.uniform(-_SHIFT_PX, _SHIFT_PX, 2)
            matrix = np.array([[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]]])
            size = (still.shape[1], still.shape[0])
            yield self._look(cv2.warpAffine(noisy, matrix, size, borderMode=cv2.BORDER_REPLICATE))

    def _view_errors(self) -> Iterator[np.ndarray]:
        """What is read of the still face from views that are as far off as they may be."""
        still = np.ascontiguousarray(self._image.pixels[..., :3])
        view = self._view
        for right, down, size, turn in _VIEW_ERRORS:
            centre = view.centre + view.side * np.array([right, down])
            moved = View(centre, view.side * float(np.exp(size)), view.angle + turn)
            mesh = read_face(still, moved)
            yield features_of(mesh.landmarks, fit_pose(mesh.landmarks)) - self._rest

    def _mixture_errors(self, features: np.ndarray) -> Iterator[np.ndarray]:
        """How far mixtures of sliders are from the sums of what each does."""
        ways = directions()
        for _ in range(_MIXTURES):
            count = int(self._random.integers(*_MIXED, endpoint=True))
            chosen = self._random.choice(len(ways), count, replace=False)
            values, total = {}, np.zeros(features.shape[2])
            for number in chosen:
                step = int(self._random.integers(len(LEVELS)))
                name = FITTED[ways[number].index]
                if name not in values:
                    values[name] = LEVELS[step] * ways[number].end
                    total += features[number, step]
            yield _MIXTURE_WEIGHT * (self._moved(values) - total) / np.sqrt(_MIXTURES)


def save_response(response: Response, path: Path) -> None:
    """Write to a .npz file, whole or not at all. Raises OSError."""

    def write(part: Path) -> None:
        with part.open("wb") as stream:
            np.savez(stream, **response._asdict())

    write_whole(path, write)


def load_response(path: Path) -> Response:
    """Read what save_response wrote. Raises OSError or ValueError for anything else."""
    try:
        with np.load(path, allow_pickle=False) as data:
            response = Response(**{name: data[name] for name in Response._fields})
    except (KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"'{path.name}' is damaged") from error
    shape = (len(directions()), len(LEVELS))
    if response.features.shape != (*shape, FEATURE_COUNT):
        raise ValueError(f"'{path.name}' is of other sliders")
    return response
