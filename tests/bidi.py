"""A small client of WebDriver BiDi, the protocol by which Firefox is driven without another program."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import Any


class Socket:
    """A WebSocket to this machine. Source: RFC 6455; text frames alone."""

    def __init__(self, host: str, port: int, path: str) -> None:
        self.raw = socket.create_connection((host, port), timeout=120)
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        head = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self.raw.sendall(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.file = self.raw.makefile("rb")
        assert b" 101 " in self.file.readline()
        while self.file.readline().strip():
            pass

    def send(self, text: str) -> None:
        body, mask = text.encode(), secrets.token_bytes(4)
        size = len(body)
        if size < 126:
            head = struct.pack("!BB", 0x81, 0x80 | size)
        elif size < 2**16:
            head = struct.pack("!BBH", 0x81, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", 0x81, 0x80 | 127, size)
        masked = bytes(b ^ mask[i % 4] for i, b in enumerate(body))
        self.raw.sendall(head + mask + masked)

    def receive(self) -> str:
        whole = b""
        while True:
            first, second = self.file.read(2)
            size = second & 127
            if size == 126:
                (size,) = struct.unpack("!H", self.file.read(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self.file.read(8))
            body = self.file.read(size)
            if first & 15 in (0, 1):
                whole += body
                if first & 128:
                    return whole.decode()


class Firefox:
    """A headless Firefox with one page; `heard` collects what it logs and asks for."""

    def __init__(self, program: str, profile: Path) -> None:
        words = [program, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=self.quiet())
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := re.search(rb"BiDi listening on ws://([^:]+):(\d+)", line):
                break
        else:
            raise RuntimeError("Firefox did not start")
        self.socket = Socket(found[1].decode(), int(found[2]), "/session")
        self.count, self.heard = 0, []
        self.ask("session.new", capabilities={})
        self.page = self.ask("browsingContext.getTree")["contexts"][0]["context"]
        self.ask("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])

    @staticmethod
    def quiet() -> dict[str, str]:
        return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "DISPLAY")} | {"MOZ_HEADLESS": "1"}

    def ask(self, method: str, **params: Any) -> Any:
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": params}))
        while True:
            said = json.loads(self.socket.receive())
            if said.get("id") == self.count:
                if said["type"] == "error":
                    raise RuntimeError(f"{said['error']}: {said['message']}")
                return said["result"]
            if said.get("method") == "log.entryAdded":
                self.heard.append(said["params"]["text"])
            elif said.get("method") == "network.beforeRequestSent":
                self.heard.append(said["params"]["request"]["url"])

    def open(self, url: str, width: int) -> None:
        self.ask("browsingContext.setViewport", context=self.page, viewport={"width": width, "height": 900})
        self.ask("browsingContext.navigate", context=self.page, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, or of what its promise resolves to, by way of JSON."""
        whole = f"Promise.resolve({expression}).then(value => JSON.stringify(value ?? null))"
        where = {"context": self.page}
        done = self.ask("script.evaluate", expression=whole, target=where, awaitPromise=True)
        if done["type"] != "success":
            raise RuntimeError(done["exceptionDetails"]["text"])
        return json.loads(done["result"]["value"])

    def press(self, key: str) -> None:
        moves = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        actions = [{"type": "key", "id": "keyboard", "actions": moves}]
        self.ask("input.performActions", context=self.page, actions=actions)

    def close(self) -> None:
        self.socket.file.close()
        self.socket.raw.close()
        self.process.terminate()
        deadline = time.monotonic() + 20
        while self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()
