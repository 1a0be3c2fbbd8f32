"""Clips as files: read once, kept, and every trouble told with the file's name."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from full_disk import files_of_at_most

from engine import clip_reading
from engine.capture import capture
from engine.clip_reading import list_performers, read_clip
from engine.motion import Face
from engine.performance.geometry import euler_degrees
from engine.reading import read_performance
from engine.renderer import ReportedError
from engine.take import PerformanceSource, TakeOptions

DATA = Path(__file__).resolve().parents[1] / "data"
RATE, COUNT = 24, 16
FACE = Face((0.0, 0.0, 1.0, 1.0))


def quiet(_fraction: float, _text: str) -> None:
    pass


def write_clip(path: Path, images: list[np.ndarray]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", RATE, options={"crf": "12"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """A photo that tilts to one side and grows a little."""
    photo = cv2.cvtColor(cv2.imread(str(DATA / "astronaut.jpg")), cv2.COLOR_BGR2RGB)
    images = []
    for step in np.linspace(0.0, 1.0, COUNT):
        matrix = cv2.getRotationMatrix2D((225, 120), -12.0 * step, 1.0 + 0.1 * step)
        moved = cv2.warpAffine(photo, matrix, photo.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
        images.append(np.ascontiguousarray(moved[:300, 60:400]))
    return write_clip(tmp_path_factory.mktemp("clips") / "tilt.mp4", images)


def test_a_clip_is_a_performance_at_its_own_times(clip) -> None:
    told: list[float] = []
    performance = read_performance(
        PerformanceSource(str(clip)), lambda fraction, _text: told.append(fraction)
    )
    assert len(performance) == COUNT
    assert performance.times == pytest.approx(np.arange(COUNT) / RATE, abs=1e-4)
    roll = euler_degrees(performance.rotation)[:, 2]
    assert roll[-1] - roll[0] == pytest.approx(12.0, abs=1.0)
    assert performance.scale[-1] / performance.scale[0] == pytest.approx(1.1, abs=0.03)
    assert not performance.notices and performance.is_seen.all()
    assert told == sorted(told)


def test_a_part_counts_from_its_beginning(clip) -> None:
    performance = read_performance(PerformanceSource(str(clip), 0.25, 0.5), quiet)
    assert len(performance) == 6
    assert performance.times == pytest.approx(np.arange(6) / RATE, abs=1e-4)


def test_what_was_read_is_not_read_again(clip, tmp_path, monkeypatch) -> None:
    cached = PerformanceSource(str(clip), cache_dir=str(tmp_path))
    first = capture(cached, [FACE], TakeOptions(), quiet)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"]

    def fail(*_arguments):
        raise AssertionError("the clip was opened again")

    monkeypatch.setattr(clip_reading, "open_clip", fail)
    again = capture(cached, [FACE], TakeOptions(), quiet)
    assert np.array_equal(first.values, again.values)
    rough = PerformanceSource(str(clip), smooth=0.0, cache_dir=str(tmp_path))
    assert not np.array_equal(read_clip(rough, quiet).rotation, read_clip(cached, quiet).rotation)
    assert [performer.index for performer in list_performers(cached, quiet)] == [0]
    with pytest.raises(AssertionError):
        read_clip(PerformanceSource(str(clip), 0.1, cache_dir=str(tmp_path)), quiet)


def test_a_cache_that_cannot_be_written_costs_nothing_else(clip, tmp_path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    source = PerformanceSource(str(clip), 0.0, 0.1, cache_dir=str(blocked))
    assert len(read_clip(source, quiet)) == 3


@pytest.mark.parametrize("room", [0, 1, 2500])
def test_a_disk_that_fills_up_costs_nothing_else(clip, tmp_path, room) -> None:
    source = PerformanceSource(str(clip), 0.0, 0.1, cache_dir=str(tmp_path / "kept"))
    with files_of_at_most(room):
        taken = capture(source, [FACE], TakeOptions(), quiet)
    assert len(taken.times) == 3
    assert not list((tmp_path / "kept").iterdir())
    assert len(read_clip(source, quiet)) == 3
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_what_is_wrong_is_told_with_the_files_name(clip, tmp_path) -> None:
    empty = write_clip(tmp_path / "grass.mp4", [np.full((96, 128, 3), 90, np.uint8)] * 3)
    cases = {
        "No face found in 'grass.mp4'": PerformanceSource(str(empty)),
        "'tilt.mp4' has 1 performer, no number 3": PerformanceSource(str(clip), performer=2),
        "'gone.mp4'": PerformanceSource(str(tmp_path / "gone.mp4")),
    }
    for text, source in cases.items():
        with pytest.raises(ReportedError, match=text) as caught:
            read_performance(source, quiet)
        assert caught.value.code == "bad_performance"
        assert caught.value.hint


def test_reading_can_be_stopped(clip) -> None:
    class StoppedError(Exception):
        pass

    def stop(_fraction: float, _text: str) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        read_clip(PerformanceSource(str(clip)), stop)


def test_a_sequence_whose_pictures_changed_is_read_again(tmp_path) -> None:
    photo = cv2.imread(str(DATA / "astronaut.jpg"))[:300, 60:400]
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"p{number}.png"), photo)
    (tmp_path / "kept").mkdir()
    source = PerformanceSource(
        str(tmp_path / "p0.png"), cache_dir=str(tmp_path / "kept"), frame_rate=8.0
    )
    assert read_performance(source, quiet).times == pytest.approx(np.arange(4) / 8.0)
    (tmp_path / "p2.png").unlink()
    again = read_performance(source, quiet)
    assert again.times == pytest.approx([0.0, 0.125, 0.375])
    assert again.notices == ("1 number is missing in the sequence of 'p0.png'.",)
    assert read_performance(source, quiet).notices == again.notices


def test_damage_is_told_and_remembered(clip, tmp_path) -> None:
    data = bytearray(clip.read_bytes())
    middle = data.index(b"mdat") + len(data) // 3
    data[middle : middle + 200] = bytes(200)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    (tmp_path / "kept").mkdir()
    source = PerformanceSource(str(path), cache_dir=str(tmp_path / "kept"))
    first = read_performance(source, quiet)
    assert first.notices[0].startswith("'damaged.mp4' is damaged: ")
    assert read_performance(source, quiet).notices == first.notices
