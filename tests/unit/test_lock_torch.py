"""scripts/lock_torch.py on saved index pages: what it pins, and what it refuses."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from conftest import ROOT
from keyportrait.host.torch_build import TORCH_VERSION

TAILS = {
    "cpu": ("manylinux_2_28_x86_64", "win_amd64"),
    "cu126": ("manylinux_2_28_x86_64", "win_amd64"),
    "cu130": ("manylinux_2_28_x86_64", "win_amd64"),
    "": ("manylinux_2_28_x86_64", "win_amd64", "macosx_14_0_arm64"),
}
# What an index has besides, and nobody here wants.
OTHERS = ("cp311-cp311-manylinux_2_28_aarch64", "cp313-cp313t-win_amd64", "cp310-cp310-win_amd64")


def wheel_name(build: str, tags: str, version: str = TORCH_VERSION) -> str:
    return f"torch-{version}{'+' + build if build else ''}-{tags}.whl"


def digest_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def write_index(folder: Path, build: str, *, without_digest: str = "", leave_out: str = "") -> None:
    """One index page in the form of PyTorch's: links with an escaped plus and a digest."""
    (folder / "torch").mkdir(parents=True)
    tags = [f"cp3{minor}-cp3{minor}-{tail}" for minor in range(11, 15) for tail in TAILS[build]]
    names = [wheel_name(build, each) for each in (*tags, *OTHERS)]
    names += [wheel_name(build, each, "2.12.1") for each in tags]
    lines = ["<!DOCTYPE html><html><body><h1>Links for torch</h1>"]
    for name in names:
        escaped = name.replace("+", "%2B")
        fragment = f"#sha256={digest_of(name)}" if name != without_digest else ""
        if name == without_digest:
            (folder / "torch" / name).write_bytes(b"a wheel without a digest")
        if name != leave_out:
            lines.append(f'<a href="{escaped}{fragment}" data-core-metadata="x">{name}</a><br/>')
    (folder / "torch" / "index.html").write_text("\n".join(lines))


def lock(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "lock_torch.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def run(tmp_path: Path, **options: str) -> subprocess.CompletedProcess[str]:
    for build in ("cpu", "cu126", "cu130"):
        write_index(tmp_path / "whl" / build, build, **options)
    write_index(tmp_path / "simple", "")
    (tmp_path / "out").mkdir()
    return lock("--pytorch-index", tmp_path / "whl", "--package-index", tmp_path / "simple",
                "--output", tmp_path / "out")  # fmt: skip


def test_every_build_gets_one_line_for_each_python_and_system(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.returncode == 0, result.stderr
    counts = {path.name: path.read_text().count("--hash") for path in (tmp_path / "out").iterdir()}
    assert counts == {
        "torch-cpu.txt": 8, "torch-cu126.txt": 8, "torch-cu130.txt": 8, "torch-pypi.txt": 12
    }  # fmt: skip
    text = (tmp_path / "out" / "torch-cu130.txt").read_text()
    digest = digest_of(wheel_name("cu130", "cp313-cp313-win_amd64"))
    assert (
        f"torch=={TORCH_VERSION}+cu130 ; python_version == '3.13' and sys_platform == 'win32' and "
        f"platform_machine == 'AMD64' \\\n    --hash=sha256:{digest}\n"
    ) in text
    for tags in OTHERS:
        assert digest_of(wheel_name("cu130", tags)) not in text


def test_a_wheel_without_a_digest_is_digested_here(tmp_path: Path) -> None:
    name = wheel_name("cu130", "cp313-cp313-win_amd64")
    result = run(tmp_path, without_digest=name)
    assert result.returncode == 0, result.stderr
    assert f"downloading {name}" in result.stdout
    digest = hashlib.sha256(b"a wheel without a digest").hexdigest()
    assert digest in (tmp_path / "out" / "torch-cu130.txt").read_text()


def test_a_missing_wheel_is_named(tmp_path: Path) -> None:
    result = run(tmp_path, leave_out=wheel_name("cu126", "cp314-cp314-win_amd64"))
    assert result.returncode == 1
    assert "cp314-cp314-win_amd64" in result.stderr
    assert not (tmp_path / "out" / "torch-cu126.txt").exists()


def test_an_index_out_of_reach_is_reported() -> None:
    address = "http://127.0.0.1:9"
    result = lock("--pytorch-index", address, "--package-index", address)
    assert result.returncode == 1
    assert result.stderr.startswith("lock_torch:")
