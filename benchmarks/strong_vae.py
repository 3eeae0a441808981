"""Autoencoders with sharp samples: short trials of equal number for each family, and what the recipes reach.

`trials` trains variants of the `-quick` recipes on a seed that is not reported, for the same processor time each, and
lists them all. Without it each named recipe trains once to its end. Distances are by offline-v1, on 2,000 samples; of
digits also the share that its classifier tells with confidence above 0.9. Times are of the processor, since the machine
may be shared.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from common import record

from triptych.core import Data, Recipe, Sampler, to_bytes
from triptych.core.units import bits_per_dim
from triptych.data import load_spec
from triptych.figures import tiles
from triptych.metrics.comparison import subset
from triptych.metrics.features.extractor import extract
from triptych.metrics.features.self_trained import Offline, extractor_for
from triptych.metrics.frechet import frechet_from_features
from triptych.metrics.kernel import kernel_distance
from triptych.metrics.log_likelihoods import variational
from triptych.models.discrete import CodePredictor, FSQTransformer
from triptych.models.observed import Observed
from triptych.objectives.likelihoods import Bounded
from triptych.recipes import get
from triptych.run import Run
from triptych.trainer import fit, resume

TRIAL_SEED, SAMPLES, SURE, TARGET = 100, 2_000, 0.9, 0.9
TRIALS: dict[str, dict[str, dict[str, Any]]] = {
    "fsq-mnist-quick": {
        "as it is": {},
        "rate 1e-3": {"train.lr": 1e-3},
        "8 numbers a place": {"model.codes": 8},
    },
    "fsq-mnist": {
        "dropout 0.1": {"model.dropout": 0.1, "model.min_p": 0.0},
        "dropout 0.2, share 0.2": {"model.dropout": 0.2, "objective.share": 0.2, "model.min_p": 0.0},
        "3 levels, dropout 0.1": {"model.levels": 3, "model.dropout": 0.1, "model.min_p": 0.0},
    },
    **{
        name: {
            "as it is": {},
            "the last code alone enters": {"model.near": False},
            "share 0.3": {"objective.share": 0.3},
        }
        for name in ("fsq-birds-quick", "fsq-cifar10-quick")
    },
    "hvae-mnist-quick": {
        "as it is": {},
        "rate 1e-3": {"train.lr": 1e-3},
        "2 channels a group": {"model.channels": 2},
    },
}
SHARE = 0.2
"""Part of the budget that a trial has."""


def changed(recipe: Recipe, values: dict[str, Any], share: float) -> Recipe:
    images = round(recipe.train.images * share)
    recipe = replace(recipe, train=replace(recipe.train, images=images, evaluate=images, warmup=recipe.train.warmup))
    for name, value in values.items():
        section, field = name.split(".")
        part = replace(getattr(recipe, section), **{field: value})
        recipe = replace(recipe, **{section: part})
    return recipe


def trained(folder: Path, recipe: Recipe, seed: int, device: str) -> tuple[Run, float]:
    """The run, and the processor seconds that it took; those of a run that was cut are kept beside it.

    A run that is done stays as it is, also one of an earlier recipe that differed in how samples are drawn.
    """
    began, kept = time.process_time(), folder.with_suffix(".seconds")
    if folder.exists() and Run(folder).status["state"] == "done":
        return Run(folder), float(kept.read_text(encoding="utf-8"))
    before = float(kept.read_text(encoding="utf-8")) if kept.exists() else 0.0
    run = resume(folder, progress=False) if folder.exists() else fit(recipe, seed, folder, device, progress=False)
    seconds = before + time.process_time() - began
    kept.write_text(str(seconds), encoding="utf-8")
    return run, seconds


def drawn_as(run: Run, recipe: Recipe) -> Observed:
    """The run's model, its samples drawn as the recipe says now: min-p is of sampling, training knows nothing of it."""
    model = run.load(device="cpu")
    assert isinstance(model, Observed)
    if isinstance(recipe.model, FSQTransformer):
        for part in model.modules():
            if isinstance(part, CodePredictor):
                part.min_p = recipe.model.min_p
    return model


def judged(run: Run, recipe: Recipe, judge: Offline, real: Data, temperature: float) -> dict[str, Any]:
    """Distances and the bound in bits, and of digits the share that the classifier is sure of."""
    model, objective = drawn_as(run, recipe), run.recipe.objective
    assert isinstance(model, Sampler)
    assert isinstance(objective, Bounded)
    fake = Data("samples", to_bytes(model.sample(SAMPLES, seed=run.seed, temperature=temperature)))
    x, y = (extract(judge, side) for side in (subset(real, SAMPLES, 0), fake))
    torch.manual_seed(0)
    bound, card = variational(model, objective, subset(real, 1_000, 0).x)
    found: dict[str, Any] = {
        "temperature": temperature,
        "frechet_v1": frechet_from_features(x["features"], y["features"]),
        "kernel_v1": kernel_distance(x["features"], y["features"]),
        "bits_per_dim": bits_per_dim(bound.mean().item(), real.shape, 256 if card.space == "[0, 1]^D" else 1),
        "card": card.told(),
    }
    if run.recipe.data.name == "mnist":
        p = y["logits"].softmax(1)
        found |= {"confident": (p.amax(1) > SURE).double().mean().item()}
        found |= {"classes": (p.argmax(1).bincount(minlength=10) / len(p)).tolist()}
    return found


def told(row: dict[str, Any]) -> str:
    sure = f"{100 * row['confident']:.1f} % confident, " if "confident" in row else ""
    return (
        f"{sure}kernel_v1 {row['kernel_v1']:.3f}, frechet_v1 {row['frechet_v1']:.2f}, {row['bits_per_dim']:.2f} bits, "
        f"{row['seconds'] / 60:.1f} min"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--trials", action="store_true", help="the variants of the recipes on another seed")
    parser.add_argument("--share", type=float, default=SHARE, help="part of the recipe's budget that a trial has")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=Path, default=Path("runs/strong-vae"))
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    for name in args.recipes:
        base = get(name)
        train, seed = load_spec(base.data), TRIAL_SEED if args.trials else args.seed
        real = train if base.data.split == "all" else load_spec(base.data, "test")
        judge = extractor_for(train, real)
        rows: dict[str, dict[str, Any]] = {}
        for words, values in (TRIALS[name] if args.trials else {"as it is": {}}).items():
            recipe = changed(base, values, args.share) if args.trials else base
            folder = args.runs / f"{name}-{seed}-{words.replace(' ', '_') if args.trials else 'whole'}"
            run, seconds = trained(folder, recipe, seed, args.device)
            more = {"seconds": seconds, "images": run.status["images"], "values": values, "state": run.status["state"]}
            rows[words] = judged(run, recipe, judge, real, 1.0) | more
            model = drawn_as(run, recipe)
            assert isinstance(model, Sampler)
            tiles.grid(model.sample(64, seed=seed), folder.with_suffix(".png"), columns=8)
            print(name, words, json.dumps(rows[words]), flush=True)
        if args.trials:
            best = min(rows, key=lambda k: rows[k]["kernel_v1"])
            record(
                f"strong-vae-trials-{name}",
                f"{name}: short trials of equal length on seed {TRIAL_SEED}, {args.share:.0%} of the budget",
                "the recipe has the best of them",
                "; ".join(f"{k}: {told(v)}" for k, v in rows.items()),
                best == "as it is",
                rows,
                args.note,
            )
            continue
        (row,) = rows.values()
        digits, limit = "confident" in row, math.inf if "confident" not in row else TARGET
        record(
            f"strong-vae-{name}",
            f"{name}: samples after minutes of one core, seed {args.seed}",
            f"at least {TARGET:.0%} of 2,000 samples told with confidence > {SURE}" if digits else "shown",
            told(row),
            row["confident"] >= limit if digits else None,
            row,
            args.note,
        )


if __name__ == "__main__":
    main()
