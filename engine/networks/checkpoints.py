"""Reads LivePortrait's published weight files, strictly: nothing missing, nothing left over.

Both the original .pth files and their safetensors copies are read. A .pth is a pickle, so it goes
through torch's weights-only reader, which builds tensors and containers and nothing else.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..renderer import EngineError
from .appearance import AppearanceFeatureExtractor
from .generator import SpadeGenerator
from .motion import MotionExtractor
from .retargeting import StitchingRetargeting
from .warping import WarpingModule

STITCHING = "stitching_retargeting_module"
BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "appearance_feature_extractor": AppearanceFeatureExtractor,
    "motion_extractor": MotionExtractor,
    "warping_module": WarpingModule,
    "spade_generator": SpadeGenerator,
    STITCHING: StitchingRetargeting,
}
# Tensors only, so safer than a pickle: taken first where a folder has both.
SUFFIXES = (".safetensors", ".pth")
SEARCH_DEPTH = 4
SPECTRAL_LEAVES = ("weight_orig", "weight_u", "weight_v")
DOWNLOAD_HINT = "Download the file again with Set Up LivePortrait, or choose another folder."


class CheckpointError(EngineError):
    """A weight file that is missing, damaged or not LivePortrait's."""

    def __init__(self, message: str, hint: str = DOWNLOAD_HINT) -> None:
        super().__init__("no_models", message, hint)


@dataclass(frozen=True)
class CheckpointFiles:
    """Where the five files of one model set lie, by the names of BUILDERS."""

    kind: str  # "human" or "animal"
    paths: Mapping[str, Path]


def find_checkpoints(folder: Path, kind: str = "human") -> CheckpointFiles:
    """Find a model set below `folder`, whatever program laid it out.

    folder  LivePortrait's checkout or pretrained_weights/, FasterLivePortrait's checkpoints/,
            ComfyUI's models/liveportrait/ (flat), or any folder with the published file names
    kind    "human" or "animal"; animals have four files of their own, in a folder with "animal"
            in its name, and borrow the human stitching file, or the copy beside them

    Raises CheckpointError that names what is missing.
    """
    found = _files_by_name(folder)
    paths: dict[str, Path] = {}
    for name in BUILDERS:
        wants_animal = kind == "animal" and name != STITCHING
        anywhere = found.get(name, [])
        candidates = [p for p in anywhere if _is_animal(p, folder) == wants_animal]
        if kind == "animal" and name == STITCHING:
            candidates = candidates or anywhere
        if candidates:
            paths[name] = min(candidates, key=_preference)
    missing = [name for name in BUILDERS if name not in paths]
    if missing:
        raise CheckpointError(*_missing_files(folder, kind, missing))
    return CheckpointFiles(kind, paths)


def load_network(name: str, path: Path) -> nn.Module:
    """Build one network of BUILDERS and fill it; float32, on the CPU, in eval mode.

    Raises CheckpointError naming the file, and the key and shapes where they differ.
    """
    return fill_network(name, read_tensors(path), path.name)


def fill_network(name: str, tensors: Mapping[str, Tensor], file: str) -> nn.Module:
    """load_network for tensors in memory; `file` is what messages call them."""
    with torch.device("meta"):
        network = BUILDERS[name]()
    tensors = divide_spectral_norm(flat_tensors(tensors, file), file)
    _compare(tensors, network.state_dict(), file)
    network.load_state_dict(dict(tensors), strict=True, assign=True)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network.eval()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a weight file as one flat dictionary of tensors, floats as float32.

    Nested dictionaries are joined by dots; the wrapper name `module` that multi-GPU training
    leaves in keys is dropped. Raises CheckpointError.
    """
    try:
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"Weight file '{path}' does not exist.") from error
    except (
        SafetensorError,
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        KeyError,
    ) as error:
        # Torch reports damage as any of these, with pages of advice about unsafe loading.
        size = path.stat().st_size if path.is_file() else 0
        raise CheckpointError(
            f"Weight file '{path.name}' ({size:,} bytes) is damaged or not a weight file."
        ) from error
    return flat_tensors(content, path.name)


def flat_tensors(content: object, file: str) -> dict[str, Tensor]:
    """read_tensors for content in memory."""
    return dict(_flat_tensors(content, file, ""))


def divide_spectral_norm(tensors: Mapping[str, Tensor], file: str) -> dict[str, Tensor]:
    """Replace every weight_orig, weight_u, weight_v by the weight that inference uses.

    weight = weight_orig / (u . W v) with W the (out, rest) matrix of weight_orig.
    """
    folded: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        parent, _, leaf = key.rpartition(".")
        if leaf not in SPECTRAL_LEAVES:
            folded[key] = tensor
            continue
        absent = [x for x in SPECTRAL_LEAVES if f"{parent}.{x}" not in tensors]
        if absent:
            raise CheckpointError(f"'{file}' lacks '{parent}.{absent[0]}'.")
        if leaf == "weight_orig":
            u, v = tensors[f"{parent}.weight_u"], tensors[f"{parent}.weight_v"]
            matrix = tensor.flatten(1)
            if u.shape != matrix.shape[:1] or v.shape != matrix.shape[1:]:
                raise CheckpointError(
                    f"'{file}': '{parent}.weight_u' {_shape(u)} and 'weight_v' {_shape(v)} do not"
                    f" fit 'weight_orig' {_shape(tensor)}."
                )
            sigma = torch.dot(u.double(), matrix.double() @ v.double())
            folded[f"{parent}.weight"] = (tensor.double() / sigma).float()
    return folded


def _flat_tensors(content: object, file: str, prefix: str) -> list[tuple[str, Tensor]]:
    if not isinstance(content, Mapping):
        found = type(content).__name__
        raise CheckpointError(f"'{file}' holds {found} instead of tensors at '{prefix}'.")
    pairs: list[tuple[str, Tensor]] = []
    for key, value in content.items():
        path = f"{prefix}{key}"
        if isinstance(value, Tensor):
            tensor = value.float() if value.is_floating_point() else value
            pairs.append((_without_wrapper(path), tensor))
        else:
            pairs += _flat_tensors(value, file, f"{path}.")
    return pairs


def _without_wrapper(key: str) -> str:
    """Drop `module` levels; the safetensors copies write `retarget_eye_module.` for them."""
    parts = [part for part in key.split(".") if part != "module"]
    if parts[0].startswith("retarget_"):
        parts[0] = parts[0].removesuffix("_module")
    return ".".join(parts)


def _compare(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], file: str) -> None:
    for key, tensor in wanted.items():
        if key not in tensors:
            raise CheckpointError(f"'{file}' lacks '{key}' {_shape(tensor)}.")
        if tensors[key].shape != tensor.shape:
            raise CheckpointError(
                f"'{file}': '{key}' has shape {_shape(tensors[key])}, expected {_shape(tensor)}."
            )
        if tensors[key].is_floating_point() != tensor.is_floating_point():
            raise CheckpointError(f"'{file}': '{key}' is {tensors[key].dtype}.")
    for key, tensor in tensors.items():
        if key not in wanted:
            raise CheckpointError(f"'{file}' has an unexpected '{key}' {_shape(tensor)}.")


def _shape(tensor: Tensor) -> str:
    return "x".join(str(size) for size in tensor.shape) or "scalar"


def _files_by_name(folder: Path) -> dict[str, list[Path]]:
    """All published file names within SEARCH_DEPTH folders of `folder`."""
    if not folder.is_dir():
        raise CheckpointError(f"Folder '{folder}' does not exist.", "Choose another folder.")
    found: dict[str, list[Path]] = {}
    level = [folder]
    for _ in range(SEARCH_DEPTH + 1):
        below: list[Path] = []
        for parent in level:
            for path in sorted(parent.iterdir()):
                if path.is_dir() and not path.name.startswith("."):
                    below.append(path)
                elif path.suffix in SUFFIXES and path.stem in BUILDERS:
                    found.setdefault(path.stem, []).append(path)
        level = below
    return found


def _is_animal(path: Path, folder: Path) -> bool:
    # The chosen folder's own name counts too: the user may pick liveportrait_animals itself.
    names = (folder.name, *path.relative_to(folder).parts[:-1])
    return any("animal" in name.lower() for name in names)


def _preference(path: Path) -> tuple[bool, int, int]:
    """Small is better: newest animal weights, then safetensors, then the shortest path."""
    is_old_version = not any(part.endswith("_v1.1") for part in path.parts)
    return is_old_version, SUFFIXES.index(path.suffix), len(path.parts)


def _missing_files(folder: Path, kind: str, missing: list[str]) -> tuple[str, str]:
    files = ", ".join(f"{name}.safetensors or .pth" for name in missing)
    message = f"Folder '{folder}' lacks {files} of the {kind} model set."
    if any(folder.rglob("warping_spade*.onnx")):
        return message, "Its ONNX files are not usable here: choose the original weights."
    return message, "Choose the folder that holds them, or run Set Up LivePortrait."
