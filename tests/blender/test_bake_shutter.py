"""Bakes with motion blur: an open shutter sees all that the scene does meanwhile."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from baking import (  # noqa: F401 - fixtures
    advance,
    bake,
    begin,
    frame_path,
    fresh,
    image_node,
    live,
    loaded,
    performance,
    summary,
)
from conftest import DATA
from test_bake import add_camera_and_render

# A moment of 1/32 frame becomes a whole frame when time is stretched by this.
STRETCH = 32
BLINK_AT = 3


@pytest.fixture
def blinking(add_portrait: Any, tmp_path: Path) -> tuple[Any, Any]:
    """(plane, controller) in a saved file: all kinds of motion around frame 3."""
    plane, (face,) = add_portrait()
    animate(face, 1)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 4
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    return plane, face


def animate(face: Any, stretch: int) -> None:
    """A blink by keys, a turn by a constraint, a smile by a driver: within 1.2 frames."""
    begin_at, end_at = (BLINK_AT - 0.6) * stretch, (BLINK_AT + 0.6) * stretch
    guide = bpy.data.objects.get("Guide")
    if guide is None:
        guide = bpy.data.objects.new("Guide", None)
        bpy.context.scene.collection.objects.link(guide)
        turn = face.constraints.new("COPY_ROTATION")
        turn.target, turn.mix_mode = guide, "BEFORE"
        driver = face.driver_add('["smile"]').driver
        variable = driver.variables.new()
        variable.targets[0].id = guide
        variable.targets[0].data_path = "location.x"
        driver.expression = variable.name
    for item in (face, guide):
        item.animation_data_clear() if item is guide else clear_keys(item)
    for frame, value in ((begin_at, 0.0), (end_at, 1.0)):
        face["blink"] = value
        face.keyframe_insert('["blink"]', frame=frame)
        guide.location.x = value
        guide.keyframe_insert("location", frame=frame)
        guide.rotation_euler.z = (value - 0.5) * math.radians(30)
        guide.keyframe_insert("rotation_euler", frame=frame)


def clear_keys(item: Any) -> None:
    if item.animation_data is not None:
        item.animation_data.action = None


def use_shutter(length: float = 0.5, samples: int = 4, position: str = "CENTER") -> Any:
    settings = bpy.context.scene.keyportrait_bake
    settings.use_motion_blur = True
    settings.motion_blur_shutter, settings.motion_blur_samples = length, samples
    settings.motion_blur_position = position
    return settings


def light(values: np.ndarray) -> np.ndarray:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def display(values: np.ndarray) -> np.ndarray:
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)


def edge_energy(picture: np.ndarray, moved: np.ndarray) -> float:
    edges = sum(np.square(part) for part in np.gradient(picture[..., 1]))
    return float(edges[moved].mean())


@pytest.mark.parametrize(
    ("position", "first"), [("START", 0.0625), ("CENTER", -0.1875), ("END", -0.4375)]
)
def test_a_blurred_frame_is_the_mean_of_its_moments(
    position: str, first: float, blinking: Any, pixels: Any, module: Any
) -> None:
    plane, face = blinking
    use_shutter(position=position)
    assert bake() == {"FINISHED"}
    blurred = loaded(frame_path(plane, BLINK_AT), pixels)
    # The same performance, slower: each moment is a frame of a bake without a shutter.
    animate(face, STRETCH)
    settings = bpy.context.scene.keyportrait_bake
    settings.use_motion_blur, settings.use_scene_range = False, False
    settings.folder = str(Path(bpy.data.filepath).parent / "moments")
    moments: list[np.ndarray] = []
    for number in range(4):
        moment = round((BLINK_AT + first + number * 0.125) * STRETCH)
        settings.frame_start = settings.frame_end = moment
        bake()
        path = Path(bpy.data.filepath).parent / "moments" / plane.name
        moments.append(loaded(path / f"{plane.name}_{moment:04d}.png", pixels))
    wanted = display(np.mean([light(m) for m in moments], axis=0))[..., :3]
    assert abs(blurred[..., :3] - wanted).max() <= 1 / 255 + 1e-6
    moved = abs(moments[0] - moments[-1]).max(axis=2) > 0.1
    assert moved.mean() > 0.01
    assert edge_energy(blurred, moved) < 0.75 * edge_energy(moments[1], moved)


def test_frames_in_which_nothing_moves_stay_byte_for_byte(blinking: Any, module: Any) -> None:
    plane, _ = blinking
    bake()
    plain = {frame: frame_path(plane, frame).read_bytes() for frame in range(1, 5)}
    module("rig.frame_cache").clear()
    settings = use_shutter()
    settings.folder = str(Path(bpy.data.filepath).parent / "blurred")
    bake()
    folder = Path(bpy.data.filepath).parent / "blurred" / plane.name
    for frame, data in plain.items():
        is_same = (folder / f"{plane.name}_{frame:04d}.png").read_bytes() == data
        assert is_same == (frame != BLINK_AT)
    assert (summary(module).rendered, summary(module).cached) == (3, 1)


def test_a_key_holds_the_motions_of_all_samples(blinking: Any, module: Any) -> None:
    bake()
    use_shutter()
    bake()
    counts = summary(module)
    assert (counts.kept, counts.rendered) == (3, 1), "still frames are those of the plain bake"
    use_shutter(samples=8)
    bake()
    assert summary(module).rendered == 1
    use_shutter(samples=4)
    bake()
    counts = summary(module)
    assert (counts.kept, counts.cached, counts.rendered) == (3, 1, 0)
    # What happens between frames alone counts, too: the frame itself stays as it was.
    guide = bpy.data.objects["Guide"]
    curve = module("compat").fcurves(guide)[0]
    curve.keyframe_points.insert(BLINK_AT, curve.evaluate(BLINK_AT))
    curve.keyframe_points.insert(BLINK_AT + 0.1, 0.0)
    bake()
    assert summary(module).rendered == 1


def test_the_blurred_bake_is_shown_and_is_not_out_of_date(blinking: Any, module: Any) -> None:
    plane, _ = blinking
    use_shutter(samples=2)
    bake()
    assert image_node(plane).image == plane.keyportrait_baked.image
    for frame in (1, 3):
        bpy.context.scene.frame_set(frame)
        assert not module("rig.bake_state").is_stale(plane)


def test_live_images_do_not_blur(blinking: Any, pixels: Any) -> None:
    plane, _ = blinking
    before = live(plane, BLINK_AT, pixels)
    use_shutter()
    bpy.context.scene.frame_set(1)
    assert (live(plane, BLINK_AT, pixels) == before).all()


def test_a_render_with_motion_blur_shows_the_frames_own_face(blinking: Any, tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.frame_set(BLINK_AT)
    sharp = add_camera_and_render(tmp_path / "sharp.png")
    scene.render.use_motion_blur = True
    for position in ("START", "CENTER", "END"):
        scene.render.motion_blur_position = position
        assert (add_camera_and_render(tmp_path / "blurred.png") == sharp).all()


def test_a_blurred_bake_can_be_stopped_and_goes_on(blinking: Any, module: Any) -> None:
    plane, _ = blinking
    use_shutter(samples=32)
    bpy.context.scene.frame_set(2, subframe=0.25)
    run = begin(module)
    advance(run, lambda: run.summary.rendered or frame_path(plane, 1).exists())
    run.cancel()
    scene = bpy.context.scene
    assert (scene.frame_current, scene.frame_subframe) == (2, 0.25)
    assert not frame_path(plane, 4).exists()
    bake()
    assert frame_path(plane, 4).exists() and summary(module).kept >= 1


def test_the_button_takes_the_scenes_own_motion_blur(add_portrait: Any) -> None:
    add_portrait()
    render = bpy.context.scene.render
    render.motion_blur_shutter, render.motion_blur_position = 0.75, "START"
    assert bpy.ops.keyportrait.copy_motion_blur() == {"FINISHED"}
    settings = bpy.context.scene.keyportrait_bake
    assert settings.use_motion_blur and settings.motion_blur_position == "START"
    assert settings.motion_blur_shutter == pytest.approx(0.75)


def test_files_of_0_1_0_bake_without_blur() -> None:
    bpy.ops.wm.open_mainfile(filepath=str(DATA / "portrait_0_1_0.blend"))
    settings = bpy.context.scene.keyportrait_bake
    assert not settings.use_motion_blur
    assert (settings.motion_blur_shutter, settings.motion_blur_samples) == (0.5, 8)
    assert settings.motion_blur_position == bpy.context.scene.render.motion_blur_position


def test_without_the_window(
    blinking: Any, module: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plane, _ = blinking
    run = module("rig.command_line").run
    out = tmp_path / "farm"
    frames = ["bake", "--frames", f"{BLINK_AT}", "--output", str(out)]
    path = out / plane.name / f"{plane.name}_{BLINK_AT:04d}.png"
    pictures: list[bytes] = []
    blur = ["--shutter", "0.5", "--samples", "4"]
    for options in (["--shutter", "0"], blur, [*blur, "--shutter-position", "END"]):
        assert run([*frames, *options]) == 0
        pictures.append(path.read_bytes())
    assert len(set(pictures)) == 3
    use_shutter()
    assert run(frames) == 0
    assert path.read_bytes() == pictures[1]
    capfd.readouterr()
    for wrong, text in ((["--shutter", "99"], "0.01 to 16"), (["--samples", "1"], "2 to 64"),
                        (["--shutter", "0", "--samples", "4"], "add --shutter")):  # fmt: skip
        assert run([*frames, *wrong]) == 2
        assert text in capfd.readouterr().err
