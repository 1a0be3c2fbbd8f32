"""An engine that is killed at random moments under live traffic and a bake at once."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from keyportrait.host import bake, cache, sequence
from keyportrait.host.client import EngineError, Policy, State
from test_host_client import FRAME_S, IMAGE, render_fields
from test_host_waiting import OPENING, is_open, submit_open

FRAMES = 40
KILLS = 5


class Live:
    """A portrait's traffic, as rig/session.py makes it: opens, renders the newest, opens again."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.shown = 0
        self._generation = -1
        self._handle: int | None = None
        self._opening: Any = None
        self._renderings: list[Any] = []

    def tick(self) -> None:
        done = [ticket for ticket in self._renderings if ticket.is_done]
        self.shown += sum(ticket.reply is not None for ticket in done)
        self._renderings = [ticket for ticket in self._renderings if not ticket.is_done]
        if self._generation != self.engine.generation:
            self._generation, self._handle, self._opening = self.engine.generation, None, None
        if self._handle is None and self._opening is None:
            self._opening = submit_open(self.engine)
        elif self._opening is not None and self._opening.is_done:
            ticket, self._opening = self._opening, None
            self._handle = None if ticket.error else ticket.reply.fields["handle"]
        elif self._handle is not None:
            fields = render_fields(self._handle, self.shown % 90)
            ticket = self.engine.submit(
                "render", fields, policy=Policy.NEWEST, key="live", use_drain=False
            )
            self._renderings.append(ticket)

    def close(self) -> None:
        if self._opening is not None:
            self.engine.abandon(self._opening)
        if self._handle is not None:
            self.engine.submit("close", {"handle": self._handle}, use_drain=False)


def frame_tasks(output: Any) -> list[Any]:
    tasks = []
    for frame in range(1, FRAMES + 1):
        motions = [{"yaw": float(frame)}]
        key = cache.frame_key(
            source="s", faces=[], motions=motions, renderer={}, output=output.settings()
        )
        tasks.append(sequence.FrameTask(frame, key, motions))
    return tasks


@pytest.mark.parametrize("seed", [1, 2])
def test_kills_lose_no_frame_and_leave_nothing_open(
    start_engine: Any, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    engine = start_engine("--delay", "0.005", "--progress", "2")
    live = Live(engine)
    output = sequence.SequenceOutput(tmp_path / "out", "Ada")
    store = cache.FrameCache(tmp_path / "cache", 10**8)
    request = sequence.OpenRequest(OPENING, {"image": IMAGE})
    running = bake.SequenceBake(engine, lambda: request, frame_tasks(output), output, store)
    kills, generation, next_kill = 0, 0, 0
    deadline = time.monotonic() + 2 * FRAME_S
    while not running.is_done:
        assert time.monotonic() < deadline
        live.tick()
        running.step(0.002)
        if engine.state not in (State.READY, State.BUSY):
            continue
        if generation != engine.generation:
            # A bake gives up when an engine dies twice without a frame in between.
            generation, next_kill = engine.generation, running.counts.total + chance.randint(1, 4)
        if kills < KILLS and running.counts.total >= next_kill:
            time.sleep(chance.uniform(0.0, 0.02))
            os.kill(engine.pid, signal.SIGKILL)
            kills += 1
            wait_until(lambda: engine.state is State.FAILED, "the end of the engine")
    running.close()
    assert kills == KILLS
    assert all(cache.is_whole(output.path(frame)) for frame in range(1, FRAMES + 1))
    assert running.counts.total == FRAMES
    shown = live.shown
    wait_until(lambda: live.tick() or live.shown > shown, "live pictures after the last kill")
    live.close()
    wait_until(lambda: engine.state is State.READY, "the end of all traffic")
    assert not any(is_open(engine, handle) for handle in range(1, 10))
    with pytest.raises(EngineError, match="not open"):
        engine.wait(engine.submit("render", render_fields(1)), FRAME_S)
