"""A clip in the engine, as Blender's side asks for it: over the wire, frame by frame."""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
# Blender loads the checkout as one package; `keyportrait` plays that part here.
if "keyportrait" not in sys.modules:
    package = types.ModuleType("keyportrait")
    package.__path__ = [str(ROOT)]
    sys.modules["keyportrait"] = package

from keyportrait.host.client import Engine, EngineError, Launch  # noqa: E402

from engine.face_track import FaceTrack  # noqa: E402
from engine.motion import Face, Motion  # noqa: E402
from engine.moving_source import MovingSource  # noqa: E402
from engine.source_clip import SourceClip  # noqa: E402

TIMEOUT_S = 600.0
# Where in a clip a face is looked for, shares of its length, one after the other.
LOOKED_AT = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)


class ClipError(Exception):
    """A clip that cannot be checked; the message says why."""


class Wire:
    """An engine process."""

    def __init__(self, folder: Path) -> None:
        self._engine = Engine(Launch(sys.executable, ROOT, folder / "engine.log"))
        self._engine.start()
        self._engine.wait_ready(TIMEOUT_S)

    def ask(self, kind: str, fields: Mapping[str, Any]) -> Any:
        """The answer to a request. Raises ClipError with the engine's message."""
        try:
            return self._engine.wait(self._engine.submit(kind, dict(fields)), TIMEOUT_S)
        except EngineError as error:
            raise ClipError(str(error)) from error

    def stop(self) -> None:
        """End the process."""
        self._engine.stop()


class VideoClip:
    """A clip whose largest face was found, followed and opened by the engine.

    source     the same clip, read by this process
    track      where the face is in every frame
    rows       the frames that are checked: a stretch in which it is seen, without a cut
    track_fps  frames followed per second
    """

    def __init__(self, path: Path, wire: Wire, folder: Path, limit: int) -> None:
        """Raises ClipError, or ReportedError when this process cannot read the clip."""
        self.name, self._wire = path.name, wire
        clip = SourceClip(str(path))
        self.source = MovingSource(clip)
        self._clip = clip.to_json()
        self.frame, face = self._find()
        begun = time.perf_counter()
        track_path = folder / f"{path.name}.npz"
        asked = {"clip": self._clip, "frame": self.frame, "faces": [face]}
        wire.ask("track", {**asked, "path": str(track_path)})
        self.track_fps = self.source.frame_count / (time.perf_counter() - begun)
        self.track = FaceTrack.load(track_path)
        self.rows = self._stretch(limit)
        opening = {"renderer": "analytic", "options": {}, "track": str(track_path), **asked}
        opened = wire.ask("open", opening).fields
        self._handle = opened["handle"]
        self.face = Face.from_json(opened["faces"][0])

    def render(
        self, row: int, motion: Motion, holds: Sequence[str] = (), *, is_whole: bool = False
    ) -> np.ndarray:
        """(H, W, 4) the source frame with the face moved. Raises ClipError."""
        fields = {
            "handle": self._handle,
            "frame": row,
            "motions": [motion.to_json()],
            "options": {"holds": [list(holds)]},
        }
        if is_whole:
            fields["is_whole"] = True
        reply = self._wire.ask("render", fields)
        x, y, width, height = reply.fields["rectangle"]
        array = reply.arrays["pixels"]
        part = np.frombuffer(array.data, array.dtype).reshape(array.shape)
        if is_whole:
            return part
        picture = self.source.at(row).pixels.copy()
        picture[y : y + height, x : x + width] = part
        return picture

    def close(self) -> None:
        """Let the engine forget it."""
        self._wire.ask("close", {"handle": self._handle})
        self.source.close()

    def _find(self) -> tuple[int, dict[str, Any]]:
        """A frame that shows a face that can be moved, and the largest such face."""
        message = ""
        for share in LOOKED_AT:
            frame = int(share * (self.source.frame_count - 1))
            try:
                asked = {"clip": self._clip, "frame": frame, "encoding": "srgb"}
                faces = self._wire.ask("detect", asked).fields["faces"]
            except ClipError as error:
                message = str(error)
                continue
            good = [face for face in faces if not face["problem"]]
            if good:
                return frame, good[0]
            message = faces[0]["problem"]["message"]
        raise ClipError(message)

    def _stretch(self, limit: int) -> np.ndarray:
        """The longest stretch that shows the face without a cut; no more than so many frames."""
        is_seen = self.track.is_seen[0]
        edges = np.zeros(len(is_seen) + 1, bool)
        edges[[0, -1, *self.track.cuts]] = True
        edges[1:-1] |= is_seen[1:] != is_seen[:-1]
        bounds = np.flatnonzero(edges)
        parts = [(end - start, start) for start, end in pairwise(bounds) if is_seen[start]]
        if not parts:
            raise ClipError("The face is seen in no frame.")
        length, start = max(parts, key=lambda part: (part[0], -part[1]))
        return np.arange(start, start + min(length, limit))
