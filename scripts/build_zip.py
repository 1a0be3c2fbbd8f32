"""Build the extension's zips with Blender's own packer and look into every one of them.

The packer is blender_ext.py, the program behind `blender --command extension`; each bpy wheel
carries it, and it needs no Blender to run.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

from fetch_models import MODELS
from fetch_models import is_complete as are_models_complete
from fetch_speech_model import OUTPUT as SPEECH_MODEL
from fetch_speech_model import is_complete as is_speech_model_complete
from fetch_wheels import WHEELS
from pinned_wheel import PinnedWheel, sha256_of

ROOT = Path(__file__).resolve().parent.parent
PACKER_ENVIRONMENT = ROOT / "build" / "envs" / "bpy-4.5.15"

# What may be in a zip; anything else is a scratch file or a test that slipped in.
FOLDERS = {"engine", "host", "operators", "panels", "rig", "wheels"}
ROOT_FILES = {
    "CHANGELOG.md",
    "LICENSE",
    "NOTICE",
    "README.md",
    "__init__.py",
    "blender_manifest.toml",
    "compat.py",
    "preferences.py",
    "registration.py",
}
REQUIRED_FILES = {"LICENSE", "NOTICE", "__init__.py", "blender_manifest.toml"}
SUFFIXES = {".py", ".json", ".csv", ".npz", ".tflite", ".whl", ".in", ".txt", ".png"}


# What the embedded flavour does without: it downloads nothing, as hosting platforms demand.
SETUP_PATHS = (
    "engine/audio2face",
    "engine/audio2face_reading.py",
    "engine/download.py",
    "engine/liveportrait",
    "engine/networks",
    "engine/requirements",
    "engine/weight_search.py",
    "engine/weight_table.py",
    "host/environment.py",
    "host/looking.py",
    "host/task.py",
    "host/torch_build.py",
    "host/weights.py",
    "operators/setup.py",
    "panels/setup.py",
    "rig/audio2face.py",
    "rig/setup.py",
)
FLAVOURS = ("full", "embedded")
_LIBRARY = re.compile(r"\.(so|dylib|dll|pyd)(\.[0-9a-z.]+)?$")
_VERSION = re.compile(r"(-[0-9_]+)?(-([0-9a-f]{8}|[0-9a-f]{32}|[0-9_]+))?$")


class BuildError(Exception):
    """The zip must not be shipped; the text is for the terminal."""


def find_packer() -> Path:
    """blender_ext.py of the bpy wheel that `make zip` sets up."""
    found = sorted(PACKER_ENVIRONMENT.glob("lib/**/bl_pkg/cli/blender_ext.py"))
    found += sorted(PACKER_ENVIRONMENT.glob("Lib/**/bl_pkg/cli/blender_ext.py"))
    if not found:
        raise BuildError(f"No blender_ext.py under {PACKER_ENVIRONMENT}; run 'make zip'.")
    return found[0]


def all_wheels() -> list[PinnedWheel]:
    """The pinned wheels of all platforms."""
    return [wheel for wheels in WHEELS.values() for wheel in wheels]


def read_manifest(source: Path) -> dict:
    """The manifest as a dictionary, its wheels and platforms compared with the pinned ones."""
    manifest = tomllib.loads((source / "blender_manifest.toml").read_text(encoding="utf-8"))
    expected = {f"./wheels/{wheel.filename}" for wheel in all_wheels()}
    if set(manifest.get("wheels", [])) != expected:
        raise BuildError(
            "The manifest's wheels are not the pinned ones.\n"
            f"  manifest: {sorted(manifest.get('wheels', []))}\n  pinned:   {sorted(expected)}"
        )
    if set(manifest.get("platforms", [])) != set(WHEELS):
        raise BuildError(f"The manifest's platforms are not {sorted(WHEELS)}.")
    return manifest


def check_inputs(source: Path) -> None:
    """Raise BuildError unless the fetched binaries are there and unchanged."""
    for wheel in all_wheels():
        path = source / "wheels" / wheel.filename
        if not path.exists() or sha256_of(path) != wheel.sha256:
            raise BuildError(f"{path} is missing or changed; run 'make wheels'.")
    if not are_models_complete(source / "engine" / "models"):
        raise BuildError(
            "engine/models is missing a model or has a changed one; run 'make models'."
        )
    if not is_speech_model_complete(source / "engine" / "models"):
        raise BuildError(
            f"engine/models/{SPEECH_MODEL.name} is missing or changed; run 'make models'."
        )


def libraries_of(wheel: Path) -> set[str]:
    """Names of the shared libraries that a wheel bundles, without versions: libx264, libpng16."""
    with zipfile.ZipFile(wheel) as archive:
        files = [PurePosixPath(name) for name in archive.namelist()]
    stems = [
        path.name.partition(".")[0]
        for path in files
        if _LIBRARY.search(path.name) and not _is_module(path)
    ]
    # Repackers add a checksum, projects a version: libaom-a0d22147, libglib-2, libIlmThread-3_3.
    return {_VERSION.sub("", stem) for stem in stems}


def _is_module(path: PurePosixPath) -> bool:
    """Whether a library of a wheel is one of the package's own Python modules."""
    return ".abi3." in path.name or path.suffix == ".pyd"


def check_notice(source: Path) -> None:
    """Raise BuildError unless NOTICE names every library that a bundled wheel carries."""
    notice = (source / "NOTICE").read_text(encoding="utf-8")
    named = set(re.findall(r"[\w+-]+", notice))
    for wheel in all_wheels():
        missing = libraries_of(source / "wheels" / wheel.filename) - named
        if missing:
            text = f"NOTICE does not name {', '.join(sorted(missing))}"
            raise BuildError(f"{text} of {wheel.filename}.")


def run_packer(packer: Path, *arguments: str) -> str:
    """One call of blender_ext.py; returns its output, raises BuildError with it on failure."""
    command = [sys.executable, str(packer), *arguments]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode:
        raise BuildError(f"blender_ext.py {arguments[0]} failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def check_names(names: set[str]) -> None:
    """Raise BuildError for files that do not belong into the extension, or are missing."""
    for name in names:
        path = PurePosixPath(name)
        is_stray = path.suffix not in SUFFIXES if len(path.parts) > 1 else name not in ROOT_FILES
        if is_stray or (len(path.parts) > 1 and path.parts[0] not in FOLDERS):
            raise BuildError(f"'{name}' does not belong into the extension.")
        if "__pycache__" in path.parts:
            raise BuildError(f"'{name}' is compiled Python.")
    models = {f"engine/models/{Path(name).name}" for name in (*MODELS, SPEECH_MODEL)}
    missing = (REQUIRED_FILES | models) - names
    if missing:
        raise BuildError(f"Not in the zip: {', '.join(sorted(missing))}.")


def check_wheels(names: set[str], platform: str) -> None:
    """Raise BuildError unless the zip bundles exactly its platform's stable-ABI wheels."""
    wheels = sorted(name for name in names if name.endswith(".whl"))
    if wheels != sorted(f"wheels/{wheel.filename}" for wheel in WHEELS[platform]):
        raise BuildError(f"The {platform} zip bundles {wheels}.")
    for wheel in wheels:
        abi = PurePosixPath(wheel).stem.split("-")[-2]
        if abi not in {"abi3", "none"}:
            raise BuildError(f"'{wheel}' serves one Python only; Blender 4.2 to 5.2 need abi3.")


def check_zip(path: Path, platform: str) -> int:
    """Raise BuildError unless the zip is fit to ship; returns its number of files."""
    with zipfile.ZipFile(path) as archive:
        names = {info.filename for info in archive.infolist() if not info.is_dir()}
        manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
    check_names(names)
    check_wheels(names, platform)
    built = manifest.get("build", {}).get("generated", {})
    if built.get("platforms") != [platform]:
        raise BuildError(f"{path.name} claims the platforms {built.get('platforms')}.")
    return len(names)


def stage_embedded(source: Path, target: Path) -> None:
    """Copy what the embedded flavour ships, without the set-up and its network permission."""
    target.mkdir(parents=True)
    for name in sorted(ROOT_FILES):
        if (source / name).exists():
            shutil.copy(source / name, target / name)
    for folder in sorted(FOLDERS):
        shutil.copytree(
            source / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in SETUP_PATHS:
        path = target / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    manifest = target / "blender_manifest.toml"
    lines = manifest.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith("network = ")]
    manifest.write_text("".join(kept), encoding="utf-8")


def build(source: Path, output: Path, packer: Path) -> list[Path]:
    """Build, validate and check one zip per platform; returns their paths."""
    manifest = read_manifest(source)
    check_inputs(source)
    check_notice(source)
    output.mkdir(parents=True, exist_ok=True)
    for stale in output.glob(f"{manifest['id']}-*.zip"):
        stale.unlink()
    folders = ("--source-dir", str(source), "--output-dir", str(output))
    run_packer(packer, "build", "--split-platforms", *folders)
    paths = []
    for platform in WHEELS:
        name = f"{manifest['id']}-{manifest['version']}-{platform.replace('-', '_')}.zip"
        path = output / name
        if not path.exists():
            raise BuildError(f"The packer made no {name}.")
        run_packer(packer, "validate", str(path))
        count = check_zip(path, platform)
        print(f"zip: {path} ({count} files, {path.stat().st_size / 1e6:.0f} MB)")
        paths.append(path)
    return paths


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, default=ROOT)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "dist")
    parser.add_argument("--flavour", choices=FLAVOURS, default="full")
    parser.add_argument("--index", action="store_true", help="also write a repository's index")
    parser.add_argument("--packer", type=Path, help="path of a blender_ext.py")
    options = parser.parse_args(arguments)
    try:
        packer = options.packer or find_packer()
        if options.flavour == "full":
            build(options.source, options.output, packer)
        else:
            with tempfile.TemporaryDirectory(prefix="keyportrait-zip-") as folder:
                staged = Path(folder) / "keyportrait"
                stage_embedded(options.source, staged)
                build(staged, options.output / "embedded", packer)
        if options.index:
            run_packer(packer, "server-generate", "--repo-dir", str(options.output))
            print(f"repository: {options.output / 'index.json'}")
    except BuildError as error:
        print(f"build_zip: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
