"""Timeline markers of captures: cuts of the clip, and where the performer's face was lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import bpy
import numpy as np

from .take_channels import Timing, loss_spans
from .takes import FaceTake


class Marker(NamedTuple):
    """A marker's label and scene frame."""

    label: str
    frame: int


def clock(seconds: float) -> str:
    """Time of a clip as m:ss or h:mm:ss."""
    total = int(seconds)
    minutes, hours = total // 60, total // 3600
    return f"{hours}:{minutes % 60:02}:{total % 60:02}" if hours else f"{minutes}:{total % 60:02}"


def markers_of(take: FaceTake, timing: Timing, suffix: str = "") -> list[Marker]:
    """The markers of a take, in the order of time.

    suffix  after each label, to tell faces apart
    """
    frames = np.round(timing.frames(take.times)).astype(int)
    times_s = take.times + timing.start_s
    found = []
    for row in take.cuts:
        found.append(Marker(f"Cut {clock(times_s[row])}{suffix}", int(frames[row])))
    for first, end in loss_spans(take.is_seen):
        begin, back = clock(times_s[first]), clock(times_s[min(end, len(frames) - 1)])
        when = begin if begin == back else f"{begin}–{back}"
        found.append(Marker(f"Face lost {when}{suffix}", int(frames[first])))
    return sorted(found, key=lambda marker: marker.frame)


def write_markers(
    scene: bpy.types.Scene, controllers: Sequence[bpy.types.Object], markers: Sequence[Marker]
) -> None:
    """Set markers, which these faces remember as their own."""
    for marker in markers:
        scene.timeline_markers.new(marker.label, frame=marker.frame)
    for controller in controllers:
        own = controller.keyportrait_capture.markers
        for marker in markers:
            item = own.add()
            item.label, item.frame = marker


def remove_markers(
    scene: bpy.types.Scene,
    controller: bpy.types.Object,
    first: float = float("-inf"),
    last: float = float("inf"),
) -> None:
    """Remove the markers that a face's last capture has set; moved and renamed ones stay.

    first, last  only those between these frames; the others are nobody's from now on
    """
    own = controller.keyportrait_capture.markers
    wanted = {(item.label, item.frame) for item in own if first <= item.frame <= last}
    for marker in list(scene.timeline_markers):
        if (marker.name, marker.frame) in wanted:
            wanted.discard((marker.name, marker.frame))
            scene.timeline_markers.remove(marker)
    own.clear()
