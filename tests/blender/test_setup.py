"""Set Up LivePortrait through its operators: what it refuses, and that it can be stopped.

The whole way, from nothing to a frame by the networks, is in test_networks.py.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import bpy
import pytest

SPOKEN = str(Path(__file__).resolve().parents[1] / "data" / "spoken.ogg")
PACKAGE = "bl_ext.user_default.keyportrait"


@pytest.fixture
def preferences(tmp_path: Path) -> Any:
    found = bpy.context.preferences.addons[PACKAGE].preferences
    found.liveportrait_folder = str(tmp_path / "liveportrait")
    yield found
    for name in ("liveportrait_folder", "weights_folder", "wheels_folder"):
        setattr(found, name, "")


def test_without_online_access_nothing_is_downloaded(preferences: Any, tmp_path: Path) -> None:
    assert not bpy.app.online_access
    with pytest.raises(RuntimeError, match="Allow Online Access"):
        bpy.ops.keyportrait.setup_environment()
    assert not (tmp_path / "liveportrait").exists()


def test_a_wheels_folder_that_lacks_packages_is_named(preferences: Any, tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    preferences.wheels_folder = str(tmp_path / "wheels")
    preferences.torch_backend = "cpu"
    with pytest.raises(RuntimeError, match=r"wheels folder lacks it|Install uv failed"):
        bpy.ops.keyportrait.setup_environment()


def test_a_missing_wheels_folder_is_named(preferences: Any) -> None:
    preferences.wheels_folder = "/nowhere/wheels"
    with pytest.raises(RuntimeError, match="'/nowhere/wheels' does not exist"):
        bpy.ops.keyportrait.setup_environment()


def test_a_python_that_is_no_python_is_reported(preferences: Any, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no python here\nexit 3\n")
    broken.chmod(0o755)
    (tmp_path / "wheels").mkdir()
    preferences.wheels_folder = str(tmp_path / "wheels")
    preferences.python_path = str(broken)
    with pytest.raises(RuntimeError, match="no python here"):
        bpy.ops.keyportrait.setup_environment()


def test_a_full_disk_is_found_before_anything_is_written(
    preferences: Any, tmp_path: Path, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wheels").mkdir()
    preferences.wheels_folder = str(tmp_path / "wheels")
    environment = module("host.environment")
    usage = type("usage", (), {"free": 1_000_000})
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(RuntimeError, match="GB needed"):
        bpy.ops.keyportrait.setup_environment()
    assert not (tmp_path / "liveportrait").exists()


def test_a_folder_without_weights_is_refused(preferences: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="has no LivePortrait weights"):
        bpy.ops.keyportrait.setup_choose_weights(directory=str(tmp_path))
    assert preferences.weights_folder == ""


def test_a_folder_of_animals_alone_is_not_shown_as_people(
    preferences: Any, tmp_path: Path, module: Any
) -> None:
    folder = tmp_path / "liveportrait_animals" / "base_models_v1.1"
    folder.mkdir(parents=True)
    for name in module("engine.weight_table").NETWORKS:
        (folder / f"{name}.pth").touch()
    bpy.ops.keyportrait.setup_choose_weights(directory=str(tmp_path))
    state = module("rig.setup").installed()
    assert state.has_weights
    assert "human" not in state.sets


def test_later_steps_say_that_the_environment_comes_first(preferences: Any) -> None:
    for operator in (bpy.ops.keyportrait.setup_weights, bpy.ops.keyportrait.setup_check):
        assert not operator.poll()
        with pytest.raises(RuntimeError, match="do step 1 first"):
            operator()


def test_a_foreign_folder_is_never_removed(preferences: Any, module: Any) -> None:
    keep = module("rig.setup").folder() / "holiday.jpg"
    keep.parent.mkdir(parents=True)
    keep.write_bytes(b"x")
    with pytest.raises(RuntimeError, match="nothing to remove"):
        bpy.ops.keyportrait.setup_remove()
    assert keep.exists()


def test_the_final_renderer_without_set_up_says_what_to_do(add_portrait: Any, module: Any) -> None:
    plane, (face, *_) = add_portrait()
    plane.keyportrait.portrait.renderer = "liveportrait"
    face["smile"] = 0.5
    face.update_tag()
    live, portraits = module("rig.live"), module("rig.portraits")
    item = next(iter(portraits.portraits_of(bpy.context.scene)))
    errors = module("host.client").EngineError
    with pytest.raises(errors, match="Set Up LivePortrait"):
        live.show_now(item, bpy.context.evaluated_depsgraph_get())


def test_set_up_can_be_cancelled_and_goes_on(preferences: Any, module: Any, tmp_path: Path) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nsleep 60\n")
    slow.chmod(0o755)
    (tmp_path / "wheels").mkdir()
    preferences.wheels_folder = str(tmp_path / "wheels")
    preferences.python_path = str(slow)
    setup = module("rig.setup")
    task = setup.start_environment()
    assert setup.is_running()
    assert not bpy.ops.keyportrait.setup_environment.poll()
    start = time.monotonic()
    bpy.ops.keyportrait.setup_cancel()
    assert task.wait(20).value == "CANCELLED"
    assert time.monotonic() - start < 20
    assert bpy.ops.keyportrait.setup_environment.poll()


def pretend_environment(folder: Path, script: str) -> None:
    """A finished environment whose Python is a shell script."""
    python = folder / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    (folder / "environment.json").write_text("{}")


def test_insightface_is_only_downloaded_when_its_licence_is_accepted(
    preferences: Any, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = module("rig.setup")
    monkeypatch.setattr(setup, "check_online", lambda *_: None)
    pretend_environment(setup.folder(), "exit 0")
    with pytest.raises(RuntimeError, match="non-commercial research only"):
        bpy.ops.keyportrait.setup_weights(sets={"human", "insightface"})
    assert setup.engine_variables()["KEYPORTRAIT_INSIGHTFACE"] == "0"
    assert not any("insightface" in step.title.lower() for step in steps_of(setup, module))
    preferences.is_insightface_accepted = True
    asked = setup.folder() / "asked.txt"
    uv = setup.folder() / "venv" / "bin" / "uv"
    uv.write_text(f'#!/bin/sh\necho "$@" >>"{asked}"\n')
    uv.chmod(0o755)
    assert bpy.ops.keyportrait.setup_weights(sets={"human"}) == {"FINISHED"}
    assert not asked.exists()
    assert bpy.ops.keyportrait.setup_weights(sets={"human", "insightface"}) == {"FINISHED"}
    # The environment was made before, without the package that reads these models.
    assert "insightface.txt" in asked.read_text()
    asked.unlink()
    manifest = (setup.folder() / "download.json").read_text()
    assert "det_10g.onnx" in manifest
    assert "landmark.onnx" in manifest
    assert setup.engine_variables()["KEYPORTRAIT_INSIGHTFACE"] == "1"
    assert any("insightface" in step.title.lower() for step in steps_of(setup, module))
    preferences.is_insightface_accepted = False


def test_audio2face_is_got_with_its_licence_and_spoken_by_the_networks_engine(
    preferences: Any,
    module: Any,
    monkeypatch: pytest.MonkeyPatch,
    add_portrait: Any,
    tmp_path: Path,
) -> None:
    from test_panels import grey_methods_say

    setup, table = module("rig.setup"), module("engine.weight_table").AUDIO2FACE
    add_portrait()
    words = {"filepath": SPOKEN, "method": "AUDIO2FACE"}
    with pytest.raises(RuntimeError, match=r"environment is not installed.*Set Up LivePortrait"):
        bpy.ops.keyportrait.speak(**words)
    grey_methods_say("LivePortrait's environment is not installed. See Set Up LivePortrait")
    assert not bpy.ops.keyportrait.setup_audio2face.poll()
    # A Python with the engine's modules stands in for the environment's.
    folders = ":".join(module("rig.engine").module_folders())
    pretend_environment(
        setup.folder(),
        f'[ "$2" = engine.download ] && exit 0\n'
        f'PYTHONPATH="{folders}:$PYTHONPATH" exec "{sys.executable}" "$@"',
    )
    with pytest.raises(RuntimeError, match="Audio2Face-3D is not there yet"):
        bpy.ops.keyportrait.speak(**words)
    monkeypatch.setattr(setup, "check_online", lambda *_: None)
    with pytest.raises(RuntimeError, match="NVIDIA Open Model License"):
        bpy.ops.keyportrait.setup_audio2face()
    try:
        preferences.is_audio2face_accepted = True
        assert bpy.ops.keyportrait.setup_audio2face() == {"FINISHED"}
        manifest = json.loads((setup.folder() / "download.json").read_text())
        assert manifest["repository"] == "nvidia/Audio2Face-3D-v2.3-Mark"
        assert Path(manifest["folder"]) == setup.audio2face_folder()
        assert {row["path"] for row in manifest["files"]} == {f.name for f in table.files}
        # The way without a network.
        own = tmp_path / "own"
        own.mkdir()
        with pytest.raises(RuntimeError, match="lacks network, model_data"):
            bpy.ops.keyportrait.setup_choose_audio2face(directory=str(own))
        for file in table.files:
            (own / file.name).touch()
        assert bpy.ops.keyportrait.setup_choose_audio2face(directory=str(own)) == {"FINISHED"}
        assert setup.engine_variables()["KEYPORTRAIT_AUDIO2FACE"] == str(own)
        assert module("rig.audio2face").problem() == ""
        with pytest.raises(
            RuntimeError, match=r"'network_info\.json' of Audio2Face-3D cannot be read"
        ):
            bpy.ops.keyportrait.speak(**words)
        preferences.is_audio2face_accepted = False
        with pytest.raises(RuntimeError, match="licence is not accepted"):
            bpy.ops.keyportrait.speak(**words)
        assert setup.engine_variables()["KEYPORTRAIT_AUDIO2FACE"] == ""
    finally:
        preferences.is_audio2face_accepted = False
        preferences.audio2face_folder = ""
        module("rig.engine").free_setup()


def steps_of(setup: Any, module: Any) -> list[Any]:
    return module("host.environment").environment_steps(setup.plan())


def test_the_check_reports_what_the_environment_says(preferences: Any, module: Any) -> None:
    setup = module("rig.setup")
    fields = '{"device": "CPU, fp32", "model_set": "human", "ms_per_frame": 12.0, "notices": []}'
    pretend_environment(setup.folder(), f"echo '{{\"result\": {fields}}}'")
    assert bpy.ops.keyportrait.setup_check() == {"FINISHED"}
    assert setup.check_result()["device"] == "CPU, fp32"
    error = '{"error": {"code": "no_models", "message": "No weights.", "hint": "Get some."}}'
    bpy.ops.keyportrait.setup_remove()
    pretend_environment(setup.folder(), f"echo '{error}'; exit 1")
    with pytest.raises(RuntimeError, match=r"No weights. Get some."):
        bpy.ops.keyportrait.setup_check()
    assert setup.check_result() is None


def test_uninstalling_takes_everything_but_what_is_not_ours(preferences: Any, module: Any) -> None:
    setup = module("rig.setup")
    pretend_environment(setup.folder(), "exit 0")
    for name in ("cache", "weights"):
        (setup.folder() / name).mkdir()
    assert setup.python() is not None
    assert bpy.ops.keyportrait.setup_remove() == {"FINISHED"}
    assert not setup.folder().exists()
    assert setup.folder().parent.exists()
    assert setup.python() is None


def test_what_compiling_leaves_behind_lies_in_the_folder_that_goes(
    preferences: Any, module: Any
) -> None:
    setup = module("rig.setup")
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        assert Path(setup.engine_variables()[name]).is_relative_to(setup.folder() / "cache")


def test_the_panel_names_the_build_of_pytorch_and_what_it_lacks(
    preferences: Any, module: Any
) -> None:
    from test_panels import draw_all

    folder = module("rig.setup").folder()
    pretend_environment(folder, "exit 0")
    assert not any("torch==" in text for text in draw_all()[0])
    marker = '{"torch": "torch==2.13.0+cpu", "notice": "This card is of no use."}'
    (folder / "environment.json").write_text(marker)
    texts = draw_all()[0]
    assert "torch==2.13.0+cpu" in texts
    assert "This card is of no use." in texts


def test_the_panel_shows_the_three_steps_and_a_failure(preferences: Any, module: Any) -> None:
    from test_panels import draw_all

    texts, calls = draw_all()
    assert "1  Environment" in texts
    assert "2  Weights" in texts
    assert "3  Check" in texts
    assert "Online access is off." in texts
    operators = {arguments[0] for name, arguments, _ in calls if name == "operator"}
    assert {"keyportrait.setup_environment", "keyportrait.setup_remove"} <= operators
    preferences.wheels_folder = "/nowhere"
    pretend_environment(module("rig.setup").folder(), "echo broken; exit 3")
    with pytest.raises(RuntimeError, match="broken"):
        bpy.ops.keyportrait.setup_check()
    assert "broken" in draw_all()[0]
