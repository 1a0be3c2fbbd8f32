"""Speed of the embedded renderer in this process, and memory of the engine as its own process.

Run by bench.py; prints one JSON object. Pictures come from scikit-image's public-domain astronaut.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path

# As the engine sets it, before numpy is imported: more threads make small systems slower.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import cv2
import numpy as np
import skimage.data

ROOT = Path(__file__).resolve().parent.parent
# Blender loads the checkout as one package; `keyportrait` plays that part here.
package = types.ModuleType("keyportrait")
package.__path__ = [str(ROOT)]
sys.modules["keyportrait"] = package

from keyportrait.engine.analytic.renderer import AnalyticRenderer  # noqa: E402
from keyportrait.engine.compose import Composition  # noqa: E402
from keyportrait.engine.controls import motion_from_controls  # noqa: E402
from keyportrait.engine.faces.find import find_faces  # noqa: E402
from keyportrait.engine.protocol import Array  # noqa: E402
from keyportrait.engine.renderer import SourceImage  # noqa: E402
from keyportrait.host.client import Engine, Launch  # noqa: E402

THREADS = 2
FITS = 5
FRAMES = 24
SIZES_MP = (0.25, 2.0, 12.0, 50.0)
SIZE_FRAMES = 8
MOVING_PX = 837  # a side of what is shown while something moves, as the preferences begin
PICTURE_PX = 1280
CROP_PX = 512

# A frame of each kind; `phase` runs from 0 to 1 so that no two frames are equal.
MOVES: dict[str, Callable[[float], dict[str, float]]] = {
    "expression": lambda phase: {"smile": phase, "blink": phase, "mouth_open": phase * 0.5},
    "pose": lambda phase: {"head_yaw": 20 * phase - 10, "head_pitch": 8 * phase - 4},
    "all": lambda phase: {
        "smile": phase * 0.7,
        "blink": phase,
        "mouth_open": phase * 0.5,
        "brows": phase,
        "gaze_x": phase - 0.5,
        "pout": phase - 0.5,
        "head_yaw": 20 * phase - 10,
        "head_pitch": 8 * phase - 4,
        "head_roll": 10 * phase - 5,
        "head_x": phase - 0.5,
    },
}


def rgba(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) RGB → (H, W, 4) with an opaque alpha."""
    return cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2RGBA)


def face_crop(side: int) -> np.ndarray:
    """(side, side, 3) uint8 RGB: LivePortrait's crop of the face, 2.3 times as large as it."""
    astronaut = skimage.data.astronaut()
    box = find_faces(SourceImage(rgba(astronaut), "srgb"))[0].box
    half = int(1.15 * max(box[2] - box[0], box[3] - box[1]))
    x, y = int(box[0] + box[2]) // 2, max(int(box[1] + box[3]) // 2, half)
    crop = astronaut[y - half : y + half, x - half : x + half]
    return cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC)


def pictures() -> dict[str, np.ndarray]:
    """The two sizes that are measured, (H, W, 4) uint8."""
    astronaut = skimage.data.astronaut()
    return {
        f"{CROP_PX} px crop": rgba(face_crop(CROP_PX)),
        f"{PICTURE_PX} px picture": rgba(
            cv2.resize(astronaut, (PICTURE_PX, PICTURE_PX), interpolation=cv2.INTER_CUBIC)
        ),
    }


def measure(pixels: np.ndarray) -> dict[str, float]:
    """Milliseconds: detect, fit, and one frame of each kind of move (median)."""
    source = SourceImage(pixels, "srgb")
    started = time.perf_counter()
    face = find_faces(source)[0]
    result = {"detect": (time.perf_counter() - started) * 1e3}
    fits = []
    for _ in range(FITS):
        started = time.perf_counter()
        portrait = AnalyticRenderer().open(source, face)
        fits.append(time.perf_counter() - started)
    result["fit"] = statistics.median(fits) * 1e3
    for name, move in MOVES.items():
        times = []
        for index in range(FRAMES):
            values = move((index + 1) / FRAMES)
            canvas = pixels.copy()
            started = time.perf_counter()
            motion = motion_from_controls(
                values, eyes_open=face.eyes_open, lips_open=face.lips_open
            )
            portrait.render(motion, canvas)
            times.append(time.perf_counter() - started)
        result[name] = statistics.median(times) * 1e3
    return result


def measure_size(megapixels: float) -> dict[str, float]:
    """Milliseconds of a picture of that size: fit, and frames of all controls, whole and small."""
    side = round((megapixels * 1e6) ** 0.5)
    source = SourceImage(rgba(face_crop(side)), "srgb")
    face = find_faces(source)[0]
    started = time.perf_counter()
    portrait = AnalyticRenderer().open(source, face)
    result = {"fit": (time.perf_counter() - started) * 1e3}
    whole = Composition(source, [portrait])
    small_side = min(side, MOVING_PX) if side * side > 1.5 * MOVING_PX**2 else side
    for name, composition in (
        ("small frame", whole.at_size((small_side, small_side))),
        ("whole frame", whole),
    ):
        times = []
        for index in range(SIZE_FRAMES):
            motion = motion_from_controls(MOVES["all"]((index + 1) / SIZE_FRAMES))
            started = time.perf_counter()
            composition.render([motion])
            times.append((time.perf_counter() - started) * 1e3)
        result[name] = statistics.median(times)
    return result


def engine_memory_mb(pixels: np.ndarray) -> float:
    """Peak resident memory of an engine process that fits and renders one portrait, MB."""
    with tempfile.TemporaryDirectory(prefix="keyportrait-bench-") as folder:
        engine = Engine(Launch(sys.executable, ROOT, Path(folder) / "engine.log"))
        engine.start()
        try:
            engine.wait_ready(60.0)
            array = Array("uint8", pixels.shape, pixels.tobytes())
            found = engine.wait(
                engine.submit("detect", {"encoding": "srgb"}, {"image": array}), 60.0
            )
            fields = {"encoding": "srgb", "renderer": "analytic", "options": {}}
            opened = engine.wait(
                engine.submit("open", {**fields, "faces": found.fields["faces"]}, {"image": array}),
                60.0,
            )
            for index in range(FRAMES):
                motion = motion_from_controls(MOVES["all"]((index + 1) / FRAMES))
                request = {"handle": opened.fields["handle"], "motions": [motion.to_json()]}
                engine.wait(engine.submit("render", {**request, "options": {}}), 60.0)
            status = Path(f"/proc/{engine.pid}/status").read_text(encoding="utf-8")
        finally:
            engine.stop()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    """Print the figures as JSON; with an argument those by size alone."""
    cv2.setNumThreads(THREADS)
    if sys.argv[1:] == ["sizes"]:
        print(json.dumps({f"{size:g} MP": measure_size(size) for size in SIZES_MP}))
        return
    result: dict[str, object] = {name: measure(pixels) for name, pixels in pictures().items()}
    if sys.platform == "linux":
        result["engine peak memory"] = engine_memory_mb(pictures()[f"{PICTURE_PX} px picture"])
    print(json.dumps(result))


if __name__ == "__main__":
    main()
