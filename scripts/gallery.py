"""Make the pictures of docs/gallery.md and docs/looks.md: public-domain art that moves.

    python scripts/gallery.py PACKAGES OUT

PACKAGES is the folder of gallery_pictures.py. OUT gets gallery_NAME.jpg, one strip per picture:
the source first, then the poses of POSES. The largest face moves. With --hard they are
looks_NAME.jpg with the poses of HARD, and with --above DIR what an older version made of them (a
checkout of it, with these scripts) stands above what this one makes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from control_sweep import Subject, open_subject, render
from gallery_pictures import NAMES, open_picture
from PIL import Image, ImageDraw, ImageFont

from engine.analytic.renderer import AnalyticRenderer
from engine.renderer import ReportedError

CELL, LABEL = 216, 22  # pixels
QUALITY = 82
PAPER, INK = (250, 250, 248), (40, 40, 40)
SHOWN = 0.78  # of the crop's side

Values = dict[str, float]
SMILE: Values = {"smile": 0.7, "cheek_left": 0.3, "cheek_right": 0.3}
SPEAK: Values = {"mouth_open": 0.5}
POSES: dict[str, dict[str, Values]] = {
    "hopper": {
        "smile": SMILE,
        "speak": SPEAK,
        "blink": {"blink": 1.0},
        "look aside": {"gaze_x": 0.7, "head_yaw": 8.0},
        "turn 20°": {"head_yaw": 20.0},
    },
    "collins": {
        "lips shut": {"lips_open": 0.0},
        "mouth open": {"mouth_open": 0.8},
        "wink": {"wink_left": 1.0, "smile": 0.2},
        "brows": {"brows": 0.8, "gaze_y": 0.4},
        "turn -20°": {"head_yaw": -20.0},
    },
    "mona_lisa": {
        "smile": SMILE,
        "speak": SPEAK,
        "blink": {"blink": 1.0},
        "look aside": {"gaze_x": -0.7},
        "head up": {"head_pitch": -10.0},
    },
    "woman_with_fan": {
        "lips shut": {"lips_open": 0.0},
        "speak": SPEAK,
        "blink": {"blink": 1.0},
        "brows": {"brows": 0.8},
        "turn 15°": {"head_yaw": 15.0},
    },
    "girls_at_the_piano": {
        "smile": SMILE,
        "speak": SPEAK,
        "blink": {"blink": 1.0},
        "tilt": {"head_roll": 8.0},
        "turn -15°": {"head_yaw": -15.0},
    },
}
# What the renderer is judged by, for the sheet of docs/looks.md.
HARD: dict[str, Values] = {
    "mouth_open 1": {"mouth_open": 1.0},
    "lips_open 0": {"lips_open": 0.0},
    "blink 1": {"blink": 1.0},
    "blink 0.5": {"blink": 0.5},
    "head_yaw 25": {"head_yaw": 25.0},
    "head_pitch -15": {"head_pitch": -15.0},
}


def main() -> int:
    """Run for every picture; returns the process's exit status."""
    parser = argparse.ArgumentParser(description="Move public-domain pictures for the docs.")
    parser.add_argument("packages", type=Path, help="folder of the packages with the pictures")
    parser.add_argument("out", type=Path, help="folder for the strips; made when missing")
    parser.add_argument("--hard", action="store_true", help="the poses of docs/looks.md instead")
    parser.add_argument("--above", type=Path, help="an older run's folder, shown above this one")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    try:
        for name in NAMES:
            picture = open_picture(name, arguments.packages)
            poses = HARD if arguments.hard else POSES[name]
            strip = strip_of(open_in_memory(picture), poses)
            path = arguments.out / f"{'looks' if arguments.hard else 'gallery'}_{name}.jpg"
            if arguments.above:
                strip = stacked(Image.open(arguments.above / path.name), strip)
            strip.save(path, quality=QUALITY, optimize=True)
            print(f"{path}  {path.stat().st_size // 1000} kB")
    except (OSError, ReportedError, ValueError) as error:
        print(f"gallery: {error}", file=sys.stderr)
        return 1
    return 0


def open_in_memory(picture: Image.Image) -> Subject:
    """The largest face of an RGB picture, opened. Raises ReportedError where there is none."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        picture.save(path)
        return open_subject(path, AnalyticRenderer())


def strip_of(subject: Subject, poses: dict[str, Values]) -> Image.Image:
    """The source and its poses side by side, each with its label."""
    strip = Image.new("RGB", (CELL * (len(poses) + 1), CELL + LABEL), PAPER)
    draw = ImageDraw.Draw(strip)
    font = ImageFont.load_default(13)
    for column, (label, values) in enumerate({"source": {}, **poses}.items()):
        cell = view_of(subject, render(subject, values)[0])
        strip.paste(Image.fromarray(cell), (column * CELL, 0))
        middle = (column * CELL + CELL // 2, CELL + LABEL // 2)
        draw.text(middle, label, INK, font, anchor="mm")
    return strip


def stacked(above: Image.Image, below: Image.Image) -> Image.Image:
    """Two strips of the same poses, the labels of the upper one left out."""
    sheet = Image.new("RGB", (below.width, CELL + below.height), PAPER)
    sheet.paste(above, (0, 0))
    sheet.paste(below, (0, CELL))
    return sheet


def view_of(subject: Subject, rgb: np.ndarray) -> np.ndarray:
    """(CELL, CELL, 3) uint8 of the head, upright in the picture, never beyond its border."""
    height, width = rgb.shape[:2]
    side = min(width, height, round(SHOWN * subject.crop.size / subject.crop.scale))
    middle = subject.crop.size / 2
    centre = subject.crop.crop_to_picture @ np.array([middle, middle, 1.0])
    x = int(np.clip(centre[0] - side / 2, 0, width - side))
    y = int(np.clip(centre[1] - side / 2, 0, height - side))
    part = rgb[y : y + side, x : x + side]
    filter_ = cv2.INTER_AREA if side > CELL else cv2.INTER_CUBIC
    return cv2.resize(part, (CELL - 4, CELL - 4), interpolation=filter_)


if __name__ == "__main__":
    raise SystemExit(main())
