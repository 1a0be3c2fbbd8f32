"""Set Up LivePortrait through its operators. The full run needs a folder of wheels and weights:
KEYPORTRAIT_WHEELS and KEYPORTRAIT_SCHEME_WEIGHTS, which `make test-setup` prepares."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

WHEELS = os.environ.get("KEYPORTRAIT_WHEELS", "")
WEIGHTS = os.environ.get("KEYPORTRAIT_SCHEME_WEIGHTS", "")
PACKAGE = "bl_ext.user_default.keyportrait"


@pytest.fixture
def preferences(tmp_path: Path) -> Any:
    found = bpy.context.preferences.addons[PACKAGE].preferences
    found.liveportrait_folder = str(tmp_path / "liveportrait")
    yield found
    for name in ("liveportrait_folder", "weights_folder", "wheels_folder"):
        setattr(found, name, "")


def test_without_online_access_nothing_is_downloaded(preferences: Any, tmp_path: Path) -> None:
    assert not bpy.app.online_access
    with pytest.raises(RuntimeError, match="Allow Online Access"):
        bpy.ops.keyportrait.setup_environment()
    assert not (tmp_path / "liveportrait").exists()


def test_a_wheels_folder_that_lacks_packages_is_named(preferences: Any, tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    preferences.wheels_folder = str(tmp_path / "wheels")
    preferences.torch_backend = "cpu"
    with pytest.raises(RuntimeError, match=r"wheels folder lacks it|Install uv failed"):
        bpy.ops.keyportrait.setup_environment()


def test_a_missing_wheels_folder_is_named(preferences: Any) -> None:
    preferences.wheels_folder = "/nowhere/wheels"
    with pytest.raises(RuntimeError, match="'/nowhere/wheels' does not exist"):
        bpy.ops.keyportrait.setup_environment()


def test_a_python_that_is_no_python_is_reported(preferences: Any, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no python here\nexit 3\n")
    broken.chmod(0o755)
    (tmp_path / "wheels").mkdir()
    preferences.wheels_folder = str(tmp_path / "wheels")
    preferences.python_path = str(broken)
    with pytest.raises(RuntimeError, match="no python here"):
        bpy.ops.keyportrait.setup_environment()


def test_a_full_disk_is_found_before_anything_is_written(
    preferences: Any, tmp_path: Path, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wheels").mkdir()
    preferences.wheels_folder = str(tmp_path / "wheels")
    environment = module("host.environment")
    usage = type("usage", (), {"free": 1_000_000})
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(RuntimeError, match="GB needed"):
        bpy.ops.keyportrait.setup_environment()
    assert not (tmp_path / "liveportrait").exists()


def test_a_folder_without_weights_is_refused(preferences: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="has no LivePortrait weights"):
        bpy.ops.keyportrait.setup_choose_weights(directory=str(tmp_path))
    assert preferences.weights_folder == ""


def test_later_steps_say_that_the_environment_comes_first(preferences: Any) -> None:
    for operator in (bpy.ops.keyportrait.setup_weights, bpy.ops.keyportrait.setup_check):
        assert not operator.poll()
        with pytest.raises(RuntimeError, match="do step 1 first"):
            operator()


def test_a_foreign_folder_is_never_removed(preferences: Any, tmp_path: Path) -> None:
    keep = tmp_path / "liveportrait" / "holiday.jpg"
    keep.parent.mkdir()
    keep.write_bytes(b"x")
    with pytest.raises(RuntimeError, match="is not a LivePortrait environment"):
        bpy.ops.keyportrait.setup_remove()
    assert keep.exists()


def test_the_final_renderer_without_set_up_says_what_to_do(add_portrait: Any, module: Any) -> None:
    plane, (face, *_) = add_portrait()
    plane.keyportrait.portrait.renderer = "liveportrait"
    face["smile"] = 0.5
    face.update_tag()
    live, portraits = module("rig.live"), module("rig.portraits")
    item = next(iter(portraits.portraits_of(bpy.context.scene)))
    errors = module("host.client").EngineError
    with pytest.raises(errors, match="Set Up LivePortrait"):
        live.show_now(item, bpy.context.evaluated_depsgraph_get())


def test_set_up_can_be_cancelled_and_goes_on(preferences: Any, module: Any, tmp_path: Path) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nsleep 60\n")
    slow.chmod(0o755)
    (tmp_path / "wheels").mkdir()
    preferences.wheels_folder = str(tmp_path / "wheels")
    preferences.python_path = str(slow)
    setup = module("rig.setup")
    task = setup.start_environment()
    assert setup.is_running()
    assert not bpy.ops.keyportrait.setup_environment.poll()
    start = time.monotonic()
    bpy.ops.keyportrait.setup_cancel()
    assert task.wait(20).value == "CANCELLED"
    assert time.monotonic() - start < 20
    assert bpy.ops.keyportrait.setup_environment.poll()


@pytest.mark.skipif(not (WHEELS and WEIGHTS), reason="needs wheels and weights: make test-setup")
def test_from_nothing_to_a_frame_by_the_networks(
    preferences: Any, add_portrait: Any, pixels: Any, module: Any
) -> None:
    preferences.wheels_folder = WHEELS
    preferences.torch_backend = "cpu"
    preferences.open_timeout_s = 600
    preferences.frame_timeout_s = 600
    assert bpy.ops.keyportrait.setup_environment() == {"FINISHED"}
    assert bpy.ops.keyportrait.setup_choose_weights(directory=WEIGHTS) == {"FINISHED"}
    assert bpy.ops.keyportrait.setup_check() == {"FINISHED"}
    result = module("rig.setup").check_result()
    assert result["model_set"] == "human"
    assert result["device"].startswith("CPU")

    plane, (face, *_) = add_portrait()
    settings = plane.keyportrait.portrait
    still = pixels(settings.output)
    settings.renderer = "liveportrait"
    face["smile"] = 0.5
    face.update_tag()
    bpy.context.scene.frame_set(2)
    moved = pixels(settings.output)
    assert np.isfinite(moved).all()
    changed = np.abs(moved - still).max(axis=2) > 0.01
    # The networks redraw the face's crop and leave the rest of the picture alone.
    assert 0.02 < changed.mean() < 0.8
    assert not changed[:4].any()

    assert bpy.ops.keyportrait.setup_remove() == {"FINISHED"}
    assert not module("rig.setup").installed().environment
