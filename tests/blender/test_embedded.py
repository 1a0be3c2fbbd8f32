"""The embedded flavour: the same add-on without the set-up of LivePortrait."""

from __future__ import annotations

import os
import tomllib
import zipfile
from typing import Any

import bpy
import pytest
from test_panels import grey_methods_say

is_embedded = os.environ.get("KEYPORTRAIT_FLAVOUR") == "embedded"
pytestmark = pytest.mark.skipif(not is_embedded, reason="the full flavour is installed")


def test_nothing_of_the_set_up_is_there(module: Any) -> None:
    assert not module("preferences").has_setup()
    assert not hasattr(bpy.types, "KEYPORTRAIT_OT_setup_environment")
    assert not hasattr(bpy.types, "KEYPORTRAIT_PT_setup")
    with pytest.raises(ModuleNotFoundError):
        module("operators.setup")


def test_the_manifest_asks_for_no_network() -> None:
    with zipfile.ZipFile(os.environ["KEYPORTRAIT_ZIP"]) as archive:
        manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
        names = archive.namelist()
    assert "network" not in manifest["permissions"]
    assert not [name for name in names if "setup" in name or "requirements" in name]


def test_a_file_that_wants_the_networks_is_told_what_to_do(add_portrait: Any) -> None:
    """As it comes from somebody with the full flavour."""
    with pytest.raises(RuntimeError, match=r"comes without LivePortrait.*Preview renderer"):
        add_portrait(renderer="liveportrait_animal")


def test_the_method_that_needs_networks_is_grey_and_says_why(add_portrait: Any) -> None:
    add_portrait()
    grey_methods_say("This edition of KeyPortrait comes without networks. Install the full edition")
