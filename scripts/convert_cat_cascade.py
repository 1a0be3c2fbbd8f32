"""Turn OpenCV's cat-face cascade (XML) into the small arrays that cat_faces.py evaluates.

    python scripts/convert_cat_cascade.py haarcascade_frontalcatface.xml

OpenCV 5 ships neither the cascade nor the class that runs it; the file comes from the wheel
opencv-python-headless 4.14.0.94, folder cv2/data. The arrays are part of the repository, this
script says where they come from.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from pinned_wheel import PinError, verify

OUTPUT = Path(__file__).resolve().parent.parent / "engine" / "liveportrait" / "cat_face.npz"
SHA256 = "ac2bac934ef24284ef8a2b2e9d8e57eef84ac1d6943b4d11e5c9e8584dc069c8"
WINDOW = 24
RECTANGLES = 3


def read_cascade(path: Path) -> dict[str, np.ndarray]:
    """The arrays of cat_faces.Cascade. Raises ValueError for a cascade of another kind."""
    root = ElementTree.parse(path).getroot().find("cascade")  # noqa: S314  pinned by digest
    if root is None or root.findtext("width") != str(WINDOW):
        raise ValueError(f"{path} is not a cascade of {WINDOW} px")
    features = list(root.find("features") or [])
    if any(feature.findtext("tilted", "0").strip() != "0" for feature in features):
        raise ValueError(f"{path} has tilted features")
    boxes = np.zeros((len(features), RECTANGLES, 4), np.int8)
    weights = np.zeros((len(features), RECTANGLES), np.float32)
    for row, feature in enumerate(features):
        for column, entry in enumerate(feature.find("rects") or []):
            *box, weight = (entry.text or "").split()
            boxes[row, column] = [int(number) for number in box]
            weights[row, column] = float(weight)
    stumps: list[tuple[float, ...]] = []
    counts: list[int] = []
    limits: list[float] = []
    for stage in root.find("stages") or []:
        classifiers = list(stage.find("weakClassifiers") or [])
        counts.append(len(classifiers))
        limits.append(float(stage.findtext("stageThreshold", "")))
        for classifier in classifiers:
            _, _, feature, threshold = classifier.findtext("internalNodes", "").split()
            low, high = classifier.findtext("leafValues", "").split()
            stumps.append((float(feature), float(threshold), float(low), float(high)))
    table = np.array(stumps)
    return {
        "boxes": boxes,
        "weights": weights,
        "features": table[:, 0].astype(np.int16),
        "thresholds": table[:, 1].astype(np.float32),
        "votes": table[:, 2:].astype(np.float32),
        "stage_counts": np.array(counts, np.int16),
        "stage_limits": np.array(limits, np.float32),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cascade", type=Path)
    cascade = parser.parse_args().cascade
    try:
        verify(cascade, SHA256)
        arrays = read_cascade(cascade)
    except (PinError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    np.savez_compressed(OUTPUT, **arrays)  # type: ignore[arg-type]
    print(f"{OUTPUT}: {len(arrays['stage_counts'])} stages, {OUTPUT.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
