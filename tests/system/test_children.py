"""Children that take orders, and threads side by side: every task once, errors that end all, deaths that are told."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from triptych.system.children import Child, Ended, side_by_side

ECHO = """
import json, os, sys
for line in sys.stdin:
    order = json.loads(line)
    if order == "exit":
        os._exit(3)
    if order == "cut":
        sys.stdout.write("no line end")
        sys.stdout.flush()
        os.abort()
    if order == "hand on":
        import subprocess
        subprocess.Popen(["sleep", "20"], stdin=subprocess.DEVNULL)
        os._exit(4)
    print(json.dumps(order), flush=True)
"""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    (tmp_path / "json.py").write_text("raise SystemExit(9)")  # beside the program, and not imported
    (tmp_path / "echo.py").write_text(ECHO)
    child = Child([str(tmp_path / "echo.py")], subprocess.DEVNULL)
    yield child
    child.end()


def test_an_order_is_answered(child: Child) -> None:
    for order in ("a", {"b": [1, "ü"]}):
        child.tell(order)
        assert child.line().startswith(b'"a"' if order == "a" else b'{"b"')
    assert not child.gone
    child.end()
    assert child.gone


@pytest.mark.parametrize(
    ("order", "said"),
    [("exit", "ended with status 3"), ("cut", "ended by SIGABRT"), ("hand on", "ended with status 4")],
)
def test_how_one_ended_is_told(child: Child, order: str, said: str) -> None:
    """Also where another process holds its output open."""
    child.tell(order)
    if order == "cut":
        assert child.line() == b"no line end"
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(Ended, match=said):
            child.line()
    assert time.monotonic() - began < 10
    with pytest.raises(Ended, match=said):
        child.tell("more")


def test_one_that_was_killed_is_named(child: Child) -> None:
    os.kill(child.process.pid, signal.SIGKILL)
    with pytest.raises(Ended, match=r"SIGKILL \(out of memory\?\)"):
        child.line()


# ----------------------------------------------------------------------------------------- side by side


def test_every_task_is_served_once() -> None:
    ended, names = [], set()

    def serve(mine: Iterator[int]) -> Iterator[int]:
        for task in mine:
            names.add(threading.get_ident())
            time.sleep(0.001)
            yield task * task

    assert sorted(side_by_side(range(50), serve, 4, lambda: ended.append(1))) == [i * i for i in range(50)]
    assert ended == [1]
    assert 1 < len(names) <= 4


def test_an_error_of_one_ends_all() -> None:
    stop, served = threading.Event(), []

    def serve(mine: Iterator[int]) -> Iterator[int]:
        for task in mine:
            if task == 3:
                raise KeyError(task)
            served.append(task)
            stop.wait(10 if task == 2 else 0)
            yield task

    began = time.monotonic()
    with pytest.raises(KeyError):
        list(side_by_side(range(1000), serve, 2, stop.set))
    assert time.monotonic() - began < 5
    assert max(served) < 999


def test_an_error_in_the_tasks_is_raised() -> None:
    def tasks() -> Iterator[int]:
        yield 1
        raise ValueError("cut off")

    with pytest.raises(ValueError, match="cut off"):
        list(side_by_side(tasks(), lambda mine: mine, 2, lambda: None))


def test_whoever_stops_reading_ends_all() -> None:
    stop, waits = threading.Event(), []

    def serve(mine: Iterator[int]) -> Iterator[int]:
        for task in mine:
            if task:
                stop.wait(20)
            yield task

    began = time.monotonic()
    with closing(side_by_side(range(9), serve, 1, stop.set, lambda: waits.append(1))) as answers:
        assert next(answers) == 0
    assert stop.is_set()
    assert time.monotonic() - began < 5


def test_waiting_is_told_of() -> None:
    waits = threading.Event()

    def serve(mine: Iterator[int]) -> Iterator[int]:
        for task in mine:
            waits.wait(10)
            yield task

    assert list(side_by_side([1], serve, 1, lambda: None, waits.set)) == [1]
    assert waits.is_set()
