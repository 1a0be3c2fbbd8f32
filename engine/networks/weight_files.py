"""Finds LivePortrait's published weight files in a folder, whatever program laid it out.

Imports no torch: whether a renderer can work is asked long before its networks are loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..renderer import ReportedError

STITCHING = "stitching_retargeting_module"
NETWORKS = (
    "appearance_feature_extractor",
    "motion_extractor",
    "warping_module",
    "spade_generator",
    STITCHING,
)
# Tensors only, so safer than a pickle: taken first where a folder has both.
SUFFIXES = (".safetensors", ".pth")
SEARCH_DEPTH = 4
DOWNLOAD_HINT = "Download the file again with Set Up LivePortrait, or choose another folder."


class CheckpointError(ReportedError):
    """A weight file that is missing, damaged or not LivePortrait's."""

    def __init__(self, message: str, hint: str = DOWNLOAD_HINT) -> None:
        super().__init__("no_models", message, hint)


@dataclass(frozen=True)
class CheckpointFiles:
    """Where the five files of one model set lie, by the names of NETWORKS."""

    kind: str  # "human" or "animal"
    paths: Mapping[str, Path]


def find_checkpoints(folder: Path, kind: str = "human") -> CheckpointFiles:
    """Find a model set below `folder`, whatever program laid it out.

    folder  LivePortrait's checkout or pretrained_weights/, FasterLivePortrait's checkpoints/,
            ComfyUI's models/liveportrait/ (flat), or any folder with the published file names
    kind    "human" or "animal"; animals have four files of their own, in a folder with "animal"
            in its name, and borrow the human stitching file, or the copy beside them

    Raises CheckpointError that names what is missing.
    """
    found: dict[str, list[Path]] = {}
    for path in files_below(folder):
        if path.suffix in SUFFIXES and path.stem in NETWORKS:
            found.setdefault(path.stem, []).append(path)
    paths: dict[str, Path] = {}
    for name in NETWORKS:
        wants_animal = kind == "animal" and name != STITCHING
        anywhere = found.get(name, [])
        candidates = [p for p in anywhere if _is_animal(p, folder) == wants_animal]
        if kind == "animal" and name == STITCHING:
            candidates = candidates or anywhere
        if candidates:
            paths[name] = min(candidates, key=_preference)
    missing = [name for name in NETWORKS if name not in paths]
    if missing:
        raise CheckpointError(*_missing_files(folder, kind, missing))
    return CheckpointFiles(kind, paths)


def files_below(folder: Path) -> Iterator[Path]:
    """All files within SEARCH_DEPTH folders of `folder`, those nearest to it first.

    Raises CheckpointError when it does not exist.
    """
    if not folder.is_dir():
        raise CheckpointError(f"Folder '{folder}' does not exist.", "Choose another folder.")
    level = [folder]
    for _ in range(SEARCH_DEPTH + 1):
        below: list[Path] = []
        for parent in level:
            for path in _content(parent):
                if not path.is_dir():
                    yield path
                elif not path.name.startswith("."):
                    below.append(path)
        level = below


def _content(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except PermissionError:
        # Somebody else's folder inside the chosen one: nothing in it is meant for us.
        return []


def _is_animal(path: Path, folder: Path) -> bool:
    # The chosen folder's own name counts too: the user may pick liveportrait_animals itself.
    names = (folder.name, *path.relative_to(folder).parts[:-1])
    return any("animal" in name.lower() for name in names)


def _preference(path: Path) -> tuple[bool, int, int]:
    """Small is better: newest animal weights, then safetensors, then the shortest path."""
    is_old_version = not any(part.endswith("_v1.1") for part in path.parts)
    return is_old_version, SUFFIXES.index(path.suffix), len(path.parts)


def _missing_files(folder: Path, kind: str, missing: list[str]) -> tuple[str, str]:
    if set(missing) >= set(NETWORKS) - {STITCHING}:
        message = (
            f"'{folder}' has no LivePortrait weights for {kind}s: nothing of the {kind} model set"
            " is in it."
        )
    else:
        files = ", ".join(f"{name}.safetensors or .pth" for name in missing)
        message = f"Folder '{folder}' lacks {files} of the {kind} model set."
    if any(path.match("warping_spade*.onnx") for path in files_below(folder)):
        return message, "Its ONNX files are not usable here: choose the original weights."
    return message, "Choose the folder that holds them, or run Set Up LivePortrait."
