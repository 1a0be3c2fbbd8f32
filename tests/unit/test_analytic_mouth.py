"""Mouths that show teeth in the picture: opened and shut by the analytic renderer."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from engine.analytic.renderer import AnalyticRenderer
from engine.controls import motion_from_controls
from engine.faces.canonical import LIP_LOWER_INNER, LIP_UPPER_INNER
from engine.faces.find import find_faces, view_8bit
from engine.faces.mesh import fit_landmarks
from engine.renderer import SourceImage

ENLARGED = 2


@pytest.fixture(scope="module", params=["teeth to the lip", "a dark gap under the teeth"])
def smile(request):
    """(portrait, (H, W, 4) uint8 picture, (478, 3) landmarks) of somebody who shows her teeth."""
    rgb = np.ascontiguousarray(data.astronaut()[:320, 64:384])
    rgb = cv2.resize(rgb, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
    face = find_faces(SourceImage(with_alpha(rgb), "srgb"))[0]
    landmarks = fit_landmarks(rgb, face)
    if request.param == "a dark gap under the teeth":
        lower = landmarks[list(LIP_LOWER_INNER), :2] + [0.0, 0.5 * ENLARGED]
        line = np.rint(lower[1:-1] * 16).astype(np.int32)
        dark = cv2.polylines(rgb.copy(), [line], False, (45, 18, 20), ENLARGED + 1, cv2.LINE_AA, 4)
        rgb = cv2.GaussianBlur(dark, (0, 0), 0.3 * ENLARGED)
    picture = with_alpha(rgb)
    image = SourceImage(picture, "srgb")
    return AnalyticRenderer().open(image, find_faces(image)[0]), picture, landmarks


def with_alpha(rgb: np.ndarray) -> np.ndarray:
    return np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])


def lab(rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).astype(np.float32)


def moved(subject, **values: float) -> np.ndarray:
    portrait, picture, _ = subject
    face = portrait.face
    canvas = picture.copy()
    motion = motion_from_controls(values, eyes_open=face.eyes_open, lips_open=face.lips_open)
    portrait.render(motion, canvas)
    return canvas[..., :3]


def teeth_of(smile) -> tuple[np.ndarray, int, int]:
    """The upper incisors' part of the picture and its x and y."""
    _, picture, landmarks = smile
    upper, lower = landmarks[list(LIP_UPPER_INNER), :2], landmarks[list(LIP_LOWER_INNER), :2]
    height = lower[5, 1] - upper[5, 1]
    x0, x1 = int(upper[3, 0]), int(upper[7, 0])
    y0, y1 = int(upper[5, 1] + 0.4 * height), int(upper[5, 1] + 0.85 * height)
    return picture[y0:y1, x0:x1, :3], x0, y0


@pytest.mark.parametrize("amount", [0.35, 0.7, 1.0])
def test_upper_teeth_stay_with_the_skull_and_keep_their_size(smile, amount):
    teeth, x, y = teeth_of(smile)
    result = moved(smile, mouth_open=amount)
    reach = 6 * ENLARGED
    found = {}
    for scale in (0.8, 0.9, 1.0, 1.1, 1.2, 1.4):
        sized = cv2.resize(teeth, None, fx=1.0, fy=scale, interpolation=cv2.INTER_CUBIC)
        height, width = sized.shape[:2]
        around = result[y - reach : y + height + reach, x - reach : x + width + reach]
        match = cv2.matchTemplate(around, sized, cv2.TM_CCOEFF_NORMED)
        found[scale] = (float(match.max()), np.unravel_index(int(match.argmax()), match.shape))
    best = max(found, key=lambda scale: found[scale][0])
    score, (row, column) = found[best]
    assert best in (0.9, 1.0, 1.1)
    assert score > 0.85
    assert abs(column - reach) <= ENLARGED and abs(row - reach) <= ENLARGED


@pytest.mark.parametrize("amount", [0.7, 1.0])
def test_a_dark_gap_opens_below_the_teeth(smile, amount):
    _, picture, landmarks = smile
    lower = landmarks[14, :2]
    step = ENLARGED * np.arange(1, 7)
    column = moved(smile, mouth_open=amount)[np.rint(lower[1] + step).astype(int), int(lower[0])]
    skin = view_8bit(SourceImage(picture, "srgb"))[int(landmarks[4, 1]), int(landmarks[4, 0])]
    assert column.mean(axis=1).min() < 0.5 * skin.mean()


@pytest.mark.parametrize(
    "values", [{"lips_open": 0.0}, {"mouth_open": -1.0}, {"lips_open": 0.0, "smile": 0.5}]
)
def test_lips_meet_over_the_teeth(smile, values):
    _, picture, landmarks = smile
    upper, lower = landmarks[list(LIP_UPPER_INNER), :2], landmarks[list(LIP_LOWER_INNER), :2]
    outline = np.concatenate([upper, lower[::-1]])
    inside = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.rint(outline).astype(np.int32)], 1)
    around = cv2.dilate(inside, np.ones((3 * ENLARGED, 3), np.uint8)) > 0
    middle = upper[5].astype(int)
    lip = picture[int(lower[5, 1]) + 4 * ENLARGED, middle[0], :3]
    skin = picture[middle[1] - 9 * ENLARGED, middle[0], :3]
    teeth = np.median(teeth_of(smile)[0].reshape(-1, 3), axis=0)
    known = lab(np.stack([teeth, lip, skin]).astype(np.uint8)[None])[0]

    def share(rgb: np.ndarray) -> float:
        colours = lab(rgb)[around]
        nearest = np.linalg.norm(colours[:, None] - known, axis=2).argmin(axis=1)
        return float((nearest == 0).mean())

    before, after = share(picture[..., :3]), share(moved(smile, **values))
    assert before > 0.15
    assert after < 0.36 * before


def test_lips_close_steadily(smile):
    portrait = smile[0]
    rest = portrait.face.lips_open
    gaps = []
    for share in (1.0, 0.75, 0.5, 0.25, 0.0):
        landmarks = fit_landmarks(
            np.ascontiguousarray(moved(smile, lips_open=share * rest)), portrait.face
        )
        gaps.append(landmarks[14, 1] - landmarks[13, 1])
    assert (np.diff(gaps) < 0.0).all()
    assert gaps[-1] < 0.3 * gaps[0]
