"""`triptych track`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


def track(
    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN ...", help="run folders, or folders of studies")],
    to: Annotated[
        tuple[str, ...], arg(metavar="NAME ...", help="tensorboard, wandb, mlflow, trackio, or your own sink")
    ],
) -> None:
    """Show runs in a tracker: all that they logged and, where one is being trained, what it logs until it ends.

    The seeds of a recipe are a group, with one more row for their mean and its 95 % interval.
    """
    from triptych.errors import UserError
    from triptych.run import follow
    from triptych.run.sinks import trackers
    from triptych.system.console import say

    found = follow.runs_in(runs)
    makers = trackers.by_name(to)
    if not found or not makers:
        raise UserError("there is nothing to show; give run folders, and --to with the name of a tracker")
    lines = follow.follow(found, makers, lambda text: say(text, stderr=True))
    say(f"{lines:,} lines of {len(found)} run{'s' if len(found) > 1 else ''}: {', '.join(to)}")
