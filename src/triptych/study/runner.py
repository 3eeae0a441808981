"""A study carried out: its runs are handed to an executor, and how each stands is written down."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from triptych.core.contract import Contract
from triptych.core.counts import counted
from triptych.errors import UserError
from triptych.run.folder import Run
from triptych.study import budgets
from triptych.study.display import display
from triptych.study.executor import Executor
from triptych.study.jobs import Job, Outcome
from triptych.study.local import Local
from triptych.study.study import MOST, Study
from triptych.system import files, names
from triptych.system.console import say
from triptych.system.refusals import system_errors

ELSEWHERE = "give --out another place"
BEFORE = ("logs", "slurm")
"""Folders that executors make before anything runs."""


def run_study(
    study: Study,
    out: str | Path,
    jobs: int | None = None,
    device: str = "auto",
    *,
    progress: bool = True,
    executor: Executor | None = None,
    track: Sequence[str] = (),
) -> list[Outcome[Job]]:
    """Train and evaluate what is missing of a study under `out`; how every run stands, in the order of `Study.jobs`.

    `jobs` processes work at once (default: one per processor core, one on a GPU), sharing the cores evenly unless
    OMP_NUM_THREADS says how many threads each may have; an `executor` carries the runs out elsewhere. A run that fails
    does not stop the others. Where the study has minutes or a contract, budgets are found first, and kept in
    study.json. `track` names sinks that every run is also shown in.
    """
    out = Path(out)
    if jobs is not None and not 1 <= jobs <= MOST:
        raise UserError(f"--jobs is {counted(jobs)}; give at least 1, and at most {MOST:,}")
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is not a folder; give --out another name")
    names.encodable(out)
    earlier = recorded(out, study.name)
    with system_errors(out, ELSEWHERE):
        out.mkdir(parents=True, exist_ok=True)
    executor, told = executor or Local(jobs, device), dict[str, Any]()
    workers = min(executor.at_once, study.seeds * len(study.recipes))
    if (contract := budgets.contract_of(study, workers)) is not None:
        study, told = fitted(study, contract, out, workers, earlier, executor, progress=progress)
    todo = study.jobs(out)
    for job in todo:
        names.encodable(job.path)
    if earlier and earlier.get("samples", study.samples) != study.samples:
        evaluated_otherwise(todo)
    ended = {job.path: Outcome(job, job.state, job.message) for job in todo if job.done}
    missing = [replace(job, track=tuple(track)) for job in todo if job.path not in ended]
    workers = max(1, min(executor.at_once, len(missing)))
    record(study, out, todo, ended, told)
    took: dict[str, float] = {}
    with display(missing, len(ended), workers, shown=progress) as show:
        for outcome in executor.map(missing, show, lambda jobs: longest_first(jobs, took)):
            took[outcome.job.series] = outcome.seconds
            ended[outcome.job.path] = outcome
            record(study, out, todo, ended, told)
    return [ended[job.path] for job in todo]


def longest_first(jobs: list[Job], took: Mapping[str, float]) -> Iterator[Job]:
    """Seed by seed, and of a seed those first whose recipes took longest so far: no worker waits for a last long one.

    `took` are seconds by series, and may grow meanwhile; jobs of which nothing is known stay in order.
    """
    left = list(jobs)
    while left:
        here = [job for job in left if job.seed == left[0].seed]
        job = max(here, key=lambda job: took.get(job.series, 0.0))
        left.remove(job)
        yield job


def fitted(
    study: Study,
    contract: Contract,
    out: Path,
    workers: int,
    earlier: dict[str, object],
    executor: Executor,
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
    found = budgets.find_budgets(study, contract, out, earlier, executor.map)
    return budgets.with_budgets(study, found), found.told()


def recorded(out: Path, name: str) -> dict[str, object]:
    """study.json of an earlier call, empty where there is none.

    UserError for a file of that name that is not ours, for that of another study, which would be lost, and for a folder
    of anything but runs: a run, or pictures that would be other data with a study among them. The folder of a search
    is its own, and the best of it are trained there.
    """
    file = out / "study.json"
    if not os.path.lexists(file):
        there = sorted(out.iterdir()) if out.is_dir() and not (out / "tune.json").is_file() else ()
        if strange := next(filter(is_strange, there), None):
            raise UserError(f"{out} is no study, and {strange.name} is in it; {ELSEWHERE}")
        return {}
    told = files.read_object(file)
    if not isinstance(told.get("runs"), list):
        raise UserError(f"{file} is there and was not written by triptych; {ELSEWHERE}")
    if told.get("name") != name:
        raise UserError(f"{out} holds the study {str(told.get('name'))!r}, and this is {name!r}; {ELSEWHERE}")
    return told


def is_strange(entry: Path) -> bool:
    """Whether something in a folder is neither a run, nor hidden, nor what a study has before its study.json."""
    return not (entry.name.startswith(".") or entry.name in BEFORE or (entry / "recipe.json").is_file())


def evaluated_otherwise(todo: list[Job]) -> None:
    """Runs that were evaluated on another number of samples than is asked for now are evaluated again."""
    for job in todo:
        if (job.path / "eval.json").is_file() and job.state == "done":
            Run(job.path).archive_evaluation()


def record(study: Study, out: Path, todo: list[Job], ended: dict[Path, Outcome[Job]], told: dict[str, Any]) -> None:
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
