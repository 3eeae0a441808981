"""A study carried out: runs are trained by a few local processes, each taking one run after another."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from triptych.core import encode, plugins
from triptych.errors import UserError
from triptych.run.folder import Run
from triptych.study import budgets
from triptych.study.contract import Contract
from triptych.study.display import display
from triptych.study.jobs import Job, Outcome, Show
from triptych.study.study import MOST, Study, counted
from triptych.system import files, names
from triptych.system.console import say
from triptych.system.refusals import system_errors

ELSEWHERE = "give --out another place"


def run_study(
    study: Study,
    out: str | Path,
    jobs: int | None = None,
    device: str = "auto",
    *,
    progress: bool = True,
    track: Sequence[str] = (),
) -> list[Outcome]:
    """Train and evaluate what is missing of a study under `out`; how every run stands, in the order of `Study.jobs`.

    `jobs` processes work at once (default: one per processor core, one on a GPU), sharing the cores evenly unless
    OMP_NUM_THREADS says how many threads each may have. A run that fails does not stop the others. Where the study has
    minutes or a contract, budgets are found first, and kept in study.json. `track` names sinks that every run is also
    shown in.
    """
    out = Path(out)
    if jobs is not None and not 1 <= jobs <= MOST:
        raise UserError(f"--jobs is {counted(jobs)}; give at least 1, and at most {MOST:,}")
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is not a folder; give --out another name")
    names.encodable(out)
    earlier = recorded(out)
    with system_errors(out, ELSEWHERE):
        out.mkdir(parents=True, exist_ok=True)
        files.sweep(out)  # of study.json and the report
    most, told = jobs or default_jobs(device), dict[str, Any]()
    workers = min(most, study.seeds * len(study.recipes))
    if (contract := budgets.contract_of(study, workers)) is not None:
        study, told = fitted(study, contract, out, workers, earlier, device, progress=progress)
    todo = study.jobs(out)
    for job in todo:
        names.encodable(job.path)
    if earlier and earlier.get("samples", study.samples) != study.samples:
        evaluated_otherwise(todo)
    ended = {job.path: Outcome(job, job.state, job.message) for job in todo if job.done}
    missing = [job for job in todo if job.path not in ended]
    workers = max(1, min(most, len(missing)))
    record(study, out, todo, ended, told)
    with display(len(todo), len(ended), workers, shown=progress) as show:
        for outcome in work_through(missing, workers, threads_each(workers), device, show, track):
            ended[outcome.job.path] = outcome
            record(study, out, todo, ended, told)
    return [ended[job.path] for job in todo]


def fitted(
    study: Study,
    contract: Contract,
    out: Path,
    workers: int,
    earlier: dict[str, object],
    device: str,
    *,
    progress: bool,
) -> tuple[Study, dict[str, Any]]:
    """The study with the budgets that its contract gives to each recipe, and what study.json says of them.

    Paces are measured side by side, as many as will be trained at a time.
    """
    if progress:
        runs = study.seeds * len(study.recipes)
        total = "" if study.minutes is None else f"{study.minutes:g} min for {runs} runs, {workers} at a time; "
        say(f"{total}{contract}", stderr=True)
    threads = threads_each(workers)
    found = budgets.find_budgets(
        study, contract, out, earlier, lambda todo: work_through(todo, workers, threads, device, lambda *_: None)
    )
    return budgets.with_budgets(study, found), found.told()


def recorded(out: Path) -> dict[str, object]:
    """study.json of an earlier call, empty where there is none; UserError for a file of that name that is not ours."""
    file = out / "study.json"
    if not os.path.lexists(file):
        return {}
    told = files.read_object(file)
    if not isinstance(told.get("runs"), list):
        raise UserError(f"{file} is there and was not written by triptych; {ELSEWHERE}")
    return told


def evaluated_otherwise(todo: list[Job]) -> None:
    """Runs that were evaluated on another number of samples than is asked for now are evaluated again."""
    for job in todo:
        if (job.path / "eval.json").is_file() and job.state == "done":
            Run(job.path).archive_evaluation()


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


def record(study: Study, out: Path, todo: list[Job], ended: dict[Path, Outcome], told: dict[str, Any]) -> None:
    """study.json: what was asked, what was `told` beside it, and how each run stands."""
    runs = []
    for job in todo:
        outcome = ended.get(job.path)
        state, message = (outcome.state, outcome.message) if outcome else ("waiting", "")
        runs.append(
            {"run": job.path.name, "recipe": job.recipe.name, "seed": job.seed, "state": state, "message": message}
        )
    asked = {"name": study.name, "about": study.about, "seeds": study.seeds, "samples": study.samples, **told}
    files.write_json(out / "study.json", {**asked, "runs": runs}, ELSEWHERE)


@contextmanager
def terminated(message: str) -> Iterator[None]:
    """SIGTERM ends the block in good order, as Ctrl-C does; `message` is printed, and the exit status is 143."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():  # only the main one hears of signals
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except SystemExit as e:
        if e.code == 128 + signal.SIGTERM:
            say(f"ended by SIGTERM; {message}", stderr=True)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


STATES = ("done", "diverged", "failed")
PATIENCE = 0.5
"""Seconds between two looks at whether a process is still there."""
PARTING = 30.0
"""Seconds that a process has to finish its step and save, once it is asked to end."""


class Ended(Exception):
    """A worker ended instead of answering; the text says how."""


class Worker:
    """A process that reads jobs and answers each with a line; it ends with its input."""

    def __init__(self, threads: int, log: Path) -> None:
        """UserError or OSError where it cannot be started. What it says before its first job goes to `log`."""
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

    def ask(self, job: Job, device: str, log: Path, track: Sequence[str] = ()) -> tuple[str, str]:
        """State and message of a job, once it is done; `Ended` where the process is no more."""
        order = {"recipe": encode(job.recipe), "seed": job.seed, "path": str(job.path), "samples": job.samples}
        order |= {} if job.pace is None else {"pace": job.pace.told()}
        order |= {} if job.judged else {"judged": False}
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({**order, "device": device, "track": list(track)}) + "\n")
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


def work_through(
    jobs: list[Job], workers: int, threads: int, device: str, show: Show, track: Sequence[str] = ()
) -> Iterator[Outcome]:
    """Outcomes as they come, one for every job, from `workers` processes of `threads` threads each."""
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    ended: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    active: dict[Path, Job] = {}
    started: list[Worker] = []

    def serve() -> None:
        worker: Worker | None = None
        while True:
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                return
            active[job.path] = job
            began, log = time.monotonic(), log_of(job.path)
            try:
                log.parent.mkdir(parents=True, exist_ok=True)
                if worker is None:
                    worker = Worker(threads, log)
                    started.append(worker)
                state, message = worker.ask(job, device, log, track)
            except Ended as e:
                worker = None
                state, message = "failed", f"{e}; {log} has what it said{last_words(log)}"
            except Exception as e:
                if worker is not None:
                    worker.process.kill()
                    worker = None
                state, message = "failed", f"no process could work on it: {e}"
            ended.put(Outcome(job, state, message, time.monotonic() - began))

    servants = [threading.Thread(target=serve, daemon=True) for _ in range(workers if jobs else 0)]
    for servant in servants:
        servant.start()
    try:
        left = len(jobs)
        while left:
            try:
                outcome = ended.get(timeout=PATIENCE / 2)
            except queue.Empty:
                show(dict(active), None)
                continue
            left -= 1
            active.pop(outcome.job.path, None)
            show(dict(active), outcome)
            yield outcome
    finally:
        with contextlib.suppress(queue.Empty):  # nobody begins another run
            while True:
                waiting.get_nowait()
        for worker in started:
            worker.process.terminate()
        for worker in started:
            worker.end()


def log_of(path: Path) -> Path:
    """Where a worker's words about the run at `path` go."""
    return path.parent / "logs" / f"{path.name}.txt"


def last_words(log: Path) -> str:
    """The last line of a log, to be printed behind its name."""
    try:
        lines = files.read_bytes(log, 64 << 20).decode("utf-8", "backslashreplace").split("\n")
    except (OSError, UserError):
        return ""
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f", at its end: {last[:200]}" if last else ""
