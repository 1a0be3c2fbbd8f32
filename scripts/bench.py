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
from bench_engine import SIZES_MP, face_crop
from run_blender_tests import find_zip

ROOT = Path(__file__).resolve().parent.parent
BLENDER = ROOT / "build" / "envs" / "bpy-4.5.15" / "bin" / "python"
PICTURE_PX = 1024
ADD_AIMS_MS = {"12 MP": 2000.0}


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
            aim = 15.0 if name == "all" and picture.endswith("crop") else None
            aim = 250.0 if name == "fit" else aim
            label = name if name in {"detect", "fit"} else f"frame, {name}"
            rows.append(Row(f"{picture}: {label}", value, "ms", aim))
    if memory is not None:
        rows.append(Row("engine: peak memory", memory, "MB", 250.0))
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


def moving_rows() -> list[Row]:
    """A face of a clip of 1920 x 1080: followed, moved and scrubbed."""
    figures = run_json([sys.executable, "scripts/bench_moving.py"])
    return [
        Row("moving source: followed", figures["track_fps"], "fps", 20.0, is_most=False),
        Row("moving source: baked", figures["bake_fps"], "fps", 8.0, is_most=False),
        Row("moving source: scrubbed", figures["scrub_ms"], "ms", 200.0),
        Row("moving source: growth", figures["growth_mb"], "MB", 100.0),
    ]


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


def size_rows() -> list[Row]:
    """By the picture's size: what a slider takes, in the engine, on the wire and in Blender."""
    engine = run_json([sys.executable, "scripts/bench_engine.py", "sizes"])
    with tempfile.TemporaryDirectory(prefix="keyportrait-bench-") as folder:
        paths = [Path(folder) / f"{size:g} MP.jpg" for size in SIZES_MP]
        for size, path in zip(SIZES_MP, paths, strict=True):
            pixels = face_crop(round((size * 1e6) ** 0.5))
            cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        command = [str(BLENDER), "scripts/bench_sizes.py", str(find_zip()), *map(str, paths)]
        resources = str(Path(folder) / "resources")
        blender = run_json(command, "@bench ", BLENDER_USER_RESOURCES=resources)
    rows = []
    for size, figures in blender.items():
        computed = engine[size]["small frame"]
        rest = figures["slider to image"] - computed - figures["in Blender"]
        rows += [
            Row(f"{size}: add portrait", figures["add portrait"], "ms", ADD_AIMS_MS.get(size)),
            Row(f"{size}: open a face", engine[size]["fit"], "ms", 250.0),
            Row(f"{size}: slider to image", figures["slider to image"], "ms", 40.0),
            Row(f"{size}: of it in the engine", computed, "ms"),
            Row(f"{size}: of it on the wire, and waiting", max(rest, 0.0), "ms"),
            Row(f"{size}: of it in Blender", figures["in Blender"], "ms"),
            Row(f"{size}: first move", figures["first move"], "ms"),
            Row(f"{size}: whole after rest", figures["whole after rest"], "ms", 500.0),
            Row(f"{size}: whole frame in the engine", engine[size]["whole frame"], "ms"),
            Row(f"{size}: memory of the engine", figures["engine's memory"], "MB"),
            Row(f"{size}: memory of Blender", figures["Blender's memory"], "MB"),
        ]
    return rows


def show_sizes(rows: list[Row]) -> None:
    """The rows of size_rows as a table with a column for each size."""
    table: dict[str, dict[str, Row]] = {}
    for row in rows:
        size, name = row.name.split(": ")
        table.setdefault(name, {})[size] = row
    width = max(map(len, table))
    sizes = list(next(iter(table.values())))
    print(f"{'':{width}}  {''.join(f'{size:>11}' for size in sizes)}")
    for name, by_size in table.items():
        values = "".join(f"{by_size[size].value:>8.0f} {by_size[size].unit}" for size in sizes)
        print(f"{name:{width}}  {values}")


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
        ("moving sources", moving_rows),
        ("wire", wire_rows),
        ("Blender", blender_rows),
    ):
        print(f"measuring: {title}", file=sys.stderr, flush=True)
        rows += measure()
    show(rows)
    print("measuring: sizes", file=sys.stderr, flush=True)
    by_size = size_rows()
    show_sizes(by_size)
    rows += by_size
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
