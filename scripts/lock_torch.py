"""Pin the wheels of PyTorch: reads the index pages of every build, writes the requirements files.

    python scripts/lock_torch.py --pytorch-index ADDRESS --package-index ADDRESS

The first address is the one that PyTorch's installation page names, without the build at its end
("…/whl", not "…/whl/cu130"); the second is the simple index that has the plain wheels for Macs and
for everybody who names no build. Both may be folders of saved pages, BUILD/torch/index.html and
torch/index.html. Raise the version in engine/requirements/torch.in and in host/torch_build.py
before, and bring cuda-*.in into line with what the new wheels ask for.

PyTorch's index lists some wheels without a digest. Those are downloaded and digested here, which
takes a few gigabytes of traffic and no disk space; compare them with a second source.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urldefrag, urljoin
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from host.torch_build import PINNED_BUILDS, TORCH_VERSION, TorchBuild  # noqa: E402

REQUIREMENTS = ROOT / "engine" / "requirements"
# Blender 4.2 to 5.0 brings 3.11, 5.1 and 5.2 bring 3.13; the others are those of distributions.
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
READ_BYTES = 4 * 1024 * 1024


class Platform(NamedTuple):
    """sys.platform and platform.machine(), and how a wheel's file name ends there."""

    system: str
    machine: str
    pattern: str


LINUX = Platform("linux", "x86_64", r"manylinux_\d+_\d+_x86_64")
WINDOWS = Platform("win32", "AMD64", "win_amd64")
MAC = Platform("darwin", "arm64", r"macosx_\d+_\d+_arm64")
PLATFORMS = {"cu130": (LINUX, WINDOWS), "cu126": (LINUX, WINDOWS), "cpu": (LINUX, WINDOWS),
             "pypi": (LINUX, WINDOWS, MAC)}  # fmt: skip


class LockError(Exception):
    """An index that lacks a wheel; the text is for the terminal."""


class Links(HTMLParser):
    """The addresses of an index page's links."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get("href") if tag == "a" else None
        if address:
            self.addresses.append(address)


def read_links(index: str) -> Iterator[tuple[str, str, str]]:
    """(file name, address, SHA-256 or "") of every file on an index's page of torch."""
    folder = Path(index) / "torch"
    page_address = f"{index.rstrip('/')}/torch/"
    if folder.is_dir():
        page_address = f"{folder.resolve().as_uri()}/"
        page = (folder / "index.html").read_text(encoding="utf-8")
    else:
        with urlopen(page_address) as response:  # noqa: S310 - the maintainer names it
            page = response.read().decode("utf-8")
    for link in Links(page).addresses:
        address, fragment = urldefrag(urljoin(page_address, link))
        digest = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else ""
        yield unquote(address.rsplit("/", 1)[-1]), address, digest


def digest_at(address: str) -> str:
    """SHA-256 of a file that the index gives no digest for."""
    digest = hashlib.sha256()
    with urlopen(address) as response:  # noqa: S310 - from the page just read
        while block := response.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def lock_build(build: TorchBuild, index: str) -> str:
    """The requirements file of one build. Raises LockError when a wheel is missing."""
    links = {name: (address, digest) for name, address, digest in read_links(index)}
    version = build.requirement.partition("==")[2]
    lines: list[str] = []
    for python in PYTHONS:
        tag = "cp" + python.replace(".", "")
        for platform in PLATFORMS[build.name]:
            pattern = re.compile(rf"torch-{re.escape(version)}-{tag}-{tag}-{platform.pattern}\.whl")
            name = next((name for name in links if pattern.fullmatch(name)), "")
            if not name:
                raise LockError(f"{index} has no {pattern.pattern}")
            address, digest = links[name]
            if not digest:
                print(f"lock_torch: no digest on the page, downloading {name}")
                digest = digest_at(address)
            lines += [
                f"{build.requirement} ; python_version == '{python}' and sys_platform == "
                f"'{platform.system}' and platform_machine == '{platform.machine}' \\",
                f"    --hash=sha256:{digest}",
            ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pytorch-index", required=True, help="address or folder above the builds")
    parser.add_argument(
        "--package-index", required=True, help="address or folder of a simple index"
    )
    parser.add_argument("--output", type=Path, default=REQUIREMENTS)
    options = parser.parse_args(arguments)
    for name in PINNED_BUILDS:
        build = TorchBuild(name)
        is_plain = name == "pypi"
        index = options.package_index if is_plain else f"{options.pytorch_index}/{name}"
        try:
            text = lock_build(build, index)
        except (LockError, OSError) as error:
            print(f"lock_torch: {error}", file=sys.stderr)
            return 1
        (options.output / build.file_name).write_text(text, encoding="utf-8")
        print(f"lock_torch: {build.file_name}, {TORCH_VERSION}, {text.count('--hash')} wheels")
    return 0


if __name__ == "__main__":
    sys.exit(main())
