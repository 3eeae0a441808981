"""No test reaches the network: connections to anything but this machine are refused, in child processes too.

conftest.py calls `block` and puts this folder on PYTHONPATH; Python imports a module of this name when it starts, so
the children of a test are blocked as well. Programs that are not Python meet proxies that nobody serves.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

LOOPBACK = ("127.", "::1", "localhost", "::ffff:127.")
PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy")
DEAD = "http://127.0.0.1:9"


class NetworkUsed(BaseException):
    """Not an Exception, so that no code that tries again or does without can swallow it."""


def _is_here(host: Any) -> bool:
    host = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    return host is None or host == "" or str(host).startswith(LOOPBACK)


def _refuse(host: Any) -> None:
    if not _is_here(host):
        raise NetworkUsed(
            f"a test asked for {host}, and tests use no network; make the input yourself, serve it on 127.0.0.1 "
            "(tests/loopback.py), or mark the test `data` and read the real sets from TRIPTYCH_DATA"
        )


def block() -> None:
    """From now on this process connects to nothing but itself and its machine."""
    connects = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex")}
    looks_up = {name: getattr(socket, name) for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex")}
    send = socket.socket.sendto

    def guarded(name: str) -> Any:
        def connect(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                _refuse(address[0])
            return connects[name](self, address)

        return connect

    def guarded_lookup(name: str) -> Any:
        def look_up(host: Any, *args: Any, **options: Any) -> Any:
            _refuse(host)
            return looks_up[name](host, *args, **options)

        return look_up

    def sendto(self: socket.socket, data: Any, *rest: Any) -> int:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _refuse(rest[-1][0])
        return send(self, data, *rest)

    for name in connects:
        setattr(socket.socket, name, guarded(name))
    for name in looks_up:
        setattr(socket, name, guarded_lookup(name))
    socket.socket.sendto = sendto  # type: ignore[method-assign]


def environment() -> dict[str, str]:
    """What children need in their environment to be blocked as well."""
    path = os.pathsep.join(p for p in (str(Path(__file__).parent), os.environ.get("PYTHONPATH")) if p)
    proxies = {case(name): DEAD for name in PROXIES for case in (str.lower, str.upper)}
    here = "127.0.0.1,localhost,::1"
    return proxies | {"no_proxy": here, "NO_PROXY": here, "PYTHONPATH": path}


if __name__ == "sitecustomize":
    block()
