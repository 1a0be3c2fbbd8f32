"""Live: a camera's newest frame becomes what faces shall do now, and takes while somebody records.

A thread of its own reads the face; requests only look at what it has found. Nothing of a picture
is kept longer than until the next one, unless a take shall keep its video.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from .analytic.encoder import RESTING, encode
from .camera.feed import CameraFrame, Feed, Frames, open_frames
from .camera.keeping import VideoKeeper
from .camera_table import DARK, NO_FACE, OFF, OPENING, RUNNING, STATES
from .faces.measures import MEASURE_NAMES
from .performance.performance import Performance, Rest
from .recording import Recording
from .renderer import ReportedError
from .tracking.curves import moves_of, ratios_of
from .tracking.live import HEAD, LiveFace, LiveSmoother, Neutral, is_dark, relative

ASLEEP_S = 10.0  # that nobody polls: the camera is closed until somebody does
_WAIT_S = 0.1
_RATE_S = 2.0  # over which frames a second are counted
_LIDS = slice(HEAD + MEASURE_NAMES.index("lid_left"), HEAD + MEASURE_NAMES.index("lid_right") + 1)


@dataclass(frozen=True)
class Sample:
    """What the newest frame that was read shows.

    frame      its picture is gone with the next one
    performance  one moment and the performer's rest; None before a face was seen
    landmarks  (478, 3) pixels of the frame, None where no face is seen
    read_s     time.monotonic() when it was read
    """

    frame: CameraFrame
    performance: Performance | None
    landmarks: np.ndarray | None
    read_s: float


@dataclass(frozen=True)
class Look:
    """How the camera is now.

    state, message, hint  of camera_table.STATES, and what it means
    sample     the newest, None before the first frame
    fps        frames that are read in a second
    dropped    frames that came and were not read, since the start
    neutral_s  seconds until the performer must be at rest; 0 where nobody asked
    has_neutral  rest is known and changes no more by itself
    """

    state: str
    message: str
    hint: str
    sample: Sample | None
    fps: float
    dropped: int
    neutral_s: float
    has_neutral: bool


class Puppeteer:
    """The camera of one engine. Every method may be called from any thread, and none waits long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # One thread for all cameras, which keeps its networks.
        self._thread = ThreadPoolExecutor(1, "puppeteer")
        self._work: Future[None] | None = None
        self._feed: Feed | None = None
        self._is_wanted = False
        self._polled_s = 0.0
        self._smooth = 0.5
        self._forget()

    def _forget(self) -> None:
        self._face, self._neutral = LiveFace(), Neutral()
        self._smoother = LiveSmoother(self._smooth)
        self._sample: Sample | None = None
        self._state = OPENING
        self._read_at: deque[float] = deque()
        self._last_number = self._dropped = 0
        self._recording: Recording | None = None

    # --- asked for by requests ----------------------------------------------------------------

    def start(self, device_id: str, size: tuple[int, int]) -> None:
        """Open a camera; another one that is open is closed."""
        self.stop()
        with self._lock:
            self._forget()
            self._is_wanted = True
            self._polled_s = time.monotonic()
            self._work = self._thread.submit(self._run, partial(open_frames, device_id, size))

    def stop(self) -> None:
        """Close the camera and forget everything about the performer."""
        with self._lock:
            work, self._work, self._is_wanted = self._work, None, False
            self._sample = None
        self.drop_recording()
        if work is not None:
            wait((work,))

    def poll(self, smooth: float) -> Look:
        """How it is now; somebody who looks keeps the camera open.

        smooth  0 as it was read, 1 very smooth
        Raises what the reading thread has failed with: ReportedError (no_models), or a bug.
        """
        with self._lock:
            self._polled_s = now_s = time.monotonic()
            if self._work is not None and self._work.done():
                self._work.result()
            if smooth != self._smooth:
                self._smooth, self._smoother = smooth, LiveSmoother(smooth)
            feed, state = self._feed, OFF if self._work is None else self._state
            problem = None if feed is None else feed.problem
            message, hint = STATES[state], ""
            if state != OFF and problem is not None:
                state, message, hint = problem.state, str(problem), problem.hint
            while self._read_at and now_s - self._read_at[0] > _RATE_S:
                self._read_at.popleft()
            return Look(
                state,
                message,
                hint,
                self._sample,
                len(self._read_at) / _RATE_S,
                self._dropped,
                self._neutral.left_s(now_s),
                self._neutral.is_found,
            )

    def set_neutral(self, countdown_s: float) -> None:
        """Take the performer's face as it is after a countdown as neutral."""
        with self._lock:
            self._neutral.ask(time.monotonic() + countdown_s)

    def record(self, start_s: float, video: Path | None) -> None:
        """Keep what the performer does from a moment of time.monotonic() on."""
        with self._lock:
            if self._work is None:
                raise ReportedError("bad_request", "The camera is off.", "Start it first.")
            if self._recording is not None:
                raise ReportedError("bad_request", "A take is recorded already.", "End it first.")
            keeper = None if video is None else VideoKeeper(video)
            self._recording = Recording(start_s, keeper)

    def end_recording(self) -> tuple[Recording, np.ndarray]:
        """What was recorded, and the neutral row that it counts from. Raises ReportedError."""
        with self._lock:
            recording, self._recording = self._recording, None
            neutral = self._neutral.row
        if recording is None:
            raise ReportedError("bad_request", "Nothing is recorded.", "Press Record first.")
        try:
            recording.finish_video()
        except OSError as error:
            text = f"The video of the take cannot be written: {error}."
            recording.notices.append(text)
        if neutral is None or not recording.seen_count:
            raise ReportedError(
                "bad_performance", "No face was seen while recording.", "Look at the camera."
            )
        return recording, neutral

    def drop_recording(self) -> None:
        """Throw away what was recorded, its video too."""
        with self._lock:
            recording, self._recording = self._recording, None
        if recording is not None:
            recording.drop()

    # --- the reading thread -------------------------------------------------------------------

    def _run(self, opened: Callable[[], Frames]) -> None:
        after = 0
        try:
            while self._is_wanted:
                if time.monotonic() - self._polled_s > ASLEEP_S and self._recording is None:
                    self._close_feed()
                    time.sleep(_WAIT_S)
                    continue
                if self._feed is None:
                    self._feed, after = Feed(opened), 0
                frame = self._feed.newest(after, _WAIT_S)
                if frame is not None:
                    self._read(frame, after)
                    after = frame.number
                elif not self._feed.has_frames:
                    self._state = OPENING
        finally:
            self._close_feed()

    def _close_feed(self) -> None:
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.stop()

    def _read(self, frame: CameraFrame, after: int) -> None:
        seen = self._face.read(frame.image, frame.time_s)
        with self._lock:
            self._dropped += max(frame.number - after - 1, 0)
            self._read_at.append(time.monotonic())
            recording = self._recording
            if recording is not None:
                recording.add(frame, None if seen is None else seen.row)
            if seen is None:
                self._state = DARK if is_dark(frame.image) else NO_FACE
                last = None if self._sample is None else self._sample.performance
                self._sample = Sample(frame, last, None, time.monotonic())
                return
            self._state = RUNNING
            self._neutral.see(seen.row, frame.time_s)
            neutral = self._neutral.row
            performance = None
            if neutral is not None:
                row = self._smoother.step(relative(seen.row[None], neutral)[0], frame.time_s)
                performance = performance_of(np.zeros(1), row[None], neutral, self._smooth)
            self._sample = Sample(frame, performance, seen.landmarks, time.monotonic())


def performance_of(
    times: np.ndarray,
    rows: np.ndarray,
    neutral: np.ndarray,
    smooth: float,
    is_seen: np.ndarray | None = None,
) -> Performance:
    """What (T, ROW) relative rows say, counted from a neutral row; see tracking.live."""
    rest = neutral.copy()
    rest[3:HEAD] = 0.0
    lids_open = np.maximum(rest[_LIDS], 0.05)
    rotation, translation, scale = moves_of(rows[:, :HEAD], smooth)
    rest_rotation, _, _ = moves_of(rest[None, :HEAD], smooth)
    measures, rest_measures = rows[:, HEAD:], rest[None, HEAD:]
    return Performance(
        times=times,
        rotation=rotation,
        translation=translation,
        scale=scale,
        expression=encode(measures, lids_open),
        ratios=ratios_of(measures),
        is_seen=np.ones(len(times), bool) if is_seen is None else is_seen,
        rest=Rest(
            rest_rotation[0],
            np.zeros(3, np.float32),
            1.0,
            encode(rest_measures, lids_open)[0],
            ratios_of(rest_measures),
        ),
        neutral=RESTING,
    )
