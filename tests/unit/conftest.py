"""Lets unit tests import the extension's packages without Blender.

Blender loads the checkout as one package under a name of its own; `keyportrait` plays that part
here, so that `from keyportrait.host.client import Engine` resolves its relative imports as there.
"""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# As in the engine's process; OpenCV reads it when it is imported.
os.environ["OPENCV_IO_ENABLE_OPENEXR"] = "1"

if "keyportrait" not in sys.modules:
    package = types.ModuleType("keyportrait", "The extension, without running its __init__.py.")
    package.__path__ = [str(ROOT)]
    sys.modules["keyportrait"] = package
