"""A take that is being recorded from the camera, and what becomes of it."""

from __future__ import annotations

import contextlib

import numpy as np

from .camera.feed import CameraFrame
from .camera.keeping import VideoKeeper
from .tracking.curves import gapless
from .tracking.live import ROW, relative, usual_noise

MAX_FRAMES = 120_000  # an hour and more; memory stays below 30 MB


class Recording:
    """The rows of the frames since a moment.

    start_s     time.monotonic() of the take's beginning
    seen_count  frames that show a face
    notices     sentences for the user
    """

    def __init__(self, start_s: float, keeper: VideoKeeper | None) -> None:
        self.start_s = start_s
        self.seen_count = 0
        self.notices: list[str] = []
        self._keeper = keeper
        self._times: list[float] = []
        self._rows: list[np.ndarray | None] = []

    def __len__(self) -> int:
        return len(self._times)

    def add(self, frame: CameraFrame, row: np.ndarray | None) -> None:
        """Keep a frame; None for its row where no face is seen."""
        is_later = not self._times or frame.time_s > self._times[-1]
        if frame.time_s < self.start_s or not is_later or len(self) >= MAX_FRAMES:
            return
        self._times.append(frame.time_s)
        self._rows.append(row)
        self.seen_count += row is not None
        if self._keeper is not None:
            self._keeper.add(frame)

    def finish_video(self) -> None:
        """Close the file of the video, if it is kept. Raises OSError."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.finish()
            if keeper.left_out:
                count = keeper.left_out
                self.notices.append(
                    f"{count} frame{'s were' if count > 1 else ' was'} left out of the video: "
                    "the computer was too slow."
                )

    def drop(self) -> None:
        """Throw the video away, if it is kept."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            with contextlib.suppress(OSError):
                keeper.finish()
            keeper.path.unlink(missing_ok=True)

    def rows(
        self, neutral: np.ndarray, smooth: float, end_s: float | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(T,) times from start_s on, (T, ROW) steadied relative rows without gaps, (T,) is_seen.

        From the first frame with a face to the last; smoothing looks both ways, so nothing lags.
        """
        times = np.array(self._times) - self.start_s
        last = np.inf if end_s is None else end_s - self.start_s
        is_seen = np.array([row is not None for row in self._rows]) & (times <= last)
        found = np.flatnonzero(is_seen)
        if not len(found):
            return times[:0], np.zeros((0, ROW)), is_seen[:0]
        part = slice(int(found[0]), int(found[-1]) + 1)
        times, is_seen = times[part], is_seen[part]
        nothing = np.full(ROW, np.nan)
        table = np.stack([nothing if row is None else row for row in self._rows[part]])
        table[:, :3] = np.degrees(np.unwrap(np.radians(table[:, :3]), axis=0))
        noise, window_s = usual_noise()
        steady = gapless(relative(table, neutral), times, (), noise, window_s, smooth)
        return times, steady, is_seen
