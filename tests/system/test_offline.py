"""The tests themselves: no network here or in a child, nothing found by luck."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from offline.sitecustomize import NetworkUsed

from triptych.system.cache import collections


@pytest.mark.parametrize("where", ["192.0.2.1", "example.org", "2001:db8::1"])
def test_nothing_but_this_machine_is_connected_to(where):
    family = socket.AF_INET6 if ":" in where else socket.AF_INET
    with socket.socket(family) as s:
        for connect in (s.connect, s.connect_ex):
            with pytest.raises(NetworkUsed, match="tests use no network"):
                connect((where, 80))
    with socket.socket(family, socket.SOCK_DGRAM) as s, pytest.raises(NetworkUsed):
        s.sendto(b"x", (where, 53))
    with pytest.raises(NetworkUsed):
        socket.getaddrinfo(where, 80)


def test_this_machine_is():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("127.0.0.1", server.getsockname()[1])).close()
    assert socket.getaddrinfo("localhost", 80)


def test_a_child_is_blocked_as_well():
    code = "import socket; socket.getaddrinfo('example.org', 80)"
    child = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert child.returncode == 1
    assert "a test asked for example.org" in child.stderr


def test_no_data_set_is_found_by_luck():
    assert "TRIPTYCH_DATA" not in os.environ
    assert not collections()
    assert Path(os.environ["TRIPTYCH_CACHE"]).name == "triptych-cache"
