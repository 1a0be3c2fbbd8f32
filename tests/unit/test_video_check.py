"""The video check on a clip that tilts, and what it lists that is none."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
video_check = pytest.importorskip("video_check")
video_edits = pytest.importorskip("video_edits")

DATA = Path(__file__).resolve().parents[1] / "data"
COUNT = 9


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[Path]:
    """A clip of a photograph that tilts, one without a face, and what is no clip."""
    folder = tmp_path_factory.mktemp("clips")
    data = np.fromfile(DATA / "astronaut.jpg", np.uint8)
    photo = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    for name, picture in (("tilt.mp4", photo), ("wall.mp4", np.full_like(photo, 120))):
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream("libx264", 25)
            stream.width, stream.height, stream.pix_fmt = 340, 300, "yuv420p"
            stream.options = {"crf": "12"}
            for step in np.linspace(-1.0, 1.0, COUNT):
                matrix = cv2.getRotationMatrix2D((225, 120), -6.0 * step, 1.0)
                moved = cv2.warpAffine(
                    picture, matrix, picture.shape[1::-1], borderMode=cv2.BORDER_REFLECT
                )
                part = np.ascontiguousarray(moved[:300, 60:400])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(part, "rgb24")))
            container.mux(stream.encode(None))
    (folder / "notes.txt").write_text("no clip")
    return sorted(folder.iterdir())


def test_a_clip_is_edited_and_troubles_are_listed(clips, tmp_path) -> None:
    summary = video_check.run(clips, tmp_path, COUNT)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    (clip,) = summary["clips"]
    assert clip["clip"] == "tilt.mp4" and clip["frames"] == clip["frame_count"] == COUNT
    assert clip["identity"] is True and clip["smile"]["is_clean"] is True
    assert clip["smile"]["rise_cm"] > 0.15 and clip["smile"]["follows"] > 0.9
    assert clip["head"]["result_deg"] < 0.6 * clip["head"]["source_deg"]
    failed = {row["clip"]: row["message"] for row in summary["failed"]}
    assert set(failed) == {"notes.txt", "wall.mp4"} and "face" in failed["wall.mp4"]
    for name in ("tilt.mp4.png", "tilt.mp4 near.png"):
        assert cv2.imread(str(tmp_path / "sheets" / name)) is not None
    assert "tilt.mp4" in (tmp_path / "table.txt").read_text()


def test_what_goes_to_and_fro_flickers_and_what_moves_on_does_not() -> None:
    source = np.full((60, 60, 3), 90, np.uint8)
    nowhere = np.zeros((60, 60), bool)
    shaking, moving = video_edits.Flicker(), video_edits.Flicker()
    for number in range(6):
        shaking.add(source, source + np.uint8(20 + 20 * (number % 2)), nowhere)
        moving.add(source, source + np.uint8(10 + 10 * number), nowhere)
    assert shaking.mean == pytest.approx(20.0) and shaking.seen_share == 1.0
    assert moving.mean == 0.0
