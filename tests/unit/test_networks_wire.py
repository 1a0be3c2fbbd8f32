"""What the host hears over the wire when a card overflows or runs short of memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skimage.data
from conftest import ROOT
from keyportrait.engine.protocol import Array
from keyportrait.host.client import Engine

from engine.controls import motion_from_controls

pytest.importorskip("torch", reason="the networks need torch")
pytest.importorskip("safetensors", reason="safetensors is missing")

FAKE = str(ROOT / "tests" / "fakes" / "overflowing_engine.py")
PATIENCE_S = 60.0
PICTURE = np.dstack((skimage.data.astronaut(), np.full((512, 512), 255, np.uint8)))


class Host:
    """Opens the picture once; renders frames of a growing turn of the head."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        arrays = {"image": Array("uint8", PICTURE.shape, PICTURE.tobytes())}
        fields = {"encoding": "srgb"}
        face = self.ask("detect", fields, arrays)["faces"][0]
        fields |= {"renderer": "liveportrait", "faces": [face], "options": {}}
        self.opened = self.ask("open", fields, arrays)

    def ask(self, kind: str, fields: dict[str, Any], arrays: Any = None) -> Any:
        self.reply = self.engine.wait(self.engine.submit(kind, fields, arrays or {}), PATIENCE_S)
        return self.reply.fields

    def render(self, number: int, upcoming: range = range(0)) -> tuple[list[str], np.ndarray]:
        """(notices, pixels) of one frame."""
        options = {"upcoming": [[motion(n)] for n in upcoming]}
        fields = {"handle": self.opened["handle"], "motions": [motion(number)], "options": options}
        answer = self.ask("render", fields)
        pixels = self.reply.arrays["pixels"]
        return answer.get("notices", []), np.frombuffer(pixels.data, np.uint8).reshape(pixels.shape)


def motion(number: int) -> dict[str, Any]:
    return motion_from_controls({"head_yaw": 5.0 + number}).to_json()


@pytest.fixture
def host(start_engine: Callable[..., Engine]) -> Callable[[str], Host]:
    return lambda mode: Host(start_engine(fake=False, arguments=(FAKE, mode)))


def test_an_overflowed_frame_arrives_whole_and_the_user_is_told(host: Any) -> None:
    host = host("overflow")
    assert host.opened["renderer"]["precision"] == "fp16"
    notices, pixels = host.render(0)
    assert len(notices) == 1
    assert "overflowed in fp16" in notices[0]
    centre = pixels[pixels.shape[0] // 2, pixels.shape[1] // 2]
    assert centre.tolist() == [128, 128, 128, 255], "neither black nor the source picture"
    for number in (1, 2, 3):
        notices, _pixels = host.render(number)
    assert len(notices) == 2
    assert "continuing in fp32" in notices[1]


def test_short_memory_costs_the_batch_alone(host: Any) -> None:
    host = host("memory")
    assert host.opened["renderer"]["batch_size"] == 4
    notices, pixels = host.render(0, upcoming=range(1, 4))
    assert notices == ["Memory is short: 2 frames at a time."]
    assert pixels.size
    assert host.render(3)[1].size
