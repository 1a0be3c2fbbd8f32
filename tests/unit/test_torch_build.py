"""host.torch_build: the choice of a build, the pinned wheels, and that uv holds to them."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import ROOT
from keyportrait.host import environment, torch_build
from keyportrait.host.environment import EnvironmentPlan, environment_steps
from keyportrait.host.task import SetupError, Task, TaskState
from keyportrait.host.torch_build import PINNED_BUILDS, TORCH_BACKENDS, TORCH_VERSION, TorchBuild
from packaging.requirements import Requirement

REQUIREMENTS = ROOT / "engine" / "requirements"
# sys.platform and platform.machine() of the extension's three platforms.
SYSTEMS = (("linux", "x86_64"), ("win32", "AMD64"), ("darwin", "arm64"))
# Of Blender 4.2 to 5.0, and of 5.1 and 5.2.
PYTHONS = ("3.11", "3.13")


def pins(path: Path) -> list[tuple[Requirement, set[str]]]:
    """Every requirement of a file with its SHA-256 digests."""
    found: list[tuple[Requirement, set[str]]] = []
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.M).replace("\\\n", " ")
    for line in text.splitlines():
        requirement, *digests = line.split("--hash=sha256:")
        found.append((Requirement(requirement.strip()), {each.strip() for each in digests}))
    return found


def build_for(backend: str, system: str, monkeypatch: pytest.MonkeyPatch) -> TorchBuild:
    monkeypatch.setattr(sys, "platform", system)
    chosen = f"torch=={TORCH_VERSION}+cu130\n"
    return torch_build.of_backend(backend, lambda: chosen)


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("system", "machine"), SYSTEMS)
@pytest.mark.parametrize("backend", TORCH_BACKENDS)
def test_every_combination_has_a_pinned_wheel(
    backend: str, system: str, machine: str, python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = build_for(backend, system, monkeypatch)
    marks = {"sys_platform": system, "platform_machine": machine, "python_version": python}
    matching = [
        (requirement, digests)
        for requirement, digests in pins(REQUIREMENTS / build.file_name)
        if requirement.marker is None or requirement.marker.evaluate(marks)
    ]
    assert len(matching) == 1
    requirement, digests = matching[0]
    assert f"{requirement.name}{requirement.specifier}" == build.requirement
    assert len(digests) == 1
    assert re.fullmatch(r"[0-9a-f]{64}", *digests)
    torch_build.check_pinned(REQUIREMENTS / build.file_name, python, system, machine)
    libraries = build.libraries_file_name
    assert bool(libraries) == (system == "linux" and build.name.startswith("cu"))
    for other, hashes in pins(REQUIREMENTS / libraries) if libraries else []:
        assert str(other.specifier).startswith("=="), other
        assert hashes, other


def test_no_digest_is_pinned_twice() -> None:
    """Two builds or systems with one digest would be a slip of the pen."""
    digests = [d for name in PINNED_BUILDS for _, found in pins(REQUIREMENTS / f"torch-{name}.txt")
               for d in found]  # fmt: skip
    assert len(digests) == len(set(digests)) == 36


def test_the_version_is_the_same_everywhere() -> None:
    wanted = f"torch=={TORCH_VERSION}"
    assert (REQUIREMENTS / "torch.in").read_text().strip() == wanted
    assert wanted in (ROOT / "scripts" / "requirements" / "torch.txt").read_text().splitlines()


@pytest.mark.parametrize(
    ("wanted", "build", "notice"),
    [
        ("cpu", "cpu", ""),
        ("cu130", "cu130", ""),
        ("cu132", "cu130", ""),
        ("cu129", "cu126", ""),
        ("cu118", "cpu", "CUDA 11.8 is not pinned"),
        ("rocm7.2", "cpu", "'rocm7.2'"),
        ("xpu", "cpu", "'xpu'"),
        ("", "cpu", ""),
    ],
)
def test_the_nearest_pinned_build_is_taken(wanted: str, build: str, notice: str) -> None:
    found = torch_build.nearest_pinned(wanted)
    assert found.name == build
    assert notice in found.notice
    assert bool(found.notice) == bool(notice)


def test_uvs_words_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    text = f"# by uv\ntorch=={TORCH_VERSION}+cu132\n"
    assert torch_build.of_backend("auto", lambda: text).name == "cu130"
    with pytest.raises(SetupError, match="found no build"):
        torch_build.of_backend("auto", lambda: "torch==1.0\n")


@pytest.mark.parametrize(
    ("locals_", "backend", "build"),
    [
        (["+cpu"], "auto", "cpu"),
        (["+cpu", "+cu126"], "auto", "cu126"),
        (["+cpu", "+cu126"], "cpu", "cpu"),
        ([""], "auto", "pypi"),
        ([""], "cu130", "pypi"),
    ],
)
def test_a_folder_of_wheels_decides(
    locals_: list[str], backend: str, build: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for local in locals_:
        (tmp_path / f"torch-{TORCH_VERSION}{local}-cp311-cp311-linux_x86_64.whl").touch()
    assert torch_build.of_wheels(tmp_path, backend).name == build


def test_a_folder_without_the_build_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(SetupError, match="no wheel of PyTorch"):
        torch_build.of_wheels(tmp_path, "auto")
    (tmp_path / f"torch-{TORCH_VERSION}+rocm7.2-cp311-cp311-linux_x86_64.whl").touch()
    with pytest.raises(SetupError, match=r"only PyTorch for rocm7\.2"):
        torch_build.of_wheels(tmp_path, "auto")
    (tmp_path / f"torch-{TORCH_VERSION}+cpu-cp311-cp311-linux_x86_64.whl").touch()
    with pytest.raises(SetupError, match="for cpu, not for cu130"):
        torch_build.of_wheels(tmp_path, "cu130")


# ---- with the real uv ----------------------------------------------------------------------------

OWN_UV = ROOT / ".venv" / "bin" / "uv"
UV = str(OWN_UV) if OWN_UV.exists() else shutil.which("uv")
needs_uv = pytest.mark.skipif(UV is None or sys.platform != "linux", reason="needs uv on Linux")


def write_wheel(folder: Path, version: str, content: str) -> Path:
    """A wheel of torch with one line in it."""
    folder.mkdir(parents=True, exist_ok=True)
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}-none-any"
    path = folder / f"torch-{version}-{tag}.whl"
    information = f"torch-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("torch/__init__.py", content)
        text = f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n"
        archive.writestr(f"{information}/METADATA", text)
        archive.writestr(
            f"{information}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n"
        )
        archive.writestr(f"{information}/RECORD", f"torch/__init__.py,,\n{information}/RECORD,,\n")
    return path


def install_torch(tmp_path: Path, build: TorchBuild, published: Path, **options: object) -> Task:
    """Run the step "Install PyTorch" for real; only `published` is the pinned wheel."""
    digest = hashlib.sha256(published.read_bytes()).hexdigest()
    requirements = tmp_path / "root" / "engine" / "requirements"
    requirements.mkdir(parents=True)
    (requirements / build.file_name).write_text(f"{build.requirement} --hash=sha256:{digest}\n")
    plan = EnvironmentPlan(tmp_path / "place", sys.executable, tmp_path / "root", **options)  # type: ignore[arg-type]
    venv = plan.folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (venv / "bin" / "uv").symlink_to(UV or "")
    steps = [step for step in environment_steps(plan) if step.title == "Install PyTorch"]
    task = Task(steps, tmp_path / "setup.log", lambda: None)
    task.wait(120)
    return task


def installed_line(tmp_path: Path) -> str:
    return next((tmp_path / "place").rglob("site-packages/torch/__init__.py")).read_text()


@needs_uv
@pytest.mark.parametrize("is_tampered", [False, True])
def test_only_the_published_wheel_of_a_folder_is_installed(
    tmp_path: Path, *, is_tampered: bool
) -> None:
    version = f"{TORCH_VERSION}+cpu"
    published = write_wheel(tmp_path / "published", version, "good = True")
    wheels = tmp_path / "wheels"
    write_wheel(wheels, version, "bad = True" if is_tampered else "good = True")
    if not is_tampered:
        shutil.copy(published, wheels)
    task = install_torch(tmp_path, TorchBuild("cpu"), published, wheels_folder=wheels)
    check_outcome(task, tmp_path, is_tampered=is_tampered)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A package index on the loopback interface: the folder of torch's files, and its address."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "index"))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield tmp_path / "index" / "torch", f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@needs_uv
@pytest.mark.parametrize("is_tampered", [False, True])
def test_only_the_published_wheel_of_an_index_is_installed(
    tmp_path: Path,
    index: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_tampered: bool,
) -> None:
    folder, address = index
    published = write_wheel(tmp_path / "published", TORCH_VERSION, "good = True")
    served = write_wheel(folder, TORCH_VERSION, "bad = True")
    if not is_tampered:
        shutil.copy(published, served)
    # Without a digest, as PyTorch's index lists some wheels; a lying index would give its own.
    (folder / "index.html").write_text(f'<a href="{served.name}">{served.name}</a>')
    monkeypatch.setenv("UV_DEFAULT_INDEX", address)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    # PyTorch's own index has a fixed address, so this goes by the way that Macs go.
    monkeypatch.setattr(environment, "chosen_build", lambda _: TorchBuild("pypi"))
    task = install_torch(tmp_path, TorchBuild("pypi"), published)
    check_outcome(task, tmp_path, is_tampered=is_tampered)


def check_outcome(task: Task, tmp_path: Path, *, is_tampered: bool) -> None:
    if not is_tampered:
        assert task.state is TaskState.DONE, task.error
        assert installed_line(tmp_path) == "good = True"
        return
    assert task.error is not None
    assert task.error.code == "bad_checksum", (tmp_path / "setup.log").read_text()
    assert "torch==2.13.0" in task.error.message
    assert not any((tmp_path / "place").rglob("site-packages/torch"))
