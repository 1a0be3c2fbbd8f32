"""Which weight files LivePortrait needs, where they are published, and whether a folder has them.

Hashes and sizes are those of the published files; an empty hash means that none is known, and the
file is then checked by its size and, when it is loaded, key by key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from .errors import EngineError

HUB_ENDPOINT = "https://huggingface.co"
HUB_REPOSITORY = "KlingTeam/LivePortrait"
# The publisher has tagged no release: a commit, so that a later change cannot reach anyone.
HUB_REVISION = "82a4fa6735ca58432b6ce39301b4b9ee066dea47"

# A published size that is only known roughly may differ by this share.
SIZE_TOLERANCE = 0.02
READ_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class WeightFile:
    """One published file: its path in the repository, size in bytes, SHA-256 ("" unknown)."""

    path: str
    size_bytes: int
    sha256: str = ""
    is_size_exact: bool = True

    @property
    def name(self) -> str:
        """The file name without folders."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class WeightSet:
    """Files that are installed together.

    is_commercial  False when the licence allows non-commercial research only, so that the
                   user must accept it explicitly
    """

    name: str
    label: str
    licence: str
    files: tuple[WeightFile, ...]
    is_commercial: bool = True
    is_optional: bool = False

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files)


_BASE = "liveportrait/base_models"
_ANIMALS = "liveportrait_animals/base_models_v1.1"
_STITCHING = WeightFile(
    "liveportrait/retargeting_models/stitching_retargeting_module.pth",
    2_393_098,
    "3652d5a3f95099141a56986aaddec92fadf0a73c87a20fac9a2c07c32b28b611",
)

WEIGHT_SETS: tuple[WeightSet, ...] = (
    WeightSet(
        "human",
        "People",
        "MIT",
        (
            WeightFile(
                f"{_BASE}/appearance_feature_extractor.pth",
                3_387_959,
                "5279bb8654293dbdf327030b397f107237dd9212fb11dd75b83dfb635211ceb5",
            ),
            WeightFile(
                f"{_BASE}/motion_extractor.pth",
                112_545_506,
                "251e6a94ad667a1d0c69526d292677165110ef7f0cf0f6d199f0e414e8aa0ca5",
            ),
            WeightFile(
                f"{_BASE}/spade_generator.pth",
                221_813_590,
                "4780afc7909a9f84e24c01d73b31a555ef651521a1fe3b2429bd04534d992aee",
            ),
            WeightFile(
                f"{_BASE}/warping_module.pth",
                182_180_086,
                "2f61a6f265fe344f14132364859a78bdbbc2068577170693da57fb96d636e282",
            ),
            _STITCHING,
        ),
    ),
    WeightSet(
        "animal",
        "Animals",
        "MIT",
        (
            WeightFile(
                f"{_ANIMALS}/appearance_feature_extractor.pth", 3_387_959, is_size_exact=False
            ),
            WeightFile(f"{_ANIMALS}/motion_extractor.pth", 112_545_506, is_size_exact=False),
            WeightFile(f"{_ANIMALS}/spade_generator.pth", 222_000_000, is_size_exact=False),
            WeightFile(f"{_ANIMALS}/warping_module.pth", 182_000_000, is_size_exact=False),
            _STITCHING,
        ),
        is_optional=True,
    ),
    WeightSet(
        "landmark",
        "203-point landmarks",
        "MIT",
        (
            WeightFile(
                "liveportrait/landmark.onnx",
                114_666_491,
                "31d22a5041326c31f19b78886939a634a5aedcaa5ab8b9b951a1167595d147db",
            ),
        ),
        is_optional=True,
    ),
    WeightSet(
        "insightface",
        "InsightFace detector",
        "Non-commercial research only",
        (
            WeightFile(
                "insightface/models/buffalo_l/det_10g.onnx",
                16_923_827,
                "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
            ),
            WeightFile(
                "insightface/models/buffalo_l/2d106det.onnx",
                5_030_888,
                "f001b856447c413801ef5c42091ed0cd516fcd21f2d6b79635b1e733a7109dbf",
            ),
        ),
        is_commercial=False,
        is_optional=True,
    ),
)
WEIGHT_SETS_BY_NAME: Mapping[str, WeightSet] = {each.name: each for each in WEIGHT_SETS}


class WeightError(EngineError):
    """A weight file that is missing or is not the published one."""

    code = "bad_weights"


class FileCheck(NamedTuple):
    """What is wrong with a file of a set; problem "" means nothing."""

    file: WeightFile
    path: Path
    problem: str


def sha256_of(path: Path, on_bytes: Callable[[int], None] = lambda _: None) -> str:
    """Hex digest of a file; on_bytes gets the bytes read so far."""
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as stream:
        while block := stream.read(READ_BYTES):
            digest.update(block)
            done += len(block)
            on_bytes(done)
    return digest.hexdigest()


def problem_of(file: WeightFile, path: Path, *, use_hash: bool = True) -> str:
    """Why `path` is not the published file; "" when it is, as far as is known."""
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    slack = 0 if file.is_size_exact else int(file.size_bytes * SIZE_TOLERANCE)
    if abs(size - file.size_bytes) > slack:
        return f"has {size:,} bytes instead of {file.size_bytes:,}"
    if use_hash and file.sha256 and sha256_of(path) != file.sha256:
        return "has another SHA-256 than the published file"
    return ""


def check_set(folder: Path, weight_set: WeightSet, *, use_hash: bool = True) -> list[FileCheck]:
    """Check every file of a set below `folder`, in the repository's own layout."""
    return [
        FileCheck(file, folder / file.path, problem_of(file, folder / file.path, use_hash=use_hash))
        for file in weight_set.files
    ]


def is_installed(folder: Path, weight_set: WeightSet) -> bool:
    """Whether all files lie there with plausible sizes; cheap enough for a panel."""
    return all(not c.problem for c in check_set(folder, weight_set, use_hash=False))


def download_manifest(
    sets: tuple[str, ...], *, endpoint: str, repository: str, revision: str, folder: Path
) -> dict[str, Any]:
    """What engine.download needs to know, as a JSON value.

    Raises KeyError for a set that does not exist.
    """
    files: dict[str, WeightFile] = {}
    for name in sets:
        for file in WEIGHT_SETS_BY_NAME[name].files:
            files[file.path] = file
    return {
        "endpoint": endpoint,
        "repository": repository,
        "revision": revision,
        "folder": str(folder),
        "files": [
            {
                "path": file.path,
                "size_bytes": file.size_bytes,
                "is_size_exact": file.is_size_exact,
                "sha256": file.sha256,
            }
            for file in files.values()
        ],
    }
