"""A head that turns is lit anew: light stays where it is."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from engine.analytic.relight import relit
from engine.analytic.renderer import AnalyticRenderer
from engine.controls import motion_from_controls
from engine.faces.find import find_faces, view_8bit
from engine.faces.mesh import fit_landmarks
from engine.renderer import SourceImage

MIDDLE = (4, 5, 195, 151, 9)  # nose and forehead


@pytest.fixture(scope="module")
def linear() -> np.ndarray:
    """(300, 320, 4) float32: the astronaut's head, linear light."""
    rgb = data.astronaut()[:300, 64:384] / np.float32(255.0)
    return np.dstack([rgb**2.2, np.ones(rgb.shape[:2], np.float32)])


@pytest.fixture(scope="module")
def face(linear):
    return find_faces(SourceImage(linear, "linear"))[0]


def lit_from(linear: np.ndarray, face, side: float) -> np.ndarray:
    """The picture under a lamp on the left (-1) or the right (1) of the face."""
    x = (np.arange(linear.shape[1]) - (face.box[0] + face.box[2]) / 2) / (face.box[2] - face.box[0])
    shade = 1.0 + 0.8 * side * np.clip(x, -0.6, 0.6)
    result = linear.copy()
    result[..., :3] *= shade[:, None].astype(np.float32)
    return result


def turned(pixels: np.ndarray, face, **values: float) -> np.ndarray:
    canvas = pixels.copy()
    portrait = AnalyticRenderer().open(SourceImage(pixels, "linear"), face)
    portrait.render(motion_from_controls(values), canvas)
    return canvas


def brightness(pixels: np.ndarray, face) -> float:
    """Linear light of the middle of the face, wherever it is in the picture."""
    landmarks = fit_landmarks(view_8bit(SourceImage(pixels, "linear")), face)
    x, y = np.rint(landmarks[list(MIDDLE), :2]).astype(int).T
    around = [pixels[y + i, x + j, :3] for i in (-2, 0, 2) for j in (-2, 0, 2)]
    return float(np.median(around))


def test_a_face_that_turns_to_the_lamp_gets_brighter(linear, face):
    gains = []
    for side in (-1.0, 1.0):
        lit = lit_from(linear, face, side)
        left, right = (brightness(turned(lit, face, head_yaw=yaw), face) for yaw in (20.0, -20.0))
        gains.append(left / right)
    # The astronaut's own lamp stands on the left, too.
    assert gains[0] > 1.2
    assert gains[0] > 1.15 * gains[1]


@pytest.mark.parametrize("k", [0.01, 50.0])
def test_what_is_lit_anew_follows_the_exposure(linear, face, k):
    lit = lit_from(linear, face, 1.0)
    values = {"head_yaw": -18.0, "head_pitch": 8.0}
    once = turned(lit, face, **values)
    scaled = lit * np.array([k, k, k, 1.0], np.float32)
    error = np.abs(turned(scaled, face, **values) / np.float32([k, k, k, 1.0]) - once)
    assert np.percentile(error, 99.9) < 2e-3


def test_only_colours_are_multiplied_and_only_where_it_is_asked():
    pixels = np.full((9, 12, 4), [0.5, np.inf, 8.0, 0.25], np.float32)
    factor = np.ones((9, 12), np.float32)
    factor[:6, 3:6] = 0.5
    before = pixels.copy()
    relit(pixels, factor)
    assert (pixels[..., 3] == 0.25).all()
    assert np.isinf(pixels[..., 1]).all()
    assert pixels[1, 4, 0] == pytest.approx(0.25)
    np.testing.assert_array_equal(pixels[:, 6:], before[:, 6:])


def test_a_head_that_only_shifts_keeps_its_light(linear, face):
    portrait = AnalyticRenderer().open(SourceImage(linear, "linear"), face)
    canvas = linear.copy()
    portrait.render(motion_from_controls({"head_x": 0.1, "head_scale": 1.1}), canvas)
    assert brightness(canvas, face) == pytest.approx(brightness(linear, face), rel=0.03)
