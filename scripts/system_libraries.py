"""Look for the system libraries that Blender's wheels load, and say (or install) what is missing.

Only Linux needs this. As root on a Debian-like system the packages are installed, otherwise the
command to do so is printed.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys

# Library → Debian's package.
LIBRARIES = {
    "libX11.so.6": "libx11-6",
    "libXrender.so.1": "libxrender1",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libXxf86vm.so.1": "libxxf86vm1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
}


def missing_packages() -> list[str]:
    """Debian packages of the libraries that cannot be loaded."""
    packages = []
    for library, package in LIBRARIES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            packages.append(package)
    return packages


def main() -> int:
    """Command line; returns the exit status."""
    packages = missing_packages() if sys.platform == "linux" else []
    if not packages:
        return 0
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print(f"Blender needs system libraries. Debian, Ubuntu: sudo {' '.join(install)}")
        return 1
    print(f"Installing system libraries for Blender: {' '.join(packages)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-q"], install):
        result = subprocess.run(
            command, check=False, env=environment, capture_output=True, text=True
        )
        if result.returncode:
            print(result.stdout + result.stderr, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
