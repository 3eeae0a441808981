"""One progress display for all runs of a study."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from triptych.core.statistics import duration
from triptych.study.executor import last_line, log_of
from triptych.study.jobs import Job, Outcome, Show
from triptych.system import progress
from triptych.system.console import console, in_notebook, printable, say

TAIL = 1 << 18
"""Bytes at a log's end in which its newest whole line lies: that of an evaluation may hold thousands of numbers."""


@contextmanager
def display(jobs: list[Job], done: int, workers: int, *, shown: bool) -> Iterator[Show[Job]]:
    """A bar for a study of which these jobs are missing, and one per run at work.

    On a pipe, a line per run that ended and one every half minute.

    After the first half minute a terminal has that line too: what is done, what is at work, and how long it will take.
    It counts from the first run that trains: what is fitted in closed form tells nothing of the others.
    """
    total, trained = len(jobs) + done, sum(map(trains, jobs))
    if shown:
        skipped = f", {done} done already" if done else ""
        say(f"{total} runs{skipped}; {workers} at a time", stderr=True)
    out = console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=out,
        disable=not (shown and (out.is_terminal or in_notebook())),
        refresh_per_second=4,
    )
    whole = bar.add_task("all runs", total=total, completed=done)
    tasks: dict[Path, Any] = {}
    counted, known, began, due = done, 0, time.monotonic(), time.monotonic() + progress.EVERY
    first: float | None = None  # when the first run that trains began

    def stands(active: dict[Path, Job]) -> str:
        shares = {p: min(images_so_far(p) / job.recipe.train.images, 1.0) for p, job in active.items()}
        made = known + sum(shares[p] for p, job in active.items() if trains(job))
        now = time.monotonic()
        left = ""
        if made and first is not None:
            left = f"; about {duration((now - first) * (trained - made) / made)} left"
        return f"after {duration(now - began)}: {counted} of {total} runs done; {doing(active, shares)}{left}"

    def show(active: dict[Path, Job], outcome: Outcome[Job] | None) -> None:
        nonlocal counted, known, due, first
        if first is None and any(map(trains, active.values())):
            first = time.monotonic()
        if outcome is not None:
            counted, known = counted + 1, known + trains(outcome.job)
            why = f": {outcome.message}" if outcome.message else ""
            if shown:
                name = f"{outcome.job.recipe.name} seed {outcome.job.seed}"
                out.print(f"[{counted}/{total}] {name} {outcome.state} after {outcome.seconds:.0f} s{why}")
            bar.update(whole, completed=counted)
        for path in [p for p in tasks if p not in active]:
            bar.remove_task(tasks.pop(path))
        for path, job in active.items():
            if path not in tasks:
                name = printable(f"{job.recipe.name} seed {job.seed}")
                tasks[path] = bar.add_task(name, total=job.recipe.train.images)
            bar.update(tasks[path], completed=images_so_far(path))

        if shown and active and time.monotonic() >= due:
            due = math.inf if out.is_terminal else time.monotonic() + progress.EVERY
            out.print(stands(active))

    with bar:
        yield show


def doing(active: Mapping[Path, Job], shares: Mapping[Path, float]) -> str:
    """What is being trained, and how far it is, then what is trained and being evaluated.

    The first evaluation on a set of pictures trains the set's extractors, which may take longer than the run did: the
    last line of its log says how far that is.
    """
    training, judged = [], []
    for path, job in active.items():
        name = f"{job.recipe.name} seed {job.seed}"
        if job.state == "done":
            judged.append(name + lately(log_of(path)))
        else:
            training.append(f"{name} ({shares[path]:.0%})")
    parts = {"training": training, "evaluating": judged}
    return "; ".join(f"{verb} {', '.join(names)}" for verb, names in parts.items() if names)


def lately(log: Path) -> str:
    """The last line of a log that was written to within the last minute, in brackets."""
    try:
        age = time.time() - log.stat().st_mtime
    except OSError:
        return ""
    said = last_line(log) if age < 2 * progress.EVERY else ""
    return f" ({printable(said)})" if said else ""


def trains(job: Job) -> bool:
    """Whether a run takes more than one step."""
    return job.recipe.train.images > job.recipe.train.batch


def images_so_far(path: Path) -> int:
    """Images of the newest whole log line of a run at work."""
    try:
        with (path / "metrics.jsonl").open("rb") as f:
            f.seek(max(0, f.seek(0, os.SEEK_END) - TAIL))
            lines = f.read().split(b"\n")
        return int(json.loads(lines[-2])["images"])
    except (OSError, ValueError, IndexError, KeyError, TypeError, RecursionError):
        return 0
