"""host.client.Engine with children that misbehave: nothing blocks, everything is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import FAKE, ROOT, is_alive, wait_until
from keyportrait.engine.protocol import Array
from keyportrait.host.client import EngineError, Policy, State, Timing
from test_host_client import FRAME_S, IMAGE, open_picture, render_fields

BRISK = Timing(handshake=20.0, heartbeat=0.05, heartbeat_timeout=0.6)


def wait_failed(engine: Any, code: str) -> EngineError:
    wait_until(lambda: engine.state is State.FAILED, "the failure")
    assert engine.error.code == code, engine.error
    assert engine.error.message.endswith(".")
    assert engine.pid is None
    return engine.error


def detect(engine: Any) -> Any:
    return engine.submit("detect", {"encoding": "srgb"}, {"image": IMAGE})


@pytest.mark.parametrize(
    ("modes", "code"),
    [
        (["--exit-at-once"], "start_failed"),
        (["--noise"], "garbled"),
        (["--protocol", "999"], "version_skew"),
        (["--refuse"], "not_installed"),
        (["--no-such-option"], "start_failed"),
    ],
)
def test_a_child_that_cannot_start_says_why(start_engine: Any, modes: list[str], code: str) -> None:
    engine = start_engine(*modes)
    ticket = detect(engine)
    error = wait_failed(engine, code)
    assert error.hint
    assert ticket.error is error or ticket.error.code == code
    with pytest.raises(EngineError) as caught:
        engine.wait_ready(FRAME_S)
    assert caught.value is error


def test_the_last_words_of_the_child_reach_the_panel(start_engine: Any) -> None:
    error = wait_failed(start_engine("--exit-at-once"), "start_failed")
    assert "no module named cv2" in error.hint
    assert "exit code 1" in error.message


def test_another_version_of_the_extension_is_refused(start_engine: Any) -> None:
    engine = start_engine("--release-version", "0.0.1", version="9.9.9")
    error = wait_failed(engine, "version_skew")
    assert "0.0.1" in error.message
    assert "9.9.9" in error.message


@pytest.mark.parametrize("python", ["/nowhere/python", str(ROOT), ""])
def test_an_interpreter_that_does_not_exist(start_engine: Any, python: str) -> None:
    engine = start_engine(python=python)
    wait_until(lambda: engine.state is State.FAILED)
    assert engine.state is State.FAILED
    assert engine.error.code == "start_failed"
    assert "interpreter" in engine.error.hint
    assert detect(engine).error is engine.error


def test_an_interpreter_that_is_not_python(start_engine: Any) -> None:
    error = wait_failed(start_engine(python="/bin/echo"), "garbled")
    assert "--parent-pid" in error.message


def test_a_silent_child_is_ended_after_the_handshake_time(start_engine: Any) -> None:
    engine = start_engine("--silent", timing=Timing(handshake=0.3, heartbeat=0.1))
    pid = engine.pid
    wait_failed(engine, "start_failed")
    wait_until(lambda: not is_alive(pid), "the end of the process")


@pytest.mark.parametrize(
    ("modes", "code"),
    [
        (["--crash-on", "3"], "engine_died"),
        (["--crash-half", "3"], "engine_died"),
        (["--garbage-on", "3"], "garbled"),
        (["--lie-on", "3"], "engine_silent"),
        (["--long-header-on", "3"], "garbled"),
        (["--stray-on", "3"], "garbled"),
        (["--give-up-on", "3"], "internal"),
    ],
)
def test_a_fault_in_mid_work_fails_every_request(
    start_engine: Any, modes: list[str], code: str, tmp_path: Path
) -> None:
    engine = start_engine(*modes, timing=BRISK)
    handle = open_picture(engine)
    bake = [engine.submit("render", render_fields(handle)) for _ in range(3)]
    live = [
        engine.submit("render", render_fields(handle), policy=Policy.NEWEST, key="live")
        for _ in range(3)
    ]
    with pytest.raises(EngineError) as caught:
        engine.wait(bake[0], FRAME_S)
    assert caught.value.code == code
    wait_failed(engine, code)
    assert all(ticket.is_done for ticket in (*bake, *live))
    refused = engine.submit("render", render_fields(handle))
    assert refused.error is engine.error
    assert len(engine.drain()) == len(bake) - 1 + len(live) + 1
    engine.launch = type(engine.launch)(
        engine.launch.python, ROOT, tmp_path / "log.txt", arguments=(str(FAKE),)
    )
    engine.restart()
    assert open_picture(engine) == 1


def test_an_answer_of_the_wrong_type_fails_that_request_alone(start_engine: Any) -> None:
    engine = start_engine("--mix-up-on", "3")
    handle = open_picture(engine)
    first, second = (engine.submit("render", render_fields(handle)) for _ in range(2))
    with pytest.raises(EngineError) as caught:
        engine.wait(first, FRAME_S)
    assert caught.value.code == "garbled"
    assert engine.wait(second, FRAME_S).type == "frame"


def test_a_killed_child_wakes_a_waiting_thread(start_engine: Any, tmp_path: Path) -> None:
    engine = start_engine("--release", str(tmp_path / "never"))
    handle = open_picture(engine)
    ticket = engine.submit("render", render_fields(handle))
    threading.Timer(0.1, os.kill, (engine.pid, signal.SIGKILL)).start()
    with pytest.raises(EngineError) as caught:
        engine.wait(ticket, FRAME_S)
    assert caught.value.code == "engine_died"
    assert "signal 9" in caught.value.message


def test_a_child_without_a_heartbeat_is_ended(start_engine: Any, tmp_path: Path) -> None:
    engine = start_engine("--mute-on", "3", "--release", str(tmp_path / "never"), timing=BRISK)
    handle = open_picture(engine)
    pid = engine.pid
    ticket = engine.submit("render", render_fields(handle))
    wait_failed(engine, "engine_silent")
    assert ticket.error.code == "engine_silent"
    wait_until(lambda: not is_alive(pid), "the end of the process")


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGSTOP")
def test_a_stopped_child_is_ended(start_engine: Any) -> None:
    engine = start_engine(timing=BRISK)
    engine.wait_ready(FRAME_S)
    pid = engine.pid
    os.kill(pid, signal.SIGSTOP)
    wait_failed(engine, "engine_silent")
    wait_until(lambda: not is_alive(pid), "the end of the process")


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGSTOP")
def test_a_computer_that_slept_is_no_silent_child(start_engine: Any, monkeypatch: Any) -> None:
    """Clocks that go on during sleep jump; the child has had no chance to answer yet."""
    engine = start_engine(timing=Timing(heartbeat=0.05, heartbeat_timeout=60.0))
    engine.wait_ready(FRAME_S)
    os.kill(engine.pid, signal.SIGSTOP)
    session = engine._life
    wait_until(lambda: session._unanswered_since is not None, "a ping")
    after_sleep = SimpleNamespace(monotonic=lambda: time.monotonic() + 3600.0)
    monkeypatch.setattr("keyportrait.host.life.time", after_sleep)
    wait_until(lambda: (session._unanswered_since or 0) > time.monotonic() + 1800, "the next ping")
    os.kill(engine.pid, signal.SIGCONT)
    assert open_picture(engine) == 1


def test_a_busy_child_that_answers_pings_is_left_alone(start_engine: Any, tmp_path: Path) -> None:
    release = tmp_path / "go"
    engine = start_engine("--release", str(release), timing=BRISK)
    handle = open_picture(engine)
    ticket = engine.submit("render", render_fields(handle))
    assert not ticket.wait(4 * BRISK.heartbeat_timeout)
    assert engine.state is State.BUSY
    release.touch()
    engine.wait(ticket, FRAME_S)


def test_a_child_that_does_not_read_blocks_nobody(start_engine: Any) -> None:
    """Far more than a pipe holds is submitted; stop still ends everything."""
    engine = start_engine("--deaf-on", "1")
    engine.wait_ready(FRAME_S)
    megabytes = Array("uint8", (1024, 1024, 4), bytes(4 << 20))
    tickets = [
        engine.submit("detect", {"encoding": "srgb"}, {"image": megabytes}) for _ in range(20)
    ]
    assert not tickets[-1].is_done
    pid = engine.pid
    engine.stop(0.1)
    assert tickets[-1].error.code == "not_running"
    assert not is_alive(pid)


def test_a_stubborn_child_is_killed(start_engine: Any) -> None:
    engine = start_engine("--stubborn")
    engine.wait_ready(FRAME_S)
    pid = engine.pid
    engine.stop(0.2)
    assert not is_alive(pid)


def test_a_huge_frame_arrives_whole(start_engine: Any) -> None:
    engine = start_engine("--huge-frame", "4096")
    handle = open_picture(engine)
    frame = engine.wait(engine.submit("render", render_fields(handle, 77.0)), FRAME_S)
    pixels = frame.arrays["pixels"]
    assert pixels.shape == (4096, 4096, 4)
    assert bytes(pixels.data[-4:]) == bytes([77, 0, 1, 255])


@pytest.mark.skipif(sys.platform == "win32", reason="SIGPIPE is a Unix matter")
def test_writing_to_a_dead_child_does_not_end_the_host_program(tmp_path: Path) -> None:
    """Blender may leave SIGPIPE at its default, which ends the process."""
    script = f"""
import os, signal, sys, types
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
package = types.ModuleType("keyportrait")
package.__path__ = [{str(ROOT)!r}]
sys.modules["keyportrait"] = package
from pathlib import Path
from keyportrait.engine.protocol import Array
from keyportrait.host.client import Engine, Launch, State
engine = Engine(Launch(sys.executable, Path({str(ROOT)!r}), Path({str(tmp_path)!r}) / "log",
                       arguments=({str(FAKE)!r}, "--deaf-on", "1")))
engine.start()
engine.wait_ready({FRAME_S})
image = Array("uint8", (1024, 1024, 4), bytes(4 << 20))
ticket = [engine.submit("detect", {{"encoding": "srgb"}}, {{"image": image}}) for _ in range(4)][-1]
os.kill(engine.pid, signal.SIGKILL)
ticket.wait({FRAME_S})
assert ticket.error.code == "engine_died", ticket.error
engine.stop()
"""
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, capture_output=True, timeout=90, check=False)
    assert run.returncode == 0, run.stderr.decode()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_of_the_host_in_an_answer_ends_the_engine(
    start_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a reader nothing would ever be answered, and nobody would know."""

    def bug(*_: object) -> None:
        raise KeyError("a bug of ours")

    engine = start_engine()
    engine.wait_ready(FRAME_S)
    monkeypatch.setattr("keyportrait.host.requests.RequestBook._release", bug)
    ticket = detect(engine)
    error = wait_failed(engine, "garbled")
    assert "met a bug" in error.message
    assert ticket.error is error
