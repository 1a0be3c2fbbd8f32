"""Lids of the analytic renderer, looked at in the pixels.

The landmark network sees no difference between a shut lid and a dark smear: what a lid must look
like is measured in colours. Eye widths are from corner to corner.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import pytest
from skimage import data

from engine.analytic.portrait import AnalyticPortrait
from engine.analytic.renderer import AnalyticRenderer
from engine.controls import motion_from_controls
from engine.faces.canonical import EYES
from engine.faces.find import find_faces
from engine.faces.mesh import fit_landmarks
from engine.motion import Face
from engine.renderer import SourceImage

FINER = 3  # the eyes are 30 pixels wide: everything is looked at this much larger


class Subject(NamedTuple):
    """A face and its landmarks before anything was painted on it."""

    rgb: np.ndarray
    face: Face
    landmarks: np.ndarray

    def points(self, indices) -> np.ndarray:
        return self.landmarks[list(indices), :2]

    def between(self, first, second) -> np.ndarray:
        """(H, W) bool between two rings."""
        mask = np.zeros(self.rgb.shape[:2], np.uint8)
        outline = np.concatenate([self.points(first), self.points(second)[::-1]])
        cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
        return mask > 0


@pytest.fixture(scope="module")
def subject() -> Subject:
    crop = data.astronaut()[:260, 90:360]
    rgb = np.ascontiguousarray(cv2.resize(crop, None, fx=FINER, fy=FINER))
    face = find_faces(SourceImage(rgba(rgb), "srgb"))[0]
    return Subject(rgb, face, fit_landmarks(rgb, face))


def rgba(rgb: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)]))


def shut(subject: Subject, rgb: np.ndarray, blink: float = 1.0) -> np.ndarray:
    pixels = rgba(rgb)
    portrait = AnalyticRenderer().open(SourceImage(pixels, "srgb"), subject.face)
    face = subject.face
    portrait.render(
        motion_from_controls({"blink": blink}, eyes_open=face.eyes_open, lips_open=face.lips_open),
        pixels,
    )
    return pixels[..., :3]


def lab(rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(rgb.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)


def lid_differences(subject: Subject, result: np.ndarray) -> list[float]:
    """ΔE of each shut lid, its line of lashes left out, from the skin below the eye."""
    found = []
    for eye in EYES:
        colours = lab(result)
        opening = colours[subject.between(eye.upper, eye.lower)]
        lid = np.median(opening[opening[:, 0] > np.percentile(opening[:, 0], 30)], axis=0)
        skin = np.median(colours[subject.between(eye.lower2, eye.lower3)], axis=0)
        found.append(float(np.linalg.norm(lid - skin)))
    return found


def with_eye_shadow(subject: Subject) -> np.ndarray:
    """Dark violet make-up from the lashes to the crease, and black along them."""
    painted = subject.rgb.copy()
    for eye in EYES:
        area = subject.between(eye.upper, eye.upper2).astype(np.float32)
        area = np.clip(cv2.GaussianBlur(area, (0, 0), 6.0) * 1.5, 0.0, 1.0)
        area[subject.between(eye.upper, eye.lower)] = 0.0
        painted = painted + area[..., None] * 0.9 * (np.array([58, 30, 66]) - painted)
        line = np.rint(subject.points(eye.upper)).astype(np.int32)
        painted = np.ascontiguousarray(painted.astype(np.uint8))
        cv2.polylines(painted, [line], False, (15, 10, 12), 6, cv2.LINE_AA)
    return painted


def in_black_and_white(subject: Subject) -> np.ndarray:
    grey = cv2.cvtColor(subject.rgb, cv2.COLOR_RGB2GRAY)
    return np.dstack([cv2.convertScaleAbs(grey, alpha=1.2, beta=-30)] * 3)


def by_night(subject: Subject) -> np.ndarray:
    return (subject.rgb * np.array([0.10, 0.13, 0.25])).astype(np.uint8)


def with_low_brows(subject: Subject) -> np.ndarray:
    """Thick black hair right above the lids."""
    painted, random = subject.rgb.copy(), np.random.default_rng(3)
    for eye in EYES:
        low, high = subject.points(eye.upper2[1:-1]), subject.points(eye.upper3[1:-1])
        for _ in range(700):
            at = random.uniform(0, len(low) - 1.001)
            i, share = int(at), at % 1.0
            foot = low[i] + share * (low[i + 1] - low[i])
            top = high[i] + share * (high[i + 1] - high[i])
            start = foot + random.uniform(0.3, 1.0) * (top - foot)
            end = start + (top - foot) * 0.25 + random.normal(0.0, 5.0, 2)
            ends = [tuple(np.rint(p).astype(int).tolist()) for p in (start, end)]
            shade = int(random.uniform(15, 50))
            cv2.line(painted, *ends, (shade, shade, shade), 2, cv2.LINE_AA)
    return painted


def with_glasses(subject: Subject) -> np.ndarray:
    """Thick dark frames around both eyes."""
    painted = subject.rgb.copy()
    for eye in EYES:
        corners = subject.points(eye.corners)
        width = float(np.hypot(*(corners[1] - corners[0])))
        middle = tuple(np.rint(corners.mean(axis=0)).astype(int).tolist())
        half = (round(0.95 * width), round(0.62 * width))
        cv2.ellipse(painted, middle, half, 0, 0, 360, (25, 20, 18), 9, cv2.LINE_AA)
    return painted


LOOKS = {
    "as photographed": lambda subject: subject.rgb,
    "eye shadow": with_eye_shadow,
    "black and white": in_black_and_white,
    "night": by_night,
    "glasses": with_glasses,
    "low brows": with_low_brows,
}


@pytest.mark.parametrize("look", LOOKS)
def test_shut_lids_have_the_tone_of_the_skin_around_them(subject, look):
    source = LOOKS[look](subject)
    assert max(lid_differences(subject, shut(subject, source))) < 8.0


@pytest.mark.parametrize("look", ["as photographed", "low brows", "glasses"])
def test_brows_and_frames_stay_where_they_are(subject, look):
    source = LOOKS[look](subject)
    result = shut(subject, source)
    for eye in EYES:
        corners = subject.points(eye.corners)
        width = float(np.hypot(*(corners[1] - corners[0])))
        brow = subject.points(eye.brow)
        x0, y0 = np.rint(brow.min(axis=0)).astype(int)
        x1, y1 = np.rint(brow.max(axis=0)).astype(int)
        reach = 12
        around = result[y0 - reach : y1 + reach, x0:x1]
        match = cv2.matchTemplate(around, source[y0:y1, x0:x1], cv2.TM_SQDIFF)
        assert abs(int(match[:, 0].argmin()) - reach) <= 0.03 * width


@pytest.mark.parametrize("look", ["as photographed", "black and white"])
def test_nothing_of_the_eyeball_is_left(subject, look):
    """The white of large painted eyes, which reach beyond the lids that the network sees."""
    source = LOOKS[look](subject).copy()
    places = []
    for eye in EYES:
        corners = subject.points(eye.corners)
        width = float(np.hypot(*(corners[1] - corners[0])))
        middle = np.rint(corners.mean(axis=0)).astype(int)
        half = (round(0.58 * width), round(0.26 * width))
        outline = cv2.ellipse2Poly(tuple(middle.tolist()), half, 0, 0, 360, 5)
        cv2.fillPoly(source, [outline], (250, 250, 250), cv2.LINE_AA)
        cv2.circle(source, tuple(middle.tolist()), round(0.22 * width), (60, 60, 60), -1)
        mask = np.zeros(source.shape[:2], np.uint8)
        cv2.fillPoly(mask, [outline], 1)
        places.append(mask > 0)
    result = shut(subject, source)
    for place in places:
        assert (result[place].min(axis=1) > 238).mean() < 0.01


def test_half_shut_lids_are_lids(subject):
    """The lid that has come down is skin, and the eyeball below it is seen as it was."""
    result = shut(subject, subject.rgb, 0.5)
    for eye in EYES:
        upper, lower = subject.points(eye.upper), subject.points(eye.lower)
        middle = len(upper) // 2
        height = float(np.hypot(*(lower[middle] - upper[middle])))
        x, y = np.rint(upper[middle] + 0.15 * (lower[middle] - upper[middle])).astype(int)
        size = max(1, round(0.08 * height))
        lid = np.median(lab(result)[y - size : y + size, x - 3 : x + 4].reshape(-1, 3), axis=0)
        skin = np.median(lab(result)[subject.between(eye.lower2, eye.lower3)], axis=0)
        assert np.linalg.norm(lid - skin) < 12.0


def test_lids_come_down_evenly(subject):
    """Half and three quarters shut are neither open nor shut: so much of the eyeball is seen."""
    source = subject.rgb.copy()
    for eye in EYES:
        opening = subject.between(eye.upper, eye.lower)
        source[opening] = source[opening] * np.array([0.5, 1.0, 0.5])

    def green(rgb: np.ndarray) -> int:
        red, middle, blue = (rgb[..., i].astype(float) for i in range(3))
        return int((middle > 1.35 * np.maximum(red, blue) + 4.0).sum())

    whole = green(source)
    seen = [green(shut(subject, source, blink)) / whole for blink in (0.5, 0.75, 1.0)]
    # Lashes and the lid's shadow hide some of it.
    assert 0.3 < seen[0] < 0.6
    assert 0.05 < seen[1] < 0.3
    assert seen[2] < 0.01


def opened(subject: Subject, rgb: np.ndarray) -> AnalyticPortrait:
    return AnalyticRenderer().open(SourceImage(rgba(rgb), "srgb"), subject.face)


def looking(portrait: AnalyticPortrait, rgb: np.ndarray, gaze_x: float) -> np.ndarray:
    pixels, face = rgba(rgb), portrait.face
    values = {"gaze_x": gaze_x}
    portrait.render(
        motion_from_controls(values, eyes_open=face.eyes_open, lips_open=face.lips_open), pixels
    )
    return pixels[..., :3]


def test_eyes_without_an_iris_say_so(subject):
    carved = subject.rgb.copy()
    for eye in EYES:
        area = cv2.dilate(subject.between(eye.upper, eye.lower).astype(np.uint8), np.ones((5, 5)))
        carved[area > 0] = np.median(subject.rgb[subject.between(eye.lower2, eye.lower3)], axis=0)
    portrait = opened(subject, carved)
    looking(portrait, carved, 0.6)
    assert any("iris" in note for note in portrait.notices)
    looking(portrait, carved, 0.0)
    assert not portrait.notices
    portrait = opened(subject, subject.rgb)
    looking(portrait, subject.rgb, 0.6)
    assert not portrait.notices


def test_catch_lights_stay_with_the_light(subject):
    source = subject.rgb.copy()
    spots = []
    for eye in EYES:
        opening = subject.between(eye.upper, eye.lower)
        source[opening] = (205, 195, 190)
        centre = subject.landmarks[eye.iris, :2]
        rim = subject.points(eye.iris_ring) - centre
        radius = float(np.hypot(*rim.T).mean())
        iris = np.zeros(opening.shape, np.uint8)
        cv2.circle(iris, np.rint(centre).astype(int).tolist(), round(radius), 1, -1)
        source[opening & (iris > 0)] = (70, 45, 30)
        spot = np.rint(centre - radius * np.array([0.2, 0.1])).astype(int).tolist()
        cv2.circle(source, spot, max(2, round(0.2 * radius)), (255, 255, 255), -1, cv2.LINE_AA)
        spots.append((opening, radius))
    result = looking(opened(subject, source), source, 0.5)

    def middle(mask: np.ndarray) -> float:
        return float(np.nonzero(mask)[1].mean())

    for opening, radius in spots:
        dark = [opening & (picture.max(axis=2) < 110) for picture in (source, result)]
        light = [opening & (picture.min(axis=2) > 222) for picture in (source, result)]
        iris_shift = middle(dark[1]) - middle(dark[0])
        assert iris_shift > 0.25 * radius
        assert abs(middle(light[1]) - middle(light[0])) < 0.5 * iris_shift
