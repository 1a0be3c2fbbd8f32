"""Which renderers there are, and whether they can work here. Imports nothing heavy by itself."""

from __future__ import annotations

import importlib
import platform
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .renderer import Renderer, ReportedError

MANIFEST = Path(__file__).resolve().parent.parent / "blender_manifest.toml"
FLAVOUR_TEXT = "This edition of KeyPortrait comes without LivePortrait's networks."
FLAVOUR_HINT = "Use the Preview renderer, or install the full edition."
INTERPRETER_HINT = "Reinstall the extension, or choose another Python in its preferences."


# report(fraction, text) while a renderer loads; it may raise ReportedError to stop that.
Report = Callable[[float, str], None]


class RendererEntry(NamedTuple):
    """Where a renderer lives and what it says about itself in `ready`."""

    module: str  # relative to this package
    factory: str  # called without arguments, or with a Report where there is a probe
    probe: str  # finds out cheaply whether the factory would work; "" where that is cheap itself
    device: str
    precision: str
    model_set: str


RENDERERS: Mapping[str, RendererEntry] = {
    "analytic": RendererEntry(
        ".analytic.renderer", "AnalyticRenderer", "", "cpu", "float32", "mediapipe 0.10.21"
    ),
    "liveportrait": RendererEntry(
        ".liveportrait.installed", "people", "probe_people", "auto", "auto", "human"
    ),
    "liveportrait_animal": RendererEntry(
        ".liveportrait.installed", "animals", "probe_animals", "auto", "auto", "animal"
    ),
}


def create(name: str, report: Report) -> Renderer:
    """A renderer by its name in RENDERERS. Raises ReportedError (not_installed, no_models…)."""
    entry = RENDERERS[name]
    return _call(entry.module, entry.factory, *((report,) if entry.probe else ()))


def probe(name: str) -> dict[str, str]:
    """What is known of a renderer without loading large files, for `ready`.

    Raises what create() would raise, as far as can be told.
    """
    entry = RENDERERS[name]
    found = _call(entry.module, entry.probe or entry.factory)
    facts = {"device": entry.device, "precision": entry.precision, "model_set": entry.model_set}
    return {**facts, **found} if entry.probe else facts


def _call(module_name: str, function: str, *arguments: Any) -> Any:
    try:
        return getattr(importlib.import_module(module_name, __package__), function)(*arguments)
    except ImportError as error:
        raise missing_module(error) from error


def description(name: str, renderer: Renderer) -> dict[str, str]:
    """What the Engine panel shows of a renderer at work: name, device, precision, model_set."""
    entry = RENDERERS[name]
    known = {
        "name": name,
        "device": entry.device,
        "precision": entry.precision,
        "model_set": entry.model_set,
    }
    return {**known, **getattr(renderer, "description", {})}


def describe_engine() -> dict[str, Any]:
    """The `capabilities` of the engine, tried rather than promised.

    Raises ReportedError when not even faces can be found (not_installed, no_models).
    """
    try:
        import cv2
        import numpy as np

        from .faces import models
    except ImportError as error:
        raise missing_module(error) from error
    for name in models.SHA256:
        models.model_path(name)
    renderers: dict[str, Any] = {}
    problems: dict[str, Any] = {}
    for name in RENDERERS:
        try:
            renderers[name] = probe(name)
        except ReportedError as error:
            problems[name] = {"code": error.code, "message": error.message, "hint": error.hint}
    return {
        "renderers": renderers,
        "problems": problems,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "threads": cv2.getNumThreads(),
    }


def release_version() -> str:
    """The extension's version by its manifest, "" where there is none."""
    try:
        return str(tomllib.loads(MANIFEST.read_text(encoding="utf-8")).get("version", ""))
    except (OSError, ValueError):
        return ""


def missing_module(error: ImportError) -> ReportedError:
    """The error for a module that this interpreter cannot import."""
    if error.name and error.name.startswith(f"{__package__}."):
        return ReportedError("not_installed", FLAVOUR_TEXT, FLAVOUR_HINT)
    text = f"The engine cannot import '{error.name or 'a module'}' in '{sys.executable}': {error}."
    return ReportedError("not_installed", text, INTERPRETER_HINT)
