"""The four MediaPipe networks (Apache-2.0) that see faces, read by OpenCV's TFLite importer."""

from __future__ import annotations

import hashlib
import threading
from functools import cache
from pathlib import Path

import cv2

from ..renderer import ReportedError

MODELS_FOLDER = Path(__file__).resolve().parent.parent / "models"

# File name without ".tflite" → sha256, as contained in the PyPI wheel mediapipe 0.10.21.
SHA256 = {
    "face_detection_short_range": (
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8"
    ),
    "face_landmark": "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
    "iris_landmark": "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f",
    "selfie_segmentation": "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
}

_HINT = "Install the extension again, or run `make models` in a source checkout."


def model_path(name: str) -> Path:
    """Path of a model's file. Raises ReportedError "no_models" when it is missing or damaged."""
    path = MODELS_FOLDER / f"{name}.tflite"
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        message = f"The face model '{path.name}' cannot be read: {error.strerror}."
        raise ReportedError("no_models", message, _HINT) from error
    if digest != SHA256[name]:
        raise ReportedError("no_models", f"The face model '{path.name}' is damaged.", _HINT)
    return path


def load(name: str) -> cv2.dnn.Net:
    """The network of one of SHA256's names, read once for each thread that uses it.

    A Net keeps its input between calls, so that each thread has its own.
    Raises ReportedError "no_models".
    """
    return load_for(name, threading.get_ident())


@cache
def load_for(name: str, _thread: int) -> cv2.dnn.Net:
    """See `load`; the network of a thread. Few threads use networks, and they live long."""
    path = model_path(name)
    try:
        # OpenCV 5's new engine cannot give several outputs in one pass; results are the same.
        return cv2.dnn.readNetFromTFLite(str(path), cv2.dnn.ENGINE_CLASSIC)
    except cv2.error as error:
        message = f"OpenCV {cv2.__version__} cannot read the face model '{path.name}'."
        raise ReportedError("no_models", message, _HINT) from error
