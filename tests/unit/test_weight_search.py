"""A set of weights is chosen whole, by folder and format, for Blender's side and engine alike."""

from __future__ import annotations

from pathlib import Path

import pytest
from keyportrait.engine.weight_search import FOUR, FoundSet, find_sets
from keyportrait.engine.weight_table import NETWORKS, STITCHING, WEIGHT_SETS

from engine.networks.weight_files import CheckpointError, find_checkpoints


def put(folder: Path, *names: str, suffix: str = ".pth") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}{suffix}").touch()


def official(root: Path, kind: str = "liveportrait") -> Path:
    put(root / kind / "base_models", *FOUR)
    put(root / kind / "retargeting_models", STITCHING)
    return root / kind / "base_models"


def folders(found: FoundSet) -> set[tuple[Path, str]]:
    return {(p.parent, p.suffix) for name, p in found.paths.items() if name != STITCHING}


def test_a_part_of_a_training_above_the_official_set_is_not_mixed_in(tmp_path: Path) -> None:
    place = official(tmp_path)
    # Nearer to the chosen folder, and in the format that is preferred.
    put(tmp_path, "spade_generator", "warping_module", suffix=".safetensors")
    found = find_sets(tmp_path)["human"]
    assert found.is_whole
    assert folders(found) == {(place, ".pth")}


def test_a_part_of_a_training_beside_the_official_files_is_not_mixed_in(tmp_path: Path) -> None:
    place = official(tmp_path)
    put(place, "spade_generator", suffix=".safetensors")
    assert folders(find_sets(tmp_path)["human"]) == {(place, ".pth")}
    put(place, *FOUR, suffix=".safetensors")
    assert folders(find_sets(tmp_path)["human"]) == {(place, ".safetensors")}


def test_a_whole_training_brings_its_own_stitching_file(tmp_path: Path) -> None:
    official(tmp_path / "b")
    place = tmp_path / "mine"
    put(place, *NETWORKS)
    found = find_sets(tmp_path)["human"]
    assert folders(found) == {(place, ".pth")}
    assert found.paths[STITCHING].parent == place


def test_two_halves_in_two_folders_are_no_set(tmp_path: Path) -> None:
    put(tmp_path / "a", *FOUR[:2], STITCHING)
    put(tmp_path / "b", *FOUR[2:])
    found = find_sets(tmp_path)["human"]
    assert not found.is_whole
    assert found.place == tmp_path / "a"
    assert found.missing == FOUR[2:]
    with pytest.raises(CheckpointError, match=f"a' lacks {FOUR[2]}"):
        find_checkpoints(tmp_path)


def test_old_animals_do_not_fill_up_new_ones(tmp_path: Path) -> None:
    root = tmp_path / "weights"
    official(root, "liveportrait")
    put(root / "liveportrait_animals" / "base_models", *FOUR)
    put(root / "liveportrait_animals" / "base_models_v1.1", *FOUR[:3])
    found = find_sets(root)["animal"]
    assert found.is_whole
    assert folders(found) == {(root / "liveportrait_animals" / "base_models", ".pth")}


def test_insightfaces_files_must_lie_together(tmp_path: Path) -> None:
    put(tmp_path / "a", "det_10g", suffix=".onnx")
    put(tmp_path / "b", "2d106det", suffix=".onnx")
    assert not find_sets(tmp_path)["insightface"].is_whole
    put(tmp_path / "b", "det_10g", suffix=".onnx")
    found = find_sets(tmp_path)["insightface"]
    assert found.is_whole
    assert {path.parent for path in found.paths.values()} == {tmp_path / "b"}


def test_what_is_downloaded_is_what_is_found(tmp_path: Path) -> None:
    for each in WEIGHT_SETS:
        for file in each.files:
            path = tmp_path / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        found = find_sets(tmp_path)[each.name]
        assert found.is_whole, each.name
        assert set(found.paths.values()) == {tmp_path / file.path for file in each.files}
    assert set(find_sets(tmp_path)) == {each.name for each in WEIGHT_SETS}


def test_a_download_under_way_is_no_set(tmp_path: Path) -> None:
    place = official(tmp_path)
    (place / "spade_generator.pth").rename(place / "spade_generator.pth.part")
    assert find_sets(tmp_path)["human"].missing == ("spade_generator",)


def test_a_folder_that_is_gone_or_closed_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        find_sets(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot be read"):
        find_checkpoints(tmp_path / "file")
