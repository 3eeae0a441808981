"""The watch itself: what a hostile input could make a command do is seen, each by its own name.

A `.py` study is a person's own program, and does here what no stranger's file may.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from trials.client import Trials

from hostile.place import Hostile, Place, attempt

ACTS = {
    "subprocess.run(['true'])": 'act ["process"',
    "os.system('true')": 'act ["process"',
    "OUTSIDE.joinpath('new').write_text('x')": "changed outside/new",
    "OUTSIDE.joinpath('precious.txt').unlink()": "changed outside/precious.txt",
    "OUTSIDE.joinpath('start.py').rename(OUTSIDE / 'gone')": 'act ["write"',
    "Path.home().joinpath('.profile').write_text('x')": "changed home/.profile",
    "pickle.loads(b'cfractions\\nFraction\\n.')": 'act ["pickle"',
    "socket.socket().connect_ex(('127.0.0.1', 9))": 'act ["network"',
    "os._exit(70)": "ended with status 70",
    "os.kill(os.getpid(), 9)": "ended with status -9",
    "print('\\x1b[31mred')": "escape character",
    "traceback.print_stack(); print('Traceback (most recent call last)', file=sys.stderr)": "traceback",
    "bytearray(3 << 29)[:] = b'x' * (3 << 29)": "memory",
    "time.sleep(60)": "hang",
}


@pytest.fixture(scope="module")
def trials() -> Iterator[Trials]:
    with Trials() as server:
        yield server


@pytest.mark.parametrize("act", ACTS)
def test_an_act_is_seen(trials: Trials, act: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hostile.place.SECONDS", 2.0)

    def build(place: Place) -> list[str]:
        head = "import os, pickle, socket, subprocess, sys, time, traceback\nfrom pathlib import Path\n"
        (place.here / "s.py").write_text(f"{head}OUTSIDE = Path({str(place.outside)!r})\n{act}\n")
        return ["study", str(place.here / "s.py")]

    verdict = attempt(trials, Hostile("acts", act, build), tmp_path / "place")
    assert any(fault.startswith(ACTS[act]) for fault in verdict.faults), verdict


def test_what_harms_nobody_is_no_fault(trials: Trials, tmp_path: Path) -> None:
    run = Hostile("sound", "a run", lambda p: ["sample", str(p.run()), "-n", "2", "--out", str(p.out / "x.npy")])
    assert attempt(trials, run, tmp_path / "place").faults == ()
