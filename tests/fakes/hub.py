"""A small Hugging Face hub on the loopback interface, serving a local folder as one repository."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """Serves `folder` as `repository`.

    cut_after     close the connection after that many bytes
    is_tampering  send other bytes than those that the answer's tag is the digest of
    """

    def __init__(self, folder: Path, repository: str) -> None:
        self.folder, self.repository = folder, repository
        self.cut_after: int | None = None
        self.is_tampering = False
        self.ranges: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                hub.answer(self, is_head=True)

            def do_GET(self) -> None:
                hub.answer(self, is_head=False)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: BaseHTTPRequestHandler, *, is_head: bool) -> None:
        """Answer /REPOSITORY/resolve/REVISION/PATH, with ranges."""
        prefix = f"/{self.repository}/resolve/"
        path = self.folder / request.path.removeprefix(prefix).partition("/")[2].split("?")[0]
        if not request.path.startswith(prefix) or not path.is_file():
            request.send_response(404)
            request.send_header("X-Error-Code", "EntryNotFound")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        content = path.read_bytes()
        start = 0
        wanted = request.headers.get("Range", "")
        if wanted.startswith("bytes=") and not is_head:
            self.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").split("-")[0])
        request.send_response(206 if start else 200)
        request.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        request.send_header("X-Repo-Commit", COMMIT)
        request.send_header("Accept-Ranges", "bytes")
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        if is_head:
            return
        body = bytes(len(content) - start) if self.is_tampering else content[start:]
        if self.cut_after is not None and len(body) > self.cut_after:
            request.wfile.write(body[: self.cut_after])
            request.wfile.flush()
            request.connection.close()
            request.close_connection = True
            return
        request.wfile.write(body)
