"""The seam between the engine's service and its renderers (analytic, LivePortrait's networks)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np

    from .motion import Face, Motion


# Called between the stages of a longer work: more urgent requests are worked on meanwhile. Raises
# ReportedError when nobody wants the work any more.
Step = Callable[[], None]


def no_step() -> None:
    """A Step for work that nobody waits behind."""


class ReportedError(Exception):
    """A failure that the user is told about: code of protocol.ERROR_CODES, message, hint."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class Rectangle(NamedTuple):
    """Pixels from the top left corner of a picture."""

    x: int
    y: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """(rows, columns) for indexing an (H, W, …) array."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    def union(self, other: Rectangle) -> Rectangle:
        """Smallest rectangle around both; an empty one adds nothing."""
        if not self.width or not self.height:
            return other
        if not other.width or not other.height:
            return self
        x, y = min(self.x, other.x), min(self.y, other.y)
        right = max(self.x + self.width, other.x + other.width)
        bottom = max(self.y + self.height, other.y + other.height)
        return Rectangle(x, y, right - x, bottom - y)


NOTHING = Rectangle(0, 0, 0, 0)


@dataclass(frozen=True)
class SourceImage:
    """A picture as it came over the wire.

    pixels    (H, W, 4) uint8 or float32, RGBA, straight alpha, row 0 at the top
    encoding  "srgb" (display-referred values, float 0..1 or uint8) or "linear" (scene-linear
              Rec.709 float, may exceed 1)
    has_emission  colours of float pixels with alpha 0 are glows, see alpha.py, and not hidden
    """

    pixels: np.ndarray
    encoding: str
    has_emission: bool = False


class FacePortrait(Protocol):
    """One face of one picture, fitted and ready to move.

    notices  what of the last motion this face cannot show, as sentences for the user
    """

    face: Face
    notices: Sequence[str]

    def prepare(self, motions: Sequence[Motion]) -> None:
        """Compute the frames of these motions in one go, where that is faster, for `render`."""
        ...

    def render(self, motion: Motion, canvas: np.ndarray) -> Rectangle:
        """Draw the moved face into `canvas` and return the rectangle that it may have changed.

        canvas  (H, W, 4), the source's dtype: the picture with the other faces already moved;
                the face is warped out of it, so that overlapping faces blend without a seam.
        Pixels outside the returned rectangle, and all pixels under a neutral motion, stay
        bit-identical.
        """
        ...

    def resized(self, image: SourceImage) -> FacePortrait:
        """The same face in the same picture at another size, see engine.preview.shrunk.

        It shares what does not depend on the size and moves alike, for quick looks.
        """
        ...


class Renderer(Protocol):
    """Fits faces of pictures."""

    name: str  # of its family: "analytic" or "liveportrait"
    is_parallel: bool  # frames of a clip may be rendered in several threads, each in one

    @property
    def description(self) -> Mapping[str, str]:
        """What is at work: device and model_set for people, device_class ("cpu", "cuda", "mps")
        and precision, which decide pixels."""
        ...

    @property
    def notices(self) -> Sequence[str]:
        """What the user should hear about, each once: a frame redone, a smaller batch."""
        ...

    @property
    def batch_size(self) -> int:
        """How many frames `FacePortrait.prepare` makes at once at best; 1 where it does nothing."""
        ...

    def open(self, image: SourceImage, face: Face, step: Step = no_step) -> FacePortrait:
        """Fit one face. Raises ReportedError (bad_face, no_face, no_models…), and what `step` does.

        step  called at least every 0.1 s of work, as far as that can be
        """
        ...

    def reopen(
        self,
        image: SourceImage,
        face: Face,
        reference: FacePortrait,
        landmarks: np.ndarray | None = None,
        step: Step = no_step,
    ) -> FacePortrait:
        """Fit the face of a clip in another frame of it; quicker than `open`, raises as that.

        reference  the face's portrait from `open`, in the frame that all others of the clip refer
                   to: what depends on the person alone is taken from it
        landmarks  (478, 3) picture pixels in this frame, as a track has them; None to look for them
        The result depends on the reference and on the frame, never on what was opened before.
        """
        ...

    def prepare(self, moves: Sequence[tuple[FacePortrait, Motion]]) -> None:
        """Compute a frame each of portraits of one clip in one go, for their `render`.

        Of use where batch_size is more than 1. The first is drawn next; nothing is done while it is
        remembered, so that the next batch is whole.
        """
        ...
