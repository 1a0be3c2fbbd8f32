"""What the engine says about requests that it cannot work with."""

from __future__ import annotations

import pytest

from engine.protocol import Array, Message
from engine.renderer import ReportedError
from engine.request_fields import read_image


@pytest.mark.parametrize(("fields", "start"), [({"name": "Ada.PNG"}, "'Ada.PNG'"), ({}, "The")])
def test_messages_about_a_picture_keep_its_name_as_it_is(
    fields: dict[str, str], start: str
) -> None:
    image = Array("uint8", (2, 2, 3), bytes(12))
    message = Message("detect", 1, {"encoding": "srgb", **fields}, {"image": image})
    with pytest.raises(ReportedError, match=f"^{start}.* came as uint8"):
        read_image(message)
