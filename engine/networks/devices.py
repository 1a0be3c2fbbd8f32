"""Which device the networks run on, and how precisely."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from enum import Enum
from functools import cache

import torch

from ..renderer import ReportedError

DEVICES = ("auto", "cuda", "mps", "cpu")
BF16_UNITS = ("avx512_bf16", "amx_tile")
DRIVER_WORDS = ("driver version is insufficient", "driver on your system is too old")
OLD_DRIVER = "The NVIDIA driver is too old for CUDA: update it."
# Weights and one frame take 0.5 GB, twice that in float32; CUDA and its libraries take as much
# again, and so does Blender.
SMALLEST_CARD_BYTES = 2.5 * 2**30
HALF_SINCE = (7, 0)  # CUDA capability: tensor cores; earlier cards gain nothing
BF16_SINCE = (8, 0)
# Turing without tensor cores: half-precision convolutions are known to give NaN.
CARDS_WITHOUT_HALF = ("GTX 16",)


class Precision(Enum):
    """Number format of W and G; each module keeps what must not be rounded in float32."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"

    @property
    def dtype(self) -> torch.dtype:
        """Torch's name for it."""
        return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[self.value]


@dataclass(frozen=True)
class Placement:
    """A device of torch and the precision chosen for it.

    notice  why a better device was passed over, for the user; "" if none was
    """

    device: torch.device
    precision: Precision
    notice: str = ""

    @property
    def name(self) -> str:
        """The device for people, for example "NVIDIA GeForce RTX 4090"."""
        names = {"cpu": "CPU", "mps": "Apple GPU"}
        return names.get(self.device.type) or torch.cuda.get_device_name(self.device)

    @property
    def label(self) -> str:
        """Device and precision for people, for example "NVIDIA GeForce RTX 4090, fp16"."""
        return f"{self.name}, {self.precision.value}"

    @property
    def facts(self) -> dict[str, str]:
        """device for people, device_class and precision, as in engine.renderer.Renderer."""
        return {
            "device": self.name,
            "device_class": self.device.type,
            "precision": self.precision.value,
        }


def available_devices() -> list[str]:
    """Devices that torch sees here, best first; always ends with "cpu"."""
    devices = []
    if _started_cuda()[0]:
        devices.append("cuda")
    if torch.backends.mps.is_available():
        devices.append("mps")
    return [*devices, "cpu"]


def choose_placement(device: str = "auto", precision: str = "auto") -> Placement:
    """Pick where and how to run.

    device     "auto" (CUDA, then MPS, then CPU), "cuda", "cuda:1", "mps" or "cpu"
    precision  "auto", "fp32", "fp16" or "bf16"

    "auto" passes over a card that is too small or does not work, and says so in the placement's
    notice. Raises ReportedError when the wanted device is missing or does not work, when it lacks
    the wanted precision, or when the names are unknown.
    """
    kind = device.partition(":")[0]
    if kind not in DEVICES:
        raise ReportedError(
            "bad_request", f"Unknown device '{device}'.", f"Use one of {', '.join(DEVICES)}."
        )
    available = available_devices()
    notice = ""
    if kind == "auto":
        device, notice = _best_device(available)
        kind = device
    elif kind not in available or (kind == "cuda" and not _has_cuda_index(device)):
        text = f"Device '{device}' is not available."
        if kind == "cuda" and driver_problem():
            text = driver_problem()
        raise ReportedError("bad_request", text, _missing_device_hint(kind))
    elif kind == "cuda" and (problem := card_problem(device)):
        raise ReportedError("bad_request", problem, _missing_device_hint(kind))
    return Placement(torch.device(device), _choose_precision(device, precision), notice)


def use_device(placement: Placement) -> None:
    """Make torch's settings, which hold for the whole process, fit a placement."""
    if placement.device.type != "cuda":
        return
    if placement.device.index is not None:
        # Streams and graphs are made on the current device.
        torch.cuda.set_device(placement.device)
    # F, M and the repeat of an overflowed frame run in float32 and need all of its digits; TF32
    # keeps 10 bits. W and G lose nothing: they run in half precision.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    # Sizes hardly ever change, so trying all algorithms once pays; who asks for float32 wants the
    # predictable ones.
    torch.backends.cudnn.benchmark = placement.precision is not Precision.FP32


def card_problem(device: str) -> str:
    """Why an NVIDIA card cannot be used although torch sees it, "" if it can: tries it."""
    try:
        torch.ones(1, device=device).add_(1).item()
    except RuntimeError as error:
        text = str(error)
        if any(words in text.lower() for words in DRIVER_WORDS):
            return OLD_DRIVER
        if "no kernel image" in text:
            return "This installation of torch has no code for this NVIDIA card."
        return f"The NVIDIA card does not work: {text.splitlines()[0]}."
    return ""


def driver_problem() -> str:
    """What is wrong with the graphics driver, "" when all is well."""
    if torch.version.cuda is None:
        return ""
    is_available, complaint = _started_cuda()
    is_old = any(words in complaint.lower() for words in DRIVER_WORDS)
    return OLD_DRIVER if is_old and not is_available else ""


def has_fast_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 natively (AVX-512 BF16 or AMX)."""
    probes = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in BF16_UNITS)
    return any(probe() for probe in probes if probe is not None)


@cache
def _started_cuda() -> tuple[bool, str]:
    """Whether CUDA is there, and torch's complaint; torch only complains when first asked."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        is_available = torch.cuda.is_available()
    return is_available, " ".join(str(warning.message) for warning in caught)


def _best_device(available: list[str]) -> tuple[str, str]:
    """The first device that works and is large enough, and why CUDA is not it."""
    notice = driver_problem()
    for device in available:
        if device == "cuda":
            notice = card_problem(device) or _small_card(device)
            if notice:
                continue
        return device, notice
    raise AssertionError("the CPU is always available")


def _small_card(device: str) -> str:
    properties = torch.cuda.get_device_properties(device)
    if properties.total_memory >= SMALLEST_CARD_BYTES:
        return ""
    gigabytes = properties.total_memory / 2**30
    return f"{properties.name} has {gigabytes:.1f} GB of memory, too little for the networks."


def _choose_precision(device: str, precision: str) -> Precision:
    kind = device.partition(":")[0]
    if precision == "auto":
        if kind == "cpu":
            return Precision.BF16 if has_fast_bf16() else Precision.FP32
        # Upstream turns half precision off on Apple's devices as well.
        return Precision.FP16 if kind == "cuda" and _is_good_at_half(device) else Precision.FP32
    try:
        wanted = Precision(precision)
    except ValueError as error:
        raise ReportedError(
            "bad_request", f"Unknown precision '{precision}'.", "Use fp32, fp16 or bf16."
        ) from error
    if wanted is Precision.BF16 and not _has_bf16(device):
        text = f"Device '{device}' does not know bf16."
        raise ReportedError("bad_request", text, "Choose Automatic, fp16 or fp32 as precision.")
    return wanted


def _is_good_at_half(device: str) -> bool:
    name = torch.cuda.get_device_name(device)
    has_cores = torch.cuda.get_device_capability(device) >= HALF_SINCE
    return has_cores and not any(card in name for card in CARDS_WITHOUT_HALF)


def _has_bf16(device: str) -> bool:
    kind = device.partition(":")[0]
    if kind == "cuda":
        return torch.cuda.get_device_capability(device) >= BF16_SINCE
    return kind != "mps" or torch.backends.mps.is_macos_or_newer(14, 0)


def _has_cuda_index(device: str) -> bool:
    index = torch.device(device).index
    return index is None or index < torch.cuda.device_count()


def _missing_device_hint(kind: str) -> str:
    if kind == "cuda" and torch.version.cuda is None:
        return "The installed torch has no CUDA: run Set Up LivePortrait again, or use CPU."
    if kind == "cuda":
        return "Update the NVIDIA driver, run Set Up LivePortrait again, or use CPU."
    return "Use Automatic or CPU."
