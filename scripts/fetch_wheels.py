"""Fetch the wheels that the extension bundles into wheels/, each pinned by version and SHA-256.

One abi3 wheel of each library and platform serves every Python of Blender 4.2 to 5.2; Blender
brings numpy.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from pinned_wheel import PinError, PinnedWheel, download, sha256_of, verify

ROOT = Path(__file__).resolve().parent.parent
OPENCV = "opencv-python-headless==5.0.0.93"
PYAV = "av==18.1.0"

# Blender's name of the platform → wheels. The digests are those of the package index.
WHEELS = {
    "linux-x64": (
        PinnedWheel(
            OPENCV,
            "manylinux_2_28_x86_64",
            "opencv_python_headless-5.0.0.93-cp37-abi3-manylinux_2_28_x86_64.whl",
            "ed709fdf9aa0bd1f2ed8549e71d19449b03a675bb581eb292285f6861953be37",
        ),
        PinnedWheel(
            PYAV,
            "manylinux_2_28_x86_64",
            "av-18.1.0-cp311-abi3-manylinux_2_28_x86_64.whl",
            "8a032e8d8ebc73dec079364b9b4a6837638a2d106e8472314e685ffbf163e700",
        ),
    ),
    "windows-x64": (
        PinnedWheel(
            OPENCV,
            "win_amd64",
            "opencv_python_headless-5.0.0.93-cp37-abi3-win_amd64.whl",
            "829717b6a95554f273e49e357cee3b3a2a26b6f4842fbc1bed2b45bdd8f87e0e",
        ),
        PinnedWheel(
            PYAV,
            "win_amd64",
            "av-18.1.0-cp311-abi3-win_amd64.whl",
            "ea1480b7a8d5405cb5f382b344731bf125fd2c1c6fae3964f6c48595628387ff",
        ),
    ),
    "macos-arm64": (
        PinnedWheel(
            OPENCV,
            "macosx_13_0_arm64",
            "opencv_python_headless-5.0.0.93-cp37-abi3-macosx_13_0_arm64.whl",
            "030ca5e0837a2963ab36ef896baa9767eb8d2b83353fb28af5a521e40dd8756f",
        ),
        PinnedWheel(
            PYAV,
            "macosx_14_0_arm64",
            "av-18.1.0-cp311-abi3-macosx_14_0_arm64.whl",
            "b30a4e8d934558e19602b68998a4d9ac9f250fa0dacef216f7e8e40153b13316",
        ),
    ),
}


def place(wheel: PinnedWheel, output: Path, offline: Path | None) -> str:
    """Put one checked wheel into `output`; returns "kept", "copied" or "downloaded"."""
    target = output / wheel.filename
    if target.exists() and sha256_of(target) == wheel.sha256:
        return "kept"
    with tempfile.TemporaryDirectory(prefix="keyportrait-wheel-") as folder:
        if offline is None:
            source = download(wheel, Path(folder))
        else:
            source = offline / wheel.filename
            if not source.exists():
                raise PinError(f"{offline} has no {wheel.filename}.")
            verify(source, wheel.sha256)
        output.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return "downloaded" if offline is None else "copied"


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "wheels", help="target folder")
    parser.add_argument("--from", dest="offline", type=Path, help="take wheels from this folder")
    parser.add_argument("--platform", choices=sorted(WHEELS), action="append")
    options = parser.parse_args(arguments)
    wanted = options.platform or WHEELS
    for platform, wheel in ((name, wheel) for name in wanted for wheel in WHEELS[name]):
        try:
            how = place(wheel, options.output, options.offline)
        except PinError as error:
            print(f"fetch_wheels: {error}", file=sys.stderr)
            return 1
        print(f"wheels: {platform:12} {wheel.filename} ({how})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
