"""What the engine says of LivePortrait's set-up before it loads anything."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from engine.liveportrait import installed
from engine.renderer import ReportedError
from engine.renderer_table import PREVIEW
from engine.renderers import describe_engine, probe
from engine.weight_table import NETWORKS, STITCHING


def pretend(monkeypatch: pytest.MonkeyPatch, *, has_torch: bool) -> None:
    """Let torch be found or not; torch itself looks for other modules when it is imported."""
    find_spec = importlib.util.find_spec

    def find(name: str, *package: str) -> object:
        return (True if has_torch else None) if name == "torch" else find_spec(name, *package)

    monkeypatch.setattr(installed.importlib.util, "find_spec", find)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in NETWORKS:
        (folder / f"{name}.safetensors").write_bytes(name.encode() * 30_000)
    monkeypatch.setenv(installed.WEIGHTS_VARIABLE, str(folder))
    pretend(monkeypatch, has_torch=True)
    return folder


def test_other_weights_have_another_fingerprint(weights: Path) -> None:
    before = installed.probe_people()["weights"]
    assert installed.probe_people()["weights"] == before
    (weights / "spade_generator.safetensors").write_bytes(b"other" * 90_000)
    assert installed.probe_people()["weights"] != before


def test_a_probe_tells_what_decides_pictures(weights: Path) -> None:
    facts = probe("liveportrait", lambda *_: None)
    assert facts["device_class"] in {"cpu", "cuda", "mps"}
    assert facts["precision"] in {"fp32", "fp16", "bf16"}
    assert "auto" not in facts.values()
    assert facts["weights"] == installed.fingerprint(
        weights / f"{name}.safetensors" for name in NETWORKS
    )
    assert facts["landmarks"] == "mesh"
    assert facts["model_set"] == "human"


def test_insightface_counts_only_where_it_was_accepted(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (weights / "det_10g.onnx").write_bytes(b"x")
    (weights / "2d106det.onnx").write_bytes(b"x")
    (weights / "landmark.onnx").write_bytes(b"x")
    assert installed.probe_people()["landmarks"] == "mesh"
    monkeypatch.setenv(installed.INSIGHTFACE_VARIABLE, "1")
    assert installed.probe_people()["landmarks"] == "insightface"


def test_people_and_animals_are_told_apart(weights: Path) -> None:
    with pytest.raises(ReportedError, match="weights for animals"):
        installed.probe_animals()
    (weights / "liveportrait_animals").mkdir()
    for name in NETWORKS[:4]:
        (weights / "liveportrait_animals" / f"{name}.pth").write_bytes(b"x")
    assert installed.probe_animals()["weights"] != installed.probe_people()["weights"]


def test_a_renderer_that_could_not_load_is_not_offered(weights: Path) -> None:
    (weights / f"{STITCHING}.safetensors").unlink()
    with pytest.raises(ReportedError, match=f"lacks {STITCHING}") as caught:
        probe("liveportrait", lambda *_: None)
    assert caught.value.hint


def test_nothing_of_the_set_up_stands_before_ready(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(*_: object) -> None:
        raise AssertionError("a folder on a dead drive was looked at")

    monkeypatch.setattr(installed, "look", hangs)
    monkeypatch.setattr(installed, "find_checkpoints", hangs)
    assert list(describe_engine()["renderers"]) == [PREVIEW]


def test_the_wish_for_a_precision_is_followed(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(installed.DEVICE_VARIABLE, "cpu")
    monkeypatch.setenv(installed.PRECISION_VARIABLE, "bf16")
    facts = installed.probe_people()
    assert (facts["device_class"], facts["precision"]) == ("cpu", "bf16")
    monkeypatch.setenv(installed.PRECISION_VARIABLE, "auto")
    assert installed.probe_people()["precision"] in {"fp32", "bf16"}


def test_a_folder_of_animals_alone_is_known_as_such(weights: Path) -> None:
    assert not installed.has_only_animals()
    animals = weights / "liveportrait_animals"
    animals.mkdir()
    for name in NETWORKS:
        (weights / f"{name}.safetensors").rename(animals / f"{name}.safetensors")
    assert installed.has_only_animals()
    (animals / "warping_module.safetensors").unlink()
    assert not installed.has_only_animals()


def test_files_beside_the_set_do_not_count(weights: Path) -> None:
    before = installed.probe_people()["weights"]
    (weights / "another_model.safetensors").write_bytes(b"x")
    assert installed.probe_people()["weights"] == before


def test_without_torch_it_says_what_to_press(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, has_torch=False)
    with pytest.raises(ReportedError) as caught:
        installed.probe_people()
    assert caught.value.code == "not_installed"
    assert "Set Up LivePortrait" in caught.value.hint
