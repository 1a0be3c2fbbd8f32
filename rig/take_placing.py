"""Where a take goes on a face: an action of its own, as the face's action or as an NLA strip.

The action that was there is never written to: the take's action begins as its copy, so that a
capture made again starts from what was there before the first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import bpy
import numpy as np

from .. import compat
from ..engine.controls import CONTROLS_BY_NAME
from ..engine.take import EXPRESSION, TRANSLATION
from . import own_expression
from .controllers import SIZES, control_defaults, face_of
from .errors import AddonError
from .keying import control_path
from .take_channels import Channel, Reach
from .take_choices import ADD, TakeChoices
from .take_curves import CurveKey, add_keys, by_key, grown, replace_keys, restore_keys
from .take_records import above, follow, is_in_use


class Span(NamedTuple):
    """Scene frames of a take's first and last key."""

    first: float
    last: float


def span_of(channels: Sequence[Channel]) -> Span:
    """The frames that a take covers; what makes room for it in a clip does not count."""
    channels = own_expression.split(channels)[0]
    return Span(
        min(float(channel.frames[0]) for channel in channels),
        max(float(channel.frames[-1]) for channel in channels),
    )


def check_free(controller: bpy.types.Object) -> None:
    """Raise AddonError where an NLA strip of the face is being edited."""
    animation = controller.animation_data
    if animation is not None and animation.use_tweak_mode:
        raise AddonError(
            f"An NLA strip of '{controller.name}' is being edited.",
            "Leave its tweak mode: press Tab in the Nonlinear Animation editor.",
        )


def place(
    controller: bpy.types.Object,
    record: Any,
    channels: Sequence[Channel],
    choices: TakeChoices,
    name: str,
) -> bpy.types.Action:
    """Put a take on a face as its choices say; the action that it lies in.

    record  the face's record of takes of this kind
    name    of the performance, for the action
    """
    animation = controller.animation_data or controller.animation_data_create()
    if choices.use_track:
        return _place_strip(controller, record, channels, choices, name)
    former = animation.action
    action, curves = _own_action(controller, former, compat.slot_of(animation), name)
    _write(controller, curves, channels, choices, _others(controller, animation))
    if former is not None:
        former.use_fake_user = True  # the artist's own keys are not lost
        follow(controller, former, action)  # takes of another kind lie in it
    animation.action = action
    curves.choose_slot(animation)
    record.base = former
    return action


def place_again(
    controller: bpy.types.Object,
    record: Any,
    channels: Sequence[Channel],
    choices: TakeChoices,
    name: str,
) -> bpy.types.Action:
    """Put a take in the place of the face's last one of this kind; keys around that stay."""
    if not is_in_use(controller, record):
        return place(controller, record, channels, choices, name)
    animation = controller.animation_data
    own, base = record.action, record.base
    if own != animation.action:
        action = _replace_strip(controller, record, channels, choices, name)
    else:
        action, curves = compat.ActionCurves.copy_of(own, compat.slot_of(animation), controller)
        former = [] if base is None else compat.curves_with_slot_of(base, animation)
        span = (record.first_frame, record.last_frame)
        restore_keys(curves, former, region_keys(record.captured_region), span)
        _give_back_own(controller, curves, former, record.captured_region, grown(span))
        animation.action = action
        curves.choose_slot(animation)
        if choices.use_track:
            if not list(curves):
                animation.action = None
            placed = _place_strip(controller, record, channels, choices, name)
        else:
            _write(controller, curves, channels, choices, _others(controller, animation))
            # What was spoken over a capture is not the capture's.
            former = compat.curves_with_slot_of(own, animation)
            for other in above(controller, record):
                span = (other.first_frame, other.last_frame)
                restore_keys(curves, former, region_keys(other.captured_region), span)
            placed = action
        if action is not placed and not action.users:
            bpy.data.actions.remove(action)
        action = placed
    kept_name = own.name
    follow(controller, own, action)
    record.action = action
    if not own.users:
        bpy.data.actions.remove(own)
    action.name = kept_name
    return action


def _give_back_own(
    controller: bpy.types.Object,
    curves: compat.ActionCurves,
    former: Sequence[bpy.types.FCurve],
    region: str,
    span: tuple[float, float],
) -> None:
    """Let a clip's own expression be as before the capture of a region, see own_expression.py."""
    path = own_expression.hold_path(region)
    if path is None or (path, 0) not in by_key(curves):
        return
    restore_keys(curves, former, {(path, 0)}, span)
    if (path, 0) not in by_key(curves):
        controller[own_expression.hold_of(region)] = 1.0


def region_keys(region: str) -> set[CurveKey]:
    """The channels that a take of a region may move.

    region  as in Reach.of
    """
    reach = Reach.of(region)
    keys = {(control_path(n), 0) for n in CONTROLS_BY_NAME if reach.has_control(n)}
    if "Head" in reach.groups:
        keys |= {(control_path(TRANSLATION), axis) for axis in range(SIZES[TRANSLATION])}
    return keys | {(control_path(EXPRESSION), row) for row in reach.rows}


def _action_name(controller: bpy.types.Object, name: str) -> str:
    return f"{controller.name} {name}"


def _own_action(
    controller: bpy.types.Object, former: bpy.types.Action | None, slot: Any, name: str
) -> tuple[bpy.types.Action, compat.ActionCurves]:
    if former is None:
        action = bpy.data.actions.new(_action_name(controller, name))
        return action, compat.ActionCurves(action, controller)
    action, curves = compat.ActionCurves.copy_of(former, slot, controller)
    action.name = _action_name(controller, name)
    return action, curves


def _others(controller: bpy.types.Object, animation: bpy.types.AnimData) -> set[CurveKey]:
    """Channels that NLA strips of the face move."""
    found: set[CurveKey] = set()
    for strip in compat.nla_strips(controller):
        found |= set(by_key(compat.curves_of(strip)))
    return found


def _write(
    controller: bpy.types.Object,
    curves: compat.ActionCurves,
    channels: Sequence[Channel],
    choices: TakeChoices,
    others: set[CurveKey],
) -> None:
    span = span_of(channels)
    channels, own = own_expression.split(channels)
    for channel in own:
        frames, outside = grown(span), by_key(curves).get((channel.path, channel.index))
        now = float(controller.path_resolve(channel.path))
        kept = [now if outside is None else outside.evaluate(frame) for frame in frames]
        channel = replace(channel, values=np.array([kept[0], 0.0, 0.0, kept[1]]))
        list(replace_keys(curves, [channel], frames, others))
    if choices.mode == ADD:
        rest = _rest(controller, channels)
        now = {(c.path, c.index): _value(controller, c) for c in channels}
        add_keys(curves, channels, span, rest, now)
        return
    _rest_unkeyed(controller, replace_keys(curves, channels, span, others), choices)


def _rest(controller: bpy.types.Object, channels: Sequence[Channel]) -> dict[CurveKey, float]:
    values = {control_path(n): v for n, v in control_defaults(face_of(controller)).items()}
    return {(c.path, c.index): values.get(c.path, 0.0) for c in channels}


def _value(controller: bpy.types.Object, channel: Channel) -> float:
    value = controller.path_resolve(channel.path)
    return float(value) if isinstance(value, int | float) else float(value[channel.index])


def _set_value(controller: bpy.types.Object, channel: Channel, value: float) -> None:
    controller.path_resolve(channel.path)[channel.index] = value


def _rest_unkeyed(
    controller: bpy.types.Object, channels: Iterable[Channel], choices: TakeChoices
) -> None:
    """Write keys, by reading `channels`; those that need none go to rest where a take is all."""
    for channel in channels:
        if choices.is_whole_pose:
            _set_value(controller, channel, 0.0)


def covered(channels: Sequence[Channel], choices: TakeChoices) -> Span:
    """The frames that belong to a capture, with the guards of one that was added."""
    span = span_of(channels)
    return Span(*grown(span)) if choices.mode == ADD and not choices.use_track else span


# --- NLA ------------------------------------------------------------------------------------------


def _place_strip(
    controller: bpy.types.Object,
    record: Any,
    channels: Sequence[Channel],
    choices: TakeChoices,
    name: str,
) -> bpy.types.Action:
    """A strip on a new track above all others; the face's action becomes a strip below it."""
    animation = controller.animation_data
    _push_down(animation)
    action, curves = _own_action(controller, None, None, name)
    _fill_strip(controller, animation, curves, channels, choices)
    span = _strip_span(channels)
    track = animation.nla_tracks.new()
    track.name = name
    strip = track.strips.new(action.name, math.floor(span.first), action)
    curves.choose_slot(strip)
    _fit(strip, span, span.first)
    strip.blend_type = "COMBINE" if choices.mode == ADD else "REPLACE"
    is_alone = len(list(compat.nla_strips(controller))) == 1
    # Outside of the strip what lies below is seen again.
    strip.extrapolation = "HOLD" if is_alone else "NOTHING"
    record.base = None
    return action


def _strip_span(channels: Sequence[Channel]) -> Span:
    """What a strip plays: with the keys around that make room in a clip, where there are any."""
    span = span_of(channels)
    return Span(*grown(span)) if own_expression.split(channels)[1] else span


def _fill_strip(
    controller: bpy.types.Object,
    animation: bpy.types.AnimData,
    curves: compat.ActionCurves,
    channels: Sequence[Channel],
    choices: TakeChoices,
) -> None:
    others = _others(controller, animation)
    if choices.mode == ADD:
        rest = _rest(controller, channels)
        # Blender's Combine takes the default of a property for no motion.
        moving = [c for c in channels if abs(c.values - rest[c.path, c.index]).max() > 0.0]
        list(replace_keys(curves, moving or channels[:1], span_of(channels), others))
        return
    _rest_unkeyed(controller, replace_keys(curves, channels, span_of(channels), others), choices)


def _push_down(animation: bpy.types.AnimData) -> None:
    """The active action becomes a strip of a track, as Blender's Push Down Action does it."""
    action = animation.action
    if action is None:
        return
    slot = compat.slot_of(animation)
    first, last = action.frame_range
    track = animation.nla_tracks.new()
    track.name = action.name
    strip = track.strips.new(action.name, math.floor(first), action)
    compat.choose_slot(strip, slot)
    _fit(strip, Span(first, last), first)
    strip.blend_type = animation.action_blend_type
    strip.extrapolation = animation.action_extrapolation
    animation.action = None


def _replace_strip(
    controller: bpy.types.Object,
    record: Any,
    channels: Sequence[Channel],
    choices: TakeChoices,
    name: str,
) -> bpy.types.Action:
    """A take in place of that of a strip, which stays where the artist has moved it."""
    animation = controller.animation_data
    track, strip = next(
        (track, strip)
        for track in animation.nla_tracks
        for strip in track.strips
        if strip.action == record.action
    )
    if not choices.use_track:
        track.strips.remove(strip)
        if not track.strips:
            animation.nla_tracks.remove(track)
        return place(controller, record, channels, choices, name)
    shift = strip.frame_start - strip.action_frame_start
    action, curves = _own_action(controller, None, None, name)
    _fill_strip(controller, animation, curves, channels, choices)
    strip.action = action
    curves.choose_slot(strip)
    span = _strip_span(channels)
    _fit(strip, span, span.first + shift)
    strip.blend_type = "COMBINE" if choices.mode == ADD else "REPLACE"
    return action


def _fit(strip: bpy.types.NlaStrip, span: Span, start: float) -> None:
    """Let a strip play all of its action, beginning at a scene frame."""
    strip.action_frame_start, strip.action_frame_end = span
    length = max(span.last - span.first, 1.0) * strip.scale
    strip.frame_end_raw = start + length
    strip.frame_start_raw = start
    strip.frame_end_raw = start + length
