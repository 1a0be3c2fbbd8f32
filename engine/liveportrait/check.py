"""Try the LivePortrait renderer once: `python -m engine.liveportrait.check`.

Loads the people's model set as installed.py finds it, or the animals' where only that is there,
opens a synthetic face crop and renders frames. Prints its progress as JSON lines, then {"result":
{device, model_set, load_s, ms_per_frame, notices}} or {"error": {code, message, hint}}.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

from ..renderer import ReportedError
from . import installed

CROP_EDGE = 256
# As many frames as fit, at least one.
MOST_FRAMES = 10
MEASURE_S = 2.0
LOADING_PART = 0.7  # of the whole check, for the progress


def check() -> dict[str, Any]:
    """Load, run, measure. Raises ReportedError."""
    start = time.perf_counter()
    load = installed.animals if installed.has_only_animals() else installed.people
    models = load(
        lambda fraction, text: print_event(fraction=LOADING_PART * fraction, text=text)
    ).models
    load_s = time.perf_counter() - start
    picture = np.random.default_rng(0).random((1, CROP_EDGE, CROP_EDGE, 3), np.float32)
    print_event(fraction=LOADING_PART, text="Rendering a frame")
    features = models.extract_features(picture)
    keypoints = models.extract_motion(picture)["kp"].reshape(1, 21, 3)
    models.decode(features, keypoints, keypoints)
    start = time.perf_counter()
    seconds, frames = 0.0, 0
    while frames == 0 or (frames < MOST_FRAMES and seconds < MEASURE_S):
        models.decode(features, keypoints, keypoints)
        seconds, frames = time.perf_counter() - start, frames + 1
    milliseconds = seconds / frames * 1000.0
    return {
        "device": models.label,
        "model_set": models.name,
        "load_s": round(load_s, 2),
        "ms_per_frame": round(milliseconds, 1),
        "notices": list(models.notices),
    }


def main() -> int:
    """Command line; returns the exit status."""
    try:
        print_event(result=check())
    except ReportedError as error:
        fields = {"code": error.code, "message": error.message, "hint": error.hint}
        print_event(error=fields)
        return 1
    return 0


def print_event(**event: Any) -> None:
    """One JSON line for the host."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
