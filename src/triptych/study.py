"""A `Study`: recipes × seeds → runs → one table → one report.

A run's folder is named by the recipe's hash and the seed, so that asking again skips what is done and finishes
what was cut. Runs are trained by a few local processes, each taking one run after another.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal

from triptych.core import Recipe, encode
from triptych.errors import UserError
from triptych.run import Run, read_status
from triptych.system.files import read_object, write_json

Scale = Literal["quick", "full"]


@dataclass(frozen=True)
class Study:
    """What to contrast: every recipe is trained once per seed, seeds counting from 0."""

    name: str
    recipes: tuple[Recipe, ...]
    seeds: int = 3
    about: str = ""
    """The question that the study answers, a line."""
    samples: int | None = None
    """Examples that each run is judged on; default: the evaluation's own number"""

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise UserError(f"study {self.name!r} has {self.seeds} seeds; give at least 1 (3 or more to compare)")
        if not self.recipes:
            raise UserError(f"study {self.name!r} has no recipes; name at least one")
        object.__setattr__(self, "recipes", tuple(self.recipes))

    def jobs(self, out: Path) -> list[Job]:
        """One job per recipe and seed, all recipes of a seed before the next, so that early reports compare."""
        pairs = [(recipe, seed) for seed in range(self.seeds) for recipe in self.recipes]
        jobs = [Job(recipe, seed, out / run_id(recipe, seed), self.samples) for recipe, seed in pairs]
        return list({job.path: job for job in jobs}.values())


@dataclass(frozen=True)
class Job:
    """One training to be done, and where."""

    recipe: Recipe
    seed: int
    path: Path
    samples: int | None = None

    @property
    def done(self) -> bool:
        """Trained and judged, or diverged, which training again from the same seed would only repeat."""
        if not (self.path / "recipe.json").is_file():
            return False
        return self.state == "diverged" or (self.state == "done" and (self.path / "eval.json").is_file())

    @property
    def state(self) -> str:
        return read_status(self.path)["state"]


@dataclass(frozen=True)
class Outcome:
    """How a job ended: `done`, `diverged` or `failed`, and the one line that says why."""

    job: Job
    state: str
    message: str = ""
    seconds: float = 0.0


def run_id(recipe: Recipe, seed: int) -> str:
    """`NAME-HASH-seedN`; the hash covers everything that decides the training, but not name and description."""
    asked = encode(replace(recipe, name="", about=""))
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    return f"{recipe.name or 'run'}-{digest[:8]}-seed{seed}"


# ------------------------------------------------------------------------------------------------ run


def carry_out(
    study: Study, out: str | Path, jobs: int | None = None, device: str = "auto", progress: bool = True
) -> list[Outcome]:
    """Train and judge what is missing of a study under `out`; how every run stands, in the order of `Study.jobs`.

    `jobs` processes work at once (default: one per processor core, one on a GPU), sharing the cores evenly unless
    OMP_NUM_THREADS says how many threads each may have. A run that fails does not stop the others.
    """
    out = Path(out)
    if jobs is not None and jobs < 1:
        raise UserError(f"--jobs is {jobs}; give at least 1")
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is not a folder; give --out another name")
    out.mkdir(parents=True, exist_ok=True)
    todo = study.jobs(out)
    judged_otherwise(study, out, todo)
    ended = {job.path: Outcome(job, *told(job)) for job in todo if job.done}
    missing = [job for job in todo if job.path not in ended]
    workers = max(1, min(jobs or default_jobs(device), len(missing)))
    record(study, out, todo, ended)
    with display(len(todo), len(ended), workers, progress) as show:
        for outcome in work_through(missing, workers, threads_each(workers), device, show):
            ended[outcome.job.path] = outcome
            record(study, out, todo, ended)
    return [ended[job.path] for job in todo]


def judged_otherwise(study: Study, out: Path, todo: list[Job]) -> None:
    """Runs that were judged on another number of samples than is asked for now are judged again."""
    file = out / "study.json"
    if file.is_file() and read_object(file).get("samples", study.samples) != study.samples:
        for job in todo:
            if (job.path / "eval.json").is_file() and job.state == "done":
                Run(job.path).set_numbers_aside()


def told(job: Job) -> tuple[str, str]:
    """State and message of a job that is done."""
    status = read_status(job.path)
    return status["state"], status.get("message", "")


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def threads_each(workers: int) -> int:
    """Threads of each process: what OMP_NUM_THREADS says, else an even share of the cores."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) else max(1, cores() // workers)


def default_jobs(device: str) -> int:
    from triptych.runtime import pick_device

    return cores() if pick_device(device).type == "cpu" else 1


def record(study: Study, out: Path, todo: list[Job], ended: dict[Path, Outcome]) -> None:
    """study.json: what was asked, and how each run stands."""
    runs = []
    for job in todo:
        outcome = ended.get(job.path)
        state, message = (outcome.state, outcome.message) if outcome else ("waiting", "")
        runs.append(
            {"run": job.path.name, "recipe": job.recipe.name, "seed": job.seed, "state": state, "message": message}
        )
    asked = {"name": study.name, "about": study.about, "seeds": study.seeds, "samples": study.samples}
    write_json(out / "study.json", {**asked, "runs": runs})


Show = Callable[[dict[Path, Job], Outcome | None], None]


def work_through(jobs: list[Job], workers: int, threads: int, device: str, show: Show) -> Iterator[Outcome]:
    """Outcomes as they come, from `workers` processes of `threads` threads each."""
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    ended: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    active: dict[Path, Job] = {}
    processes: list[subprocess.Popen[str]] = []

    def serve() -> None:
        process = None
        while True:
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                break
            if process is None:
                process = start_worker(threads)
                processes.append(process)
            active[job.path] = job
            outcome = hand_over(process, job, device)
            if outcome is None:
                outcome = Outcome(job, "failed", f"the process ended with status {process.wait()} (out of memory?)")
                process = None
            ended.put(outcome)

    servants = [threading.Thread(target=serve, daemon=True) for _ in range(workers if jobs else 0)]
    for servant in servants:
        servant.start()
    try:
        left = len(jobs)
        while left:
            try:
                outcome = ended.get(timeout=0.25)
            except queue.Empty:
                show(dict(active), None)
                continue
            left -= 1
            active.pop(outcome.job.path, None)
            show(dict(active), outcome)
            yield outcome
        for servant in servants:
            servant.join()
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            with process:
                pass


def start_worker(threads: int) -> subprocess.Popen[str]:
    """A process that reads jobs, a JSON line each, and answers each with a line; it ends with its input."""
    return subprocess.Popen(
        [sys.executable, "-m", "triptych.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
    )


def hand_over(process: subprocess.Popen[str], job: Job, device: str) -> Outcome | None:
    """Let a worker do a job; None when the worker died over it."""
    began = time.monotonic()
    asked = {"recipe": encode(job.recipe), "seed": job.seed, "path": str(job.path), "samples": job.samples}
    stdin, stdout = pipe(process.stdin), pipe(process.stdout)
    try:
        stdin.write(json.dumps({**asked, "device": device}) + "\n")
        stdin.flush()
        answer = stdout.readline()
    except (BrokenPipeError, ValueError):
        answer = ""
    if not answer:
        return None
    told = json.loads(answer)
    return Outcome(job, told["state"], told["message"], time.monotonic() - began)


def pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


# -------------------------------------------------------------------------------------------- display


@contextmanager
def display(total: int, done: int, workers: int, shown: bool) -> Iterator[Show]:
    """One progress display for all runs: a bar for the study, one per run at work; on a pipe, a line per run."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 160)
    if shown:
        skipped = f", {done} done already" if done else ""
        console.print(f"{total} runs{skipped}; {workers} at a time")
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=not (shown and console.is_terminal),
        refresh_per_second=4,
    )
    whole = bar.add_task("[bold]all runs", total=total, completed=done)
    tasks: dict[Path, Any] = {}
    counted = done

    def show(active: dict[Path, Job], outcome: Outcome | None) -> None:
        nonlocal counted
        if outcome is not None:
            counted += 1
            why = f": {outcome.message}" if outcome.message else ""
            if shown:
                name = f"{outcome.job.recipe.name} seed {outcome.job.seed}"
                bar.console.print(
                    f"[{counted}/{total}] {name} {outcome.state} after {outcome.seconds:.0f} s{why}", markup=False
                )
            bar.update(whole, completed=counted)
        for path in [p for p in tasks if p not in active]:
            bar.remove_task(tasks.pop(path))
        for path, job in active.items():
            if path not in tasks:
                tasks[path] = bar.add_task(f"{job.recipe.name} seed {job.seed}", total=job.recipe.train.images)
            bar.update(tasks[path], completed=images_so_far(path))

    with bar:
        yield show


def images_so_far(path: Path) -> int:
    """Images of the newest whole log line of a run at work."""
    try:
        with (path / "metrics.jsonl").open("rb") as f:
            f.seek(max(0, f.seek(0, os.SEEK_END) - 4096))
            lines = f.read().split(b"\n")
        return int(json.loads(lines[-2])["images"])
    except (OSError, ValueError, IndexError, KeyError):
        return 0


# ------------------------------------------------------------------------------------------ command


def contrast(
    name: str, out: Path | None, seeds: int | None, scale: Scale, jobs: int | None, device: str = "auto"
) -> list[Outcome]:
    """`triptych study`: find the study, carry it out, write its report and say where it is."""
    from triptych import lines, studies, summary
    from triptych.report import write_report
    from triptych.study_file import read_study

    if name == studies.LINES:
        lines.carry_out(out or Path("runs") / f"{name}-{scale}", seeds, scale)
        return []
    from_file = name.endswith((".yaml", ".yml", ".py"))
    study = read_study(name) if from_file else studies.get(name, scale)
    if seeds is not None:
        study = replace(study, seeds=seeds)
    folder = out or Path("runs") / (study.name if from_file else f"{name}-{scale}")
    outcomes = carry_out(study, folder, jobs, device)
    page = write_report([folder], folder / "report.html")
    for outcome in outcomes:
        if outcome.state != "done":
            print(f"{outcome.job.path.name}: {outcome.state}: {outcome.message}", file=sys.stderr)  # noqa: T201
    summary.show(folder)
    print(f"report: {page}", f"numbers: {page.with_suffix('.csv')}", sep="\n")  # noqa: T201
    if outcomes and not any(outcome.state == "done" for outcome in outcomes):
        raise UserError(f"no run of {study.name} ended well; {folder} and the report say why")
    return outcomes
