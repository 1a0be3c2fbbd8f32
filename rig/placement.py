"""Where a spot of the picture lies on the object that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from mathutils import Matrix, Vector

from .errors import PortraitError

if TYPE_CHECKING:
    import bpy


@dataclass(frozen=True)
class Spot:
    """A place on a surface, in the object's space.

    frame         neutral matrix of a controller: x along the picture's width, y up, z outwards
    unit_per_px   object units for one pixel of the picture
    """

    frame: Matrix
    unit_per_px: float


class UvSurface:
    """The UV-mapped triangles of a mesh, as the image lies on it."""

    def __init__(self, item: bpy.types.Object, image_size: tuple[int, int]) -> None:
        mesh = item.data
        if not hasattr(mesh, "uv_layers") or mesh.uv_layers.active is None:
            raise PortraitError(
                f"'{item.name}' has no UV map.", "Unwrap it, so that the picture lies on it."
            )
        mesh.calc_loop_triangles()
        count = len(mesh.loop_triangles)
        if not count:
            raise PortraitError(f"'{item.name}' has no faces to show a picture on.")
        corners = np.empty(count * 3, np.int32)
        mesh.loop_triangles.foreach_get("loops", corners)
        vertices = np.empty(count * 3, np.int32)
        mesh.loop_triangles.foreach_get("vertices", vertices)
        coordinates = np.empty(len(mesh.vertices) * 3, np.float32)
        mesh.vertices.foreach_get("co", coordinates)
        uvs = np.empty(len(mesh.loops) * 2, np.float32)
        mesh.uv_layers.active.data.foreach_get("uv", uvs)
        self._points = coordinates.reshape(-1, 3)[vertices].reshape(-1, 3, 3).astype(np.float64)
        self._uvs = uvs.reshape(-1, 2)[corners].reshape(-1, 3, 2).astype(np.float64)
        self._size = image_size

    def spot(self, x_px: float, y_px: float) -> Spot:
        """Where the picture's pixel position (from the top left) lies on the surface.

        Outside every triangle, the nearest one is continued.
        """
        width, height = self._size
        uv = np.array([x_px / width, 1.0 - y_px / height])
        triangle, weights = self._locate(uv)
        points, uvs = self._points[triangle], self._uvs[triangle]
        position = weights @ points
        # Columns: how the surface moves when u or v grows by one.
        uv_edges = np.stack([uvs[1] - uvs[0], uvs[2] - uvs[0]], axis=1)
        edges = np.stack([points[1] - points[0], points[2] - points[0]], axis=1)
        along_u, along_v = (edges @ np.linalg.inv(uv_edges)).T
        across = Vector(along_u).normalized()
        outwards = across.cross(Vector(along_v)).normalized()
        frame = Matrix((across, outwards.cross(across), outwards)).transposed().to_4x4()
        frame.translation = Vector(position)
        return Spot(frame, float(np.linalg.norm(along_u) / width))

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
        return float(u * self._size[0]), float((1.0 - v) * self._size[1])

    def _locate(self, uv: np.ndarray) -> tuple[int, np.ndarray]:
        first = self._uvs[:, 0]
        edge1, edge2 = self._uvs[:, 1] - first, self._uvs[:, 2] - first
        area = edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0]
        usable = np.abs(area) > 1e-12
        if not usable.any():
            raise PortraitError("The UV map is collapsed.", "Unwrap the object again.")
        safe = np.where(usable, area, 1.0)
        offset = uv - first
        weight1 = (offset[:, 0] * edge2[:, 1] - offset[:, 1] * edge2[:, 0]) / safe
        weight2 = (edge1[:, 0] * offset[:, 1] - edge1[:, 1] * offset[:, 0]) / safe
        weights = np.stack([1.0 - weight1 - weight2, weight1, weight2], axis=1)
        outside = np.where(usable, np.maximum(-weights, 0.0).sum(axis=1), np.inf)
        best = int(np.argmin(outside))
        return best, weights[best]
