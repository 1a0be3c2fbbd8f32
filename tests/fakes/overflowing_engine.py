"""The real engine, whose half precision overflows or whose card runs short of memory.

    python tests/fakes/overflowing_engine.py overflow|memory [--parent-pid N]

Everything is the product's own but for W and G, which paint one colour: half precision grows
beyond 65504 on the way, or a batch of more than two frames finds no memory.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from engine.__main__ import main
from engine.liveportrait import installed
from engine.liveportrait.renderer import LivePortraitRenderer
from engine.networks.checkpoints import BUILDERS
from engine.networks.devices import Placement, Precision
from engine.networks.network_set import NetworkSet
from engine.networks.warping import Warped, coordinate_grid

MODE = sys.argv.pop(1)
ROOM = 2  # frames
GRID = coordinate_grid(16, 64, 64, torch.zeros(()))


class Painter:
    """W and G: each frame is grey, as bright as its first keypoint lies."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype

    def to(self, _device: torch.device) -> Painter:
        return self

    def release_memory(self) -> None:
        pass

    def prepare(self, feature_3d: torch.Tensor) -> torch.Tensor:
        return feature_3d

    def warp(self, _prepared: Any, _source: torch.Tensor, driving: torch.Tensor) -> Warped:
        count = len(driving)
        if MODE == "memory" and count > ROOM:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        value = driving[:, :1, :1, None]
        return Warped(value, value, GRID.expand(count, *GRID.shape))

    def generate(self, features: torch.Tensor) -> torch.Tensor:
        large = (features * 0 + 7e4).to(self._dtype)
        grey = (large - large + 0.5).float()
        return grey.expand(-1, 3, 512, 512)


def people(_report: Any = None) -> LivePortraitRenderer:
    torch.manual_seed(1)
    networks = {name: build().eval().requires_grad_(False) for name, build in BUILDERS.items()}
    placement = Placement(torch.device("cpu"), Precision.FP16)
    models = NetworkSet("human", networks, placement, use_fast_path=False)
    models.batch_size = 4
    models._decoder = Painter(torch.float16 if MODE == "overflow" else torch.float32)
    models._plain = Painter(torch.float32)
    return LivePortraitRenderer(models)


installed.people = people
installed.probe_people = lambda: {"weights": "", "landmarks": "mesh"}
main()
