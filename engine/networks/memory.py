"""Running out of memory: torch's many ways to say it, and giving back what it keeps."""

from __future__ import annotations

import torch

# Apple's devices, CPU allocators and NVIDIA's libraries raise a plain RuntimeError.
TEXTS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "cudnn_status_alloc_failed",
    "cublas_status_alloc_failed",
)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, means that memory ran out.

    A failed recording of a CUDA graph hides the first error behind a second one.
    """
    while error is not None:
        if isinstance(error, torch.OutOfMemoryError | MemoryError):
            return True
        if isinstance(error, RuntimeError) and any(t in str(error).lower() for t in TEXTS):
            return True
        error = error.__cause__ or error.__context__
    return False


def release_memory(device: torch.device) -> None:
    """Give the device back what torch keeps for later."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
