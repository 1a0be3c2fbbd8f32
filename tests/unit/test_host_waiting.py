"""Requests that nobody wants any more, and how long the others wait."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import FAKE, ROOT, engine_threads, is_alive, wait_until
from keyportrait.host.client import Engine, EngineError, Launch, State, Timing
from test_host_client import FRAME_S, IMAGE, open_picture, render_fields

OPENING = {
    "encoding": "srgb",
    "renderer": "analytic",
    "faces": [{"box": [1, 1, 9, 9]}],
    "options": {},
}


def submit_open(engine: Any) -> Any:
    return engine.submit("open", OPENING, {"image": IMAGE})


def is_open(engine: Any, handle: int) -> bool:
    try:
        engine.wait(engine.submit("render", render_fields(handle)), FRAME_S)
    except EngineError as error:
        assert error.code == "unknown_handle"
        return False
    return True


def test_an_abandoned_open_is_dropped_by_the_engine(start_engine: Any, tmp_path: Path) -> None:
    engine = start_engine("--work", "open", "--release", str(tmp_path / "never"))
    engine.wait_ready(FRAME_S)
    ticket = submit_open(engine)
    engine.abandon(ticket)
    assert ticket.error.code == "cancelled"
    wait_until(lambda: engine.state is State.READY, "the end of the obsolete fit")


@pytest.mark.parametrize("how", ["abandon", "cancel", "wait"])
def test_what_a_dropped_open_opens_all_the_same_is_closed(
    start_engine: Any, tmp_path: Path, how: str
) -> None:
    release = tmp_path / "go"
    modes = ("--work", "open", "--release", str(release), "--ignore-cancel")
    engine = start_engine(*modes)
    engine.wait_ready(FRAME_S)
    ticket = submit_open(engine)
    if how == "wait":
        with pytest.raises(EngineError):
            engine.wait(ticket, 0.05)
    else:
        getattr(engine, how)(ticket)
    release.touch()
    following = engine.wait(submit_open(engine), FRAME_S).fields["handle"]
    assert following == 2
    assert is_open(engine, following)
    assert not is_open(engine, 1)


def test_an_answer_that_nobody_takes_is_closed_once(start_engine: Any) -> None:
    engine = start_engine()
    ticket = submit_open(engine)
    wait_until(lambda: ticket.is_done)
    assert is_open(engine, 1)
    engine.abandon(ticket)
    assert not is_open(engine, 1)
    engine.restart()
    engine.wait_ready(FRAME_S)
    assert engine.wait(submit_open(engine), FRAME_S).fields["handle"] == 1
    engine.abandon(ticket)
    assert is_open(engine, 1)


def test_abandoning_in_a_dead_engine_closes_nothing_of_the_next(start_engine: Any) -> None:
    engine = start_engine()
    ticket = submit_open(engine)
    wait_until(lambda: ticket.is_done)
    os.kill(engine.pid, signal.SIGKILL)
    wait_until(lambda: engine.state is State.FAILED, "the crash")
    engine.abandon(ticket)
    engine.start()
    engine.wait_ready(FRAME_S)
    assert engine.wait(submit_open(engine), FRAME_S).fields["handle"] == 1
    assert is_open(engine, 1)


def test_who_waits_behind_a_long_request_is_not_forgotten(start_engine: Any) -> None:
    engine = start_engine("--delay", "3", "--beat", "0.1")
    handle = open_picture(engine)
    engine.submit("render", render_fields(handle))
    behind = engine.submit("close", {"handle": handle})
    assert engine.wait(behind, 1.0).type == "closed"


def test_the_heartbeat_is_no_sign_of_work(start_engine: Any, tmp_path: Path) -> None:
    """The listening thread answers pings although the worker hangs."""
    timing = Timing(heartbeat=0.05)
    engine = start_engine("--release", str(tmp_path / "never"), timing=timing)
    handle = open_picture(engine)
    ticket = engine.submit("render", render_fields(handle))
    with pytest.raises(EngineError) as caught:
        engine.wait(ticket, 0.5)
    assert caught.value.code == "timeout"


def test_a_disk_that_hangs_at_the_start_blocks_nobody(start_engine: Any) -> None:
    """`resolve` stands for everything that looks at the disk before the child runs."""
    hangs = threading.Event()

    def resolve(launch: Launch) -> Launch:
        hangs.wait(FRAME_S)
        return launch

    fake = (str(FAKE),)
    launch = Launch(sys.executable, ROOT, Path(os.devnull), arguments=fake, resolve=resolve)
    engine = Engine(launch, Timing(handshake=0.2, heartbeat=0.1))
    before = time.monotonic()
    engine.start()
    ticket = submit_open(engine)
    assert time.monotonic() - before < 0.15
    assert engine.state is State.STARTING
    wait_until(lambda: engine.state is State.FAILED, "the time-out")
    assert "a disk does not answer" in ticket.error.message
    engine.leave()
    hangs.set()
    wait_until(lambda: not engine_threads(), "the end of what had hung")


def test_a_child_that_starts_too_late_is_ended(start_engine: Any) -> None:
    hangs, started = threading.Event(), []

    def resolve(launch: Launch) -> Launch:
        hangs.wait(FRAME_S)
        started.append(True)
        return launch

    fake = (str(FAKE),)
    launch = Launch(sys.executable, ROOT, Path(os.devnull), arguments=fake, resolve=resolve)
    engine = Engine(launch)
    engine.start()
    before = time.monotonic()
    engine.leave()
    assert time.monotonic() - before < 0.15
    assert engine.state is State.STOPPED
    hangs.set()
    wait_until(lambda: started and not engine_threads(), "the end of the late child")
    assert engine.pid is None


def test_leaving_does_not_wait_for_a_child_that_works(start_engine: Any, tmp_path: Path) -> None:
    engine = start_engine("--stubborn", "--release", str(tmp_path / "never"))
    handle = open_picture(engine)
    engine.submit("render", render_fields(handle))
    pid = engine.pid
    before = time.monotonic()
    engine.leave(0.5)
    assert time.monotonic() - before < 0.2
    assert engine.state is State.STOPPED
    wait_until(lambda: not is_alive(pid), "the end of the child")


def test_a_folder_that_cannot_be_read_is_named(start_engine: Any) -> None:
    def resolve(launch: Launch) -> Launch:
        raise PermissionError(13, "Permission denied", "/mnt/studio/environment.json")

    engine = start_engine(resolve=resolve)
    wait_until(lambda: engine.state is State.FAILED)
    assert engine.error.code == "start_failed"
    assert "'/mnt/studio/environment.json'" in engine.error.message
