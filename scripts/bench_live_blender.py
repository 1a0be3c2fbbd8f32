"""The camera inside Blender, on the installed zip; run by bench_live.py.

Prints one JSON object on a line that begins with "@bench".
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
from demo_scene import ADD_ON, install
from leaving import run_and_leave
from live_numbers import number_in

WARM_S = 4.0  # until rest is known and everything is loaded
INTERVAL_S = 0.002  # Blender's own timers come at least as often


def module(name: str) -> ModuleType:
    """A module of the installed extension."""
    return importlib.import_module(f"{ADD_ON}.{name}")


class Watch:
    """Which numbered frame the image shows, and since when.

    Each poll brings the camera's picture and the motions of the same frame; what is wanted of the
    portrait for them is looked for in what is shown.
    """

    def __init__(self, count: int, rate: float) -> None:
        self.count, self.rate = count, rate
        self.number = -1
        self.begin_s: float | None = None
        self.waiting: list[tuple[object, float]] = []
        self.late_s: list[float] = []
        self.error = 0.0
        self.rounds = 0

    def see(self, pixels) -> None:
        """The camera's picture of the poll that is being taken."""
        image = np.frombuffer(pixels.data, np.uint8).reshape(pixels.shape)
        number = number_in(image)
        self.rounds += number < self.number
        self.number = number

    def want(self, motions: object, time_s: float) -> None:
        """The portrait is asked for a frame that came at time_s by the engine."""
        number = self.number + self.rounds * self.count
        if self.begin_s is None:
            self.begin_s = time_s - number / self.rate
        due_s = self.begin_s + number / self.rate
        self.error = max(self.error, abs(time_s - due_s) * self.rate)
        self.waiting.append((motions, due_s))

    def look(self, shown: object) -> None:
        """What the image shows now."""
        for place, (motions, due_s) in enumerate(self.waiting):
            if motions is shown:
                self.late_s.append(time.monotonic() - due_s)
                del self.waiting[: place + 1]
                return


def cpu_s(pid: int | None) -> float:
    """CPU seconds of a process so far; 0 where that cannot be told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Arguments: the zip, the picture, seconds, frames of the stand-in, its rate."""
    package, picture, seconds, count, rate = sys.argv[1:6]
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    install(Path(package))
    bpy.ops.keyportrait.add_portrait(filepath=picture)
    camera, live, pump = (module(f"rig.{name}") for name in ("camera", "live", "pump"))
    module("preferences").preferences().is_camera_accepted = True
    camera.PREVIEW_S = 0.0  # every poll brings its picture
    watch = Watch(int(count), float(rate))
    module("rig.camera_preview").show = watch.see
    item = module("rig.portraits").all_portraits()[0]
    bpy.ops.keyportrait.camera_start()
    camera._camera.meter.want = watch.want
    read_s: list[float] = []

    def follow(duration_s: float) -> None:
        end_s = time.monotonic() + duration_s
        while time.monotonic() < end_s:
            camera.tick()
            pump.drain()
            watch.look(live.session(item).shown)
            read_s.append(camera._camera.told.get("latency_s", 0.0))
            time.sleep(INTERVAL_S)

    follow(WARM_S)
    engine_pid = module("rig.engine").engine().pid
    before, engine_s, own_s = dict(camera._camera.told), cpu_s(engine_pid), time.process_time()
    watch.late_s.clear()
    read_s.clear()
    follow(float(seconds))
    after, count = camera._camera.told, max(len(watch.late_s), 1)
    engine_s, own_s = cpu_s(engine_pid) - engine_s, time.process_time() - own_s
    print(
        "\n@bench "
        + json.dumps(
            {
                "fps": len(watch.late_s) / float(seconds),
                "median_ms": 1e3 * float(np.median(watch.late_s)),
                "p95_ms": 1e3 * float(np.percentile(watch.late_s, 95)),
                "read_ms": 1e3 * float(np.median(read_s)),
                "given": after["number"] - before["number"],
                "dropped": after["dropped"] - before["dropped"],
                "engine_ms": 1e3 * engine_s / count,
                "blender_ms": 1e3 * own_s / count,
                "number_error": watch.error,
            }
        ),
        flush=True,
    )
    bpy.ops.preferences.addon_disable(module=ADD_ON)


if __name__ == "__main__":
    run_and_leave(main)
