"""The main job on a real photograph, from the zip to the film.

Installs the built zip into Blender 4.5 LTS (bpy), adds a portrait from scikit-image's public-domain
photograph of astronaut Eileen Collins, keys a short performance, and renders the picture in a small
3D scene with Cycles. Beside it a painting performs what was captured from a clip of the photograph.
Leaves a film, a contact sheet and the .blend in build/demo/.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import skimage.data
from PIL import Image, ImageFilter, ImageOps
from run_blender_tests import find_zip

ROOT = Path(__file__).resolve().parent.parent
BLENDER = ROOT / "build" / "envs" / "bpy-4.5.15" / "bin" / "python"
OUTPUT = ROOT / "build" / "demo"
PROGRESS = "@demo "
# The head in the mirrored photograph, and how it is painted: pixels.
HEAD = (137, 0, 437, 300)
PAINTING_SIZE, STROKE = 720, 7
SHEET_COLUMNS, SHEET_ROWS, SHEET_WIDTH = 2, 5, 720


def say(text: str, started: float) -> None:
    """One progress line with the time since the start."""
    print(f"  [{time.monotonic() - started:5.0f} s] {text}", flush=True)


def show_progress(line: str, started: float) -> None:
    """A line of the scene script: "frame of count" on a terminal replaces the one before."""
    text = line.removeprefix(PROGRESS).strip()
    if not text.startswith("frame "):
        say(text, started)
        return
    number, count = (int(part) for part in text.removeprefix("frame ").split(" of "))
    if sys.stdout.isatty():
        end = "\n" if number == count else ""
        bar = "#" * (30 * number // count)
        print(f"\r  rendering [{bar:30}] {number}/{count}", end=end, flush=True)
    elif number % 10 == 0 or number == count:
        say(f"rendered {number} of {count} frames", started)


def run_blender(arguments: list[str], log: Path, started: float) -> None:
    """Run the scene script in bpy, show its progress, keep everything else in the log."""
    with (
        tempfile.TemporaryDirectory(prefix="keyportrait-demo-") as resources,
        log.open("w", encoding="utf-8") as out,
    ):
        environment = {**os.environ, "BLENDER_USER_RESOURCES": resources, "PYTHONUNBUFFERED": "1"}
        command = [str(BLENDER), str(ROOT / "scripts" / "demo_scene.py"), *arguments]
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(PROGRESS):
                show_progress(line, started)
            else:
                out.write(line)
        status = process.wait()
    if status:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        raise SystemExit(f"The demo failed (status {status}); last lines of {log}:\n{tail}")


def make_contact_sheet(frames: list[Path], path: Path) -> None:
    """A grid of evenly spread frames, left to right and top to bottom."""
    count = SHEET_COLUMNS * SHEET_ROWS
    chosen = [frames[round(i * (len(frames) - 1) / (count - 1))] for i in range(count)]
    with Image.open(chosen[0]) as first:
        height = SHEET_WIDTH * first.height // first.width
    gap = 6
    size = (SHEET_COLUMNS * (SHEET_WIDTH + gap) + gap, SHEET_ROWS * (height + gap) + gap)
    sheet = Image.new("RGB", size, (18, 18, 18))
    for index, frame in enumerate(chosen):
        row, column = divmod(index, SHEET_COLUMNS)
        with Image.open(frame) as picture:
            tile = picture.convert("RGB").resize((SHEET_WIDTH, height), Image.Resampling.LANCZOS)
        sheet.paste(tile, (gap + column * (SHEET_WIDTH + gap), gap + row * (height + gap)))
    sheet.save(path)


def paint(photograph: Image.Image) -> Image.Image:
    """Another face for the captured part: the head mirrored, in strokes of few, warm colours."""
    head = ImageOps.mirror(photograph.convert("RGB")).crop(HEAD)
    large = head.resize((PAINTING_SIZE, PAINTING_SIZE), Image.Resampling.LANCZOS)
    strokes = large.filter(ImageFilter.ModeFilter(STROKE)).filter(ImageFilter.SMOOTH)
    warm = ImageOps.colorize(
        ImageOps.grayscale(strokes), (34, 18, 12), (255, 240, 206), (176, 116, 74)
    )
    return Image.blend(strokes, warm, 0.55)


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="every fourth frame at half the size")
    options = parser.parse_args()
    started = time.monotonic()
    print("KeyPortrait demo: a photograph comes alive", flush=True)
    frames_folder = OUTPUT / "frames"
    shutil.rmtree(frames_folder, ignore_errors=True)
    frames_folder.mkdir(parents=True)
    picture = OUTPUT / "astronaut.png"
    Image.fromarray(skimage.data.astronaut()).save(picture)
    say(f"Picture: {picture.relative_to(ROOT)} (NASA, public domain)", started)

    painting = OUTPUT / "painting.png"
    paint(Image.open(picture)).save(painting)
    arguments = ["--zip", str(find_zip()), "--picture", str(picture), "--painting", str(painting)]
    arguments += ["--output", str(OUTPUT)]
    if options.quick:
        arguments.append("--quick")
    run_blender(arguments, OUTPUT / "blender.log", started)
    make_contact_sheet(sorted(frames_folder.glob("*.png")), OUTPUT / "contact_sheet.png")
    say("Done. Look at:", started)
    for name in ("keyportrait_demo.mp4", "contact_sheet.png", "keyportrait_demo.blend"):
        print(f"    {OUTPUT / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
