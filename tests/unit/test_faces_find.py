"""Finding faces in whole pictures: where they are, how they look, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

data = pytest.importorskip("skimage.data")

from engine.faces.find import MAXIMUM_PIXELS, MAXIMUM_SIDE, find_faces, view_8bit  # noqa: E402
from engine.faces.mesh import fit_landmarks, track  # noqa: E402
from engine.motion import Face  # noqa: E402
from engine.renderer import ReportedError, SourceImage  # noqa: E402

SAMPLES = Path(os.environ.get("KEYPORTRAIT_SAMPLES", Path(__file__).parents[3] / "shared/samples"))
ANIMALS = {"s23", "s25", "s33", "s39", "s40"}


def source(rgb, alpha=255):
    """An 8-bit RGBA source image of an (H, W, 3) uint8 picture."""
    height, width = rgb.shape[:2]
    opaque = np.broadcast_to(np.uint8(alpha), (height, width))
    return SourceImage(np.dstack([rgb, opaque]), "srgb")


def centre(face):
    """Centre of a face's box."""
    return np.array([face.box[0] + face.box[2], face.box[1] + face.box[3]]) / 2


@pytest.fixture(scope="module")
def astronaut():
    return data.astronaut()


@pytest.fixture(scope="module")
def head(astronaut):
    """The astronaut's head and shoulders, 256 px."""
    return np.ascontiguousarray(astronaut[0:256, 96:352])


@pytest.fixture(scope="module")
def face(astronaut):
    found = find_faces(source(astronaut))
    assert len(found) == 1
    return found[0]


def test_astronaut(face):
    """Eileen Collins looks straight at the camera, smiling, with her teeth showing."""
    assert not face.problem
    x0, y0, x1, y1 = face.box
    assert 165 < x0 < 190 and 60 < y0 < 90 and 260 < x1 < 285 and 170 < y1 < 210
    left_eye, right_eye, nose, mouth, left_ear, right_ear = np.array(face.keypoints)
    assert left_ear[0] < left_eye[0] < nose[0] < right_eye[0] < right_ear[0]
    assert left_eye[1] < nose[1] < mouth[1]
    assert abs(face.yaw) < 12 and abs(face.roll) < 8 and abs(face.pitch) < 20
    assert 0.2 < face.eyes_open < 0.6
    assert 0.03 < face.lips_open < 0.4
    outline = np.array(face.outline, np.float32)
    assert cv2.contourArea(outline) > 0.6 * (x1 - x0) * (y1 - y0)


def test_no_face():
    assert find_faces(source(np.dstack([data.coins()] * 3))) == []
    assert find_faces(source(np.full((64, 64, 3), 127, np.uint8))) == []


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_turned_picture(astronaut, face, quarters):
    turned = find_faces(source(np.ascontiguousarray(np.rot90(astronaut, quarters))))
    assert [f.problem for f in turned] == [{}]
    roll = (face.roll - 90 * quarters + 180) % 360 - 180
    assert abs((turned[0].roll - roll + 180) % 360 - 180) < 4
    assert abs(turned[0].yaw - face.yaw) < 5


@pytest.mark.parametrize("angle", [-45, -20, 20, 45])
def test_tilted_head(astronaut, face, angle):
    matrix = cv2.getRotationMatrix2D((256, 256), -angle, 0.7)
    tilted = cv2.warpAffine(astronaut, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    found = [f for f in find_faces(source(tilted)) if not f.problem]
    assert len(found) == 1
    assert found[0].roll - face.roll == pytest.approx(angle, abs=4)


def test_several_faces_of_different_sizes(head):
    """A wide picture with four heads: all found, largest first, each in its own place."""
    canvas = np.full((700, 1800, 3), (90, 110, 120), np.uint8)
    places = {}
    for side, x, y in ((600, 20, 60), (300, 700, 350), (420, 1050, 10), (200, 1550, 450)):
        canvas[y : y + side, x : x + side] = cv2.resize(
            head, (side, side), interpolation=cv2.INTER_AREA if side < 256 else cv2.INTER_CUBIC
        )
        places[side] = np.array([x, y]) + side * np.array([0.5, 0.5])
    found = find_faces(source(canvas))
    assert len(found) == 4
    assert not any(f.problem for f in found)
    widths = [f.box[2] - f.box[0] for f in found]
    assert widths == sorted(widths, reverse=True)
    for f, side in zip(found, sorted(places, reverse=True), strict=True):
        assert np.abs(centre(f) - places[side]).max() < 0.12 * side


def test_small_face_in_a_large_picture(head):
    canvas = np.full((2160, 3840, 3), (60, 80, 70), np.uint8)
    canvas[1500:1756, 3000:3256] = head
    found = find_faces(source(canvas))
    assert [f.problem for f in found] == [{}]
    assert np.abs(centre(found[0]) - [3128, 1628]).max() < 40


def test_the_same_face_at_4k(astronaut, face):
    large = cv2.resize(astronaut, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
    found = find_faces(source(large))
    assert len(found) == 1 and not found[0].problem
    assert np.array(found[0].box) / 8 == pytest.approx(np.array(face.box), abs=2.5)


def place(canvas, head, side, x, y):
    """Put the head, scaled to side x side, at (x, y); the face's expected centre."""
    flag = cv2.INTER_AREA if side < 256 else cv2.INTER_CUBIC
    canvas[y : y + side, x : x + side] = cv2.resize(head, (side, side), interpolation=flag)
    return np.array([x, y]) + side * np.array([0.5, 0.47])


def expect_faces(found, centres, reach):
    """Each expected centre has exactly one face, and no face is without one."""
    assert not any(f.problem for f in found)
    distances = np.array([[np.hypot(*(centre(f) - c)) for f in found] for c in centres])
    assert ((distances < reach).sum(axis=1) == 1).all()
    assert len(found) == len(centres)


def test_small_faces_anywhere_in_24_megapixels(head):
    """Faces of 100 px at random places, also where blocks of the search meet."""
    canvas = np.full((4000, 6000, 3), (90, 110, 120), np.uint8)
    canvas[::37] = (60, 80, 70)
    places = [(400, 300), (1560, 1560), (1690, 20), (3300, 1700), (5700, 3690), (2600, 3500)]
    centres = [place(canvas, head, 270, x, y) for x, y in places]
    expect_faces(find_faces(source(canvas)), centres, 35)


def test_beside_a_large_face_an_eighth_of_it_is_found_and_a_fortieth_is_not(head):
    """That takes far less time in a large picture, and nobody animates such spots."""
    canvas = np.full((4300, 5200, 3), (90, 110, 120), np.uint8)
    centres = [place(canvas, head, 4200, 50, 50), place(canvas, head, 525, 4500, 400)]
    place(canvas, head, 100, 4600, 2200)
    found = find_faces(source(canvas))
    assert len(found) == 2
    for face, expected in zip(found, centres, strict=True):
        assert np.hypot(*(centre(face) - expected)) < 0.2 * (face.box[2] - face.box[0])


def test_small_faces_are_found_beside_what_only_looks_like_a_large_one(head, monkeypatch):
    monkeypatch.setattr("engine.faces.find.smallest_beside", lambda _rgb: 160.0)
    canvas = np.full((900, 1400, 3), (90, 110, 120), np.uint8)
    centres = [place(canvas, head, 270, 100, 300), place(canvas, head, 900, 480, 0)]
    assert len(find_faces(source(canvas))) == len(centres)


@pytest.mark.parametrize("is_upright", [False, True])
def test_panorama(head, is_upright):
    canvas = np.full((520, 8192, 3), (90, 110, 120), np.uint8)
    sides = [(420, 100, 60), (300, 2500, 200), (500, 4900, 10), (200, 7900, 300)]
    centres = [place(canvas, head, *spot) for spot in sides]
    if is_upright:
        canvas = np.full((8192, 520, 3), (90, 110, 120), np.uint8)
        centres = [place(canvas, head, side, y, x) for side, x, y in sides]
        centres = [c for c in centres if c[0] < 520]
    expect_faces(find_faces(source(canvas)), centres, 60)


def test_crowd(head):
    """Twenty faces of different sizes: each once."""
    canvas = np.full((1200, 1800, 3), (90, 110, 120), np.uint8)
    centres = []
    for number in range(20):
        side = (150, 200, 260, 300)[number % 4]
        x, y = 10 + 360 * (number % 5), 300 * (number // 5)
        centres.append(place(canvas, head, side, x, y))
    expect_faces(find_faces(source(canvas)), centres, 40)


@pytest.mark.parametrize("factors, words", [((1.5, 1.0), "sideways"), ((1.0, 1.7), "upwards")])
def test_stretched_picture_is_refused_truthfully(astronaut, factors, words):
    part = astronaut[:320, 64:384]
    stretched = cv2.resize(part, None, fx=factors[0], fy=factors[1], interpolation=cv2.INTER_CUBIC)
    (found,) = find_faces(source(stretched))
    assert found.problem["code"] == "bad_face"
    assert words in found.problem["message"] and "proportions" in found.problem["hint"]
    assert "nimal" not in str(found.problem)


@pytest.mark.parametrize("by", [1.35, 1.5])
@pytest.mark.parametrize("is_wide", [True, False])
def test_stretched_picture_is_found_or_refused_truthfully(astronaut, by, is_wide):
    factors = (by, 1.0) if is_wide else (1.0, by)
    stretched = cv2.resize(astronaut[:320, 64:384], None, fx=factors[0], fy=factors[1])
    (found,) = find_faces(source(stretched))
    words = "stretched sideways" if is_wide else "stretched upwards"
    assert not found.problem or words in found.problem["message"]
    if not found.problem:
        assert np.abs(centre(found) / factors - [160, 122]).max() < 15


@pytest.mark.parametrize("factors", [(1.0, 1.0), (1.4, 1.0), (1.0, 1.4), (1.6, 1.0)])
def test_stretched_cats_stay_cats(factors):
    cat = cv2.resize(data.chelsea(), None, fx=factors[0], fy=factors[1])
    for f in find_faces(source(cat)):
        assert "human" in f.problem["message"]


def test_search_reports_and_can_be_stopped(head):
    canvas = np.full((2600, 2600, 3), (90, 110, 120), np.uint8)
    place(canvas, head, 256, 2000, 2000)
    told = []
    find_faces(source(canvas), lambda fraction, text: told.append((fraction, text)))
    fractions = [fraction for fraction, _ in told]
    assert len(told) > 3 and fractions == sorted(fractions) and 0 <= fractions[-1] <= 1
    assert told[0][1]

    def stop(fraction, text):
        raise ReportedError("cancelled", "")

    with pytest.raises(ReportedError):
        find_faces(source(canvas), stop)


def test_tiny_face_says_how_small(astronaut):
    small = cv2.resize(astronaut, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    canvas = np.full((480, 640, 3), 100, np.uint8)
    canvas[200 : 200 + small.shape[0], 300 : 300 + small.shape[1]] = small
    (found,) = find_faces(source(canvas))
    assert found.problem["code"] == "bad_face"
    assert "px wide" in found.problem["message"] and found.problem["hint"]


def test_cut_off_face(astronaut, face):
    x = round(face.box[0] + 0.42 * (face.box[2] - face.box[0]))
    for f in find_faces(source(np.ascontiguousarray(astronaut[:, x:]))):
        assert "cut off" in f.problem["message"]


@pytest.mark.parametrize("rows, columns, step", [(0, 0, 1), (37, 56, 1), (0, 0, -1), (20, 90, -1)])
def test_cat_is_refused(rows, columns, step):
    """Whole, in close-up, and mirrored."""
    cat = data.chelsea()
    view = cat[rows : len(cat) - rows, columns : cat.shape[1] - columns][:, ::step]
    for f in find_faces(source(view)):
        assert f.problem["code"] == "bad_face" and "human" in f.problem["message"]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample portraits are not here")
@pytest.mark.parametrize("path", sorted(SAMPLES.glob("images/*.jpg")), ids=lambda p: p.stem)
def test_sample_portraits(path):
    """People, paintings, a statue and a cartoon are taken; animals are not."""
    found = find_faces(source(cv2.imread(str(path))[..., ::-1]))
    if path.stem in ANIMALS:
        assert all(f.problem for f in found)
    else:
        assert [f.problem for f in found] == [{}]


# ---- kinds of images ---------------------------------------------------------------------------


def same_place(found, face):
    assert len(found) == 1 and not found[0].problem
    assert np.array(found[0].box) == pytest.approx(np.array(face.box), abs=6)


def test_grey_picture(astronaut, face):
    grey = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)
    same_place(find_faces(source(np.dstack([grey] * 3))), face)


def test_linear_float(astronaut, face):
    srgb = astronaut / np.float32(255)
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    pixels = np.dstack([linear, np.ones(srgb.shape[:2])]).astype(np.float32)
    image = SourceImage(pixels, "linear")
    assert np.abs(view_8bit(image).astype(int) - astronaut).max() <= 1
    same_place(find_faces(image), face)
    bright = SourceImage(pixels * np.float32([4, 4, 4, 1]), "linear")
    same_place(find_faces(bright), face)


def test_nan_and_infinity(astronaut, face):
    pixels = np.dstack([astronaut / 255.0, np.ones(astronaut.shape[:2])]).astype(np.float32)
    pixels[::9, ::7, 0] = np.nan
    pixels[::13, ::11] = np.inf
    same_place(find_faces(SourceImage(pixels, "srgb")), face)


def test_transparent_surroundings(astronaut, face):
    """A cut-out: what lies hidden under alpha 0 is not seen."""
    alpha = np.zeros(astronaut.shape[:2], np.uint8)
    alpha[20:260, 110:340] = 255
    hidden = astronaut.copy()
    hidden[alpha == 0] = (255, 0, 255)
    image = SourceImage(np.dstack([hidden, alpha]), "srgb")
    assert (view_8bit(image)[alpha == 0] == 127).all()
    same_place(find_faces(image), face)


@pytest.mark.parametrize(
    "pixels, words",
    [
        (np.zeros((0, 10, 4), np.uint8), "no pixels"),
        (np.zeros((10, 0, 4), np.uint8), "no pixels"),
        (np.zeros((10, 10, 3), np.uint8), "shape"),
        (np.zeros((10, 10, 4), np.float64), "float64"),
        (np.broadcast_to(np.uint8(0), (4, MAXIMUM_SIDE, 4)), "too large"),
        (np.broadcast_to(np.uint8(0), (10_001, MAXIMUM_PIXELS // 10_000, 4)), "too large"),
    ],
)
def test_bad_images(pixels, words):
    with pytest.raises(ReportedError, match=words) as caught:
        find_faces(SourceImage(pixels, "srgb"))
    assert caught.value.code == "bad_image"


def test_unknown_encoding():
    with pytest.raises(ReportedError, match="encoding"):
        view_8bit(SourceImage(np.zeros((8, 8, 4), np.uint8), "aces"))


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (3, 3)])
def test_pictures_of_a_few_pixels(shape):
    assert find_faces(source(np.full((*shape, 3), 200, np.uint8))) == []


# ---- landmarks ---------------------------------------------------------------------------------


def test_landmarks_agree_with_the_mirrored_picture(astronaut, face):
    """No half-pixel shift: a mirrored picture gives mirrored irises."""
    mirrored = np.ascontiguousarray(astronaut[:, ::-1])
    landmarks = fit_landmarks(astronaut, face)
    (other,) = find_faces(source(mirrored))
    flipped = fit_landmarks(mirrored, other)
    flipped[:, 0] = astronaut.shape[1] - 1 - flipped[:, 0]
    centres = landmarks[[468, 473], :2] - flipped[[473, 468], :2]
    assert np.abs(centres.mean(axis=0)).max() < 0.4


def test_hand_drawn_box(astronaut, face):
    drawn = Face((165.0, 70.0, 290.0, 210.0))
    offset = fit_landmarks(astronaut, drawn) - fit_landmarks(astronaut, face)
    assert np.abs(offset[:, :2]).mean() < 1.0
    upside_down = np.ascontiguousarray(astronaut[::-1, ::-1])
    turned = Face((511 - 290.0, 511 - 210.0, 511 - 165.0, 511 - 70.0))
    back = 511 - fit_landmarks(upside_down, turned)[:, :2]
    assert np.abs(back - fit_landmarks(astronaut, face)[:, :2]).mean() < 1.0


def test_box_without_a_face(astronaut):
    with pytest.raises(ReportedError) as caught:
        fit_landmarks(astronaut, Face((330.0, 300.0, 500.0, 500.0)))
    assert caught.value.code == "bad_face"


def test_tracking_follows(astronaut, face):
    landmarks = fit_landmarks(astronaut, face)
    moved = np.roll(astronaut, (6, -8), axis=(0, 1))
    step = track(moved, landmarks) - landmarks
    assert step[:, 0].mean() == pytest.approx(-8, abs=1)
    assert step[:, 1].mean() == pytest.approx(6, abs=1)
    with pytest.raises(ReportedError):
        track(np.full_like(astronaut, 80), landmarks)
