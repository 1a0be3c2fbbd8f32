"""Tests inside bpy, on the built zip, installed as an artist would.

KEYPORTRAIT_ZIP names the zip. One bpy per process: a test must leave no callback behind, and the
process ends by os._exit, because a bpy that is torn down with callbacks crashes or hangs.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

os.environ.setdefault("BLENDER_USER_RESOURCES", tempfile.mkdtemp(prefix="keyportrait-"))
os.environ["KEYPORTRAIT_RAISE"] = "1"

import bpy
import numpy as np

PACKAGE = "bl_ext.user_default.keyportrait"
DATA = Path(__file__).resolve().parents[1] / "data"
ASTRONAUT = DATA / "astronaut.jpg"
_status = 1


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    global _status
    _status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_status)


def enable() -> None:
    bpy.ops.preferences.addon_enable(module=PACKAGE)


def disable() -> None:
    bpy.ops.preferences.addon_disable(module=PACKAGE)


def install() -> None:
    """Install the zip over what is there, and enable it."""
    path = str(Path(os.environ["KEYPORTRAIT_ZIP"]).resolve())
    bpy.ops.extensions.package_install_files(
        filepath=path, repo="user_default", enable_on_install=True
    )
    assert PACKAGE in bpy.context.preferences.addons, "the zip could not be installed"


@pytest.fixture(scope="session", autouse=True)
def installed() -> Iterator[None]:
    """The zip, installed and enabled; disabled at the end."""
    if not os.environ.get("KEYPORTRAIT_ZIP"):
        pytest.exit("KEYPORTRAIT_ZIP names no zip; run 'make test'.", 2)
    install()
    yield
    disable()


@pytest.fixture(autouse=True)
def new_file(installed: None) -> None:
    """An empty file and an enabled extension for every test."""
    if PACKAGE not in bpy.context.preferences.addons:
        enable()
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.context.preferences.addons[PACKAGE].preferences.python_path = ""


@pytest.fixture(autouse=True)
def no_handler_errors(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Blender only prints what a handler, timer or update of a property raises; here it fails."""
    yield
    printed = "".join(capfd.readouterr())
    sys.stdout.write(printed)
    assert "Error in bpy.app.handlers" not in printed
    assert not re.search(r'/rig/properties\.py", line \d+, in _on_', printed)


@pytest.fixture
def module() -> Callable[[str], ModuleType]:
    """module("rig.live") → a module of the installed extension."""
    return lambda name: importlib.import_module(f"{PACKAGE}.{name}")


@pytest.fixture
def astronaut() -> str:
    """A photograph with one face (NASA, public domain)."""
    return str(ASTRONAUT)


@pytest.fixture
def add_portrait() -> Callable[..., Any]:
    """add_portrait(path) → (plane, controllers), through the operator."""

    def add(filepath: str = str(ASTRONAUT), **options: Any) -> tuple[Any, list[Any]]:
        assert bpy.ops.keyportrait.add_portrait(filepath=filepath, **options) == {"FINISHED"}
        plane = bpy.context.active_object
        return plane, [link.controller for link in plane.keyportrait.portrait.faces]

    return add


def pixels_of(image: Any) -> np.ndarray:
    """(H, W, 4) float32, row 0 at the top."""
    width, height = image.size
    flat = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(flat)
    return flat.reshape(height, width, 4)[::-1]


@pytest.fixture
def pixels() -> Callable[[Any], np.ndarray]:
    return pixels_of


def change_box(first: np.ndarray, second: np.ndarray) -> tuple[int, int, int, int] | None:
    """(x0, y0, x1, y1) of the pixels that differ by more than 2 grey levels; None if none do."""
    rows, columns = np.nonzero(np.abs(first - second).max(axis=2) > 2 / 255)
    if not len(rows):
        return None
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
