"""The 7x7x7 mask convolution by overlap-save Fourier transforms: 140 -> 13 GFLOP per frame.

Height and width are cut into tiles of 16 outputs that read 22 inputs, so that a cyclic
convolution of length 22 is right in the 16; depth is short enough for one cyclic convolution of
length 19 (16 + 3, the wrapped samples fall into the zero padding). The transforms are products
with small constant matrices: at these lengths faster than any FFT library, and every runtime
that can multiply matrices can run them.

Arrays here are channels last, so that each transform is one matrix product from the left.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

KERNEL = 7
REACH = KERNEL // 2
TILE = 16
LENGTH = TILE + 2 * REACH
DEPTH = 16
DEPTH_LENGTH = DEPTH + REACH
DEPTH_FREQUENCIES = DEPTH_LENGTH // 2 + 1


class SpectralConv3d(nn.Module):
    """A 7x7x7 convolution, padding 3: (B, Cin, 16, H, W) -> (B, Cout, 16, H, W).

    height, width  fixed, multiples of 16
    """

    depth_in: Tensor
    rows_in: Tensor
    columns_in: Tensor
    kernel: Tensor
    columns_out: Tensor
    rows_out: Tensor
    depth_out: Tensor
    bias: Tensor

    def __init__(self, conv: nn.Conv3d, height: int = 64, width: int = 64) -> None:
        super().__init__()
        if conv.kernel_size != (KERNEL,) * 3 or conv.bias is None:
            raise ValueError("SpectralConv3d replaces a 7x7x7 convolution with bias")
        self.tiles = (height // TILE, width // TILE)
        matrices = {
            "depth_in": _real_to_depth(),
            "rows_in": _to_tiles(height),
            "columns_in": _to_tiles(width),
            "kernel": _kernel_spectrum(conv.weight),
            "columns_out": _from_tile(),
            "rows_out": _from_tile(),
            "depth_out": _depth_to_real(),
            "bias": conv.bias.detach(),
        }
        for name, matrix in matrices.items():
            self.register_buffer(name, matrix, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, _, height, width = x.shape
        tile_rows, tile_columns = self.tiles
        last = x.permute(0, 2, 3, 4, 1)
        # Each step: (…, samples to transform, the rest) with the transform from the left.
        s = self.depth_in @ last.reshape(batch, DEPTH, -1)
        s = s.reshape(batch * DEPTH_FREQUENCIES, 2 * height, width * channels)
        s = self.rows_in @ s
        s = s.reshape(batch * DEPTH_FREQUENCIES * LENGTH * tile_rows, 2 * width, channels)
        s = self.columns_in @ s
        # (batch, [fz, fy], tile row, fx, tile column, [re/im, c]) -> frequencies first.
        s = s.reshape(
            batch, DEPTH_FREQUENCIES * LENGTH, tile_rows, LENGTH, tile_columns, 2 * channels
        )
        s = s.permute(1, 3, 0, 2, 4, 5)
        # Real and imaginary parts as rows of their own: the kernel's spectrum, hundreds of
        # megabytes, is then stored and read once and not twice.
        tiles = batch * tile_rows * tile_columns
        s = (s.reshape(-1, 2 * tiles, channels) @ self.kernel).reshape(
            -1, tiles, 2, 2, len(self.bias)
        )
        real = s[:, :, 0, 0] - s[:, :, 1, 1]
        imaginary = s[:, :, 0, 1] + s[:, :, 1, 0]
        return self._back(torch.stack([real, imaginary], dim=2), batch, height, width)

    def _back(self, s: Tensor, batch: int, height: int, width: int) -> Tensor:
        tile_rows, tile_columns = self.tiles
        outputs = len(self.bias)
        # (fz, fy, fx, batch, tile row, tile column, re/im, o) -> (…, [fx, re/im], o)
        s = s.reshape(DEPTH_FREQUENCIES, LENGTH, LENGTH, batch, tile_rows, tile_columns, 2, outputs)
        s = s.permute(3, 0, 4, 1, 5, 2, 6, 7).reshape(-1, 2 * LENGTH, outputs)
        s = self.columns_out @ s
        # (batch, fz, tile row, fy, tile column, re/im, x, o) -> (…, [fy, re/im], [x, o])
        s = s.reshape(
            batch * DEPTH_FREQUENCIES * tile_rows, LENGTH, tile_columns, 2, TILE * outputs
        )
        s = s.permute(0, 1, 3, 2, 4).reshape(-1, 2 * LENGTH, width * outputs)
        s = self.rows_out @ s
        # (batch, fz, tile row, re/im, y, x o) -> (batch, [fz, re/im], [y, x, o])
        s = s.reshape(batch, DEPTH_FREQUENCIES, tile_rows, 2, TILE * width * outputs)
        s = s.permute(0, 1, 3, 2, 4).reshape(batch, 2 * DEPTH_FREQUENCIES, -1)
        s = (self.depth_out @ s).reshape(batch, DEPTH, height, width, outputs) + self.bias
        return s.permute(0, 4, 1, 2, 3)


def _angles(rows: Tensor, columns: Tensor, length: int) -> Tensor:
    return 2 * math.pi / length * rows[:, None] * columns[None, :]


def _count(size: int) -> Tensor:
    return torch.arange(size, dtype=torch.float64)


def _real_to_depth() -> Tensor:
    """(fz re/im, z): real samples to the frequencies of a cycle of 19."""
    angles = _angles(_count(DEPTH_FREQUENCIES), _count(DEPTH), DEPTH_LENGTH)
    return torch.stack([angles.cos(), -angles.sin()], dim=1).flatten(0, 1).float()


def _to_tiles(size: int) -> Tensor:
    """([frequency, tile, re/im], [re/im, sample]): complex samples to the tiles' frequencies."""
    tiles = size // TILE
    matrix = torch.zeros(LENGTH, tiles, 2, 2, size, dtype=torch.float64)
    for tile in range(tiles):
        first = tile * TILE - REACH
        columns = slice(max(first, 0), min(first + LENGTH, size))
        inside = slice(columns.start - first, columns.stop - first)
        angles = _angles(_count(LENGTH), _count(LENGTH)[inside], LENGTH)
        cosine, sine = angles.cos(), angles.sin()
        matrix[:, tile, 0, 0, columns] = cosine
        matrix[:, tile, 0, 1, columns] = sine
        matrix[:, tile, 1, 0, columns] = -sine
        matrix[:, tile, 1, 1, columns] = cosine
    return matrix.reshape(LENGTH * tiles * 2, 2 * size).float()


def _from_tile() -> Tensor:
    """([re/im, sample], [frequency, re/im]): a tile's frequencies to its 16 right outputs."""
    angles = _angles(_count(TILE) + REACH, _count(LENGTH), LENGTH)
    cosine, sine = angles.cos() / LENGTH, angles.sin() / LENGTH
    real = torch.stack([cosine, -sine], dim=2)
    imaginary = torch.stack([sine, cosine], dim=2)
    return torch.stack([real, imaginary]).reshape(2 * TILE, 2 * LENGTH).float()


def _depth_to_real() -> Tensor:
    """(z, [fz, re/im]): half a spectrum of 19 to 16 real samples."""
    angles = _angles(_count(DEPTH), _count(DEPTH_FREQUENCIES), DEPTH_LENGTH)
    twice = torch.full((DEPTH_FREQUENCIES,), 2.0, dtype=torch.float64)
    twice[0] = 1.0
    parts = [angles.cos() * twice, -angles.sin() * twice]
    return (torch.stack(parts, dim=2) / DEPTH_LENGTH).flatten(1).float()


def _kernel_spectrum(weight: Tensor) -> Tensor:
    """([fz, fy, fx], Cin, [re/im, Cout]) for spectra as row vectors.

    The network's "convolution" is a correlation, hence the sign of the angle.
    """
    taps = _count(KERNEL) - REACH
    depth = _angles(_count(DEPTH_FREQUENCIES), taps, DEPTH_LENGTH)
    plane = _angles(_count(LENGTH), taps, LENGTH)
    one = torch.ones(1, dtype=torch.float64)
    depths, *planes = (torch.polar(one.expand_as(a), a) for a in (depth, plane, plane))
    taps_in = weight.detach().to(torch.complex128)
    outputs, inputs = weight.shape[:2]
    result = torch.empty(DEPTH_FREQUENCIES, LENGTH, LENGTH, inputs, 2, outputs)
    # One depth at a time: all of it in double precision would take as much as three results.
    for slab, wave in zip(result, depths, strict=True):
        spectrum = torch.einsum("ocklm,k,gl,hm->ghco", taps_in, wave, *planes)
        slab[..., 0, :], slab[..., 1, :] = spectrum.real, spectrum.imag
    return result.flatten(0, 2).flatten(2)
