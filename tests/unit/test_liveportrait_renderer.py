"""The renderer on a stand-in model set that shifts the picture by how far keypoints move."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from fakes.model_set import FakeModelSet, identity_grid
from skimage import data

from engine.compose import Composition
from engine.faces.find import find_faces
from engine.liveportrait.analysis import AnalysedFace, BoxAnalysis, MeshAnalysis
from engine.liveportrait.carrying import carried, flow_of
from engine.liveportrait.colour import split_layers
from engine.liveportrait.mesh_landmarks import landmarks_203
from engine.liveportrait.portrait import Portrait
from engine.liveportrait.renderer import LivePortraitRenderer
from engine.motion import Face, Motion
from engine.renderer import NOTHING, ReportedError, SourceImage
from engine.srgb import linear_from_srgb, srgb_from_linear

BOX_FACE = Face(box=(150.0, 100.0, 250.0, 200.0))
SHIFT = Motion(translation=(0.1, 0.05, 0.0))


def picture(dtype: str = "uint8", encoding: str = "srgb") -> SourceImage:
    """A smooth coloured picture, 400 x 300."""
    y, x = np.mgrid[:300, :400].astype(np.float32)
    colour = [
        0.5 + 0.4 * np.sin(x / 23),
        0.5 + 0.4 * np.cos(y / 31),
        0.5 + 0.4 * np.sin((x + y) / 40),
    ]
    pixels = np.stack([*colour, np.ones_like(x)], axis=-1)
    if dtype == "uint8":
        return SourceImage(np.rint(pixels * 255).astype(np.uint8), encoding)
    return SourceImage(pixels, encoding)


class FixedAnalysis(BoxAnalysis):
    """The crop of a box, with ratios as if there were landmarks."""

    def analyse(self, image: np.ndarray, face: Face) -> AnalysedFace:
        from engine.performance.ratios import OpeningRatios

        found = super().analyse(image, face)
        ratios = OpeningRatios(np.array([[0.3, 0.34]], np.float32), np.array([[0.1]], np.float32))
        return replace(found, ratios=ratios)


def opened(image: SourceImage, models: FakeModelSet | None = None) -> Portrait:
    renderer = LivePortraitRenderer(models or FakeModelSet(), FixedAnalysis())
    return renderer.open(image, BOX_FACE)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_neutral_motion_leaves_every_bit(dtype: str) -> None:
    image = picture(dtype)
    models = FakeModelSet(stitching_shift=0.2)
    canvas = image.pixels.copy()
    assert opened(image, models).render(Motion(lid_offset=0.5), canvas) == NOTHING
    assert np.array_equal(canvas, image.pixels)
    assert models.calls["decode"] == []


def test_source_is_read_once_and_frames_are_remembered() -> None:
    image, models = picture(), FakeModelSet()
    portrait = opened(image, models)
    for _ in range(3):
        portrait.render(SHIFT, image.pixels.copy())
    portrait.render(replace(SHIFT, lid_offset=1.0), image.pixels.copy())
    assert models.calls == {"motion": [1], "features": [1], "decode": [1]}


def test_networks_see_the_crop_in_display_colours() -> None:
    models = FakeModelSet()
    opened(picture(), models)
    seen = models.seen[0]
    assert seen.shape == (1, 256, 256, 3)
    assert seen.dtype == np.float32
    linear = SourceImage(to_linear_image(picture("float32")), "linear")
    again = FakeModelSet()
    opened(linear, again)
    assert again.seen[0] == pytest.approx(seen, abs=0.01)


def to_linear_image(image: SourceImage) -> np.ndarray:
    pixels = image.pixels.copy()
    pixels[..., :3] = linear_from_srgb(pixels[..., :3])
    return pixels


@pytest.mark.parametrize(("dtype", "encoding"), [("uint8", "srgb"), ("float32", "linear")])
def test_moved_face_replaces_its_square_only(dtype: str, encoding: str) -> None:
    image = picture(dtype, encoding)
    canvas = image.pixels.copy()
    rectangle = opened(image).render(SHIFT, canvas)
    outside = np.ones(canvas.shape[:2], bool)
    outside[rectangle.slices] = False
    assert np.array_equal(canvas[outside], image.pixels[outside])
    # The stand-in moves the crop by 0.1 and 0.05 half crop widths (194 px / 2).
    assert rectangle.width == pytest.approx(194, abs=4)
    matrix = np.array([[1, 0, 9.7], [0, 1, 4.85]])
    expected = cv2.warpAffine(image.pixels, matrix, (400, 300))
    difference = canvas[100:180, 160:240, :3].astype(float) - expected[100:180, 160:240, :3]
    assert np.abs(difference).max() < (4 if dtype == "uint8" else 0.02)


def test_small_motion_fades_in() -> None:
    image = picture()
    changes = []
    for amount in (1e-5, 1e-3, 3e-3, 1e-2):
        models = FakeModelSet()
        models.brightness = 0.2
        canvas = image.pixels.copy()
        opened(image, models).render(Motion(translation=(amount, 0.0, 0.0)), canvas)
        changes.append(
            np.abs(
                canvas[140:160, 190:210, :3].astype(int) - image.pixels[140:160, 190:210, :3]
            ).mean()
        )
    assert changes[0] < 0.5
    assert changes == sorted(changes)
    assert changes[3] > 30


def test_opening_ratios_reach_the_small_networks() -> None:
    image = picture()
    portrait = opened(image)
    assert portrait.face.eyes_open == pytest.approx(0.32)
    assert portrait.face.lips_open == pytest.approx(0.1)
    canvas = image.pixels.copy()
    rectangle = portrait.render(Motion(lips_open=0.6), canvas)
    assert rectangle != NOTHING
    # One keypoint of 21 moves by 0.5: the stand-in shifts by 0.5 / 21 half crop widths.
    matrix = np.array([[1, 0, 0], [0, 1, 0.5 / 21 * 97.0]])
    expected = cv2.warpAffine(image.pixels, matrix, (400, 300))
    difference = canvas[100:180, 160:240, :3].astype(float) - expected[100:180, 160:240, :3]
    assert np.abs(difference).max() < 4


def test_batches_decode_at_once() -> None:
    image, models = picture(), FakeModelSet()
    portrait = opened(image, models)
    motions = [Motion(yaw=float(angle)) for angle in range(8)]
    portrait.prepare(motions)
    for motion in motions:
        portrait.render(motion, image.pixels.copy())
    assert models.calls["decode"] == [7]


def test_frames_announced_ahead_are_decoded_in_whole_batches() -> None:
    image, models = picture(), FakeModelSet()
    composition = Composition(image, [opened(image, models)])
    frames = [[Motion(yaw=float(angle))] for angle in range(1, 9)]
    for number in range(len(frames)):
        composition.prepare(frames[number : number + 4])
        composition.render(frames[number])
    assert models.calls["decode"] == [4, 4]


def test_alpha_travels_with_the_face() -> None:
    image = picture("float32")
    pixels = image.pixels.copy()
    pixels[:, :200, 3] = 0.0
    pixels[:, :200, :3] = 50.0  # colours below alpha 0 must not leak
    image = SourceImage(pixels, "srgb")
    canvas = pixels.copy()
    opened(image).render(Motion(translation=(0.2, 0.0, 0.0)), canvas)
    # The edge at x = 200 moves by 0.2 half crops, 19.4 px.
    edge = float(np.interp(0.5, canvas[150, 205:235, 3], np.arange(205, 235)))
    assert edge == pytest.approx(219.4, abs=1.5)
    assert canvas[150, 240:, :3].max() < 1.5
    assert canvas[20, :, 3] == pytest.approx(pixels[20, :, 3])


def test_highlights_travel_with_the_face() -> None:
    image = picture("float32", "linear")
    pixels = image.pixels.copy()
    pixels[145:155, 195:205, :3] = 12.0
    canvas = pixels.copy()
    opened(SourceImage(pixels, "linear")).render(Motion(translation=(0.2, 0.0, 0.0)), canvas)
    assert canvas[150, 219, :3].min() > 10.0
    assert canvas[150, 195, :3].max() < 1.5


def test_head_at_the_border_does_not_drag_black_in() -> None:
    image = picture()
    pixels = np.full_like(image.pixels, 200)
    pixels[..., 3] = 255
    face = Face(box=(0.0, 0.0, 90.0, 90.0))
    renderer = LivePortraitRenderer(FakeModelSet(), FixedAnalysis())
    canvas = pixels.copy()
    renderer.open(SourceImage(pixels, "srgb"), face).render(
        Motion(translation=(0.5, 0.5, 0)), canvas
    )
    assert canvas.min() >= 199


def test_two_overlapping_faces_both_move() -> None:
    image = picture()
    models = FakeModelSet()
    renderer = LivePortraitRenderer(models, FixedAnalysis())
    faces = [Face(box=(100.0, 100.0, 180.0, 180.0)), Face(box=(190.0, 100.0, 270.0, 180.0))]
    both = Composition(image, [renderer.open(image, face) for face in faces])
    both.render([SHIFT, replace(SHIFT, translation=(-0.1, 0.05, 0.0))])
    for face, x in zip(faces, (140, 230), strict=True):
        alone = image.pixels.copy()
        motion = SHIFT if face is faces[0] else replace(SHIFT, translation=(-0.1, 0.05, 0.0))
        renderer.open(image, face).render(motion, alone)
        region = np.s_[130:155, x - 12 : x + 12]
        moved = np.abs(alone[region].astype(int) - image.pixels[region]).mean()
        assert moved > 2
        assert np.abs(both.canvas[region].astype(int) - alone[region]).mean() < 0.25 * moved


def test_animals_are_cropped_by_their_box_without_stitching() -> None:
    image = picture()
    models = FakeModelSet("animal", stitching_shift=0.3)
    canvas = image.pixels.copy()
    portrait = LivePortraitRenderer(models).open(image, BOX_FACE)
    assert replace(portrait.face, reading=()) == BOX_FACE
    portrait.render(SHIFT, canvas)
    matrix = np.array([[1, 0, 9.7], [0, 1, 4.85]])
    expected = cv2.warpAffine(image.pixels, matrix, (400, 300))
    assert np.abs(canvas[150, 200, :3].astype(int) - expected[150, 200, :3]).max() < 4


def test_faces_of_one_picture_share_its_view(monkeypatch: pytest.MonkeyPatch) -> None:
    views: list[SourceImage] = []

    def counted(image: SourceImage, _step: object) -> np.ndarray:
        views.append(image)
        return image.pixels[..., :3]

    monkeypatch.setattr("engine.liveportrait.renderer.view_8bit", counted)
    renderer = LivePortraitRenderer(FakeModelSet(), FixedAnalysis())
    first, second = picture(), picture()
    for image in (first, first, second, first):
        renderer.open(image, BOX_FACE)
    assert [image is first for image in views] == [True, False, True]


def test_empty_boxes_are_refused() -> None:
    face = Face(box=(50.0, 50.0, 50.0, 50.0))
    with pytest.raises(ReportedError, match="box is empty"):
        LivePortraitRenderer(FakeModelSet("animal")).open(picture(), face)


def test_a_photograph_is_cropped_around_its_face() -> None:
    photo = data.astronaut()
    pixels = np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)])
    image = SourceImage(pixels, "srgb")
    face = find_faces(image)[0]
    analysed = MeshAnalysis().analyse(photo, face)
    x, y = analysed.square.center
    left, top, right, bottom = face.box
    assert left < x < right
    assert top < y < bottom
    assert 1.6 < analysed.square.edge / max(right - left, bottom - top) < 2.3
    assert analysed.ratios is not None
    assert 0.15 < analysed.ratios.eyes.mean() < 0.6
    models = FakeModelSet()
    canvas = pixels.copy()
    LivePortraitRenderer(models).open(image, face).render(SHIFT, canvas)
    assert np.abs(canvas.astype(int) - pixels).max() > 50


def test_a_hand_drawn_box_without_a_readable_face_is_used_as_it_is() -> None:
    flat = np.full((300, 400, 3), 128, np.uint8)
    analysed = MeshAnalysis().analyse(flat, BOX_FACE)
    assert analysed.ratios is None
    assert analysed.square.edge == pytest.approx(194)
    detected = replace(BOX_FACE, keypoints=((180.0, 130.0), (220.0, 130.0)))
    with pytest.raises(ReportedError):
        MeshAnalysis().analyse(flat, detected)


def test_mesh_points_follow_the_official_numbering() -> None:
    mesh = np.random.default_rng(3).uniform(0, 100, size=(478, 3))
    points = landmarks_203(mesh)
    assert points.shape == (203, 2)
    pairs = {0: 33, 12: 133, 24: 362, 36: 263, 48: 61, 66: 291, 84: 78, 96: 308, 152: 234, 108: 454}
    for ours, vertex in pairs.items():
        assert points[ours] == pytest.approx(mesh[vertex, :2], abs=1e-3)


def test_unmoved_grid_gives_no_flow() -> None:
    assert np.abs(flow_of(identity_grid(), 512)).max() < 1e-4
    layer = np.random.default_rng(0).uniform(size=(64, 64)).astype(np.float32)
    assert carried(layer, np.zeros((64, 64, 2), np.float32)) == pytest.approx(layer)


def test_display_curve_and_back() -> None:
    values = np.linspace(0, 1, 50, dtype=np.float32)
    assert linear_from_srgb(srgb_from_linear(values)) == pytest.approx(values, abs=1e-6)
    assert srgb_from_linear(np.array([0.2140411])) == pytest.approx([0.5], abs=1e-5)


def test_not_a_number_does_not_reach_the_networks() -> None:
    crop = np.full((32, 32, 4), np.nan, np.float32)
    crop[..., 3] = 1.0
    layers = split_layers(crop, "linear")
    assert np.isfinite(layers.display).all()
    assert layers.alpha is None
