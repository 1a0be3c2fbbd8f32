"""How soon the engine answers a slider while it bakes or reads a clip, and what that costs.

    python scripts/bench_answering.py [--seconds 20] [--clip CLIP] [--size 3840x2160] [--root DIR]

Without --clip a clip of 20 minutes is made: a face in moving light, two seconds of which are
repeated. Prints one JSON object: milliseconds from a slider to its picture (median, 95 %, most)
alone, during a bake and during a capture; how long a cancelled capture works on; how much the
process grows while it reads. Figures depend on what else the machine does, their ratios less so.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import skimage.data

ROOT = Path(__file__).resolve().parent.parent
# Blender loads the checkout as one package; `keyportrait` plays that part here.
package = types.ModuleType("keyportrait")
package.__path__ = [str(ROOT)]
sys.modules["keyportrait"] = package

from keyportrait.engine.controls import motion_from_controls  # noqa: E402
from keyportrait.engine.protocol import Array  # noqa: E402
from keyportrait.engine.take import PerformanceSource, TakeOptions  # noqa: E402
from keyportrait.host.client import Engine, EngineError, Launch, Ticket  # noqa: E402

PICTURE_PX = 1280
CLIP_SIZE = (3840, 2160)
CLIP_S = 1200
RATE = 30
PART_FRAMES = 60
PAUSE_S = 0.03  # a dragged slider
IN_FLIGHT = 3  # as host.bake
TIMEOUT_S = 120.0


def make_clip(path: Path, seconds: int, size: tuple[int, int]) -> Path:
    """A clip of a face; the coded pictures of its first two seconds come again and again."""
    face = cv2.resize(skimage.data.astronaut(), (size[1], size[1]), interpolation=cv2.INTER_CUBIC)
    still = np.full((size[1], size[0], 3), 90, np.uint8)
    left = (size[0] - size[1]) // 2
    still[:, left : left + size[1]] = face
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = Fraction(1, RATE)
        stream.options = {"preset": "ultrafast", "g": str(PART_FRAMES), "bf": "0", "crf": "33"}
        coded = []
        for number in range(PART_FRAMES):
            light = np.sin(2 * np.pi * number / PART_FRAMES)
            shift = np.array([[1, 0, 20 * light], [0, 1, 10 * light]], np.float32)
            moved = cv2.warpAffine(still, shift, size, borderMode=cv2.BORDER_REPLICATE)
            frame = av.VideoFrame.from_ndarray(moved.astype(np.uint8), "rgb24")
            frame.pts, frame.time_base = number, stream.time_base
            coded += stream.encode(frame)
        coded += stream.encode(None)
        for number in range(seconds * RATE):
            part = coded[number % PART_FRAMES]
            packet = av.Packet(bytes(part))
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = Fraction(1, RATE), stream
            packet.is_keyframe = part.is_keyframe
            container.mux(packet)
    return path


class Bench:
    """An engine with two opened portraits: one is dragged, one is baked."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._folder = folder
        self._phases = itertools.count(1)
        self.engine = Engine(Launch(sys.executable, root, folder / "engine.log"))
        self.engine.start()
        picture = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2RGBA)
        picture = cv2.resize(picture, (PICTURE_PX, PICTURE_PX), interpolation=cv2.INTER_CUBIC)
        image = {"image": Array("uint8", picture.shape, picture.tobytes())}
        self.faces = self.ask("detect", {"encoding": "srgb"}, image).fields["faces"]
        fields = {
            "encoding": "srgb", "renderer": "analytic", "faces": self.faces, "options": {},
        }  # fmt: skip
        self._live, self._baked = (
            self.ask("open", fields, image).fields["handle"] for _ in range(2)
        )

    def ask(self, kind: str, fields: dict[str, Any], arrays: dict[str, Array] | None = None) -> Any:
        """The answer to a request."""
        return self.engine.wait(self.engine.submit(kind, fields, arrays), TIMEOUT_S)

    def _render(self, handle: int, save: Path | None = None) -> Ticket:
        phase = next(self._phases) % 40 / 40
        motion = motion_from_controls({"smile": phase, "head_yaw": 20 * phase - 10, "blink": phase})
        options = {} if save is None else {"save": {"path": str(save)}}
        fields = {"handle": handle, "motions": [motion.to_json()], "options": options}
        return self.engine.submit("render", fields, use_drain=False)

    def latencies(self, seconds: float, meanwhile: Callable[[], object] = int) -> list[float]:
        """Milliseconds from sliders to pictures, for so long."""
        times = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            started = time.perf_counter()
            self.engine.wait(self._render(self._live), TIMEOUT_S)
            times.append(1e3 * (time.perf_counter() - started))
            meanwhile()
            time.sleep(PAUSE_S)
        return times

    @contextmanager
    def baking(self) -> Iterator[Callable[[], int]]:
        """Keeps saving renders in flight; call what is given often: frames done so far."""
        flights: list[Ticket] = []
        done = 0

        def step() -> int:
            nonlocal done, flights
            done += sum(ticket.is_done for ticket in flights)
            flights = [ticket for ticket in flights if not ticket.is_done]
            while len(flights) < IN_FLIGHT:
                flights.append(self._render(self._baked, self._folder / f"{len(flights)}.png"))
            return done

        step()
        try:
            yield step
        finally:
            for ticket in flights:
                self.engine.cancel(ticket)

    def capture(self, clip: Path) -> Ticket:
        """A capture under way."""
        source = PerformanceSource(str(clip)).to_json()
        fields = {"source": source, "faces": self.faces, "options": TakeOptions().to_json()}
        ticket = self.engine.submit("capture", fields, use_drain=False)
        while not ticket.is_done and ticket.progress.fraction == 0.0:
            ticket.wait(0.02)
        if ticket.is_done:
            ticket.result()
        return ticket

    def cancel_ms(self, ticket: Ticket) -> float:
        """Milliseconds until the engine has given up a request that runs."""
        started = time.perf_counter()
        self.engine.cancel(ticket)
        while self.engine.state.name == "BUSY":
            time.sleep(0.002)
        return 1e3 * (time.perf_counter() - started)

    @property
    def memory_mb(self) -> float:
        """Resident memory of the engine's process, 0 where that cannot be told."""
        try:
            status = Path(f"/proc/{self.engine.pid}/status").read_text(encoding="utf-8")
        except OSError:
            return 0.0
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


def spread(times: list[float]) -> dict[str, float]:
    """Median, 95th percentile and maximum."""
    p50, p95, most = np.percentile(times, (50, 95, 100))
    return {"median": round(p50, 1), "p95": round(p95, 1), "most": round(most, 1)}


def measure(bench: Bench, clip: Path, seconds: float) -> dict[str, Any]:
    """All figures."""
    bench.latencies(2.0)
    result: dict[str, Any] = {"alone": spread(bench.latencies(seconds))}
    started = time.monotonic()
    with bench.baking() as step:
        result["bake"] = spread(bench.latencies(seconds, step))
        result["bake_fps"] = round(step() / (time.monotonic() - started), 1)
    before = bench.memory_mb
    ticket = bench.capture(clip)
    first, started = ticket.progress.fraction, time.monotonic()
    result["capture"] = spread(bench.latencies(seconds))
    with bench.baking() as step:
        result["capture and bake"] = spread(bench.latencies(seconds, step))
    part = ticket.progress.fraction - first
    result["capture_per_s"] = round(part * CLIP_S / (time.monotonic() - started), 3)
    middle = bench.memory_mb
    result["capture alone"] = spread(bench.latencies(seconds / 2))
    result["growth_mb"] = {"start": round(middle - before), "end": round(bench.memory_mb - before)}
    result["read"] = round(ticket.progress.fraction, 4)
    result["cancel_ms"] = round(bench.cancel_ms(ticket), 1)
    result["memory_mb"] = round(bench.memory_mb)
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="for each situation")
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--size", default="x".join(map(str, CLIP_SIZE)), help="of the made clip")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of another engine/")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="keyportrait-bench-") as name:
        width, height = (int(part) for part in arguments.size.split("x"))
        clip = arguments.clip or make_clip(Path(name) / "clip.mp4", CLIP_S, (width, height))
        bench = Bench(arguments.root.resolve(), Path(name))
        try:
            print(json.dumps(measure(bench, clip, arguments.seconds)))
        except EngineError as error:
            raise SystemExit(str(error)) from error
        finally:
            bench.engine.stop()


if __name__ == "__main__":
    main()
