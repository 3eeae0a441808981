"""Reports of 30 and of 120 runs: how long they take and what they weigh, with pictures as hard to compress as noise."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import torch
from common import in_turns, record

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from fake_runs import make_run, picture_recipe

from triptych import figures
from triptych.report import write_report

RECIPES = ("gan-mnist", "lsgan-mnist", "wgan-mnist", "wgan-gp-mnist", "vae-mnist", "realnvp-mnist")
METRICS = ("frechet_cnn", "kid_cnn", "precision", "recall", "density", "coverage", "sliced_wasserstein", "nll")


def fill(root: Path, seeds: int) -> list[Path]:
    """Runs of six recipes on 32 x 32 colour pictures, each with six grids and three sheets of walks."""
    noise = torch.Generator().manual_seed(0)
    paths = []
    for name in RECIPES:
        for seed in range(seeds):
            values = {m: {"value": torch.rand(1, generator=noise).item(), "n": 10_000, "floor": 0.1} for m in METRICS}
            run = make_run(
                root / f"{name}-{seed}",
                picture_recipe(name),
                seed,
                values=values,
                points=101,
                pictures=False,
                shape=(3, 32, 32),
            )
            smooth = torch.nn.functional.interpolate(torch.rand(64, 3, 16, 16, generator=noise), scale_factor=2.0)
            for k in range(6):
                figures.grid(smooth.roll(k, dims=0), run.path / "samples" / f"{k * 2000:09d}.png")
            for folder, file in (("interpolation", "linear"), ("interpolation", "square"), ("sweep", "sweep")):
                figures.grid(smooth.repeat(2, 1, 1, 1)[:100], run.path / folder / f"{file}.png", columns=10)
            paths.append(run.path)
    return paths


LIMITS = {5: (10, 10e6), 20: (60, 15e6)}
"""Seconds and bytes by the number of seeds."""


def main() -> None:
    for seeds, (most_seconds, most_bytes) in LIMITS.items():
        with tempfile.TemporaryDirectory() as folder:
            paths = fill(Path(folder), seeds)
            out = Path(folder) / "report.html"
            times = in_turns({"report": lambda p=paths, o=out: write_report(p, o)}, rounds=3, now=time.process_time)
            size = out.stat().st_size
        slowest = max(times["report"])
        record(
            "report_thirty" if seeds == 5 else f"report_{len(paths)}",
            f"report of {len(paths)} runs (6 recipes, {seeds} seeds, 32 x 32 colour, 8 metrics): time and weight",
            f"< {most_seconds} s; < {most_bytes / 1e6:.0f} MB",
            f"{slowest:.1f} s of processor time (slowest of 3); {size / 1e6:.1f} MB",
            slowest < most_seconds and size < most_bytes,
            {"seconds": times["report"], "bytes": size, "runs": len(paths)},
            "pictures of smoothed noise: harder to compress than any model's",
        )


if __name__ == "__main__":
    main()
