"""Public-domain pictures out of packages, for docs/gallery.md: two photographs, three works of art.

    python -m pip download --no-deps --dest build/gallery matplotlib==3.10.8
    (cd build/gallery && apt-get download gcompris-qt-data)

Eileen Collins's portrait by NASA comes with scikit-image, Grace Hopper's by the US Navy with
matplotlib. GCompris has paintings, cut into the pieces of a jigsaw, in a resource file of Qt's.
"""

from __future__ import annotations

import io
import re
import struct
import subprocess
import tarfile
import zipfile
import zlib
from pathlib import Path

import skimage.data
from PIL import Image

HOPPER = "matplotlib/mpl-data/sample_data/grace_hopper.jpg"
PAINTINGS = "./usr/share/gcompris-qt/rcc/paintings.rcc"
BOARDS = {
    "mona_lisa": "board14_0.qml",
    "woman_with_fan": "board5_0.qml",
    "girls_at_the_piano": "board18_0.qml",
}
NAMES = ("hopper", "collins", *BOARDS)
_NODE = {1: 14, 2: 22, 3: 22}  # bytes of an entry in a resource file's tree, by its version
_IS_COMPRESSED, _IS_FOLDER = 1, 2


def open_picture(name: str, packages: Path) -> Image.Image:
    """One of NAMES as RGB.

    packages  folder with matplotlib's wheel and GCompris's package
    Raises FileNotFoundError with the command that fetches what is missing.
    """
    if name == "collins":
        return Image.fromarray(skimage.data.astronaut())
    if name == "hopper":
        fetch = f"python -m pip download --no-deps --dest {packages} matplotlib==3.10.8"
        with zipfile.ZipFile(_newest(packages, "matplotlib-*.whl", fetch)) as wheel:
            return Image.open(io.BytesIO(wheel.read(HOPPER))).convert("RGB")
    fetch = f"cd {packages} && apt-get download gcompris-qt-data"
    return _assemble(_read_paintings(_newest(packages, "gcompris-qt-data_*.deb", fetch)), name)


def _newest(folder: Path, pattern: str, fetch: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise FileNotFoundError(f"No {pattern} in '{folder}'. Fetch it: {fetch}")
    return found[-1]


def _read_paintings(package: Path) -> dict[str, bytes]:
    """The files of GCompris's paintings by their names without folders."""
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.extractfile(PAINTINGS)
        if member is None:
            raise FileNotFoundError(f"{package.name} has no {PAINTINGS}.")
        return read_resources(member.read())


def read_resources(data: bytes) -> dict[str, bytes]:
    """The files of a compiled Qt resource (.rcc) by their names without folders."""
    magic, version, tree, contents, names = struct.unpack(">4sIIII", data[:20])
    if magic != b"qres" or version not in _NODE:
        raise ValueError("This is no compiled Qt resource of a known version.")
    files: dict[str, bytes] = {}

    def visit(node: int) -> None:
        at = tree + node * _NODE[version]
        name_at, flags = struct.unpack(">IH", data[at : at + 6])
        if flags & _IS_FOLDER:
            count, first = struct.unpack(">II", data[at + 6 : at + 14])
            for child in range(first, first + count):
                visit(child)
            return
        start = contents + struct.unpack(">I", data[at + 10 : at + 14])[0]
        length = struct.unpack(">I", data[start : start + 4])[0]
        content = data[start + 4 : start + 4 + length]
        name_start = names + name_at
        letters = struct.unpack(">H", data[name_start : name_start + 2])[0]
        name = data[name_start + 6 : name_start + 6 + 2 * letters].decode("utf-16-be")
        files[name] = zlib.decompress(content[4:]) if flags & _IS_COMPRESSED else content

    visit(0)
    return files


def _assemble(files: dict[str, bytes], name: str) -> Image.Image:
    """A painting out of its pieces, which know where their middles belong."""
    board = files[BOARDS[name]].decode("utf-8")
    width, height = (int(_number(board, side)) for side in ("width", "height"))
    whole = Image.new("RGBA", (width, height))
    for file, rest in re.findall(r'image/([^"]+\.webp)"(.*?)\}', board, re.DOTALL):
        piece = Image.open(io.BytesIO(files[file])).convert("RGBA")
        x = round(_number(rest, "x") * width - piece.width / 2)
        y = round(_number(rest, "y") * height - piece.height / 2)
        whole.alpha_composite(piece, (max(0, x), max(0, y)))
    left, top, right, bottom = whole.getbbox() or (0, 0, width, height)
    # The rims of the pieces are soft.
    return whole.crop((left + 2, top + 2, right - 2, bottom - 2)).convert("RGB")


def _number(text: str, key: str) -> float:
    found = re.search(rf'"{key}"\s*:\s*"?([\d.]+)', text)
    if found is None:
        raise ValueError(f"A piece of a painting has no {key}.")
    return float(found[1])
