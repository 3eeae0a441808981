"""Child processes of our own, and threads side by side that feed them: what every pool of workers is made of.

Studies, searches and the preparation of pictures share this. What an order says, and what the death of a child costs,
is theirs.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import IO, Any, TypeVar

PATIENCE = 0.5
"""Seconds between two looks at whether a process is still there."""
PARTING = 30.0
"""Seconds that a process has to finish what it does and save, once it is asked to end."""

Task = TypeVar("Task")
Answer = TypeVar("Answer")


class Ended(Exception):
    """A child, or a worker elsewhere, ended instead of answering; the text says how."""


class Child:
    """A process of Python that takes orders, a line of JSON each, and answers with lines. It ends with its input."""

    def __init__(self, program: Sequence[str], errors: IO[bytes] | int, **env: str) -> None:
        """`program` is a file or `-m`, a module and words for it. OSError where it cannot be started."""
        self.process = subprocess.Popen(
            # -P: neither what lies in the current folder nor what lies beside the program hides another module
            [sys.executable, "-P", *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **env},
        )
        self.lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with contextlib.suppress(OSError, ValueError), self.process.stdout as answers:
            for line in answers:
                self.lines.put(line)
        self.lines.put(None)

    def tell(self, order: Any, *more: bytes) -> None:
        """Send an order, and the bytes that it announces. `Ended` where it cannot be taken."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(b"".join((json.dumps(order).encode(), b"\n", *more)))
            self.process.stdin.flush()
        except (OSError, ValueError) as e:
            raise Ended(self._how()) from e

    def line(self) -> bytes:
        """What it says next; the last line of one that was killed may be cut. `Ended` where it is no more."""
        over = False
        while True:
            try:
                line = self.lines.get(timeout=PATIENCE)
            except queue.Empty:
                if over:  # something else holds its output open
                    raise Ended(self._how()) from None
                over = self.gone
                continue
            if line is None:
                raise Ended(self._how())
            return line

    def _how(self) -> str:
        try:
            status = self.process.wait(PARTING)
        except subprocess.TimeoutExpired:
            return "its process closed its output and did not end"
        if status < 0:
            name = signal.Signals(-status).name if -status in {s.value for s in signal.Signals} else f"signal {-status}"
            return f"its process was ended by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
        return f"its process ended with status {status}"

    @property
    def gone(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def ask_to_end(self) -> None:
        """So that several end side by side; `end` waits."""
        self.process.terminate()

    def end(self) -> None:
        """Told to end, then made to."""
        self.process.terminate()
        try:
            self.process.wait(PARTING)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # it died with an order unread
            self.process.stdin.close()


def side_by_side(
    tasks: Iterable[Task],
    serve: Callable[[Iterator[Task]], Iterable[Answer]],
    n: int,
    end: Callable[[], None],
    waiting: Callable[[], object] = lambda: None,
) -> Generator[Answer, None, None]:
    """The answers of n threads to tasks, in the order in which they come.

    Each thread runs `serve` once, with an iterator that hands it a task which no other has. `waiting` is called, in the
    thread of the reader, while nothing comes. After the last answer, and where a thread raises or the reader stops, no
    task is handed out any more, `end` is called, which has to make busy threads leave off, and they are waited for.
    """
    todo, lock, over = iter(tasks), threading.Lock(), threading.Event()
    made: queue.SimpleQueue[tuple[Answer] | BaseException | None] = queue.SimpleQueue()

    def mine() -> Iterator[Task]:
        while True:
            with lock:
                if over.is_set():
                    return
                try:
                    task = next(todo)
                except StopIteration:
                    return
            yield task

    def work() -> None:
        try:
            for answer in serve(mine()):
                made.put((answer,))
            made.put(None)
        except BaseException as e:
            made.put(e)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(n)]
    for thread in threads:
        thread.start()
    try:
        running = n
        while running:
            try:
                got = made.get(timeout=PATIENCE / 2)
            except queue.Empty:
                waiting()
                continue
            if isinstance(got, BaseException):
                raise got
            if got is None:
                running -= 1
            else:
                yield got[0]
    finally:
        over.set()
        end()
        for thread in threads:
            thread.join(PARTING)
