"""Bits per dimension of VAEs on CIFAR-10 after some minutes: a fixed sigma against learned scales of p(x|z).

Each recipe trains for as many images as fit into --minutes at the pace of its first steps, in a run folder that is
resumed. The bound is the ELBO of all held-out images; beside it stands one full Gaussian, fitted in closed form.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch
from common import record

from triptych.core import Clock, DataSpec, Recipe
from triptych.core.units import bits_per_dim
from triptych.data import load_spec
from triptych.data.batches import Batches
from triptych.metrics.log_likelihoods import exact, variational
from triptych.models.observed import Observed
from triptych.models.yardsticks import MixtureOfGaussians
from triptych.objectives.likelihoods import Bounded
from triptych.recipes import get
from triptych.run import Run
from triptych.system.device import place
from triptych.trainer import fit, resume

RECIPES = (
    "vae-cifar10",
    "vae-cifar10-sigma",
    "vae-cifar10-sigma-picture",
    "vae-cifar10-sigma-pixel",
    "vae-cifar10-logistic",
    "hvae-cifar10-logistic",
)
TARGET, MINUTES = 5.5, 10.0


def pace(recipe: Recipe, seconds: float = 10.0) -> float:
    """Images in a second of processor time of the recipe's steps: other work beside them does not count."""
    data = load_spec(recipe.data)
    torch.manual_seed(0)
    model = place(recipe.model.build(data.shape), torch.device("cpu"), "fp32")
    recipe.objective.prepare(model, data)
    batches = Batches(data, recipe.train.batch, 0, torch.device("cpu"))
    optimizer = torch.optim.Adam(model.parameters(), recipe.train.lr)
    began, first = time.process_time(), 0
    while time.process_time() - began < seconds or not first:
        for move in recipe.objective.step(model, batches, Clock(0, 0, 0.0)):
            optimizer.zero_grad()
            move.loss.backward()
            optimizer.step()
        if not first:  # the first step sets things up
            began, first = time.process_time(), batches.drawn
    return (batches.drawn - first) / (time.process_time() - began)


def trained(folder: Path, recipe: Recipe, minutes: float, seed: int) -> Run:
    if folder.exists():
        return resume(folder)
    images = max(recipe.train.batch, round(pace(recipe) * minutes * 60))
    cadence = {"log": 0, "evaluate": images // 4, "sample": images, "checkpoint": images // 4}
    train = replace(recipe.train, images=images, schedule="cosine", precision="fp32", **cadence)
    return fit(replace(recipe, train=train), seed, folder, "cpu")


def full_gaussian() -> tuple[float, float]:
    """Bits of the held-out images under one Gaussian fitted to the training images, and the seconds of the fit."""
    train, test = (load_spec(DataSpec("cifar10"), split) for split in ("train", "test"))
    model = MixtureOfGaussians(components=1).build(train.shape)
    began = time.perf_counter()
    model.fit(train)
    seconds = time.perf_counter() - began
    torch.manual_seed(0)
    log_p, _ = exact(model, test.x)
    return bits_per_dim(log_p.mean().item(), test.shape), seconds


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=MINUTES, help="of training, for each recipe")
    options.add_argument("--recipes", nargs="+", default=list(RECIPES))
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--runs", type=Path, default=Path("runs/vae-likelihood"))
    options.add_argument("--note", default="")
    args = options.parse_args()
    gaussian, seconds = full_gaussian()
    print(f"full Gaussian {gaussian:.3f} bits, fitted in {seconds:.1f} s", flush=True)
    rows = {}
    for name in args.recipes:
        run = trained(args.runs / f"{name}-{args.seed}", get(name), args.minutes, args.seed)
        model, objective, test = run.load(device="cpu"), run.recipe.objective, run.data("test")
        assert isinstance(model, Observed)
        assert isinstance(objective, Bounded)
        torch.manual_seed(0)
        bound, card = variational(model, objective, test.x)
        # a density over [0, 1]^D, or the probability of the grey levels themselves, which needs no unit
        levels = 256 if card.space == "[0, 1]^D" else 1
        bits = bits_per_dim(bound.mean().item(), test.shape, levels)
        rows[name] = {"bits": bits, "images": run.status["images"], "seconds": run.status["seconds"]}
        print(name, rows[name], card, flush=True)
    best = min(rows, key=lambda k: rows[k]["bits"])
    record(
        "vae_likelihood",
        "With a learned scale, bits per dimension tell of the VAE and not of its sigma",
        f"CIFAR-10, learned sigma: at most {TARGET} bits per dimension after {MINUTES:.0f} minutes of two cores",
        ", ".join(f"{k.removeprefix('vae-cifar10') or 'fixed sigma'} {v['bits']:.2f}" for k, v in rows.items())
        + f" after {args.minutes:g} minutes each; one full Gaussian {gaussian:.2f} "
        + ("is beaten by " if rows[best]["bits"] < gaussian else "is not beaten, the strongest is ")
        + best,
        rows[best]["bits"] <= TARGET,
        {"rows": rows, "gaussian": {"bits": gaussian, "seconds": seconds}, "minutes": args.minutes, "seed": args.seed},
        args.note,
    )


if __name__ == "__main__":
    main()
