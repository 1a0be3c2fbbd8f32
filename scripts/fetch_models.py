"""Take the four MediaPipe face models out of the mediapipe wheel into engine/models/.

The models (Apache-2.0, see NOTICE) are pinned by SHA-256, the wheel by version and SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import zipfile
from pathlib import Path

from pinned_wheel import PinError, PinnedWheel, download, sha256_of

ROOT = Path(__file__).resolve().parent.parent

WHEEL = PinnedWheel(
    "mediapipe==0.10.21",
    "manylinux_2_28_x86_64",
    "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl",
    "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
)

# Path inside the wheel → SHA-256. Every platform's wheel holds the same four files.
MODELS = {
    "mediapipe/modules/face_detection/face_detection_short_range.tflite": (
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8"
    ),
    "mediapipe/modules/face_landmark/face_landmark.tflite": (
        "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814"
    ),
    "mediapipe/modules/iris_landmark/iris_landmark.tflite": (
        "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f"
    ),
    "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite": (
        "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c"
    ),
}


def is_complete(folder: Path) -> bool:
    """Whether the folder holds all models, unchanged."""
    paths = {folder / Path(name).name: digest for name, digest in MODELS.items()}
    return all(path.exists() and sha256_of(path) == digest for path, digest in paths.items())


def extract(wheel: Path, output: Path) -> None:
    """Write the models of a wheel to `output`. Raises PinError before anything is written."""
    contents: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in MODELS:
                contents[name] = archive.read(name)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise PinError(f"{wheel} is not a usable mediapipe wheel: {error}") from error
    for name, content in contents.items():
        found = hashlib.sha256(content).hexdigest()
        if found != MODELS[name]:
            raise PinError(
                f"{name} in {wheel} is not the pinned model.\n"
                f"  expected sha256 {MODELS[name]}\n"
                f"  found    sha256 {found}"
            )
    output.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (output / Path(name).name).write_bytes(content)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "engine" / "models")
    parser.add_argument("--wheel", type=Path, help="a mediapipe 0.10.21 wheel that is here already")
    options = parser.parse_args(arguments)
    if is_complete(options.output):
        print(f"models: {len(MODELS)} files in place")
        return 0
    try:
        with tempfile.TemporaryDirectory(prefix="keyportrait-models-") as folder:
            extract(options.wheel or download(WHEEL, Path(folder)), options.output)
    except PinError as error:
        print(f"fetch_models: {error}", file=sys.stderr)
        return 1
    print(f"models: {len(MODELS)} files written to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
