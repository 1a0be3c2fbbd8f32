"""A head that moves takes nothing else along: borders, neighbours, and what is behind it."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data
from skimage.draw import polygon2mask

from engine.analytic.backdrop import _continued, _looked_up
from engine.analytic.plate import filled_behind
from engine.analytic.renderer import AnalyticRenderer
from engine.controls import motion_from_controls
from engine.faces.crop import Crop
from engine.faces.find import find_faces
from engine.faces.segmentation import person_mask
from engine.motion import Face
from engine.renderer import SourceImage


def rgba(rgb: np.ndarray) -> np.ndarray:
    return np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])


def opened(pixels: np.ndarray, face: Face):
    return AnalyticRenderer().open(SourceImage(pixels, "srgb"), face)


def moved(portrait, pixels: np.ndarray, **values: float) -> np.ndarray:
    face = portrait.face
    canvas = pixels.copy()
    motion = motion_from_controls(values, eyes_open=face.eyes_open, lips_open=face.lips_open)
    portrait.render(motion, canvas)
    return canvas


@pytest.fixture(scope="module")
def wide() -> np.ndarray:
    """(320, 320, 4) uint8: the astronaut's head and shoulders."""
    return rgba(np.ascontiguousarray(data.astronaut()[:320, 64:384]))


# Rows and columns of headshots whose border cuts a cheek or the crown, a motion away from that
# border, and how often the picture is turned to bring the border to the left.
TIGHT = {
    "left": (slice(0, 260), slice(136, 320), {"head_yaw": -25.0}, 0),
    "right": (slice(0, 260), slice(0, 192), {"head_yaw": 25.0}, 2),
    "top": (slice(62, 300), slice(40, 280), {"head_pitch": -15.0}, 1),
}


@pytest.mark.parametrize("cut", TIGHT)
def test_a_head_that_the_border_cuts_has_no_second_copy(wide, cut):
    """Nothing may come from beyond the border: a mirrored picture would run backwards there."""
    rows, columns, values, quarters = TIGHT[cut]
    tight = np.ascontiguousarray(wide[rows, columns])
    face = find_faces(SourceImage(tight, "srgb"))[0]
    portrait = opened(tight, face)
    assert len(find_faces(SourceImage(moved(portrait, tight, **values), "srgb"))) == 1
    # A picture of its own coordinates tells where every pixel comes from.
    coordinates = (np.indices(tight.shape[:2]) / 512.0).astype(np.float32).transpose(1, 2, 0)
    coordinates = np.dstack([coordinates, np.ones_like(coordinates[..., :1])])
    canvas = np.dstack([coordinates, np.ones(tight.shape[:2], np.float32)])
    result = moved(portrait, canvas, **values)
    result[..., :2] /= result[..., 2:3]  # the head is lit anew
    origin, away = result[..., 1] * 512.0, np.abs(result - canvas)[..., :2].max(axis=2) * 512.0
    if quarters == 1:
        origin = result[..., 0] * 512.0
    if quarters == 2:
        origin = tight.shape[1] - 1 - origin
    (x0, y0), (x1, _), (_, y1) = np.array(face.keypoints[:3], int)
    between = slice(x0, x1) if quarters == 1 else slice(y0, y1)
    if quarters == 2:
        origin, away = origin[:, ::-1], away[:, ::-1]
    if quarters == 1:
        origin, away = origin.T, away.T
    head = (between, slice(0, 40))
    assert away[head].max() > 2.0
    assert np.diff(origin[head], axis=1).min() > 0.0


@pytest.mark.parametrize(
    "values",
    [{"head_yaw": 20.0, "head_x": 0.5}, {"head_scale": 1.2}],
    ids=str,
)
def test_another_face_stays_as_it_is(wide, values):
    head = wide[:, 85:235]
    pair = np.ascontiguousarray(np.concatenate([head, head[:, ::-1]], axis=1))
    first, second = sorted(find_faces(SourceImage(pair, "srgb")), key=lambda one: one.box[0])
    for own, other in ((first, second), (second, first)):
        result = moved(opened(pair, own), pair, **values)
        x0, y0, x1, y1 = (int(v) for v in own.box)
        assert (result[y0:y1, x0:x1] != pair[y0:y1, x0:x1]).mean() > 0.3
        inside = polygon2mask(pair.shape[:2], np.array(other.outline)[:, ::-1])
        assert inside.sum() > 5000
        assert (result[inside] == pair[inside]).all()


@pytest.mark.parametrize("yaw", [-20.0, 20.0])
def test_straight_lines_behind_the_head_stay_straight(wide, yaw):
    """Painted lines right beside the hair: where they are seen, they are where they were."""
    lined = wide.copy()
    face = find_faces(SourceImage(wide, "srgb"))[0]
    columns = [int(face.box[0]) - 38, int(face.box[2]) + 48]
    for column in columns:
        lined[:150, column : column + 3, :3] = (255, 0, 255)
    result = moved(opened(lined, face), lined, head_yaw=yaw)
    for column in columns:
        seen = []
        for row in result[20:140, column - 25 : column + 28, :3].astype(int):
            pink = np.minimum(row[:, 0], row[:, 2]) - row[:, 1] > 110
            if pink.any():
                seen.append(np.flatnonzero(pink).mean() - 26.0)
        assert len(seen) > 60
        assert np.abs(seen).max() <= 2.0


@pytest.mark.parametrize("yaw", [-20.0, 20.0])
def test_hair_takes_no_pieces_of_lines_along(wide, yaw):
    """Dark lines that end at dark hair look like hair; those pieces stay on their lines."""
    face = find_faces(SourceImage(wide, "srgb"))[0]
    person = person_mask(wide[..., :3])[..., None]
    columns = np.arange(320) % 24
    paper = np.where((columns == 8) | (columns == 9), 40.0, 200.0)[:, None]
    lined = rgba(np.rint(wide[..., :3] * person + paper * (1.0 - person)).astype(np.uint8))
    result = moved(opened(lined, face), lined, head_yaw=yaw)[..., :3].max(axis=2)
    beside = (columns < 6) | (columns > 11)
    was_paper = (person[..., 0] < 0.3) & beside & (lined[..., :3].max(axis=2) > 170)
    assert ((result < 140) & was_paper)[:200].sum() <= 22


@pytest.mark.parametrize("degrees", [0.0, 25.0])
def test_a_straight_edge_goes_on_behind_what_hides_it(degrees):
    """A door frame's edge and a thin line are drawn on; grain is not."""
    rows, columns = np.mgrid[:400, :400] - 200.0
    across = columns * np.cos(np.radians(degrees)) + rows * np.sin(np.radians(degrees))
    picture = np.where(across > 60.0, 0.3, 0.7) - 0.5 * (np.abs(across + 40.0) < 2.5)
    picture += np.random.default_rng(1).normal(0, 0.01, picture.shape)
    pixels = np.dstack([picture] * 3 + [np.ones_like(picture)]).astype(np.float32)
    hidden = np.hypot(rows, columns) < 110.0
    seen = np.where(hidden[..., None], np.float32(0.1), pixels)
    filled = filled_behind(seen, hidden)
    rim = hidden & (np.hypot(rows, columns) > 70.0)
    error = np.abs(filled[..., 0] - pixels[..., 0])
    assert np.percentile(error[rim & (np.abs(across + 40.0) < 2.0)], 75) < 0.25
    assert error[rim & (np.abs(across - 60.0) < 12.0)].mean() < 0.08
    dark = filled_behind(seen * np.float32(0.01), hidden)
    np.testing.assert_allclose(dark, 0.01 * filled, atol=1e-4)


def test_nothing_to_mix_is_no_error():
    """Where a mouth opens, the matte may be all head."""
    field = np.zeros((8, 8, 4), np.float32)
    none = np.zeros(0, np.float32)
    assert _looked_up(field, none, none).shape == (0, 4)
    assert _looked_up(field[..., 0].copy(), none, none).shape == (0, 1)
    assert _looked_up(field, none + 1, none).dtype == field.dtype


@pytest.mark.parametrize("factor", [0.02, 16.0])
def test_what_is_uncovered_has_the_exposure_of_the_picture(wide, factor):
    linear = (wide / np.float32(255.0)).astype(np.float32)
    linear[..., :3] **= 2.2
    scaled = linear.copy()
    scaled[..., :3] *= np.float32(factor)
    results = []
    for pixels in (linear, scaled):
        image = SourceImage(pixels, "linear")
        portrait = AnalyticRenderer().open(image, find_faces(image)[0])
        results.append(moved(portrait, pixels, head_yaw=18.0)[..., :3])
    error = np.abs(results[1] / factor - results[0])
    assert error.mean() < 0.002
    assert np.percentile(error, 99.5) < 0.03


@pytest.mark.parametrize("values", [{"head_yaw": 25.0}, {"head_yaw": -25.0}], ids=str)
def test_a_head_that_is_turned_already_turns_less(wide, values):
    """Neither squeezed into a profile nor rolled out to a front view that nobody has seen."""
    front = find_faces(SourceImage(wide, "srgb"))[0]
    turned = moved(opened(wide, front), wide, head_yaw=25.0)
    face = find_faces(SourceImage(turned, "srgb"))[0]
    assert face.yaw > 18.0
    portrait, shares = opened(turned, face), []
    for share in (0.5, 1.0):
        result = moved(portrait, turned, head_yaw=share * values["head_yaw"])
        seen = find_faces(SourceImage(result, "srgb"))[0]
        shares.append((seen.yaw - face.yaw) * np.sign(values["head_yaw"]))
    assert 3.0 < shares[1] < 19.0
    assert 0.4 < shares[0] / shares[1] < 0.86, "the slider does nothing in its second half"


def test_a_head_goes_on_a_little_outside_the_picture():
    """A mouth that draws a cheek in from the border uncovers no background there."""
    crop = Crop(np.array([[1.0, 0.0, 60.0], [0.0, 1.0, 20.0]]), 128)
    matte = np.zeros((128, 128), np.float32)
    matte[40:90, 60:100] = 1.0  # the picture begins at column 60
    goes_on = _continued(matte, crop, (100, 60))
    assert goes_on[45:85, 50:60].min() == pytest.approx(1.0)
    assert goes_on[45:85, :34].max() == 0.0
    inside = np.s_[22:116, 62:116]
    np.testing.assert_allclose(goes_on[inside], matte[inside], atol=1e-5)
