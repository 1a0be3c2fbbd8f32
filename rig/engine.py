"""The engine processes of this Blender: one for Preview, one for the networks.

Preview's runs on Blender's Python and knows nothing of the set-up, so that nothing in it, however
slow or broken, can stop Preview; nor do its pictures wait behind the networks' long loading. The
networks' engine is started when one of them is first wanted.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import bpy
from bpy.app.handlers import persistent

from ..engine.renderer_table import PREVIEW, RENDERERS, label_of, needs_setup
from ..host.client import Engine, Launch, State
from ..preferences import has_setup, preferences, user_folder

ROOT = Path(__file__).resolve().parent.parent
LOG_NAMES = {False: "engine.log", True: "networks.log"}
# Stands for all renderers that need the set-up.
NETWORKS = next(name for name, row in RENDERERS.items() if row.needs_setup)
# What the engine imports; found beside Blender's own modules or unpacked from the bundled wheels.
ENGINE_MODULES = ("numpy", "cv2", "av")

# By whether their renderers need the set-up.
_engines: dict[bool, Engine] = {}


def engine(renderer: str = PREVIEW) -> Engine:
    """The engine of a renderer, which may be stopped; see start()."""
    kind = _is_of_networks(renderer)
    if kind not in _engines:
        _engines[kind] = Engine(launch(renderer))
    return _engines[kind]


def engines() -> tuple[Engine, ...]:
    """Those that were needed so far; Preview's first."""
    return tuple(_engines[kind] for kind in sorted(_engines))


def launch(renderer: str = PREVIEW) -> Launch:
    """How the engine of a renderer is started now, from the preferences. Looks at no disk."""
    own_python = preferences().python_path
    is_of_networks = _is_of_networks(renderer)
    plain = Launch(
        python=bpy.path.abspath(own_python) if own_python else sys.executable,
        root=ROOT,
        log_path=user_folder("logs") / LOG_NAMES[is_of_networks],
        python_paths=module_folders(),
        version=version(),
    )
    if not is_of_networks:
        return plain
    return importlib.import_module(f"{__package__}.setup").launch(plain)


def _is_of_networks(renderer: str) -> bool:
    # The flavour without the set-up has no engine for them: Preview's says so.
    return needs_setup(renderer) and has_setup()


def start(renderer: str = PREVIEW) -> Engine:
    """Start a renderer's engine if it is stopped, and return it at once; a failed one stays so."""
    current = engine(renderer)
    if current.state is State.STOPPED:
        current.launch = launch(renderer)
        current.start()
    return current


def restart(renderer: str = PREVIEW) -> Engine:
    """Kill a renderer's engine, if it runs, and start a new one with today's settings."""
    current = engine(renderer)
    current.launch = launch(renderer)
    current.restart()
    return current


def restart_all() -> None:
    """Restart Preview's engine, and the networks' where it was started before."""
    for renderer in (PREVIEW, NETWORKS):
        if renderer == PREVIEW or status(renderer).name != State.STOPPED.name:
            restart(renderer)


def leave(*renderers: str) -> None:
    """End the engines of these renderers, or all, without waiting; they start when needed."""
    for current in [engine(name) for name in renderers] or engines():
        current.leave()


def stop() -> None:
    """End all engines and wait for that, a moment at most."""
    for current in engines():
        current.stop()


def free_setup() -> None:
    """Kill the networks' engine, which has files of the set-up open, and wait for its end."""
    engine(NETWORKS).stop(0.0)


def start_ready(timeout_s: float, renderer: str = PREVIEW) -> Engine:
    """The running engine, waited for; a failed one is started again once. Raises EngineError."""
    current = start(renderer)
    if current.state is State.FAILED:
        current = restart(renderer)
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


def status(renderer: str = PREVIEW) -> Status:
    """The state of a renderer's engine, read without asking it anything."""
    current = _engines.get(_is_of_networks(renderer))
    if current is None:
        return Status(State.STOPPED.name, (), None, "")
    renderers = tuple(current.capabilities.get("renderers", {}))
    problem = None
    if current.error is not None:
        problem = (current.error.message, current.error.hint)
    return Status(current.state.name, renderers, problem, str(current.log_path))


def statuses() -> dict[str, Status]:
    """Every engine that was needed so far, and Preview's, by what to call it."""
    found = {label_of(PREVIEW): status(PREVIEW)}
    if _engines.get(True) is not None:
        found["Networks"] = status(NETWORKS)
    return found


def missing_renderers() -> frozenset[str]:
    """Names of renderers that are not set up, as far as is known without waiting."""
    if not has_setup():
        return frozenset(name for name, row in RENDERERS.items() if row.needs_setup)
    return importlib.import_module(f"{__package__}.setup").missing_renderers()


@persistent
def _on_exit(*_args: object) -> None:
    stop()


def register() -> None:
    """The engine starts when it is first needed."""
    # Where Blender tells nobody that it ends, the engine ends with its pipe.
    if hasattr(bpy.app.handlers, "exit_pre"):
        bpy.app.handlers.exit_pre.append(_on_exit)


def unregister() -> None:
    if hasattr(bpy.app.handlers, "exit_pre"):
        bpy.app.handlers.exit_pre.remove(_on_exit)
    stop()
    _engines.clear()
