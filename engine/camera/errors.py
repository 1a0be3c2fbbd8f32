"""Why a camera gives no pictures."""

from __future__ import annotations

import sys

# What to do where the system forbids it.
REFUSED_HINTS = {
    "darwin": "Allow Blender under System Settings → Privacy & Security → Camera, then restart "
    "Blender. The engine is Blender's child and has its permission.",
    "win32": "Allow desktop apps under Settings → Privacy & security → Camera.",
    "linux": "Add your user to the group 'video', or give Blender's package access to cameras.",
}


class CameraError(Exception):
    """A camera that gives no pictures now; it is tried again.

    state  of camera_table.STATES
    hint   what to do about it
    """

    def __init__(self, state: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.state, self.hint = state, hint


def refused_hint() -> str:
    """What to do where this system forbids the camera."""
    return REFUSED_HINTS.get(sys.platform, REFUSED_HINTS["linux"])
