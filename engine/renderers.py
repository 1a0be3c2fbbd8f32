"""Where the renderers live, and whether they can work here. Imports nothing heavy by itself."""

from __future__ import annotations

import importlib
import platform
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .renderer import Renderer, ReportedError
from .renderer_table import PREVIEW, RENDERERS

MANIFEST = Path(__file__).resolve().parent.parent / "blender_manifest.toml"
FLAVOUR_TEXT = "This edition of KeyPortrait comes without LivePortrait's networks."
FLAVOUR_HINT = "Use the Preview renderer, or install the full edition."
INTERPRETER_HINT = "Reinstall the extension, or choose another Python in its preferences."


# report(fraction, text) while a renderer loads; it may raise ReportedError to stop that.
Report = Callable[[float, str], None]


class Place(NamedTuple):
    """Where a renderer's code lives."""

    module: str  # relative to this package
    factory: str  # called with a Report where the renderer needs the set-up, else without
    probe: str  # finds out cheaply whether the factory would work


_PLACES: Mapping[str, Place] = {
    PREVIEW: Place(".analytic.renderer", "AnalyticRenderer", "probe"),
    "liveportrait": Place(".liveportrait.installed", "people", "probe_people"),
    "liveportrait_animal": Place(".liveportrait.installed", "animals", "probe_animals"),
}


def create(name: str, report: Report) -> Renderer:
    """A renderer by its name in RENDERERS. Raises ReportedError (not_installed, no_models…)."""
    place = _PLACES[name]
    return _call(place.module, place.factory, *((report,) if RENDERERS[name].needs_setup else ()))


def probe(name: str, report: Report) -> dict[str, str]:
    """What decides a renderer's pictures: device, device_class, precision, model_set and others.

    Looks at the files and at the device, but loads no networks. Raises what create() would raise,
    as far as can be told.
    """
    place = _PLACES[name]
    return _call(place.module, place.probe, *((report,) if RENDERERS[name].needs_setup else ()))


def _call(module_name: str, function: str, *arguments: Any) -> Any:
    try:
        return getattr(importlib.import_module(module_name, __package__), function)(*arguments)
    except ImportError as error:
        raise missing_module(error) from error


def describe_engine() -> dict[str, Any]:
    """The `capabilities` of the engine, tried rather than promised.

    Renderers that need the set-up are left for `probe`: a folder that does not answer must not
    keep the others waiting. Raises ReportedError when not even faces can be found
    (not_installed, no_models).
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
    for name in (name for name, row in RENDERERS.items() if not row.needs_setup):
        try:
            renderers[name] = probe(name, _quiet)
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


def _quiet(fraction: float, text: str) -> None:
    """A report that nobody reads."""


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
