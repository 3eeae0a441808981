"""Typed tables by four families: a GAN, a VAE, the recommended spline flow and a continuous flow.

    python benchmarks/tables.py [--seeds 3]

One table is drawn from a known distribution (`mixed_table.py`): samples are compared with 20,000 fresh rows of it, and
so are the rows trained on, which is the floor. Two ship with scikit-learn: samples are compared with held-out rows.
The flow's budget and patience were chosen on wine, iris and breast cancer, and on other rows of the mixed table, at
seed 100; diabetes was looked at by nobody before. Its seconds hold the looks at held-out rows that decide when it ends.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from common import record, spread
from mixed_table import rows
from sklearn import datasets

from triptych import data
from triptych.core import Data, DataSpec, ModelSpec, Objective, Recipe, Train
from triptych.data.sources.typed_tables import table_text
from triptych.metrics.tables import distances
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.velocity import VelocityMLP
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.autoencoder import VAE
from triptych.objectives.flow_matching import FlowMatching
from triptych.objectives.gan import WGANGP
from triptych.recipes import recommend
from triptych.trainer.loop import fit

SHIPPED = ("wine", "diabetes")
TRAINED, TRUTH = 5_000, 20_000
QUIET: dict[str, Any] = {"evaluate": 10**9, "checkpoint": 10**9, "sample": 10**9, "log": 10**9}
LOOKS = ("evaluate", "checkpoint")
"""Cadences that decide when a training with patience ends."""
BUDGET = {"mixed": 100_000}
SMALL = 40_000
"""Rows shown to the VAE and the continuous flow, half of what the GAN is shown; of a table of few rows."""
OTHERS: dict[str, tuple[ModelSpec, Objective, Train]] = {
    "wgan-gp": (
        MLPGAN(latent=16, width=256, depth=3),
        WGANGP(gp=1.0, n_critic=2),
        Train(images=2, batch=256, lr=1e-3, betas=(0.5, 0.9), schedule="linear", ema=0.999),
    ),
    "vae": (
        MLPAutoencoder(latent=8, width=256, depth=3, activation="silu", scale="pixel"),
        VAE(likelihood="gaussian-learned"),
        Train(images=1, batch=256, lr=1e-3, schedule="cosine", ema=0.999),
    ),
    "continuous flow": (
        VelocityMLP(width=256),
        FlowMatching(),
        Train(images=1, batch=256, lr=2e-3, schedule="cosine", clip=1.0, ema=0.999),
    ),
}


def write_shipped(name: str, folder: Path) -> Path:
    """A table of scikit-learn as a person would have it: names in the header, classes by name."""
    found = getattr(datasets, f"load_{name}")()
    target = [found.target_names[t] for t in found.target] if "target_names" in found else found.target.tolist()
    path = folder / f"{name}.csv"
    with path.open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow([*found.feature_names, "target"])
        writer.writerows([*row, t] for row, t in zip(found.data.tolist(), target, strict=True))
    return path


def trained(recipe: Recipe, seed: int, train: Data, truth: Data, place: Path) -> dict[str, float]:
    """Distances of as many samples as there are true rows, and the seconds of processor that the training took."""
    began = time.process_time()
    quiet = {k: v for k, v in QUIET.items() if not (recipe.train.patience and k in LOOKS)}
    run = fit(replace(recipe, train=replace(recipe.train, **quiet)), seed, place, "cpu")
    seconds = time.process_time() - began
    assert train.typed is not None
    samples = run.load(device="cpu").sample(len(truth), seed=seed)  # pyright: ignore[reportAttributeAccessIssue]
    return distances(train.typed, truth.x, samples) | {"seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tables", nargs="*", default=["mixed", *SHIPPED])
    options = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    floors: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "mixed.csv").write_text(table_text(rows(TRAINED, 11)), encoding="utf-8")
        (folder / "truth.csv").write_text(table_text(rows(TRUTH, 12)), encoding="utf-8")
        for seed in range(options.seeds):
            for name in options.tables:
                path = folder / "mixed.csv" if name == "mixed" else write_shipped(name, folder)
                best, _ = recommend(DataSpec(str(path), holdout=0.0 if name == "mixed" else 0.3), hold=False)
                train = data.load_spec(best.data)
                assert train.typed is not None
                fresh = (
                    data.load(folder / "truth.csv", split="all")
                    if name == "mixed"
                    else data.load_spec(best.data, "test")
                )
                truth = fresh.as_in(train.typed)
                floors[name] = distances(train.typed, truth.x, train.x)
                recipes = {"spline flow": best}
                for kind, (model, objective, how) in OTHERS.items():
                    budget = how.images * BUDGET.get(name, SMALL)
                    recipes[kind] = Recipe(best.data, model, objective, replace(how, images=budget), name=kind)
                for kind, recipe in recipes.items():
                    got = trained(recipe, seed, train, truth, folder / f"{name}-{kind}-{seed}")
                    found.setdefault(name, {}).setdefault(kind, []).append(got)
                    print(seed, name, kind, {k: round(v, 4) for k, v in got.items()}, flush=True)
                written(name, found[name], floors[name])


def written(name: str, kinds: dict[str, list[dict[str, float]]], floor: dict[str, float]) -> None:
    """The record of a table, renewed after each seed."""
    told, details, seeds = [], {}, 0
    for kind, runs in kinds.items():
        each = {k: spread([run[k] for run in runs]) for k in runs[0]} if len(runs) > 1 else runs[0]
        mean = {k: sum(run[k] for run in runs) / len(runs) for k in runs[0]}
        details[kind], seeds = each, len(runs)
        told.append(f"{kind} {mean['marginal_distance']:.3f} and {mean['pair_distance']:.3f}")
    against = f"{TRUTH:,} fresh rows of the truth" if name == "mixed" else "held-out rows"
    record(
        f"tables-{name}",
        f"typed rows of the table {name!r} by four families, compared with {against}",
        "recorded: distance of marginals and of pairs, 0 to 1",
        f"{'; '.join(told)}; the training rows themselves {floor['marginal_distance']:.3f} and "
        f"{floor['pair_distance']:.3f} ({seeds} seed{'s' * (seeds > 1)})",
        None,
        {"families": details, "training rows": floor, "seeds": seeds},
    )


if __name__ == "__main__":
    main()
