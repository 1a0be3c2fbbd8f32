"""engine.compose: faces on one canvas, and what differs from the source."""

from __future__ import annotations

import random

import numpy as np
import pytest

from engine.compose import Composition
from engine.motion import Face, Motion
from engine.renderer import NOTHING, Rectangle, SourceImage


class Stamp:
    """A face that adds its motion's yaw to a rectangle of the canvas, if it moves at all."""

    def __init__(self, rectangle: Rectangle) -> None:
        self.rectangle = rectangle
        self.face = Face((0.0, 0.0, 1.0, 1.0))

    def render(self, motion: Motion, canvas: np.ndarray) -> Rectangle:
        if motion == Motion():
            return NOTHING
        canvas[self.rectangle.slices] += np.asarray(motion.yaw, canvas.dtype)
        if motion.pitch:
            raise RuntimeError("fails after it has drawn")
        return self.rectangle


def source(dtype: type = np.uint8) -> SourceImage:
    pixels = np.random.default_rng(1).integers(0, 100, (40, 60, 4)).astype(dtype)
    pixels.flags.writeable = False
    return SourceImage(pixels, "srgb")


def as_shown(image: SourceImage, composition: Composition) -> np.ndarray:
    """The source with the changed rectangle pasted in."""
    picture = image.pixels.copy()
    picture[composition.rectangle.slices] = composition.changed_pixels()
    return picture


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_every_render_starts_from_the_source(dtype: type) -> None:
    image = source(dtype)
    stamps = [Stamp(Rectangle(5, 5, 20, 20)), Stamp(Rectangle(15, 10, 30, 25))]
    composition = Composition(image, stamps)
    rng = random.Random(2)
    for _ in range(50):
        motions = [Motion(yaw=float(rng.choice([0, 1, 7]))) for _ in stamps]
        composition.render(motions)
        expected = image.pixels.copy()
        for stamp, motion in zip(stamps, motions, strict=True):
            expected[stamp.rectangle.slices] += np.asarray(motion.yaw, dtype)
        assert (composition.canvas == expected).all()
        assert (as_shown(image, composition) == expected).all()


def test_the_rectangle_holds_the_moving_faces_alone() -> None:
    stamps = [Stamp(Rectangle(0, 0, 10, 10)), Stamp(Rectangle(50, 30, 10, 10))]
    composition = Composition(source(), stamps)
    still, moved = Motion(), Motion(yaw=1.0)
    assert composition.render([moved, still]) == Rectangle(0, 0, 10, 10)
    assert composition.render([still, moved]) == Rectangle(50, 30, 10, 10)
    assert composition.render([moved, moved]) == Rectangle(0, 0, 60, 40)
    assert composition.render([still, still]) == NOTHING
    assert composition.changed_pixels().size == 0


def test_later_faces_are_drawn_over_earlier_ones() -> None:
    seen: list[int] = []

    class Reader(Stamp):
        def render(self, motion: Motion, canvas: np.ndarray) -> Rectangle:
            seen.append(int(canvas[0, 0, 0]))
            return super().render(motion, canvas)

    image = source()
    area = Rectangle(0, 0, 4, 4)
    composition = Composition(image, [Reader(area), Reader(area)])
    composition.render([Motion(yaw=5.0), Motion(yaw=6.0)])
    first = int(image.pixels[0, 0, 0])
    assert seen == [first, first + 5]
    assert int(composition.canvas[0, 0, 0]) == first + 11


def test_a_failed_render_leaves_no_trace_in_the_next() -> None:
    image = source()
    composition = Composition(image, [Stamp(Rectangle(5, 5, 9, 9)), Stamp(Rectangle(30, 5, 9, 9))])
    with pytest.raises(RuntimeError):
        composition.render([Motion(yaw=5.0), Motion(yaw=5.0, pitch=1.0)])
    composition.render([Motion(), Motion()])
    assert (composition.canvas == image.pixels).all()


def test_the_source_is_never_written_to() -> None:
    image = source()
    before = image.pixels.copy()
    composition = Composition(image, [Stamp(Rectangle(0, 0, 60, 40))])
    composition.render([Motion(yaw=9.0)])
    assert (image.pixels == before).all()
    assert composition.canvas is not image.pixels
