"""Memory: torch's many ways to say that it ran out, and giving back what is not needed."""

from __future__ import annotations

import mmap
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from ..heap import trim_heap

# Apple's devices, CPU allocators and NVIDIA's libraries raise a plain RuntimeError.
ALIGNMENT = 64  # bytes, a line of cache
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
    else:
        trim_heap()


@contextmanager
def weights_on_disk(module: nn.Module, folder: Path | None) -> Iterator[Callable[[], None]]:
    """Let a module's weights lie in a file while something makes its own copy of them.

    Afterwards, and whenever the function that it gives is called, they take no memory until someone
    reads them: the system then gets them from the file again. The file has no name and goes with
    the last reader.

    folder  on a disk with room for the weights; None, a full disk or a system that cannot do it
            leave the weights where they are
    """
    view: mmap.mmap | None = None

    def give_back() -> None:
        if view is not None:
            view.madvise(mmap.MADV_DONTNEED)
        trim_heap()

    tensors = {id(x): x for x in (*module.parameters(), *module.buffers()) if x.numel()}
    if folder is not None and sys.platform == "linux":
        view = _file_view(list(tensors.values()), folder)
    give_back()
    yield give_back
    give_back()


def _file_view(tensors: list[Tensor], folder: Path) -> mmap.mmap | None:
    """Move tensors into a file without a name; None where that fails."""
    offsets: list[int] = []
    size = 0
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            for tensor in tensors:
                offsets.append(size)
                raw = tensor.detach().contiguous().flatten().view(torch.uint8)
                file.seek(size)
                file.write(memoryview(raw.numpy()))
                size += -(-len(raw) // ALIGNMENT) * ALIGNMENT
            file.truncate(size)
            file.flush()
            # Pages of a private view stay the file's until somebody writes on them; nobody does.
            view = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
    except (OSError, ValueError):
        return None
    for tensor, offset in zip(tensors, offsets, strict=True):
        flat = torch.frombuffer(view, dtype=tensor.dtype, count=tensor.numel(), offset=offset)
        tensor.data = flat.reshape(tensor.shape)
    return view
