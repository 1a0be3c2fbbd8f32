"""The same face in another frame of a clip: quick, alike, and the same in whatever order."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from skimage import data

from engine.analytic.portrait import AnalyticPortrait
from engine.analytic.renderer import AnalyticRenderer
from engine.controls import motion_from_controls
from engine.faces.canonical import EYES
from engine.faces.find import find_faces, view_8bit
from engine.faces.mesh import fit_landmarks
from engine.motion import Face, Motion
from engine.renderer import SourceImage

EDITS = {
    "smile": {"smile": 0.8},
    "blink": {"blink": 1.0},
    "jaw": {"mouth_open": 0.6},
    "turn": {"head_yaw": 12.0},
    "gaze": {"gaze_x": 0.7},
}


class Frame(NamedTuple):
    image: SourceImage
    face: Face
    landmarks: np.ndarray


def frame_of(picture: np.ndarray, shift: float, turn: float, light: float) -> Frame:
    """The picture as a camera would see it a moment later."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, 1.0)
    matrix[:, 2] += shift
    moved = cv2.warpAffine(
        picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    moved[..., :3] = np.rint(np.clip(moved[..., :3] * light, 0, 255))
    moved[..., 3] = 255
    image = SourceImage(moved, "srgb")
    face = find_faces(image)[0]
    return Frame(image, face, fit_landmarks(view_8bit(image), face))


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    picture = data.astronaut()[:320, 64:384]
    rgba = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    return [
        frame_of(rgba, shift, turn, light)
        for shift, turn, light in ((0.0, 0.0, 1.0), (5.3, 2.0, 1.0), (-7.1, -3.0, 0.55))
    ]


@pytest.fixture(scope="module")
def reference(frames: list[Frame]) -> AnalyticPortrait:
    return AnalyticRenderer().open(frames[0].image, frames[0].face)


@pytest.fixture(scope="module")
def fresh(frames: list[Frame]) -> list[AnalyticPortrait]:
    """Later frames, each opened by itself."""
    return [AnalyticRenderer().open(frame.image, frame.face) for frame in frames[1:]]


def reopened(reference: AnalyticPortrait, frame: Frame) -> AnalyticPortrait:
    return AnalyticRenderer().reopen(frame.image, frame.face, reference, frame.landmarks)


def motion_of(face: Face, edit: str) -> Motion:
    return motion_from_controls(EDITS[edit], eyes_open=face.eyes_open, lips_open=face.lips_open)


def rendered(portrait: AnalyticPortrait, frame: Frame, edit: str) -> np.ndarray:
    canvas = frame.image.pixels.copy()
    portrait.render(motion_of(frame.face, edit), canvas)
    return canvas


def likeness(first: np.ndarray, second: np.ndarray, source: np.ndarray) -> float:
    """PSNR in dB where the second differs from the source."""
    changed = (second != source).any(axis=2)
    error = (first[changed].astype(float) - second[changed]) ** 2
    return float(10.0 * np.log10(255.0**2 / max(error.mean(), 1e-9)))


def test_a_neutral_motion_leaves_the_frame(frames, reference):
    for frame in frames[1:]:
        canvas = frame.image.pixels.copy()
        reopened(reference, frame).render(Motion(), canvas)
        assert (canvas == frame.image.pixels).all()


@pytest.mark.parametrize(
    ("edit", "least"), [("smile", 40.0), ("blink", 32.0), ("jaw", 34.0), ("turn", 40.0)]
)
def test_it_moves_as_if_opened_by_itself(frames, reference, fresh, edit, least):
    for frame, portrait in zip(frames[1:], fresh, strict=True):
        own = rendered(portrait, frame, edit)
        other = rendered(reopened(reference, frame), frame, edit)
        assert likeness(other, own, frame.image.pixels) > least


def test_no_frame_depends_on_those_before_it(frames, reference):
    alone = {edit: rendered(reopened(reference, frames[2]), frames[2], edit) for edit in EDITS}
    reopened(reference, frames[1]).render(
        motion_of(frames[1].face, "jaw"), frames[1].image.pixels.copy()
    )
    again = reopened(reference, frames[2])
    for edit in reversed(EDITS):
        assert (rendered(again, frames[2], edit) == alone[edit]).all(), edit


def test_drawing_is_no_step_of_the_fitting(frames, reference):
    """Frames are drawn in threads of their own, where no other request may be worked on."""
    person, steps = replace(reference.person, has_neighbours=True), []
    frame = frames[1]
    portrait = AnalyticPortrait(
        frame.image, frame.face, lambda: steps.append(1), frame.landmarks, person
    )
    assert steps
    steps.clear()
    for edit in EDITS:
        rendered(portrait, frame, edit)
    assert not steps


def test_the_inside_of_the_mouth_follows_the_light(frames, reference):
    """The same opened mouth in a frame that is about half as bright."""
    mouths = []
    for frame in frames:
        portrait = reopened(reference, frame)
        opened = rendered(portrait, frame, "jaw")
        middle = frame.landmarks[[13, 14], :2].mean(axis=0)
        side = 0.25 * np.hypot(*(frame.landmarks[291, :2] - frame.landmarks[61, :2]))
        (x0, y0), (x1, y1) = ((middle + sign * side).astype(int) for sign in (-1, 1))
        part = opened[y0:y1, x0:x1, :3].astype(float)
        mouths.append(float(np.percentile(part.mean(axis=2), 90)))
    assert mouths[1] == pytest.approx(mouths[0], rel=0.06)
    assert mouths[2] == pytest.approx(0.55 * mouths[0], rel=0.12)


def test_shut_eyes_can_be_asked_for_anything(frames, reference):
    """A frame in the middle of a blink: next to nothing of the eyeballs is left to look at."""
    landmarks = frames[1].landmarks.copy()
    for eye in EYES:
        landmarks[list(eye.upper)] = landmarks[list(eye.lower)]
    blinking = frames[1]._replace(landmarks=landmarks)
    portrait = reopened(reference, blinking)
    for edit in EDITS:
        assert (rendered(portrait, blinking, edit) != frames[1].image.pixels).any(), edit
    portrait.render(Motion(eyes_open=0.4), frames[1].image.pixels.copy())
