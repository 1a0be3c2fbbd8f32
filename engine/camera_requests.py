"""The requests about the camera: read, checked, answered."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .camera.devices import list_devices
from .camera.stand_in import stand_in
from .camera_table import SIZES
from .clips.errors import ClipError
from .part_files import hint_of, write_whole
from .protocol import Array, Message
from .puppeteer import Look, Puppeteer, Sample, performance_of
from .renderer import ReportedError
from .request_fields import read_faces
from .take import TakeOptions

if TYPE_CHECKING:
    import numpy as np

PREFIX = "camera_"
LONGEST_COUNTDOWN_S = 60.0
LARGEST_PREVIEW = 640  # pixels


class CameraRequests:
    """The camera of one connection."""

    def __init__(self) -> None:
        self._puppeteer = Puppeteer()

    def answer(self, message: Message) -> Message:
        """The successful reply to a request about the camera. Raises ReportedError."""
        if message.type == "camera_devices":
            return Message("camera_listed", message.id, {"devices": _devices()})
        if message.type == "camera_poll":
            return self._poll(message)
        if message.type == "camera_take":
            return self._take(message)
        if message.type == "camera_start":
            device = message.fields["device"]
            if not isinstance(device, str):
                raise ReportedError("bad_request", "The device is no text.")
            self._puppeteer.start(device, _size(message.fields["size"]))
        elif message.type == "camera_neutral":
            self._puppeteer.set_neutral(_number(message, "countdown_s", LONGEST_COUNTDOWN_S))
        elif message.type == "camera_record":
            video = message.fields.get("video")
            start_s = _number(message, "start_s", math.inf)
            self._puppeteer.record(start_s, Path(video) if isinstance(video, str) else None)
        else:
            self._puppeteer.stop()
        return Message("camera_done", message.id)

    def close(self) -> None:
        """Close the camera."""
        self._puppeteer.stop()

    def _poll(self, message: Message) -> Message:
        look = self._puppeteer.poll(_number(message, "smooth", 1.0))
        sample = look.sample
        number = 0 if sample is None else sample.frame.number
        is_known = message.fields.get("after") == number
        fields: dict[str, Any] = {
            "state": look.state,
            "message": look.message,
            "hint": look.hint,
            "number": number,
            "time_s": 0.0 if sample is None else sample.frame.time_s,
            "latency_s": 0.0 if sample is None else sample.read_s - sample.frame.time_s,
            "motions": [] if is_known else _motions(message, look),
            "fps": round(look.fps, 2),
            "dropped": look.dropped,
            "neutral_s": round(look.neutral_s, 3),
            "has_neutral": look.has_neutral,
        }
        arrays: dict[str, Array] = {}
        wanted = message.fields.get("preview")
        if wanted is not None and sample is not None and not is_known:
            pixels = preview(sample, _size(wanted, LARGEST_PREVIEW))
            fields["size"] = [sample.frame.image.shape[1], sample.frame.image.shape[0]]
            arrays["preview"] = Array("uint8", pixels.shape, pixels.tobytes())
        return Message("camera_sample", message.id, fields, arrays)

    def _take(self, message: Message) -> Message:
        import numpy as np

        from .performance.performance_file import write_performance

        path = message.fields["path"]
        end_s = message.fields.get("end_s")
        if not isinstance(path, str):
            raise ReportedError("bad_request", "There is no path for the take.")
        if not path:
            self._puppeteer.drop_recording()
            nothing = {"frame_count": 0, "seen_count": 0, "first_s": 0.0, "last_s": 0.0}
            return Message("camera_taken", message.id, {"path": "", "notices": [], **nothing})
        recording, neutral = self._puppeteer.end_recording()
        smooth = _number(message, "smooth", 1.0)
        limit_s = float(end_s) if isinstance(end_s, int | float) else None
        times, rows, is_seen = recording.rows(neutral, smooth, limit_s)
        if not len(times):
            raise ReportedError(
                "bad_performance", "No face was seen while recording.", "Look at the camera."
            )
        performance = performance_of(times, rows, neutral, smooth, is_seen)
        try:
            write_whole(Path(path), lambda part: write_performance(part, performance))
        except OSError as error:
            text = f"'{path}' cannot be written: {error.strerror or error}."
            raise ReportedError("write_failed", text, hint_of(error)) from error
        fields = {
            "path": path,
            "frame_count": len(times),
            "seen_count": int(np.count_nonzero(is_seen)),
            "first_s": float(times[0]),
            "last_s": float(times[-1]),
            "notices": recording.notices,
        }
        return Message("camera_taken", message.id, fields)


def _devices() -> list[dict[str, str]]:
    path = stand_in()
    if path is not None:
        return [{"id": str(path), "name": f"{path.name} (stand-in)"}]
    try:
        return [device._asdict() for device in list_devices()]
    except ClipError as error:
        raise ReportedError(error.code, str(error), error.hint) from error


def _motions(message: Message, look: Look) -> list[dict[str, Any]]:
    """What each face shall do now; none before the performer was seen."""
    from .taking import live_motions

    if not message.fields["faces"] or look.sample is None or look.sample.performance is None:
        return []
    try:
        options = TakeOptions.from_json(message.fields["options"])
    except (TypeError, ValueError) as error:
        raise ReportedError("bad_request", f"Unreadable options: {error}.") from error
    motions = live_motions(look.sample.performance, read_faces(message), options)
    return [motion.to_json() for motion in motions]


def preview(sample: Sample, most: tuple[int, int]) -> np.ndarray:
    """(H, W, 4) uint8 sRGB of the camera's picture as a mirror shows it, the face drawn into it.

    most  (width, height) that it fits in
    """
    import cv2
    import numpy as np

    from .faces.canonical import EYES, LIP_LOWER_OUTER, LIP_UPPER_OUTER, OVAL

    image = sample.frame.image
    height, width = image.shape[:2]
    factor = min(most[0] / width, most[1] / height, 1.0)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if sample.landmarks is not None:
        lines = [OVAL, *(eye.upper for eye in EYES), *(eye.lower for eye in EYES)]
        points = sample.landmarks[:, :2] * factor
        for line in [*lines, LIP_UPPER_OUTER, LIP_LOWER_OUTER]:
            path = np.rint(points[list(line)]).astype(np.int32)
            cv2.polylines(small, [path], line is OVAL, (120, 230, 140), 1, cv2.LINE_AA)
    return cv2.cvtColor(np.ascontiguousarray(small[:, ::-1]), cv2.COLOR_RGB2RGBA)


def _number(message: Message, name: str, most: float) -> float:
    value = message.fields[name]
    if isinstance(value, int | float) and 0.0 <= value <= most:
        return float(value)
    raise ReportedError("bad_request", f"'{name}' is no number from 0 to {most:g}.")


def _size(values: object, most: int = max(SIZES)[0]) -> tuple[int, int]:
    numbers = list(values) if isinstance(values, list | tuple) else []
    if len(numbers) == 2 and all(type(n) is int and 0 < n <= most for n in numbers):
        return numbers[0], numbers[1]
    raise ReportedError("bad_request", f"The size is not a width and a height up to {most}.")
