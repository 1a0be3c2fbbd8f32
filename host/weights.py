"""Where the networks' weights are published, and what is to be downloaded of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..engine.weight_table import WEIGHT_SETS_BY_NAME, WeightFile

HUB_ENDPOINT = "https://huggingface.co"
HUB_REPOSITORY = "KlingTeam/LivePortrait"
# The publisher has tagged no release: a commit, so that a later change cannot reach anyone.
HUB_REVISION = "82a4fa6735ca58432b6ce39301b4b9ee066dea47"
# The same for the one actor of Audio2Face-3D that is offered.
AUDIO2FACE_REPOSITORY = "nvidia/Audio2Face-3D-v2.3-Mark"
AUDIO2FACE_REVISION = "5451728e07378df93b04523279e134a9993ae71b"
AUDIO2FACE_FOLDER = "audio2face-3d-v2.3-mark"
AUDIO2FACE_LICENCE_URL = (
    "https://www.nvidia.com/en-us/agreements/enterprise-software/nvidia-open-model-license/"
)


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
                "least_bytes": file.sizes[0],
                "most_bytes": file.sizes[-1],
                "sha256": file.sha256,
            }
            for file in files.values()
        ],
    }
