"""Finds sets of weight files in a folder, whatever program laid it out; for both sides alike.

Standard library only. A set is chosen whole: all its files come from one folder and have one
format, so that an official set beside a part of somebody's own training is never mixed with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .weight_table import NETWORKS, STITCHING, WEIGHT_SETS_BY_NAME

# Tensors only, so safer than a pickle: taken first where a folder has both.
SUFFIXES = (".safetensors", ".pth")
SEARCH_DEPTH = 4
ANIMAL = "animal"
FOUR = tuple(name for name in NETWORKS if name != STITCHING)
# What a folder needs for the official detection of faces; each set is whole by itself.
OTHER_SETS = ("landmark", "insightface")


@dataclass(frozen=True)
class FoundSet:
    """What of a set lies in the place that has most of it.

    paths    the files by their names without suffix, in the table's order
    missing  names without suffix of those that lack; empty for a whole set
    place    the folder that was chosen, None where nothing of the set is anywhere
    """

    paths: Mapping[str, Path]
    missing: tuple[str, ...]
    place: Path | None

    @property
    def is_whole(self) -> bool:
        """Whether it can be used."""
        return not self.missing


def find_sets(folder: Path) -> dict[str, FoundSet]:
    """Every set of the table, as far as it lies below a folder. Raises OSError for the folder.

    folder  LivePortrait's checkout or pretrained_weights/, FasterLivePortrait's checkpoints/,
            ComfyUI's models/liveportrait/ (flat), or any folder with the published file names.
            Animals lie in a folder with "animal" in its name.
    """
    files = list(files_below(folder))
    found = {kind: _model_set(files, folder, kind) for kind in ("human", ANIMAL)}
    for name in OTHER_SETS:
        found[name] = _plain_set(files, tuple(f.name for f in WEIGHT_SETS_BY_NAME[name].files))
    return found


def find_set(folder: Path, name: str) -> FoundSet:
    """One set of the table that is no set of LivePortrait's networks. Raises OSError."""
    names = tuple(file.name for file in WEIGHT_SETS_BY_NAME[name].files)
    return _plain_set(files_below(folder), names)


def files_below(folder: Path) -> Iterator[Path]:
    """All files within SEARCH_DEPTH folders of `folder`, those nearest to it first.

    Raises OSError when it does not exist or cannot be read.
    """
    os.scandir(folder).close()
    level = [folder]
    for _ in range(SEARCH_DEPTH + 1):
        below: list[Path] = []
        for parent in level:
            for entry in _content(parent):
                if not entry.is_dir():
                    yield Path(entry.path)
                elif not entry.name.startswith("."):
                    below.append(Path(entry.path))
        level = below


def _content(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        # Somebody else's folder inside the chosen one: nothing in it is meant for us.
        return []


def _model_set(files: Iterable[Path], folder: Path, kind: str) -> FoundSet:
    """Four networks of one folder and one format, and the stitching file that belongs to them."""
    weights = [p for p in files if p.suffix in SUFFIXES and p.stem in NETWORKS]
    groups: dict[tuple[Path, str], dict[str, Path]] = {}
    for path in weights:
        if path.stem != STITCHING and _is_animal(path, folder) == (kind == ANIMAL):
            groups.setdefault((path.parent, path.suffix), {})[path.stem] = path
    if not groups:
        return FoundSet({}, NETWORKS, None)
    chosen = min(groups, key=lambda place: (-len(groups[place]), *_preference(*place)))
    place, suffix = chosen
    paths = {name: groups[chosen][name] for name in FOUR if name in groups[chosen]}
    stitching = [p for p in weights if p.stem == STITCHING]
    if kind != ANIMAL:
        stitching = [p for p in stitching if not _is_animal(p, folder)]
    if stitching:
        paths[STITCHING] = min(stitching, key=lambda path: _distance(path, place, suffix))
    return FoundSet(paths, tuple(name for name in NETWORKS if name not in paths), place)


def _plain_set(files: Iterable[Path], names: tuple[str, ...]) -> FoundSet:
    """Files with these names in one folder, the nearest that has them all."""
    groups: dict[Path, dict[str, Path]] = {}
    for path in files:
        if path.name in names:
            groups.setdefault(path.parent, {})[path.stem] = path
    stems = tuple(name.rpartition(".")[0] for name in names)
    if not groups:
        return FoundSet({}, stems, None)
    place = max(groups, key=lambda parent: len(groups[parent]))
    missing = tuple(stem for stem in stems if stem not in groups[place])
    return FoundSet(groups[place], missing, place)


def _is_animal(path: Path, folder: Path) -> bool:
    # The chosen folder's own name counts too: the user may pick liveportrait_animals itself.
    names = (folder.name, *path.relative_to(folder).parts[:-1])
    return any(ANIMAL in name.lower() for name in names)


def _preference(place: Path, suffix: str) -> tuple[bool, int, int, str]:
    """Small is better: newest animal weights, then safetensors, then the shortest path."""
    is_old_version = not any(part.endswith("_v1.1") for part in place.parts)
    return is_old_version, SUFFIXES.index(suffix), len(place.parts), str(place)


def _distance(path: Path, place: Path, suffix: str) -> tuple[int, bool, int, str]:
    """Small is better: how many folders lie between a file and a set, then its format."""
    common = len(Path(os.path.commonpath((path.parent, place))).parts)
    apart = len(path.parent.parts) + len(place.parts) - 2 * common
    return apart, path.suffix != suffix, len(path.parts), str(path)
