"""What parity does as the official pipeline and the product does in another way."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from parity_items.official import limit_size, official_paste_back

from engine.liveportrait.crop import CROP_SIZE, FaceSquare

RANDOM = np.random.default_rng(7)


@pytest.mark.parametrize(
    ("size", "limit", "expected"),
    [((1501, 999), (1280, 2), (1280, 850)), ((700, 701), (1280, 2), (700, 700)),
     ((640, 2560), (1280, 16), (320, 1280)), ((3, 5), (1280, 2), (2, 4))],
)  # fmt: skip
def test_size_limit(
    size: tuple[int, int], limit: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert limit_size(np.zeros((*size, 3), np.uint8), *limit).shape[:2] == expected


def test_official_paste_back_blends_in_eight_bits() -> None:
    picture = RANDOM.integers(0, 255, size=(200, 200, 3), dtype=np.uint8)
    square = FaceSquare(np.array([100, 100], np.float32), np.float32(120))
    matrix = np.linalg.inv(square.to_crop_matrix(CROP_SIZE)).astype(np.float32)
    pasted = official_paste_back(np.full((512, 512, 3), 77, np.uint8), matrix, picture)
    assert pasted.dtype == np.uint8
    assert (pasted[60:140, 60:140] == 77).all()
    assert np.array_equal(pasted[:30], picture[:30])
