"""Flows on 2-D sets with a known density: KL(data ‖ model) on 50,000 fresh points after a recipe's own budget."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from common import record, spread

from triptych import recipes, trainer

POINTS = 50_000
TARGETS = {
    "spline-8gaussians": 0.02,
    "spline-25gaussians": 0.02,
    "realnvp-8gaussians": 0.2,
    "realnvp-mixture-8gaussians": 0.2,
    "realnvp-25gaussians": None,
}


def one(name: str, seed: int, folder: Path) -> dict[str, float]:
    run = trainer.fit(recipes.get(name), seed, folder / f"{name}-{seed}", "cpu", progress=False)
    model, data = run.load(device="cpu"), run.data()
    x = data.sample(POINTS, seed=10_000 + seed)
    with torch.no_grad():
        gap = data.log_prob(x).double() - model.log_prob(x).double()
    nonfinite = int((~torch.isfinite(gap)).sum())
    row = {"kl": gap.mean().item(), "se": gap.std().item() / POINTS**0.5, "nonfinite": nonfinite}
    row["seconds"] = run.status["seconds"]
    print(name, seed, row, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipes", nargs="+", default=list(TARGETS))
    args = parser.parse_args()
    for name in args.recipes:
        with tempfile.TemporaryDirectory() as folder:
            rows = [one(name, seed, Path(folder)) for seed in range(args.seeds)]
        stats = {k: spread([r[k] for r in rows]) for k in rows[0]}
        kl, target, seconds = stats["kl"], TARGETS[name], max(stats["seconds"]["values"])
        record(
            f"flows-kl-{name}",
            f"{name}: KL(data ‖ model) on {POINTS:,} points, {args.seeds} seeds",
            "recorded" if target is None else f"≤ {target} nats within 60 s",
            f"{kl['mean']:.4f} ± {kl['half_width_95']:.4f} nats, at most {seconds:.0f} s",
            None if target is None else kl["mean"] <= target and seconds <= 60,
            stats,
        )


if __name__ == "__main__":
    main()
