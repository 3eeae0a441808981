"""A pool of worker processes that decode pictures, and what happens when one of them dies."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from triptych.data.prepare import worker as program
from triptych.data.prepare.entries import Listing
from triptych.data.prepare.listing import contents
from triptych.data.prepare.results import Result
from triptych.system.children import Child, Ended, side_by_side

CHUNK = 64
"""Pictures per task of a worker."""
WEIGHT = 32 << 20
"""Bytes sent along with a task, from which on it takes no more pictures."""

Task = list[tuple[int, bytes | None]]
"""Numbers of pictures, and their bytes where no worker can read them for itself."""


class WorkerPool:
    """Worker processes, each fed by a thread of its own; a worker that dies costs one picture."""

    program = str(Path(program.__file__))

    def __init__(self, workers: int) -> None:
        self.lock = threading.Lock()
        self.stopping = False
        self.idle = [self._start() for _ in range(workers)]
        self.busy: set[Child] = set()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self.idle:
            child.ask_to_end()
        for child in self.idle:
            child.end()

    def run(
        self, listing: Listing, options: dict[str, Any], done: Mapping[int, Result]
    ) -> Iterator[list[tuple[int, Result]]]:
        """Results of what is not done yet, chunk by chunk, as they come."""
        self.listing, self.options = listing, options
        wanted = max(1, min(len(self.idle), -(-(len(listing.entries) - len(done)) // CHUNK)))
        with closing(side_by_side(self._tasks(done), self._serve, wanted, self._stop)) as results:
            yield from results

    def _tasks(self, done: Mapping[int, Result]) -> Iterator[Task]:
        part: Task = []
        weight = 0
        for i, sent in contents(self.listing, lambda i: i not in done):
            part.append((i, sent))
            weight += len(sent or b"")
            if len(part) == CHUNK or weight > WEIGHT:
                yield part
                part, weight = [], 0
        if part:
            yield part

    def _serve(self, tasks: Iterator[Task]) -> Iterator[list[tuple[int, Result]]]:
        worker = self._take()
        try:
            for task in tasks:
                worker = self._living(worker)
                if (results := self._ask(worker, task)) is None:
                    results = []
                    for single in task:  # find the picture that kills
                        if self.stopping:
                            return
                        worker = self._living(worker)
                        if (answer := self._ask(worker, [single])) is None and self.stopping:
                            return
                        results += answer or [(single[0], {"skipped": "the decoder died of it"})]
                yield results
        finally:
            self._leave(worker)

    def _start(self) -> Child:
        return Child([self.program], subprocess.DEVNULL)

    def _take(self) -> Child:
        """A worker that knows how pictures are prepared."""
        with self.lock:
            child = self.idle.pop() if self.idle else self._start()
            self.busy.add(child)
        with contextlib.suppress(Ended):  # its first task will find it gone
            child.tell(self.options)
        return child

    def _living(self, worker: Child) -> Child:
        return worker if worker in self.busy else self._take()

    def _leave(self, child: Child) -> None:
        with self.lock:
            self.busy.discard(child)
        child.end()

    def _stop(self) -> None:
        self.stopping = True
        with self.lock:
            for child in self.busy:
                child.ask_to_end()

    def _ask(self, worker: Child, task: Task) -> list[tuple[int, Result]] | None:
        """Results of a task, or None when the worker died of it."""
        items = []
        for i, sent in task:
            where = self.listing.entries[i].where
            item = {"sent": len(sent)} if sent is not None else where or {"size": self.listing.entries[i].size}
            items.append({**item, "row": i})
        try:
            worker.tell(items, *(sent or b"" for _, sent in task))
            while not (line := worker.line()).endswith(b"\n"):
                pass  # cut off by its death
        except Ended as e:
            self._leave(worker)
            # as Python ends by an error; a decoder's crash is a signal
            if worker.process.returncode == 1 and not self.stopping:
                raise RuntimeError(f"a decoding process ended by an error; run {self.program} to see it") from e
            return None
        reply = json.loads(line)
        if reply["failed"]:
            raise RuntimeError(f"an error of the program itself while reading pictures:\n{reply['failed']}")
        if reply["errno"]:
            raise OSError(reply["errno"], os.strerror(reply["errno"]))
        return list(zip((i for i, _ in task), reply["results"], strict=True))
