"""Set-up of the LivePortrait engine: where things are, what is there, and the running task.

The environment and the weights lie in one folder, by default the extension's own; nothing is
installed into Blender's Python. The steps themselves run in host.task, outside of Blender.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import bpy

from ..engine.renderer_table import RENDERERS
from ..engine.weight_search import FoundSet, find_set, find_sets
from ..engine.weight_table import AUDIO2FACE, WEIGHT_SETS_BY_NAME
from ..host import environment, weights
from ..host.looking import Look
from ..host.process import Launch
from ..host.task import Step, Task, TaskState
from ..preferences import preferences, user_folder
from .errors import AddonError

ROOT = Path(__file__).resolve().parent.parent
LOG_NAME = "setup.log"
# Inside a folder that the user names.
OWN_FOLDER = "keyportrait-liveportrait"
MANIFEST_NAME = "download.json"
REDRAW_S = 0.25
REPAIR_HINT = "Install LivePortrait's environment again. Preview works without it."
# How long to wait for the disk, and how old its answer may be while panels draw.
PANEL_PATIENCE_S = 0.03
SCRIPT_PATIENCE_S = 10.0
FRESH_S = 0.1
SILENT_S = 3.0
CHOICE_PATIENCE_S = 5.0

_task: Task | None = None


@dataclass(frozen=True)
class Installed:
    """What the set-up has done so far.

    environment   the environment is complete
    sets          names of the weight sets that are whole, downloaded or in the user's own folder
    torch         the installed build of PyTorch, "" without an environment
    notice        what the user should know of that build, "" usually
    has_files     there is anything that `remove` would delete
    is_known      False while the disk has not answered; everything else is then empty
    """

    environment: bool = False
    sets: tuple[str, ...] = ()
    torch: str = ""
    notice: str = ""
    has_files: bool = False
    is_known: bool = True

    @property
    def has_weights(self) -> bool:
        """There is something to render with."""
        return any(row.weight_set in self.sets for row in RENDERERS.values())

    @property
    def is_ready(self) -> bool:
        """Nothing has to be fetched any more."""
        return self.environment and self.has_weights


def folder() -> Path:
    """The folder of environment and downloaded weights; nothing of others is in it."""
    chosen = preferences().liveportrait_folder
    return Path(bpy.path.abspath(chosen)) / OWN_FOLDER if chosen else user_folder("liveportrait")


def weights_folder() -> Path:
    """Where the weights are: the user's own folder, or the downloaded ones."""
    chosen = preferences().weights_folder
    return Path(bpy.path.abspath(chosen)) if chosen else folder() / "weights"


def audio2face_folder() -> Path:
    """Where Audio2Face-3D is: the user's own folder, or the downloaded one."""
    chosen = preferences().audio2face_folder
    if chosen:
        return Path(bpy.path.abspath(chosen))
    return folder() / "weights" / weights.AUDIO2FACE_FOLDER


def installed() -> Installed:
    """What is on the disk. Waits a moment at most, so that panels may ask while drawing."""
    where = (folder(), weights_folder(), audio2face_folder())
    is_script = bpy.app.background
    found = _look.ask(
        where,
        lambda: _look_at(*where),
        patience_s=SCRIPT_PATIENCE_S if is_script else PANEL_PATIENCE_S,
        fresh_s=0.0 if is_script else FRESH_S,
    )
    return Installed(is_known=False) if found is None else found


def silent_folder() -> str:
    """The folder of the set-up where it has not answered for a while, "" when all is well."""
    if _look.silent_s < SILENT_S:
        return ""
    return str(weights_folder() if preferences().weights_folder else folder())


def _look_at(root: Path, weights_root: Path, audio2face_root: Path) -> Installed:
    marker = environment.read_marker(root)
    torch, notice = (str((marker or {}).get(key, "")) for key in ("torch", "notice"))
    try:
        sets = tuple(name for name, found in find_sets(weights_root).items() if found.is_whole)
    except OSError:
        sets = ()
    with suppress(OSError):
        if find_set(audio2face_root, AUDIO2FACE.name).is_whole:
            sets = (*sets, AUDIO2FACE.name)
    return Installed(marker is not None, sets, torch, notice, bool(environment.own_files(root)))


def python() -> Path | None:
    """The environment's interpreter, None while there is no complete environment."""
    return environment.python_of(folder()) if installed().environment else None


def launch(plain: Launch) -> Launch:
    """How the networks' engine is started: in the environment, where there is one by then."""
    return replace(
        plain, environment=engine_variables(), resolve=partial(_in_environment, folder())
    )


def _in_environment(root: Path, plain: Launch) -> Launch:
    """The launch in a finished environment, or as it is where there is none; reads the disk."""
    if environment.read_marker(root) is None:
        return plain
    # The environment brings its own modules; Blender's would not fit its Python.
    return replace(
        plain, python=str(environment.python_of(root)), python_paths=(), repair_hint=REPAIR_HINT
    )


def missing_renderers() -> frozenset[str]:
    """Names of renderers for which nothing is installed, as far as is known without waiting."""
    state = installed()
    has_python = state.environment or bool(preferences().python_path)
    if not state.is_known:
        return frozenset()
    return frozenset(
        name
        for name, row in RENDERERS.items()
        if row.needs_setup and not (has_python and row.weight_set in state.sets)
    )


def engine_variables() -> dict[str, str]:
    """What the engine must know of the set-up, see engine/liveportrait/installed.py."""
    prefs = preferences()
    return {
        "KEYPORTRAIT_WEIGHTS": str(weights_folder()),
        "KEYPORTRAIT_DEVICE": prefs.device,
        "KEYPORTRAIT_PRECISION": prefs.precision,
        "KEYPORTRAIT_ACCELERATION": prefs.acceleration,
        "KEYPORTRAIT_INSIGHTFACE": "1" if prefs.is_insightface_accepted else "0",
        "KEYPORTRAIT_AUDIO2FACE": str(audio2face_folder()) if prefs.is_audio2face_accepted else "",
        # What compiled networks leave behind is removed with the rest.
        "TORCHINDUCTOR_CACHE_DIR": str(folder() / "cache" / "inductor"),
        "TRITON_CACHE_DIR": str(folder() / "cache" / "triton"),
    }


_look: Look[Installed] = Look()


def task() -> Task | None:
    """The running or last task of this session."""
    return _task


def is_running() -> bool:
    """True while a task works."""
    return _task is not None and _task.state is TaskState.RUNNING


def is_cancelled() -> bool:
    """True when the last task was cancelled."""
    return _task is not None and _task.state is TaskState.CANCELLED


def log_path() -> Path:
    """The set-up's log."""
    return user_folder("logs") / LOG_NAME


def start_environment() -> Task:
    """Build the environment, or go on where it stopped. Raises AddonError, SetupError."""
    wanted = plan()
    if wanted.wheels_folder is None:
        check_online("packages", "choose a folder of wheels in the preferences")
    elif not wanted.wheels_folder.is_dir():
        text = f"The wheels folder '{wanted.wheels_folder}' does not exist."
        raise AddonError(text, "Choose another one.")
    environment.check_space(wanted)
    return start_steps(
        environment.environment_steps(wanted),
        lambda: environment.write_marker(wanted.folder, environment.marker_content(wanted)),
    )


def plan() -> environment.EnvironmentPlan:
    """What step 1 builds, by today's preferences."""
    prefs = preferences()
    own_python = prefs.python_path
    return environment.EnvironmentPlan(
        folder=folder(),
        base_python=bpy.path.abspath(own_python) if own_python else sys.executable,
        root=ROOT,
        wheels_folder=Path(bpy.path.abspath(prefs.wheels_folder)) if prefs.wheels_folder else None,
        torch_backend=prefs.torch_backend,
        use_insightface=prefs.is_insightface_accepted,
    )


def start_download(names: tuple[str, ...]) -> Task:
    """Download weight sets, or go on where it stopped. Raises AddonError."""
    prefs = preferences()
    if not prefs.is_insightface_accepted and any(
        not WEIGHT_SETS_BY_NAME[name].is_commercial for name in names
    ):
        text = "InsightFace's models are for non-commercial research only."
        raise AddonError(text, "Accept their licence first, or do without them.")
    if "insightface" in names:
        # One is of no use without the other: see engine/liveportrait/installed.py.
        names = tuple(dict.fromkeys((*names, "landmark")))
    manifest = weights.download_manifest(
        names,
        endpoint=prefs.hub_endpoint.rstrip("/") or weights.HUB_ENDPOINT,
        repository=weights.HUB_REPOSITORY,
        revision=prefs.hub_revision or weights.HUB_REVISION,
        folder=folder() / "weights",
    )
    steps = [download_step(manifest)]
    if "insightface" in names:
        # Its licence may be accepted after the environment was made without its package.
        steps.insert(0, environment.insightface_step(plan()))
    return start_steps(steps, lambda: None)


def download_step(manifest: dict[str, Any]) -> Step:
    """What fetches the files of a manifest in the environment. Raises AddonError."""
    check_online("weights", "choose a folder you already have")
    interpreter = python()
    if interpreter is None:
        raise AddonError("The environment is not there yet.", "Do the first step before.")
    path = folder() / MANIFEST_NAME
    try:
        path.write_text(json.dumps(manifest), encoding="utf-8")
    except OSError as error:
        text = f"'{path}' could not be written: {error.strerror}."
        raise AddonError(text, "Free some space, or choose another folder.") from error
    variables = {
        "HF_HOME": str(folder() / "cache" / "hub"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
    }
    command = (str(interpreter), "-m", "engine.download", str(path))
    return Step("Download weights", command, weight=40, environment=variables)


def start_check() -> Task:
    """Load the networks and render a frame in the environment. Raises AddonError."""
    interpreter = python()
    if interpreter is None:
        raise AddonError("The environment is not there yet.", "Do the first step before.")
    variables = {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **engine_variables()}
    command = (str(interpreter), "-m", "engine.liveportrait.check")
    return start_steps([Step("Check the networks", command, environment=variables)], lambda: None)


def check_result() -> dict[str, Any] | None:
    """What the last check of this session found: device, model_set, ms_per_frame, notices."""
    if _task is not None and _task.state is TaskState.DONE and "ms_per_frame" in _task.result:
        return _task.result
    return None


def use_weights(directory: str) -> None:
    """Take the weights from a folder of the user's. Raises AddonError when it has none."""
    path = Path(bpy.path.abspath(directory))
    if not path.is_dir():
        raise AddonError(f"The folder '{path}' does not exist.", "Choose another one.")
    look: Look[dict[str, FoundSet]] = Look()
    found = look.ask(path, lambda: find_sets(path), patience_s=CHOICE_PATIENCE_S)
    if found is None:
        text = f"The folder '{path}' does not answer, or has too many files to look through."
        raise AddonError(text, "Choose the folder of the weights itself.")
    models = [found[row.weight_set] for row in RENDERERS.values() if row.weight_set]
    if not any(each.is_whole for each in models):
        begun = [f"{', '.join(x.missing)} in '{x.place}'" for x in models if x.place]
        text = f"The folder '{path}' has no LivePortrait weights (spade_generator.*)."
        if begun:
            text = f"The folder '{path}' has no whole set of weights: it lacks {begun[0]}."
        hint = "Choose LivePortrait's pretrained_weights or ComfyUI's models/liveportrait."
        raise AddonError(text, hint)
    preferences().weights_folder = str(path)


def environment_bytes() -> int:
    """Rough size of what the environment takes on disk."""
    return plan().size_bytes


def weights_bytes(name: str) -> int:
    """Size of a weight set's download."""
    return WEIGHT_SETS_BY_NAME[name].size_bytes


def label_of(name: str) -> str:
    """What a weight set is called."""
    return WEIGHT_SETS_BY_NAME[name].label


def has_files() -> bool:
    """Whether there is anything that `remove` would delete."""
    return installed().has_files


def check_online(what: str, otherwise: str) -> None:
    """Raise AddonError when Blender may not use the network."""
    if not bpy.app.online_access:
        raise AddonError(
            f"Online access is off, so the {what} cannot be downloaded.",
            f"Switch on Allow Online Access in Preferences > System > Network, or {otherwise}.",
        )


def cancel() -> None:
    """Stop the running task; what is finished stays."""
    if _task is not None:
        _task.cancel()


def remove() -> None:
    """Delete environment and downloads. Raises SetupError, AddonError."""
    if is_running():
        raise AddonError("The set-up is still running.", "Cancel it first.")
    environment.remove(folder())


def start_steps(steps: list[Step], finish: Callable[[], None]) -> Task:
    """Run some steps as this session's task. Raises AddonError while another one runs."""
    global _task
    if is_running():
        raise AddonError("The set-up is already running.", "Wait for it, or cancel it.")
    folder().mkdir(parents=True, exist_ok=True)
    _task = Task(steps, log_path(), finish)
    if not bpy.app.background and not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=REDRAW_S)
    return _task


def _tick() -> float | None:
    from . import pump

    pump.redraw()
    if is_running():
        return REDRAW_S
    renew_engine()
    return None


def renew_engine() -> None:
    """Let the networks start anew with what is installed now, and portraits ask again."""
    from . import engine, live

    engine.leave(engine.NETWORKS)
    live.retry_all()


def register() -> None:
    """The timer starts with a task."""


def unregister() -> None:
    global _task
    cancel()
    _task = None
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
