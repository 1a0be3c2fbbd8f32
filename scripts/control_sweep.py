"""Move one face by one control through its range, and measure the rendered pictures.

The landmark model looks at each result; a control that works gives a rising line of measured over
requested values. closed_loop.py runs this over a folder of pictures.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from engine.controls import CONTROLS_BY_NAME, motion_from_controls  # noqa: E402
from engine.faces.canonical import EYES, Pose, fit_pose  # noqa: E402
from engine.faces.crop import Crop, face_crop  # noqa: E402
from engine.faces.find import find_faces, view_8bit  # noqa: E402
from engine.faces.measures import Measures, measure  # noqa: E402
from engine.faces.mesh import fit_landmarks  # noqa: E402
from engine.motion import Face  # noqa: E402
from engine.renderer import FacePortrait, Renderer, ReportedError, SourceImage  # noqa: E402

# Requested values where the slider's own range is not the best thing to sweep.
SWEEPS: dict[str, tuple[float, ...]] = {
    "eyes_open": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
    "lips_open": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8),
    "blink": (0.0, 0.25, 0.5, 0.75, 1.0),
    "mouth_open": (0.0, 0.25, 0.5, 0.75, 1.0),
    "smile": (-0.25, 0.0, 0.3, 0.6, 1.0),
    "head_scale": (0.9, 1.0, 1.1, 1.2),
    "purse": (-1.0, -0.5, 0.0, 0.5, 1.0),
    "smile_left": (-0.25, 0.0, 0.3, 0.6, 1.0),
    "smile_right": (-0.25, 0.0, 0.3, 0.6, 1.0),
    "upper_lip": (0.0, 0.25, 0.5, 0.75, 1.0),
}
SWEEP_STEPS = 5
# What a control is measured together with.
COMPANIONS: dict[str, dict[str, float]] = {"lid_offset": {"blink": 1.0}}

# A head is an ellipse in the face frame, cm: (centre x, y), (half width, half height).
HEAD_CENTRE, HEAD_HALF = (0.0, -2.5), (9.5, 12.5)
HEAD_DEPTHS = (0.0, -7.0)  # of the ears and of the cheeks, cm
BACKGROUND_FROM = 1.25  # background begins at this many half axes
MIDDLE_STRIP = 1.2  # cm to each side of the middle that belong to both sides of a face


@dataclass(frozen=True)
class Reading:
    """What one look at a rendered picture gives, beside what is known of the source."""

    landmarks: np.ndarray
    pose: Pose
    measures: Measures
    crop: Crop
    source_pose: Pose

    def position(self, axis: int) -> float:
        """Shift of the head in half crop widths, along the crop's axes."""
        shift = self.pose.translation[:2] - self.source_pose.translation[:2]
        matrix = self.crop.picture_to_crop[:, :2]
        return float((matrix @ shift)[axis] / (self.crop.size / 2))

    def closed_line(self) -> float:
        """How far the line between the lids lies below the eye corners, in eye widths."""
        points = self.pose.to_face_frame(self.landmarks)
        depths = []
        for eye in EYES:
            lids = points[[*eye.upper[3:6], *eye.lower[3:6]], 1].mean()
            corners = points[list(eye.corners)]
            width = np.linalg.norm(corners[0] - corners[1])
            depths.append((lids - corners[:, 1].mean()) / width)
        return float(np.mean(depths))


# What to look at for each control, so that a working control gives a rising line.
# Units: degrees for angles, ratios for ratios, a factor for the scale, half crop widths for
# shifts, centimetres of the canonical face for lips and brows, lid ratios, half eye widths.
READERS: dict[str, Callable[[Reading], float]] = {
    "head_pitch": lambda r: float(r.pose.euler[0]),
    "head_yaw": lambda r: float(r.pose.euler[1]),
    "head_roll": lambda r: float(r.pose.euler[2]),
    "head_x": lambda r: r.position(0),
    "head_y": lambda r: -r.position(1),
    "head_scale": lambda r: r.pose.scale / r.source_pose.scale,
    "blink": lambda r: -(r.measures.lid_left + r.measures.lid_right) / 2,
    "wink_left": lambda r: -r.measures.lid_left,
    "wink_right": lambda r: -r.measures.lid_right,
    "eyes_open": lambda r: r.measures.eyes_open,
    "gaze_x": lambda r: r.measures.gaze_x,
    "gaze_y": lambda r: -r.measures.gaze_y,
    "lid_offset": lambda r: r.closed_line(),
    "brows": lambda r: (r.measures.brow_left + r.measures.brow_right) / 2,
    "smile": lambda r: (r.measures.lift_left + r.measures.lift_right) / 2,
    "mouth_open": lambda r: r.measures.lip_gap,
    "lips_open": lambda r: r.measures.lips_open,
    "grin": lambda r: r.measures.mouth_width,
    "purse": lambda r: -r.measures.mouth_width,
    "pout": lambda r: r.measures.mouth_x,
    "brow_inner_left": lambda r: r.measures.brow_inner_left,
    "brow_inner_right": lambda r: r.measures.brow_inner_right,
    "brow_outer_left": lambda r: r.measures.brow_outer_left,
    "brow_outer_right": lambda r: r.measures.brow_outer_right,
    "smile_left": lambda r: r.measures.lift_left,
    "smile_right": lambda r: r.measures.lift_right,
    "jaw_x": lambda r: r.measures.chin_x,
    "upper_lip": lambda r: r.measures.lip_gap - r.measures.upper_lip,
    "cheek_left": lambda r: r.measures.cheek_left,
    "cheek_right": lambda r: r.measures.cheek_right,
    "cheek_puff": lambda r: r.measures.cheek_width,
}


@dataclass
class Sweep:
    """One control on one picture. `measured` holds NaN where no face was recognised."""

    control: str
    requested: list[float]
    measured: list[float] = field(default_factory=list)
    # Mean change of the face on the control's own side and on the other one, grey levels.
    sides: list[tuple[float, float]] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)  # of the background, mean grey levels
    milliseconds: list[float] = field(default_factory=list)
    crops: list[np.ndarray] = field(default_factory=list)

    @property
    def correlation(self) -> float:
        """Pearson's r; 0 where the face was lost or nothing moved."""
        values = np.array(self.measured)
        if not np.isfinite(values).all() or np.ptp(values) < 1e-9:
            return 0.0
        return float(np.corrcoef(self.requested, values)[0, 1])

    @property
    def background(self) -> float:
        """Mean change of the background where it changes most, grey levels."""
        return max(self.changes)

    @property
    def other_side(self) -> float:
        """How much the other side of the face changes, as a share of this one; 0 without sides."""
        own, other = np.array(self.sides or [(1.0, 0.0)]).sum(axis=0)
        return float(other / max(own, 1e-6))

    @property
    def slope(self) -> float:
        """Measured change per requested unit; 0 where the face was lost."""
        values = np.array(self.measured)
        if not np.isfinite(values).all():
            return 0.0
        return float(np.polyfit(self.requested, values, 1)[0])


@dataclass
class Subject:
    """A picture with its opened face and what does not change while it moves."""

    name: str
    image: SourceImage
    face: Face
    portrait: FacePortrait
    landmarks: np.ndarray
    crop: Crop
    background: np.ndarray  # (size, size) bool in the crop
    halves: tuple[np.ndarray, np.ndarray]  # (size, size) bool, the face's left and its right
    before: np.ndarray  # the crop of the source, (size, size, 3) uint8
    others: list[Face]  # the picture's other faces

    def read(self, rgb: np.ndarray) -> Reading | None:
        """Measure a rendered picture; None when the landmark model sees no face any more."""
        try:
            landmarks = fit_landmarks(rgb, self.face)
        except ReportedError:
            return None
        pose = fit_pose(landmarks)
        measures = measure(landmarks, pose)
        return Reading(landmarks, pose, measures, self.crop, fit_pose(self.landmarks))


def requested_values(name: str) -> list[float]:
    """The values of a control to render."""
    if name in SWEEPS:
        return list(SWEEPS[name])
    low, high = CONTROLS_BY_NAME[name].soft_range
    return [float(v) for v in np.linspace(low, high, SWEEP_STEPS)]


def read_picture(path: Path) -> SourceImage:
    """A picture file as RGBA. Raises ReportedError "bad_image"."""
    data = np.fromfile(path, np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if pixels is not None and pixels.ndim == 3 and pixels.shape[2] == 4:
        rgba = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA)
        if rgba.dtype != np.uint8:
            rgba = rgba.astype(np.float32) / (65535.0 if rgba.dtype == np.uint16 else 1.0)
        return SourceImage(rgba, "srgb")
    # Read again without alpha: 8 bits, and turned as the EXIF tag says.
    colour = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if colour is None:
        raise ReportedError("bad_image", f"'{path.name}' is not a picture that can be read.")
    return SourceImage(cv2.cvtColor(colour, cv2.COLOR_BGR2RGBA), "srgb")


def open_subject(path: Path, renderer: Renderer) -> Subject:
    """The largest face of a picture, opened. Raises ReportedError where there is no good one."""
    image = read_picture(path)
    faces = find_faces(image)
    if not faces:
        raise ReportedError("no_face", "No face found.")
    face = next((f for f in faces if not f.problem), faces[0])
    if face.problem:
        raise ReportedError(face.problem["code"], face.problem["message"])
    view = view_8bit(image)
    landmarks = fit_landmarks(view, face)
    crop = face_crop(landmarks)
    return Subject(
        path.name,
        image,
        face,
        renderer.open(image, face),
        landmarks,
        crop,
        background_of(crop, landmarks),
        halves_of(crop, landmarks),
        crop.extract(view, cv2.BORDER_CONSTANT),
        [other for other in faces if other is not face and other.outline],
    )


def background_of(crop: Crop, landmarks: np.ndarray) -> np.ndarray:
    """(size, size) bool, true away from the head."""
    pose = fit_pose(crop.landmarks_to_crop(landmarks))
    rows, columns = np.mgrid[: crop.size, : crop.size].astype(np.float64)
    is_head = np.zeros(rows.shape, bool)
    angle = np.arctan2(pose.rotation[1, 0], pose.rotation[0, 0])
    cosine, sine = np.cos(angle), np.sin(angle)
    for depth in HEAD_DEPTHS:  # a turned head covers what its back and its front cover
        centre = pose.to_picture(np.array([[*HEAD_CENTRE, depth]]))[0]
        shift_x, shift_y = columns - centre[0], rows - centre[1]
        x = (shift_x * cosine + shift_y * sine) / (pose.scale * HEAD_HALF[0])
        y = (shift_y * cosine - shift_x * sine) / (pose.scale * HEAD_HALF[1])
        is_head |= np.hypot(x, y) < BACKGROUND_FROM
    return ~is_head


def halves_of(crop: Crop, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two (size, size) bool: the head left and right of its middle, without a strip between."""
    pose = fit_pose(crop.landmarks_to_crop(landmarks))
    rows, columns = np.mgrid[: crop.size, : crop.size].astype(np.float64)
    across, middle = pose.face_to_picture[:, 0], pose.to_picture(np.array([[0.0, 0.0, -7.0]]))[0]
    shift_x, shift_y = columns - middle[0], rows - middle[1]
    x = (shift_x * across[0] + shift_y * across[1]) / (across @ across)
    is_head = ~background_of(crop, landmarks)
    return is_head & (x < -MIDDLE_STRIP), is_head & (x > MIDDLE_STRIP)


def render(subject: Subject, values: dict[str, float]) -> tuple[np.ndarray, float]:
    """(H, W, 3) uint8 picture of these control values, and the milliseconds it took."""
    motion = motion_from_controls(
        values, eyes_open=subject.face.eyes_open, lips_open=subject.face.lips_open
    )
    canvas = subject.image.pixels.copy()
    start = time.perf_counter()
    subject.portrait.render(motion, canvas)
    elapsed = 1e3 * (time.perf_counter() - start)
    return view_8bit(SourceImage(canvas, subject.image.encoding)), elapsed


def sweep_control(subject: Subject, name: str) -> Sweep:
    """Render and measure one control through its range."""
    sweep = Sweep(name, requested_values(name))
    companions = COMPANIONS.get(name, {})
    still, _ = render(subject, dict(companions))
    still_crop = subject.crop.extract(still, cv2.BORDER_CONSTANT).astype(np.int16)
    for value in sweep.requested:
        rgb, elapsed = render(subject, {**companions, name: value})
        reading = subject.read(rgb)
        sweep.measured.append(READERS[name](reading) if reading else float("nan"))
        sweep.milliseconds.append(elapsed)
        crop = subject.crop.extract(rgb, cv2.BORDER_CONSTANT)
        sweep.crops.append(crop)
        difference = np.abs(crop.astype(np.int16) - still_crop)
        change = difference[subject.background]
        sweep.changes.append(float(change.mean()) if change.size else 0.0)
        if CONTROLS_BY_NAME[name].mirror:
            left, right = (float(difference[half].mean()) for half in subject.halves)
            sweep.sides.append((left, right) if name.endswith("_left") else (right, left))
    return sweep
