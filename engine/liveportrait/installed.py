"""The LivePortrait renderers that this machine has: weights, device and models as they were set up.

The host says where things are by environment variables, see WEIGHTS_VARIABLE and the others.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..renderer import EngineError

if TYPE_CHECKING:
    from .analysis import FaceAnalysis
    from .renderer import LivePortraitRenderer

WEIGHTS_VARIABLE = "KEYPORTRAIT_WEIGHTS"  # folder of weight files
DEVICE_VARIABLE = "KEYPORTRAIT_DEVICE"  # auto, cuda, mps or cpu
PRECISION_VARIABLE = "KEYPORTRAIT_PRECISION"  # auto, fp32, fp16 or bf16
ACCELERATION_VARIABLE = "KEYPORTRAIT_ACCELERATION"  # of networks.fast_decoders, "auto" chooses
INSIGHTFACE_VARIABLE = "KEYPORTRAIT_INSIGHTFACE"  # "1" where its licence was accepted

SET_UP_HINT = "Press Set Up LivePortrait in the Engine panel, or use the Preview renderer."
GENERATORS = ("spade_generator.safetensors", "spade_generator.pth")
SEARCH_DEPTH = 4
WEIGHT_SUFFIXES = {".pth", ".safetensors", ".onnx"}
FINGERPRINT_BYTES = 1 << 16

Report = Callable[[float, str], None]


def _quiet(fraction: float, text: str) -> None:
    """A report that nobody reads."""


def probe_people() -> dict[str, str]:
    """What decides pictures of people: fingerprint of the weights, source of the landmarks.

    Cheap: torch is not imported. Raises EngineError unless people can be rendered.
    """
    folder = _probe("human")
    is_official = _official_files(folder) is not None
    landmarks = "insightface" if is_official else "mesh"
    return {"weights": fingerprint(folder), "landmarks": landmarks}


def probe_animals() -> dict[str, str]:
    """What decides pictures of animals, as probe_people()."""
    return {"weights": fingerprint(_probe("animal"))}


def fingerprint(folder: Path) -> str:
    """Short digest of the weight files below a folder, by name, size and both ends' bytes."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in WEIGHT_SUFFIXES):
        size = path.stat().st_size
        with path.open("rb") as file:
            ends = file.read(FINGERPRINT_BYTES)
            file.seek(max(0, size - FINGERPRINT_BYTES))
            ends += file.read()
        digest.update(f"{path.name}:{size}:".encode() + ends)
    return digest.hexdigest()[:16]


def people(report: Report = _quiet) -> LivePortraitRenderer:
    """The renderer for people. Raises EngineError (not_installed, no_models, out_of_memory…)."""
    return _load("human", report)


def animals(report: Report = _quiet) -> LivePortraitRenderer:
    """The renderer for animals. Raises EngineError, as people()."""
    return _load("animal", report)


def _load(kind: str, report: Report) -> LivePortraitRenderer:
    folder = _probe(kind)
    from ..networks.model_set import NetworkSet
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
    detector, landmarks = _find(folder, ("det_10g.onnx",)), _find(folder, ("landmark.onnx",))
    return None if detector is None or landmarks is None else (detector, landmarks)


def _probe(kind: str) -> Path:
    """The weights folder. Raises EngineError when torch or a model set is missing."""
    if importlib.util.find_spec("torch") is None:
        raise EngineError("not_installed", "LivePortrait is not set up yet.", SET_UP_HINT)
    name = os.environ.get(WEIGHTS_VARIABLE, "")
    if not name or not Path(name).is_dir():
        raise EngineError("no_models", "LivePortrait's weights are not there yet.", SET_UP_HINT)
    folder = Path(name)
    if _find(folder, GENERATORS, is_animal=kind == "animal") is None:
        text = f"'{folder}' has no LivePortrait weights for {kind}s."
        raise EngineError("no_models", text, SET_UP_HINT)
    return folder


def _find(folder: Path, names: tuple[str, ...], *, is_animal: bool = False) -> Path | None:
    """The first file of that name below a folder, in an animal folder or outside of them."""
    level = [folder]
    for _ in range(SEARCH_DEPTH + 1):
        below: list[Path] = []
        for parent in level:
            names_above = (folder.name, *parent.relative_to(folder).parts)
            has_animals = any("animal" in name.lower() for name in names_above)
            for path in sorted(parent.iterdir()):
                if path.is_dir() and not path.name.startswith("."):
                    below.append(path)
                elif path.name in names and has_animals == is_animal:
                    return path
        level = below
    return None
