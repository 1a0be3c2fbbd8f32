"""host.looking: nobody waits for a disk that does not answer."""

from __future__ import annotations

import threading
import time

import pytest
from conftest import wait_until
from keyportrait.host.looking import Look

PATIENCE_S = 30.0


def test_an_answer_comes_at_once_and_stays_fresh_for_a_while() -> None:
    look: Look[int] = Look()
    counts: list[int] = []

    def work() -> int:
        counts.append(1)
        return len(counts)

    assert look.ask("a", work, patience_s=PATIENCE_S) == 1
    assert look.ask("a", work, patience_s=PATIENCE_S) == 2
    assert look.ask("a", work, patience_s=PATIENCE_S, fresh_s=60.0) == 2
    assert look.ask("b", work, patience_s=PATIENCE_S, fresh_s=60.0) == 3
    assert look.silent_s == 0.0


def test_a_look_that_hangs_is_waited_for_once() -> None:
    look: Look[str] = Look()
    back = threading.Event()
    assert look.ask("a", lambda: "old", patience_s=PATIENCE_S) == "old"
    started: list[int] = []

    def hang() -> str:
        started.append(1)
        back.wait(PATIENCE_S)
        return "new"

    before = time.monotonic()
    assert look.ask("a", hang, patience_s=0.2) == "old"
    for _ in range(100):
        assert look.ask("a", hang, patience_s=0.2) == "old"
    assert time.monotonic() - before < 2.0
    assert look.silent_s > 0.2
    assert len(started) == 1
    back.set()
    wait_until(lambda: look.silent_s == 0.0)
    assert look.ask("a", lambda: "newest", patience_s=PATIENCE_S, fresh_s=60.0) == "new"


def test_another_question_does_not_wait_for_the_one_that_hangs() -> None:
    look: Look[str] = Look()
    back = threading.Event()

    def hang() -> str:
        back.wait(PATIENCE_S)
        return "late"

    assert look.ask("dead", hang, patience_s=0.05) is None
    assert look.ask("alive", lambda: "here", patience_s=PATIENCE_S) == "here"
    back.set()
    wait_until(lambda: threading.active_count() == 1 or look.silent_s == 0.0)
    time.sleep(0.05)
    assert look.ask("alive", lambda: "x", patience_s=PATIENCE_S, fresh_s=60.0) == "here"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_in_a_look_is_no_answer() -> None:
    look: Look[str] = Look()

    def bug() -> str:
        raise KeyError("a bug")

    assert look.ask("a", bug, patience_s=PATIENCE_S) is None
    assert look.ask("a", lambda: "fine", patience_s=PATIENCE_S) == "fine"
