"""Runs on this machine: a few processes, each of which takes one run after another."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from triptych.core import plugins
from triptych.study.executor import PATIENCE, STATES, Ended, Executor, Worker
from triptych.study.jobs import Work
from triptych.system import files

PARTING = 30.0
"""Seconds that a process has to finish its step and save, once it is asked to end."""


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
        with files.appending(log) as errors:
            self.process = subprocess.Popen(
                # -P: what lies in the current folder is not imported
                [sys.executable, "-P", "-m", "triptych.study.worker", *(p.given for p in plugins.given())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
                errors="backslashreplace",
                env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            )
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with contextlib.suppress(OSError, ValueError), self.process.stdout as answers:
            for line in answers:
                self.lines.put(line)
        self.lines.put(None)

    def ask(self, job: Work, log: Path) -> tuple[str, str]:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(job.order(self.device)) + "\n")
            self.process.stdin.flush()
        except (OSError, ValueError) as e:
            raise Ended(self._how()) from e
        while True:
            try:
                line = self.lines.get(timeout=PATIENCE)
            except queue.Empty:
                if self.process.poll() is not None:  # something else holds its output open
                    raise Ended(self._how()) from None
                continue
            if line is None:
                raise Ended(self._how())
            answer = understood(line)
            if answer is not None and answer["run"] == job.path.name:
                return answer["state"], answer["message"]
            if line.strip():
                with files.appending(log) as f:
                    f.write(line.encode())

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
        return self.process.poll() is not None

    def ask_to_end(self) -> None:
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


def understood(line: str) -> dict[str, str] | None:
    """A worker's answer; None for anything else that was written where answers are."""
    try:
        answer: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict) or not all(isinstance(answer.get(k), str) for k in ("run", "state", "message")):
        return None
    return answer if answer["state"] in STATES else None
