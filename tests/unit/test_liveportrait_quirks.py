"""Every switchable habit of the official implementation has one row in the documentation."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from engine.liveportrait.quirks import OFFICIAL, SENSIBLE, Quirks

ROOT = Path(__file__).resolve().parents[2]


def test_each_quirk_is_one_row_and_is_used() -> None:
    text = (ROOT / "docs" / "quirks.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)
    names = [field.name for field in fields(Quirks)]
    assert rows == names
    code = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "engine" / "liveportrait").glob("*.py")
        if path.name != "quirks.py"
    )
    unused = [name for name in names if not re.search(rf"\b{name}\b", code)]
    assert not unused


def test_official_has_all_habits_and_ours_none() -> None:
    assert all(getattr(OFFICIAL, field.name) for field in fields(Quirks))
    assert not any(getattr(SENSIBLE, field.name) for field in fields(Quirks))
