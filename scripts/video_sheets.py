"""Contact sheets of a clip and of its edits, to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from video_clip import VideoClip

from engine.faces.crop import face_crop

CELL, COLUMNS = 170, 10
NEAR_CELL, NEIGHBOURS = 300, 5
BLACK = (24, 24, 24)


class Sheet:
    """Collects crops of one clip's frames: some of all, and a few that follow one another."""

    def __init__(self, clip: VideoClip, edits: Sequence[str]) -> None:
        self._name, self._rows = clip.name, ("source", *edits)
        count = len(clip.rows)
        self._spread = np.unique(np.linspace(0, count - 1, min(COLUMNS, count)).astype(int))
        start = max(0, count // 2 - NEIGHBOURS // 2)
        self._near = np.arange(start, min(start + NEIGHBOURS, count))
        # One place for all frames, so that what moves is seen to move.
        middle = int(clip.rows[count // 2])
        self._crop = face_crop(clip.track.landmarks_at(0, middle), scale=2.0)
        self._cells: dict[tuple[str, int], np.ndarray] = {}

    def add(self, number: int, row: str, picture: np.ndarray) -> None:
        """(H, W, 3) uint8 of a frame, by its number among those that are checked."""
        if number in self._spread or number in self._near:
            self._cells[row, number] = self._crop.extract(picture)

    def write(self, folder: Path) -> None:
        """Write both sheets."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, numbers, cell in (
            (f"{self._name}.png", self._spread, CELL),
            (f"{self._name} near.png", self._near, NEAR_CELL),
        ):
            sheet = np.full((cell * len(self._rows), cell * len(numbers), 3), BLACK, np.uint8)
            for top, row in enumerate(self._rows):
                for left, number in enumerate(numbers.tolist()):
                    part = cv2.resize(
                        self._cells[row, number], (cell, cell), interpolation=cv2.INTER_AREA
                    )
                    sheet[top * cell : (top + 1) * cell, left * cell : (left + 1) * cell] = part
            _, data = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
            data.tofile(folder / name)
