"""Which face of another picture belongs to which face that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..engine.controls import Face

Box = tuple[float, float, float, float]
Size = tuple[int, int]
# Faces that overlap less than this are not the same by their place alone.
LEAST_OVERLAP = 0.15


@dataclass
class Pairing:
    """What belongs together.

    pairs   (index of a known face, the found one)
    lonely  indices of known faces that nothing was found for
    fresh   how many found faces belong to no known one
    """

    pairs: list[tuple[int, Face]] = field(default_factory=list)
    lonely: list[int] = field(default_factory=list)
    fresh: int = 0


def pair_faces(known: Sequence[Face], found: Sequence[Face]) -> Pairing:
    """Pair faces by overlap, then what is left by distance; all in pixels of one picture."""
    pairing = Pairing()
    indices, left = set(range(len(known))), set(range(len(found)))
    order = sorted(
        (-overlap(known[i].box, found[j].box), distance(known[i].box, found[j].box), i, j)
        for i in indices
        for j in left
    )
    by_overlap = [entry for entry in order if -entry[0] >= LEAST_OVERLAP]
    # A box that was drawn by hand stays, unless a face was found in it.
    found_before = (entry for entry in order if known[entry[2]].keypoints)
    by_distance = sorted(found_before, key=lambda entry: entry[1])
    for _overlap, _distance, i, j in (*by_overlap, *by_distance):
        if i in indices and j in left:
            indices.remove(i)
            left.remove(j)
            pairing.pairs.append((i, found[j]))
    pairing.lonely = sorted(indices)
    pairing.fresh = len(left)
    return pairing


def overlap(first: Box, second: Box) -> float:
    """Common area over the area of both, 0..1."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0.0 or height <= 0.0:
        return 0.0
    return width * height / (_area(first) + _area(second) - width * height)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def distance(first: Box, second: Box) -> float:
    """Between the middles of two boxes, squared."""
    x = first[0] + first[2] - second[0] - second[2]
    y = first[1] + first[3] - second[1] - second[3]
    return 0.25 * (x * x + y * y)


def scaled_face(face: Face, old: Size, new: Size) -> Face:
    """A face at the same place of a picture of another size."""
    x, y = new[0] / old[0], new[1] / old[1]
    x0, y0, x1, y1 = face.box
    return replace(
        face,
        box=(x0 * x, y0 * y, x1 * x, y1 * y),
        keypoints=tuple((px * x, py * y) for px, py in face.keypoints),
        outline=tuple((px * x, py * y) for px, py in face.outline),
    )
