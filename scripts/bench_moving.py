"""How fast a moving source is followed, baked and scrubbed, and what that costs in memory.

    python scripts/bench_moving.py [--frames 90] [--size 1920x1080] [--renderer analytic]

A clip of a face is made whose pictures come again and again. Prints one JSON object: frames a
second while its face is followed and while a smile and a turn are baked, milliseconds from a
source frame to its small picture, and by how much the process grows from a third of the bake to
its end. Figures depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from bench_answering import RATE, ROOT, make_clip
from keyportrait.engine.controls import motion_from_controls
from keyportrait.host.client import Engine, Launch, Ticket

TIMEOUT_S = 600.0
IN_FLIGHT = 3  # as host.bake
SMALL = 960  # pixels: the longer side of a quick look
SCRUBS = 20


class Moving:
    """An engine with a moving source."""

    def __init__(self, folder: Path, clip: Path, renderer: str) -> None:
        self._folder = folder
        self.engine = Engine(Launch(sys.executable, ROOT, folder / "engine.log"))
        self.engine.start()
        named = {"clip": {"path": str(clip)}, "frame": 0}
        faces = self.ask("detect", **named)["faces"][:1]
        track = folder / "track.npz"
        started = time.monotonic()
        self.frame_count = self.ask("track", **named, faces=faces, path=str(track))["frame_count"]
        self.track_rate = self.frame_count / (time.monotonic() - started)
        fields = {"faces": faces, "renderer": renderer, "options": {}, "track": str(track)}
        opened = self.ask("open", **named, **fields)
        self._handle, self._size = opened["handle"], opened["size"]

    def ask(self, kind: str, **fields: object) -> dict:
        """The answer to a request."""
        ticket = self.engine.submit(kind, fields, use_drain=False)
        return dict(self.engine.wait(ticket, TIMEOUT_S).fields)

    def _render(self, frame: int, **more: object) -> Ticket:
        share = frame % 40 / 40
        motion = motion_from_controls({"smile": 0.3 + 0.5 * share, "head_yaw": 12 * share - 6})
        fields = {"handle": self._handle, "motions": [motion.to_json()], "frame": frame}
        return self.engine.submit("render", {"options": {}, **fields, **more}, use_drain=False)

    def bake(self) -> tuple[float, float]:
        """Frames a second, and MB that the process grows by from a third of the way on."""
        flights: list[Ticket] = []
        begun_mb = 0.0
        started = time.monotonic()
        for frame in range(self.frame_count):
            if frame == self.frame_count // 3:
                begun_mb = self.memory_mb
            path = self._folder / f"{frame % (2 * IN_FLIGHT)}.png"
            flights.append(self._render(frame, options={"save": {"path": str(path)}}))
            if len(flights) >= IN_FLIGHT:
                self.engine.wait(flights.pop(0), TIMEOUT_S)
        for ticket in flights:
            self.engine.wait(ticket, TIMEOUT_S)
        rate = self.frame_count / (time.monotonic() - started)
        return rate, self.memory_mb - begun_mb

    def scrub_ms(self) -> list[float]:
        """From a source frame to its small picture, frames in any order."""
        scale = min(1.0, SMALL / max(self._size))
        size = [round(scale * side) for side in self._size]
        rng = random.Random(1)  # noqa: S311 - the same frames each time
        times = []
        for _ in range(SCRUBS):
            started = time.perf_counter()
            frame = rng.randrange(self.frame_count)
            self.engine.wait(self._render(frame, size=size, is_whole=True), TIMEOUT_S)
            times.append(1e3 * (time.perf_counter() - started))
        return sorted(times)

    @property
    def memory_mb(self) -> float:
        """Resident memory of the engine's process, 0 where that cannot be told."""
        try:
            status = Path(f"/proc/{self.engine.pid}/status").read_text(encoding="utf-8")
        except OSError:
            return 0.0
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=90, help="of the clip")
    parser.add_argument("--size", default="1920x1080", help="of its pictures")
    parser.add_argument("--renderer", default="analytic", help="who moves the face")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    with tempfile.TemporaryDirectory(prefix="keyportrait-bench-") as name:
        folder = Path(name)
        clip = make_clip(folder / "clip.mp4", -(-options.frames // RATE), (width, height))
        moving = Moving(folder, clip, options.renderer)
        try:
            rate, growth_mb = moving.bake()
            scrubs = moving.scrub_ms()
        finally:
            moving.engine.stop()
    figures = {
        "frames": moving.frame_count,
        "track_fps": moving.track_rate,
        "bake_fps": rate,
        "scrub_ms": scrubs[len(scrubs) // 2],
        "scrub_p95_ms": scrubs[int(0.95 * (len(scrubs) - 1))],
        "growth_mb": growth_mb,
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
