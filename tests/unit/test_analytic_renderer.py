"""The analytic renderer through its front door: a real photograph in, a moved face out."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from skimage import data

from engine.analytic.renderer import AnalyticRenderer
from engine.analytic.resampling import Reader
from engine.controls import motion_from_controls
from engine.faces.find import find_faces, view_8bit
from engine.faces.measures import Measures, measure
from engine.faces.mesh import fit_landmarks
from engine.motion import Face, Motion
from engine.renderer import NOTHING, Rectangle, ReportedError, SourceImage
from engine.srgb import linear_from_srgb

EVERYTHING = {
    "head_yaw": 8.0, "head_pitch": 4.0, "smile": 0.5, "mouth_open": 0.3, "blink": 0.4,
    "brows": 0.5, "gaze_x": 0.4,
}  # fmt: skip


def rgba(rgb: np.ndarray, alpha: int = 255) -> np.ndarray:
    return np.dstack([rgb, np.full(rgb.shape[:2], alpha, np.uint8)])


def as_float(pixels: np.ndarray) -> np.ndarray:
    return (pixels / np.float32(255.0)).astype(np.float32)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """(320, 320, 4) uint8: the astronaut's head and shoulders."""
    return rgba(np.ascontiguousarray(data.astronaut()[:320, 64:384]))


@pytest.fixture(scope="module")
def face(picture) -> Face:
    return find_faces(SourceImage(picture, "srgb"))[0]


@pytest.fixture(scope="module")
def portrait(picture, face):
    return AnalyticRenderer().open(SourceImage(picture, "srgb"), face)


def motion(face: Face, **values: float) -> Motion:
    return motion_from_controls(values, eyes_open=face.eyes_open, lips_open=face.lips_open)


def moved(portrait, picture: np.ndarray, **values: float) -> tuple[np.ndarray, Rectangle]:
    canvas = picture.copy()
    return canvas, portrait.render(motion(portrait.face, **values), canvas)


def look(pixels: np.ndarray, face: Face) -> tuple[Measures, Face]:
    """What the landmark model sees in a picture."""
    rgb = np.ascontiguousarray(pixels[..., :3])
    seen = find_faces(SourceImage(pixels, "srgb"))[0]
    return measure(fit_landmarks(rgb, face)), seen


def outside(shape: tuple[int, ...], rectangle: Rectangle) -> np.ndarray:
    mask = np.ones(shape[:2], bool)
    mask[rectangle.slices] = False
    return mask


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_neutral_motion_touches_nothing(portrait, picture, dtype):
    source = picture if dtype == np.uint8 else as_float(picture)
    canvas = source.copy()
    assert portrait.render(Motion(), canvas) == NOTHING
    assert portrait.render(Motion(lid_offset=1.0), canvas) == NOTHING
    assert (canvas == source).all()


@pytest.mark.parametrize(
    "values", [{"smile": 0.8}, {"blink": 1.0}, {"gaze_x": 0.7}, {"head_yaw": 12.0}, EVERYTHING]
)
def test_pixels_outside_the_rectangle_stay_as_they_are(portrait, picture, values):
    canvas, rectangle = moved(portrait, picture, **values)
    around = outside(canvas.shape, rectangle)
    assert around.any()
    assert (canvas[around] == picture[around]).all()
    assert (canvas[rectangle.slices] != picture[rectangle.slices]).any()


def test_expressions_change_less_of_the_picture_than_turning(portrait, picture):
    areas = [
        rectangle.width * rectangle.height
        for _, rectangle in (
            moved(portrait, picture, gaze_x=0.5),
            moved(portrait, picture, smile=0.5),
            moved(portrait, picture, head_yaw=10.0),
        )
    ]
    assert 0 < areas[0] < areas[1] < areas[2]


def test_float_and_8_bit_sources_agree(face, portrait, picture):
    source = as_float(picture)
    floating = AnalyticRenderer().open(SourceImage(source, "srgb"), face)
    result, _ = moved(floating, source, **EVERYTHING)
    expected, _ = moved(portrait, picture, **EVERYTHING)
    difference = np.abs(result * 255.0 - expected)
    assert difference.mean() < 0.5
    assert np.percentile(difference, 99.9) < 6.0


def test_smooth_float_sources_are_not_cut_to_8_bits(face, picture):
    source = as_float(picture)
    source[..., :3] = source[..., :3] * 0.5 + 0.123456
    fine = AnalyticRenderer().open(SourceImage(source, "srgb"), face)
    result, rectangle = moved(fine, source, head_yaw=10.0)
    levels = np.unique(np.rint(result[rectangle.slices][..., 0] * 255.0 * 256.0))
    assert len(levels) > 1000


def test_values_beyond_the_display_survive(face, picture):
    linear = as_float(picture)
    linear[..., :3] = 4.0 * linear[..., :3] ** 2.2
    bright = AnalyticRenderer().open(SourceImage(linear, "linear"), face)
    result, rectangle = moved(bright, linear, head_yaw=10.0, mouth_open=0.4, blink=0.3)
    part = result[rectangle.slices]
    assert np.isfinite(part).all()
    assert part.min() >= 0.0
    assert part[..., :3].max() > 2.5
    # The filter adds nothing; a head that turns to the light may get brighter.
    assert part[..., :3].max() <= 1.23 * linear[..., :3].max()


@pytest.mark.parametrize("exposure", [0.01, 0.2, 50.0])
@pytest.mark.parametrize("values", [{"blink": 0.6, "gaze_x": 0.7}, {"mouth_open": 0.8}])
def test_a_darker_picture_gives_a_darker_result(face, picture, exposure, values):
    linear = as_float(picture)
    linear[..., :3] = linear_from_srgb(linear[..., :3])
    expected, rectangle = moved(
        AnalyticRenderer().open(SourceImage(linear, "linear"), face), linear, **values
    )
    scaled = linear * np.float32([exposure, exposure, exposure, 1.0])
    result, _ = moved(
        AnalyticRenderer().open(SourceImage(scaled, "linear"), face), scaled, **values
    )
    part = rectangle.slices
    error = np.abs(result[part][..., :3] / exposure - expected[part][..., :3])
    assert error.max() < 0.02


def test_transparency_moves_with_the_head(face, picture):
    cut_out = as_float(picture)
    x = np.arange(picture.shape[1])
    middle = (face.box[0] + face.box[2]) / 2
    cut_out[:, x < middle, 3] = 0.0
    cut_out[:, x < middle, :3] = [0.0, 1.0, 0.0]  # must not bleed into what is seen
    half = AnalyticRenderer().open(SourceImage(cut_out, "srgb"), face)
    result, _ = moved(half, cut_out, head_x=1.0)
    assert result[..., 3].min() >= 0.0 and result[..., 3].max() <= 1.0
    row = int((face.box[1] + face.box[3]) / 2)
    edge_before = int((cut_out[row, :, 3] > 0.5).argmax())
    edge_after = int((result[row, :, 3] > 0.5).argmax())
    assert edge_after - edge_before > 10
    seen = result[row, edge_after + 1 : edge_after + 30]
    assert (seen[:, 1] - seen[:, 0]).max() < 0.2


def test_a_smile_raises_and_widens_the_mouth(portrait, picture, face):
    rest, _ = look(picture, face)
    smile, _ = look(moved(portrait, picture, smile=1.0)[0], face)
    frown, _ = look(moved(portrait, picture, smile=-1.0)[0], face)
    assert smile.lift_left + smile.lift_right > rest.lift_left + rest.lift_right + 0.15
    assert smile.mouth_width > rest.mouth_width + 0.3
    assert frown.lift_left + frown.lift_right < rest.lift_left + rest.lift_right - 0.15


def test_a_blink_closes_both_eyes_and_a_wink_one(portrait, picture, face):
    rest, _ = look(picture, face)
    blink, _ = look(moved(portrait, picture, blink=1.0)[0], face)
    assert blink.lid_left < 0.6 * rest.lid_left
    assert blink.lid_right < 0.6 * rest.lid_right
    canvas, rectangle = moved(portrait, picture, wink_left=1.0)
    wink, _ = look(canvas, face)
    assert wink.lid_left < 0.6 * rest.lid_left
    assert wink.lid_right > 0.8 * rest.lid_right
    assert (face.keypoints[1][0] > rectangle.x + rectangle.width) or (
        canvas[int(face.keypoints[1][1]), int(face.keypoints[1][0])]
        == picture[int(face.keypoints[1][1]), int(face.keypoints[1][0])]
    ).all()


def test_a_blink_closes_steadily(portrait, picture, face):
    lids = [
        look(moved(portrait, picture, blink=value)[0], face)[0].lid_left
        for value in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    assert np.corrcoef(np.linspace(0, 1, 5), lids)[0, 1] < -0.95


def test_opening_ratios_are_reached(portrait, picture, face):
    wide, _ = look(moved(portrait, picture, lips_open=0.6)[0], face)
    shut, _ = look(moved(portrait, picture, lips_open=0.0)[0], face)
    assert shut.lips_open < 0.5 * face.lips_open < wide.lips_open
    narrow, _ = look(moved(portrait, picture, eyes_open=0.15)[0], face)
    assert narrow.eyes_open < 0.8 * face.eyes_open


@pytest.mark.parametrize(
    ("control", "attribute", "degrees"),
    [("head_yaw", "yaw", 15.0), ("head_pitch", "pitch", 10.0), ("head_roll", "roll", 10.0)],
)
def test_the_head_turns_by_the_angle_asked_for(
    portrait, picture, face, control, attribute, degrees
):
    for sign in (-1.0, 1.0):
        _, seen = look(moved(portrait, picture, **{control: sign * degrees})[0], face)
        turned = getattr(seen, attribute) - getattr(face, attribute)
        assert turned == pytest.approx(sign * degrees, abs=0.35 * degrees)


def test_shift_and_scale(portrait, picture, face):
    rest = np.array(face.keypoints[:4])
    _, seen = look(moved(portrait, picture, head_x=0.5, head_y=0.5)[0], face)
    x, y = (np.array(seen.keypoints[:4]) - rest).mean(axis=0)
    assert x > 4.0 and y < -4.0
    _, seen = look(moved(portrait, picture, head_scale=1.1)[0], face)
    grown = np.ptp(np.array(seen.keypoints[:4]), axis=0) / np.ptp(rest, axis=0)
    assert grown == pytest.approx([1.1, 1.1], abs=0.05)


def test_the_gaze_moves_the_irises_alone(portrait, picture, face):
    right, _ = look(moved(portrait, picture, gaze_x=1.0)[0], face)
    left, _ = look(moved(portrait, picture, gaze_x=-1.0)[0], face)
    assert right.gaze_x - left.gaze_x > 0.15
    _, rectangle = moved(portrait, picture, gaze_x=1.0)
    eyes = np.array(face.keypoints[:2])
    assert rectangle.height < np.ptp(eyes[:, 0])
    assert rectangle.y < eyes[:, 1].mean() < rectangle.y + rectangle.height


def test_two_faces_are_moved_one_after_the_other(picture, face):
    """The second head, partly over the first one's region, is warped out of the canvas."""
    pair = np.concatenate([picture[:, 20:], picture[:, ::-1][:, 20:]], axis=1)
    pair = np.ascontiguousarray(pair)
    image = SourceImage(pair, "srgb")
    faces = sorted(find_faces(image), key=lambda one: one.box[0])
    assert len(faces) == 2
    first, second = (AnalyticRenderer().open(image, one) for one in faces)
    canvas = pair.copy()
    rectangles = [
        first.render(motion(faces[0], head_yaw=10.0), canvas),
        second.render(motion(faces[1], head_yaw=-10.0), canvas),
    ]
    around = outside(canvas.shape, rectangles[0].union(rectangles[1]))
    assert (canvas[around] == pair[around]).all()
    seen = sorted(find_faces(SourceImage(canvas, "srgb")), key=lambda one: one.box[0])
    assert [one.yaw - was.yaw for one, was in zip(seen, faces, strict=True)] == pytest.approx(
        [10.0, -10.0], abs=4.0
    )
    # No seam: along the line between the heads, neighbours differ as little as in the source.
    seam = slice(pair.shape[1] // 2 - 4, pair.shape[1] // 2 + 4)
    steps = [
        np.abs(np.diff(p[40:280, seam, :3].astype(int), axis=1)).max(axis=(0, 2))
        for p in (canvas, pair)
    ]
    assert (steps[0] <= steps[1].max() + 40).all()


def test_large_pictures_keep_their_own_detail(picture, face):
    """A face four times as large is warped from its own pixels, not from a small crop."""
    large = np.repeat(np.repeat(picture, 4, axis=0), 4, axis=1)
    rng = np.random.default_rng(1)
    grain = rng.integers(-20, 20, large.shape[:2])[..., None]
    large[..., :3] = np.clip(large[..., :3].astype(int) + grain, 0, 255)
    image = SourceImage(large, "srgb")
    big_face = find_faces(image)[0]
    result, rectangle = moved(
        AnalyticRenderer().open(image, big_face), large, head_yaw=8.0, smile=0.4
    )
    x, y = (int(v) for v in np.mean(big_face.keypoints[2:4], axis=0))
    patch = np.s_[y - 60 : y - 10, x + 60 : x + 160, 1]
    assert rectangle.width > 600

    def roughness(pixels: np.ndarray) -> float:
        values = pixels[patch].astype(float)
        return float(np.abs(np.diff(values, axis=1)).mean())

    assert roughness(result) > 0.5 * roughness(large)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_a_large_face_is_fitted_as_the_same_small_one(portrait, picture, face, kind):
    times = 7
    large = np.repeat(np.repeat(picture, times, axis=0), times, axis=1)
    place = times * np.array(face.keypoints) + (times - 1) / 2
    box = tuple(float(times * value + (times - 1) / 2) for value in face.box)
    keypoints = tuple((float(x), float(y)) for x, y in place)
    pixels = large if kind is np.uint8 else as_float(large)
    other = AnalyticRenderer().open(
        SourceImage(pixels, "srgb"), replace(face, box=box, keypoints=keypoints)
    )
    distance = np.linalg.norm((other.landmarks - portrait.landmarks)[:, :2], axis=1)
    assert distance.mean() < 1.0
    assert distance.max() < 4.0


def test_hopeless_faces_are_refused(picture, face):
    renderer = AnalyticRenderer()
    problem = {"code": "bad_face", "message": "The face is seen from the side.", "hint": "Turn."}
    with pytest.raises(ReportedError) as refusal:
        renderer.open(SourceImage(picture, "srgb"), replace(face, problem=problem))
    assert refusal.value.code == "bad_face"
    assert refusal.value.message == problem["message"]
    nowhere = Face(box=(2.0, 250.0, 60.0, 310.0))
    with pytest.raises(ReportedError) as refusal:
        renderer.open(SourceImage(picture, "srgb"), nowhere)
    assert refusal.value.code == "bad_face"


def test_the_view_of_the_source_is_not_needed_after_opening(face, picture):
    """Rendering reads the canvas: what other faces did to it shows in this one."""
    portrait = AnalyticRenderer().open(SourceImage(picture, "srgb"), face)
    painted = picture.copy()
    painted[..., :3] //= 2
    portrait.render(motion(face, head_yaw=10.0), painted)
    assert view_8bit(SourceImage(painted, "srgb")).mean() < 0.6 * picture[..., :3].mean()


@pytest.mark.parametrize(
    "control", ["smile", "mouth_open", "grin", "purse", "blink", "gaze_x", "gaze_y", "brows"]
)
def test_motions_begin_without_a_jump(portrait, picture, control):
    """Painted eyes and mouths take over from the source's own little by little."""
    canvas, rectangle = moved(portrait, picture, **{control: 0.01})
    change = np.abs(canvas.astype(int) - picture)[rectangle.slices]
    strong, _ = moved(portrait, picture, **{control: 0.8})
    assert change.max(initial=0) <= 40
    assert np.abs(strong.astype(int) - picture).max() > 60


def test_undefined_pixels_do_not_spread(face, picture):
    broken = as_float(picture)
    x, y = (int(v) for v in face.keypoints[2])
    broken[y - 1, x + 8, :3] = np.nan
    broken[y + 12, x, 0] = np.inf
    portrait = AnalyticRenderer().open(SourceImage(broken, "srgb"), face)
    result, rectangle = moved(portrait, broken, **EVERYTHING)
    assert (~np.isfinite(result[rectangle.slices])).sum() <= 4
    assert outside(result.shape, rectangle).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_only_what_is_drawn_is_resampled_and_as_a_whole_picture_would_be(dtype):
    rng = np.random.default_rng(3)
    canvas = rng.integers(0, 255, (160, 120, 4)).astype(dtype)
    canvas[..., 3] = 255 if dtype == np.uint8 else 300.0
    area = Rectangle(8, 6, 100, 140)
    shift = tuple(rng.uniform(-5.0, 5.0, (140, 100)).astype(np.float32) for _ in range(2))
    drawn = np.zeros((140, 100), np.uint8)
    cv2.circle(drawn, (60, 70), 40, 1, cv2.FILLED)
    moved = Reader(canvas, shift, area, has_emission=False).read(area, shift, drawn)
    x = shift[0] + np.arange(8, 108, dtype=np.float32)
    y = shift[1] + np.arange(6, 146, dtype=np.float32)[:, None]
    whole = cv2.remap(canvas, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    whole = np.clip(whole, canvas.min(), canvas.max())
    assert (moved[drawn > 0] == whole[drawn > 0]).all()
    assert not moved[:24, :10, :3].any()  # nobody asked for it


def test_bands_of_a_large_picture_meet_without_a_seam(portrait, picture, face, monkeypatch):
    wish = motion(face, **EVERYTHING)
    whole, banded = picture.copy(), picture.copy()
    area = portrait.render(wish, whole)
    monkeypatch.setattr("engine.analytic.compose._BAND_PIXELS", 4000)
    assert portrait.render(wish, banded) == area
    difference = np.abs(whole.astype(int) - banded)
    assert difference.max() <= 4
    assert difference.mean() < 1e-3
    # Another face has been drawn before: that is what is moved, not the source.
    darker = whole // 2
    darker[..., 3] = 255
    banded = darker.copy()
    portrait.render(wish, banded)
    monkeypatch.undo()
    portrait.render(wish, darker)
    assert np.abs(darker.astype(int) - banded).max() <= 4
