"""Run folders shown in trackers, while they are being trained or afterwards, without touching the training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image

from triptych.core.statistics import estimate
from triptych.errors import UserError
from triptych.figures.canvas import pictures_in
from triptych.run import schema
from triptych.run.addresses import local
from triptych.run.folder import Run
from triptych.run.sending import Sinks
from triptych.run.sinks import Sink
from triptych.run.sinks.trackers import Shown, Tracker, shown
from triptych.system.locks import try_lock

POLL = 1.0
"""Seconds between two looks at a run that is being trained."""
SERIES = ("samples", "reconstructions", "cooled")
Make = Callable[[Run], Sink]


def runs_in(paths: Sequence[str | Path]) -> list[Run]:
    """The runs at these paths: run folders, or folders that hold some. UserError for one that holds none."""
    found: list[Run] = []
    for path in map(local, paths):
        if path.is_dir() and not (path / "recipe.json").exists():
            inner = sorted(p.parent for p in path.glob("*/recipe.json"))
            if not inner:
                raise UserError(f"{path} is no run and holds none; give run folders, or the folder of a study")
            found += map(Run, inner)
        else:
            found.append(Run(path))
    return list({run.path.resolve(): run for run in found}.values())


def follow(runs: Sequence[Run], makers: Sequence[Make], say: Callable[[str], None]) -> int:
    """Send what the runs have logged, and what those that are being trained log until they end; how many lines.

    UserError, once the others have everything, where a sink failed on the way.
    """
    open_ = [_Followed(run, Sinks([], makers, run, say)) for run in runs]
    waiting = list(open_)
    try:
        while waiting:
            # asked before the log is read: what is written after its last line belongs to the next look
            at_work = [one for one in waiting if being_trained(one.run)]
            for one in waiting:
                one.send()
            if waiting == open_ and at_work:
                say(f"following {', '.join(str(one.run.path) for one in at_work)}; Ctrl-C ends that, not the training")
            waiting = [one for one in at_work if one.sinks.open]
            if waiting:
                time.sleep(POLL)
        failed = summarise(runs, makers, say)
    finally:
        for one in open_:
            one.sinks.close()
    failed = dict.fromkeys([*(text for one in open_ for text in one.sinks.failed), *failed])
    if failed:
        raise UserError(f"not everything was sent: {', '.join(failed)} failed; put that right and send the runs again")
    return sum(one.lines for one in open_)


class _Followed:
    """A run and how far it was sent."""

    def __init__(self, run: Run, sinks: Sinks) -> None:
        self.run, self.sinks = run, sinks
        self.images, self.lines = -1, 0
        self.pictures: set[Path] = set()
        self.alarms: set[str] = set()

    def send(self) -> None:
        for line in schema.read_log(self.run.path)[0]:
            if line["images"] > self.images:
                values = {k: v for k, v in line.items() if k not in ("images", "step")}
                self.sinks.scalars(line["images"], line.get("step", 0), values)
                self.images, self.lines = line["images"], self.lines + 1
        for file in self.new_pictures():
            with Image.open(file) as picture:
                self.sinks.images(file.parent.name, int(file.stem), picture.convert("RGB"))
        for alarm in self.run.status["alarms"]:
            if alarm not in self.alarms:
                self.alarms.add(alarm)
                self.sinks.text(alarm)

    def new_pictures(self) -> Iterator[Path]:
        for series in SERIES:
            for file in pictures_in(self.run.path / series):
                if file.stem.isdecimal() and file not in self.pictures:
                    self.pictures.add(file)
                    yield file


def being_trained(run: Run) -> bool:
    """Whether a process holds the run's lock."""
    try:
        with (run.path / ".lock").open("rb+") as lock:
            return run.status["state"] == "running" and not try_lock(lock)
    except OSError:
        return False


def summarise(runs: Sequence[Run], makers: Sequence[Make], say: Callable[[str], None]) -> list[str]:
    """For each recipe of several seeds one more row: the mean of every number, and its 95 % interval (low, high).

    The sinks that failed at it, and why.
    """
    groups: dict[str, list[Run]] = {}
    failed: list[str] = []
    for run in runs:
        groups.setdefault(shown(run).group, []).append(run)
    trackers = [make for make in makers if isinstance(make, type) and issubclass(make, Tracker)]
    for group, members in groups.items():
        if len(members) < 2 or not trackers:
            continue
        one = shown(members[0])
        settings = {k: v for k, v in one.settings.items() if k != "seed"} | {"seeds": [run.seed for run in members]}
        row = Shown(f"mean of {len(members)} seeds", group, settings, one.folder)
        sinks = Sinks([], [_made(tracker, row) for tracker in trackers], members[0], say)
        for images, step, values in means([schema.read_log(run.path)[0] for run in members]):
            sinks.scalars(images, step, values)
        sinks.close()
        failed += sinks.failed
    return failed


def _made(tracker: type[Tracker], row: Shown) -> Make:
    def make(run: Run) -> Sink:
        return tracker(row)

    make.__name__ = tracker.__name__
    return make


def means(logs: Sequence[Sequence[dict]]) -> Iterator[tuple[int, int, dict[str, float]]]:
    """Images, step and numbers of a log over seeds, where every seed has a line: `x`, `x/low`, `x/high`."""
    by_images = [{line["images"]: line for line in log} for log in logs]
    for images in sorted(set.intersection(*(set(log) for log in by_images))):
        lines = [log[images] for log in by_images]
        values: dict[str, float] = {}
        for name in lines[0]:
            found = [line.get(name) for line in lines]
            if name in ("images", "step") or not all(isinstance(v, int | float) for v in found):
                continue
            mean = estimate([float(v) for v in found if v is not None])
            values |= {name: mean.mean, f"{name}/low": mean.mean - mean.half_width}
            values[f"{name}/high"] = mean.mean + mean.half_width
        yield images, lines[0].get("step", 0), values
