"""What moves is shown small, and whole as soon as it rests; timers are turned by hand here."""

from __future__ import annotations

import time
from pathlib import Path

import bpy
import numpy as np
import pytest
from conftest import PACKAGE
from pictures import read_picture, save_picture

PATIENCE_S = 60.0
LARGE = (4000, 3000)
MOVES = {"smile": 0.8, "head_yaw": 8.0, "blink": 0.4}


def enlarged(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(height, width, 4) by linear interpolation, `size` is (width, height)."""
    for axis, count in ((1, size[0]), (0, size[1])):
        places = (np.arange(count) + 0.5) * pixels.shape[axis] / count - 0.5
        places = np.clip(places, 0, pixels.shape[axis] - 1.001)
        first = places.astype(int)
        shape = [1, 1, 1]
        shape[axis] = count
        share = (places - first).astype(np.float32).reshape(shape)
        low, high = pixels.take(first, axis), pixels.take(first + 1, axis)
        pixels = low + (high - low) * share
    return pixels


def shrunk(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(height, width, 4) means of whole blocks, `size` is (width, height)."""
    columns, rows = size
    height, width = pixels.shape[:2]
    blocks = pixels.reshape(rows, height // rows, columns, width // columns, pixels.shape[2])
    return blocks.mean(axis=(1, 3))


class Mover:
    """A portrait whose sliders are moved as in the interface."""

    def __init__(self, module, plane, controller) -> None:
        self.live, self.pump = module("rig.live"), module("rig.pump")
        self.plane, self.controller = plane, controller
        self.output = plane.keyportrait.portrait.output
        # Background handlers would wait; only these tests' own calls count.
        self.live._pauses += 1

    @property
    def size(self) -> tuple[int, int]:
        return tuple(self.output.size)

    def move(self, **values: float) -> None:
        """Move sliders, and wait for the first picture of them."""
        for name, value in values.items():
            self.controller[name] = value
        self.live.refresh(bpy.context.scene, bpy.context.evaluated_depsgraph_get())
        session = self.live._sessions[self.plane.keyportrait.portrait.uid]
        self.wait(lambda: session.shown == session.wanted)

    def rest(self) -> None:
        """Turn the pump until nothing is awaited."""
        self.wait(lambda: not self.live.is_pending())

    def wait(self, is_done) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not is_done():
            self.pump._tick()
            assert time.monotonic() < deadline, "the picture did not come"
            time.sleep(0.002)


@pytest.fixture
def moving_size(module):
    """moving_size(megapixels) sets the preference."""
    preferences = bpy.context.preferences.addons[PACKAGE].preferences

    def choose(megapixels: float) -> None:
        preferences.live_megapixels = megapixels

    yield choose
    preferences.property_unset("live_megapixels")
    module("rig.live")._pauses = 0


@pytest.fixture
def mover(module, add_portrait, astronaut, pixels, tmp_path, moving_size):
    """mover(size, kind) → a Mover of the astronaut at that size."""

    def make(size=LARGE, *, kind: str = ".png", is_clear: bool = False) -> Mover:
        picture = enlarged(read_picture(astronaut, pixels), size)
        if kind == ".exr":
            picture[..., :3] = 4.0 * picture[..., :3] ** 2.2
        if is_clear:
            picture[..., 3] = np.linspace(0.3, 1.0, size[0], dtype=np.float32)
            picture[..., :3] *= picture[..., 3:] if kind == ".exr" else 1.0
        path = save_picture(tmp_path / f"large{kind}", picture)
        plane, (controller,) = add_portrait(path)
        return Mover(module, plane, controller)

    return make


def test_a_large_picture_moves_small_and_rests_whole(mover, pixels, moving_size) -> None:
    item = mover()
    for step in range(1, 4):
        item.move(smile=0.2 * step, head_yaw=2.0 * step)
        width, height = item.size
        assert width * height == pytest.approx(0.7e6, rel=0.01)
        assert width / height == pytest.approx(4 / 3, rel=0.01)
    item.rest()
    assert item.size == LARGE
    rested = pixels(item.output)
    moving_size(0.0)
    item.move(smile=0.0, head_yaw=0.0)
    item.move(smile=0.6, head_yaw=6.0)
    assert item.size == LARGE
    assert (pixels(item.output) == rested).all()


@pytest.mark.parametrize(
    ("kind", "is_clear"), [(".png", False), (".png", True), (".exr", False), (".exr", True)]
)
def test_nothing_shifts_or_changes_colour_at_rest(
    mover, pixels, moving_size, kind: str, is_clear: bool
) -> None:
    moving_size(0.25)
    item = mover((1000, 1000), kind=kind, is_clear=is_clear)
    item.move(**MOVES)
    assert item.size == (500, 500)
    small = pixels(item.output)
    item.rest()
    whole = shrunk(pixels(item.output), item_size := (500, 500))
    assert small.shape[1::-1] == item_size
    peak = whole[..., :3].max()
    assert np.abs(small - whole).mean() < 0.004 * peak
    assert np.abs(small - whole).max(axis=2).mean() < 0.01 * peak
    # Least squares: how far along each axis the one would have to be moved to become the other.
    grey, other = (np.sqrt(np.maximum(part[..., :3].mean(axis=2), 0)) for part in (whole, small))
    slope_y, slope_x = np.gradient(grey)
    for slope in (slope_x, slope_y):
        shift = ((other - grey) * slope).sum() / (slope**2).sum()
        assert abs(shift) * 2 < 0.5, "pixels of the whole picture"


def test_back_at_rest_small_then_whole_as_the_source(mover, pixels, moving_size) -> None:
    moving_size(0.25)
    item = mover((1000, 1000))
    still = pixels(item.output).copy()
    item.move(smile=0.7)
    item.move(smile=0.0)
    assert item.size == (500, 500)
    assert np.abs(pixels(item.output) - shrunk(still, (500, 500))).max() < 1.5 / 255
    item.rest()
    assert (pixels(item.output) == still).all()


def test_renders_and_bakes_meanwhile_are_whole(
    mover, module, pixels, moving_size, tmp_path: Path
) -> None:
    scene = bpy.context.scene
    moving_size(0.25)
    item = mover((1000, 1000))
    files = []
    for name, use_quick in (("quick", True), ("slow", False)):
        moving_size(0.25 if use_quick else 0.0)
        item.move(smile=0.1)
        item.move(**MOVES)
        assert item.size == ((500, 500) if use_quick else (1000, 1000))
        item.live.show_now(module("rig.portraits").portrait(item.plane), _depsgraph())
        assert item.size == (1000, 1000)
        item.move(smile=0.1)
        item.move(**MOVES)
        scene.frame_start = scene.frame_end = 1
        scene.keyportrait_bake.folder = str(tmp_path / name)
        scene.keyportrait_bake.use_assign = False
        assert bpy.ops.keyportrait.bake() == {"FINISHED"}
        files.append(sorted((tmp_path / name).rglob("*.png"))[0].read_bytes())
        item.rest()
        files.append(pixels(item.output).tobytes())
    assert files[:2] == files[2:]


def test_a_file_saved_meanwhile_holds_the_whole_picture(
    mover, pixels, moving_size, tmp_path: Path
) -> None:
    moving_size(0.25)
    item = mover((1000, 1000))
    item.move(**MOVES)
    assert item.size == (500, 500)
    path, name = str(tmp_path / "saved.blend"), item.output.name
    bpy.ops.wm.save_as_mainfile(filepath=path)
    assert item.size == (1000, 1000)
    shown = pixels(item.output).copy()
    # The image is packed now: it takes other sizes all the same.
    item.move(smile=0.2)
    assert item.size == (500, 500)
    item.move(**MOVES)
    item.rest()
    assert (pixels(item.output) == shown).all()
    bpy.ops.wm.open_mainfile(filepath=path)
    assert (pixels(bpy.data.images[name]) == shown).all()


def test_the_engine_dies_while_a_small_picture_is_shown(mover, module, moving_size) -> None:
    moving_size(0.25)
    item = mover((1000, 1000))
    item.move(**MOVES)
    module("rig.engine").stop()
    item.rest()
    assert module("rig.live").problem_of(item.plane) is None or not item.live.is_pending()
    item.move(smile=0.1)
    item.rest()
    assert item.size == (1000, 1000)


def _depsgraph() -> bpy.types.Depsgraph:
    return bpy.context.evaluated_depsgraph_get()
