"""LivePortrait's weight files in a folder, or the reason why they cannot be used.

Imports no torch: whether a renderer can work is asked long before its networks are loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..renderer import ReportedError
from ..weight_search import FoundSet, files_below, find_sets

DOWNLOAD_HINT = "Download the file again with Set Up LivePortrait, or choose another folder."


class CheckpointError(ReportedError):
    """A weight file that is missing, damaged or not LivePortrait's."""

    def __init__(self, message: str, hint: str = DOWNLOAD_HINT) -> None:
        super().__init__("no_models", message, hint)


@dataclass(frozen=True)
class CheckpointFiles:
    """Where the five files of one model set lie, by the names of weight_table.NETWORKS."""

    kind: str  # "human" or "animal"
    paths: Mapping[str, Path]


def find_checkpoints(folder: Path, kind: str = "human") -> CheckpointFiles:
    """Find a model set below `folder`, see weight_search.find_sets.

    kind  "human" or "animal"; animals borrow the human stitching file, or take the one beside them
    Raises CheckpointError that names what is missing.
    """
    found = look(folder)[kind]
    if not found.is_whole:
        raise CheckpointError(*_missing_files(folder, kind, found))
    return CheckpointFiles(kind, found.paths)


def look(folder: Path) -> dict[str, FoundSet]:
    """weight_search.find_sets. Raises CheckpointError when the folder cannot be read."""
    try:
        return find_sets(folder)
    except FileNotFoundError as error:
        text = f"Folder '{folder}' does not exist."
        raise CheckpointError(text, "Choose another folder.") from error
    except OSError as error:
        text = f"Folder '{folder}' cannot be read: {error.strerror}."
        raise CheckpointError(text, "Choose another folder.") from error


def _missing_files(folder: Path, kind: str, found: FoundSet) -> tuple[str, str]:
    if found.place is None:
        message = (
            f"'{folder}' has no LivePortrait weights for {kind}s: nothing of the {kind} model set"
            " is in it."
        )
    else:
        files = ", ".join(f"{name}.safetensors or .pth" for name in found.missing)
        message = f"Folder '{found.place}' lacks {files} of the {kind} model set."
    if any(path.match("warping_spade*.onnx") for path in files_below(folder)):
        return message, "Its ONNX files are not usable here: choose the original weights."
    return message, "Choose the folder that holds them, or run Set Up LivePortrait."
