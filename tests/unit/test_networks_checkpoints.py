"""Weight files: what is read, what is refused and how the refusal reads."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the networks need torch")
safetensors_torch = pytest.importorskip("safetensors.torch", reason="safetensors is missing")

from engine.networks.checkpoints import (  # noqa: E402
    BUILDERS,
    divide_spectral_norm,
    load_network,
    read_tensors,
)
from engine.networks.weight_files import CheckpointError, find_checkpoints  # noqa: E402
from engine.weight_table import NETWORKS, STITCHING  # noqa: E402

KEYS = Path(__file__).resolve().parents[1] / "data" / "golden" / "state_dict_keys.json"


def published_tensors(name: str) -> dict[str, torch.Tensor]:
    """Random tensors under the keys of the published file."""
    entries = json.loads(KEYS.read_text(encoding="utf-8"))[f"{name}.pth"]
    generator = torch.Generator().manual_seed(1)
    return {
        key: torch.randn(shape, generator=generator)
        if dtype == "float32"
        else torch.tensor(1, dtype=torch.int64)
        for key, shape, dtype in entries
    }


def nested_stitching() -> dict[str, dict[str, torch.Tensor]]:
    """The layout of the published .pth: {part: {"module.mlp…": tensor}}."""
    nested: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in published_tensors(STITCHING).items():
        part, _, rest = key.partition(".")
        nested.setdefault(part, {})[rest] = tensor
    return nested


@pytest.mark.parametrize("name", BUILDERS)
def test_networks_have_the_published_keys_and_shapes(name: str) -> None:
    with torch.device("meta"):
        ours = {key: tuple(t.shape) for key, t in BUILDERS[name]().state_dict().items()}
    entries = json.loads(KEYS.read_text(encoding="utf-8"))[f"{name}.pth"]
    published = {
        key.replace(".module.", ".").replace("weight_orig", "weight"): tuple(shape)
        for key, shape, _dtype in entries
        if not key.endswith(("weight_u", "weight_v"))
    }
    assert ours == published


def test_nested_pickle_and_flat_safetensors_are_the_same_network(tmp_path: Path) -> None:
    torch.save(nested_stitching(), tmp_path / f"{STITCHING}.pth")
    # The safetensors copies write "retarget_eye_module.mlp…" instead of nesting.
    flat = {
        key.replace(".module.", "_module."): tensor.contiguous()
        for key, tensor in published_tensors(STITCHING).items()
    }
    safetensors_torch.save_file(flat, tmp_path / f"{STITCHING}.safetensors")
    states = [
        load_network(STITCHING, tmp_path / f"{STITCHING}{suffix}").state_dict()
        for suffix in (".pth", ".safetensors")
    ]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    wanted = published_tensors(STITCHING)["retarget_eye.module.mlp.10.weight"]
    assert torch.equal(states[0]["retarget_eye.mlp.10.weight"], wanted)


def test_half_precision_files_become_float32(tmp_path: Path) -> None:
    flat = {key: tensor.half() for key, tensor in published_tensors(STITCHING).items()}
    safetensors_torch.save_file(flat, tmp_path / f"{STITCHING}.safetensors")
    network = load_network(STITCHING, tmp_path / f"{STITCHING}.safetensors")
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in network.parameters())
    assert not network.training


def test_wrong_shape_names_file_key_and_both_shapes(tmp_path: Path) -> None:
    content = nested_stitching()
    content["retarget_mouth"]["module.mlp.0.weight"] = torch.zeros(128, 64)
    path = tmp_path / f"{STITCHING}.pth"
    torch.save(content, path)
    with pytest.raises(CheckpointError) as caught:
        load_network(STITCHING, path)
    for part in (path.name, "retarget_mouth.mlp.0.weight", "128x64", "128x65"):
        assert part in caught.value.message
    assert caught.value.code == "no_models"
    assert caught.value.hint


@pytest.mark.parametrize("change", ["missing", "extra"])
def test_loading_is_strict(tmp_path: Path, change: str) -> None:
    content = nested_stitching()
    if change == "missing":
        del content["retarget_eye"]["module.mlp.4.bias"]
    else:
        content["retarget_eye"]["module.mlp.4.scale"] = torch.zeros(3)
    path = tmp_path / f"{STITCHING}.pth"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"retarget_eye\.mlp\.4"):
        load_network(STITCHING, path)


def test_another_networks_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "motion_extractor.pth"
    torch.save(nested_stitching(), path)
    with pytest.raises(CheckpointError, match=r"'motion_extractor\.pth' lacks 'detector"):
        load_network("motion_extractor", path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("kept", [0, 7, 5000])
def test_truncated_files_are_called_damaged(tmp_path: Path, suffix: str, kept: int) -> None:
    path = tmp_path / f"{STITCHING}{suffix}"
    if suffix == ".pth":
        torch.save(nested_stitching(), path)
    else:
        safetensors_torch.save_file(published_tensors(STITCHING), path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=rf"{path.name}' .*damaged"):
        read_tensors(path)


def test_a_truncated_file_names_key_and_shape_where_its_table_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "made.safetensors"
    tensors = {"first": torch.zeros(4), "second.weight": torch.zeros(32, 64)}
    safetensors_torch.save_file(tensors, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"'made.safetensors' .*'second.weight' 32x64"):
        read_tensors(path)


@pytest.mark.parametrize("content", [b"<html>404 not found</html>", b"version https://git-lfs"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_downloaded_error_pages_are_called_damaged(
    tmp_path: Path, suffix: str, content: bytes
) -> None:
    path = tmp_path / f"{STITCHING}{suffix}"
    path.write_bytes(content * 20)
    with pytest.raises(CheckpointError, match="damaged or not a weight file"):
        read_tensors(path)


class Harmful:
    """Would create a file if it were ever unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return Path.touch, (self.target,)


@pytest.mark.parametrize(
    "writer", [torch.save, lambda obj, path: path.write_bytes(pickle.dumps(obj))]
)
def test_pickles_cannot_run_code(tmp_path: Path, writer) -> None:
    target, path = tmp_path / "was_here", tmp_path / f"{STITCHING}.pth"
    writer({"retarget_eye": Harmful(target)}, path)
    with pytest.raises(CheckpointError):
        read_tensors(path)
    assert not target.exists()


def test_spectral_norm_is_divided_as_torch_does() -> None:
    conv = torch.nn.utils.spectral_norm(torch.nn.Conv2d(3, 5, 3), n_power_iterations=4)
    conv(torch.randn(1, 3, 8, 8))
    conv.eval()
    x = torch.randn(2, 3, 8, 8)
    state = divide_spectral_norm({f"c.{k}": v for k, v in conv.state_dict().items()}, "file")
    assert set(state) == {"c.weight", "c.bias"}
    ours = torch.nn.functional.conv2d(x, state["c.weight"], state["c.bias"])
    torch.testing.assert_close(ours, conv(x), atol=1e-6, rtol=1e-5)
    # The vectors matter: without the division the layer is another one.
    assert not torch.allclose(state["c.weight"], conv.weight_orig)


def test_spectral_norm_without_its_vectors_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"lacks 'c\.weight_u'"):
        divide_spectral_norm({"c.weight_orig": torch.ones(2, 2, 1, 1)}, "file")


def touch(folder: Path, *files: str) -> None:
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


FOUR = [name for name in BUILDERS if name != STITCHING]


def official_layout(root: Path) -> None:
    touch(root, *(f"liveportrait/base_models/{name}.pth" for name in FOUR))
    touch(root, f"liveportrait/retargeting_models/{STITCHING}.pth", "liveportrait/landmark.onnx")
    for version in ("base_models", "base_models_v1.1"):
        touch(root, *(f"liveportrait_animals/{version}/{name}.pth" for name in FOUR))


def test_official_layout_keeps_people_and_animals_apart(tmp_path: Path) -> None:
    official_layout(tmp_path / "pretrained_weights")
    for root in (tmp_path, tmp_path / "pretrained_weights"):
        human = find_checkpoints(root).paths
        animal = find_checkpoints(root, "animal").paths
        assert all(human[name].parent.name == "base_models" for name in FOUR)
        assert all(human[name].parent.parent.name == "liveportrait" for name in FOUR)
        assert all(animal[name].parent.name == "base_models_v1.1" for name in FOUR)
        assert animal[STITCHING] == human[STITCHING]


def test_a_folder_with_animals_alone_has_its_own_stitching_file(tmp_path: Path) -> None:
    root = tmp_path / "liveportrait_animals"
    touch(root, *(f"base_models_v1.1/{name}.pth" for name in FOUR))
    touch(root, f"retargeting_models/{STITCHING}.pth")
    for chosen in (root, tmp_path):
        assert find_checkpoints(chosen, "animal").paths[STITCHING].parent.parent == root
        with pytest.raises(CheckpointError, match="human model set"):
            find_checkpoints(chosen)


def test_files_four_folders_below_are_found(tmp_path: Path) -> None:
    # What the hub's own cache looks like from the repository's folder.
    official_layout(tmp_path / "snapshots" / "0123abc")
    assert find_checkpoints(tmp_path).paths[STITCHING].is_file()


def test_flat_folders_prefer_safetensors(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}.safetensors" for name in BUILDERS))
    touch(tmp_path, *(f"{name}.pth" for name in BUILDERS))
    touch(tmp_path, *(f"animal/{name}.safetensors" for name in FOUR))
    human, animal = find_checkpoints(tmp_path).paths, find_checkpoints(tmp_path, "animal").paths
    assert {path.suffix for path in human.values()} == {".safetensors"}
    assert all(human[name].parent == tmp_path for name in BUILDERS)
    assert all(animal[name].parent == tmp_path / "animal" for name in FOUR)


def test_every_network_that_is_looked_for_can_be_built() -> None:
    assert tuple(BUILDERS) == NETWORKS


def test_missing_files_are_named(tmp_path: Path) -> None:
    official_layout(tmp_path)
    (tmp_path / "liveportrait" / "base_models" / "warping_module.pth").unlink()
    with pytest.raises(CheckpointError, match="lacks warping_module") as caught:
        find_checkpoints(tmp_path)
    assert "motion_extractor" not in caught.value.message


def test_onnx_folders_say_that_the_original_weights_are_needed(tmp_path: Path) -> None:
    touch(tmp_path, "liveportrait_onnx/warping_spade.onnx", "liveportrait_onnx/landmark.onnx")
    with pytest.raises(CheckpointError) as caught:
        find_checkpoints(tmp_path)
    assert "ONNX" in caught.value.hint


def test_a_folder_that_does_not_exist_is_said_to(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        find_checkpoints(tmp_path / "nowhere")
