"""What lies behind a moving head: the head's matte, and a plate of the background without it.

A head that moves takes its own pixels along and nothing else: what it leaves is filled from around
it, and lines behind it stay where they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import cv2
import numpy as np

from ..alpha import premultiplied, straight
from ..faces.crop import Crop
from ..faces.neighbours import Neighbours
from ..renderer import Rectangle, SourceImage
from .displacements import Blocks
from .late import late
from .plate import filled_behind, goes_on, guessed_behind, likeness
from .shapes import disc
from .tone import to_unit

_OPAQUE = 250  # of 255: the head hides all behind it
_BEHIND_FROM = 0.1  # coverage at which the plate stands for the background
# The matte is first looked at every so many crop pixels, with all that is this wide around it.
_LOOKED, _SPACED = 2.0, 7
_SEEN, _FULL = 1.0 / 255.0, 0.998  # coverage
_ROW = 1024  # positions that are looked up at a time
_GOES_ON = 12.0  # crop pixels that a head goes on outside of the picture's border
_SURE, _FAR_INSIDE = 0.95, 17  # of the person's mask; crop pixels across, from its edge
_SLIGHT = 0.3  # crop pixels that nobody misses at a face's outline
_NEAR, _NEAR_SOFT = 7, 2.0  # crop pixels across which a head's outline is unsure


class Backdrop:
    """The matte of one head and the plate behind it, over the face's crop."""

    def __init__(
        self,
        image: SourceImage,
        crop: Crop,
        matte: np.ndarray,
        neighbours: Neighbours | None = None,
        view: np.ndarray | None = None,
    ) -> None:
        """Prepare the background of a face.

        matte       (size, size) float32 over the crop, 1 where a person is
        neighbours  what of it belongs to others
        view        (size, size, 3) uint8 crop, where it is all that the picture shows
        """
        self._lock = threading.Lock()
        self._filled: np.ndarray | None = None
        if neighbours is not None:
            matte = matte * (1.0 - neighbours.other)
        self._has_emission = image.has_emission
        if view is None:
            pixels = to_unit(crop.extract(image.pixels, cv2.BORDER_REPLICATE))
        else:
            pixels = to_unit(cv2.cvtColor(view, cv2.COLOR_RGB2RGBA))
        if image.pixels.dtype != np.uint8:
            pixels = np.nan_to_num(pixels, nan=0.0, posinf=0.0, neginf=0.0)
        # Filters leave a little less than 1.
        alpha = cv2.extractChannel(pixels, 3)
        self._is_opaque = bool(alpha.min() >= _FULL)
        if alpha.min() < 1.0:
            pixels = premultiplied(pixels, self._has_emission)
        inside = crop.inside(image.pixels.shape)
        soft = cv2.GaussianBlur(cv2.dilate(matte, disc(_NEAR)), (0, 0), _NEAR_SOFT)
        around = (np.maximum(matte, soft) >= _SEEN) | ~inside
        guess = guessed_behind(pixels, around)
        # Around the outline only what looks like the head goes along.
        head = likeness(pixels, guess, matte > 0.98, soft >= _SEEN)
        matte = np.maximum(matte, soft * head)
        matte = matte * (1.0 - goes_on(pixels, guess, matte))
        self._seen = pixels, (matte >= _SEEN) | ~inside
        if not self._is_opaque:
            # Cut-outs end where they end, whatever the matte says of their edge.
            clear = cv2.dilate((pixels[..., 3] < _FULL).astype(np.float32), disc(2 * _NEAR))
            matte = np.maximum(matte, cv2.GaussianBlur(clear, (0, 0), _NEAR_SOFT))
        self._kept = None
        if neighbours is not None:
            matte = matte * (1.0 - neighbours.face)
            self._kept = np.rint(neighbours.face * 255.0).astype(np.uint8)
        # A head that the border cuts goes on a little outside: no background shows beside a
        # mouth that draws it in.
        self._matte = np.rint(_continued(matte, crop, image.pixels.shape) * 255.0).astype(np.uint8)
        # What is around every place, to look at fewer places first.
        self._least = cv2.erode(self._matte, disc(_SPACED))
        self._most = cv2.dilate(self._matte, disc(_SPACED))

    def prepare(self) -> None:
        """Make the plate."""
        _ = self._plate

    @property
    def _plate(self) -> np.ndarray:
        """(size, size, 4) float32: made when something moves that background shows beside."""
        # Bands of one frame are drawn side by side.
        with self._lock:
            if self._filled is None:
                self._filled = filled_behind(*self._seen)
                del self._seen
            return self._filled

    def begin(self, _blocks: Blocks, _crop: Crop) -> None:
        """A frame is drawn next, with these displacements. Nothing depends on that here."""

    def part(
        self,
        moved: np.ndarray,
        changed: np.ndarray,
        canvas: np.ndarray,
        area: Rectangle,
        crop: Crop,
        shift: tuple[np.ndarray, np.ndarray],
        loose: np.ndarray,
    ) -> None:
        """Leave the background of `area` where it is, in place.

        moved    (height, width, 4) the warped canvas, of the canvas's dtype
        changed  (height, width) uint8, what of it is to be drawn
        shift    x and y (height, width) float32 picture pixels to where each pixel was taken from
        loose    what `spare` has said
        """
        if not len(loose):
            return
        rows, columns = np.divmod(loose, area.width)
        x, y = (columns + area.x).astype(np.float32), (rows + area.y).astype(np.float32)
        place_x, place_y = _placed(crop, x, y)
        from_x, from_y = _placed(crop, x + shift[0].take(loose), y + shift[1].take(loose))
        here = _looked_up(self._matte, place_x, place_y)[:, 0]
        share = _looked_up(self._matte, from_x, from_y)[:, 0]
        is_seen = (share > 0) | (here > 0)
        changed[rows, columns] = is_seen
        mixed = np.flatnonzero(is_seen & (share < _OPAQUE))
        if not len(mixed):
            return
        rows, columns, here, share, place_x, place_y, from_x, from_y = (
            values.take(mixed)
            for values in (rows, columns, here, share, place_x, place_y, from_x, from_y)
        )
        loose = loose.take(mixed)
        drawn, all_of = moved.reshape(-1, 4), canvas.reshape(-1, 4)
        came = self._associated(drawn.take(loose, axis=0))
        there = (rows + area.y) * canvas.shape[1] + columns + area.x
        own = self._associated(all_of.take(there, axis=0))
        behind_here = self._behind(own, place_x, place_y, here)
        behind_there = self._behind(came, from_x, from_y, share)
        seen = (np.float32(1.0) - share * np.float32(1.0 / 255.0))[:, None]
        head = (came - seen * behind_there) * (share > 0)[:, None]
        drawn[loose] = self._stored(head + seen * behind_here, canvas.dtype)

    def spare(
        self,
        changed: np.ndarray,
        area: Rectangle,
        crop: Crop,
        shift: tuple[np.ndarray, np.ndarray],
    ) -> np.ndarray:
        """Flat indices of where head and background may mix; where only background would move,
        `changed` becomes 0. Arguments as in `part`."""
        step = max(1, int(_LOOKED / crop.scale))
        x = area.x + np.arange(0, area.width, step, dtype=np.float32)
        y = area.y + np.arange(0, area.height, step, dtype=np.float32)[:, None]
        shift_x, shift_y = (values[::step, ::step] for values in shift)
        origin = _placed(crop, x + shift_x, y + shift_y)
        place = _placed(crop, x, y)
        least, most, here = (
            cv2.remap(field, *at, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
            for field, at in ((self._least, origin), (self._most, origin), (self._most, place))
        )
        is_touched = np.maximum(most, here) > 0
        is_mixed = is_touched & (least < _OPAQUE)
        touched, mixed = (
            _repeated(mask.view(np.uint8), step)[: area.height, : area.width]
            for mask in (is_touched, is_mixed)
        )
        cv2.bitwise_and(changed, touched, dst=changed)
        return np.flatnonzero(cv2.bitwise_and(changed, mixed).view(bool))

    def keep(
        self,
        moved: np.ndarray,
        changed: np.ndarray,
        canvas: np.ndarray,
        area: Rectangle,
        crop: Crop,
    ) -> None:
        """Take back what was drawn over other faces, in place; arguments as in `part`."""
        if self._kept is None:
            return
        kept = _over(self._kept, area, crop)
        changed[kept == 255] = 0
        rows, columns = np.nonzero((kept > 0) & (changed > 0))
        if len(rows):
            own = self._associated(canvas[rows + area.y, columns + area.x])
            drawn = self._associated(moved[rows, columns])
            share = kept[rows, columns].astype(np.float32)[:, None] / 255.0
            moved[rows, columns] = self._stored(drawn + (own - drawn) * share, canvas.dtype)

    def _behind(
        self, own: np.ndarray, x: np.ndarray, y: np.ndarray, covered: np.ndarray
    ) -> np.ndarray:
        """(N, 4) associated colours of the background, given the picture's own, at crop x and y."""
        hidden = np.minimum(covered * np.float32(1.0 / (255.0 * _BEHIND_FROM)), 1.0)[:, None]
        return own + (_looked_up(self._plate, x, y) - own) * hidden

    def _associated(self, pixels: np.ndarray) -> np.ndarray:
        unit = to_unit(pixels)
        return unit if self._is_opaque else premultiplied(unit, self._has_emission)

    def _stored(self, associated: np.ndarray, dtype: np.dtype) -> np.ndarray:
        np.maximum(associated, 0.0, out=associated)
        colours = associated
        if not self._is_opaque:
            np.minimum(associated[..., 3], 1.0, out=associated[..., 3])
            colours = straight(associated, self._has_emission)
        if dtype == np.uint8:
            return (np.minimum(colours, 1.0) * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)
        return colours


class LateBackdrop:
    """A backdrop that is only made when more than the inside of a person moves visibly."""

    def __init__(
        self,
        make: Callable[[], Backdrop],
        outline: np.ndarray,
        size: int,
        person: Callable[[], np.ndarray] | None,
    ) -> None:
        """Prepare nothing yet.

        outline  (N, 2) crop pixels around the face
        size     of the crop
        person   gives (size, size) float32, 1 where a person is; None where that may be another
        """
        self._make, self._person = make, person
        self._is_used = False
        self._face = np.zeros((size, size), np.uint8)
        cv2.fillPoly(self._face, [np.rint(outline).astype(np.int32)], 255)

    def prepare(self) -> None:
        """Make what a head needs that moves visibly."""
        self._made.prepare()

    @late
    def _made(self) -> Backdrop:
        return self._make()

    @late
    def _inside(self) -> np.ndarray:
        """(size, size) uint8, 255 where it is surely this person."""
        if self._person is None:
            return self._face
        sure = (self._person() > _SURE).astype(np.uint8) * np.uint8(255)
        return np.maximum(cv2.erode(sure, disc(_FAR_INSIDE)), self._face)

    def spare(
        self,
        changed: np.ndarray,
        area: Rectangle,
        crop: Crop,
        shift: tuple[np.ndarray, np.ndarray],
    ) -> np.ndarray:
        """See Backdrop.spare."""
        if not self._is_used:
            return np.zeros(0, np.intp)
        return self._made.spare(changed, area, crop, shift)

    def part(
        self,
        moved: np.ndarray,
        changed: np.ndarray,
        canvas: np.ndarray,
        area: Rectangle,
        crop: Crop,
        shift: tuple[np.ndarray, np.ndarray],
        loose: np.ndarray,
    ) -> None:
        """See Backdrop.part."""
        if self._is_used:
            self._made.part(moved, changed, canvas, area, crop, shift, loose)

    def keep(
        self,
        moved: np.ndarray,
        changed: np.ndarray,
        canvas: np.ndarray,
        area: Rectangle,
        crop: Crop,
    ) -> None:
        """See Backdrop.keep: what has not moved visibly covers nobody."""
        if self._is_used:
            self._made.keep(moved, changed, canvas, area, crop)

    def begin(self, blocks: Blocks, crop: Crop) -> None:
        """See Backdrop.begin."""
        # A frame must not depend on those that were drawn before it.
        self._is_used = self._is_needed(blocks, crop)
        if self._is_used:
            # Made before bands ask for it side by side.
            _ = self._made

    def _is_needed(self, blocks: Blocks, crop: Crop) -> bool:
        step = max(1, int(_LOOKED / (crop.scale * blocks.step)))
        rows, columns = np.nonzero(blocks.is_moved[::step, ::step])
        shift_x, shift_y = (values[::step, ::step][rows, columns] for values in blocks.shift)
        far = np.maximum(np.abs(shift_x), np.abs(shift_y)) * crop.scale > _SLIGHT
        middle, each = (blocks.step - 1) / 2, step * blocks.step
        x = (blocks.area.x + middle + each * columns[far]).astype(np.float32)
        y = (blocks.area.y + middle + each * rows[far]).astype(np.float32)
        here, there = _placed(crop, x, y), _placed(crop, x + shift_x[far], y + shift_y[far])

        def is_beyond(inside: np.ndarray) -> bool:
            return any((_looked_up(inside, *at) < _OPAQUE).any() for at in (here, there))

        return is_beyond(self._face) and is_beyond(self._inside)


def _continued(field: np.ndarray, crop: Crop, picture_shape: tuple[int, ...]) -> np.ndarray:
    """A field over the crop whose values at the picture's border go on a little outside it."""
    if crop.inside(picture_shape).all():
        return field
    height, width = picture_shape[:2]
    steps = np.arange(crop.size)
    picture_x, picture_y = (
        (row[0] * steps + (row[1] * steps + row[2])[:, None]).astype(np.float32)
        for row in crop.crop_to_picture
    )
    inset = 1.0 / crop.scale  # so that no value from outside is mixed in
    near_x = np.clip(picture_x, inset, width - 1 - inset)
    near_y = np.clip(picture_y, inset, height - 1 - inset)
    at = _placed(crop, near_x, near_y)
    on = cv2.remap(field, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    beyond = cv2.magnitude(picture_x - near_x, picture_y - near_y)
    beyond *= np.float32(-crop.scale / _GOES_ON)
    return on * np.clip(beyond + np.float32(2.0), 0.0, 1.0)


def _over(field: np.ndarray, area: Rectangle, crop: Crop) -> np.ndarray:
    """A field over the crop at every pixel of a rectangle of the picture."""
    view = crop.picture_to_crop.copy()
    view[:, 2] += view[:, :2] @ [area.x, area.y]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(field, view, (area.width, area.height), flags=flags)


def _repeated(mask: np.ndarray, step: int) -> np.ndarray:
    size = (mask.shape[1] * step, mask.shape[0] * step)
    return cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)


def _placed(crop: Crop, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Crop x and y, float32, of picture positions that broadcast."""
    (a, b, c), (d, e, f) = crop.picture_to_crop.astype(np.float32)
    return (a * x + b * y + c).astype(np.float32), (d * x + e * y + f).astype(np.float32)


def _looked_up(field: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(N, channels) values of a field at N positions."""
    # OpenCV counts rows with 16 bits.
    count = len(x)
    if not count:  # OpenCV refuses to look up nothing
        return np.zeros((0, field[0, 0].size), field.dtype)
    rows = -(-count // _ROW)
    x, y = (np.resize(axis, (rows, _ROW)) for axis in (x, y))
    found = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found.reshape(rows * _ROW, -1)[:count]
