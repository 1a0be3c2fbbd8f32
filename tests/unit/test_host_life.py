"""What outlives what: the child never its parent; logs stay small; the environment stays clean."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import FAKE, ROOT, is_alive, wait_until
from keyportrait.host.client import Launch, State
from keyportrait.host.log import EngineLog
from keyportrait.host.process import child_environment, exit_text
from test_host_client import FRAME_S, IMAGE

PARENT = """
import sys, time, types
from pathlib import Path
root, log, *arguments = sys.argv[1:]
package = types.ModuleType("keyportrait")
package.__path__ = [root]
sys.modules["keyportrait"] = package
from keyportrait.host.client import Engine, Launch
engine = Engine(Launch(sys.executable, Path(root), Path(log), arguments=tuple(arguments)))
engine.start()
engine.wait_ready(30)
print(engine.pid, flush=True)
"""

REAL = ("-m", "engine")


def parent_of(engine: tuple[str, ...], tmp_path: Path, then: str) -> subprocess.Popen[str]:
    """A second host process with an engine of its own."""
    command = [sys.executable, "-c", PARENT + then, str(ROOT), str(tmp_path / "log"), *engine]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("engine", [REAL, (str(FAKE),)], ids=["real", "fake"])
def test_the_child_ends_when_its_parent_is_killed(engine: tuple[str, ...], tmp_path: Path) -> None:
    with parent_of(engine, tmp_path, "time.sleep(3600)") as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
        parent.wait()
        wait_until(lambda: not is_alive(pid), "the end of the orphan")


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_the_child_ends_even_when_someone_else_holds_its_stdin(tmp_path: Path) -> None:
    """A process forked from the host inherits the pipe, so that stdin never ends."""
    holder = """
import os
other = os.fork()
if other == 0:
    os.close(1)
    time.sleep(3600)
print(other, flush=True)
time.sleep(3600)
"""
    with parent_of(REAL, tmp_path, holder) as parent:
        assert parent.stdout
        pid, other = (int(parent.stdout.readline()) for _ in range(2))
        try:
            parent.kill()
            parent.wait()
            wait_until(lambda: not is_alive(pid), "the end of the orphan")
            assert is_alive(other)
        finally:
            os.kill(other, signal.SIGKILL)


@pytest.mark.parametrize("ending", ["", "raise SystemExit(3)", "raise RuntimeError('bug')"])
def test_a_host_that_forgets_to_stop_leaves_no_child(ending: str, tmp_path: Path) -> None:
    with parent_of((str(FAKE), "--stubborn"), tmp_path, ending) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        parent.wait(60)
    wait_until(lambda: not is_alive(pid), "the end of the child")


def test_stderr_goes_to_rotated_files(start_engine: Any, tmp_path: Path) -> None:
    engine = start_engine("--chatter", "400")
    for _ in range(25):
        engine.wait(engine.submit("detect", {"encoding": "srgb"}, {"image": IMAGE}), FRAME_S)
    path = engine.log_path
    wait_until(lambda: "request 25 line 399" in "".join(engine.log_tail()), "the last line")
    files = sorted(file.name for file in path.parent.iterdir())
    assert files == ["engine.log", "engine.log.1", "engine.log.2", "engine.log.3"]
    assert all(file.stat().st_size <= 1_000_000 for file in path.parent.iterdir())
    assert "request 25 line 399" in path.read_text()


def test_a_log_that_cannot_be_written_disturbs_nothing(start_engine: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    engine = start_engine("--chatter", "5", log_path=tmp_path / "file" / "engine.log")
    engine.wait(engine.submit("detect", {"encoding": "srgb"}, {"image": IMAGE}), FRAME_S)
    wait_until(lambda: any("line 4" in line for line in engine.log_tail()), "the last line")
    assert engine.state is State.READY


def test_log_lines_of_any_kind_are_kept(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = EngineLog(tmp_path / "engine.log")
    lines = ["100 % {} %s %(x)d", "\x00\ud800 é", ""]
    for line in lines:
        log.write(line)
    log.close()
    assert log.tail() == lines
    assert "100 % {} %s %(x)d\n" in (tmp_path / "engine.log").read_text()
    assert capfd.readouterr().err == ""


def test_the_child_sees_only_the_bundled_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "PYTHONSTARTUP"):
        monkeypatch.setenv(name, "/foreign")
    monkeypatch.setenv("KEPT", "yes")
    launch = Launch("python", ROOT, ROOT / "log", ("/a", "/b"), environment={"MORE": "1"})
    environment = child_environment(launch)
    assert environment["PYTHONPATH"] == os.pathsep.join(["/a", "/b"])
    assert environment["PYTHONNOUSERSITE"] == "1"
    assert (environment["KEPT"], environment["MORE"]) == ("yes", "1")
    assert "/foreign" not in environment.values()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_child_inherits_no_files(start_engine: Any, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("wb") as stream:
        os.set_inheritable(stream.fileno(), True)
        engine = start_engine()
        engine.wait_ready(FRAME_S)
        targets = [str(entry.readlink()) for entry in Path(f"/proc/{engine.pid}/fd").iterdir()]
    assert not any("secret" in target for target in targets)


def test_exit_statuses_in_words() -> None:
    assert [exit_text(status) for status in (0, 3, -9, None)] == [
        "exit code 0",
        "exit code 3",
        "signal 9",
        "still ending",
    ]
