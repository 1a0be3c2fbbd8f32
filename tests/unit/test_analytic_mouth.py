"""Mouths that show teeth in the picture: opened and shut by the analytic renderer."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from engine.analytic.decoder import Amounts
from engine.analytic.deformers import deformers
from engine.analytic.field import ExpressionField
from engine.analytic.renderer import AnalyticRenderer
from engine.controls import motion_from_controls
from engine.faces.canonical import (
    CANONICAL,
    LIP_LOWER_INNER,
    LIP_UPPER_INNER,
    MESH_COUNT,
    Pose,
)
from engine.faces.find import find_faces, view_8bit
from engine.faces.measures import measure
from engine.faces.mesh import fit_landmarks
from engine.renderer import SourceImage
from engine.srgb import linear_from_srgb, srgb_from_linear
from engine.viseme_table import LETTERS, mouth_chart

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
    "values",
    [
        {"lips_open": 0.0},
        {"mouth_open": -1.0},
        {"lips_open": 0.0, "smile": 0.5},
        mouth_chart(LETTERS)["A"].values,
    ],
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


def test_a_smile_that_is_pursed_is_narrow_and_nearly_shut(smile):
    portrait, _, landmarks = smile
    pursed = dict(mouth_chart(LETTERS)["F"].values)
    result = np.ascontiguousarray(moved(smile, **pursed))
    before, after = measure(landmarks), measure(fit_landmarks(result, portrait.face))
    assert after.mouth_width < 0.84 * before.mouth_width
    assert after.lip_gap < 0.65 * before.lip_gap
    assert after.lift_left < before.lift_left - 0.3 and after.lift_right < before.lift_right - 0.3


def test_a_mouth_that_the_jaw_holds_open_is_pursed_to_a_round_one():
    scale = 14.0
    screaming = CANONICAL.copy()
    screaming[:MESH_COUNT] += 2.0 * deformers()["jaw"]
    field = ExpressionField(scale * screaming + 256.0, Pose(scale, np.eye(3), np.full(3, 256.0)))
    gap = np.subtract(*(field.points[list(r)] for r in (LIP_LOWER_INNER, LIP_UPPER_INNER)))[:, 1]
    moved = field.move_vertices(field.weights(Amounts(lips_round=1.0), 0.0))
    left = np.subtract(*(moved[list(r)] for r in (LIP_LOWER_INNER, LIP_UPPER_INNER)))[:, 1]
    assert gap.max() > 2.5 * scale
    assert 0.4 * gap.max() < left.max() < 0.8 * gap.max()


# ---- light -------------------------------------------------------------------------------------


def opened(rgba: np.ndarray, encoding: str, **values: float) -> tuple[np.ndarray, np.ndarray]:
    """The moved picture in linear light, and where its mouth is."""
    image = SourceImage(rgba, encoding)
    portrait = AnalyticRenderer().open(image, find_faces(image)[0])
    face, canvas = portrait.face, rgba.copy()
    motion = motion_from_controls(values, eyes_open=face.eyes_open, lips_open=face.lips_open)
    portrait.render(motion, canvas)
    rgb = canvas[..., :3]
    if encoding == "srgb":
        rgb = linear_from_srgb(rgb / 255.0)
    landmarks = fit_landmarks(view_8bit(SourceImage(canvas, encoding)), face)
    low = landmarks[[*LIP_UPPER_INNER, *LIP_LOWER_INNER], :2].min(axis=0).astype(int)
    high = landmarks[[*LIP_UPPER_INNER, *LIP_LOWER_INNER], :2].max(axis=0).astype(int)
    return rgb[low[1] : high[1], low[0] : high[0]], rgb


def closed_mouth() -> np.ndarray:
    """(H, W, 3) linear light: a face whose lips are shut, so that all of a mouth is painted."""
    return linear_from_srgb(data.astronaut()[:320, 64:384] / 255.0)


@pytest.mark.parametrize("factor", [0.01, 0.2, 4.0, 50.0])
def test_scene_linear_mouths_follow_the_exposure(factor):
    light = closed_mouth()
    alpha = np.ones((*light.shape[:2], 1), np.float32)
    _, plain = opened(np.concatenate([light, alpha], axis=2), "linear", mouth_open=1.0)
    _, scaled = opened(np.concatenate([light * factor, alpha], axis=2), "linear", mouth_open=1.0)
    scaled = scaled.astype(np.float64) / factor
    assert np.abs(scaled - plain).mean() < 0.002
    assert np.percentile(np.abs(scaled - plain), 99.5) < 0.05


@pytest.mark.parametrize("factor", [0.06, 0.25])
def test_dark_8_bit_mouths_are_dark(factor):
    light = closed_mouth()
    mouth, _ = opened(with_alpha(to_8_bit(light)), "srgb", mouth_open=1.0)
    dark_mouth, _ = opened(with_alpha(to_8_bit(light * factor)), "srgb", mouth_open=1.0)
    for share in (10, 50, 90):
        expected = float(np.percentile(mouth.mean(axis=2), share))
        found = float(np.percentile(dark_mouth.mean(axis=2), share)) / factor
        assert found == pytest.approx(expected, abs=0.06)


def test_sepia_mouths_are_sepia():
    grey = closed_mouth() @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    tint = np.array([1.08, 0.97, 0.72], np.float32)
    sepia = with_alpha(to_8_bit(np.clip(grey[..., None] * tint, 0.0, 1.0)))
    mouth, _ = opened(sepia, "srgb", mouth_open=1.0, smile=0.5)
    bright = mouth[mouth.mean(axis=2) > 0.05]
    ratio = np.median(bright / bright.mean(axis=1, keepdims=True), axis=0)
    assert ratio == pytest.approx(tint / tint.mean(), abs=0.05)


def test_grain_goes_on_in_the_mouth():
    """The cavity of a grainy picture is as grainy as its skin, that of a smooth one is not."""
    light = cv2.resize(closed_mouth(), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    rng = np.random.default_rng(3)
    grain = 1.0 + 0.15 * rng.standard_normal((*light.shape[:2], 1)).astype(np.float32)
    roughness = []
    for shown in (light, light * grain):
        picture = with_alpha(to_8_bit(np.clip(shown, 0.0, 1.0)))
        image = SourceImage(picture, "srgb")
        face = find_faces(image)[0]
        landmarks = fit_landmarks(np.ascontiguousarray(picture[..., :3]), face)
        mouth, result = opened(picture, "srgb", mouth_open=1.0)
        x, y = landmarks[14, :2].astype(int)
        cavity = result[y + 4 : y + 12, x - 8 : x + 8].mean(axis=2)
        smooth = cv2.GaussianBlur(cavity, (0, 0), 2.0)
        roughness.append(float(np.std(cavity / smooth)))
        assert mouth.size
    assert roughness[1] > 1.5 * roughness[0]
    assert roughness[1] > 0.03


def to_8_bit(light: np.ndarray) -> np.ndarray:
    return np.rint(srgb_from_linear(np.clip(light, 0.0, 1.0)) * 255.0).astype(np.uint8)
