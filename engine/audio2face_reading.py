"""What Audio2Face-3D makes of a sound, as sliders of the mouth.

The network answers with how an actor's skin moves; that becomes weights of ARKit's shapes, and
those become sliders by the table that recordings of Live Link Face are read with.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .audio2face.bundle import HINT, Bundle, read_bundle
from .clips.errors import ClipError
from .clips.sound_file import SoundFile
from .controls import CONTROLS_BY_NAME
from .liveportrait.onnx_models import open_session
from .performance.arkit import sliders_of_shapes
from .performance.arkit_table import SHAPES, plain, read_table
from .performance.performance import PerformanceError
from .renderer import ReportedError
from .speech.hearing import SILENCE
from .speech.segments import Phone
from .take import PerformanceSource
from .weight_search import find_set
from .weight_table import AUDIO2FACE

# Folder of the models; the host names it where their licence was accepted.
AUDIO2FACE_VARIABLE = "KEYPORTRAIT_AUDIO2FACE"
SET_UP_HINT = "Get it with Set Up LivePortrait in the Engine panel, or choose the method Phones."
RATE = 30.0  # frames a second, as the published program's
BATCH = 32  # frames that the network answers at once
INPUT, EMOTION, RESULT = "input", "emotion", "result"
# A mouth comes to rest so long after somebody has spoken.
REST_S = 0.12
_LOADED_SHARE = 0.1  # of the time

Report = Callable[[float, str], None]


def mouth_sliders(
    source: PerformanceSource, phones: Sequence[Phone], times: np.ndarray, report: Report
) -> dict[str, np.ndarray]:
    """Slider of the mouth → (T,) values at some moments, in seconds from source.start_s.

    phones  what was heard in the same part: where nobody speaks the mouth is at rest
    Raises ReportedError (not_installed, no_models, bad_performance…).
    """
    try:
        table = read_table(Path(source.arkit_table) if source.arkit_table else None)
    except PerformanceError as error:
        raise ReportedError("bad_performance", str(error), error.hint) from error
    report(0.0, "Loading Audio2Face-3D")
    files = installed_files()
    bundle = read_bundle(files)
    session = _session(files["network"], bundle)
    names = tuple(plain(name) for name in bundle.solver.names)
    known = {plain(name): name for name in SHAPES}
    columns = [index for index, name in enumerate(names) if name in known]
    rows = [
        bundle.solver.weights(_skin(session, bundle, windows))[:, columns]
        for windows in _windows(source, bundle, report)
    ]
    weights = np.concatenate(rows) if rows else np.zeros((1, len(columns)))
    if not np.isfinite(weights).all():
        text = f"Audio2Face-3D's '{files['network'].name}' answers with what is no number."
        raise ReportedError("no_models", text, HINT)
    shapes = dict(zip((known[names[index]] for index in columns), weights.T, strict=True))
    if "MouthClose" in shapes and "JawOpen" in shapes:
        # NVIDIA's shape opens the jaw by itself; ARKit's goes with an open one.
        shapes["JawOpen"] = shapes["JawOpen"] + shapes["MouthClose"]
    moments = np.arange(len(weights)) / RATE
    rest = _speaking(times, phones)
    return {
        name: rest * np.interp(times, moments, column)
        for name, column in sliders_of_shapes(table, shapes).items()
        if CONTROLS_BY_NAME[name].group == "Mouth"
    }


def installed_files() -> Mapping[str, Path]:
    """The model's files by their names without suffix. Raises ReportedError."""
    name = os.environ.get(AUDIO2FACE_VARIABLE, "")
    if not name:
        raise ReportedError("not_installed", "Audio2Face-3D is not set up yet.", SET_UP_HINT)
    try:
        found = find_set(Path(name), AUDIO2FACE.name)
    except OSError as error:
        text = f"The folder '{name}' of Audio2Face-3D cannot be read: {error.strerror}."
        raise ReportedError("no_models", text, HINT) from error
    if not found.is_whole:
        text = f"The folder '{name}' lacks {', '.join(found.missing)} of Audio2Face-3D."
        raise ReportedError("no_models", text, HINT)
    return found.paths


def _session(path: Path, bundle: Bundle) -> Any:
    """The network. Raises ReportedError where it is another than the files beside it say."""
    session = open_session(path, input_count=2)
    found = {node.name: node.shape for node in (*session.get_inputs(), *session.get_outputs())}
    wanted = {INPUT: bundle.window, EMOTION: len(bundle.emotion), RESULT: bundle.outputs}
    for name, width in wanted.items():
        shape = found.get(name)
        is_wide = shape is not None and len(shape) == 3 and shape[-1] in (width, None)
        if not (is_wide or (shape and isinstance(shape[-1], str))):
            text = f"Model file '{path.name}' has no '{name}' of {width} numbers"
            raise ReportedError("no_models", f"{text}: it is another model.", HINT)
    return session


def _skin(session: Any, bundle: Bundle, windows: np.ndarray) -> np.ndarray:
    """(T, K) the network's numbers about the skin, from (T, window) samples."""
    # Some copies of the network take one frame at a time.
    batch = session.get_inputs()[0].shape[0]
    step = batch if isinstance(batch, int) and batch > 0 else len(windows)
    parts: list[np.ndarray] = []
    for start in range(0, len(windows), step):
        sound = windows[start : start + step, None] * np.float32(bundle.gain)
        emotion = np.broadcast_to(bundle.emotion, (len(sound), 1, len(bundle.emotion)))
        given = {INPUT: sound, EMOTION: np.ascontiguousarray(emotion)}
        (result,) = session.run([RESULT], given)
        parts.append(result.reshape(len(sound), -1)[:, : bundle.skin])
    return np.concatenate(parts)


def _windows(source: PerformanceSource, bundle: Bundle, report: Report) -> Iterator[np.ndarray]:
    """(T, window) float32 samples around one frame after the other, BATCH at a time.

    Before its beginning and after its end a sound is silent. Raises ReportedError.
    """
    path = Path(source.path)
    stream = source.speech.stream if source.speech is not None else -1
    held = np.zeros(bundle.lead, np.float32)
    dropped = -bundle.lead  # samples before the first that is held
    frame, count = 0, 0

    def start_of(index: int) -> int:
        return round(index * bundle.rate / RATE) - bundle.lead - dropped

    def taken() -> np.ndarray:
        starts = [start_of(frame + index) for index in range(BATCH)]
        inside = [s for s in starts if s + bundle.window <= len(held)]
        return np.array([held[s : s + bundle.window] for s in inside])

    try:
        with SoundFile(path, stream) as sound:
            wanted = sound.part_s(source.start_s, source.end_s)
            for block in sound.blocks(bundle.rate, source.start_s, source.end_s):
                held, count = np.concatenate([held, block[:, 0]]), count + len(block)
                while start_of(frame + BATCH - 1) + bundle.window <= len(held):
                    yield taken()
                    frame += BATCH
                    share = min(1.0, frame / RATE / wanted) if wanted else 0.5
                    text = f"Audio2Face-3D listens to '{path.name}'"
                    report(_LOADED_SHARE + (1.0 - _LOADED_SHARE) * share, text)
                    gone = start_of(frame)
                    held, dropped = held[gone:], dropped + gone
    except ClipError as error:
        raise ReportedError(error.code, str(error), error.hint) from error
    held = np.concatenate([held, np.zeros(bundle.window, np.float32)])
    last = int(count / bundle.rate * RATE)
    while frame <= last:
        rest = taken()[: last - frame + 1]
        if not len(rest):
            return
        yield rest
        frame += len(rest)


def _speaking(times: np.ndarray, phones: Sequence[Phone]) -> np.ndarray:
    """(T,) 1 while somebody speaks, 0 in pauses, with a soft way between them."""
    away = np.full(len(times), np.inf)
    for phone in phones:
        if phone.name == SILENCE:
            continue
        near = slice(*np.searchsorted(times, (phone.start_s - REST_S, phone.end_s + REST_S)))
        outside = np.maximum(phone.start_s - times[near], times[near] - phone.end_s)
        away[near] = np.minimum(away[near], np.maximum(outside, 0.0))
    return 0.5 + 0.5 * np.cos(np.pi * np.clip(away / REST_S, 0.0, 1.0))
