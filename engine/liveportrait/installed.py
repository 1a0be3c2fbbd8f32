"""The LivePortrait renderers that this machine has: weights, device and models as they were set up.

The host says where things are by environment variables, see WEIGHTS_VARIABLE and the others.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..networks.weight_files import CheckpointFiles, find_checkpoints, look
from ..renderer import ReportedError

if TYPE_CHECKING:
    from .analysis import FaceAnalysis
    from .renderer import LivePortraitRenderer

WEIGHTS_VARIABLE = "KEYPORTRAIT_WEIGHTS"  # folder of weight files
DEVICE_VARIABLE = "KEYPORTRAIT_DEVICE"  # auto, cuda, mps or cpu
PRECISION_VARIABLE = "KEYPORTRAIT_PRECISION"  # auto, fp32, fp16 or bf16
ACCELERATION_VARIABLE = "KEYPORTRAIT_ACCELERATION"  # of networks.fast_decoders, "auto" chooses
INSIGHTFACE_VARIABLE = "KEYPORTRAIT_INSIGHTFACE"  # "1" where its licence was accepted

SET_UP_HINT = "Press Set Up LivePortrait in the Engine panel, or use the Preview renderer."
FINGERPRINT_BYTES = 1 << 16

Report = Callable[[float, str], None]


def _quiet(fraction: float, text: str) -> None:
    """A report that nobody reads."""


def probe_people(report: Report = _quiet) -> dict[str, str]:
    """What decides pictures of people: device, precision, fingerprint of the weights, landmarks.

    Loads torch, to ask for the device, but no networks. Raises ReportedError unless people can be
    rendered.
    """
    report(0.0, "Looking at the weights")
    folder, checkpoints = _files("human")
    official = _official_files(folder)
    return {
        **_placement(report),
        "model_set": "human",
        "weights": fingerprint([*checkpoints.paths.values(), *(official or ())]),
        "landmarks": "insightface" if official is not None else "mesh",
    }


def probe_animals(report: Report = _quiet) -> dict[str, str]:
    """What decides pictures of animals, as probe_people()."""
    report(0.0, "Looking at the weights")
    _, checkpoints = _files("animal")
    weights = fingerprint(checkpoints.paths.values())
    return {**_placement(report), "model_set": "animal", "weights": weights}


def _placement(report: Report) -> dict[str, str]:
    """The device and precision that the networks will run with, not the wish for them."""
    report(0.3, "Looking at the device")
    from ..networks.devices import choose_placement

    device, precision = (os.environ.get(v, "auto") for v in (DEVICE_VARIABLE, PRECISION_VARIABLE))
    return choose_placement(device, precision).facts


def has_only_animals() -> bool:
    """Whether there are weights for animals, but none for people."""
    return not _has_files("human") and _has_files("animal")


def _has_files(kind: str) -> bool:
    try:
        _files(kind)
    except ReportedError:
        return False
    return True


def fingerprint(files: Iterable[Path]) -> str:
    """Short digest of weight files, by name, size and both ends' bytes."""
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        with path.open("rb") as file:
            ends = file.read(FINGERPRINT_BYTES)
            file.seek(max(0, size - FINGERPRINT_BYTES))
            ends += file.read()
        digest.update(f"{path.name}:{size}:".encode() + ends)
    return digest.hexdigest()[:16]


def people(report: Report = _quiet) -> LivePortraitRenderer:
    """The renderer for people. Raises ReportedError (not_installed, no_models, out_of_memory…)."""
    return _load("human", report)


def animals(report: Report = _quiet) -> LivePortraitRenderer:
    """The renderer for animals. Raises ReportedError, as people()."""
    return _load("animal", report)


def _load(kind: str, report: Report) -> LivePortraitRenderer:
    folder, _ = _files(kind)
    from ..networks.network_set import NetworkSet
    from .renderer import LivePortraitRenderer

    models = NetworkSet.load(
        folder,
        kind,
        os.environ.get(DEVICE_VARIABLE, "auto"),
        os.environ.get(PRECISION_VARIABLE, "auto"),
        acceleration=os.environ.get(ACCELERATION_VARIABLE, "auto"),
        progress=lambda name, fraction: report(fraction, f"Loading {name}"),
    )
    analysis = _official_analysis(folder) if kind == "human" else None
    return LivePortraitRenderer(models, analysis)


def _official_analysis(folder: Path) -> FaceAnalysis | None:
    """InsightFace with the 203-point model where the user has and accepted them."""
    files = _official_files(folder)
    if files is None:
        return None
    detector, landmarks = files
    from .analysis import InsightAnalysis
    from .insight_faces import InsightFaces
    from .landmarks203 import Landmarks203

    return InsightAnalysis(InsightFaces.load(detector.parent), Landmarks203.load(landmarks))


def _official_files(folder: Path) -> tuple[Path, Path] | None:
    """InsightFace's detector and the 203-point model, where both are there and accepted."""
    if os.environ.get(INSIGHTFACE_VARIABLE) != "1":
        return None
    detector, landmarks = (look(folder)[name] for name in ("insightface", "landmark"))
    if not (detector.is_whole and landmarks.is_whole):
        return None
    return detector.paths["det_10g"], landmarks.paths["landmark"]


def _files(kind: str) -> tuple[Path, CheckpointFiles]:
    """The weights folder and what of it is used. Raises ReportedError when anything is missing."""
    if importlib.util.find_spec("torch") is None:
        raise ReportedError("not_installed", "LivePortrait is not set up yet.", SET_UP_HINT)
    name = os.environ.get(WEIGHTS_VARIABLE, "")
    if not name or not Path(name).is_dir():
        raise ReportedError("no_models", "LivePortrait's weights are not there yet.", SET_UP_HINT)
    folder = Path(name)
    return folder, find_checkpoints(folder, kind)
