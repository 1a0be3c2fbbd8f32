"""Plays a driver's scenario in Blender's event loop and writes down how it ended."""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

import bpy
import pointer
from pointer import Steps


def perform(scenario: Steps, notes: dict[str, dict], out: Path) -> None:
    """One step per timer; then `notes` go to out/report.json, however it ends, and Blender ends.

    notes  what the driver has noted; "error" is added where a step raised
    """

    def tick() -> float | None:
        try:
            return next(scenario)
        except StopIteration:
            pass
        except Exception:
            notes["error"] = {"traceback": traceback.format_exc()}
            traceback.print_exc()
            pointer.screenshot(out / "failure.png")
        (out / "report.json").write_text(json.dumps(notes, indent=1))
        sys.stdout.flush()
        os._exit(0)

    # A file that is opened meanwhile would end an ordinary timer.
    bpy.app.timers.register(tick, first_interval=2.0, persistent=True)
