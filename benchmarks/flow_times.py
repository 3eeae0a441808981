"""Samples of picture flows in few steps: where the times of the steps lie, and what becomes of the distance.

Each model draws the same noise with eight steps of Heun's rule at each choice of times, and with 32. Distances are by
offline-v1; `spread` is the deviation of the samples' mean brightness, which too large a first step loses. The models
are finished runs, `zoo:NAME` too; the seed of the noise is none by which anything else is reported.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from common import record

from triptych.core import Data, to_bytes
from triptych.data import load_spec
from triptych.metrics.comparison import subset
from triptych.metrics.features.extractor import extract
from triptych.metrics.features.self_trained import extractor_for
from triptych.metrics.frechet import frechet_from_features
from triptych.metrics.kernel import kernel_distance
from triptych.models.flows.continuous import EARLY, Carried
from triptych.run import Run

STEPS, FINE, SEED = 8, 32, 100
AS_VECTORS = "as vectors"
"""t = 1 − (1 − s)², which pictures had before."""


def times(how: float | str, steps: int) -> list[float]:
    even = [i / steps for i in range(steps + 1)]
    return [1 - (1 - s) ** 2 for s in even] if isinstance(how, str) else [s**how for s in even]


def judged(run: Run, choices: Sequence[tuple[float | str, int]], n: int) -> dict[str, dict[str, Any]]:
    model = run.load(device="cpu")
    assert isinstance(model, Carried)
    data = run.recipe.data
    train = load_spec(data)
    real = subset(train if data.split == "all" else load_spec(data, "test"), n, 0)
    judge = extractor_for(train)
    x = extract(judge, real)["features"]
    rows = {"real": {"spread": (real.x.float() / 255).mean((1, 2, 3)).std().item()}}
    for how, steps in choices:
        model.steps = steps
        began = time.process_time()
        with mock.patch.object(model, "times", lambda how=how, steps=steps: times(how, steps)):
            samples = model.sample(n, seed=SEED)
        y = extract(judge, Data("samples", to_bytes(samples)))["features"]
        name = f"{how if isinstance(how, str) else f's^{how:g}'}, {steps} steps"
        rows[name] = {
            "frechet_v1": frechet_from_features(x, y),
            "kernel_v1": kernel_distance(x, y),
            "spread": samples.mean((1, 2, 3)).std().item(),
            "seconds": time.process_time() - began,
        }
        print(run.path, name, rows[name], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("-n", type=int, default=1_000)
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    choices: list[tuple[float | str, int]] = [(AS_VECTORS, STEPS), *((p, STEPS) for p in (1.0, EARLY, 1.5, 2.0))]
    choices += [(EARLY, FINE)]
    rows = {Path(run).name: judged(Run(run), choices, args.n) for run in args.runs}
    chosen, fine, before = f"s^{EARLY:g}, {STEPS} steps", f"s^{EARLY:g}, {FINE} steps", f"{AS_VECTORS}, {STEPS} steps"

    def value(run: str, which: str) -> float:
        return rows[run][which]["kernel_v1"]

    record(
        "flow-times",
        f"Picture flows in {STEPS} steps: the times of the steps",
        f"the kernel distance is at most 1.2 times that of {FINE} steps",
        "; ".join(
            f"{run}: kernel distance {value(run, chosen):.3f}, with the times of vectors {value(run, before):.3f}, in "
            f"{FINE} steps {value(run, fine):.3f}"
            for run in rows
        ),
        all(value(run, chosen) <= 1.2 * value(run, fine) for run in rows),
        rows,
        args.note,
    )


if __name__ == "__main__":
    main()
