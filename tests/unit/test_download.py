"""Weight downloads from a hub on the loopback interface, by the command that Blender runs."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.hub import FakeHub

pytest.importorskip("huggingface_hub")

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY = "KlingTeam/LivePortrait"
WEIGHTS = "liveportrait/base_models/spade_generator.pth"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    source = tmp_path / "hub"
    (source / WEIGHTS).parent.mkdir(parents=True)
    (source / WEIGHTS).write_bytes(os.urandom(30_000_000))
    server = FakeHub(source, REPOSITORY)
    yield server
    server.close()


def manifest(hub: FakeHub, folder: Path, **changes: object) -> dict:
    content = (hub.folder / WEIGHTS).read_bytes()
    file = {
        "path": WEIGHTS,
        "size_bytes": len(content),
        "least_bytes": len(content),
        "most_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    file.update(changes)
    return {
        "endpoint": hub.endpoint,
        "repository": REPOSITORY,
        "revision": "main",
        "folder": str(folder),
        "files": [file],
    }


def download(content: dict, tmp_path: Path) -> tuple[int, list[dict]]:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(content))
    run = subprocess.run(
        [sys.executable, "-m", "engine.download", str(path)],
        cwd=ROOT,
        check=False,
        env={**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1",
             "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    events = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    return run.returncode, events


def test_files_arrive_whole_with_progress(hub: FakeHub, tmp_path: Path) -> None:
    status, events = download(manifest(hub, tmp_path / "weights"), tmp_path)
    assert status == 0, events
    assert (tmp_path / "weights" / WEIGHTS).read_bytes() == (hub.folder / WEIGHTS).read_bytes()
    assert events[-1]["fraction"] == 1.0
    assert any("spade_generator.pth" in event["text"] for event in events)


def test_finished_files_are_not_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    wanted = manifest(hub, tmp_path / "weights")
    assert download(wanted, tmp_path)[0] == 0
    hub.close()
    assert download(wanted, tmp_path)[0] == 0


def test_a_lying_checksum_is_refused_and_the_file_removed(hub: FakeHub, tmp_path: Path) -> None:
    status, events = download(manifest(hub, tmp_path / "weights", sha256="0" * 64), tmp_path)
    assert status == 1
    assert events[-1]["error"]["code"] == "bad_checksum"
    assert "spade_generator.pth" in events[-1]["error"]["message"]
    assert not (tmp_path / "weights" / WEIGHTS).exists()


def test_without_a_known_checksum_the_hubs_own_counts(hub: FakeHub, tmp_path: Path) -> None:
    wanted = manifest(hub, tmp_path / "weights", sha256="")
    assert download(wanted, tmp_path)[0] == 0
    (tmp_path / "weights" / WEIGHTS).unlink()
    # The same size, other bytes: something between the hub and us has changed the file.
    hub.is_tampering = True
    status, events = download(wanted, tmp_path)
    assert status == 1
    assert events[-1]["error"]["code"] == "bad_checksum"
    assert "another SHA-256" in events[-1]["error"]["message"]
    assert not (tmp_path / "weights" / WEIGHTS).exists()


def test_a_file_of_another_size_is_refused(hub: FakeHub, tmp_path: Path) -> None:
    rough = manifest(hub, tmp_path / "weights", sha256="", least_bytes=1, most_bytes=10**9)
    assert download(rough, tmp_path)[0] == 0
    small = manifest(hub, tmp_path / "weights", size_bytes=7, least_bytes=7, most_bytes=7)
    status, events = download(small, tmp_path)
    assert status == 1
    assert events[-1]["error"]["code"] == "bad_checksum"
    assert "30,000,000 bytes instead of 7" in events[-1]["error"]["message"]


def test_a_damaged_file_on_disk_is_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    wanted = manifest(hub, tmp_path / "weights")
    path = tmp_path / "weights" / WEIGHTS
    assert download(wanted, tmp_path)[0] == 0
    content = path.read_bytes()
    path.write_bytes(bytes(len(content)))
    assert download(wanted, tmp_path)[0] == 0
    assert path.read_bytes() == content


def test_a_cut_download_goes_on_where_it_stopped(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut_after = 14_000_000
    wanted = manifest(hub, tmp_path / "weights")
    status, events = download(wanted, tmp_path)
    assert status == 0, events
    assert hub.ranges and all(wanted != "bytes=0-" for wanted in hub.ranges)
    assert (tmp_path / "weights" / WEIGHTS).read_bytes() == (hub.folder / WEIGHTS).read_bytes()


def test_a_connection_that_always_breaks_says_what_to_do(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut_after = 1_000_000
    status, events = download(manifest(hub, tmp_path / "weights"), tmp_path)
    assert status == 1
    assert events[-1]["error"]["code"] == "download_failed"
    assert "Start again" in events[-1]["error"]["hint"]


def test_a_missing_file_names_the_mirror(hub: FakeHub, tmp_path: Path) -> None:
    wanted = manifest(hub, tmp_path / "weights", path="liveportrait/base_models/nothing.pth")
    status, events = download(wanted, tmp_path)
    assert status == 1
    assert events[-1]["error"]["code"] == "download_failed"
    assert "nothing.pth" in events[-1]["error"]["message"]


def test_an_unreachable_hub_says_so(hub: FakeHub, tmp_path: Path) -> None:
    wanted = manifest(hub, tmp_path / "weights")
    hub.close()
    status, events = download(wanted, tmp_path)
    assert status == 1
    assert events[-1]["error"]["code"] == "download_failed"
    assert "could not be reached" in events[-1]["error"]["message"]


def test_a_full_disk_is_found_before_the_download(hub: FakeHub, tmp_path: Path) -> None:
    wanted = manifest(hub, tmp_path / "weights", size_bytes=10**15)
    status, events = download(wanted, tmp_path)
    assert status == 1
    assert events[-1]["error"]["code"] == "disk_full"
    assert not hub.ranges
