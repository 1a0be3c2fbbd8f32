"""Keep Video: the frames of a take in a file, written by a thread that holds nobody up."""

from __future__ import annotations

import queue
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..clips.errors import load_av
from .feed import CameraFrame

_WAITING = 8  # frames; more are left out rather than kept in memory
_TIME_BASE = Fraction(1, 10_000)
_RATE = 30


class VideoKeeper:
    """Writes an MP4 whose times are the frames' own, from the first one on.

    path      the file
    left_out  frames that were not written
    error     what writing has failed with
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._frames: queue.Queue[CameraFrame | None] = queue.Queue(_WAITING)
        self.left_out = 0
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="keep-video", daemon=True)
        self._thread.start()

    def add(self, frame: CameraFrame) -> None:
        """Write a frame soon, or leave it out where the disk or the encoder is too slow."""
        try:
            self._frames.put_nowait(frame)
        except queue.Full:
            self.left_out += 1

    def finish(self) -> None:
        """Write what waits and close the file. Raises OSError."""
        self._frames.put(None)
        self._thread.join()
        if self.error is not None:
            raise OSError(getattr(self.error, "errno", None) or 0, str(self.error))

    def _run(self) -> None:
        av = load_av()
        try:
            self._write(av)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self.error = error
            while self._frames.get() is not None:
                pass

    def _write(self, av) -> None:
        frame = self._frames.get()
        if frame is None:
            return
        start_s, height, width = frame.time_s, *_even(frame.image).shape[:2]
        with av.open(str(self.path), "w") as container:
            is_there = "libx264" in av.codec.codecs_available
            options = {"preset": "ultrafast", "crf": "20"} if is_there else {}
            stream = container.add_stream(
                "libx264" if is_there else "mpeg4", _RATE, options=options
            )
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.time_base = _TIME_BASE
            last = -1
            while frame is not None:
                image = _even(frame.image)
                pts = round((frame.time_s - start_s) / _TIME_BASE)
                if image.shape[:2] == (height, width) and pts > last:
                    picture = av.VideoFrame.from_ndarray(image, "rgb24")
                    picture.pts, picture.time_base, last = pts, _TIME_BASE, pts
                    container.mux(stream.encode(picture))
                frame = self._frames.get()
            container.mux(stream.encode(None))


def _even(image: np.ndarray) -> np.ndarray:
    """H.264 wants even sides."""
    height, width = image.shape[:2]
    return np.ascontiguousarray(image[: height // 2 * 2, : width // 2 * 2])
