"""Lets unit tests import the extension's packages without Blender.

Blender loads the checkout as one package under a name of its own; `keyportrait` plays that part
here, so that `from keyportrait.host.client import Engine` resolves its relative imports as there.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

if "keyportrait" not in sys.modules:
    package = types.ModuleType("keyportrait", "The extension, without running its __init__.py.")
    package.__path__ = [str(ROOT)]
    sys.modules["keyportrait"] = package

FAKE = ROOT / "tests" / "fakes" / "engine.py"
PATIENCE_S = 30.0  # for things that must happen, on a slow machine; no test measures time


def wait_until(condition: Callable[[], object], what: str = "it") -> None:
    """Wait for something that must become true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.005)


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def engine_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("keyportrait-")]


@pytest.fixture
def start_engine(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """start_engine(*modes, timing=None, python=…) → a started Engine over the fake child.

    After the test every child must be gone and reaped, and every thread ended.
    """
    from keyportrait.host.client import Engine, Launch

    engines: list[Any] = []
    pids: set[int] = set()

    def start(*modes: str, timing: Any = None, fake: bool = True, **launch: Any) -> Any:
        values: dict[str, Any] = {
            "python": sys.executable,
            "root": ROOT,
            "log_path": tmp_path / "log" / "engine.log",
        }
        if fake:
            values["arguments"] = (str(FAKE), *modes)
        engine = Engine(Launch(**{**values, **launch}), timing)
        engines.append(engine)
        engine.start()
        wait_until(lambda: engine.pid is not None or engine.state.name == "FAILED", "the start")
        if engine.pid is not None:
            pids.add(engine.pid)
        return engine

    yield start
    for engine in engines:
        if engine.pid is not None:
            pids.add(engine.pid)
        engine.stop(0.0)
        assert engine.pid is None
    wait_until(lambda: not engine_threads(), "the end of the engine's threads")
    for pid in pids:
        wait_until(lambda pid=pid: not is_alive(pid), "the end of the engine's process")
