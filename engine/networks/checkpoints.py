"""Reads LivePortrait's published weight files, strictly: nothing missing, nothing left over.

Both the original .pth files and their safetensors copies are read. A .pth is a pickle, so it goes
through torch's weights-only reader, which builds tensors and containers and nothing else.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..weight_table import STITCHING
from .appearance import AppearanceFeatureExtractor
from .generator import SpadeGenerator
from .motion import MotionExtractor
from .retargeting import StitchingRetargeting
from .warping import WarpingModule
from .weight_files import CheckpointError

BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "appearance_feature_extractor": AppearanceFeatureExtractor,
    "motion_extractor": MotionExtractor,
    "warping_module": WarpingModule,
    "spade_generator": SpadeGenerator,
    STITCHING: StitchingRetargeting,
}
SPECTRAL_LEAVES = ("weight_orig", "weight_u", "weight_v")


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
        cut = _cut_tensor(path) if path.suffix == ".safetensors" else ""
        raise CheckpointError(
            f"Weight file '{path.name}' ({size:,} bytes) is damaged or not a weight file{cut}."
        ) from error
    return flat_tensors(content, path.name)


def _cut_tensor(path: Path) -> str:
    """Where a safetensors file breaks off, as the end of a sentence; "" where it does not.

    Its table of contents is at the front: 8 bytes of length, then JSON.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            table: dict[str, Any] = json.loads(file.read(min(length, path.stat().st_size)))
        start, size = 8 + length, path.stat().st_size
        tensors = {key: entry for key, entry in table.items() if key != "__metadata__"}
        for key, entry in sorted(tensors.items(), key=lambda item: item[1]["data_offsets"]):
            if start + entry["data_offsets"][1] > size:
                return f": it breaks off in '{key}' {_shape(entry['shape'])}"
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return ""
    return ""


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
                    f"'{file}': '{parent}.weight_u' {_shape(u.shape)} and 'weight_v'"
                    f" {_shape(v.shape)} do not fit 'weight_orig' {_shape(tensor.shape)}."
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
            raise CheckpointError(f"'{file}' lacks '{key}' {_shape(tensor.shape)}.")
        if tensors[key].shape != tensor.shape:
            raise CheckpointError(
                f"'{file}': '{key}' has shape {_shape(tensors[key].shape)},"
                f" expected {_shape(tensor.shape)}."
            )
        if tensors[key].is_floating_point() != tensor.is_floating_point():
            raise CheckpointError(f"'{file}': '{key}' is {tensors[key].dtype}.")
    for key, tensor in tensors.items():
        if key not in wanted:
            raise CheckpointError(f"'{file}' has an unexpected '{key}' {_shape(tensor.shape)}.")


def _shape(sizes: Iterable[int]) -> str:
    return "x".join(str(size) for size in sizes) or "scalar"
