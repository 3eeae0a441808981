"""Quality against network passes: one continuous flow sampled by every solver, at several numbers of steps.

The run is trained first where it is not there. Vectors are judged by good samples and the sliced Wasserstein distance
to fresh points, beside the same of two sets of fresh points; images by the distances of their own extractor.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from common import record

from triptych import recipes, trainer
from triptych.core import Sampler
from triptych.core.model import choose_steps
from triptych.metrics import mode_coverage
from triptych.metrics.comparison import fresh
from triptych.metrics.transport import sliced_wasserstein
from triptych.run.folder import Run

STEPS = (1, 2, 4, 8, 16, 32)
FIXED = ("euler", "midpoint", "heun", "rk4")


def judged(model: Sampler, run: Run, n: int) -> dict[str, float]:
    began = time.process_time()
    x = model.sample(n, seed=1)
    data = run.data()
    row = {"seconds": time.process_time() - began, "passes": model.cost.sample}
    row["sliced_wasserstein"] = sliced_wasserstein(fresh(data, n, 2).x, x)
    if data.distribution is not None and data.distribution.modes is not None:
        found = mode_coverage(x, data.modes, data.distribution.std)
        row |= {"modes": found["modes"], "high_quality": found["high_quality"]}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="cfm-25gaussians")
    parser.add_argument("--run", type=Path, default=None)
    parser.add_argument("-n", type=int, default=5_000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    place = args.run or Path("runs") / f"{args.recipe}-0"
    if not place.exists():
        trainer.fit(recipes.get(args.recipe), 0, place, "cpu")
    run = Run(place)
    model = run.load(device="cpu")
    assert isinstance(model, Sampler)
    data, rows = run.data(), {}
    for solver in FIXED:
        for steps in STEPS:
            choose_steps(model, solver, steps)
            rows[f"{solver} {steps}"] = judged(model, run, args.n)
            print(solver, steps, rows[f"{solver} {steps}"], flush=True)
    choose_steps(model, "dopri5", None)
    rows["dopri5"] = judged(model, run, args.n)
    floor = sliced_wasserstein(fresh(data, args.n, 2).x, fresh(data, args.n, 3).x)
    near = {k: r for k, r in rows.items() if r["passes"] <= 17}
    best = min(near, key=lambda k: near[k]["sliced_wasserstein"])
    record(
        f"solvers-{args.recipe}",
        f"{args.recipe}: quality against network passes, every solver at 1 to 32 steps",
        "recorded",
        f"at most 16 passes: {best} has the least sliced Wasserstein distance, "
        f"{near[best]['sliced_wasserstein']:.4f} (floor {floor:.4f}); heun 8 {rows['heun 8']['sliced_wasserstein']:.4f}"
        + (f" with {rows['heun 8']['high_quality']:.1%} good samples" if "high_quality" in rows["heun 8"] else ""),
        None,
        {"floor": floor, **rows},
    )


if __name__ == "__main__":
    main()
