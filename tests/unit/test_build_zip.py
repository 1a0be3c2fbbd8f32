"""The zip's safeguards: what must not be shipped is not."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from build_zip import (  # noqa: E402
    MODELS,
    REQUIRED_FILES,
    SPEECH_MODEL,
    WHEELS,
    BuildError,
    all_wheels,
    check_notice,
    check_zip,
    read_manifest,
)

PLATFORM = "linux-x64"
BUNDLED = {f"wheels/{wheel.filename}" for wheel in WHEELS[PLATFORM]}
MODEL_FILES = {f"engine/models/{Path(name).name}" for name in (*MODELS, SPEECH_MODEL)}
GOOD = {*REQUIRED_FILES, *MODEL_FILES, *BUNDLED, "engine/__init__.py", "rig/presets.json"}


def make_zip(path: Path, names: Iterable[str], platform: str = PLATFORM) -> Path:
    manifest = f'id = "keyportrait"\n[build.generated]\nplatforms = ["{platform}"]\n'
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, manifest if name == "blender_manifest.toml" else "")
    return path


def test_a_good_zip_passes(tmp_path: Path) -> None:
    assert check_zip(make_zip(tmp_path / "good.zip", GOOD), PLATFORM) == len(GOOD)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tests/unit/test_house.py"}, "does not belong"),
        ({"scratch.py"}, "does not belong"),
        ({"engine/weights.pth"}, "does not belong"),
        ({"engine/__pycache__/protocol.py"}, "compiled Python"),
        ({"wheels/numpy-1.26.4-cp311-cp311-win_amd64.whl"}, "bundles"),
    ],
)
def test_a_file_too_many_is_refused(tmp_path: Path, change: set[str], reason: str) -> None:
    with pytest.raises(BuildError, match=reason):
        check_zip(make_zip(tmp_path / "bad.zip", GOOD | change), PLATFORM)


@pytest.mark.parametrize("missing", ["LICENSE", "NOTICE", sorted(MODEL_FILES)[0]])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    with pytest.raises(BuildError, match=missing.rpartition("/")[2]):
        check_zip(make_zip(tmp_path / "bad.zip", GOOD - {missing}), PLATFORM)


def test_another_platforms_wheel_is_refused(tmp_path: Path) -> None:
    for own, other in zip(WHEELS[PLATFORM], WHEELS["windows-x64"], strict=True):
        names = GOOD - {f"wheels/{own.filename}"} | {f"wheels/{other.filename}"}
        with pytest.raises(BuildError, match="linux-x64 zip bundles"):
            check_zip(make_zip(tmp_path / "bad.zip", names), PLATFORM)


def test_every_platform_bundles_a_reader_of_pictures_and_one_of_clips() -> None:
    for wheels in WHEELS.values():
        names = [wheel.filename.partition("-")[0] for wheel in wheels]
        assert names == ["opencv_python_headless", "av"]


def test_a_zip_without_the_reader_of_clips_is_refused(tmp_path: Path) -> None:
    left = {name for name in GOOD if "/av-" not in name}
    with pytest.raises(BuildError, match="linux-x64 zip bundles"):
        check_zip(make_zip(tmp_path / "bad.zip", left), PLATFORM)


def test_a_zip_that_claims_another_platform_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="claims the platforms"):
        check_zip(make_zip(tmp_path / "bad.zip", GOOD, "macos-arm64"), PLATFORM)


def test_the_manifest_must_list_the_pinned_wheels(tmp_path: Path) -> None:
    manifest = (SCRIPTS.parent / "blender_manifest.toml").read_text(encoding="utf-8")
    (tmp_path / "blender_manifest.toml").write_text(manifest)
    assert read_manifest(tmp_path)["id"] == "keyportrait"
    (tmp_path / "blender_manifest.toml").write_text(manifest.replace("5.0.0.93", "5.0.0.94"))
    with pytest.raises(BuildError, match="not the pinned ones"):
        read_manifest(tmp_path)


def make_source(folder: Path, libraries: Iterable[str], notice: str) -> Path:
    """A source folder with a NOTICE and with wheels that carry these files."""
    (folder / "wheels").mkdir()
    (folder / "NOTICE").write_text(notice, encoding="utf-8")
    for wheel in all_wheels():
        modules = {"cv2/cv2.abi3.so", "cv2/cv2.pyd", "av/frame.pyd"}
        make_zip(folder / "wheels" / wheel.filename, {*modules, *libraries})
    return folder


def test_every_bundled_library_is_named_in_the_notice(tmp_path: Path) -> None:
    libraries = (
        "cv2/.dylibs/libx264.164.dylib",
        "cv2/.dylibs/libSDL2-2.0.0.dylib",
        "opencv_python_headless.libs/libaom-a0d22147.so.3.14.1",
        "cv2/opencv_videoio_ffmpeg500_64.dll",
        "av.libs/avcodec-62-984de33114b7fa384296817dec999c9d.dll",
        "av.libs/libxcb-shape-7716c890.so.0.0.0",
    )
    notice = "libx264, libSDL2, libaom, opencv_videoio_ffmpeg500_64, avcodec and libxcb-shape"
    source = make_source(tmp_path, libraries, notice)
    check_notice(source)
    for name in notice.replace(" and ", ", ").split(", "):
        (source / "NOTICE").write_text(notice.replace(name, "something"), encoding="utf-8")
        with pytest.raises(BuildError, match=f"does not name {name}"):
            check_notice(source)


def test_a_read_me_of_the_wheels_folder_is_not_shipped(tmp_path: Path) -> None:
    manifest = (SCRIPTS.parent / "blender_manifest.toml").read_text(encoding="utf-8")
    assert '"/wheels/README.md"' in manifest
    with pytest.raises(BuildError, match="does not belong"):
        check_zip(make_zip(tmp_path / "bad.zip", GOOD | {"wheels/README.md"}), PLATFORM)
