"""`--command keyportrait capture`: faces, options, saving, errors and exit statuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import pytest
from performing import at, curves, face, frames_of, template  # noqa: F401 - fixtures

YAW = ('["head_yaw"]', 0)


def command(module: Any, *arguments: str) -> int:
    return module("rig.command_line").run(["capture", *arguments])


@pytest.fixture
def shot(face: Any, tmp_path: Path) -> Path:
    """A saved file with one face."""
    path = tmp_path / "shot.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


def test_the_command_captures_and_saves(face, shot, template, module, capfd) -> None:
    name = face.name
    capfd.readouterr()
    assert command(module, "--face", name, "--clip", template, "--start", "10") == 0
    printed = capfd.readouterr().out
    assert "51 frames" in printed and "10 to 60" in printed and "Saved" in printed
    bpy.ops.wm.open_mainfile(filepath=str(shot))
    saved = bpy.data.objects[name]
    assert at(saved, "head_yaw", 60) == pytest.approx(10.0, abs=0.3)
    assert frames_of(curves(module, saved)[YAW])[0] == 10


def test_options_and_another_file(face, shot, template, module, tmp_path) -> None:
    name, other = face.name, tmp_path / "other.blend"
    before = shot.read_bytes()
    options = ("--multiplier", "0.5", "--region", "pose", "--stretch", "2", "--nla", "--mirror")
    arguments = ("--clip", template, *options, "--set-scene-range", "--output", str(other))
    assert command(module, *arguments) == 0
    assert shot.read_bytes() == before
    bpy.ops.wm.open_mainfile(filepath=str(other))
    saved = bpy.data.objects[name]
    assert len(saved.animation_data.nla_tracks) == 1
    assert at(saved, "head_yaw", 101) == pytest.approx(-5.0, abs=0.3)
    assert bpy.context.scene.frame_end == 101
    assert saved.keyportrait_capture.multiplier == 0.5


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--help"], 0, "--start"),
        ([], 2, "--clip"),
        (["--clip", "gone.mp4"], 1, "no file"),
        (["--clip", "TEMPLATE", "--face", "Nobody"], 2, "no face 'Nobody'"),
        (["--clip", "TEMPLATE", "--region", "nose"], 2, "invalid choice"),
        (["--clip", "TEMPLATE", "--performer", "0"], 2, "--performer begins at 1"),
        (["--clip", "TEMPLATE", "--in", "3", "--out", "2"], 1, "is empty"),
        (["--clip", "TEMPLATE", "--output", "/dev/null/a.blend"], 1, "could not be saved"),
    ],
)
def test_wrong_commands_say_why_and_fail(
    shot, template, module, capfd, arguments, status, text
) -> None:
    capfd.readouterr()
    given = [template if word == "TEMPLATE" else word for word in arguments]
    assert command(module, *given) == status
    assert text in "".join(capfd.readouterr())


def test_a_file_that_is_no_performance_fails_and_saves_nothing(
    shot, module, tmp_path, capfd
) -> None:
    before = shot.read_bytes()
    other = tmp_path / "other.pkl"
    other.write_bytes(b"hello")
    assert command(module, "--clip", str(other)) == 1
    assert "other.pkl" in capfd.readouterr().err
    assert shot.read_bytes() == before
