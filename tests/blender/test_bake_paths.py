"""How bakes are named in the .blend: by the folder's own form and the preference Relative Paths."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest
from baking import bake, fresh, image_node, performance  # noqa: F401 - fixtures


@pytest.fixture
def filepaths() -> Iterator[Any]:
    """The preferences of paths; Relative Paths is put back."""
    settings = bpy.context.preferences.filepaths
    before = settings.use_relative_paths
    yield settings
    settings.use_relative_paths = before


@pytest.mark.parametrize("preference", [True, False])
@pytest.mark.parametrize("is_typed_relative", [True, False])
def test_relative_paths_are_followed(
    performance: Any, filepaths: Any, tmp_path: Path, preference: bool, is_typed_relative: bool
) -> None:
    filepaths.use_relative_paths = preference
    folder = "//baked/" if is_typed_relative else str(tmp_path / "baked")
    bpy.context.scene.keyportrait_bake.folder = folder
    assert bake() == {"FINISHED"}
    path = image_node(performance[0]).image.filepath
    assert path.startswith("//baked/") == (preference or is_typed_relative), path
    assert Path(bpy.path.abspath(path)).is_file()


@pytest.mark.parametrize("preference", [True, False])
def test_a_chosen_folder_follows_the_preference(
    performance: Any, filepaths: Any, tmp_path: Path, preference: bool
) -> None:
    plane, _ = performance
    bake()
    (tmp_path / "keyportrait").rename(tmp_path / "elsewhere")
    filepaths.use_relative_paths = preference
    bpy.context.view_layer.objects.active = plane
    bpy.ops.keyportrait.choose_bake_folder(directory=str(tmp_path / "elsewhere"))
    assert image_node(plane).image.filepath.startswith("//") == preference


@pytest.mark.parametrize("file_format", ["PNG", "MP4"])
def test_a_moved_project_shows_its_bake(
    performance: Any, filepaths: Any, tmp_path: Path, module: Any, file_format: str
) -> None:
    filepaths.use_relative_paths = False
    bpy.context.scene.keyportrait_bake.format = file_format
    name = performance[0].name
    assert bake() == {"FINISHED"}
    bpy.ops.wm.save_mainfile()
    moved = tmp_path.with_name(tmp_path.name + "-moved")
    shutil.move(tmp_path, moved)
    bpy.ops.wm.open_mainfile(filepath=str(moved / "shot.blend"))
    plane = bpy.data.objects[name]
    assert plane.keyportrait.portrait.use_baked
    assert not module("rig.bake_state").is_lost(plane)
    assert image_node(plane).image == plane.keyportrait_baked.image
    assert module("rig.baked").file_of(plane).is_relative_to(moved)
    assert module("rig.baked").has_files(plane)
