"""Who is in a clip: asked of the engine once, then shown in the panel for choosing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import bpy
import numpy as np

from ..engine.protocol import Array
from ..engine.renderer_table import PREVIEW
from ..engine.take import MOTION_SUFFIXES, PerformanceSource
from ..host.client import Engine, EngineError, Ticket
from ..preferences import preferences
from . import engine, performance_cache
from .capture_choices import Choices, choices_of
from .clip_sources import active_strip_name, source_of
from .errors import AddonError
from .picture_icons import PictureIcons
from .take_choices import STRIP

# Where in the picture a face is, by thirds of its width.
PLACES = ("left", "middle", "right")
# So many clips are known at once, then none.
MOST_LISTS = 32
# Seconds; what ends before is told by tenths.
TENTHS_BELOW_S = 10.0
# Pixels of a performer's picture, as the engine makes it.
SIDE = 96

_lists: dict[tuple[object, ...], list[Listed]] = {}
_icons = PictureIcons(SIDE)


class Listed(NamedTuple):
    """Somebody in a clip.

    number          1 for the one that fills most of the clip, as *Performer* counts
    start_s, end_s  from the first to the last moment in which the face is seen, seconds
    seen_share      of the clip's frames, 0..1
    box             (x0, y0, x1, y1) of the face, shares of the picture's width and height
    picture         what its face is known by among the icons
    """

    number: int
    start_s: float
    end_s: float
    seen_share: float
    box: tuple[float, float, float, float]
    picture: str = ""

    @property
    def lines(self) -> tuple[str, str, str]:
        """When, where and how large, and how much of it."""
        x0, y0, x1, y1 = self.box
        place = PLACES[min(2, int(1.5 * (x0 + x1)))]
        times = span(self.start_s, self.end_s)
        return (
            times,
            f"{place}, {100 * (y1 - y0):.0f} % high",
            f"seen {100 * self.seen_share:.0f} %",
        )

    @property
    def text(self) -> str:
        """All of that in one line."""
        return ", ".join(self.lines)

    @property
    def icon_id(self) -> int:
        """The icon with its face, 0 where there is none."""
        return _icons.icon_id(self.picture)


def span(start_s: float, end_s: float) -> str:
    """From when to when, 0:04-1:20; what lies in the first ten seconds by tenths, 0.0-2.5 s."""
    if end_s < TENTHS_BELOW_S:
        return f"{start_s:.1f}\u2013{end_s:.1f} s"
    return f"{clock(start_s)}\u2013{clock(end_s)}"


def clock(seconds: float) -> str:
    """Minutes and seconds, 0:04."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def choices_in(context: bpy.types.Context, settings: bpy.types.PropertyGroup) -> Choices:
    """What the panel shows: of strips the active one goes before the one captured last."""
    choices = choices_of(settings)
    return replace(choices, strip=active_strip_name(context) or choices.strip)


def known(choices: Choices) -> list[Listed]:
    """The performers of a clip that was listed or captured before. For panels."""
    return _lists.get(_clip_of(choices), [])


def remember(
    choices: Choices, performers: Iterable[Mapping[str, Any]], pictures: Array | None = None
) -> list[Listed]:
    """Keep what the engine has said of a clip.

    pictures  (N, SIDE, SIDE, 4) uint8 of the performers' faces
    """
    clip = _clip_of(choices)
    found = [
        Listed(
            int(item["index"]) + 1,
            float(item["start_s"]),
            float(item["end_s"]),
            float(item["seen_share"]),
            tuple(float(value) for value in item["box"]),
            f"{clip} {item['index']}",
        )
        for item in performers
    ]
    if len(_lists) >= MOST_LISTS:
        _lists.clear()
        _icons.forget()
    _lists[clip] = found
    if pictures is not None:
        faces = np.frombuffer(pictures.data, np.uint8).reshape(pictures.shape)
        for item, face in zip(found, faces, strict=True):
            _icons.show(item.picture, face)
    return found


def forget() -> None:
    """Know no clip any more, and give the pictures back to Blender."""
    _lists.clear()
    _icons.free()


def is_clip(path: str | Path) -> bool:
    """Whether several performers may be in a file; templates and recordings hold one."""
    return Path(path).suffix.lower() not in MOTION_SUFFIXES


def _clip_of(choices: Choices) -> tuple[object, ...]:
    """What a clip and its part are known by."""
    strip = choices.strip if choices.source == STRIP else ""
    part = choices.range_unit, choices.range_start, choices.range_end
    return choices.source, choices.filepath, strip, choices.clip, *part


class ListRun:
    """The engine's answer to who is in a clip, as a LongRun of operators."""

    def __init__(self, context: bpy.types.Context, choices: Choices, *, is_blocking: bool) -> None:
        """Raises AddonError where there is no clip to read."""
        self.choices = choices
        self.is_cancelled = False
        source = source_of(context, choices)
        self._name = source.path.name
        if not is_clip(source.path):
            raise AddonError(f"'{self._name}' is no clip: it holds one performer.", "Capture it.")
        self._client = client_of(PREVIEW, is_blocking=is_blocking)
        wanted = PerformanceSource(
            path=str(source.path),
            start_s=source.start_s,
            end_s=source.end_s,
            cache_dir=str(performance_cache.folder()),
            frame_rate=source.frame_rate,
        )
        fields = {"source": wanted.to_json()}
        self._ticket: Ticket = self._client.submit("performers", fields, use_drain=False)

    @property
    def text(self) -> str:
        """What the engine says, else what was asked."""
        return self._ticket.progress.text or f"Reading '{self._name}'"

    @property
    def fraction(self) -> float:
        """How far it is, 0..1."""
        return self._ticket.progress.fraction

    @property
    def is_done(self) -> bool:
        """Whether the engine has answered, or nobody waits any more."""
        return self.is_cancelled or self._ticket.is_done

    def step(self) -> None:
        """There is nothing to do but to wait."""

    def run(self, tell: Callable[[ListRun], None] | None = None) -> None:
        """Wait for the answer. The time-out counts from the engine's last sign of work."""
        with suppress(EngineError):  # which the ticket keeps
            self._client.wait(self._ticket, preferences().open_timeout_s)

    def cancel(self) -> None:
        """Tell the engine to drop the work."""
        if not self.is_done:
            self.is_cancelled = True
            self._client.cancel(self._ticket)

    def finish(self) -> list[Listed]:
        """The performers, remembered for the panel. Raises EngineError."""
        answer = self._ticket.result()
        performance_cache.measure()
        return remember(self.choices, answer.fields["performers"], answer.arrays["pictures"])


def client_of(renderer: str, *, is_blocking: bool) -> Engine:
    """The engine of a renderer, started. Raises EngineError."""
    if is_blocking:
        return engine.start_ready(preferences().open_timeout_s, renderer)
    client = engine.start(renderer)
    return client if client.error is None else engine.restart(renderer)
