"""Set-up of Audio2Face-3D, which Speak may use: its download, its folder, and what is missing."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..engine.weight_search import FoundSet, find_set
from ..engine.weight_table import AUDIO2FACE
from ..host import weights
from ..host.looking import Look
from ..host.task import Task
from ..preferences import preferences
from . import setup
from .errors import AddonError


def is_ready() -> bool:
    """Whether its files are there and its licence is accepted, whatever else is missing."""
    return AUDIO2FACE.name in setup.installed().sets and preferences().is_audio2face_accepted


def problem() -> str:
    """Why Speak cannot use Audio2Face-3D, as far as is known without waiting; "" where it can."""
    state = setup.installed()
    if not state.is_known:
        return ""
    if not (state.environment or preferences().python_path):
        return "LivePortrait's environment is not installed"
    if AUDIO2FACE.name not in state.sets:
        return "Audio2Face-3D is not there yet"
    if not preferences().is_audio2face_accepted:
        return "Audio2Face-3D's licence is not accepted"
    return ""


def start_download() -> Task:
    """Download Audio2Face-3D, or go on where it stopped. Raises AddonError."""
    prefs = preferences()
    if not prefs.is_audio2face_accepted:
        text = "Audio2Face-3D comes under the NVIDIA Open Model License."
        raise AddonError(text, "Read it and accept it first, or speak with Phones.")
    manifest = weights.download_manifest(
        (AUDIO2FACE.name,),
        endpoint=prefs.hub_endpoint.rstrip("/") or weights.HUB_ENDPOINT,
        repository=weights.AUDIO2FACE_REPOSITORY,
        revision=weights.AUDIO2FACE_REVISION,
        folder=setup.folder() / "weights" / weights.AUDIO2FACE_FOLDER,
    )
    task = setup.start_steps([setup.download_step(manifest)], lambda: None)
    prefs.audio2face_folder = ""
    return task


def use_folder(directory: str) -> None:
    """Take Audio2Face-3D from a folder of the user's. Raises AddonError when it is not there."""
    path = Path(bpy.path.abspath(directory))
    if not path.is_dir():
        raise AddonError(f"The folder '{path}' does not exist.", "Choose another one.")
    look: Look[FoundSet] = Look()
    found = look.ask(
        path, lambda: find_set(path, AUDIO2FACE.name), patience_s=setup.CHOICE_PATIENCE_S
    )
    if found is None:
        text = f"The folder '{path}' does not answer, or has too many files to look through."
        raise AddonError(text, "Choose the folder of the model itself.")
    if not found.is_whole:
        text = f"The folder '{path}' lacks {', '.join(found.missing)} of Audio2Face-3D."
        raise AddonError(text, f"Choose a copy of {weights.AUDIO2FACE_REPOSITORY}.")
    preferences().audio2face_folder = str(path)
