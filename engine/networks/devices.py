"""Which device the networks run on, and how precisely."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import torch

from ..renderer import EngineError

DEVICES = ("auto", "cuda", "mps", "cpu")
BF16_UNITS = ("avx512_bf16", "amx_tile")


class Precision(Enum):
    """Number format: FP16 is for W and G, BF16 for G alone; everything else is float32."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"

    @property
    def dtype(self) -> torch.dtype:
        """Torch's name for it."""
        return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[self.value]


@dataclass(frozen=True)
class Placement:
    """A device of torch and the precision chosen for it."""

    device: torch.device
    precision: Precision

    @property
    def label(self) -> str:
        """For the Engine panel, for example "NVIDIA GeForce RTX 4090, fp16"."""
        names = {"cpu": "CPU", "mps": "Apple GPU"}
        name = names.get(self.device.type) or torch.cuda.get_device_name(self.device)
        return f"{name}, {self.precision.value}"


def available_devices() -> list[str]:
    """Devices that work here, best first; always ends with "cpu"."""
    devices = []
    if torch.cuda.is_available():
        devices.append("cuda")
    if torch.backends.mps.is_available():
        devices.append("mps")
    return [*devices, "cpu"]


def choose_placement(device: str = "auto", precision: str = "auto") -> Placement:
    """Pick where and how to run.

    device     "auto" (CUDA, then MPS, then CPU), "cuda", "cuda:1", "mps" or "cpu"
    precision  "auto", "fp32", "fp16" or "bf16"

    Raises EngineError when the wanted device is missing or the names are unknown.
    """
    kind = device.partition(":")[0]
    if kind not in DEVICES:
        raise EngineError("bad_request", f"Unknown device '{device}'.", f"Use one of {DEVICES}.")
    available = available_devices()
    if kind == "auto":
        device = kind = available[0]
    if kind not in available or (kind == "cuda" and not _has_cuda_index(device)):
        raise EngineError(
            "bad_request", f"Device '{device}' is not available.", _missing_device_hint(kind)
        )
    return Placement(torch.device(device), _choose_precision(kind, precision))


def has_fast_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 natively (AVX-512 BF16 or AMX)."""
    probes = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in BF16_UNITS)
    return any(probe() for probe in probes if probe is not None)


def _choose_precision(kind: str, precision: str) -> Precision:
    if precision != "auto":
        try:
            return Precision(precision)
        except ValueError as error:
            raise EngineError(
                "bad_request", f"Unknown precision '{precision}'.", "Use fp32, fp16 or bf16."
            ) from error
    if kind == "cpu":
        return Precision.BF16 if has_fast_bf16() else Precision.FP32
    # Upstream turns half precision off on Apple's devices as well.
    return Precision.FP16 if kind == "cuda" else Precision.FP32


def _has_cuda_index(device: str) -> bool:
    index = torch.device(device).index
    return index is None or index < torch.cuda.device_count()


def _missing_device_hint(kind: str) -> str:
    if kind == "cuda" and torch.version.cuda is None:
        return "The installed torch has no CUDA: run Set Up LivePortrait again, or use CPU."
    if kind == "cuda":
        return "Update the NVIDIA driver, or use CPU."
    return "Use Automatic or CPU."
