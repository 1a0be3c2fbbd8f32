"""host.task: commands beside Blender, their progress, their failures, cancelling."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from keyportrait.host.errors import EngineError
from keyportrait.host.task import SetupError, Step, Task, TaskState

PATIENCE_S = 30.0


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-u", "-c", code)


def run(tmp_path: Path, *steps: Step, finish: Any = lambda: None) -> Task:
    task = Task(steps, tmp_path / "log" / "setup.log", finish)
    task.wait(PATIENCE_S)
    return task


def test_steps_run_in_order_and_the_finish_comes_last(tmp_path: Path) -> None:
    done = tmp_path / "done"
    write = "open({!r}, 'a').write({!r})"
    steps = [Step(x, python(write.format(str(done), x))) for x in "ab"]
    task = run(tmp_path, *steps, finish=lambda: done.write_text(done.read_text() + "!"))
    assert task.state is TaskState.DONE
    assert done.read_text() == "ab!"
    assert task.progress.fraction == 1.0


def test_results_are_collected_and_other_lines_go_to_the_log(tmp_path: Path) -> None:
    code = "print('hello'); print('{\"result\": {\"speed\": 3}}'); print('{curly but no JSON')"
    task = run(tmp_path, Step("Check", python(code), environment={"A": "1"}))
    assert task.result == {"speed": 3}
    log = (tmp_path / "log" / "setup.log").read_text()
    assert "== Check" in log
    assert "hello\n{curly but no JSON\n" in log


def test_an_error_line_is_the_failure(tmp_path: Path) -> None:
    event = json.dumps({"error": {"code": "disk_full", "message": "Full.", "hint": "Tidy up."}})
    finished: list[int] = []
    after = Step("Never", python("raise SystemExit(9)"))
    first = Step("First", python(f"print({event!r}); raise SystemExit(1)"))
    task = run(tmp_path, first, after, finish=lambda: finished.append(1))
    assert task.state is TaskState.FAILED
    assert task.error is not None
    assert (task.error.code, str(task.error)) == ("disk_full", "Full. Tidy up.")
    assert not finished
    assert "Never" not in (tmp_path / "log" / "setup.log").read_text()


def test_a_command_that_just_fails_is_quoted(tmp_path: Path) -> None:
    task = run(tmp_path, Step("Install", python("print('a'); print('boom'); raise SystemExit(2)")))
    assert task.error is not None
    assert task.error.message == "Install failed: boom"


def test_what_a_step_explains_wins(tmp_path: Path) -> None:
    seen: list[str] = []

    def explain(tail: str) -> SetupError:
        seen.append(tail)
        return SetupError("Explained.", code="explained")

    code = "[print(f'line {n}') for n in range(100)]; raise SystemExit(1)"
    task = run(tmp_path, Step("Install", python(code), explain=explain))
    assert task.error is not None
    assert task.error.code == "explained"
    assert seen[0].splitlines()[-1] == "line 99"
    assert len(seen[0].splitlines()) == 40


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    task = run(tmp_path, Step("Install", (str(tmp_path / "nothing"),)))
    assert task.error is not None
    assert "nothing" in task.error.message


def test_steps_that_are_done_are_skipped(tmp_path: Path) -> None:
    skipped = Step("Skip", python("raise SystemExit(1)"), is_done=lambda: True)
    assert run(tmp_path, skipped, Step("Go", python("pass"))).state is TaskState.DONE


def test_a_finish_that_fails_fails_the_task(tmp_path: Path) -> None:
    def finish() -> None:
        raise PermissionError(13, "Permission denied", "/marker")

    task = run(tmp_path, Step("Go", python("pass")), finish=finish)
    assert task.state is TaskState.FAILED
    assert isinstance(task.error, EngineError)
    assert "/marker" in task.error.message


def test_progress_is_weighed_by_the_steps(tmp_path: Path) -> None:
    event = json.dumps({"fraction": 0.5, "text": "half way"})
    go = tmp_path / "go"
    wait = f"import time, pathlib\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)"
    steps = [
        Step("First", python("pass"), weight=1),
        Step("Second", python(f"print({event!r})\n{wait}"), weight=3),
    ]
    task = Task(steps, tmp_path / "setup.log", lambda: None)
    wait_until(lambda: "half way" in task.progress.text, "the progress")
    assert task.progress.fraction == pytest.approx((1 + 1.5) / 4)
    assert task.progress.text == "Second: half way"
    go.touch()
    assert task.wait(PATIENCE_S) is TaskState.DONE


def test_a_silent_command_is_measured(tmp_path: Path) -> None:
    go = tmp_path / "go"
    wait = f"import time, pathlib\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)"
    task = Task([Step("Copy", python(wait), measure=lambda: 0.25)], tmp_path / "log", lambda: None)
    wait_until(lambda: task.progress.fraction == 0.25, "the measurement")
    go.touch()
    assert task.wait(PATIENCE_S) is TaskState.DONE


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_cancel_ends_a_command_and_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pid_file)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)"
    )
    finished: list[int] = []
    task = Task([Step("Long", python(code))], tmp_path / "log", lambda: finished.append(1))
    wait_until(lambda: pid_file.exists() and pid_file.read_text(), "the child")
    task.cancel()
    assert task.wait(PATIENCE_S) is TaskState.CANCELLED
    assert task.error is not None
    assert task.error.code == "cancelled"
    assert not finished
    from conftest import is_alive

    wait_until(lambda: not is_alive(int(pid_file.read_text())), "the end of the child")


def test_json_of_another_program_is_an_ordinary_line(tmp_path: Path) -> None:
    lines = ('{"error": "none"}', '{"result": 3}', '{"fraction": "half"}', '{"name": "torch"}')
    task = run(tmp_path, Step("One", python("\n".join(f"print({line!r})" for line in lines))))
    assert task.state is TaskState.DONE
    assert task.result == {}
    log = (tmp_path / "log" / "setup.log").read_text(encoding="utf-8")
    assert all(line in log for line in lines)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_log_on_a_full_disk_ends_the_task_and_its_command(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = f"import os\nopen({str(pid_file)!r}, 'w').write(str(os.getpid()))\n"
    code += "while True:\n    print('x' * 4096)"
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "setup.log").symlink_to("/dev/full")
    task = run(tmp_path, Step("One", python(code)))
    assert task.state is TaskState.FAILED
    assert "No space left" in str(task.error)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def bug(*_: Any) -> Any:
    raise KeyError("a bug of ours")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("where", ["command", "is_done", "explain", "finish"])
def test_a_bug_ends_the_task_and_leaves_a_traceback(tmp_path: Path, where: str) -> None:
    values: dict[str, Any] = {"title": "Step", "command": python("raise SystemExit(3)")}
    if where == "finish":
        values["command"] = python("")
    else:
        values[where] = bug
    task = run(tmp_path, Step(**values), finish=bug if where == "finish" else lambda: None)
    assert task.state is TaskState.FAILED
    assert task.error is not None
    assert task.error.code == "internal"
    assert "a bug of ours" in task.error.message
    assert "Traceback" in (tmp_path / "log" / "setup.log").read_text()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_while_a_command_runs_does_not_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyportrait.host.task._parse_event", bug)
    code = "import time; print('{}', flush=True); time.sleep(60)"
    task = run(tmp_path, Step("Step", python(code)))
    assert task.state is TaskState.FAILED
