"""A pool of worker processes that decode pictures, and what happens when one of them dies."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from triptych.data.prepare import worker as program
from triptych.data.prepare.entries import Listing
from triptych.data.prepare.listing import contents
from triptych.data.prepare.results import Result

CHUNK = 64  # pictures per task of a worker


class WorkerPool:
    """Worker processes, each fed by a thread of its own; a worker that dies costs one picture."""

    # -P keeps this package's own file names from hiding other modules
    command = (sys.executable, "-P", str(Path(program.__file__)))

    def __init__(self, workers: int) -> None:
        self.lock = threading.Lock()
        self.results: queue.SimpleQueue[list[tuple[int, Result]] | BaseException | None] = queue.SimpleQueue()
        self.stopping = False
        self.idle = [self._start() for _ in range(workers)]
        self.busy: set[subprocess.Popen[bytes]] = set()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        for p in self.idle:
            self._stop(p)

    def run(
        self, listing: Listing, options: dict[str, Any], done: Mapping[int, Result]
    ) -> Iterator[list[tuple[int, Result]]]:
        """Results of what is not done yet, chunk by chunk, as they come."""
        self.listing, self.options = listing, options
        self.tasks = self._tasks(done)
        wanted = max(1, min(len(self.idle), -(-(len(listing.entries) - len(done)) // CHUNK)))
        threads = [threading.Thread(target=self._feed, daemon=True) for _ in range(wanted)]
        for t in threads:
            t.start()
        try:
            running = len(threads)
            while running:
                got = self.results.get()
                if isinstance(got, BaseException):
                    raise got
                if got is None:
                    running -= 1
                else:
                    yield got
        finally:
            self.stopping = True
            for p in list(self.busy):
                p.kill()
            for t in threads:
                t.join()

    def _tasks(self, done: Mapping[int, Result]) -> Iterator[list[tuple[int, bytes | None]]]:
        part: list[tuple[int, bytes | None]] = []
        weight = 0
        for i, sent in contents(self.listing, lambda i: i not in done):
            part.append((i, sent))
            weight += len(sent or b"")
            if len(part) == CHUNK or weight > 32 << 20:
                yield part
                part, weight = [], 0
        if part:
            yield part

    def _feed(self) -> None:
        worker = None
        try:
            worker = self._take()
            while not self.stopping:
                with self.lock:
                    task = next(self.tasks, None)
                if task is None:
                    break
                if (results := self._ask(worker, task)) is None:
                    results = []
                    for single in task:  # find the picture that kills
                        if worker.poll() is not None or results is None:
                            worker = self._take()
                        answer = self._ask(worker, [single])
                        if answer is None and self.stopping:
                            return
                        results += answer or [(single[0], {"skipped": "the decoder died of it"})]
                        if answer is None:
                            worker.wait()
                self.results.put(results)
            self.results.put(None)
        except BaseException as e:
            self.results.put(e)
        finally:
            if worker is not None:
                self._stop(worker)

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def _take(self) -> subprocess.Popen[bytes]:
        with self.lock:
            p = self.idle.pop() if self.idle else self._start()
        self.busy.add(p)
        assert p.stdin is not None
        p.stdin.write(json.dumps(self.options).encode() + b"\n")
        return p

    def _stop(self, p: subprocess.Popen[bytes]) -> None:
        self.busy.discard(p)
        for pipe in (p.stdin, p.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # it died with tasks unread
                pass
        p.wait()

    def _ask(
        self, worker: subprocess.Popen[bytes], task: list[tuple[int, bytes | None]]
    ) -> list[tuple[int, Result]] | None:
        """Results of a task, or None when the worker died of it."""
        assert worker.stdin is not None
        assert worker.stdout is not None
        items = []
        for i, sent in task:
            where = self.listing.entries[i].where
            item = {"sent": len(sent)} if sent is not None else where or {"size": self.listing.entries[i].size}
            items.append({**item, "row": i})
        try:
            worker.stdin.write(json.dumps(items).encode() + b"\n" + b"".join(sent or b"" for _, sent in task))
            worker.stdin.flush()
            line = worker.stdout.readline()
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            self._stop(worker)
            if (
                worker.returncode == 1 and not self.stopping
            ):  # as Python ends by an error; a decoder's crash is a signal
                raise RuntimeError(f"a decoding process ended by an error; run {self.command[-1]} to see it")
            return None
        reply = json.loads(line)
        if reply["failed"]:
            raise RuntimeError(f"an error of the program itself while reading pictures:\n{reply['failed']}")
        if reply["errno"]:
            raise OSError(reply["errno"], os.strerror(reply["errno"]))
        return list(zip((i for i, _ in task), reply["results"], strict=True))
