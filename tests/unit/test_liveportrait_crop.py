"""Crops around landmarks, and pasting them back."""

from __future__ import annotations

import numpy as np
import pytest

from engine.liveportrait.crop import (
    CROP_SIZE,
    DRIVING_CROP,
    CropOptions,
    FaceSquare,
    crop_box,
    crop_face,
    crop_layers,
    face_square,
    mean_box,
    transform_points,
    upright_box,
)
from engine.liveportrait.layouts import LAYOUTS, anchor_points
from engine.liveportrait.paste_back import (
    PasteArea,
    covered_rectangle,
    feather_mask,
    paste,
    warp_to_rectangle,
)
from engine.liveportrait.quirks import OFFICIAL
from engine.renderer import NOTHING, Rectangle, ReportedError

RANDOM = np.random.default_rng(7)


def face_points(
    count: int, angle: float = 0.0, center: tuple[float, float] = (150, 140)
) -> np.ndarray:
    """Landmarks of one layout on an upright face of 100 px, turned clockwise by an angle."""
    points = RANDOM.uniform(-40, 40, size=(count, 2))
    layout = LAYOUTS[count]
    points[list(layout.first_eye)] = (-20, -20)
    points[list(layout.second_eye)] = (20, -20)
    points[list(layout.mouth)] = (0, 25)
    free = [i for i in range(count) if i not in {j for part in layout for j in part}]
    corners = [(-50, -45), (50, 55)]
    for index, corner in zip(free, corners, strict=False):
        points[index] = corner
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (points @ turn + center).astype(np.float32)


@pytest.mark.parametrize("count", sorted(LAYOUTS))
def test_anchors_are_eye_and_mouth_centres_of_every_layout(count: int) -> None:
    anchors = anchor_points(face_points(count))
    assert anchors == pytest.approx(np.array([[150, 120], [150, 165]]), abs=1e-3)


@pytest.mark.parametrize("count", sorted(LAYOUTS))
def test_anchors_without_lips_hang_below_the_first_eye(count: int) -> None:
    first, below = anchor_points(face_points(count), use_lip=False)
    assert first == pytest.approx([130, 120], abs=1e-3)
    assert below - first == pytest.approx([0, 40], abs=1e-3)


def test_unknown_layouts_are_an_error_outside_parity() -> None:
    points = RANDOM.uniform(0, 100, size=(120, 2))
    with pytest.raises(ValueError, match="120 points"):
        anchor_points(points)
    as_101 = anchor_points(points, guesses_point_layouts=True)
    assert as_101 == pytest.approx(anchor_points(points[:101]))
    with pytest.raises(ValueError, match="50 points"):
        anchor_points(points[:50], guesses_point_layouts=True)


@pytest.mark.parametrize("angle", [0.0, 0.4, -1.2, 3.0])
def test_square_follows_the_face(angle: float) -> None:
    upright = face_square(face_points(106), CropOptions(scale=2.0, vy_ratio=-0.125))
    assert upright.edge == pytest.approx(200.0, abs=0.01)
    assert upright.center == pytest.approx([150, 145 - 25], abs=0.01)
    square = face_square(face_points(106, angle), CropOptions(scale=2.0, vy_ratio=-0.125))
    assert square.angle == pytest.approx(angle, abs=1e-4)
    assert square.edge == pytest.approx(200.0, abs=0.01)


def test_a_turned_face_stands_upright_in_its_crop() -> None:
    points = face_points(203, angle=0.6)
    crop = crop_face(np.zeros((300, 300, 3), np.uint8), points)
    eyes, mouth = anchor_points(transform_points(points, crop.image_to_crop))
    assert eyes[0] == pytest.approx(mouth[0], abs=0.01)
    assert mouth[1] > eyes[1]
    back = transform_points(transform_points(points, crop.image_to_crop), crop.crop_to_image)
    assert back == pytest.approx(points, abs=1e-3)


def test_degenerate_faces_stand_upright() -> None:
    points = np.full((5, 2), 30.0) + np.array([[0, 0], [4, 0], [2, 1], [0, 0], [4, 0]])
    assert face_square(points).angle == pytest.approx(0.0)


@pytest.mark.parametrize("value", [30.0, np.nan])
def test_landmarks_without_extent_are_no_face(value: float) -> None:
    with pytest.raises(ReportedError) as caught:
        face_square(np.full((5, 2), value))
    assert caught.value.code == "bad_face"


def test_horizontal_offset_works_but_for_parity() -> None:
    points = face_points(106)
    plain = face_square(points, CropOptions())
    moved = face_square(points, CropOptions(vx_ratio=0.2))
    assert moved.center[0] - plain.center[0] == pytest.approx(0.2 * plain.edge, abs=0.01)
    official = face_square(points, CropOptions(vx_ratio=0.2), quirks=OFFICIAL)
    assert np.array_equal(official.center, plain.center)


def test_crop_shows_the_picture_where_the_square_is() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    image[80:120, 130:170] = (200, 100, 50)
    square = FaceSquare(np.array([150, 100], np.float32), np.float32(80))
    box = crop_box(image, (110, 60, 190, 140), size=160)
    assert np.array_equal(box.image[80, 80], (200, 100, 50))
    assert np.array_equal(box.image[10, 10], (0, 0, 0))
    assert np.allclose(box.image_to_crop, square.to_crop_matrix(160))


def test_driving_boxes_are_upright_and_averaged() -> None:
    boxes = [upright_box(face_points(203, angle), DRIVING_CROP) for angle in (0.0, 0.5)]
    for left, top, right, bottom in boxes:
        assert right - left == pytest.approx(bottom - top, abs=0.01)
    assert mean_box(np.array(boxes)) == pytest.approx(np.mean(boxes, axis=0))


def test_our_crop_neither_aliases_nor_darkens_at_the_border() -> None:
    checker = (np.indices((1200, 1200)).sum(axis=0) % 2 * 255).astype(np.uint8)
    pixels = np.repeat(checker[..., None], 4, axis=2)
    pixels[..., 3] = 255
    square = FaceSquare(np.array([600, 300], np.float32), np.float32(2048))
    crop, _ = crop_layers(pixels, square)
    assert crop.shape == (CROP_SIZE, CROP_SIZE, 4)
    # Single pixels of a fine checker would be black or white; outside the border repeats.
    assert crop[..., :3].min() > 100
    assert crop[..., :3].max() < 155
    assert (crop[..., 3] == 255).all()


def test_our_crop_lies_where_the_official_one_lies() -> None:
    y, x = np.mgrid[:400, :600].astype(np.float32)
    pixels = np.stack([x, y, x + y, np.ones_like(x)], axis=-1)
    square = FaceSquare(np.array([280, 210], np.float32), np.float32(190), 0.3)
    crop, crop_to_image = crop_layers(pixels, square)
    points = np.array([[256, 256], [100, 300], [400, 180]])
    at = transform_points(points, crop_to_image)
    assert crop[points[:, 1], points[:, 0], :2] == pytest.approx(at, abs=0.05)


def test_a_large_square_keeps_its_place_when_reduced() -> None:
    y, x = np.mgrid[:3000, :3000].astype(np.float32)
    pixels = np.stack([x, y, x + y, np.ones_like(x)], axis=-1)
    square = FaceSquare(np.array([1480, 1510], np.float32), np.float32(2600), -0.4)
    crop, crop_to_image = crop_layers(pixels, square)
    at = transform_points(np.array([[256, 256], [200, 310]]), crop_to_image)
    assert crop[256, 256, :2] == pytest.approx(at[0], abs=1.0)
    assert crop[310, 200, :2] == pytest.approx(at[1], abs=1.0)


def test_mask_is_full_inside_and_falls_to_the_edge() -> None:
    mask = feather_mask()
    assert mask[256, 256] == 1.0
    assert (mask[16:-16, 16:-16] == 1.0).all()
    assert mask[0].max() == 0.0
    assert mask[0, 0] == 0.0
    assert mask[8, 256] == pytest.approx(0.5)
    assert mask[4, 4] == 0.0  # rounded corner


def _canvas(dtype: str) -> np.ndarray:
    canvas = RANDOM.uniform(0.2, 0.8, size=(240, 320, 4)).astype(np.float32)
    canvas[..., 3] = 1.0
    return np.rint(canvas * 255).astype(np.uint8) if dtype == "uint8" else canvas


def _area(canvas: np.ndarray) -> PasteArea:
    square = FaceSquare(np.array([150, 120], np.float32), np.float32(128), 0.2)
    matrix = np.linalg.inv(square.to_crop_matrix(CROP_SIZE)).astype(np.float32)
    return PasteArea(matrix, canvas.shape[:2])


def _flat(value: float) -> np.ndarray:
    return np.full((CROP_SIZE, CROP_SIZE, 3), value, np.float32)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_patch_covers_its_square_and_nothing_else(dtype: str) -> None:
    source = _canvas(dtype)
    canvas = source.copy()
    area = _area(canvas)
    paste(_flat(1.0), None, area, canvas, source)
    rectangle = area.rectangle
    assert canvas[120, 150, 0] == canvas.dtype.type(255 if dtype == "uint8" else 1)
    outside = np.ones(canvas.shape[:2], bool)
    outside[rectangle.slices] = False
    assert np.array_equal(canvas[outside], source[outside])
    corner = canvas[rectangle.y, rectangle.x]
    assert np.array_equal(corner, source[rectangle.y, rectangle.x])
    assert (canvas[..., 3] == source[..., 3]).all()


def test_patch_without_strength_changes_nothing() -> None:
    source = _canvas("float32")
    canvas = source.copy()
    paste(_flat(1.0), None, _area(canvas), canvas, source, strength=0.0)
    assert np.array_equal(canvas, source)


def test_half_strength_shows_half() -> None:
    source = _canvas("uint8")
    canvas = source.copy()
    paste(_flat(0.0), None, _area(canvas), canvas, source, strength=0.5)
    expected = np.rint(source[120, 150, :3] / 2)
    assert canvas[120, 150, :3] == pytest.approx(expected, abs=1)


def test_values_above_one_survive_pasting() -> None:
    source = _canvas("float32")
    canvas = source.copy()
    paste(_flat(7.5), None, _area(canvas), canvas, source)
    assert canvas[120, 150, :3] == pytest.approx([7.5] * 3)


def test_eight_bits_saturate() -> None:
    source = _canvas("uint8")
    for value, expected in ((1.7, 255), (-0.4, 0)):
        canvas = source.copy()
        paste(_flat(value), None, _area(canvas), canvas, source)
        assert canvas[120, 150, 0] == expected


def test_clear_parts_of_a_patch_do_not_colour_the_picture() -> None:
    source = _canvas("float32")
    source[..., 3] = 0.5
    canvas = source.copy()
    alpha = np.zeros((CROP_SIZE, CROP_SIZE), np.float32)
    paste(_flat(1.0), alpha, _area(canvas), canvas, source)
    assert canvas[120, 150, 3] == 0.0
    edge = np.argwhere((canvas[..., 3] > 0.1) & (canvas[..., 3] < 0.4))
    assert len(edge)
    # Half faded out, the colour that remains is still the canvas's own.
    for y, x in edge[:20]:
        assert canvas[y, x, :3] == pytest.approx(source[y, x, :3], abs=1e-5)


def test_opaque_parts_of_a_patch_cover_a_clear_picture() -> None:
    source = _canvas("float32")
    source[..., 3] = 0.0
    canvas = source.copy()
    paste(_flat(0.25), np.ones((CROP_SIZE, CROP_SIZE), np.float32), _area(canvas), canvas, source)
    assert canvas[120, 150] == pytest.approx([0.25, 0.25, 0.25, 1.0])
    seam = canvas[(canvas[..., 3] > 0.05) & (canvas[..., 3] < 0.95)]
    assert len(seam)
    assert seam[:, :3] == pytest.approx(np.full((len(seam), 3), 0.25), abs=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_neighbour_that_has_moved_is_not_put_back(dtype: str) -> None:
    source = _canvas(dtype)
    canvas = source.copy()
    canvas[60:180, 176:200, :3] = 0  # another face, at the side of this crop
    paste(_flat(1.0), None, _area(canvas), canvas, source)
    unit = 255 if dtype == "uint8" else 1.0
    assert canvas[120, 196, 0] < 0.25 * unit
    assert canvas[120, 150, 0] == pytest.approx(unit)


def test_covered_rectangle_is_cut_at_the_border_and_empty_outside() -> None:
    inside = FaceSquare(np.array([10, 10], np.float32), np.float32(40)).to_crop_matrix(CROP_SIZE)
    rectangle = covered_rectangle(np.linalg.inv(inside), CROP_SIZE, (100, 100))
    assert (rectangle.x, rectangle.y) == (0, 0)
    assert 30 <= rectangle.width <= 33
    outside = FaceSquare(np.array([-90, 10], np.float32), np.float32(40)).to_crop_matrix(CROP_SIZE)
    assert covered_rectangle(np.linalg.inv(outside), CROP_SIZE, (100, 100)) == NOTHING


def test_small_faces_are_filtered_when_pasted() -> None:
    checker = (np.indices((CROP_SIZE, CROP_SIZE)).sum(axis=0) % 2).astype(np.float32)
    square = FaceSquare(np.array([30, 30], np.float32), np.float32(40))
    matrix = np.linalg.inv(square.to_crop_matrix(CROP_SIZE))
    small = warp_to_rectangle(checker, matrix, Rectangle(15, 15, 30, 30))
    assert small == pytest.approx(np.full((30, 30), 0.5), abs=0.05)
