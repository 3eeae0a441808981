"""Runs on this machine: a few processes, each of which takes one run after another."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from triptych.core import plugins
from triptych.study.executor import STATES, Executor, Worker
from triptych.study.jobs import Work
from triptych.system import files
from triptych.system.children import Child


class Local(Executor):
    """`at_once` processes that share the cores evenly, unless OMP_NUM_THREADS says how many threads each may have."""

    def __init__(self, at_once: int | None, device: str) -> None:
        at_once = at_once or default_jobs(device)
        super().__init__(at_once, device, threads_each(at_once))

    def worker(self, log: Path, at_once: int) -> Worker:
        return Process(threads_each(at_once), log, self.device)


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def threads_each(workers: int) -> int:
    """Threads of each process: what OMP_NUM_THREADS says, else an even share of the cores."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) else max(1, cores() // workers)


def default_jobs(device: str) -> int:
    """Runs at a time: one per CPU core, one on a GPU."""
    from triptych.system.device import pick_device

    return cores() if pick_device(device).type == "cpu" else 1


class Process(Worker):
    """A process that reads jobs and answers each with a line; it ends with its input."""

    def __init__(self, threads: int, log: Path, device: str) -> None:
        """UserError or OSError where it cannot be started. What it says before its first job goes to `log`."""
        self.device = device
        program = ["-m", "triptych.study.worker", *(p.given for p in plugins.given())]
        with files.appending(log) as errors:
            self.child = Child(program, errors, OMP_NUM_THREADS=str(threads))

    def ask(self, job: Work, log: Path) -> tuple[str, str]:
        self.child.tell(job.order(self.device))
        while True:
            line = self.child.line()
            answer = understood(line.decode("utf-8", "backslashreplace"))
            if answer is not None and answer["run"] == job.path.name:
                return answer["state"], answer["message"]
            if line.strip():
                with files.appending(log) as f:
                    f.write(line)

    @property
    def gone(self) -> bool:
        return self.child.gone

    def ask_to_end(self) -> None:
        self.child.ask_to_end()

    def end(self) -> None:
        self.child.end()


def understood(line: str) -> dict[str, str] | None:
    """A worker's answer; None for anything else that was written where answers are."""
    try:
        answer: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict) or not all(isinstance(answer.get(k), str) for k in ("run", "state", "message")):
        return None
    return answer if answer["state"] in STATES else None
