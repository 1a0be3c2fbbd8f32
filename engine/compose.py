"""A picture with its faces: the canvas that they are drawn on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from .motion import Face, Motion
from .picture_file import FileFormat, PictureFile
from .preview import shrunk
from .renderer import NOTHING, FacePortrait, Rectangle, ReportedError, SourceImage

# What is wrong with one face keeps no other face from moving.
FACE_CODES = frozenset({"bad_face", "no_face"})


class RestingFace:
    """A face that its renderer cannot move: it stays as it is, and `face.problem` says why."""

    def __init__(self, face: Face, error: ReportedError, *, is_told: bool = False) -> None:
        """is_told  among the notices of every picture, too."""
        problem = {"code": error.code, "message": error.message, "hint": error.hint}
        self.face = replace(face, problem=problem)
        self.notices: Sequence[str] = (error.message,) if is_told else ()

    def prepare(self, motions: Sequence[Motion]) -> None:
        """There is nothing to prepare."""

    def render(self, motion: Motion, canvas: np.ndarray) -> Rectangle:
        """Change nothing."""
        return NOTHING

    def resized(self, image: SourceImage) -> RestingFace:
        """It rests at any size."""
        return self


class Composition:
    """An opened picture: moves all its faces and knows what differs from the source.

    image      the source
    rectangle  everything on the canvas that may differ from the source
    """

    def __init__(self, image: SourceImage, portraits: Sequence[FacePortrait]) -> None:
        self.image = image
        self._portraits = tuple(portraits)
        self._canvas: np.ndarray | None = None
        self.rectangle = NOTHING
        self._files: dict[FileFormat, PictureFile] = {}
        self._small: Composition | None = None

    @property
    def canvas(self) -> np.ndarray:
        """(H, W, 4), the source's dtype: the picture after the last render."""
        # A large picture is mostly looked at small: then it needs no copy.
        if self._canvas is None:
            self._canvas = self.image.pixels.copy()
        return self._canvas

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.pixels.shape[1], self.image.pixels.shape[0]

    def at_size(self, size: tuple[int, int]) -> Composition:
        """The same picture with the same faces, smaller; the last one is kept.

        size  (width, height) in pixels, no more than the picture's own
        """
        if size == self.size:
            return self
        if self._small is None or self._small.size != size:
            image = shrunk(self.image, size)
            self._small = Composition(image, [item.resized(image) for item in self._portraits])
        return self._small

    @property
    def notices(self) -> list[str]:
        """What the faces cannot show of the last motions, each sentence once."""
        return list(dict.fromkeys(note for face in self._portraits for note in face.notices))

    @property
    def portraits(self) -> tuple[FacePortrait, ...]:
        """The fitted faces, in the order of opening."""
        return self._portraits

    @property
    def faces(self) -> list[Face]:
        """The faces as they were fitted."""
        return [portrait.face for portrait in self._portraits]

    @property
    def face_count(self) -> int:
        """Number of faces that can be moved."""
        return len(self._portraits)

    def prepare(self, frames: Sequence[Sequence[Motion]]) -> None:
        """Let renderers that make several frames at once do so; the first frame is drawn next.

        frames  (frame, face) motions
        """
        for number, portrait in enumerate(self._portraits):
            if len(frames) > 1:
                portrait.prepare([motions[number] for motions in frames])

    def render(self, motions: Sequence[Motion]) -> Rectangle:
        """Move every face and return the rectangle that may differ from the source.

        motions  one per face, in the order of opening; later faces are drawn over earlier ones
        """
        rows, columns = self.rectangle.slices
        self.canvas[rows, columns] = self.image.pixels[rows, columns]
        # Until every face is drawn, a failure may leave paint anywhere.
        self.rectangle = Rectangle(0, 0, self.canvas.shape[1], self.canvas.shape[0])
        changed = NOTHING
        for portrait, motion in zip(self._portraits, motions, strict=True):
            changed = changed.union(portrait.render(motion, self.canvas))
        self.rectangle = changed
        return changed

    def changed_pixels(self) -> np.ndarray:
        """(height, width, 4) view of the canvas inside `rectangle`; good until the next render."""
        return self.canvas[self.rectangle.slices]

    def writer(
        self,
        options: dict[str, Any],
        area: Rectangle | None = None,
        pixels: np.ndarray | None = None,
    ) -> Callable[[], None]:
        """A function that writes the whole picture, as it is now, to a file.

        options       {"path"} and the options of picture_file.FileFormat
        area, pixels  what is put into the source instead of what is on the canvas, see
                      picture_file.PictureFile.convert
        Raises ReportedError "bad_request"; the function raises ReportedError "write_failed". It may
        run in another thread while the next picture is rendered.
        """
        path, file = self._file_of(options)
        if area is None or pixels is None:
            area, pixels = self.rectangle, self.changed_pixels()
        return partial(file.write, path, file.convert(pixels, area))

    def write(self, options: dict[str, Any]) -> None:
        """Write the whole picture as it is now, before anything else is rendered.

        options  as of `writer`; raises as that and its function
        """
        path, file = self._file_of(options)
        file.write(path, file.converted(self.canvas, self.rectangle))

    def _file_of(self, options: dict[str, Any]) -> tuple[str, PictureFile]:
        path = options.get("path") if isinstance(options, dict) else None
        if not path or not isinstance(path, str):
            raise ReportedError("bad_request", "The option 'save' has no path.")
        form = FileFormat.read(options)
        if form not in self._files:
            self._files[form] = PictureFile(self.image, form)
        return path, self._files[form]
