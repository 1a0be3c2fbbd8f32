"""How fast a portrait follows the camera: pictures a second, and from the camera to the image.

    python scripts/bench_live.py [--seconds 20]

A clip with a number in every frame stands in for the camera, 640 × 480 at 30 frames a second, and
moves a portrait of 512 px in bpy. The numbers tell which frame a picture is of, and so how late it
is. Prints figures beside their aims, which are for two idle cores, and the load meanwhile; also
build/bench-live.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np
import skimage.data
from bench import BLENDER, ROOT, Row, run_json, show
from bench_engine import CROP_PX, face_crop
from live_numbers import burn_in
from run_blender_tests import find_zip

SIZE = (640, 480)
RATE, CLIP_S = 30, 8
STILL_S = 2.5
AIM_FPS, AIM_MS = 20.0, 120.0


def make_stand_in(path: Path) -> None:
    """A face that rests and then moves without a break, its frames numbered."""
    photo = cv2.resize(skimage.data.astronaut(), (640, 640), interpolation=cv2.INTER_CUBIC)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "20"}
        for number in range(RATE * CLIP_S):
            phase = max(0.0, number / RATE - STILL_S)
            turn = cv2.getRotationMatrix2D((290.0, 160.0), 8.0 * np.sin(2.2 * phase), 1.0)
            turn[:, 2] += (12.0 * np.sin(1.7 * phase), 40.0)
            image = cv2.warpAffine(photo, turn, SIZE, borderMode=cv2.BORDER_REPLICATE)
            burn_in(image, number)
            frame = av.VideoFrame.from_ndarray(image.astype(np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(prefix="keyportrait-bench-") as name:
        folder = Path(name)
        stand_in, picture = folder / "camera.mp4", folder / "crop.png"
        make_stand_in(stand_in)
        cv2.imwrite(str(picture), cv2.cvtColor(face_crop(CROP_PX), cv2.COLOR_RGB2BGR))
        command = [str(BLENDER), "scripts/bench_live_blender.py", str(find_zip()), str(picture)]
        figures = run_json(
            [*command, str(seconds), str(RATE * CLIP_S), str(RATE)],
            "@bench ",
            BLENDER_USER_RESOURCES=str(folder / "resources"),
            KEYPORTRAIT_CAMERA=str(stand_in),
        )
    rows = [
        Row("pictures", figures["fps"], "/s", AIM_FPS, is_most=False),
        Row("camera to image: median", figures["median_ms"], "ms", AIM_MS),
        Row("camera to image: 95 %", figures["p95_ms"], "ms"),
        Row("of it until the face is read", figures["read_ms"], "ms"),
        Row("CPU of the engine, for each picture", figures["engine_ms"], "ms"),
        Row("CPU of Blender, for each picture", figures["blender_ms"], "ms"),
        Row("frames that the camera gave", figures["given"], ""),
        Row("frames that were left out", figures["dropped"], ""),
        Row("largest error of a frame's number", figures["number_error"], ""),
        Row("load of the machine", os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0, ""),
    ]
    show(rows)
    path = ROOT / "build" / "bench-live.json"
    path.parent.mkdir(exist_ok=True)
    entries = {row.name: {"value": row.value, "unit": row.unit, "aim": row.aim} for row in rows}
    told = {"cores": os.cpu_count(), "figures": entries}
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path}")


if __name__ == "__main__":
    sys.exit(main())
