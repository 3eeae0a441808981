"""A stand-in for the Hugging Face Hub on the loopback address: repositories of models, kept in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


class Server(ThreadingHTTPServer):
    """Repositories by name: branches to commits, commits to files. `broken` makes every answer a failure."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[str, dict[str, Any]] = {}
        self.broken = 0
        self.tokens: set[str] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def answer(self, value: Any, status: int = 200, **headers: str) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for key, text in headers.items():
            self.send_header(key.replace("_", "-"), text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def commit(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Id and files of a revision; answers itself where there is none."""
        repo = self.server.repos.get(name)
        if repo is None:
            self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
            return None
        mark = repo["branches"].get(revision, revision)
        if mark not in repo["commits"]:
            self.answer({"error": f"Invalid rev id: {revision}"}, 404, X_Error_Code="RevisionNotFound")
            return None
        return mark, repo["commits"][mark]

    def do_GET(self) -> None:
        if self.server.broken:
            return self.answer({"error": "out of order"}, self.server.broken)
        path = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        if path[:2] == ["api", "models"]:
            name, rest = "/".join(path[2:4]), path[4:]
            revision = rest[1] if len(rest) > 1 else "main"
            if (found := self.commit(name, revision)) is None:
                return None
            mark, files = found
            if rest[:1] == ["tree"]:
                return self.answer(
                    [{"type": "file", "path": k, "size": len(v), "oid": blob(v)} for k, v in sorted(files.items())]
                )
            return self.answer({"id": name, "sha": mark, "siblings": [{"rfilename": k} for k in sorted(files)]})
        if len(path) > 3 and path[2] == "resolve":
            if (found := self.commit("/".join(path[:2]), path[3])) is None:
                return None
            mark, files = found
            file = "/".join(path[4:])
            if file not in files:
                return self.answer({"error": "no such file"}, 404, X_Error_Code="EntryNotFound")
            return self.answer(files[file], ETag=f'"{blob(files[file])}"', X_Repo_Commit=mark)
        return self.answer({"error": self.path}, 404)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.broken:
            return self.answer({"error": "out of order"}, self.server.broken)
        self.server.tokens.add(self.headers.get("Authorization", ""))
        path = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        if path == ["api", "repos", "create"]:
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            if name in self.server.repos:
                return self.answer({"error": "it exists", "url": f"{self.server.address}/{name}"}, 409)
            self.server.repos[name] = {"branches": {"main": "0" * 40}, "commits": {"0" * 40: {}}}
            return self.answer({"url": f"{self.server.address}/{name}", "id": name})
        if path == ["api", "validate-yaml"]:
            return self.answer({"errors": [], "warnings": []})
        name, rest = "/".join(path[2:4]), path[4:]
        repo = self.server.repos[name]
        if rest[:1] == ["branch"]:
            repo["branches"].setdefault(rest[1], repo["branches"]["main"])
            return self.answer({})
        if rest[:1] == ["preupload"]:
            asked = json.loads(body)["files"]
            return self.answer(
                {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in asked]}
            )
        if rest[:1] == ["commit"]:
            files = dict(repo["commits"][repo["branches"][rest[1]]])
            for line in body.decode().splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            mark = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
            repo["commits"][mark], repo["branches"][rest[1]] = files, mark
            url = f"{self.server.address}/{name}/commit/{mark}"
            return self.answer({"success": True, "commitOid": mark, "commitUrl": url, "hookOutput": ""})
        return self.answer({"error": self.path}, 404)


def blob(content: bytes) -> str:
    """As git names a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
