"""A server on the loopback address that misbehaves as told, for every test of fetching."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY = bytes(range(256)) * 4000


class Server(ThreadingHTTPServer):
    """Plays its list of behaviours, one per request, then behaves."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[str] = []
        self.asked: list[tuple[str, str | None]] = []
        """path and range of every request"""

    def address(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path, wanted))
        act = self.server.script.pop(0) if self.server.script else "good"
        if act.isdigit():
            self.send_error(int(act))
            return
        start = int(wanted.split("=")[1].rstrip("-")) if wanted and act != "ignore range" else 0
        body = BODY[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if act == "corrupt":
            body = b"\xff" * len(body)
        if act in ("truncate", "stall"):
            body = body[: len(body) // 2]
        self.wfile.write(body)
        if act == "stall":
            self.wfile.flush()
            time.sleep(1.0)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
