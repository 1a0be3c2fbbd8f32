"""A bake step by step, as the modal operator moves it: stopping, death, deletion, undo."""

from __future__ import annotations

import os
import signal
from typing import Any

import bpy
import pytest
from baking import (  # noqa: F401 - fixtures
    FRAMES,
    advance,
    bake,
    bake_folder,
    begin,
    finish,
    frame_path,
    fresh,
    key_smile,
    live,
    loaded,
    performance,
    summary,
)


def test_stopping_keeps_finished_frames_and_the_next_bake_resumes(
    performance: Any, module: Any
) -> None:
    plane, _ = performance
    run = begin(module)
    with pytest.raises(module("host.sequence").BakeError, match="Another bake"):
        begin(module)
    advance(run, lambda: len(list(bake_folder(plane).glob("*.png"))) >= 2)
    run.cancel()
    done = len(list(bake_folder(plane).glob("*.png")))
    assert 2 <= done < FRAMES and bpy.context.scene.frame_current == 4
    assert not plane.keyportrait.portrait.use_baked
    bake()
    assert summary(module).kept == done and summary(module).kept + summary(module).rendered <= 6
    assert frame_path(plane, FRAMES).exists() and plane.keyportrait.portrait.use_baked


def test_a_killed_engine_is_restarted_and_the_bake_goes_on(
    performance: Any, module: Any, pixels: Any
) -> None:
    plane, _ = performance
    engine = module("rig.engine").engine()
    run = begin(module)
    advance(run, lambda: frame_path(plane, 2).exists())
    os.kill(engine.pid, signal.SIGKILL)
    finish(run)
    assert any("restarted" in warning for warning in run.summary.warnings)
    bpy.ops.keyportrait.show_live()
    for frame in range(1, FRAMES + 1):
        baked = loaded(frame_path(plane, frame), pixels)
        assert abs(baked - live(plane, frame, pixels)).max() <= 1 / 255 + 1e-6


def test_a_portrait_deleted_in_mid_bake_leaves_its_files(performance: Any, module: Any) -> None:
    plane, _ = performance
    path = frame_path(plane, FRAMES)
    run = begin(module)
    advance(run, lambda: run._sequence is not None)
    name = plane.name
    for item in list(bpy.context.scene.objects):
        bpy.data.objects.remove(item)
    finish(run)
    assert path.exists()
    assert any(f"'{name}' was deleted" in warning for warning in run.summary.warnings)


def test_changes_after_the_motions_were_read_do_not_matter(
    performance: Any, module: Any, pixels: Any
) -> None:
    plane, face = performance
    wanted = live(plane, FRAMES, pixels)
    run = begin(module)
    advance(run, lambda: run._sequence is not None)
    key_smile(face, 0.0)
    bpy.context.scene.frame_set(2)
    finish(run)
    assert abs(loaded(frame_path(plane, FRAMES), pixels) - wanted).max() <= 1 / 255 + 1e-6
    assert bpy.context.scene.frame_current == 2


def test_disabling_the_extension_stops_the_bake(performance: Any, module: Any) -> None:
    plane, _ = performance
    run = begin(module)
    advance(run, lambda: frame_path(plane, 1).exists())
    bpy.ops.preferences.addon_disable(module="bl_ext.user_default.keyportrait")
    assert run.is_done and not frame_path(plane, FRAMES).exists()


@pytest.mark.parametrize("name", ['Ada / "née": 1?', "CON", "...", "笑顔.001", "x" * 60])
def test_any_object_name_makes_usable_files(performance: Any, module: Any, name: str) -> None:
    plane, _ = performance
    plane.name = name
    bpy.context.scene.frame_end = 2
    run = begin(module)
    finish(run)
    (files,) = run.files.values()
    assert files.path.exists() and plane.keyportrait.portrait.use_baked
    assert files.path.parent.parent.name == "keyportrait"
    assert not set('<>:"|?*') & set(files.path.name)


def test_names_that_make_the_same_folder_are_refused(performance: Any, module: Any) -> None:
    plane, _ = performance
    plane.name = "Ada:1"
    assert bpy.ops.keyportrait.add_portrait(filepath=plane.keyportrait.portrait.source.filepath)
    bpy.context.active_object.name = "ada/1"
    with pytest.raises(module("host.sequence").BakeError, match="same folder"):
        begin(module)
