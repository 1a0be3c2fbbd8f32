"""How the shading of a head changes while it turns: light stays where it is, the head does not.

The light is read off the skin: how much brighter what faces a direction is than what faces another.
A turned head's skin and hair get the difference that their new direction makes, softly, in parts of
what is there; so results follow the picture's exposure, and a head at rest is not touched.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from ..faces.canonical import CANONICAL, EYES, LOWER_LIP, MESH_COUNT, UPPER_LIP, Pose
from .shapes import smoothstep

_NEIGHBOURS = 14  # points of the mesh that say which way the skin between them faces
_INNERMOST = np.array([0.0, 0.0, 8.0])  # cm of the face frame; skin faces away from there
# What a face is taken for that says nothing itself: some light from all sides, some from in front.
_USUAL = np.array([0.8, 0.0, 0.0, -0.25])
_STIFFNESS = np.array([2.0, 12.0, 12.0, 60.0])  # how many points must speak against that
_STRONGEST = 0.7  # change of brightness from one side of a ball to the other, of its mean
_OUTLIER = 2.5  # robust deviations
_FACING = 0.25  # cosine to the camera from which a point is looked at
_DARKEST = 0.4  # shading below which nothing gets brighter or darker in proportion
_LOWEST, _HIGHEST = 0.72, 1.3  # factors on linear light
_SHARE = 0.75  # of that: much of what is bright on one side is no light
_SOFT = 2.5  # nodes of the head's field


def read_light(light: np.ndarray, pose: Pose) -> np.ndarray:
    """(4,) brightness from all sides, and what x, y and z of a direction add, of the skin's mean.

    light  (468,) linear light at the mesh's points
    pose   of the face in the picture; the camera looks along z
    """
    directions = _directions() @ pose.rotation.T
    usable = _is_skin() & (directions[:, 2] < -_FACING) & np.isfinite(light)
    usable &= light > 0.0
    if usable.sum() < 40:
        return _USUAL
    seen = np.clip(light[usable] / np.median(light[usable]), 0.2, 2.5)
    terms = np.column_stack([np.ones(int(usable.sum())), directions[usable]])
    fitted = _USUAL
    kept = np.ones(len(seen), bool)
    for _ in range(3):
        normal = terms[kept].T @ terms[kept] + np.diag(_STIFFNESS)
        fitted = np.linalg.solve(normal, terms[kept].T @ seen[kept] + _STIFFNESS * _USUAL)
        off = np.abs(terms @ fitted - seen)
        kept = off < _OUTLIER * 1.5 * np.median(off) + 1e-6
    strength = float(np.linalg.norm(fitted[1:]))
    fitted[1:] *= min(1.0, _STRONGEST / max(strength, 1e-6))
    return fitted


def factors(
    depth: np.ndarray,
    cell: float,
    weight: np.ndarray,
    light: np.ndarray,
    turned: np.ndarray,
) -> np.ndarray:
    """(rows, columns) float32 on the nodes of a head at rest: its linear light once it is turned.

    depth   (rows, columns) float32 crop pixels, nodes `cell` crop pixels apart
    weight  (rows, columns) float32 0..1, how far each node belongs to the head
    light   of read_light
    turned  (3, 3) rotation from the head at rest to the turned one
    """
    right, down = (
        cv2.Sobel(depth, cv2.CV_32F, *d) / np.float32(8.0 * cell) for d in ((1, 0), (0, 1))
    )
    right, down = (cv2.GaussianBlur(v, (0, 0), _SOFT) for v in (right, down))
    length = 1.0 / np.sqrt(right * right + down * down + 1.0)
    directions = np.dstack([right * length, down * length, -length])
    # Light on what turns is light on what rests from where it comes then.
    before = light[0] + directions @ light[1:]
    after = light[0] + directions @ (turned.T @ light[1:])
    ratio = np.maximum(after, _DARKEST) / np.maximum(before, _DARKEST)
    ratio = np.clip(ratio, _LOWEST, _HIGHEST)
    return (1.0 + _SHARE * (ratio - 1.0) * weight).astype(np.float32)


def relit(pixels: np.ndarray, factor: np.ndarray) -> None:
    """Multiply colours in place.

    pixels  (height, width, 4) uint8 or float32, straight alpha
    factor  (height, width) float32
    """
    columns = np.flatnonzero((factor != 1.0).any(axis=0))
    if not len(columns):
        return
    lit = slice(int(columns[0]), int(columns[-1]) + 1)
    part = factor[:, lit]
    by = cv2.merge([part, part, part, np.ones_like(part)])
    depth = cv2.CV_8U if pixels.dtype == np.uint8 else cv2.CV_32F
    pixels[:, lit] = cv2.multiply(pixels[:, lit], by, dtype=depth)


@cache
def _directions() -> np.ndarray:
    """(468, 3) directions that the resting mesh faces, face frame."""
    points = CANONICAL[:MESH_COUNT]
    apart = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    near = points[np.argsort(apart, axis=1)[:, :_NEIGHBOURS]]
    near = near - near.mean(axis=1, keepdims=True)
    across = np.linalg.svd(near, full_matrices=False)[2][:, 2]
    outwards = points - _INNERMOST
    return across * np.sign((across * outwards).sum(axis=1, keepdims=True))


@cache
def _is_skin() -> np.ndarray:
    """(468,) bool: no lips, no eyes."""
    result = np.ones(MESH_COUNT, bool)
    result[[*UPPER_LIP, *LOWER_LIP]] = False
    for eye in EYES:
        result[[*eye.upper, *eye.lower]] = False
    return result


def on_head(weight: np.ndarray, is_person: np.ndarray) -> np.ndarray:
    """(rows, columns) float32 0..1: the head without its outline, where background shows through.

    weight     (rows, columns) how far each node follows the head
    is_person  (rows, columns) bool
    """
    inside = cv2.erode(is_person.astype(np.uint8), np.ones((3, 3), np.uint8))
    deep = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    return (weight * smoothstep(deep / 4.0)).astype(np.float32)
