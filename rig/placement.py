"""Where a spot of the picture lies on the object that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from mathutils import Matrix, Vector

from .errors import PortraitError
from .texture_space import GENERATED, texture_space

if TYPE_CHECKING:
    import bpy


# Repetitions of a picture on a mesh that are looked at, in each direction.
MAX_TILES = 16
_INSIDE = 1e-6


@dataclass(frozen=True)
class Spot:
    """A place on a surface, in the object's space.

    frame         rotation and place: x along the picture's width, y up in the picture, z outwards,
                  which is where the picture is seen from without being mirrored
    unit_per_px   object units for one pixel of the picture, along x and along y
    """

    frame: Matrix
    unit_per_px: tuple[float, float]


class UvSurface:
    """The triangles of a mesh and where its texture puts the picture on them.

    The mesh is the object's own, before modifiers. Raises PortraitError when it carries no picture.
    """

    def __init__(self, item: bpy.types.Object, image_size: tuple[int, int]) -> None:
        mesh = item.data
        space = texture_space(item)
        if not hasattr(mesh, "uv_layers"):
            raise PortraitError(f"'{item.name}' is no mesh.", "Convert it to one.")
        mesh.calc_loop_triangles()
        count = len(mesh.loop_triangles)
        if not count:
            raise PortraitError(f"'{item.name}' has no faces to show a picture on.")
        corners = np.empty(count * 3, np.int32)
        mesh.loop_triangles.foreach_get("loops", corners)
        vertices = _corner_vertices(mesh)[corners]
        places = _places(mesh)
        if space.source == GENERATED:
            coordinates = _generated(mesh, places)[vertices]
        else:
            coordinates = _uvs(item, space.layer)[corners]
        matrix = np.array(space.rows)
        mapped = coordinates @ matrix[:2, :3].T + matrix[:2, 3]
        self._points = places[vertices].reshape(-1, 3, 3)
        self._uvs = mapped.reshape(-1, 3, 2)
        self._size = image_size
        self._is_repeated = space.is_repeated

    def spot(self, x_px: float, y_px: float) -> Spot:
        """Where the picture's pixel position (from the top left) lies on the surface.

        Outside every triangle, the nearest one is continued.
        """
        width, height = self._size
        triangle, weights = self._locate(np.array([x_px / width, 1.0 - y_px / height]))
        points, uvs = self._points[triangle], self._uvs[triangle]
        # Columns: how the surface moves when u or v grows by one.
        uv_edges = np.stack([uvs[1] - uvs[0], uvs[2] - uvs[0]], axis=1)
        edges = np.stack([points[1] - points[0], points[2] - points[0]], axis=1)
        along_u, along_v = (edges @ np.linalg.inv(uv_edges)).T
        across = Vector(along_u).normalized()
        outwards = across.cross(Vector(along_v)).normalized()
        up = outwards.cross(across)
        frame = Matrix((across, up, outwards)).transposed().to_4x4()
        frame.translation = Vector(weights @ points)
        return Spot(frame, (float(np.linalg.norm(along_u) / width), up.dot(along_v) / height))

    def pixel_along(self, origin: Vector, direction: Vector) -> tuple[float, float]:
        """The picture's pixel position (from the top left) that a ray in object space meets.

        Beside every triangle, the nearest one is continued.
        """
        first = self._points[:, 0]
        edge1, edge2 = self._points[:, 1] - first, self._points[:, 2] - first
        normal = np.cross(edge1, edge2)
        slant = normal @ np.array(direction)
        usable = np.abs(slant) > 1e-12
        if not usable.any():
            raise PortraitError("The picture is seen from its edge.", "Look at it from the front.")
        way = ((first - np.array(origin)) * normal).sum(axis=1) / np.where(usable, slant, 1.0)
        offset = np.array(origin) + way[:, None] * np.array(direction) - first
        square = np.maximum((normal * normal).sum(axis=1), 1e-30)
        weight1 = (np.cross(offset, edge2) * normal).sum(axis=1) / square
        weight2 = (np.cross(edge1, offset) * normal).sum(axis=1) / square
        weights = np.stack([1.0 - weight1 - weight2, weight1, weight2], axis=1)
        outside = np.where(usable, np.maximum(-weights, 0.0).sum(axis=1), np.inf)
        # Of the triangles that the ray meets, the one in front.
        best = int(np.lexsort((way, np.round(outside, 6)))[0])
        u, v = weights[best] @ self._uvs[best]
        if self._is_repeated and outside[best] < _INSIDE:
            u, v = (c if -_INSIDE <= c <= 1.0 + _INSIDE else c - np.floor(c) for c in (u, v))
        return float(u * self._size[0]), float((1.0 - v) * self._size[1])

    def _locate(self, uv: np.ndarray) -> tuple[int, np.ndarray]:
        """(triangle, weights of its corners) for coordinates of the picture."""
        first = self._uvs[:, 0]
        edge1, edge2 = self._uvs[:, 1] - first, self._uvs[:, 2] - first
        area = edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0]
        sides = self._points[:, 1:] - self._points[:, :1]
        surface = np.cross(sides[:, 0], sides[:, 1])
        usable = (np.abs(area) > 1e-12) & ((surface * surface).sum(axis=1) > 1e-24)
        if not usable.any():
            raise PortraitError("The UV map is collapsed.", "Unwrap the object again.")
        safe = np.where(usable, area, 1.0)
        nearest = np.inf, 0, np.zeros(3)
        for tile in self._tiles():
            offset = uv + tile - first
            weight1 = (offset[:, 0] * edge2[:, 1] - offset[:, 1] * edge2[:, 0]) / safe
            weight2 = (edge1[:, 0] * offset[:, 1] - edge1[:, 1] * offset[:, 0]) / safe
            weights = np.stack([1.0 - weight1 - weight2, weight1, weight2], axis=1)
            outside = np.where(usable, np.maximum(-weights, 0.0).sum(axis=1), np.inf)
            best = int(np.argmin(outside))
            if outside[best] < nearest[0]:
                nearest = outside[best], best, weights[best]
            if nearest[0] < _INSIDE:
                break
        return nearest[1], nearest[2]

    def _tiles(self) -> list[np.ndarray]:
        """The repetitions of the picture that the mesh may show, the picture itself first."""
        if not self._is_repeated:
            return [np.zeros(2)]
        low = np.maximum(np.floor(self._uvs.min(axis=(0, 1))), -MAX_TILES)
        high = np.minimum(np.ceil(self._uvs.max(axis=(0, 1))), MAX_TILES)
        columns, rows = (np.arange(a, b) for a, b in zip(low, high, strict=True))
        tiles = [np.array([x, y]) for x in columns for y in rows]
        return sorted([np.zeros(2), *tiles], key=lambda tile: float(np.abs(tile).sum()))


def _places(mesh: bpy.types.Mesh) -> np.ndarray:
    flat = np.empty(len(mesh.vertices) * 3, np.float32)
    # Attributes are copied whole; the older collections go through every item.
    mesh.attributes["position"].data.foreach_get("vector", flat)
    return flat.reshape(-1, 3).astype(np.float64)


def _corner_vertices(mesh: bpy.types.Mesh) -> np.ndarray:
    flat = np.empty(len(mesh.loops), np.int32)
    mesh.attributes[".corner_vert"].data.foreach_get("value", flat)
    return flat


def _uvs(item: bpy.types.Object, name: str) -> np.ndarray:
    """(loops, 3) of the named UV map, of the rendered one where there is none."""
    layers = item.data.uv_layers
    rendered = next((layer for layer in layers if layer.active_render), layers.active)
    layer = layers.get(name) or rendered
    if layer is None:
        raise PortraitError(
            f"'{item.name}' has no UV map.", "Unwrap it, so that the picture lies on it."
        )
    flat = np.empty(len(item.data.loops) * 2, np.float32)
    layer.uv.foreach_get("vector", flat)
    return np.pad(flat.reshape(-1, 2).astype(np.float64), ((0, 0), (0, 1)))


def _generated(mesh: bpy.types.Mesh, places: np.ndarray) -> np.ndarray:
    """(vertices, 3) generated coordinates: 0..1 over the mesh's texture space."""
    size = np.array(mesh.texspace_size)
    return (places - np.array(mesh.texspace_location) + size) / (2.0 * size)
