"""From a performance to the takes of faces: relative motion, sliders, and the rest of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .analytic.slider_fit import FITTED, fit_sliders
from .controls import CONTROLS_BY_NAME
from .faces.measures import MEASURE_NAMES
from .motion import Face, Motion
from .neutral import neutral_frame
from .performance.curve_keys import MOST_RELAXED, CurveKeys, beside, fit_curves
from .performance.mirror import mirrored_performance
from .performance.performance import Performance
from .performance.slider_expression import slider_expression
from .performance.transfer import (
    LIP_NORMALIZATION_THRESHOLD,
    MotionTrack,
    TargetFace,
    transfer,
)
from .still_reading import expression_of_face
from .take import AUTO, CHOSEN, NEUTRAL, REGION_GROUPS, TakeOptions

POSE = ("head_pitch", "head_yaw", "head_roll")
COLUMNS = (*POSE, "head_scale", *FITTED)
# Columns that only some options need.
EYES_OPEN, LIPS_OPEN = "eyes_open", "lips_open"
# As many as an artist can still edit. Filmed clips with fast heads and eyes would need 13.
ENOUGH_KEYS_PER_S = 8.0
# Where a performance says how many keys are enough, they are worth more of the tolerance.
FIRMLY_RELAXED = 5.0
# Where the performance itself knows its rest, no frame is the reference.
KNOWN_REST = -1


@dataclass(frozen=True)
class Taken:
    """The takes of some faces that do the same performance.

    columns      names of the controls of `values`: COLUMNS, then the opening ratios in use
    times        (T,) float64 seconds
    values       (F, T, C) float32; of fitted sliders what the reduced curve says
    keys         (F, T, C) bool: the frames that a reduced curve needs
    slopes       (F, T, C) float32, value per second: of cubics from key to key
    expression   (F, T, 63) float32, what the sliders leave over
    translation  (F, T, 3) float32, half crop widths
    is_seen      (T,) bool: where the performer's face was found
    cuts         frames that begin a new shot
    reference    the frame that counts as the performer's rest, KNOWN_REST for none of them
    notices      sentences for the user about what was read
    """

    columns: tuple[str, ...]
    times: np.ndarray
    values: np.ndarray
    keys: np.ndarray
    slopes: np.ndarray
    expression: np.ndarray
    translation: np.ndarray
    is_seen: np.ndarray
    cuts: tuple[int, ...]
    reference: int
    notices: tuple[str, ...] = ()

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of `captured`."""
        return {
            "times": self.times,
            "values": self.values,
            "keys": self.keys.astype(np.uint8),
            "slopes": self.slopes,
            "expression": self.expression,
            "translation": self.translation,
            "is_seen": self.is_seen.astype(np.uint8),
        }


def make_takes(
    performance: Performance,
    faces: Sequence[Face],
    options: TakeOptions,
    targets: Sequence[TargetFace] | None = None,
    tick: Callable[[], None] | None = None,
) -> Taken:
    """The takes of faces that do what a performer did.

    targets  the faces as the networks read them, in the same order; else what the landmarks say
    tick     called every few milliseconds of the work; may raise to stop it
    """
    reference = reference_frame(performance, options)
    if targets is None:
        targets = [_target(face) for face in faces]
    tracks = [_track(performance, target, options, reference) for target in targets]
    given = _given_sliders(performance, options, reference)
    names = (*FITTED, *(() if given is None else (n for n in given if n not in FITTED)))
    openings = _ratio_columns(tracks)
    columns = (*COLUMNS, *names[len(FITTED) :], *openings)
    tables, details = [], []
    fitted: dict[bytes, tuple[CurveKeys, np.ndarray]] = {}
    for face, track in zip(faces, tracks, strict=True):
        if tick is not None:
            tick()
        # Most options make the same expression for every face, and fitting is the slow part.
        key = hashlib.sha256(np.ascontiguousarray(track.expression).data).digest()
        if key not in fitted:
            if given is None:
                sliders = fit_sliders(track.expression, performance.cuts, tick)
            else:
                sliders = np.stack([given.get(n, np.zeros(len(track))) for n in names], axis=1)
            sliders = _of_groups(sliders, names, options.region)
            # What few keys leave out of fitted sliders goes to the detail.
            is_moving = given is None
            curves = _curves(performance, sliders, names, options, tick, is_moving=is_moving)
            shown = slider_expression(dict(zip(names, curves.values.T, strict=True)), len(track))
            fitted[key] = curves, track.expression - shown.reshape(len(track), -1)
        sliders, detail = fitted[key]
        head = np.column_stack([track.pose, track.scale])
        ratios = [_ratio(track, face, name) for name in openings]
        parts = [_curves(performance, head, COLUMNS[: head.shape[1]], options, tick), sliders]
        if ratios:
            parts.append(_curves(performance, np.column_stack(ratios), openings, options, tick))
        tables.append(beside(parts))
        details.append(detail)
    return Taken(
        columns=columns,
        times=performance.times,
        values=np.stack([table.values for table in tables]).astype(np.float32),
        keys=np.stack([table.is_key for table in tables]),
        slopes=np.stack([table.slopes for table in tables]).astype(np.float32),
        expression=np.stack(details).astype(np.float32),
        translation=np.stack([track.translation for track in tracks]).astype(np.float32),
        is_seen=performance.is_seen,
        cuts=performance.cuts,
        reference=reference,
        notices=performance.notices,
    )


def live_motions(
    performance: Performance, faces: Sequence[Face], options: TakeOptions
) -> list[Motion]:
    """What faces do at a single moment of a performer whose rest is known: no keys, no fitting."""
    tracks = [_track(performance, _target(face), options, KNOWN_REST) for face in faces]
    return [track.motions()[0] for track in tracks]


def _target(face: Face) -> TargetFace:
    """A face with its own expression as M has read it, else as the landmarks show it."""
    target = TargetFace.from_face(face)
    if target.expression is not None or not set(MEASURE_NAMES) <= set(face.measures):
        return target
    return replace(target, expression=expression_of_face(face).astype(np.float64))


def _track(
    performance: Performance, target: TargetFace, options: TakeOptions, reference: int
) -> MotionTrack:
    if reference != KNOWN_REST:
        track = transfer(performance, target, options, reference)
    else:
        track = transfer(performance.with_rest_first(), target, options, 0)[1:]
    own, shut = target.lips_open or 0.0, performance.lips_shut
    is_wanted = "Mouth" in REGION_GROUPS[options.region] and own >= LIP_NORMALIZATION_THRESHOLD
    if shut is None or not is_wanted or track.lips_open is not None:
        return track
    return replace(track, lips_open=own * (1.0 - np.clip(options.multiplier * shut, 0.0, 1.0)))


def _given_sliders(
    performance: Performance, options: TakeOptions, reference: int
) -> dict[str, np.ndarray] | None:
    """Control → (T,): what the performer's own sliders say; None where they are to be fitted."""
    changes_openings = options.use_eye_retargeting or options.use_lip_retargeting
    if not performance.sliders or not options.use_relative_motion or changes_openings:
        return None
    if options.use_mirror:
        performance = mirrored_performance(performance)
    given = {}
    for name, column in performance.sliders.items():
        rest = 0.0 if reference == KNOWN_REST else float(column[reference])
        change = options.multiplier * (column.astype(np.float64) - rest)
        given[name] = _limited(change[:, None], (name,))[:, 0]
    return given


def reference_frame(performance: Performance, options: TakeOptions) -> int:
    """The frame that counts as the performer's rest; one in which the face was found.

    KNOWN_REST where the performance has a rest of its own that is wanted.
    """
    # A rig knows its rest; that of a clip is an estimate, which a cut at its begin changes more
    # than the frame that is found in what is left.
    is_wanted = options.reference == AUTO or (options.reference == NEUTRAL and performance.sliders)
    if performance.rest is not None and (is_wanted or len(performance) == 1):
        return KNOWN_REST
    found = np.flatnonzero(performance.is_seen)
    if not len(found):
        return 0
    if options.reference == CHOSEN:
        return int(found[np.abs(performance.times[found] - options.reference_s).argmin()])
    if options.reference == NEUTRAL:
        return neutral_frame(performance)
    return int(found[0])


def _of_groups(sliders: np.ndarray, names: Sequence[str], region: str) -> np.ndarray:
    groups = REGION_GROUPS[region]
    return sliders * [CONTROLS_BY_NAME[name].group in groups for name in names]


def _ratio_columns(tracks: Sequence[MotionTrack]) -> list[str]:
    uses = {
        EYES_OPEN: any(track.eyes_open is not None for track in tracks),
        LIPS_OPEN: any(track.lips_open is not None for track in tracks),
    }
    return [name for name, is_used in uses.items() if is_used]


def _ratio(track: MotionTrack, face: Face, name: str) -> np.ndarray:
    """(T,) values of an opening control; the face's own where it is left alone."""
    curve = getattr(track, name)
    return np.full(len(track), getattr(face, name)) if curve is None else curve


def _limited(rows: np.ndarray, columns: tuple[str, ...]) -> np.ndarray:
    limits = [(CONTROLS_BY_NAME[n].minimum, CONTROLS_BY_NAME[n].maximum) for n in columns]
    low, high = np.array(limits).T
    return np.clip(rows, low, high)


def _curves(
    performance: Performance,
    rows: np.ndarray,
    names: Sequence[str],
    options: TakeOptions,
    tick: Callable[[], None] | None,
    *,
    is_moving: bool = False,
) -> CurveKeys:
    """Curves of (T, C) control values; the tolerance is a part of each slider's range.

    is_moving  the values become what few keys say; else they stay, and keys lie on them
    """
    # What keys lie on has no detail that makes up for them.
    ranges = [CONTROLS_BY_NAME[name].soft_range for name in names]
    reaches = [high - low if is_moving else max(abs(low), abs(high)) for low, high in ranges]
    starts = np.zeros(len(performance), bool)
    starts[[cut for cut in performance.cuts if cut < len(starts)]] = True
    limited = _limited(rows, tuple(names))
    curves = fit_curves(
        limited,
        performance.times,
        max(options.tolerance, performance.tolerance) * np.array(reaches),
        is_seen=performance.is_seen,
        starts=starts,
        is_moving=is_moving,
        enough_per_s=performance.keys_per_s or ENOUGH_KEYS_PER_S,
        most_relaxed=FIRMLY_RELAXED if performance.keys_per_s else MOST_RELAXED,
        tick=tick,
    )
    values = _limited(curves.values, tuple(names)) if is_moving else limited
    return curves._replace(values=values)
