"""The one engine process of this Blender."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import bpy

from ..engine.renderer_table import PREVIEW
from ..host.client import Engine, Launch, State
from ..preferences import has_setup, preferences, user_folder

ROOT = Path(__file__).resolve().parent.parent
LOG_NAME = "engine.log"
# The engine reads it when it is started, and it decides how pictures come out.
PRECISION_VARIABLE = "KEYPORTRAIT_PRECISION"
# What the engine imports; found beside Blender's own modules or unpacked from the bundled wheels.
ENGINE_MODULES = ("numpy", "cv2")

_engine: Engine | None = None


def engine() -> Engine:
    """The engine, which may be stopped; see start()."""
    global _engine
    if _engine is None:
        _engine = Engine(launch())
    return _engine


def launch() -> Launch:
    """How the engine is started now, from the preferences and what is installed."""
    own_python = preferences().python_path
    environment, variables = _liveportrait()
    blenders = bpy.path.abspath(own_python) if own_python else sys.executable
    return Launch(
        python=str(environment or blenders),
        root=ROOT,
        log_path=user_folder("logs") / LOG_NAME,
        # The environment brings its own modules; Blender's would not fit its Python.
        python_paths=() if environment else module_folders(),
        version=version(),
        environment=variables,
    )


def _liveportrait() -> tuple[Path | None, dict[str, str]]:
    """Interpreter and variables of the LivePortrait set-up, which one flavour does not have."""
    if not has_setup():
        return None, {}
    setup = importlib.import_module(f"{__package__}.setup")
    return setup.python(), setup.engine_variables()


def start(renderer: str = PREVIEW) -> Engine:
    """Start a renderer's engine if it is stopped, and return it at once; a failed one stays so."""
    current = engine()
    if current.state is State.STOPPED:
        current.launch = launch()
        current.start()
    return current


def restart(renderer: str = PREVIEW) -> Engine:
    """Kill the engine, if it runs, and start a new one with today's settings."""
    current = engine()
    current.launch = launch()
    current.restart()
    return current


def stop() -> None:
    """End the engine."""
    if _engine is not None:
        _engine.stop()


def start_ready(timeout_s: float) -> Engine:
    """The running engine, waited for; a failed one is started again once. Raises EngineError."""
    current = start()
    if current.state is State.FAILED:
        current = restart()
    current.wait_ready(timeout_s)
    return current


def module_folders() -> tuple[str, ...]:
    """Folders where the engine's modules lie, found without importing them."""
    folders: list[str] = []
    for name in ENGINE_MODULES:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            folder = str(Path(spec.origin).parent.parent)
            if folder not in folders:
                folders.append(folder)
    return tuple(folders)


def version() -> str:
    """The extension's version, from its manifest."""
    with (ROOT / "blender_manifest.toml").open("rb") as file:
        return str(tomllib.load(file)["version"])


class Status(NamedTuple):
    """What the Engine panel shows: state, renderers that work, (message, hint) or None."""

    name: str
    renderers: tuple[str, ...]
    problem: tuple[str, str] | None
    log_path: str


def status() -> Status:
    """The state of the engine, read without asking it anything."""
    current = _engine
    if current is None:
        return Status(State.STOPPED.name, (), None, "")
    renderers = tuple(current.capabilities.get("renderers", {}))
    problem = None
    if current.error is not None:
        problem = (current.error.message, current.error.hint)
    return Status(current.state.name, renderers, problem, str(current.log_path))


def missing_renderers() -> frozenset[str]:
    """Names of renderers that the engine has tried in vain; empty before it has started."""
    if _engine is None:
        return frozenset()
    return frozenset(_engine.capabilities.get("problems", {}))


def register() -> None:
    """The engine starts when it is first needed."""


def unregister() -> None:
    global _engine
    stop()
    _engine = None
