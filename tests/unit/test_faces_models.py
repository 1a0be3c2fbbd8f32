"""The network files: pinned, and clear errors when they are missing or damaged."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import ROOT

from engine.faces import models
from engine.faces.detector import Detection, merge
from engine.faces.segmentation import person_mask
from engine.renderer import ReportedError

data = pytest.importorskip("skimage.data")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the models that a test may harm."""
    for name in models.SHA256:
        shutil.copy(models.model_path(name), tmp_path)
    monkeypatch.setattr(models, "MODELS_FOLDER", tmp_path)
    models.load_for.cache_clear()
    yield tmp_path
    models.load_for.cache_clear()


def test_missing_model(folder):
    (folder / "iris_landmark.tflite").unlink()
    with pytest.raises(ReportedError, match=r"iris_landmark\.tflite") as caught:
        models.load("iris_landmark")
    assert caught.value.code == "no_models" and caught.value.hint
    assert models.load("face_landmark") is models.load("face_landmark")


def test_each_thread_has_its_own_networks():
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(models.load, "face_landmark").result()
    assert other is not models.load("face_landmark")


def test_damaged_model(folder):
    path = folder / "face_landmark.tflite"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ReportedError, match="damaged") as caught:
        models.load("face_landmark")
    assert caught.value.code == "no_models"


def test_person_mask():
    """The astronaut is person, the flag and the shuttle beside her are not."""
    astronaut = data.astronaut()
    mask = person_mask(astronaut)
    assert mask.shape == astronaut.shape[:2] and mask.dtype == np.float32
    assert mask.min() >= 0 and mask.max() <= 1
    assert mask[90:200, 190:260].mean() > 0.95
    assert mask[:60, 400:].mean() < 0.2


def test_merge_keeps_one_of_alike_and_both_of_different():
    def detection(x, y, size, score):
        box = np.array([x, y, x + size, y + size], float)
        return Detection(box, np.full((6, 2), x + size / 2), score)

    merged = merge(
        [
            detection(100, 100, 50, 0.6),
            detection(102, 102, 50, 0.9),
            detection(300, 100, 80, 0.7),
            detection(110, 110, 20, 0.8),
        ]
    )
    assert [d.score for d in merged] == [0.7, 0.9]
    assert merged[1].box[0] == pytest.approx((100 * 0.6 + 102 * 0.9) / 1.5)


def test_the_engine_and_the_fetch_script_pin_the_same_files():
    script = (ROOT / "scripts" / "fetch_models.py").read_text(encoding="utf-8")
    table = script.split("MODELS = {")[1].split("\n}\n")[0]
    assert set(re.findall(r'"([0-9a-f]{64})"', table)) == set(models.SHA256.values())
