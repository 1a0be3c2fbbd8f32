"""Speed of the wire: requests and pictures between the host and a child that computes nothing.

    python scripts/bench_wire.py [--json] [--repeats 30]

Prints a table, or with --json one JSON object:
{"empty_ms": …, "sizes": {"1024x1024 uint8": {"to_engine_ms", "from_engine_ms", "megabytes"}}}.
The figures are medians of whole round trips: submit, header, pixels, answer, wake-up of the waiter.
Standard library only.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Blender loads the checkout as one package; `keyportrait` plays that part here.
package = types.ModuleType("keyportrait")
package.__path__ = [str(ROOT)]
sys.modules["keyportrait"] = package

from keyportrait.engine.protocol import (  # noqa: E402
    PROTOCOL_VERSION,
    Array,
    Message,
    read_message,
    write_message,
)
from keyportrait.host.client import Engine, Launch  # noqa: E402

SIZES = ((512, 512), (1024, 1024), (3840, 2160))
WARM_UP = 3
TIMEOUT_S = 60.0


def answer_without_work() -> None:
    """The child: answers `detect` without looking and `render` with the picture it was sent."""
    requests, replies = io.BufferedReader(io.FileIO(0)), os.fdopen(os.dup(1), "wb", buffering=0)
    picture = Array("uint8", (0, 0, 4), b"")
    while (message := read_message(requests)) is not None:
        fields: dict[str, Any] = {}
        arrays: dict[str, Array] = {}
        if message.type == "hello":
            fields = {"protocol": PROTOCOL_VERSION, "version": "", "capabilities": {}}
        elif message.type == "ping":
            fields = {"is_busy": False}
        elif message.type == "detect":
            picture = message.arrays["image"]
            fields = {"faces": []}
        elif message.type == "render":
            height, width = picture.shape[:2]
            fields, arrays = {"rectangle": [0, 0, width, height]}, {"pixels": picture}
        reply = {"hello": "ready", "ping": "pong", "detect": "detected", "render": "frame"}
        if message.type in reply:
            write_message(replies, Message(reply[message.type], message.id, fields, arrays))


def median_ms(action: Callable[[], object], repeats: int) -> float:
    """Median duration of `action`, milliseconds."""
    times: list[float] = []
    for _ in range(WARM_UP + repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return round(1000 * statistics.median(times[WARM_UP:]), 3)


def measure(repeats: int) -> dict[str, Any]:
    """All figures of one child."""
    sizes: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        arguments = (str(Path(__file__).resolve()), "--child")
        launch = Launch(sys.executable, ROOT, Path(folder) / "engine.log", arguments=arguments)
        engine = Engine(launch)
        engine.start()
        engine.wait_ready(TIMEOUT_S)

        def ask(kind: str, fields: dict[str, Any], arrays: dict[str, Array]) -> object:
            return engine.wait(engine.submit(kind, fields, arrays), TIMEOUT_S)

        rendering = {"handle": 1, "motions": [], "options": {}}
        nothing = median_ms(lambda: ask("render", rendering, {}), repeats)
        for width, height in SIZES:
            for dtype, item_bytes in (("uint8", 1), ("float32", 4)):
                count = width * height * 4 * item_bytes
                image = {"image": Array(dtype, (height, width, 4), bytes(count))}
                few = max(5, repeats * 2**22 // max(count, 2**22))
                to_engine = median_ms(lambda i=image: ask("detect", {"encoding": ""}, i), few)
                from_engine = median_ms(lambda: ask("render", rendering, {}), few)
                sizes[f"{width}x{height} {dtype}"] = {
                    "to_engine_ms": to_engine,
                    "from_engine_ms": from_engine,
                    "megabytes": round(count / 1e6, 1),
                }
        engine.stop()
    return {"empty_ms": nothing, "sizes": sizes}


def show(figures: dict[str, Any]) -> None:
    """Print the figures as a table."""
    print(f"{'picture':<20} {'MB':>7} {'to engine':>12} {'from engine':>12}")
    for name, row in figures["sizes"].items():
        times = f"{row['to_engine_ms']:>9.2f} ms {row['from_engine_ms']:>9.2f} ms"
        print(f"{name:<20} {row['megabytes']:>7} {times}")
    print(f"{'nothing':<20} {0:>7} {'':>12} {figures['empty_ms']:>9.2f} ms")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--parent-pid", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        answer_without_work()
        return
    figures = measure(arguments.repeats)
    if arguments.json:
        print(json.dumps(figures))
    else:
        show(figures)


if __name__ == "__main__":
    main()
