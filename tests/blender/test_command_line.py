"""`--command keyportrait`: baking, chunks, saving, errors and exit statuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import pytest
from baking import FRAMES, bake, fresh, image_node, performance  # noqa: F401 - fixtures


def command(module: Any, *arguments: str) -> int:
    return module("rig.command_line").run(list(arguments))


def test_the_command_bakes_and_saves(
    performance: Any, module: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plane, _ = performance
    name, out, saved = plane.name, tmp_path / "farm", tmp_path / "baked.blend"
    arguments = ("bake", "--portrait", name, "--frames", "2-5x2", "--output", str(out))
    assert command(module, *arguments, "--save", str(saved)) == 0
    assert "Baked 4 frames" in capfd.readouterr().out
    assert len(list((out / name).glob("*.png"))) == 4
    bpy.ops.wm.open_mainfile(filepath=str(saved))
    plane = bpy.data.objects[name]
    assert plane.keyportrait.portrait.use_baked
    assert image_node(plane).image.source == "SEQUENCE"


def test_chunks_together_make_the_whole_and_a_last_call_shows_it(
    performance: Any, module: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plane, _ = performance
    out = ("--output", str(tmp_path / "farm"), "--frames", f"1-{FRAMES}x2")
    for index in (2, 4, 1, 3):
        assert command(module, "bake", "--chunk", f"{index}/4", *out) == 0
    files = sorted((tmp_path / "farm" / plane.name).glob("*.png"))
    assert len(files) == FRAMES
    data = [path.read_bytes() for path in files]
    assert data[0] == data[1] != data[2] == data[3] != data[4] == data[5]
    assert not plane.keyportrait.portrait.use_baked
    capfd.readouterr()
    assert command(module, "bake", *out, "--save") == 0
    assert f"{FRAMES} unchanged" in capfd.readouterr().out
    assert plane.keyportrait.portrait.use_baked


def test_the_command_lists_portraits(
    performance: Any, module: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    plane, face = performance
    assert command(module, "list") == 0
    printed = capfd.readouterr().out
    assert plane.name in printed and face.name in printed


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["bake", "--help"], 0, "--frames"),
        ([], 2, "COMMAND"),
        (["bake", "--frames", "9-3"], 2, "empty range"),
        (["bake", "--frames", "ten"], 2, "A-BxSTEP"),
        (["bake", "--chunk", "5/4"], 2, "I/N"),
        (["bake", "--chunk", "1/99"], 2, "cannot be divided"),
        (["bake", "--chunk", "1/2", "--save"], 2, "only part of a bake"),
        (["bake", "--format", "PNG", "--depth", "32"], 2, "no depth of 32"),
        (["bake", "--portrait", "Nobody"], 2, "no portrait 'Nobody'"),
        (["bake", "--scene", "Nowhere"], 2, "no scene 'Nowhere'"),
        (["bake", "--output", "/dev/null/out"], 1, "cannot be written"),
        (["bake", "--renderer", "liveportrait"], 1, "cannot be baked"),
    ],
)
def test_wrong_commands_say_why_and_fail(
    performance: Any,
    module: Any,
    arguments: list[str],
    status: int,
    text: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    capfd.readouterr()
    assert command(module, *arguments) == status
    assert text in "".join(capfd.readouterr())


def test_the_command_without_a_file_says_how(
    module: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    assert command(module, "bake") == 2
    assert "No .blend file is open" in capfd.readouterr().err
