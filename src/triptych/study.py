"""A `Study`: recipes × seeds → runs → one table → one report.

A run's folder is named by the recipe's hash and the seed, so that asking again skips what is done and finishes
what was cut. Runs are trained by a few local processes, each taking one run after another.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Literal

from triptych.core import Recipe
from triptych.errors import UserError
from triptych.run import Run
from triptych.study_display import display
from triptych.study_jobs import Job, Outcome, run_id
from triptych.study_runner import work_through
from triptych.system import files, names
from triptych.terminal import say

Scale = Literal["quick", "full"]
MOST = 10_000
"""Runs of one study, and trainings at once."""
MOST_SAMPLES = 10_000_000
ELSEWHERE = "give --out another place"


@dataclass(frozen=True)
class Study:
    """What to contrast: every recipe is trained once per seed, seeds counting from 0.

    UserError for a name that cannot be a folder's, and for more than `MOST` runs.
    """

    name: str
    recipes: tuple[Recipe, ...]
    seeds: int = 3
    about: str = ""
    """The question that the study answers, a line."""
    samples: int | None = None
    """Examples that each run is judged on; default: the evaluation's own number"""

    def __post_init__(self) -> None:
        names.component(self.name, "the study")
        if self.seeds < 1:
            raise UserError(f"study {self.name!r} has {self.seeds} seeds; give at least 1 (3 or more to compare)")
        if not self.recipes:
            raise UserError(f"study {self.name!r} has no recipes; name at least one")
        object.__setattr__(self, "recipes", tuple(self.recipes))
        if self.seeds * len(self.recipes) > MOST:
            raise UserError(
                f"study {self.name!r} has {len(self.recipes):,} recipes of {counted(self.seeds)} seeds; at most "
                f"{MOST:,} runs are one study: give fewer seeds"
            )
        if self.samples is not None and not 0 < self.samples <= MOST_SAMPLES:
            raise UserError(f"study {self.name!r} asks for {counted(self.samples)} samples; give 1 to {MOST_SAMPLES:,}")
        for recipe in self.recipes:
            names.component(recipe.name or "run", "the recipe")

    def jobs(self, out: Path) -> list[Job]:
        """One job per recipe and seed, all recipes of a seed before the next, so that early reports compare."""
        pairs = [(recipe, seed) for seed in range(self.seeds) for recipe in self.recipes]
        jobs = [Job(recipe, seed, out / run_id(recipe, seed), self.samples) for recipe, seed in pairs]
        return list({job.path: job for job in jobs}.values())


def counted(n: int) -> str:
    """A number for a message, however long it is."""
    return f"{n:,}" if abs(n) < 10**18 else "more than 10^18"


# ------------------------------------------------------------------------------------------------ run


def carry_out(
    study: Study, out: str | Path, jobs: int | None = None, device: str = "auto", progress: bool = True
) -> list[Outcome]:
    """Train and judge what is missing of a study under `out`; how every run stands, in the order of `Study.jobs`.

    `jobs` processes work at once (default: one per processor core, one on a GPU), sharing the cores evenly unless
    OMP_NUM_THREADS says how many threads each may have. A run that fails does not stop the others.
    """
    out = Path(out)
    if jobs is not None and not 1 <= jobs <= MOST:
        raise UserError(f"--jobs is {counted(jobs)}; give at least 1, and at most {MOST:,}")
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is not a folder; give --out another name")
    todo = study.jobs(out)
    for path in (out, *(job.path for job in todo)):
        names.encodable(path)
    earlier = recorded(out)
    with files.system_errors(out, ELSEWHERE):
        out.mkdir(parents=True, exist_ok=True)
    if earlier and earlier.get("samples", study.samples) != study.samples:
        judged_otherwise(todo)
    ended = {job.path: Outcome(job, job.state, job.message) for job in todo if job.done}
    missing = [job for job in todo if job.path not in ended]
    workers = max(1, min(jobs or default_jobs(device), len(missing)))
    record(study, out, todo, ended)
    with display(len(todo), len(ended), workers, progress) as show:
        for outcome in work_through(missing, workers, threads_each(workers), device, show):
            ended[outcome.job.path] = outcome
            record(study, out, todo, ended)
    return [ended[job.path] for job in todo]


def recorded(out: Path) -> dict[str, object]:
    """study.json of an earlier call, empty where there is none; UserError for a file of that name that is not ours."""
    file = out / "study.json"
    if not os.path.lexists(file):
        return {}
    told = files.read_object(file)
    if not isinstance(told.get("runs"), list):
        raise UserError(f"{file} is there and was not written by triptych; {ELSEWHERE}")
    return told


def judged_otherwise(todo: list[Job]) -> None:
    """Runs that were judged on another number of samples than is asked for now are judged again."""
    for job in todo:
        if (job.path / "eval.json").is_file() and job.state == "done":
            Run(job.path).set_numbers_aside()


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def threads_each(workers: int) -> int:
    """Threads of each process: what OMP_NUM_THREADS says, else an even share of the cores."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) else max(1, cores() // workers)


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
    files.write_json(out / "study.json", {**asked, "runs": runs}, ELSEWHERE)


# ------------------------------------------------------------------------------------------ command


def contrast(
    name: str,
    out: Path | None,
    seeds: int | None,
    scale: Scale,
    jobs: int | None,
    device: str = "auto",
    trust: bool = False,
) -> list[Outcome]:
    """`triptych study`: find the study, carry it out, write its report and say where it is.

    A .py file is a program: that it is run is said before, unless `trust`.
    """
    from triptych import lines, studies, summary
    from triptych.report import check_places, write_report
    from triptych.study_file import read_study

    if name == studies.LINES:
        lines.carry_out(out or Path("runs") / f"{name}-{scale}", seeds, scale)
        return []
    if name.endswith(".py") and not trust and Path(name).is_file():
        say(f"running {Path(name).absolute()}: a .py study is a program; --trust leaves this line out", stderr=True)
    from_file = name.endswith((".yaml", ".yml", ".py"))
    study = read_study(name) if from_file else studies.get(name, scale)
    if seeds is not None:
        study = replace(study, seeds=seeds)
    folder = out or Path("runs") / (study.name if from_file else f"{name}-{scale}")
    names.encodable(folder)
    check_places(folder / "report.html")
    with terminated(f"what is done is kept in {folder}; the same command goes on with the rest"):
        outcomes = carry_out(study, folder, jobs, device)
    page = write_report([folder], folder / "report.html")
    for outcome in outcomes:
        if outcome.state != "done":
            say(f"{outcome.job.path.name}: {outcome.state}: {outcome.message}", stderr=True)
    summary.show(folder)
    say(f"report: {page}", f"numbers: {page.with_suffix('.csv')}")
    if outcomes and not any(outcome.state == "done" for outcome in outcomes):
        raise UserError(f"no run of {study.name} ended well; {folder} and the report say why")
    return outcomes


@contextmanager
def terminated(message: str) -> Iterator[None]:
    """SIGTERM ends the block in good order, as Ctrl-C does; `message` is said, and the exit status is 143."""

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


__all__ = ["Job", "Outcome", "Scale", "Study", "carry_out", "contrast", "run_id"]
