"""A progress bar with rate and time left on a terminal and in a notebook; on a pipe a line every half minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any

from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from triptych.core.statistics import duration, format_number
from triptych.system.console import console, in_notebook, open_displays, printable

EVERY = 30.0
"""Seconds between two lines where there is no bar."""
Count = Callable[[int, int], None]
"""Told how many of how many are done."""


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="cyan")


class _Left(ProgressColumn):
    """The time left as whoever updates the bar knows it, else from the rate."""

    def render(self, task: Task) -> Text:
        told = task.fields.get("left")  # a bar of somebody else's may have no such field
        left = task.time_remaining if told is None else told
        if left is None or task.finished:
            return Text("-:--:--" if left is None else "0:00:00", style="cyan")
        return Text(str(timedelta(seconds=max(0, round(left)))), style="cyan")


class Progress:
    """Counts up to `total`; `update` is cheap enough for every step."""

    def __init__(
        self,
        title: str,
        total: int,
        done: int = 0,
        *,
        shown: bool = True,
        unit: str = "images",
        live: Sequence[str] = (),
    ) -> None:
        """`live` names the fields of the log that `show` shows, the most telling first."""
        out = console(stderr=True)
        self._shown, self._live = shown, live
        self._before, self._began = done, time.monotonic()
        self._bars = shown and (out.is_terminal or in_notebook())
        self._due = time.monotonic() + (0.0 if self._bars else EVERY)
        self._title, self._total, self._unit = printable(title), total, unit
        self._bar = RichProgress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[unit]}", markup=False),
            _Rate(),
            TimeElapsedColumn(),
            TextColumn("left"),
            _Left(),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            console=out,
            disable=not self._bars,
            refresh_per_second=4,
        )
        self._task = self._bar.add_task(printable(title), total=total, completed=done, note="", unit=unit, left=None)

    def __enter__(self) -> Progress:
        self._bar.start()
        open_displays.append(self._bar.stop)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()
        if self._bar.stop in open_displays:
            open_displays.remove(self._bar.stop)

    @property
    def due(self) -> bool:
        """Whether an update would be seen: ten times a second as a bar, every half minute as a line."""
        return self._shown and time.monotonic() >= self._due

    def update(self, done: int, left: float | None = None) -> None:
        """So many are done; `left` are the seconds that the rest will take, where they are known."""
        if not self.due:
            return
        self._due = time.monotonic() + (0.1 if self._bars else EVERY)
        self._bar.update(self._task, completed=done, left=left)
        if not self._bars and done < self._total:
            if left is None and done > self._before:  # as the bar does
                left = (time.monotonic() - self._began) * (self._total - done) / (done - self._before)
            rest = "" if left is None else f", about {duration(left)} left"
            self.say(f"{self._title}: {done:,} of {self._total:,} {self._unit}".rstrip() + rest)

    def show(self, line: dict[str, Any]) -> None:
        """A few numbers of the newest log line."""
        picked = [f"{k} {format_number(line[k])}" for k in self._live if isinstance(line.get(k), int | float)][:3]
        self._bar.update(self._task, note="  ".join(picked), completed=line["images"])

    def say(self, text: str) -> None:
        """A line that stays, above the bar."""
        if self._shown:
            self._bar.console.print(text)


def bars(*, shown: bool) -> Callable[[str], Count] | None:
    """A factory of progress bars, each there from its first call to its last."""
    if not shown:
        return None

    def titled(title: str) -> Count:
        bar: list[Progress] = []

        def update(done: int, total: int) -> None:
            if not bar:
                bar.append(Progress(title, total, unit="").__enter__())
            bar[0].update(done)
            if done >= total:
                bar[0].__exit__(None, None, None)

        return update

    return titled
