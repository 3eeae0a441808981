"""What a tracker costs a training: processor time of the steps with it and without, in pairs.

    python benchmarks/tracker_cost.py [--track tensorboard]

Both of a pair train the same recipe with the same seed in this process, in turns, with a line of
the log every ten steps: a long training has one every hundredth of it. The clock runs from the first line to the last;
opening and closing the tracker is not counted, the threads of this process are.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from common import interval, record

from triptych.recipes import get
from triptych.run import Run
from triptych.run.sinks import Sink, trackers
from triptych.trainer.loop import fit

LIMIT = 1.02


@dataclass(eq=False)
class Clock(Sink):
    """Processor time of the first and the last line of the log."""

    run: Run
    first: float = 0.0
    last: float = 0.0

    def scalars(self, images: int, step: int, values: Any) -> None:
        self.last = time.process_time()
        self.first = self.first or self.last


def took(track: tuple[str, ...], steps: int, place: Path) -> float:
    """Processor seconds between the first line of a training and the last."""
    clocks: list[Clock] = []

    def clock(run: Run) -> Sink:
        clocks.append(Clock(run))
        return clocks[0]

    recipe = get("wgan-gp-25gaussians")
    images = steps * recipe.train.batch
    seldom = {"evaluate": 10 * images, "checkpoint": 10 * images, "sample": 10 * images}
    train = replace(recipe.train, images=images, log=10 * recipe.train.batch, **seldom)
    # the clock is last: what the tracker does with a line is over when it is read
    fit(replace(recipe, train=train), 0, place / "run", "cpu", sinks=[*trackers.by_name(track), clock])
    return clocks[0].last - clocks[0].first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--track", default="tensorboard")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    ways = {"with": (options.track,), "without": ()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for k in range(options.pairs + 1):
        for name in sorted(ways, reverse=bool(k % 2)):
            with tempfile.TemporaryDirectory() as place:
                seconds = took(ways[name], options.steps, Path(place))
            if k:  # the first pair imports
                times[name].append(seconds)
    found = interval(times["with"], times["without"])
    each = [(a - b) / options.steps for a, b in zip(times["with"], times["without"], strict=True)]
    record(
        f"tracker-cost-{options.track}",
        f"--track {options.track} costs a training nothing that can be measured",
        f"the 95 % interval of the ratio of processor time does not lie wholly above {LIMIT}",
        f"{found['mean']:.3f} times ({found['low']:.3f} to {found['high']:.3f}), {options.pairs} pairs of "
        f"{options.steps} steps with a line every ten: {1e6 * statistics.median(each):.0f} µs a step of "
        f"{1e3 * statistics.median(times['without']) / options.steps:.1f} ms",
        options.pairs >= 30 and found["low"] <= LIMIT,
        {"ratio": found, "seconds": times},
    )


if __name__ == "__main__":
    main()
