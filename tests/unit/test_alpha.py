"""Glows, colours at alpha 0 in associated alpha, survive motion, compositing and files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes.model_set import FakeModelSet
from skimage import data

from engine.alpha import glow_of, premultiplied, straight, without_glow
from engine.analytic.renderer import AnalyticRenderer
from engine.compose import Composition
from engine.faces.find import find_faces
from engine.liveportrait.renderer import LivePortraitRenderer
from engine.motion import Face, Motion
from engine.renderer import FacePortrait, SourceImage
from engine.srgb import linear_from_srgb

RANDOM = np.random.default_rng(5)
MOVED = Motion(yaw=6.0, translation=(0.06, 0.04, 0.0), scale=1.04)
# Disc beside the cheek and disc in the corner: centre (x, y), light.
NEAR, FAR, RADIUS = (72, 135), (300, 300), 9
LIGHT = np.float32([4.0, 2.0, 1.0])


def glowing_cut_out() -> np.ndarray:
    """(320, 320, 4) straight linear: the astronaut's head cut out, with two glowing discs."""
    head = linear_from_srgb(data.astronaut()[:320, 64:384] / np.float32(255))
    alpha = np.zeros(head.shape[:2], np.float32)
    cv2.ellipse(alpha, (160, 135), (75, 120), 0, 0, 360, 1.0, -1)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 2.0)
    alpha[alpha < 0.01] = 0.0
    pixels = np.dstack([head, alpha]).astype(np.float32)
    for centre in (NEAR, FAR):
        cv2.circle(pixels, centre, RADIUS, (*LIGHT.tolist(), 0.0), -1)
    clear = (pixels[..., 3] == 0.0) & (pixels[..., 0] != LIGHT[0])
    pixels[clear] = 0.0
    return pixels


def analytic(image: SourceImage) -> FacePortrait:
    return AnalyticRenderer().open(image, find_faces(image)[0])


def networks(image: SourceImage) -> FacePortrait:
    return LivePortraitRenderer(FakeModelSet()).open(image, Face(box=(105.0, 70.0, 215.0, 205.0)))


def disc_light(pixels: np.ndarray, centre: tuple[int, int], reach: int = 40) -> np.ndarray:
    """(3,) light of the associated picture around a place where nothing is opaque."""
    x, y = centre
    part = pixels[y - reach : y + reach, x - reach : x + reach]
    clear = part[..., 3] < 1e-3
    return (part[..., :3] * clear[..., None]).sum(axis=(0, 1))


@pytest.mark.parametrize("open_face", [analytic, networks])
def test_a_glow_beside_the_face_moves_and_keeps_its_light(open_face) -> None:
    source = glowing_cut_out()
    portrait = open_face(SourceImage(source, "linear", has_emission=True))
    canvas = source.copy()
    rectangle = portrait.render(MOVED, canvas)
    rows, columns = rectangle.slices
    assert NEAR[1] in range(rows.start, rows.stop) and NEAR[0] in range(columns.start, columns.stop)
    assert np.isfinite(canvas).all()
    before, after = premultiplied(source, True), premultiplied(canvas, True)
    assert np.abs(before - after).max() > 0.1
    assert disc_light(after, NEAR) == pytest.approx(disc_light(before, NEAR), rel=0.12)
    assert after[..., :3].max() == pytest.approx(LIGHT[0], rel=0.05)
    far = slice(FAR[1] - RADIUS, FAR[1] + RADIUS), slice(FAR[0] - RADIUS, FAR[0] + RADIUS)
    assert disc_light(after, FAR, 15) == pytest.approx(disc_light(before, FAR, 15), rel=1e-4)
    assert (canvas[far][..., 3] < 1e-6).all()


@pytest.mark.parametrize("open_face", [analytic, networks])
def test_hidden_colours_stay_hidden(open_face) -> None:
    """The same pixels without the flag: a picture whose clear pixels hold rubbish."""
    source = glowing_cut_out()
    portrait = open_face(SourceImage(source, "linear"))
    canvas = source.copy()
    portrait.render(MOVED, canvas)
    assert premultiplied(canvas)[..., :3].max() < 1.5


@pytest.mark.parametrize("depth", ["16", "32"])
def test_files_keep_glows(tmp_path: Path, depth: str) -> None:
    source = glowing_cut_out()
    for has_emission in (True, False):
        image = SourceImage(source, "linear", has_emission)
        composition = Composition(image, [])
        options = {"path": str(tmp_path / "x.exr"), "format": "OPEN_EXR", "color_depth": depth}
        written: list[np.ndarray] = []
        file = composition.writer(options)
        written.append(file.args[1])
        x, y = FAR
        expected = LIGHT if has_emission else 0.0
        assert written[0][y, x, :3] == pytest.approx(np.broadcast_to(expected, 3))
        assert written[0][y, x, 3] == 0.0


@pytest.mark.parametrize("has_emission", [False, True])
def test_there_and_back(has_emission: bool) -> None:
    pixels = RANDOM.uniform(0.0, 5.0, (30, 40, 4)).astype(np.float32)
    pixels[..., 3] = np.clip(pixels[..., 3] - 1.0, 0.0, 1.0)
    back = straight(premultiplied(pixels, has_emission), has_emission)
    kept = np.ones(pixels.shape[:2], bool) if has_emission else pixels[..., 3] > 1e-3
    assert back[kept] == pytest.approx(pixels[kept], rel=1e-4)
    assert glow_of(pixels) + without_glow(pixels) == pytest.approx(pixels)


def test_a_breath_of_alpha_loses_no_light() -> None:
    """What resampling leaves between a glow and an edge: hardly any alpha, all of the light."""
    associated = np.float32([[[3.0, 2.0, 1.0, 1e-9], [3.0, 2.0, 1.0, 1e-4]]])
    back = premultiplied(straight(associated.copy(), True), True)
    assert back[..., :3] == pytest.approx(associated[..., :3], rel=1e-5)
