"""A sound as a performance: its phones are heard, and the mouth does what says them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from .clips.errors import ClipError
from .clips.sound_file import SoundFile
from .performance.geometry import rotation_matrix
from .performance.mouthing import (
    JAW,
    RATE,
    Manner,
    Ringing,
    Sound,
    limited,
    lips_shut,
    mouthed,
    slider_performance,
)
from .performance.performance import Performance, PerformanceError
from .renderer import ReportedError
from .renderers import missing_module
from .speech import features
from .speech.context import context_network
from .speech.hearing import acoustic_model
from .speech.listening import Heard, Listener
from .speech.liveliness import blinks, head_degrees
from .speech.segments import Phone, spoken_phones
from .speech_options import ENGLISH, PHONES, SpeechOptions
from .take import PerformanceSource
from .viseme_table import SILENCE, Viseme, VisemeTableError, mixed, read_visemes

Report = Callable[[float, str], None]

_RINGING_DB = 25.0  # from an open vowel at its loudest down to a shut mouth
_ALWAYS_PERCENT = 10.0
_LOUDER_DB = 10.0  # by so much louder a vowel opens the mouth twice as far
_NARROWEST, _WIDEST = 0.35, 1.4
_HEARD_SHARE = 0.1  # of the time, where Audio2Face-3D listens, too


def read_speech(source: PerformanceSource, report: Report) -> Performance:
    """What a face does that says what is heard in a file, times counted from source.start_s.

    Raises ReportedError (bad_performance, no_models, not_installed).
    """
    options = source.speech or SpeechOptions()
    path = Path(source.path)
    try:
        table = read_visemes(Path(options.visemes) if options.visemes else None)
    except VisemeTableError as error:
        raise ReportedError("bad_performance", str(error), error.hint) from error
    except OSError as error:
        text = f"'{Path(options.visemes).name}' cannot be read: {error.strerror or error}."
        raise ReportedError("bad_performance", text, "Choose another table of visemes.") from error
    own = options.method == PHONES
    heard = 1.0 if own else _HEARD_SHARE
    phones, duration_s, notices, ringing = hear(source, _part_of(report, 0.0, heard))
    usual = _usual_db(phones)
    sounds = [
        Sound(phone.start_s, phone.end_s, _viseme(phone, table), _width(phone, usual))
        for phone in phones
    ]
    manner = Manner(options.strength, options.jaw, options.articulation)
    rate = source.frame_rate or RATE
    try:
        times, sliders = mouthed(sounds, duration_s, manner, rate, ringing)
    except PerformanceError as error:
        raise ReportedError("bad_performance", f"'{path.name}': {error}", error.hint) from error
    if not own:
        sliders = _by_audio2face(source, phones, times, _part_of(report, heard, 1.0))
    rotation = None
    if options.blinks:
        sliders["blink"] = blinks(times, phones, options.blinks, options.seed)
    if options.head_motion:
        angles = head_degrees(times, phones, options.head_motion, options.seed)
        rotation = rotation_matrix(*angles.T)
    shut = lips_shut(sounds, len(times), manner, rate)
    return slider_performance(times, sliders, rotation, notices, shut)


def _by_audio2face(
    source: PerformanceSource, phones: Sequence[Phone], times: np.ndarray, report: Report
) -> dict[str, np.ndarray]:
    options = source.speech or SpeechOptions()
    try:
        # Not every edition has what this needs.
        from .audio2face_reading import mouth_sliders
    except ImportError as error:
        raise missing_module(error) from error
    sliders = mouth_sliders(source, phones, times, report)
    if JAW in sliders:
        sliders[JAW] = sliders[JAW] * options.jaw
    return {name: limited(name, column * options.strength) for name, column in sliders.items()}


def _part_of(report: Report, first: float, last: float) -> Report:
    return lambda share, text: report(first + (last - first) * share, text)


def hear(
    source: PerformanceSource, report: Report
) -> tuple[list[Phone], float, tuple[str, ...], Ringing]:
    """What is said in a part of a file: phones without gaps, seconds, sentences for the user, and
    how loud open vowels ring at each moment.

    Raises ReportedError.
    """
    options = source.speech or SpeechOptions()
    path = Path(source.path)
    model = acoustic_model()
    bigram_weight = 1.0 if options.language == ENGLISH else 0.0
    listener = Listener(model, context_network(), bigram_weight)
    count = 0
    try:
        with SoundFile(path, options.stream) as sound:
            wanted = sound.part_s(source.start_s, source.end_s)
            for block in sound.blocks(features.RATE, source.start_s, source.end_s):
                count += len(block)
                listener.feed(block[:, 0])
                share = min(1.0, count / features.RATE / wanted) if wanted else 0.5
                report(share, f"Listening to '{path.name}'")
            damage = str(sound.damage)
    except ClipError as error:
        raise ReportedError(error.code, str(error), error.hint) from error
    except OSError as error:
        text = f"'{path.name}' cannot be read: {error.strerror or error}."
        raise ReportedError("bad_performance", text, "Choose another file.") from error
    duration_s = count / features.RATE
    if not count:
        text = f"'{path.name}' has no sound in this part."
        raise ReportedError("bad_performance", text, "Choose another part, or another sound.")
    heard = listener.finish()
    phones = spoken_phones(heard, model.phones)
    notices = [f"'{path.name}' is damaged: {damage}."] if damage else []
    if all(phone.name == SILENCE for phone in phones):
        text = f"Nobody is heard speaking in '{path.name}': the mouth stays at rest."
        notices.append(text)
    return phones, duration_s, tuple(notices), _ringing(heard, phones)


def _viseme(phone: Phone, table: Mapping[str, Viseme]) -> Viseme:
    if not phone.maybe:
        return table[phone.name]
    return mixed((table[name], share) for name, share in phone.maybe)


def _ringing(heard: Heard, phones: Sequence[Phone]) -> Ringing:
    """0 in pauses, 1 for the loudest."""
    times = np.arange(len(heard.phones)) * features.STEP_S + features.CENTRE_S
    if not len(times):
        return np.zeros(1), np.zeros(1)
    power = 10.0 ** (heard.ringing_db.astype(np.float64) / 10.0)
    # What always rings is noise, not the voice.
    voice = np.maximum(power - np.percentile(power, _ALWAYS_PERCENT), 1e-12)
    ringing_db = 10.0 * np.log10(voice)
    loudest = np.percentile(ringing_db, 98.0)
    values = np.clip(1.0 + (ringing_db - loudest) / _RINGING_DB, 0.0, 1.0)
    for phone in phones:
        if phone.name == SILENCE:
            values[slice(*np.searchsorted(times, (phone.start_s, phone.end_s)))] = 0.0
    return times, np.convolve(values, np.full(5, 0.2), "same")


def _usual_db(phones: Sequence[Phone]) -> float:
    spoken = [phone.level_db for phone in phones if phone.name != SILENCE]
    return float(np.median(spoken)) if spoken else 0.0


def _width(phone: Phone, usual_db: float) -> float:
    """How far the mouth opens for a phone of its loudness, as a factor."""
    width = 2.0 ** ((phone.level_db - usual_db) / _LOUDER_DB)
    return float(np.clip(width, _NARROWEST, _WIDEST))
