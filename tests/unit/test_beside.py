"""Work beside the working thread: its result, its errors, its end."""

from __future__ import annotations

import threading

import pytest
from conftest import wait_until

from engine.beside import done_beside


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("beside")]


def test_steps_are_taken_until_the_work_is_done() -> None:
    enough = threading.Event()
    steps: list[str] = []

    def step() -> None:
        steps.append(threading.current_thread().name)
        if len(steps) == 3:
            enough.set()

    def work() -> str:
        assert enough.wait(30.0)
        return threading.current_thread().name

    assert done_beside(work, step).startswith("beside")
    assert set(steps) == {threading.current_thread().name}


def test_what_the_work_raises_is_raised() -> None:
    def work() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        done_beside(work, lambda: None)


def test_work_that_nobody_wants_any_more_ends() -> None:
    is_begun = threading.Event()

    def work() -> None:
        number = 0
        while True:
            number += 1
            is_begun.set()

    def step() -> None:
        if is_begun.is_set():
            raise InterruptedError

    with pytest.raises(InterruptedError):
        done_beside(work, step)
    wait_until(lambda: not threads(), "the end of the work")
