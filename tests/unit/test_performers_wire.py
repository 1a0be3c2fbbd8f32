"""Who is in a clip, asked over the wire: read once, kept for the capture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from engine import clip_reading
from engine.motion import Face
from engine.operations import Operations
from engine.protocol import Message, check
from engine.renderer import ReportedError
from engine.take import PerformanceSource, TakeOptions

DATA = Path(__file__).resolve().parents[1] / "data"
RATE, COUNT, LATE = 12, 18, 6


@pytest.fixture(scope="module")
def duet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face on the left, and from frame 6 on a smaller one on the right."""
    photo = cv2.cvtColor(cv2.imread(str(DATA / "astronaut.jpg")), cv2.COLOR_BGR2RGB)
    face = photo[:240, 110:350]
    small = cv2.resize(face[:, ::-1], (180, 180), interpolation=cv2.INTER_AREA)
    path = tmp_path_factory.mktemp("duet") / "duet.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", RATE, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = 480, 240, "yuv420p"
        for number in range(COUNT):
            picture = np.full((240, 480, 3), 120, np.uint8)
            picture[:, :240] = face
            if number >= LATE:
                picture[40:220, 280:460] = small
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return path


def ask(type: str, told: list[str] | None = None, **fields: Any) -> Message:
    message = Message(type, 1, fields)
    check(message)
    reply = Operations().answer(
        message, lambda _fraction, text: told.append(text) if told is not None else None
    )
    assert isinstance(reply, Message)
    check(reply)
    return reply


def faces_in(answer: Message) -> np.ndarray:
    """(N, S, S, 4) what it shows of the performers."""
    array = answer.arrays["pictures"]
    return np.frombuffer(array.data, array.dtype).reshape(array.shape)


def test_performers_are_listed_and_the_clip_is_read_once(
    duet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = PerformanceSource(str(duet), cache_dir=str(tmp_path))
    told: list[str] = []
    listed = ask("performers", told, source=source.to_json())
    first, second = listed.fields["performers"]
    assert any("duet.mp4" in text for text in told)
    assert (first["index"], second["index"]) == (0, 1)
    assert first["start_s"] == pytest.approx(0.0) and first["seen_share"] == 1.0
    # New faces are looked for now and then.
    assert LATE / RATE <= second["start_s"] <= LATE / RATE + 0.6
    assert second["end_s"] == pytest.approx((COUNT - 1) / RATE, abs=0.01)
    assert 0.25 <= second["seen_share"] <= 1 - LATE / COUNT
    left, right = first["box"], second["box"]
    assert left[2] < 0.5 < right[0] and left[3] - left[1] > right[3] - right[1] > 0.2
    # The face on the right is the mirrored one.
    pictures = faces_in(listed)
    assert pictures.shape[:1] == (2,) and (pictures[..., 3] == 255).all()
    likeness = [
        np.corrcoef(pictures[0, ..., :3].ravel(), other.ravel())[0, 1]
        for other in (pictures[1, ..., :3], pictures[1, :, ::-1, :3])
    ]
    assert likeness[1] > 0.8 > likeness[0]

    def fail(*_arguments: object) -> None:
        raise AssertionError("the clip was opened again")

    monkeypatch.setattr(clip_reading, "open_clip", fail)
    captured = ask(
        "capture",
        source=source.to_json(),
        faces=[Face((0.0, 0.0, 1.0, 1.0)).to_json()],
        options=TakeOptions().to_json(),
    )
    assert captured.fields["performers"] == [first, second]
    assert np.array_equal(faces_in(captured), pictures), "they were kept"


def test_files_that_are_no_clips_say_so(tmp_path: Path) -> None:
    with pytest.raises(ReportedError, match="is no clip") as caught:
        ask("performers", source=PerformanceSource(str(tmp_path / "take.pkl")).to_json())
    assert caught.value.code == "bad_performance"
    with pytest.raises(ReportedError, match="gone"):
        ask("performers", source=PerformanceSource(str(tmp_path / "gone.mp4")).to_json())
    with pytest.raises(ReportedError, match="source"):
        ask("performers", source={"path": ""})
