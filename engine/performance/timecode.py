"""Timecodes hh:mm:ss:ff.sss of recordings, as seconds."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

_PATTERN = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})[:;](\d{1,3}(?:\.\d+)?)$")
# Frames per second that timecodes count in, with the fractional rates' nominal ones.
_RATES = (24, 25, 30, 48, 50, 60, 120)
DEFAULT_RATE = 60
_DAY_S = 86400.0


def seconds_of(codes: Sequence[str]) -> tuple[np.ndarray, int] | None:
    """((T,) seconds from the first, frames per second of the codes); None for no timecodes.

    The rate is the one that the frame numbers run up to, where the recording passes from one
    second to the next, else 60, which Live Link Face uses. Midnight is passed.
    """
    matches = [_PATTERN.match(code.strip()) for code in codes]
    if not matches or not all(matches):
        return None
    fields = np.array([[float(part) for part in match.groups()] for match in matches if match])
    whole = fields[:, :3] @ (3600.0, 60.0, 1.0)
    rate = _rate(whole, fields[:, 3])
    seconds = whole + fields[:, 3] / rate
    days = np.concatenate([[0.0], np.cumsum(np.diff(seconds) < -0.5 * _DAY_S)])
    seconds += days * _DAY_S
    return seconds - seconds[0], rate


def _rate(whole: np.ndarray, frames: np.ndarray) -> int:
    highest = int(np.floor(frames.max()))
    fitting = [rate for rate in _RATES if rate > highest] or [highest + 1]
    passes_a_second = bool((np.diff(whole) != 0.0).any())
    return fitting[0] if passes_a_second else max(fitting[0], DEFAULT_RATE)
