"""The small picture that is shown while something moves; the whole one comes at rest.

Warping, sending and above all writing a large picture into Blender take far longer than the time
between two moves of a slider. So the engine makes a small one meanwhile, and the live image takes
its size: textures do not care. Renders, bakes and files always get the whole picture.
"""

from __future__ import annotations

import math
import time

import bpy

from ..preferences import preferences
from . import cycles_view, picture_views
from .images import Canvas, Picture

# After the last move and the last small picture.
REST_S = 0.15
# A picture that is hardly larger than the small one is shown whole.
_WORTHWHILE = 1.5


class QuickLook:
    """The small picture of one portrait.

    size      (width, height) that is asked for while something moves; None: the whole picture
    canvas    the small picture; None until the engine has sent the still of that size
    is_shown  whether the live image shows it instead of the whole picture
    """

    def __init__(self) -> None:
        self.size: tuple[int, int] | None = None
        self.canvas: Canvas | None = None
        self.is_shown = False
        self._moved_at = 0.0
        self._is_still_asked = False
        self._is_given_up = False

    def begin(self, output: bpy.types.Image | None, whole: tuple[int, int]) -> None:
        """Something has moved: choose the size.

        output  the live image
        whole   (width, height) of the picture
        """
        self._moved_at, self._is_given_up = time.monotonic(), False
        size = None if output is None else _small_size(output, whole)
        if size != self.size:
            self.forget()
            self.size = size

    def take_still_request(self) -> bool:
        """Whether the still of the small size is to be asked for now; true once."""
        is_wanted = self.size is not None and not self._is_still_asked
        self._is_still_asked = self._is_still_asked or is_wanted
        return is_wanted

    def take_still(self, picture: Picture) -> None:
        """The still has come; of another size than the one wanted now it is dropped."""
        if picture.size == self.size:
            self.canvas = Canvas(picture)

    def note_shown(self, *, is_small: bool) -> None:
        """The live image shows another picture now.

        Rest begins anew: a small one that has come late must not call for the whole one at once,
        which the next move would wait behind.
        """
        self.is_shown = is_small
        if is_small:
            self._moved_at = time.monotonic()

    def forget(self) -> None:
        """The picture is another one, or the engine that made the small one is gone."""
        self.size, self.canvas, self._is_still_asked = None, None, False

    def give_up(self) -> None:
        """The whole picture cannot be had now: do not ask again before something moves."""
        self._is_given_up = True

    @property
    def is_awaited(self) -> bool:
        """Whether the whole picture is to come."""
        return self.is_shown and not self._is_given_up

    @property
    def is_due(self) -> bool:
        """Whether nothing has moved for so long that the whole picture is to come now."""
        return self.is_awaited and time.monotonic() >= self._moved_at + REST_S


def _small_size(output: bpy.types.Image, whole: tuple[int, int]) -> tuple[int, int] | None:
    limit = preferences().live_megapixels * 1e6
    area = whole[0] * whole[1]
    if not limit or area <= _WORTHWHILE * limit or _needs_whole(output):
        return None
    factor = math.sqrt(limit / area)
    return max(round(whole[0] * factor), 1), max(round(whole[1] * factor), 1)


def _needs_whole(output: bpy.types.Image) -> bool:
    """Whether a view shows the pixels themselves, or reads them beside the main thread."""
    if cycles_view.is_shown():
        return True
    return any(
        area.type == "IMAGE_EDITOR" and area.spaces.active.image == output
        for area in picture_views.all_areas()
    )
