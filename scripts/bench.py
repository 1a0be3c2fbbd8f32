"""Speed and memory of the embedded path, each figure beside its aim; also build/bench.json.

The aims are for two cores without a graphics card. Figures depend on what else the machine does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import cv2
import skimage.data
from run_blender_tests import find_zip

ROOT = Path(__file__).resolve().parent.parent
BLENDER = ROOT / "build" / "envs" / "bpy-4.5.15" / "bin" / "python"
PICTURE_PX = 1024


class Row(NamedTuple):
    """One figure. is_most: the aim is an upper limit; aim None: no aim."""

    name: str
    value: float
    unit: str
    aim: float | None = None
    is_most: bool = True

    @property
    def verdict(self) -> str:
        """ "" without an aim, else whether it is met."""
        if self.aim is None:
            return ""
        is_met = self.value <= self.aim if self.is_most else self.value >= self.aim
        return "ok" if is_met else "missed"


def run_json(command: list[str], marker: str = "", **environment: str) -> dict:
    """Run a script and read the JSON object that it prints (after `marker`)."""
    result = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    lines = [line for line in result.stdout.splitlines() if line.startswith(marker or "{")]
    if result.returncode or not lines:
        raise SystemExit(f"{command[1]} failed:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
    return json.loads(lines[-1].removeprefix(marker))


def engine_rows() -> list[Row]:
    """Fit and frames of the renderer, memory of the engine."""
    figures = run_json([sys.executable, "scripts/bench_engine.py"])
    memory = figures.pop("engine peak memory", None)
    rows = []
    for picture, times in figures.items():
        for name, value in times.items():
            aim = 25.0 if name == "all" else None
            label = name if name in {"detect", "fit"} else f"frame, {name}"
            rows.append(Row(f"{picture}: {label}", value, "ms", aim))
    if memory is not None:
        rows.append(Row("engine: peak memory", memory, "MB", 450.0))
    return rows


def answering_rows() -> list[Row]:
    """How soon a slider moves the picture meanwhile, and what reading a long clip costs."""
    figures = run_json([sys.executable, "scripts/bench_answering.py"])
    alone = figures["alone"]
    rows = [Row("slider: alone", alone["median"], "ms")]
    for name in ("bake", "capture", "capture and bake"):
        label = f"slider, during {name}"
        rows.append(Row(f"{label}: 95 %", figures[name]["p95"], "ms", 150.0))
        rows.append(Row(f"{label}: over alone", figures[name]["median"] / alone["median"], ""))
    rows.append(Row("capture: until cancelled", figures["cancel_ms"], "ms", 500.0))
    rows.append(Row("capture of 4K: growth", figures["growth_mb"]["end"], "MB", 300.0))
    return rows


def wire_rows() -> list[Row]:
    """Round trips between the host and a child that computes nothing."""
    figures = run_json([sys.executable, "scripts/bench_wire.py", "--json"])
    rows = [Row("wire: empty request", figures["empty_ms"], "ms")]
    for size, times in figures["sizes"].items():
        aim = 10.0 if size == "1024x1024 uint8" else None
        rows.append(Row(f"wire: {size} to the engine", times["to_engine_ms"], "ms"))
        rows.append(Row(f"wire: {size} from the engine", times["from_engine_ms"], "ms", aim))
    return rows


def blender_rows() -> list[Row]:
    """Inside Blender, on the installed zip."""
    with tempfile.TemporaryDirectory(prefix="keyportrait-bench-") as folder:
        picture = Path(folder) / "astronaut.png"
        pixels = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)
        size = (PICTURE_PX, PICTURE_PX)
        cv2.imwrite(str(picture), cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC))
        command = [str(BLENDER), "scripts/bench_blender.py", str(find_zip()), str(picture)]
        resources = str(Path(folder) / "resources")
        figures = run_json(command, "@bench ", BLENDER_USER_RESOURCES=resources)
    head = f"Blender, {PICTURE_PX} px"
    rows = [
        Row(f"{head}: {name}", figures[name], "ms") for name in ("add portrait", "slider to image")
    ]
    rows.append(Row(f"{head}: bake cold", figures["bake cold"], "fps"))
    rows.append(Row(f"{head}: bake cached", figures["bake cached"], "fps", 100.0, is_most=False))
    rows.append(Row(f"{head}: bake unchanged", figures["bake unchanged"], "fps"))
    return rows


def show(rows: list[Row]) -> None:
    """The table on the terminal."""
    width = max(len(row.name) for row in rows)
    print(f"{'':{width}}  {'':>9}       aim", flush=True)
    for row in rows:
        sign = "<=" if row.is_most else ">="
        aim = "" if row.aim is None else f"{sign} {row.aim:g} {row.unit}  {row.verdict}"
        print(f"{row.name:{width}}  {row.value:9.1f} {row.unit:4} {aim}")


def main() -> int:
    """Command line; returns the exit status: a missed aim is told, not an error."""
    rows = []
    for title, measure in (
        ("renderer", engine_rows),
        ("answering", answering_rows),
        ("wire", wire_rows),
        ("Blender", blender_rows),
    ):
        print(f"measuring: {title}", file=sys.stderr, flush=True)
        rows += measure()
    show(rows)
    path = ROOT / "build" / "bench.json"
    path.parent.mkdir(exist_ok=True)
    entries = {row.name: {"value": row.value, "unit": row.unit, "aim": row.aim} for row in rows}
    path.write_text(
        json.dumps({"cores": os.cpu_count(), "figures": entries}, indent=1) + "\n", encoding="utf-8"
    )
    print(f"written to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
