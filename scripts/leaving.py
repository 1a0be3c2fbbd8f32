"""How a script that has loaded bpy ends."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable


def run_and_leave(main: Callable[[], None]) -> None:
    """Run `main` and end the process: status 0, or 1 with the error printed.

    A bpy that leaves the usual way with handlers registered may hang.
    """
    status = 1
    try:
        main()
        status = 0
    finally:
        if status:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(status)
