"""The order in which waiting requests are worked on."""

from __future__ import annotations

import itertools
import threading
from typing import Any

from engine.backlog import DRAG_S, Backlog
from engine.protocol import Message

SAVE = {"save": {"path": "0001.png"}}


def request(kind: str, number: int, **fields: Any) -> Message:
    return Message(kind, number, fields)


def render(number: int, handle: int = 1) -> Message:
    return request("render", number, handle=handle, motions=[], options={})


def saving(number: int, handle: int = 2) -> Message:
    return request("render", number, handle=handle, motions=[], options=SAVE)


def backlog(*messages: Message, writers: int = 9) -> Backlog:
    seconds = itertools.count(step=int(DRAG_S + 1.0))  # nobody drags
    made = Backlog(writers, lambda: float(next(seconds)))
    for message in messages:
        made.put(message)
    return made


def order(made: Backlog) -> list[int]:
    made.close()
    return [message.id for message in iter(made.take, None)]


def between(made: Backlog, running: Message) -> list[int]:
    return [message.id for message in made.between(running)]


def test_live_requests_come_first_and_each_kind_in_its_order() -> None:
    made = backlog(
        request("capture", 1), saving(2), request("detect", 3), render(4), saving(5),
        request("open", 6), request("probe", 7), request("close", 8, handle=3), render(9),
    )  # fmt: skip
    assert order(made) == [4, 8, 9, 3, 6, 7, 1, 2, 5]


def test_requests_of_one_handle_keep_their_order() -> None:
    made = backlog(saving(1), saving(2), request("close", 3, handle=2), render(4, 2), render(5, 1))
    assert order(made) == [5, 1, 2, 3, 4]


def test_nothing_passes_hello_and_shutdown_waits_for_all() -> None:
    made = backlog(
        request("hello", 1), request("capture", 2), render(3), request("hello", 4), render(5),
        request("shutdown", 6),
    )  # fmt: skip
    assert order(made) == [1, 3, 2, 4, 5, 6]


def test_what_comes_between_the_steps_of_what() -> None:
    everything = (
        request("capture", 1), saving(2), saving(3), request("open", 4), render(5),
        request("hello", 6), render(7),
    )  # fmt: skip
    assert between(backlog(*everything), request("capture", 0)) == [5, 4, 2]
    assert between(backlog(*everything), request("open", 0)) == [5]
    assert between(backlog(*everything), render(0)) == []


def test_a_step_lets_pass_what_waits_now_and_then_goes_on() -> None:
    made = backlog(render(1), render(2))
    seen = []
    for message in made.between(request("capture", 0)):
        seen.append(message.id)
        made.put(render(message.id + 10))
    assert seen == [1, 2]
    assert order(made) == [11, 12]


def test_a_picture_waits_for_a_writer_and_keeps_nobody_waiting() -> None:
    made = backlog(saving(1), saving(2), render(3), request("capture", 4), writers=1)
    assert [made.take().id for _ in range(3)] == [3, 1, 4]  # type: ignore[union-attr]
    assert between(made, request("capture", 4)) == []
    taken: list[Message | None] = []
    thread = threading.Thread(target=lambda: taken.append(made.take()))
    thread.start()
    made.free_writer(render(3))  # which held none
    made.free_writer(saving(1))
    thread.join(30.0)
    assert [message.id for message in taken if message] == [2]


def test_a_bake_has_one_writer_while_sliders_are_dragged() -> None:
    now = 100.0
    made = Backlog(3, lambda: now)
    for message in (saving(1), saving(2), saving(3), render(4)):
        made.put(message)
    capture = request("capture", 0)
    assert between(made, capture) == [4, 1]
    assert between(made, capture) == []
    now += DRAG_S
    assert between(made, capture) == [2]
    assert between(made, capture) == [3]


def test_what_is_withdrawn_does_not_come() -> None:
    made = backlog(render(1), saving(2), request("capture", 3), request("shutdown", 4))
    assert [message.id for message in made.withdraw(2)] == [2]
    assert made.withdraw(99) == made.withdraw([]) == []
    assert [message.id for message in made.withdraw()] == [1, 3]
    assert order(made) == [4]


def test_handles_that_are_none_are_no_order() -> None:
    made = backlog(request("close", 1, handle=[]), request("close", 2, handle=[]), saving(3))
    assert order(made) == [1, 2, 3]


def test_a_backlog_that_is_closed_ends_when_it_is_empty() -> None:
    made = backlog(render(1))
    ends: list[Message | None] = []
    thread = threading.Thread(target=lambda: ends.extend([made.take(), made.take()]))
    thread.start()
    made.close()
    thread.join(30.0)
    assert ends[1] is None
