"""The engine's process by hand, and copies of the engine with something missing or broken."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from conftest import ROOT, wait_until
from keyportrait.host.client import EngineError, State

from engine.protocol import PROTOCOL_VERSION, Array, Message, read_message, write_message

PATIENCE_S = 60.0
HELLO = Message("hello", 1, {"protocol": PROTOCOL_VERSION, "version": ""})
IMAGE = np.dstack((skimage.data.astronaut(), np.full((512, 512), 255, np.uint8)))
ARRAYS = {"image": Array("uint8", IMAGE.shape, IMAGE.tobytes())}


class Pipes:
    """An engine process without the host in between."""

    def __init__(self, root: Path = ROOT) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "engine"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=root,
        )

    def write(self, *messages: Message) -> None:
        assert self.process.stdin
        for message in messages:
            write_message(self.process.stdin, message)  # type: ignore[arg-type]

    def write_bytes(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def read(self) -> Message | None:
        stdout = self.process.stdout
        assert isinstance(stdout, io.BufferedReader)
        return read_message(stdout)

    def answer(self) -> Message | None:
        """The next message that is no progress."""
        while (message := self.read()) is not None and message.type == "progress":
            pass
        return message

    def end_input(self) -> int:
        assert self.process.stdin
        self.process.stdin.close()
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    pipes = Pipes()
    with pipes.process:
        yield pipes
        pipes.process.kill()


def types_and_ids(messages: list[Message | None]) -> list[tuple[str, int]]:
    return [(message.type, message.id) for message in messages if message]


def test_shutdown_is_answered_and_ends_the_process(pipes: Pipes) -> None:
    pipes.write(HELLO, Message("shutdown", 2))
    replies = [pipes.read() for _ in range(3)]
    assert types_and_ids(replies) == [("ready", 1), ("bye", 2)]
    assert pipes.process.wait(PATIENCE_S) == 0


def test_the_end_of_the_input_ends_the_process(pipes: Pipes) -> None:
    pipes.write(HELLO)
    assert pipes.read()
    assert pipes.end_input() == 0


def test_hello_comes_first(pipes: Pipes) -> None:
    pipes.write(Message("close", 1, {"handle": 1}))
    reply = pipes.read()
    assert reply
    assert reply.fields["code"] == "bad_request"
    assert "hello" in reply.fields["message"]


def test_replies_and_notices_are_no_requests(pipes: Pipes) -> None:
    pipes.write(HELLO, Message("bye", 7), Message("pong", 8, {"is_busy": False}))
    replies = {m.id: m for m in (pipes.read() for _ in range(3)) if m}
    assert replies[1].type == "ready"
    assert [replies[number].fields["code"] for number in (7, 8)] == ["bad_request"] * 2


def test_pings_are_answered_while_faces_are_found(pipes: Pipes) -> None:
    pipes.write(HELLO)
    assert pipes.read()
    pipes.write(Message("detect", 2, {"encoding": "srgb"}, ARRAYS), Message("ping", 3))
    first, second = pipes.answer(), pipes.answer()
    assert types_and_ids([first, second]) == [("pong", 3), ("detected", 2)]
    assert first
    assert first.fields["is_busy"] is True


def test_cancel_of_a_waiting_request(pipes: Pipes) -> None:
    pipes.write(HELLO)
    assert pipes.read()
    detect = [Message("detect", number, {"encoding": "srgb"}, ARRAYS) for number in (2, 3, 4)]
    pipes.write(
        *detect,
        Message("cancel", 5, {"request": 3}),
        Message("cancel", 6, {"request": 99}),
        Message("cancel", 7, {"request": []}),
    )
    replies = {m.id: m for m in (pipes.answer() for _ in range(6)) if m}
    assert [replies[n].fields["is_found"] for n in (5, 6, 7)] == [True, False, False]
    assert [replies[n].type for n in (2, 3, 4)] == ["detected", "failed", "detected"]
    assert replies[3].fields["code"] == "cancelled"


def test_a_long_search_for_faces_says_how_far_it_is_and_stops(pipes: Pipes) -> None:
    pipes.write(HELLO)
    assert pipes.read()
    image = np.zeros((3000, 4500, 4), np.uint8)
    arrays = {"image": Array("uint8", image.shape, image.tobytes())}
    pipes.write(Message("detect", 2, {"encoding": "srgb"}, arrays))
    first = pipes.read()
    assert first and first.type == "progress" and 0.0 <= first.fields["fraction"] < 0.2
    pipes.write(Message("cancel", 3, {"request": 2}))
    last = [pipes.answer(), pipes.answer()]
    assert types_and_ids(last) == [("cancelled", 3), ("failed", 2)]
    assert last[1] and last[1].fields["code"] == "cancelled"


def test_a_picture_moves_while_another_is_opened(pipes: Pipes) -> None:
    pipes.write(HELLO, Message("detect", 2, {"encoding": "srgb"}, ARRAYS))
    assert pipes.answer()
    detected = pipes.answer()
    assert detected
    fields = {"encoding": "srgb", "renderer": "analytic", "options": {}}
    faces = detected.fields["faces"]
    pipes.write(Message("open", 3, {**fields, "faces": faces}, ARRAYS))
    opened = pipes.answer()
    assert opened
    rendering = {"handle": opened.fields["handle"], "motions": [{"yaw": 5.0}], "options": {}}
    # Both at once: however fast this process is, an engine that works in order opens first.
    pipes.write(Message("open", 4, {**fields, "faces": faces * 4}, ARRAYS))
    pipes.write(Message("render", 5, rendering))
    assert types_and_ids([pipes.answer(), pipes.answer()]) == [("frame", 5), ("opened", 4)]


def test_cancel_of_a_running_request(pipes: Pipes) -> None:
    pipes.write(HELLO, Message("detect", 2, {"encoding": "srgb"}, ARRAYS))
    assert pipes.read()
    detected = pipes.answer()
    assert detected
    faces = detected.fields["faces"] * 12
    fields = {"encoding": "srgb", "renderer": "analytic", "faces": faces, "options": {}}
    pipes.write(Message("open", 3, fields, ARRAYS))
    progress = pipes.read()
    assert progress
    assert progress.fields == {"fraction": 0.0, "text": "Fitting face 1 of 12"}
    pipes.write(Message("cancel", 4, {"request": 3}))
    replies = []
    while not replies or replies[-1].type not in ("failed", "opened"):
        reply = pipes.read()
        assert reply
        replies.append(reply)
    assert replies[-1].fields["code"] == "cancelled"
    assert {"request": 3, "is_found": True} in [reply.fields for reply in replies]


@pytest.mark.parametrize("garbage", [b"hello?\n", b"{}\n", b'{"type":"ping"', b"\x00" * 5000])
def test_garbage_gets_a_reason_and_an_end(pipes: Pipes, garbage: bytes) -> None:
    pipes.write(HELLO)
    assert pipes.read()
    pipes.write_bytes(garbage)
    assert pipes.end_input() == 0
    reply = pipes.read()
    assert reply
    assert (reply.type, reply.id, reply.fields["code"]) == ("failed", 0, "bad_request")
    assert pipes.read() is None


def test_prints_and_native_noise_stay_out_of_the_stream(tmp_path: Path) -> None:
    script = """
import os, sys
from engine.streams import take_streams
requests, replies = take_streams()
print("noise of Python", flush=True)
os.system("echo noise of a child; cat")
os.write(1, b"native noise\\n")
replies.write(b"echo: " + requests.readline())
"""
    run = subprocess.run(
        [sys.executable, "-c", script],
        input=b"line\nmore\n",
        capture_output=True,
        cwd=ROOT,
        check=True,
        timeout=PATIENCE_S,
    )
    assert run.stdout == b"echo: line\n"
    for noise in (b"noise of Python", b"noise of a child", b"native noise"):
        assert noise in run.stderr
    assert b"more" not in run.stderr  # the child read nothing of the protocol


# --- copies of the engine with something wrong --------------------------------------------------


@pytest.fixture
def broken_engine(start_engine: Any, tmp_path: Path) -> Callable[..., Any]:
    """broken_engine(change, **launch) → an Engine on a copy that change(folder) has damaged."""

    def start(change: Callable[[Path], object], **launch: Any) -> Any:
        root = tmp_path / "extension"
        ignored = shutil.ignore_patterns("__pycache__", "networks", "liveportrait")
        shutil.copytree(ROOT / "engine", root / "engine", ignore=ignored)
        change(root)
        return start_engine(fake=False, root=root, **launch)

    return start


def failure(engine: Any) -> EngineError:
    wait_until(lambda: engine.state is State.FAILED, "the failure")
    return engine.error


@pytest.mark.parametrize("module", ["numpy", "cv2"])
def test_a_missing_module_is_named(broken_engine: Any, module: str, tmp_path: Path) -> None:
    def hide(_root: Path) -> None:
        text = f'raise ModuleNotFoundError("No module named {module}", name="{module}")'
        (tmp_path / f"{module}.py").write_text(text)

    error = failure(broken_engine(hide, python_paths=(str(tmp_path),)))
    assert error.code == "not_installed"
    assert f"'{module}'" in error.message
    assert "preferences" in error.hint


def test_without_the_networks_code_the_edition_is_named(broken_engine: Any) -> None:
    engine = broken_engine(lambda root: None)
    engine.wait_ready(PATIENCE_S)
    assert list(engine.capabilities["renderers"]) == ["analytic"]
    with pytest.raises(EngineError, match="comes without LivePortrait") as caught:
        engine.wait(engine.submit("probe", {"renderer": "liveportrait"}), PATIENCE_S)
    assert "full edition" in caught.value.hint
    image = Array("uint8", (64, 64, 4), bytes(64 * 64 * 4))
    fields = {"encoding": "srgb", "renderer": "liveportrait_animal"}
    with pytest.raises(EngineError, match="comes without LivePortrait"):
        engine.wait(engine.submit("detect", fields, {"image": image}), PATIENCE_S)


def test_a_missing_model_is_named(broken_engine: Any) -> None:
    name = "face_landmark.tflite"
    error = failure(broken_engine(lambda root: (root / "engine" / "models" / name).unlink()))
    assert error.code == "no_models"
    assert name in error.message
    assert error.hint


def test_a_damaged_model_is_named(broken_engine: Any) -> None:
    name = "iris_landmark.tflite"
    error = failure(
        broken_engine(lambda root: (root / "engine" / "models" / name).write_bytes(b"TFL3"))
    )
    assert error.code == "no_models"
    assert "damaged" in error.message


def test_a_renderer_that_cannot_be_loaded_is_a_problem_not_a_promise(broken_engine: Any) -> None:
    def break_renderer(root: Path) -> None:
        path = root / "engine" / "analytic" / "renderer.py"
        path.write_text("import a_module_that_is_nowhere\n")

    engine = broken_engine(break_renderer)
    engine.wait_ready(PATIENCE_S)
    assert engine.capabilities["renderers"] == {}
    assert engine.capabilities["problems"]["analytic"]["code"] == "not_installed"


BROKEN_RENDERER = """
def probe():
    return {{}}

class AnalyticRenderer:
    name = "analytic"

    def open(self, image, face, step=None):
        raise {error}
"""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("RuntimeError('a bug of ours')", "internal"),
        ("MemoryError()", "out_of_memory"),
        ("type('OutOfMemoryError', (RuntimeError,), {})('CUDA')", "out_of_memory"),
        ("__import__('cv2').error('a bug of OpenCV')", "internal"),
    ],
)
def test_a_bug_fails_one_request_and_leaves_a_traceback(
    broken_engine: Any, error: str, code: str
) -> None:
    def break_renderer(root: Path) -> None:
        path = root / "engine" / "analytic" / "renderer.py"
        path.write_text(BROKEN_RENDERER.format(error=error))

    engine = broken_engine(break_renderer)
    face = {"box": [100, 50, 300, 250]}
    fields = {"encoding": "srgb", "renderer": "analytic", "faces": [face], "options": {}}
    with pytest.raises(EngineError) as caught:
        engine.wait(engine.submit("open", fields, ARRAYS), PATIENCE_S)
    assert caught.value.code == code
    assert caught.value.hint
    assert engine.state is State.READY
    if code == "internal":
        assert "a bug of" in caught.value.message
        wait_until(lambda: "Traceback" in engine.log_path.read_text(), "the traceback in the log")
    detected = engine.wait(engine.submit("detect", {"encoding": "srgb"}, ARRAYS), PATIENCE_S)
    assert len(detected.fields["faces"]) == 1


def test_a_crash_of_native_code_leaves_its_stack_in_the_log(broken_engine: Any) -> None:
    def break_renderer(root: Path) -> None:
        path = root / "engine" / "analytic" / "renderer.py"
        crash = "__import__('os').kill(__import__('os').getpid(), 11)"
        path.write_text(BROKEN_RENDERER.format(error=f"RuntimeError({crash})"))

    engine = broken_engine(break_renderer)
    face = {"box": [100, 50, 300, 250]}
    fields = {"encoding": "srgb", "renderer": "analytic", "faces": [face], "options": {}}
    with pytest.raises(EngineError) as caught:
        engine.wait(engine.submit("open", fields, ARRAYS), PATIENCE_S)
    assert caught.value.code == "engine_died"
    assert "signal 11" in caught.value.message
    wait_until(lambda: "Segmentation fault" in engine.log_path.read_text(), "the stack")


def test_the_engine_limits_its_threads() -> None:
    script = "from engine.__main__ import limit_threads; limit_threads(1); import cv2; "
    run = subprocess.run(
        [sys.executable, "-c", script + "print(cv2.getNumThreads())"],
        capture_output=True,
        cwd=ROOT,
        check=True,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "OPENCV_FOR_THREADS_NUM"},
    )
    assert run.stdout.strip() == "1"
