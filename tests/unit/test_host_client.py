"""host.client.Engine with a child that behaves: requests, policies, waiting, progress, life."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import is_alive, wait_until
from keyportrait.engine.protocol import Array, ProtocolError
from keyportrait.host.client import EngineError, Policy, State

FRAME_S = 30.0
IMAGE = Array("uint8", (64, 96, 4), bytes([128]) * (64 * 96 * 4))


def open_picture(engine: Any, faces: int = 1) -> int:
    ticket = engine.submit("detect", {"encoding": "srgb"}, {"image": IMAGE})
    found = engine.wait(ticket, FRAME_S).fields["faces"]
    assert len(found) == faces
    fields = {"encoding": "srgb", "renderer": "analytic", "faces": found, "options": {}}
    return engine.wait(engine.submit("open", fields, {"image": IMAGE}), FRAME_S).fields["handle"]


def render_fields(handle: int, yaw: float = 0.0, **options: Any) -> dict[str, Any]:
    return {"handle": handle, "motions": [{"yaw": yaw}], "options": options}


def drain_until(engine: Any, count: int) -> list[Any]:
    replies: list[Any] = []
    wait_until(lambda: replies.extend(engine.drain()) or len(replies) >= count, f"{count} replies")
    return replies


def test_states_from_start_to_stop(start_engine: Any, tmp_path: Path) -> None:
    release = tmp_path / "go"
    engine = start_engine("--release", str(release))
    assert engine.state in (State.STARTING, State.READY)
    engine.wait_ready(FRAME_S)
    assert engine.state is State.READY
    assert engine.capabilities["renderers"]["analytic"]["device_class"] == "cpu"
    pid = engine.pid
    assert is_alive(pid)
    handle = open_picture(engine)
    ticket = engine.submit("render", render_fields(handle))
    assert engine.state is State.BUSY
    release.touch()
    engine.wait(ticket, FRAME_S)
    assert engine.state is State.READY
    engine.stop()
    assert engine.state is State.STOPPED
    assert engine.error is None
    assert not is_alive(pid)


def test_requests_before_the_handshake_are_kept_in_order(start_engine: Any) -> None:
    engine = start_engine()
    tickets = [engine.submit("detect", {"encoding": "srgb"}, {"image": IMAGE}) for _ in range(5)]
    engine.wait_ready(FRAME_S)
    replies = drain_until(engine, 5)
    assert [reply.ticket for reply in replies] == tickets
    assert all(reply.message.type == "detected" for reply in replies)


def test_a_frame_carries_rectangle_and_pixels(start_engine: Any) -> None:
    engine = start_engine("--faces", "2")
    handle = open_picture(engine, faces=2)
    fields = {"handle": handle, "motions": [{"yaw": 5.0}, {"yaw": -7.0}], "options": {}}
    frame = engine.wait(engine.submit("render", fields), FRAME_S)
    assert frame.fields["rectangle"] == [24, 16, 48, 32]
    pixels = frame.arrays["pixels"]
    assert (pixels.dtype, pixels.shape) == ("uint8", (32, 48, 4))
    assert bytes(pixels.data[:4]) == bytes([12, 0, 1, 255])


def test_a_failure_of_the_engine_is_a_typed_error(start_engine: Any) -> None:
    engine = start_engine()
    black = Array("uint8", (4, 4, 4), bytes(64))
    fields = {"encoding": "srgb", "name": "portrait.png"}
    ticket = engine.submit("detect", fields, {"image": black}, tag="mine")
    (reply,) = drain_until(engine, 1)
    assert reply.ticket is ticket
    assert reply.ticket.tag == "mine"
    assert reply.message is None
    assert (reply.error.code, reply.error.message) == (
        "no_face",
        "No face found in 'portrait.png'.",
    )
    assert "48 px" in reply.error.hint
    assert engine.state is State.READY


def test_newest_wins_for_a_key_and_other_keys_are_left_alone(
    start_engine: Any, tmp_path: Path
) -> None:
    release = tmp_path / "go"
    engine = start_engine("--release", str(release))
    handle = open_picture(engine)
    tickets = {
        key: [
            engine.submit(
                "render", render_fields(handle, yaw), policy=Policy.NEWEST, key=key, tag=yaw
            )
            for yaw in range(10)
        ]
        for key in ("a", "b")
    }
    release.touch()
    replies = drain_until(engine, 20)
    assert len(replies) == 20
    for key, made in tickets.items():
        codes = [ticket.error.code if ticket.error else "" for ticket in made]
        assert codes == ["", *["superseded"] * 8, ""], key
        shown = [ticket.reply.arrays["pixels"].data[0] for ticket in (made[0], made[-1])]
        assert shown == [0, 9]
    assert engine.drain() == []


def test_all_keeps_every_request_in_order(start_engine: Any) -> None:
    engine = start_engine()
    handle = open_picture(engine)
    for yaw in range(50):
        engine.submit("render", render_fields(handle, yaw), policy=Policy.ALL, key="bake", tag=yaw)
    replies = drain_until(engine, 50)
    assert [r.ticket.tag for r in replies] == list(range(50))
    assert [r.message.arrays["pixels"].data[0] for r in replies] == list(range(50))


def test_progress_is_seen_on_the_ticket(start_engine: Any, tmp_path: Path) -> None:
    release = tmp_path / "go"
    engine = start_engine("--release", str(release), "--progress", "4")
    handle = open_picture(engine)
    ticket = engine.submit("render", render_fields(handle))
    wait_until(lambda: ticket.progress.fraction == 1.0, "progress")
    assert ticket.progress.text == "step 4"
    assert not ticket.is_done
    release.touch()
    engine.wait(ticket, FRAME_S)


def test_threads_wait_for_their_own_frames_while_the_main_thread_drains(start_engine: Any) -> None:
    """As when Blender's render thread waits and the main thread's timer pumps."""
    engine = start_engine()
    handle = open_picture(engine)
    results: dict[int, list[int]] = {}

    def render(number: int) -> None:
        results[number] = []
        for step in range(20):
            ticket = engine.submit("render", render_fields(handle, number * 20 + step))
            message = engine.wait(ticket, FRAME_S)
            results[number].append(message.arrays["pixels"].data[0])

    threads = [threading.Thread(target=render, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    drained: list[Any] = []
    wait_until(
        lambda: drained.extend(engine.drain()) or not any(t.is_alive() for t in threads),
        "the end of the waiting threads",
    )
    assert results == {n: list(range(n * 20, n * 20 + 20)) for n in range(4)}


def test_a_ticket_is_handed_out_once(start_engine: Any) -> None:
    engine = start_engine()
    handle = open_picture(engine)
    waited = engine.submit("render", render_fields(handle))
    quiet = engine.submit("render", render_fields(handle), use_drain=False)
    drained = engine.submit("render", render_fields(handle))
    engine.wait(waited, FRAME_S)
    wait_until(lambda: drained.is_done)
    assert quiet.is_done
    assert [reply.ticket for reply in engine.drain()] == [drained]
    assert engine.drain() == []
    assert engine.wait(drained, 0.0) is drained.reply


def test_wait_takes_a_finished_ticket_out_of_the_drain(start_engine: Any) -> None:
    engine = start_engine()
    handle = open_picture(engine)
    ticket = engine.submit("render", render_fields(handle))
    wait_until(lambda: ticket.is_done)
    assert engine.wait(ticket, 0.0).type == "frame"
    assert engine.drain() == []


def test_a_wait_lasts_as_long_as_there_is_progress(start_engine: Any) -> None:
    engine = start_engine("--delay", "4", "--beat", "0.1")
    handle = open_picture(engine)
    ticket = engine.submit("render", render_fields(handle))
    assert engine.wait(ticket, 2.0).type == "frame"


def test_a_wait_that_takes_too_long_fails_and_frees_the_engine(
    start_engine: Any, tmp_path: Path
) -> None:
    release = tmp_path / "go"
    engine = start_engine("--release", str(release))
    handle = open_picture(engine)
    ticket = engine.submit("render", render_fields(handle), policy=Policy.NEWEST, key="live")
    with pytest.raises(EngineError) as caught:
        engine.wait(ticket, 0.05)
    assert caught.value.code == "timeout"
    # The file never appears; only the cancel can have ended the engine's work.
    wait_until(lambda: engine.state is State.READY, "the engine's return")
    release.touch()
    following = engine.submit("render", render_fields(handle), policy=Policy.NEWEST, key="live")
    assert engine.wait(following, FRAME_S).type == "frame"


def test_cancel_ends_waiting_and_running_requests(start_engine: Any, tmp_path: Path) -> None:
    engine = start_engine("--release", str(tmp_path / "never"))
    handle = open_picture(engine)
    tickets = [
        engine.submit("render", render_fields(handle), policy=Policy.NEWEST, key="live")
        for _ in range(2)
    ]
    other = engine.submit("render", render_fields(handle), key="other")
    for ticket in tickets:
        engine.cancel(ticket)
    assert [ticket.error.code for ticket in tickets] == ["cancelled"] * 2
    assert not other.is_done
    engine.cancel(other)
    engine.cancel(other)
    assert other.error.code == "cancelled"
    wait_until(lambda: engine.state is State.READY, "the engine's return")
    assert len(engine.drain()) == 3


def test_requests_to_a_stopped_engine_fail_at_once(start_engine: Any) -> None:
    engine = start_engine()
    engine.wait_ready(FRAME_S)
    engine.stop()
    ticket = engine.submit("close", {"handle": 1})
    assert ticket.error.code == "not_running"
    assert [reply.ticket for reply in engine.drain()] == [ticket]
    with pytest.raises(EngineError) as caught:
        engine.wait_ready(FRAME_S)
    assert caught.value.code == "not_running"


def test_stop_fails_what_is_open_and_restart_begins_a_generation(
    start_engine: Any, tmp_path: Path
) -> None:
    release = tmp_path / "go"
    engine = start_engine("--release", str(release))
    handle = open_picture(engine)
    ticket = engine.submit("render", render_fields(handle))
    pid, generation = engine.pid, engine.generation
    engine.restart()
    assert ticket.error.code == "not_running"
    assert engine.state is State.STARTING
    assert engine.generation == generation + 1
    release.touch()
    engine.wait_ready(FRAME_S)
    assert engine.pid != pid
    wait_until(lambda: not is_alive(pid), "the end of the first process")
    stale = engine.submit("render", render_fields(handle))
    with pytest.raises(EngineError) as caught:
        engine.wait(stale, FRAME_S)
    assert caught.value.code == "unknown_handle"
    assert open_picture(engine)


def test_start_twice_is_one_engine_and_stop_twice_is_fine(start_engine: Any) -> None:
    engine = start_engine()
    pid = engine.pid
    engine.start()
    assert engine.pid == pid
    engine.stop()
    engine.stop()


def test_a_request_off_the_table_is_the_callers_error(start_engine: Any) -> None:
    engine = start_engine()
    for kind, fields in (("nonsense", {}), ("render", {"handle": 1}), ("frame", {"rectangle": []})):
        with pytest.raises(ProtocolError):
            engine.submit(kind, fields)
    with pytest.raises(ValueError, match="JSON"):
        engine.submit("close", {"handle": float("nan")})
    engine.wait_ready(FRAME_S)
    assert open_picture(engine) == 1
    assert engine.state is State.READY


def test_a_saved_picture_sends_no_pixels(start_engine: Any, tmp_path: Path) -> None:
    engine = start_engine()
    handle = open_picture(engine)
    path = tmp_path / "0001.png"
    save = {"path": str(path), "format": "PNG", "color_depth": "8"}
    frame = engine.wait(engine.submit("render", render_fields(handle, 3.0, save=save)), FRAME_S)
    assert frame.arrays["pixels"].data == b""
    assert path.read_bytes().startswith(b"\x89PNG")


def test_two_engines_do_not_disturb_each_other(start_engine: Any) -> None:
    first, second = start_engine(), start_engine("--faces", "3")
    assert open_picture(second, faces=3) == 1
    pid = first.pid
    second.stop()
    assert is_alive(pid)
    assert open_picture(first) == 1
