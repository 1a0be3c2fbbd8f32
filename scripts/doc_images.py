"""Make docs/images/ from the screenshots of `make test-gui` and the contact sheet of `make demo`.

Screenshots are cut to the 3D viewport with its sidebar, scaled, and reduced to a palette, so that
each stays under 200 kB in the repository.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
GUI = ROOT / "build" / "gui"
CAPTURE = ROOT / "build" / "gui-capture"
CAMERA = ROOT / "build" / "gui-camera"
SHEET = ROOT / "build" / "demo" / "contact_sheet.png"

# Name in docs/images → screenshot.
SCREENSHOTS = {
    "portrait": "3_portrait",
    "smile": "4_smile",
    "preset": "7_preset",
    "bake": "8_baking",
}
# On the 1440×1200 display of the GUI test: left, top, right, bottom.
VIEWPORT = (0, 28, 1188, 1200)
# Of the window while something is captured, and of its sidebar with the options.
CAPTURED = (0, 28, 1188, 1174)
OPTIONS = (902, 80, 1162, 860)
# While the camera moves the face.
FILMED = (0, 28, 1188, 840)
CAPTURED_WIDTH_PX = 820
WIDTH_PX = 760
COLORS = 256
LIMIT_BYTES = 200_000


def save_small(picture: Image.Image, name: str) -> Path:
    """Write a palette PNG with as many colours as fit under the limit."""
    path = IMAGES / f"{name}.png"
    colors = COLORS
    while True:
        picture.convert("RGB").quantize(colors).save(path, optimize=True)
        if path.stat().st_size <= LIMIT_BYTES or colors <= 16:
            return path
        colors = colors * 3 // 4


def scaled(picture: Image.Image) -> Image.Image:
    """A picture as wide as most in the documents."""
    height = WIDTH_PX * picture.height // picture.width
    return picture.resize((WIDTH_PX, height), Image.Resampling.LANCZOS)


def main() -> int:
    """Command line; returns the exit status."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, screenshot in SCREENSHOTS.items():
        print(save_small(scaled(Image.open(GUI / f"{screenshot}.png").crop(VIEWPORT)), name))
    picture = Image.open(CAPTURE / "3_captured.png").crop(CAPTURED)
    height = CAPTURED_WIDTH_PX * picture.height // picture.width
    small = picture.resize((CAPTURED_WIDTH_PX, height), Image.Resampling.LANCZOS)
    print(save_small(small, "capture"))
    print(save_small(Image.open(CAPTURE / "5_options.png").crop(OPTIONS), "capture_options"))
    print(save_small(scaled(Image.open(CAMERA / "3_live.png").crop(FILMED)), "camera"))
    sheet = Image.open(SHEET)
    # The two rows before the last of five show both faces near.
    row = sheet.height / 5
    part = sheet.crop((0, round(2 * row), sheet.width, round(4 * row)))
    height = 900 * part.height // part.width
    print(save_small(part.resize((900, height), Image.Resampling.LANCZOS), "demo"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
