"""Download weight files from a Hugging Face hub: `python -m engine.download MANIFEST`.

Runs in the LivePortrait environment, beside the engine. The manifest is a JSON file with endpoint,
repository, revision, folder and files [{path, size_bytes, least_bytes, most_bytes, sha256}].
Finished files are kept, a cut file goes on where it stopped, and a file that is not the published
one is removed; where the manifest has no sha256, the hub's own digest is taken. Progress and
failures are JSON lines on stdout, see host/task.py.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

READ_BYTES = 4 * 1024 * 1024
POLL_S = 0.3
# Kept free beyond the files themselves, bytes.
SPARE_BYTES = 200_000_000


class DownloadError(Exception):
    """A failure for the user: code, message, hint."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.fields = {"code": code, "message": message, "hint": hint}


def emit(**event: Any) -> None:
    """One JSON line for the host."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def download_all(manifest: dict[str, Any]) -> None:
    """Fetch and check every file of a manifest. Raises DownloadError."""
    folder = Path(manifest["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [f for f in manifest["files"] if problem_of(f, folder / f["path"], f["sha256"])]
    total = sum(f["size_bytes"] for f in wanted) or 1
    _check_space(folder, total - _partial_bytes(folder))
    done = 0
    for file in wanted:
        path = folder / file["path"]
        # The hub's library would trust its note of an earlier download more than the file.
        path.unlink(missing_ok=True)
        with _ProgressPoll(folder, file, done, total):
            problem = problem_of(file, path, _fetch(manifest, file, folder))
        if problem:
            path.unlink(missing_ok=True)
            raise DownloadError(
                "bad_checksum",
                f"Downloaded '{path.name}' {problem}; it was removed.",
                "Try again, or choose another mirror in the preferences.",
            )
        done += file["size_bytes"]
    emit(fraction=1.0, text=f"{len(wanted)} files")


def problem_of(file: dict[str, Any], path: Path, sha256: str) -> str:
    """Why `path` is not the published file of a manifest row; "" when it is, as far as is known.

    sha256  hexadecimal digest of the published file, "" when it is not known
    """
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    if not file["least_bytes"] <= size <= file["most_bytes"]:
        return f"has {size:,} bytes instead of {file['size_bytes']:,}"
    if sha256 and _sha256_of(path) != sha256:
        return "has another SHA-256 than the published file"
    return ""


def _fetch(manifest: dict[str, Any], file: dict[str, Any], folder: Path) -> str:
    """Download one file; returns the SHA-256 that it must have, "" when nobody names one."""
    import httpx2
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    path: str = file["path"]
    where = {"revision": manifest["revision"], "endpoint": manifest["endpoint"]}
    try:
        hf_hub_download(manifest["repository"], path, **where, local_dir=folder)
        if file["sha256"]:
            return file["sha256"]
        etag = get_hf_file_metadata(hf_hub_url(manifest["repository"], path, **where)).etag or ""
        # The tag of a large file is its SHA-256; small ones have git's digest instead.
        return etag if len(etag) == 2 * hashlib.sha256().digest_size else ""
    except LocalEntryNotFoundError as error:
        raise _unreachable(manifest) from error
    except HfHubHTTPError as error:
        raise DownloadError(
            "download_failed",
            f"'{manifest['endpoint']}' has no '{path}' at '{manifest['revision']}'.",
            "Check the mirror and the revision in the preferences.",
        ) from error
    except OSError as error:
        if error.errno is not None and error.errno in _full_disk_codes():
            raise _no_space(folder, error.strerror) from error
        raise _broken_off(path, error) from error
    except httpx2.HTTPError as error:
        raise _broken_off(path, error) from error


def _broken_off(path: str, error: Exception) -> DownloadError:
    return DownloadError(
        "download_failed",
        f"The download of '{path}' broke off: {error}.",
        "Start again: it goes on where it stopped.",
    )


def _full_disk_codes() -> tuple[int, ...]:
    import errno

    return (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def _unreachable(manifest: dict[str, Any]) -> DownloadError:
    return DownloadError(
        "download_failed",
        f"'{manifest['endpoint']}' could not be reached.",
        "Check the connection, or choose a mirror or a folder you already have.",
    )


def _no_space(folder: Path, reason: str | None) -> DownloadError:
    return DownloadError(
        "disk_full",
        f"No space left below '{folder}' ({reason}).",
        "Free some space, or choose another folder in the preferences.",
    )


def _check_space(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed_bytes > 0 and free < needed_bytes + SPARE_BYTES:
        raise _no_space(folder, f"{free / 1e6:,.0f} MB free, {needed_bytes / 1e6:,.0f} MB needed")


def _partial_bytes(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*.incomplete"))


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


class _ProgressPoll:
    """Reports the growth of the running download, which the hub's library keeps to itself."""

    def __init__(self, folder: Path, file: dict[str, Any], done: int, total: int) -> None:
        self._folder, self._file, self._done, self._total = folder, file, done, total
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        name = self._file["path"].rsplit("/", 1)[-1]
        while True:
            part = min(_partial_bytes(self._folder), self._file["size_bytes"])
            megabytes = f"{(self._done + part) / 1e6:,.0f} of {self._total / 1e6:,.0f} MB"
            emit(fraction=(self._done + part) / self._total, text=f"{name}, {megabytes}")
            if self._stop.wait(POLL_S):
                return


def main(arguments: list[str]) -> int:
    """Command line; returns the exit status."""
    manifest = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    try:
        download_all(manifest)
    except DownloadError as error:
        emit(error=error.fields)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
