"""Where the runs of a study, or the shards of a set, are made: one seam, `Executor.map`, a file for each place."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

from triptych.errors import UserError
from triptych.study.jobs import AnyWork, Outcome, Show, Work
from triptych.system import files
from triptych.system.children import Ended, side_by_side

STATES = ("done", "diverged", "failed")


class Worker(ABC):
    """Takes one run after another, somewhere."""

    @abstractmethod
    def ask(self, job: Work, log: Path) -> tuple[str, str]:
        """State and message of a job, once it is done; `Ended` where the worker is no more. Its words go to `log`."""

    @property
    @abstractmethod
    def gone(self) -> bool:
        """Whether it can take no other job."""

    def ask_to_end(self) -> None:
        """So that several end side by side; `end` waits."""

    @abstractmethod
    def end(self) -> None:
        """End what it is doing, at a moment from which the run can go on."""


class Executor(ABC):
    """A place where work is carried out, several at a time. What is missing of a run goes on where it was cut.

    `cores` is how many processor cores each may use while as many as `at_once` are at work.
    """

    def __init__(self, at_once: int, device: str, cores: int) -> None:
        self.at_once, self.device, self.cores = at_once, device, cores

    @abstractmethod
    def worker(self, log: Path, at_once: int) -> Worker:
        """One of `at_once` workers side by side. What it says before its first job goes to `log`."""

    def close(self) -> None:
        """When no worker is needed any more."""

    def map(
        self,
        jobs: list[AnyWork],
        show: Show[AnyWork] = lambda active, outcome: None,
        order: Callable[[list[AnyWork]], Iterable[AnyWork]] = list,
    ) -> Iterator[Outcome[AnyWork]]:
        """Outcomes as they come, one for every job. A job that fails ends no other.

        `order` gives the jobs in the order in which they are begun, each when a worker is free for it.
        """
        at_once = min(self.at_once, len(jobs))
        active: dict[Path, AnyWork] = {}
        started: list[Worker] = []

        def serve(mine: Iterator[AnyWork]) -> Iterator[Outcome[AnyWork]]:
            worker: Worker | None = None
            for job in mine:
                active[job.path] = job
                began, log = time.monotonic(), log_of(job.path)
                try:
                    log.parent.mkdir(parents=True, exist_ok=True)
                    if worker is None:
                        worker = self.worker(log, at_once)
                        started.append(worker)
                    state, message = worker.ask(job, log)
                except Ended as e:
                    worker = None
                    state, message = "failed", f"{e}; {log} has what it said{last_words(log)}"
                except Exception as e:
                    if worker is not None:
                        worker.end()
                        worker = None
                    state, message = "failed", f"no process could work on it: {' '.join(str(e).split())[:300]}"
                yield Outcome(job, state, message, time.monotonic() - began)

        def end() -> None:
            for worker in started:
                worker.ask_to_end()
            for worker in started:
                worker.end()

        with closing(side_by_side(order(jobs), serve, at_once, end, lambda: show(dict(active), None))) as outcomes:
            for outcome in outcomes:
                active.pop(outcome.job.path, None)
                show(dict(active), outcome)
                yield outcome


def log_of(path: Path) -> Path:
    """Where a worker's words about the run at `path` go."""
    return path.parent / "logs" / f"{path.name}.txt"


def last_line(log: Path) -> str:
    """The last line of a log that is not empty, cut to 200 letters; empty where there is none."""
    try:
        lines = files.read_bytes(log, 64 << 20).decode("utf-8", "backslashreplace").split("\n")
    except (OSError, UserError):
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")[:200]


def last_words(log: Path) -> str:
    """The last line of a log, to be printed behind its name."""
    last = last_line(log)
    return f", at its end: {last}" if last else ""
