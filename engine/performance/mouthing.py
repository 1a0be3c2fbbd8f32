"""From a row of sounds to what the mouth does: visemes that lean on one another, as a performance.

Every sound pulls its controls towards its values; the pull fades before and after it, slower
before, so that the mouth anticipates. Firm sounds, which need the lips shut or at the teeth, take
over afterwards, long enough for a frame of film to show it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..controls import CONTROLS_BY_NAME
from ..viseme_table import Viseme
from .geometry import KEYPOINT_COUNT
from .performance import MAX_FRAMES, Performance, PerformanceError, Rest
from .slider_expression import slider_expression

RATE = 50.0  # moments a second
# Mouths turn more often than other things; lips that are a little late are seen.
KEYS_PER_S, TOLERANCE = 11.5, 0.03
# How long a sound is felt before and after itself at plain articulation.
BEFORE_S, AFTER_S = 0.04, 0.035
_FARTHEST = 3.0  # of these, until which a pull is worth adding
# Lips that shut: how long at least, and how long they take.
SHUT_S = 0.06
FIRM_S = 0.05  # the same for other firm sounds
CLOSING_S, OPENING_S = 0.065, 0.055
# Lips meet before the sound stops, and part when it bursts.
EARLY_S, LATE_S = 0.005, 0.005
# Of a neighbour's length: how much shut lips may take of it, and how much the way there.
GIVEN, RAMP_SHARE, LEAST_RAMP_S = 0.2, 0.3, 0.025
_LEAST_PULL = 1e-6
_PIECE = 10_000  # rows
JAW = "mouth_open"
# What loudness alone says of the jaw: how far it is open at the loudest, and how much that counts.
WIDE, RINGING_SHARE = 0.45, 0.35


class Sound(NamedTuple):
    """One sound: its time in seconds, what it looks like, how wide it is spoken (1 as tabled)."""

    start_s: float
    end_s: float
    viseme: Viseme
    width: float = 1.0


class Manner(NamedTuple):
    """How it is spoken; see speech_options.SPEECH_AMOUNTS."""

    strength: float = 1.0
    jaw: float = 1.0
    articulation: float = 1.0


PLAIN = Manner()

# (seconds, 0..1 at each).
Ringing = tuple[np.ndarray, np.ndarray]


def mouthed(
    sounds: Sequence[Sound],
    duration_s: float,
    manner: Manner = PLAIN,
    rate: float = RATE,
    ringing: Ringing | None = None,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """((T,) times, control → (T,) values within the controls' limits) of a talking mouth.

    sounds   in order of time; where there is none the mouth is at rest
    rate     moments a second; that of a scene lets each moment be a frame
    ringing  how loud open vowels ring, which tells of the jaw, too; None where nobody heard
    Raises PerformanceError where that would be too long.
    """
    count = int(np.ceil(duration_s * rate)) + 1
    if count > MAX_FRAMES:
        hours = MAX_FRAMES / rate / 3600.0
        text = f"This lasts longer than {hours:.1f} hours."
        raise PerformanceError(text, "Choose a part of it.")
    times = np.arange(count) / rate
    controls = tuple(dict.fromkeys(name for sound in sounds for name in sound.viseme.values))
    pulls = np.full((count, len(controls)), _LEAST_PULL)
    moved = np.zeros((count, len(controls)))
    for sound in sounds:
        # Shut lips come afterwards; what the jaw does beneath them is told by the sounds around.
        if not sound.viseme.is_shut:
            _pull(sound, controls, manner, rate, pulls, moved)
    values = moved / pulls
    if ringing is not None and JAW in controls:
        wide = np.interp(times, *ringing, left=0.0, right=0.0) * WIDE * manner.jaw
        column = values[:, controls.index(JAW)]
        column += RINGING_SHARE * (wide - column)
    for index, sound in enumerate(sounds):
        if sound.viseme.firmness:
            _take_over(sounds, index, controls, rate, values)
    columns = dict(zip(controls, values.T * manner.strength, strict=True))
    return times, {name: limited(name, column) for name, column in columns.items()}


def _pull(
    sound: Sound,
    controls: Sequence[str],
    manner: Manner,
    rate: float,
    pulls: np.ndarray,
    moved: np.ndarray,
) -> None:
    # Mumbled sounds run into one another.
    reach = 1.6 / (0.6 + manner.articulation)
    before, after = BEFORE_S * reach, AFTER_S * reach
    rows, times = _around(sound, _FARTHEST * before, _FARTHEST * after, rate, len(pulls))
    early = np.maximum(sound.start_s - times, 0.0) / before
    late = np.maximum(times - sound.end_s, 0.0) / after
    length_s = max(sound.end_s - sound.start_s, 0.0)
    # What hardly lasts is hardly formed.
    weight = sound.viseme.weight * min(1.0, 0.4 + length_s / 0.1)
    pull = weight * np.exp(-(early**2) - late**2)
    for index, name in enumerate(controls):
        value = sound.viseme.values.get(name)
        if value is None:
            continue
        if name == JAW and value > 0.0:
            value *= sound.width * manner.jaw
        pulls[rows, index] += pull
        moved[rows, index] += pull * value


def _room(sounds: Sequence[Sound], index: int) -> float:
    """Seconds that a neighbour has to give; one that is firm itself gives what is asked."""
    if not 0 <= index < len(sounds) or sounds[index].viseme.firmness:
        return 1.0
    return max(0.0, sounds[index].end_s - sounds[index].start_s)


def lips_shut(
    sounds: Sequence[Sound], count: int, manner: Manner = PLAIN, rate: float = RATE
) -> np.ndarray:
    """(T,) 0..1: how far the lips are shut, also those that are open in the picture.

    count, rate  of the moments, as in `mouthed`
    """
    shut = np.zeros(count)
    for index, sound in enumerate(sounds):
        if sound.viseme.is_shut:
            rows, share = _reach(sounds, index, rate, count)
            shut[rows] = np.maximum(shut[rows], share)
    return shut * min(1.0, manner.strength)


def _take_over(
    sounds: Sequence[Sound],
    index: int,
    controls: Sequence[str],
    rate: float,
    values: np.ndarray,
) -> None:
    rows, share = _reach(sounds, index, rate, len(values))
    for column, name in enumerate(controls):
        value = sounds[index].viseme.values.get(name)
        if value is not None:
            values[rows, column] += share * (value - values[rows, column])


def _reach(
    sounds: Sequence[Sound], index: int, rate: float, count: int
) -> tuple[slice, np.ndarray]:
    """Rows around a firm sound, and how far it takes over in each, 0..1."""
    sound, room = sounds[index], (_room(sounds, index - 1), _room(sounds, index + 1))
    start, end = sound.start_s - EARLY_S, sound.end_s + LATE_S
    least = SHUT_S if sound.viseme.is_shut else FIRM_S
    missing = max(0.0, least - (end - start))
    # A short neighbour is not to be lost between two such sounds.
    start -= min(missing / 2, GIVEN * room[0])
    end += min(missing / 2, GIVEN * room[1])
    closing = min(CLOSING_S, max(LEAST_RAMP_S, RAMP_SHARE * room[0]))
    opening = min(OPENING_S, max(LEAST_RAMP_S, RAMP_SHARE * room[1]))
    rows, times = _around(Sound(start, end, sound.viseme), closing, opening, rate, count)
    away = np.maximum((start - times) / closing, (times - end) / opening)
    return rows, sound.viseme.firmness * (0.5 + 0.5 * np.cos(np.pi * np.clip(away, 0.0, 1.0)))


def _around(
    sound: Sound, before_s: float, after_s: float, rate: float, count: int
) -> tuple[slice, np.ndarray]:
    first = max(0, int(np.floor((sound.start_s - before_s) * rate)))
    last = min(count, int(np.ceil((sound.end_s + after_s) * rate)) + 1)
    rows = slice(first, max(first, last))
    return rows, np.arange(rows.start, rows.stop) / rate


def limited(name: str, column: np.ndarray) -> np.ndarray:
    """A control's values within its limits."""
    control = CONTROLS_BY_NAME[name]
    return np.clip(column, control.minimum, control.maximum)


def slider_performance(
    times: np.ndarray,
    sliders: Mapping[str, np.ndarray],
    rotation: np.ndarray | None = None,
    notices: Sequence[str] = (),
    shut: np.ndarray | None = None,
) -> Performance:
    """A performance of a rig whose rest is known: what face controls say, and how the head turns.

    rotation  (T, 3, 3), None for a head that stays
    shut      (T,) of lips_shut, None where nothing shuts the lips of the picture
    """
    count = len(times)
    still = np.eye(3, dtype=np.float32)
    # Nothing of the head is stored row by row that stays the same.
    return Performance(
        times=times,
        rotation=np.broadcast_to(still, (count, 3, 3)) if rotation is None else rotation,
        translation=np.broadcast_to(np.zeros(3, np.float32), (count, 3)),
        scale=np.broadcast_to(np.float32(1.0), (count,)),
        expression=_expression(sliders, count),
        ratios=None,
        is_seen=np.ones(count, bool),
        sliders={name: column.astype(np.float32) for name, column in sliders.items()},
        rest=Rest(still, np.zeros(3, np.float32), 1.0, np.zeros((KEYPOINT_COUNT, 3), np.float32)),
        notices=tuple(notices),
        keys_per_s=KEYS_PER_S,
        tolerance=TOLERANCE,
        lips_shut=shut,
    )


def _expression(sliders: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    """(count, 21, 3) float32, in pieces: hours of speech would take twice as much at once."""
    result = np.empty((count, KEYPOINT_COUNT, 3), np.float32)
    for start in range(0, count, _PIECE):
        part = slice(start, min(start + _PIECE, count))
        columns = {name: column[part] for name, column in sliders.items()}
        result[part] = slider_expression(columns, part.stop - start)
    return result
