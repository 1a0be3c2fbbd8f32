"""A stand-in for the engine: a real child process that speaks the protocol and paints test cards.

    python tests/fakes/engine.py [--parent-pid N] [mode …]

Standard library only. Without a mode it behaves: it finds faces (`--faces N`, none in a black
picture), opens pictures, and renders cards whose colour follows the motion: red is the yaw, green
the smile's first term, blue the frame counter. A capture gives a take without frames; with `--beat`
it works in steps, and more urgent requests come in between. The modes make it misbehave, see
`parse`.
"""

from __future__ import annotations

import argparse
import os
import queue
import signal
import struct
import sys
import threading
import time
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.backlog import Rank, rank_of
from engine.motion import NO_FACE_HINT, Face, Motion
from engine.protocol import (
    DTYPES,
    PROTOCOL_VERSION,
    Array,
    Message,
    read_message,
    write_message,
)

FACTS = {"device": "CPU", "device_class": "cpu", "precision": "float32", "model_set": "cards"}


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent-pid", type=int, default=0)
    parser.add_argument("--faces", type=int, default=1)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds of work per render")
    parser.add_argument("--work", default="render", help="the request that delay and release mean")
    parser.add_argument("--release", default="", help="work until this file exists")
    parser.add_argument("--lack", default="", help="the renderer that is not installed")
    parser.add_argument("--fail", default="", help="REQUEST:CODE, what always fails, and how")
    parser.add_argument("--notice", default="", help="what every saved frame tells the user")
    parser.add_argument("--device-class", default="", help="what opened pictures are moved on")
    parser.add_argument("--ignore-cancel", action="store_true", help="finish what was cancelled")
    parser.add_argument("--progress", type=int, default=0, help="progress notes per request")
    parser.add_argument("--beat", type=float, default=0.0, help="seconds between notes at work")
    parser.add_argument("--crash-on", type=int, default=0, help="die at the nth request")
    parser.add_argument("--crash-half", type=int, default=0, help="die in the middle of its reply")
    parser.add_argument("--garbage-on", type=int, default=0, help="answer the nth with nonsense")
    parser.add_argument("--lie-on", type=int, default=0, help="announce gigabytes, send nothing")
    parser.add_argument("--long-header-on", type=int, default=0, help="a header without an end")
    parser.add_argument("--mix-up-on", type=int, default=0, help="answer with the wrong type")
    parser.add_argument("--stray-on", type=int, default=0, help="answer a request never made")
    parser.add_argument("--give-up-on", type=int, default=0, help="a failed notice with id 0")
    parser.add_argument("--exit-at-once", action="store_true", help="die before hello")
    parser.add_argument("--silent", action="store_true", help="never say anything")
    parser.add_argument("--noise", action="store_true", help="print to stdout before hello")
    parser.add_argument("--refuse", action="store_true", help="answer hello with failed")
    parser.add_argument("--protocol", type=int, default=PROTOCOL_VERSION)
    parser.add_argument("--release-version", default="", help="claim this version")
    parser.add_argument("--mute-on", type=int, default=0, help="no pong from the nth request on")
    parser.add_argument("--deaf-on", type=int, default=0, help="read nothing after the nth request")
    parser.add_argument("--stubborn", action="store_true", help="ignore shutdown, EOF and SIGTERM")
    parser.add_argument("--chatter", type=int, default=0, help="lines on stderr per request")
    parser.add_argument("--huge-frame", type=int, default=0, help="edge of every card, pixels")
    return parser.parse_args(argv)


class FakeEngine:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.wire = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        self.lock = threading.Lock()
        self.requests: queue.Queue[Message | None] = queue.Queue()
        self.cancelled: set[int] = set()
        self.count = 0  # requests that the worker has begun, hello not among them
        self.frames = 0
        self.opened = 0
        self.handles: dict[int, tuple[int, int, str]] = {}

    # --- reading ------------------------------------------------------------------------------

    def run(self) -> None:
        if self.options.silent:
            time.sleep(3600)
        if self.options.noise:
            self.wire.write(b"Welcome to the fake engine!\n")
        threading.Thread(target=self.work, daemon=True).start()
        seen = 0
        while (message := read_message(sys.stdin.buffer)) is not None:
            if message.type == "ping":
                if not self.options.mute_on or seen < self.options.mute_on:
                    self.say(Message("pong", message.id, {"is_busy": not self.requests.empty()}))
            elif message.type == "cancel":
                self.cancelled.add(message.fields["request"])
                fields = {"request": message.fields["request"], "is_found": True}
                self.say(Message("cancelled", message.id, fields))
            elif message.type == "shutdown":
                self.requests.put(message)
                break
            else:
                seen += message.type != "hello"
                self.requests.put(message)
                if self.options.deaf_on and seen >= self.options.deaf_on:
                    time.sleep(3600)
        if self.options.stubborn:
            time.sleep(3600)
        if message is not None:
            self.requests.join()

    def say(self, message: Message) -> None:
        with self.lock:
            write_message(self.wire, message)

    # --- working ------------------------------------------------------------------------------

    def work(self) -> None:
        while True:
            message = self.requests.get()
            if message.type == "hello":
                self.hello(message)
            elif message.type == "shutdown":
                self.say(Message("bye", message.id))
            else:
                self.begin(message)
            self.requests.task_done()

    def begin(self, message: Message) -> None:
        self.count += 1
        self.misbehave(message)
        self.answer(message)

    def let_pass(self) -> None:
        """Work on everything that is more urgent than a capture."""
        waiting: list[Message] = []
        while not self.requests.empty():
            waiting.append(self.requests.get())
        for message in waiting:
            if rank_of(message) > Rank.BACKGROUND:
                self.begin(message)
            else:
                self.requests.put(message)
            self.requests.task_done()

    def hello(self, message: Message) -> None:
        if self.options.refuse:
            fields = {"code": "not_installed", "message": "No cv2.", "hint": "Install it."}
            self.say(Message("failed", message.id, fields))
            return
        fields = {
            "protocol": self.options.protocol,
            "version": self.options.release_version or message.fields["version"],
            "capabilities": {"renderers": {"analytic": FACTS}, "fake": True},
        }
        self.say(Message("ready", message.id, fields))

    def misbehave(self, message: Message) -> None:
        options, count = self.options, self.count
        for number in range(options.chatter):
            print(f"request {count} line {number} " + "x" * 500, file=sys.stderr)
        if count == options.crash_on:
            print("fake engine: crashing as told", file=sys.stderr, flush=True)
            os._exit(3)
        raw = {
            options.crash_half: b'{"type":"frame","id":%d,"fields":{"rectangle":[0,0,4,4]},"arrays"'
            b':[{"name":"pixels","dtype":"uint8","shape":[4,4,4]}],"bytes":64}\n1234' % message.id,
            options.garbage_on: b"Segmentation fault (core dumped)\n",
            options.lie_on: b'{"type":"frame","id":%d,"fields":{"rectangle":[0,0,1,1]},"arrays":'
            b'[{"name":"pixels","dtype":"uint8","shape":[4000000000]}],"bytes":4000000000}\n'
            % message.id,
            options.long_header_on: b"[" * (5 << 20),
        }.get(count)
        if raw is not None and count:
            with self.lock:  # a pong in between would fill up the half reply
                self.wire.write(raw)
                if count == options.crash_half:
                    os._exit(4)
        if count == options.mix_up_on:
            self.say(Message("closed", message.id, {"handle": 1}))
        elif count == options.stray_on:
            self.say(Message("closed", 999_999, {"handle": 1}))
        elif count == options.give_up_on:
            fields = {"code": "internal", "message": "I give up.", "hint": ""}
            self.say(Message("failed", 0, fields))

    def answer(self, message: Message) -> None:
        for step in range(self.options.progress):
            fields = {"fraction": (step + 1) / self.options.progress, "text": f"step {step + 1}"}
            self.say(Message("progress", message.id, fields))
        self.dawdle(message)
        if message.id in self.cancelled and not self.options.ignore_cancel:
            self.say(failed(message, "cancelled", "The request was cancelled."))
        elif self.options.fail.partition(":")[0] == message.type:
            code = self.options.fail.partition(":")[2]
            self.say(failed(message, code, f"It failed: {code}.", "Do something."))
        elif self.count != self.options.mix_up_on:
            self.say(getattr(self, "do_" + message.type)(message))

    def dawdle(self, message: Message) -> None:
        if message.type != self.options.work:
            return
        end = time.monotonic() + self.options.delay
        while self.options.beat and time.monotonic() < end:
            self.step(message)
        time.sleep(max(end - time.monotonic(), 0.0))
        while self.options.release and not Path(self.options.release).exists():
            if message.id in self.cancelled and not self.options.ignore_cancel:
                return
            if self.options.beat:
                self.step(message)
            else:
                time.sleep(0.005)

    def step(self, message: Message) -> None:
        self.say(Message("progress", message.id, {"fraction": 0.5, "text": "working"}))
        if message.type == "capture":
            self.let_pass()
        time.sleep(self.options.beat)

    def do_probe(self, message: Message) -> Message:
        name = message.fields["renderer"]
        if name == self.options.lack:
            return failed(message, "not_installed", f"'{name}' is not set up.", "Set it up.")
        facts = {**FACTS, "model_set": name}
        return Message("probed", message.id, {"renderer": name, "facts": facts})

    def do_detect(self, message: Message) -> Message:
        image = message.arrays["image"]
        if not any(image.data):
            name = message.fields.get("name", "the picture")
            hint = NO_FACE_HINT
            return failed(message, "no_face", f"No face found in '{name}'.", hint)
        height, width = image.shape[:2]
        faces = [self.face(n, width, height).to_json() for n in range(self.options.faces)]
        return Message("detected", message.id, {"faces": faces})

    def face(self, number: int, width: int, height: int) -> Face:
        step = width / self.options.faces
        box = (step * (number + 0.25), height * 0.25, step * (number + 0.75), height * 0.75)
        return Face(box, score=0.9, eyes_open=0.35, lips_open=0.02)

    def do_open(self, message: Message) -> Message:
        image = message.arrays["image"]
        self.opened += 1
        handle = self.opened
        self.handles[handle] = (image.shape[1], image.shape[0], image.dtype)
        fields = {"handle": handle, "faces": message.fields["faces"]}
        if self.options.device_class:
            fields["renderer"] = {**FACTS, "device_class": self.options.device_class}
        return Message("opened", message.id, fields)

    def do_render(self, message: Message) -> Message:
        if message.fields["handle"] not in self.handles:
            return failed(message, "unknown_handle", "The source is not open.")
        width, height, dtype = self.handles[message.fields["handle"]]
        motions = [Motion.from_json(m) for m in message.fields["motions"]]
        self.frames += 1
        save = message.fields["options"].get("save")
        if save:
            Path(save["path"]).write_bytes(png_card(width, height, self.colour(motions)))
            reply = frame(message, (0, 0, 0, 0), dtype, (0, 0, 0, 0))
            if self.options.notice:
                reply.fields["notices"] = [self.options.notice]
            return reply
        edge = self.options.huge_frame
        card = (0, 0, edge, edge) if edge else (width // 4, height // 4, width // 2, height // 2)
        return frame(message, card, dtype, self.colour(motions))

    def colour(self, motions: list[Motion]) -> tuple[int, int, int, int]:
        red = int(sum(abs(m.yaw) for m in motions)) % 256
        green = int(sum(abs(m.expression[61]) for m in motions) * 10_000) % 256
        return (red, green, self.frames % 256, 255)

    def do_capture(self, message: Message) -> Message:
        count = len(message.fields["faces"])
        shapes = {
            "times": ("float64", (0,)), "values": ("float32", (count, 0, 0)),
            "keys": ("uint8", (count, 0, 0)), "expression": ("float32", (0, 63)),
            "translation": ("float32", (0, 3)), "is_seen": ("uint8", (0,)),
        }  # fmt: skip
        arrays = {name: Array(dtype, shape, b"") for name, (dtype, shape) in shapes.items()}
        return Message("captured", message.id, {"columns": [], "reference": 0, "cuts": []}, arrays)

    def do_close(self, message: Message) -> Message:
        self.handles.pop(message.fields["handle"], None)
        return Message("closed", message.id, {"handle": message.fields["handle"]})


def failed(message: Message, code: str, text: str, hint: str = "") -> Message:
    return Message("failed", message.id, {"code": code, "message": text, "hint": hint})


def frame(
    message: Message,
    rectangle: tuple[int, int, int, int],
    dtype: str,
    colour: tuple[int, int, int, int],
) -> Message:
    if dtype == "uint8":
        pixel = bytes(colour)
    elif dtype == "float32":
        pixel = struct.pack("<4f", *(value / 255 for value in colour))
    else:
        pixel = bytes(4 * DTYPES[dtype])
    width, height = rectangle[2:]
    array = Array(dtype, (height, width, 4), pixel * (width * height))
    return Message("frame", message.id, {"rectangle": list(rectangle)}, {"pixels": array})


def png_card(width: int, height: int, colour: tuple[int, int, int, int]) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = (b"\0" + bytes(colour) * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 1))
        + chunk(b"IEND", b"")
    )


if __name__ == "__main__":
    arguments = parse(sys.argv[1:])
    if arguments.exit_at_once:
        sys.exit("fake engine: no module named cv2")
    if arguments.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    FakeEngine(arguments).run()
    os._exit(0)
