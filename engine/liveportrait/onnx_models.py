"""Opening the optional ONNX face models with onnxruntime, with errors that users understand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..renderer import ReportedError

DOWNLOAD_HINT = "Download it again with Set Up LivePortrait, or choose another folder."
PROVIDERS = ("CUDAExecutionProvider", "CoreMLExecutionProvider", "CPUExecutionProvider")


def open_session(path: Path, *, input_count: int = 1, output_count: int = 1) -> Any:
    """An onnxruntime session on the best device there is.

    input_count   inputs that the model must have
    output_count  outputs that it must have at least
    Raises ReportedError "no_models" that names the file.
    """
    # Read when the library loads: it would report its use from some systems.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime
    except ImportError as error:
        raise ReportedError(
            "no_models", "onnxruntime is not installed.", "Run Set Up LivePortrait again."
        ) from error
    if not path.is_file():
        raise ReportedError("no_models", f"Model file '{path}' does not exist.", DOWNLOAD_HINT)
    providers = [name for name in PROVIDERS if name in onnxruntime.get_available_providers()]
    try:
        session = onnxruntime.InferenceSession(str(path), providers=providers)
    except (RuntimeError, ValueError, OSError, *_onnxruntime_errors()) as error:
        raise ReportedError(
            "no_models", f"Model file '{path.name}' is damaged or no ONNX model.", DOWNLOAD_HINT
        ) from error
    inputs, outputs = len(session.get_inputs()), len(session.get_outputs())
    if inputs != input_count or outputs < output_count:
        raise ReportedError(
            "no_models",
            f"Model file '{path.name}' has {inputs} inputs and {outputs} outputs, expected"
            f" {input_count} and {output_count}: it is another model.",
            DOWNLOAD_HINT,
        )
    return session


def _onnxruntime_errors() -> list[type[Exception]]:
    """onnxruntime's own exceptions, which have no base class but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    values = (getattr(state, name) for name in dir(state))
    return [v for v in values if isinstance(v, type) and issubclass(v, Exception)]
