"""From nothing to pictures by LivePortrait's networks, as an artist would go.

The environment is made for real from a folder of wheels, the weights are synthetic: the pictures
are abstract, but everything around them must hold. KEYPORTRAIT_WHEELS and
KEYPORTRAIT_SCHEME_WEIGHTS name the folders, `make test-setup` prepares both.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from pictures import read_picture, save_picture

WHEELS = os.environ.get("KEYPORTRAIT_WHEELS", "")
WEIGHTS = os.environ.get("KEYPORTRAIT_SCHEME_WEIGHTS", "")
PACKAGE = "bl_ext.user_default.keyportrait"
PATHS = ("liveportrait_folder", "weights_folder", "wheels_folder")
CAT = str(Path(__file__).resolve().parents[1] / "data" / "cat.png")

pytestmark = pytest.mark.skipif(
    not (WHEELS and WEIGHTS), reason="needs wheels and weights: make test-setup"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, installed: None) -> Iterator[Path]:
    """The finished set-up's folder; in the end everything in it is uninstalled."""
    place = tmp_path_factory.mktemp("setup")
    preferences = bpy.context.preferences.addons[PACKAGE].preferences
    preferences.liveportrait_folder = str(place)
    preferences.wheels_folder = WHEELS
    has_cpu_build = any(Path(WHEELS).glob("torch-*+cpu-*.whl"))
    preferences.torch_backend = "cpu" if has_cpu_build else "auto"
    preferences.precision = "fp32"
    assert bpy.ops.keyportrait.setup_environment() == {"FINISHED"}
    assert bpy.ops.keyportrait.setup_choose_weights(directory=WEIGHTS) == {"FINISHED"}
    yield place
    assert bpy.ops.keyportrait.setup_remove() == {"FINISHED"}
    assert not any(place.iterdir())
    assert Path(WEIGHTS, "spade_generator.safetensors").exists()
    for name in PATHS:
        setattr(preferences, name, "")


def move(controller: Any, **values: float) -> None:
    for name, value in values.items():
        controller[name] = value
    controller.update_tag()
    bpy.context.scene.frame_set(bpy.context.scene.frame_current)


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(H, W) largest difference of the colours."""
    return np.abs(first[..., :3] - second[..., :3]).max(axis=2)


@pytest.fixture
def final(folder: Path, add_portrait: Any) -> Any:
    """final(path…) → (settings, controllers) of a portrait set to Final."""

    def add(*arguments: str, **options: Any) -> tuple[Any, list[Any]]:
        plane, controllers = add_portrait(*arguments, **options)
        plane.keyportrait.portrait.renderer = "liveportrait"
        return plane.keyportrait.portrait, controllers

    return add


def test_the_check_tells_device_and_speed(folder: Path, module: Any) -> None:
    setup = module("rig.setup")
    assert setup.installed().is_ready
    assert bpy.ops.keyportrait.setup_check() == {"FINISHED"}
    result = setup.check_result()
    assert result["model_set"] == "human"
    assert result["device"] == "CPU, fp32"  # see the fixture
    assert result["ms_per_frame"] > 0


def test_the_engine_tells_how_far_loading_is(folder: Path, add_portrait: Any, module: Any) -> None:
    plane, _ = add_portrait()
    engine_process = module("rig.engine")
    client = engine_process.restart("liveportrait")
    plane.keyportrait.portrait.renderer = "liveportrait"
    item = next(iter(module("rig.portraits").portraits_of(bpy.context.scene)))
    fields, arrays = module("rig.opening").open_request(item)
    ticket = client.submit("open", fields, arrays, use_drain=False)
    texts = set()
    while not ticket.wait(0.01):
        texts.add(ticket.progress.text)
    assert ticket.error is None
    assert any("Loading spade_generator" in text for text in texts), texts


def test_sliders_move_the_face_and_nothing_around_it(final: Any, pixels: Any, module: Any) -> None:
    settings, (face,) = final()
    still = pixels(settings.output)
    move(face, smile=0.5)
    smile = pixels(settings.output)
    assert np.isfinite(smile).all()
    changed = difference(smile, still) > 0.01
    assert 0.02 < changed.mean() < 0.8
    assert not changed[380:].any()
    move(face, smile=0.0, head_yaw=20.0)
    assert (difference(pixels(settings.output), smile) > 0.01).mean() > 0.01
    move(face, head_yaw=0.0)
    assert (pixels(settings.output) == still).all()

    facts = module("rig.live").renderer_of(settings.id_data)
    wanted = {"name": "liveportrait", "device": "CPU", "precision": "fp32", "model_set": "human"}
    assert wanted.items() <= facts.items()


def test_bake_with_final_what_was_animated_with_preview(
    folder: Path, add_portrait: Any, pixels: Any, tmp_path: Path
) -> None:
    plane, (face,) = add_portrait()
    for frame, value in ((1, 0.2), (2, 0.8)):
        face["smile"] = value
        face.keyframe_insert('["smile"]', frame=frame)
    bpy.context.scene.frame_set(2)
    preview = pixels(plane.keyportrait.portrait.output)
    settings = bpy.context.scene.keyportrait_bake
    settings.scope, settings.renderer, settings.folder = "ALL", "liveportrait", str(tmp_path)
    settings.use_scene_range, settings.frame_start, settings.frame_end = False, 1, 2
    assert bpy.ops.keyportrait.bake() == {"FINISHED"}
    assert plane.keyportrait.portrait.renderer == "analytic"
    files = sorted(tmp_path.rglob("*.png"))
    assert len(files) == 2
    first, second = (read_picture(str(path), pixels) for path in files)
    assert (difference(first, second) > 0.01).mean() > 0.01
    assert (difference(second, preview) > 0.05).mean() > 0.01


def test_two_faces_move_on_their_own(
    final: Any, pixels: Any, astronaut: str, tmp_path: Path
) -> None:
    one = read_picture(astronaut, pixels)
    both = save_picture(tmp_path / "both.png", np.hstack((one, one[:, ::-1])))
    settings, (left, right) = final(both)
    still = pixels(settings.output)
    middle = still.shape[1] // 2
    move(left, head_yaw=15.0)
    changed = difference(pixels(settings.output), still) > 0.01
    assert changed[:, :middle].mean() > 0.02
    left_alone = pixels(settings.output)
    move(right, head_yaw=15.0)
    changed = difference(pixels(settings.output), left_alone) > 0.01
    assert changed[:, middle:].mean() > 0.02
    assert changed[:, :middle].mean() < 0.2 * changed[:, middle:].mean()


def test_alpha_moves_along(final: Any, pixels: Any, astronaut: str, tmp_path: Path) -> None:
    picture = read_picture(astronaut, pixels)
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width]
    inside = ((x - 225) / 105) ** 2 + ((y - 130) / 125) ** 2 < 1
    picture[..., 3] = np.where(inside, 1.0, 0.0)
    settings, (face,) = final(save_picture(tmp_path / "cut out.png", picture))
    still = pixels(settings.output)
    move(face, head_yaw=25.0, head_x=0.2)
    moved = pixels(settings.output)
    assert moved[..., 3].min() >= 0.0 and moved[..., 3].max() <= 1.0
    assert (np.abs(moved[..., 3] - still[..., 3]) > 0.2).mean() > 0.001
    # Away from the face nothing becomes visible.
    assert (moved[380:, :, 3] == 0).all()


def test_bright_values_of_a_float_picture_stay_bright(
    final: Any, pixels: Any, astronaut: str, tmp_path: Path
) -> None:
    picture = read_picture(astronaut, pixels)
    colour = picture[..., :3]
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    picture[..., :3] = linear * 4.0
    path = save_picture(tmp_path / "bright.exr", picture)
    settings, (face,) = final(path)
    assert settings.output.is_float
    still = pixels(settings.output)
    move(face, smile=0.5)
    moved = pixels(settings.output)
    changed = difference(moved, still) > 0.01
    assert changed.mean() > 0.02
    assert np.isfinite(moved).all()
    assert moved[changed][:, :3].max() > 1.5


def test_a_box_by_hand_is_moved_where_no_face_was_found(
    final: Any, pixels: Any, astronaut: str, tmp_path: Path
) -> None:
    picture = read_picture(astronaut, pixels)[300:]
    headless = save_picture(tmp_path / "headless.png", picture)
    settings, controllers = final(headless, renderer="liveportrait")
    assert controllers == []
    bpy.ops.keyportrait.add_face(box=(180, 40, 260, 120))
    still = pixels(settings.output)
    move(settings.faces[0].controller, head_yaw=15.0)
    changed = difference(pixels(settings.output), still) > 0.01
    assert changed[40:120, 180:260].mean() > 0.2
    assert not changed[:, :60].any()


def test_an_animal_moves_by_its_own_models(
    folder: Path, add_portrait: Any, pixels: Any, module: Any
) -> None:
    plane, (face,) = add_portrait(CAT, renderer="liveportrait_animal")
    settings = plane.keyportrait.portrait
    still = pixels(settings.output)
    move(face, head_yaw=15.0)
    changed = difference(pixels(settings.output), still) > 0.01
    assert changed.mean() > 0.05
    assert module("rig.live").renderer_of(plane)["model_set"] == "animal"
