"""Digits of a class: how often is the class asked for the one that a classifier tells? One recipe a family."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
from common import record

from triptych import recipes, trainer
from triptych.core import to_bytes
from triptych.data import load as load_data
from triptych.metrics.features.self_trained import Offline, extractor_for
from triptych.models.flows.continuous import choose_guidance
from triptych.run.folder import load

SAMPLES, WANTED, MINUTES = 10_000, 0.98, 10.0


def told(judge: Offline, pictures: torch.Tensor) -> torch.Tensor:
    """The most probable class of each picture (n, c, h, w), uint8."""
    return torch.cat([judge(x)["logits"].argmax(1) for x in pictures.split(500)])


def one(
    name: str, seed: int, out: Path, judge: Offline, guidance: float | None, images: int | None
) -> dict[str, object]:
    recipe, began, spent = recipes.get(name), time.perf_counter(), time.process_time()
    if images is not None:
        from triptych.recipes.override import with_field

        recipe = with_field(recipe, "train.images", images)
    run = trainer.fit(recipe, seed, out / f"{name}-{seed}", "cpu", progress=False)
    seconds, busy = time.perf_counter() - began, time.process_time() - spent
    model = load(run.path, "cpu")
    choose_guidance(model, guidance)
    y = torch.arange(SAMPLES) % 10
    parts = [to_bytes(model.sample(1_000, seed=i, y=some)) for i, some in enumerate(y.split(1_000))]
    right = told(judge, torch.cat(parts)) == y
    each = [right[y == c].double().mean().item() for c in range(10)]
    row: dict[str, object] = {
        "seed": seed,
        "images": recipe.train.images,
        "as_asked": right.double().mean().item(),
        "of_each_class": each,
        "guidance": guidance,
        "seconds": seconds,
        "processor_seconds": busy,
    }
    print(name, json.dumps(row), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--recipe", default="cgan-mnist", help="cgan-mnist, cvae-mnist, cflow-mnist, cglow-mnist or -quick"
    )
    parser.add_argument("--guidance", type=float, default=None, help="weight of the class, of a continuous flow")
    parser.add_argument("--images", type=int, default=None, help="another budget than the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=None, help="keeps the run folder there")
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    judge = extractor_for(load_data("mnist"), load_data("mnist", "test"))
    with tempfile.TemporaryDirectory() as folder:
        row = one(args.recipe, args.seed, args.runs or Path(folder), judge, args.guidance, args.images)
    share, minutes = float(str(row["as_asked"])), float(str(row["processor_seconds"])) / 60
    weight = "" if args.guidance is None else f", guided with weight {args.guidance:g}"
    record(
        f"classes-mnist-{args.recipe}",
        f"{args.recipe}: share of {SAMPLES:,} samples{weight} whose class is the one asked for, by a classifier that "
        f"is right on {judge.accuracy:.2%} of the test set",
        f"≥ {WANTED:.0%} within {MINUTES:g} minutes of one thread",
        f"{share:.2%} after {row['images']:,} images, {minutes:.1f} minutes of processor time (seed {args.seed})",
        share >= WANTED and minutes <= MINUTES,
        {"run": row},
        args.note,
    )


if __name__ == "__main__":
    main()
