"""Cats' faces: the cascade on a drawn cat, upright, tilted, small, and absent."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes.model_set import FakeModelSet
from skimage import data

from engine.liveportrait.analysis import BoxAnalysis
from engine.liveportrait.cat_faces import find_cat_faces, group, load_cascade, scan
from engine.liveportrait.renderer import LivePortraitRenderer
from engine.motion import Face, Motion
from engine.operations import Operations
from engine.protocol import Array, Message
from engine.renderer import NOTHING, ReportedError, SourceImage

SIDE = 480
SAMPLES = Path(os.environ.get("KEYPORTRAIT_SAMPLES", Path(__file__).parents[3] / "shared/samples"))
# Sample picture → the middle between the animal's eyes and its mouth.
ANIMALS = {"s39.jpg": (535, 490), "s40.jpg": (615, 450), "s25.jpg": (237, 270)}


def cat() -> np.ndarray:
    """A light cat on dark ground, 480 px, grey; its eyes at (190, 235) and (290, 235)."""
    image = np.full((SIDE, SIDE), 60, np.uint8)
    for mirror in (1, -1):
        for shade, points in ((200, [(-110, 210), (-90, 80), (-10, 150)]),
                              (120, [(-90, 190), (-78, 115), (-35, 155)])):  # fmt: skip
            ear = np.array([(240 + mirror * x, y) for x, y in points], np.int32)
            cv2.fillPoly(image, [ear], shade)
    cv2.ellipse(image, (240, 250), (125, 110), 0, 0, 360, 215, -1)
    for x in (190, 290):
        cv2.ellipse(image, (x, 235), (24, 18), 0, 0, 360, 70, -1)
        cv2.circle(image, (x, 235), 10, 20, -1)
    cv2.ellipse(image, (240, 315), (60, 30), 0, 0, 360, 235, -1)
    cv2.fillPoly(image, [np.array([(226, 285), (254, 285), (240, 302)], np.int32)], 90)
    cv2.line(image, (240, 300), (240, 318), 90, 4)
    cv2.ellipse(image, (240, 322), (26, 10), 0, 10, 170, 90, 4)
    return cv2.GaussianBlur(image, (0, 0), 3)


def rgb(grey: np.ndarray) -> np.ndarray:
    return np.dstack([grey] * 3)


def turned(degrees: float) -> np.ndarray:
    """The cat turned clockwise about the picture's middle."""
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), -degrees, 1.0)
    return cv2.warpAffine(cat(), matrix, (SIDE, SIDE), borderValue=60)


def test_an_upright_cat_is_found_between_brow_and_chin() -> None:
    face = find_cat_faces(rgb(cat()))[0]
    x0, y0, x1, y1 = face.box
    assert face.roll == 0.0
    assert face.score == 1.0
    assert x0 < 190 < 290 < x1
    assert 120 < y0 < 235 < 300 < y1 < 380


@pytest.mark.parametrize("degrees", [-20.0, 20.0])
def test_a_tilted_cat_is_found_and_its_crop_stands_upright(degrees: float) -> None:
    face = find_cat_faces(rgb(turned(degrees)))[0]
    assert abs(face.roll - degrees) <= 20.0
    assert np.sign(face.roll) == np.sign(degrees)
    square = BoxAnalysis().analyse(np.zeros((1, 1, 3), np.uint8), face).square
    assert np.degrees(square.angle) == pytest.approx(face.roll)
    assert np.hypot(*(square.center - SIDE / 2)) < 60


def test_boxes_follow_the_size_of_the_picture() -> None:
    small = find_cat_faces(rgb(cat()))[0]
    large = find_cat_faces(rgb(cv2.resize(cat(), None, fx=3, fy=3)))[0]
    assert np.array(large.box) == pytest.approx(3 * np.array(small.box), rel=0.1)


def test_two_cats_are_two_faces() -> None:
    pair = np.hstack([cat(), cat()])
    faces = find_cat_faces(rgb(pair))
    assert len(faces) == 2
    middles = sorted((face.box[0] + face.box[2]) / 2 for face in faces)
    assert middles == pytest.approx([240, 720], abs=25)


@pytest.mark.parametrize("name", ["flat", "noise", "coins", "tiny"])
def test_no_cat_is_no_face(name: str) -> None:
    pictures = {
        "flat": np.full((300, 300), 90, np.uint8),
        "noise": np.random.default_rng(5).integers(0, 255, (200, 200), dtype=np.uint8),
        "coins": data.coins(),
        "tiny": cat()[:20, :10],
    }
    assert find_cat_faces(rgb(pictures[name])) == []


def test_the_cascade_is_that_of_opencv() -> None:
    """Every window that we pass is one that OpenCV's own reader passes, where it still exists."""
    if not hasattr(cv2, "CascadeClassifier"):
        pytest.skip("this OpenCV has no cascades")
    path = cv2.data.haarcascades + "haarcascade_frontalcatface.xml"
    theirs = cv2.CascadeClassifier(path).detectMultiScale(cat(), 1.1, 3)
    ours = find_cat_faces(rgb(cat()))[0].box
    x, y, side, _ = theirs[0]
    assert [(ours[0] + ours[2]) / 2, (ours[1] + ours[3]) / 2] == pytest.approx(
        [x + side / 2, y + side / 2], abs=12
    )


def test_cascade_arrays_fit_together() -> None:
    cascade = load_cascade()
    assert cascade.stage_counts.sum() == len(cascade.features) == len(cascade.votes)
    assert cascade.features.max() < len(cascade.boxes)
    assert (cascade.boxes[..., :2] + cascade.boxes[..., 2:]).max() <= 24


def test_windows_are_grouped_by_overlap() -> None:
    random = np.random.default_rng(2)
    cluster = np.array([[100, 50, 80]]) + random.normal(size=(20, 3))
    alone = np.array([[300.0, 300.0, 40.0]])
    groups = group(np.vstack([alone, cluster]))
    assert len(groups) == 1
    mean, count = groups[0]
    assert mean == pytest.approx([100, 50, 80], abs=1.5)
    assert count == 20


def test_scanning_finds_the_face_in_pixels_of_the_picture() -> None:
    windows = scan(cv2.resize(cat(), (240, 240), interpolation=cv2.INTER_AREA))
    assert len(windows) > 5
    middle = np.median(windows[:, :2] + windows[:, 2:] / 2, axis=0)
    assert middle == pytest.approx([120, 128], abs=8)


def test_a_found_cat_moves() -> None:
    pixels = np.dstack([rgb(cat()), np.full((SIDE, SIDE), 255, np.uint8)])
    face = find_cat_faces(pixels[..., :3])[0]
    canvas = pixels.copy()
    renderer = LivePortraitRenderer(FakeModelSet("animal"))
    portrait = renderer.open(SourceImage(pixels, "srgb"), face)
    assert portrait.render(Motion(translation=(0.1, 0.0, 0.0)), canvas) != NOTHING
    assert np.abs(canvas.astype(int) - pixels).max() > 50
    assert isinstance(portrait.face, Face)


def test_detect_finds_cats_for_the_animal_renderer_only() -> None:
    pixels = np.dstack([rgb(cat()), np.full((SIDE, SIDE), 255, np.uint8)])
    image = {"image": Array("uint8", pixels.shape, pixels.tobytes())}
    fields = {"encoding": "srgb", "renderer": "liveportrait_animal"}
    reply = Operations().answer(Message("detect", 1, fields, image), lambda *_: None)
    assert [face["roll"] for face in reply.fields["faces"]] == [0.0]
    flat = {"image": Array("uint8", (9, 9, 4), bytes(324))}
    with pytest.raises(ReportedError, match="No cat"):
        Operations().answer(Message("detect", 2, fields, flat), lambda *_: None)


@pytest.mark.parametrize("name", ANIMALS)
def test_cats_and_catlike_dogs_on_real_pictures(name: str) -> None:
    image = cv2.imread(str(SAMPLES / "images" / name))
    if image is None:
        pytest.skip("the sample pictures are not here")
    (face,) = find_cat_faces(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    left, top, right, bottom = face.box
    x, y = ANIMALS[name]
    assert abs((left + right) / 2 - x) < 0.15 * (right - left)
    assert abs((top + bottom) / 2 - y) < 0.15 * (bottom - top)
