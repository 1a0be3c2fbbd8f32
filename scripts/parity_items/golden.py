"""A golden folder, the networks filled by its seed, and one row of the result table."""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from scheme_weights import draw, read_shapes, scheme_tensors
from torch import nn

from engine.networks.checkpoints import BUILDERS, fill_network
from engine.networks.decoders import Decoder, PlainDecoder
from engine.networks.devices import choose_placement, use_device
from engine.networks.fast_decoders import fast_decoder
from engine.networks.generator import SpadeGenerator
from engine.networks.network_set import NetworkSet
from engine.networks.warping import WarpingModule
from engine.renderer import ReportedError


class GoldenError(Exception):
    """The folder cannot be used for a comparison."""


# What arrays that are missing or misshapen lead to, wherever they are used.
UNUSABLE = (
    KeyError, IndexError, TypeError, ValueError, RuntimeError,
    GoldenError, ReportedError, cv2.error,
)  # fmt: skip


def reason(error: BaseException) -> str:
    """Why a row cannot be computed, in one line."""
    if isinstance(error, (GoldenError, ReportedError)):
        return str(error)
    if isinstance(error, KeyError):
        return f"the folder lacks {error}"
    return f"unusable arrays: {str(error).splitlines()[0]}"


@dataclass(frozen=True)
class Row:
    """One compared array; `note` says why a row without numbers failed."""

    item: str
    error: float
    tolerance: float
    note: str = ""

    @property
    def passed(self) -> bool:
        """False for NaN, too."""
        return self.error <= self.tolerance

    def __str__(self) -> str:
        verdict = "yes" if self.passed else "NO"
        line = f"{self.item:<58} {self.error:11.2e} {self.tolerance:11.1e}  {verdict}"
        return f"{line}  {self.note}" if self.note else line


def compare(item: str, ours: np.ndarray, golden: np.ndarray, tolerance: float) -> Row:
    """Largest absolute difference of two arrays, which must have one shape."""
    ours, golden = np.asarray(ours), np.asarray(golden)
    if ours.shape != golden.shape:
        return Row(item, np.inf, tolerance, f"shape {ours.shape}, expected {golden.shape}")
    if not golden.size:
        return Row(item, np.inf, tolerance, "empty array")
    difference = np.abs(ours.astype(np.float64) - golden.astype(np.float64))
    return Row(item, float(difference.max()), tolerance)


class Golden:
    """A folder of recorded numbers.

    arrays("networks.npz")   {key: array}, {} if the folder lacks the file
    table("loops.json")      parsed JSON, None if the folder lacks the file
    models                   the NetworkSet with the folder's weights, plain fp32 networks
    template_folders         where motion templates (.pkl) are looked for first
    memory                   what items want to compute once
    """

    def __init__(self, folder: Path, device: str = "cpu", *, use_fast_path: bool = False) -> None:
        self.folder = folder
        self.use_fast_path = use_fast_path
        meta = self.table("meta.json")
        if not isinstance(meta, dict) or "seed" not in meta:
            raise GoldenError(f"'{folder}' has no meta.json with a seed")
        self.seed = str(meta["seed"])
        self.placement = choose_placement(device, "fp32")
        self.label = self.placement.label
        self._networks: dict[str, nn.Module] = {}
        self.template_folders: list[Path] = []
        self.memory: dict[str, Any] = {}
        use_device(self.placement)

    @cached_property
    def shapes(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """{checkpoint: {key: shape}}."""
        path = self.folder / "state_dict_keys.json"
        if not path.is_file():
            raise GoldenError(f"'{self.folder}' has no state_dict_keys.json")
        return read_shapes(path)

    @cache  # noqa: B019 - one Golden lives as long as the process
    def arrays(self, file: str) -> Mapping[str, np.ndarray]:
        """All arrays of one .npz of the folder."""
        path = self.folder / file
        if not path.is_file():
            return {}
        try:
            with np.load(path, allow_pickle=False) as archive:
                return {key: archive[key] for key in archive.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise GoldenError(f"'{path}' is damaged: {error}") from error

    def table(self, file: str) -> Any:
        """One .json of the folder."""
        path = self.folder / file
        if not path.is_file():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise GoldenError(f"'{path}' is damaged: {error}") from error

    def draw(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """The recorded run's random input of this name, float64."""
        return draw(self.seed, "input", name, shape)

    def network(self, name: str) -> nn.Module:
        """One network of BUILDERS with this folder's weights, on the device."""
        if name not in self._networks:
            if name not in BUILDERS or name not in self.shapes:
                raise GoldenError(f"state_dict_keys.json does not list {name}")
            drawn = scheme_tensors(self.seed, name, self.shapes[name])
            network = fill_network(name, {k: torch.from_numpy(a) for k, a in drawn}, name)
            self._networks[name] = network.to(self.placement.device)
        return self._networks[name]

    @cached_property
    def models(self) -> NetworkSet:
        """F, M, W, G, S and R behind the product's own interface."""
        networks = {name: self.network(name) for name in BUILDERS}
        return NetworkSet("human", networks, self.placement, use_fast_path=False)

    @cached_property
    def decoder(self) -> Decoder:
        """W and G, plain or fast as the command line says."""
        warping = self.network("warping_module")
        generator = self.network("spade_generator")
        if not isinstance(warping, WarpingModule) or not isinstance(generator, SpadeGenerator):
            raise TypeError("the checkpoints hold other networks than their names say")
        if not self.use_fast_path:
            return PlainDecoder(warping, generator)
        copies = copy.deepcopy(warping).cpu(), copy.deepcopy(generator).cpu()
        return fast_decoder(*copies, self.placement)

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        """float32 tensor on the device."""
        return torch.from_numpy(np.asarray(array, np.float32)).to(self.placement.device)

    def image_u8(self, name: str) -> np.ndarray | None:
        """(256, 256, 3) uint8 RGB input `name`, None if networks.npz lacks it."""
        return self.arrays("networks.npz").get(f"img/{name}_u8")

    def image(self, name: str) -> np.ndarray | None:
        """(1, 3, 256, 256) float32 network input of this name, None if it is unknown."""
        shape = (1, 3, 256, 256)
        pixels = self.image_u8(name)
        if pixels is not None:
            scaled = pixels.astype(np.float32) / np.float32(255)
            return np.ascontiguousarray(scaled.transpose(2, 0, 1))[None]
        if name in ("black", "white"):
            return np.full(shape, float(name == "white"), np.float32)
        if name == "rand":
            return np.clip(0.25 * self.draw("image", shape) + 0.5, 0, 1).astype(np.float32)
        return None
