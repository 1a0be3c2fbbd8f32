"""The cameras of this computer, through FFmpeg's own devices (PyAV).

PyAV and not OpenCV: it names the cameras where OpenCV only counts them, says why one cannot be
opened (not there, busy, refused) where OpenCV only says that it cannot, and opens the one that was
named, whatever number it has today.
"""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..camera_table import BUSY, REFUSED, UNPLUGGED
from ..clips.errors import ClipError, load_av
from ..clips.orientation import Orientation, limited_size
from ..clips.pixels import Converter
from .errors import CameraError, refused_hint

FORMATS = {"linux": "video4linux2", "win32": "dshow", "darwin": "avfoundation"}
FRAME_RATE = 30
MAX_SIDE = 1280  # pixels; landmarks need no more
_LISTING_S = 5.0

_UNPLUGGED_HINT = "Plug one in, or choose another; it is tried again by itself."
_BUSY_HINT = "Close the other program's video; it is tried again by itself."


class Device(NamedTuple):
    """A camera: what it is opened by, and what people call it."""

    id: str
    name: str


def list_devices() -> list[Device]:
    """The cameras that there are now; empty where nobody can tell. Raises ClipError without av."""
    av = load_av()
    try:
        found = av.enumerate_input_devices(FORMATS.get(sys.platform, FORMATS["linux"]))
    except (av.error.FFmpegError, ValueError, OSError, NotImplementedError):
        found = []
    devices = [
        Device(info.name, info.description or info.name) for info in found if _is_video(info)
    ]
    if not devices and sys.platform == "darwin":
        devices = _profiled()
    return devices


def first_device() -> str:
    """What the first camera is opened by. Raises CameraError where there is none."""
    try:
        devices = list_devices()
    except ClipError as error:
        raise CameraError(UNPLUGGED, str(error), error.hint) from error
    if not devices:
        raise CameraError(UNPLUGGED, "No camera was found.", _UNPLUGGED_HINT)
    return devices[0].id


def _is_video(info: Any) -> bool:
    kinds = [str(kind) for kind in getattr(info, "media_types", None) or ()]
    return not kinds or "video" in kinds


def _profiled() -> list[Device]:
    """The cameras that macOS tells of."""
    command = ["/usr/sbin/system_profiler", "SPCameraDataType", "-json"]
    try:
        told = subprocess.run(command, capture_output=True, timeout=_LISTING_S, check=True).stdout
        names = [str(item["_name"]) for item in json.loads(told)["SPCameraDataType"]]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return []
    return [Device(name, name) for name in names]


def device_frames(device_id: str, size: tuple[int, int]) -> Iterator[tuple[float, np.ndarray]]:
    """(time.monotonic() of arrival, (H, W, 3) uint8 sRGB) of every frame of a camera.

    size  wanted (width, height); cameras give what they can
    Raises CameraError when it cannot be opened, and when it goes.
    """
    try:
        av = load_av()
    except ClipError as error:
        raise CameraError(UNPLUGGED, str(error), error.hint) from error
    with _opened(av, device_id, size) as container:
        converter, upright = Converter(), Orientation()
        try:
            for frame in container.decode(video=0):
                now_s = time.monotonic()
                shown = limited_size(frame.width, frame.height, MAX_SIDE)
                yield now_s, converter.upright(frame, upright, 1.0, shown)
        except (av.error.FFmpegError, OSError) as error:
            raise camera_error(device_id, error) from error
    raise CameraError(UNPLUGGED, f"'{device_id}' gives no more pictures.", _UNPLUGGED_HINT)


def _opened(av: Any, device_id: str, size: tuple[int, int]) -> Any:
    """The container of a camera: as it is wanted, else as near as it can."""
    kind = FORMATS.get(sys.platform, FORMATS["linux"])
    name = f"video={device_id}" if kind == "dshow" else device_id
    exact = {"video_size": f"{size[0]}x{size[1]}", "framerate": str(FRAME_RATE)}
    more = {"rtbufsize": "64M"} if kind == "dshow" else {}
    plain = {"framerate": str(FRAME_RATE)} if kind == "avfoundation" else {}
    failure: Exception | None = None
    for wanted in (exact, {"video_size": exact["video_size"]}, plain):
        try:
            return av.open(name, format=kind, options={**wanted, **more})
        except (av.error.FFmpegError, ValueError, OSError) as error:
            failure = failure or error
            if _state_of(error) is not None:
                break
    raise camera_error(device_id, failure)


def _state_of(error: Exception | None) -> str | None:
    """What an error says of the camera; None where it may be about the wanted size."""
    number = getattr(error, "errno", None)
    if number in (errno.EACCES, errno.EPERM):
        return REFUSED
    if number in (errno.EBUSY,):
        return BUSY
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return UNPLUGGED
    return None


def camera_error(name: str, error: Exception | None) -> CameraError:
    """What an error of FFmpeg or of the system says of a camera."""
    state = _state_of(error)
    if state is None and getattr(error, "errno", None) == errno.EIO:
        # dshow says so of cameras in use, AVFoundation of those that it may not open.
        state = {"win32": BUSY, "darwin": REFUSED}.get(sys.platform)
    if state == REFUSED:
        return CameraError(state, f"'{name}' may not be used.", refused_hint())
    if state == BUSY:
        return CameraError(state, f"'{name}' is used by another program.", _BUSY_HINT)
    reason = getattr(error, "strerror", None) or error
    return CameraError(UNPLUGGED, f"'{name}' cannot be opened: {reason}.", _UNPLUGGED_HINT)
