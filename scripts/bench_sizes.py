"""Speed inside Blender by the picture's size, on the installed zip: from a slider to its picture.

Run by bench.py in bpy with a throw-away BLENDER_USER_RESOURCES; prints one JSON object on a line
that begins with "@bench". Pictures move as in the interface: nothing waits, and the pump, whose
timer does not tick in the background, is turned by hand.
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
from demo_scene import install
from leaving import run_and_leave

PACKAGE = "bl_ext.user_default.keyportrait"
MOVES = 12
PATIENCE_S = 120.0
TURN_S = 0.001


def rig(name: str) -> Any:
    """A module of the installed extension."""
    return importlib.import_module(f"{PACKAGE}.rig.{name}")


class Watched:
    """Adds up the seconds that a method takes."""

    def __init__(self, owner: Any, name: str) -> None:
        self.seconds = 0.0
        call = getattr(owner, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return call(*arguments, **options)
            finally:
                self.seconds += time.perf_counter() - started

        setattr(owner, name, timed)

    def take_ms(self) -> float:
        """Milliseconds since the last call."""
        seconds, self.seconds = self.seconds, 0.0
        return seconds * 1e3


def wait(is_done: Callable[[], bool]) -> None:
    """Turn the pump until something has come."""
    live, pump = rig("live"), rig("pump")
    deadline = time.monotonic() + PATIENCE_S
    while not is_done():
        pump.drain()
        live.rest_all()
        if time.monotonic() > deadline:
            raise RuntimeError("the picture did not come")
        time.sleep(TURN_S)


def peak_mb(pid: int | str) -> float:
    """Peak resident memory of a process, MB; 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(path: str, writing: Watched) -> dict[str, float]:
    """Milliseconds, and MB, for one picture in an empty file."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    engine = rig("engine")
    engine.stop()
    client = engine.start_ready(PATIENCE_S)
    started = time.perf_counter()
    bpy.ops.keyportrait.add_portrait(filepath=path)
    result = {"add portrait": (time.perf_counter() - started) * 1e3}
    live = rig("live")
    live._pauses += 1  # background handlers would wait for the whole picture
    controller = next(item for item in bpy.data.objects if item.keyportrait.kind == "FACE")
    session = next(iter(live._sessions.values()))

    def move(share: float) -> None:
        controller["smile"], controller["mouth_open"] = 0.7 * share, 0.5 * share
        controller["blink"], controller["brows"] = share, share
        controller["head_yaw"], controller["head_pitch"] = 20 * share - 10, 8 * share - 4
        live.refresh(bpy.context.scene, bpy.context.evaluated_depsgraph_get())
        wait(lambda: session.shown == session.wanted)

    started = time.perf_counter()
    move(0.5)
    result["first move"] = (time.perf_counter() - started) * 1e3
    totals, written = [], []
    for index in range(MOVES):
        writing.take_ms()
        started = time.perf_counter()
        move((index + 1) / MOVES)
        totals.append((time.perf_counter() - started) * 1e3)
        written.append(writing.take_ms())
    started = time.perf_counter()
    wait(lambda: not live.is_pending())
    result["whole after rest"] = (time.perf_counter() - started) * 1e3
    live._pauses -= 1
    result["slider to image"] = statistics.median(totals)
    result["in Blender"] = statistics.median(written)
    result["engine's memory"] = peak_mb(client.pid)
    result["Blender's memory"] = peak_mb("self")
    return result


def main() -> None:
    """Arguments: the zip, then pictures, smallest first."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    install(Path(sys.argv[1]))
    writing = Watched(rig("images").Canvas, "push")
    rig("images").keeps_buffer = True  # as in the interface
    figures = {Path(path).stem: measure(path, writing) for path in sys.argv[2:]}
    print(f"\n@bench {json.dumps(figures)}", flush=True)
    bpy.ops.preferences.addon_disable(module=PACKAGE)


if __name__ == "__main__":
    run_and_leave(main)
