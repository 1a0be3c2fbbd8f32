"""engine.shutter: an open shutter's picture is the mean of its moments' light."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from engine.compose import Composition
from engine.motion import Face, Motion
from engine.operations import Operations
from engine.protocol import Array, Message
from engine.renderer import NOTHING, Rectangle, ReportedError, SourceImage
from engine.request_fields import read_motions
from engine.shutter import Shutter, expose
from engine.srgb import linear_from_srgb, srgb_from_linear

ASTRONAUT = Path(__file__).resolve().parents[1] / "data" / "astronaut.jpg"


class Block:
    """A face that paints a block of one colour, `yaw` pixels from the left; counts its work."""

    def __init__(self, colour: tuple[float, ...]) -> None:
        self.colour = colour
        self.face = Face((0.0, 0.0, 1.0, 1.0))
        self.drawn = 0
        self.prepared: list[int] = []

    def prepare(self, motions: list[Motion]) -> None:
        self.prepared.append(len(motions))

    def render(self, motion: Motion, canvas: np.ndarray) -> Rectangle:
        if motion == Motion():
            return NOTHING
        self.drawn += 1
        area = Rectangle(int(motion.yaw), 2, 4, 4)
        canvas[area.slices] = self.colour
        return area


def at(x: float) -> tuple[Motion, ...]:
    return (Motion(yaw=x),)


def exposed(
    image: SourceImage, block: Block, *samples: tuple[Motion, ...], **options: Any
) -> np.ndarray:
    """(H, W, 4) float32: the whole developed picture, display values 0..1."""
    composition = Composition(image, [block])
    shutter = Shutter(samples, **options)
    exposure = expose(composition, shutter, (), 1, lambda fraction, text: None)
    picture = image.pixels.astype(np.float32)
    picture = picture / 255 if image.pixels.dtype == np.uint8 else picture
    picture[exposure.rectangle.slices] = exposure.developed()
    return picture


def grey(value: float, alpha: float = 1.0, dtype: type = np.float32, **options: Any) -> SourceImage:
    pixels = np.full((10, 30, 4), value, np.float32)
    pixels[..., 3] = alpha
    pixels = np.rint(pixels * 255).astype(np.uint8) if dtype is np.uint8 else pixels
    return SourceImage(pixels, **{"encoding": "srgb" if dtype is np.uint8 else "linear"} | options)


def test_light_is_averaged_not_display_values() -> None:
    picture = exposed(grey(0.0, dtype=np.uint8), Block((255, 255, 255, 255)), at(4), at(20))
    half = float(srgb_from_linear(np.float32(0.5)))
    assert picture[3, 5, 0] == pytest.approx(half, abs=1e-5)
    assert picture[3, 21, 0] == pytest.approx(half, abs=1e-5)
    assert picture[3, 12, 0] == 0.0
    data = exposed(
        grey(0.0, dtype=np.uint8), Block((255, 255, 255, 255)), at(4), at(20), color="linear"
    )
    assert data[3, 5, 0] == pytest.approx(0.5)


def test_lights_brighter_than_white_stay_so() -> None:
    picture = exposed(grey(0.25), Block((80.0, 4.0, 0.0, 1.0)), at(4), at(8), at(8), at(16))
    assert picture[3, 5] == pytest.approx([(80 + 3 * 0.25) / 4, (4 + 0.75) / 4, 0.75 / 4, 1])
    assert picture[3, 9] == pytest.approx([(2 * 80 + 2 * 0.25) / 4, 2.125, 0.125, 1])


def test_colours_count_as_much_as_they_cover() -> None:
    clear = grey(0.9, alpha=0.0)
    picture = exposed(clear, Block((0.2, 0.4, 0.6, 1.0)), at(4), at(12))
    assert picture[3, 5] == pytest.approx([0.2, 0.4, 0.6, 0.5]), "no fringe of the hidden grey"
    channel = exposed(clear, Block((0.2, 0.4, 0.6, 1.0)), at(4), at(12), alpha="channel")
    assert channel[3, 5] == pytest.approx([0.55, 0.65, 0.75, 0.5])


def test_glows_stay_light_that_covers_nothing() -> None:
    glow = grey(3.0, alpha=0.0, has_emission=True)
    picture = exposed(glow, Block((1.0, 1.0, 1.0, 0.0)), at(4), at(12))
    assert picture[3, 5] == pytest.approx([2.0, 2.0, 2.0, 0.0])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_what_does_not_move_keeps_its_bits(dtype: type) -> None:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (10, 30, 4)).astype(np.uint8)
    pixels[::2, ::3, 3] = 0
    image = SourceImage(pixels, "srgb")
    if dtype is np.float32:
        image = SourceImage(rng.normal(0.5, 2.0, (10, 30, 4)).astype(np.float32), "linear")
    picture = exposed(image, Block((9, 9, 9, 9)), at(0), at(25), at(1))
    still = np.ones((10, 30), bool)
    still[2:6, 0:5] = still[2:6, 25:29] = False
    wanted = image.pixels.astype(np.float32) / (255 if dtype is np.uint8 else 1)
    assert (picture[still] == wanted[still]).all()
    assert (picture[3, 2] != wanted[3, 2]).any()


def test_all_grey_levels_come_back_from_equal_samples() -> None:
    moved = np.repeat(np.tile(np.arange(256, dtype=np.uint8), (3, 1))[..., None], 4, axis=2)
    moved[..., 3] = np.array([[255], [100], [1]])
    image = SourceImage(np.ascontiguousarray(moved[:, ::-1]), "srgb")

    class Mirrored(Block):
        def render(self, motion: Motion, canvas: np.ndarray) -> Rectangle:
            canvas[:] = moved
            return Rectangle(0, 0, 256, 3)

    picture = exposed(image, Mirrored((0,)), at(1), at(2), at(3))
    assert (np.rint(picture * 255) == moved).all()


def test_equal_samples_are_rendered_once() -> None:
    block = Block((1.0, 1.0, 1.0, 1.0))
    exposed(grey(0.0), block, at(4), at(4), at(4), at(8), at(0), at(0))
    assert block.drawn == 2


def test_renderers_that_make_several_at_once_get_samples_and_upcoming() -> None:
    block = Block((1.0, 1.0, 1.0, 1.0))
    composition = Composition(grey(0.0), [block])
    told: list[float] = []
    expose(
        composition,
        Shutter((at(1), at(2), at(3))),
        [list(at(4)), list(at(5))],
        2,
        lambda fraction, text: told.append(fraction),
    )
    assert block.prepared == [2, 2, 2]
    assert told == [0.0, pytest.approx(1 / 3), pytest.approx(2 / 3)]


@pytest.mark.parametrize(
    "shutter",
    [
        [],
        {},
        {"samples": []},
        {"samples": [[{}]] * 65},
        {"samples": [[{}, {}]]},
        {"samples": [[{}]], "color": "aces"},
        {"samples": [[{}]], "alpha": 1},
    ],
)
def test_a_shutter_that_makes_no_sense_is_refused(shutter: object) -> None:
    with pytest.raises(ReportedError) as caught:
        Shutter.read({"shutter": shutter}, 1, read_motions)
    assert caught.value.code == "bad_request"


# --- the real renderer, by its front door ---------------------------------------------------------


def ask(operations: Operations, type: str, fields: dict[str, Any], **arrays: Array) -> Message:
    told = getattr(operations, "told", [])
    reply = operations.answer(
        Message(type, 1, fields, arrays), lambda fraction, text: told.append(fraction)
    )
    return reply if isinstance(reply, Message) else reply()


@pytest.fixture(scope="module")
def opened() -> tuple[Operations, int]:
    """The astronaut, opened for Preview."""
    bgr = cv2.imread(str(ASTRONAUT))
    pixels = np.ascontiguousarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGBA))
    array = Array("uint8", pixels.shape, pixels.tobytes())
    operations = Operations()
    faces = ask(operations, "detect", {"encoding": "srgb"}, image=array).fields["faces"]
    fields = {"encoding": "srgb", "renderer": "analytic", "faces": faces, "options": {}}
    return operations, ask(operations, "open", fields, image=array).fields["handle"]


def saved(
    opened: tuple[Operations, int], path: Path, motion: Motion, samples: list[Motion] | None = None
) -> np.ndarray:
    operations, handle = opened
    options: dict[str, Any] = {"save": {"path": str(path), "format": "PNG", "color_depth": "8"}}
    if samples is not None:
        options["shutter"] = {"samples": [[sample.to_json()] for sample in samples]}
    fields = {"handle": handle, "motions": [motion.to_json()], "options": options}
    assert ask(operations, "render", fields).type == "frame"
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_a_fast_turn_is_the_mean_of_its_moments(
    opened: tuple[Operations, int], tmp_path: Path
) -> None:
    turns = [Motion(yaw=float(yaw)) for yaw in np.linspace(-12, 12, 8)]
    moments = [saved(opened, tmp_path / f"{i}.png", turn) for i, turn in enumerate(turns)]
    light = np.mean([linear_from_srgb(m[..., :3] / np.float32(255)) for m in moments], axis=0)
    wanted = srgb_from_linear(light) * 255
    blurred = saved(opened, tmp_path / "blurred.png", turns[3], turns)
    assert abs(blurred[..., :3] - wanted).max() <= 0.75
    still = saved(opened, tmp_path / "still.png", turns[3], [turns[3]] * 8)
    assert (still == saved(opened, tmp_path / "plain.png", turns[3])).all()
    moved = (abs(moments[0].astype(int) - moments[-1]).max(axis=2) > 30)[1:-1, 1:-1]
    energies: list[float] = []
    for picture in (blurred, still):
        edges = cv2.Laplacian(picture[..., 1].astype(np.float32), cv2.CV_32F)[1:-1, 1:-1]
        energies.append(float(np.square(edges[moved]).mean()))
    assert energies[0] < 0.5 * energies[1]
