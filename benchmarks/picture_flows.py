"""Flows on pictures, and their rivals, in equal processor time of one thread.

The steps of each recipe take `--minutes` of processor time, by the pace of the first ones; the looks at its beginning
and end (validation, pictures, distances) come on top, and what all of it took is recorded. A run is kept at
RUNS/RECIPE, beside a RECIPE.json of what it took; one that is there already is only judged. Samples are compared with
the test set, or with the training set where there is none, on the features of `offline-v1`; digits are also shown to
its classifier. The first recipe is what the claim is about: the others are shown beside it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from common import auto_precision, record
from mnist_minutes import sure

from triptych import recipes, trainer
from triptych.core import Data, Sampler, to_bytes
from triptych.data import load_spec
from triptych.figures import tiles
from triptych.metrics.features.extractor import extract
from triptych.metrics.features.self_trained import Offline, extractor_for
from triptych.metrics.frechet import frechet_from_features
from triptych.metrics.kernel import kernel_distance
from triptych.models.build import build
from triptych.recipes.override import with_field
from triptych.run import Run
from triptych.system.files import read_json, write_json
from triptych.trainer.rehearsal import processor_pace

CPU = torch.device("cpu")


def trained(name: str, minutes: float, folder: Path, seed: int, changes: dict[str, Any]) -> Run:
    """The run of a recipe, trained for so many minutes of processor time where it is not there."""
    place, note = folder / name, folder / f"{name}.json"
    if note.exists():
        return Run(place)
    recipe = recipes.get(name)
    for key, value in changes.items():
        recipe = with_field(recipe, key, value)
    data, test = load_spec(recipe.data), held_out(recipe.data)
    pace = processor_pace(recipe, data, test, CPU, auto_precision(recipe, build(recipe.model, data.shape), data), 20)
    batch = recipe.train.batch
    images = max(batch, int(60 * minutes / pace / batch) * batch)
    sixth = images // 6
    train = replace(recipe.train, images=images, evaluate=images, sample=sixth, checkpoint=sixth, best="")
    began = time.process_time()
    run = trainer.fit(replace(recipe, train=train), seed, place, "cpu", progress=False)
    write_json(note, {"cpu_seconds": time.process_time() - began, "images": images, "pace": pace, "asked": minutes})
    return run


def held_out(spec: Any) -> Data | None:
    return load_spec(replace(spec, split="test")) if spec.name in ("mnist", "cifar10") else None


def judged(run: Run, judge: Offline, real: torch.Tensor, n: int) -> dict[str, Any]:
    model = run.load(device="cpu")
    assert isinstance(model, Sampler)
    began = time.process_time()
    tiles.tile(model.sample(64, seed=0)).save(run.path.with_name(f"{run.path.name}.png"))
    row: dict[str, Any] = {"seconds_of_64_samples": time.process_time() - began, "passes": model.cost.sample}
    fake = Data("samples", to_bytes(model.sample(n, seed=7)))
    features = extract(judge, fake)["features"]
    row["frechet_v1"] = frechet_from_features(real, features)
    row["kernel_v1"] = kernel_distance(real, features)
    if judge.kind == "classifier" and run.recipe.data.name == "mnist":
        row["confident"], row["classes"] = sure(judge, fake.x)
    last = [line for line in run.lines() if "bits_per_dim" in line]
    if last:
        row["bits_per_dim"] = last[-1]["bits_per_dim"]
    return row | read_json(run.path.with_name(f"{run.path.name}.json")) | {"seed": run.seed}


def said(name: str, row: dict[str, Any]) -> str:
    parts = [f"Fréchet {row['frechet_v1']:.2f}", f"kernel {row['kernel_v1']:.4f}"]
    if "confident" in row:
        parts.insert(0, f"{row['confident']:.1%} confident")
    if "bits_per_dim" in row:
        parts.append(f"{row['bits_per_dim']:.3f} bits/dim")
    return f"{name} {', '.join(parts)} ({row['cpu_seconds'] / 60:.1f} min)"


Verdict = Callable[[dict[str, Any], dict[str, dict[str, Any]]], bool | None]


def digits(first: dict[str, Any], rows: dict[str, dict[str, Any]]) -> bool | None:
    glow = rows.get("glow-mnist")
    if first["confident"] < 0.85:
        return False
    return None if glow is None else first["frechet_v1"] <= glow["frechet_v1"] / 5


def clear(first: dict[str, Any], rows: dict[str, dict[str, Any]]) -> bool | None:
    return first["confident"] >= 0.96


def ahead(first: dict[str, Any], rows: dict[str, dict[str, Any]]) -> bool | None:
    others = [row["kernel_v1"] for row in rows.values() if row is not first]
    return all(first["kernel_v1"] < k for k in others) if others else None


def bits(most: float) -> Verdict:
    return lambda first, rows: first["bits_per_dim"] <= most


TARGETS: dict[str, tuple[str, Verdict]] = {
    "cfm-mnist": ("≥ 85 % confident; Fréchet at most a fifth of glow-mnist's in the same time, 15 min", digits),
    "lcfm-mnist": ("≥ 85 % confident; Fréchet at most a fifth of glow-mnist's in the same time, 15 min", digits),
    "clcfm-mnist": ("≥ 96 % of digits confident", clear),
    "lcfm-cifar10": ("kernel distance below every other's in the same time, 20 min", ahead),
    "lcfm-birds": ("kernel distance below every other's in the same time, 20 min", ahead),
    "jet-mnist": ("≤ 1.10 bits/dim in 30 min", bits(1.10)),
    "tarflow-mnist": ("≤ 1.10 bits/dim in 30 min", bits(1.10)),
    "jet-cifar10": ("below the 3.749 bits/dim of glow-cifar10 in 50 min, or a clear no", bits(3.749)),
    "tarflow-cifar10": ("below the 3.749 bits/dim of glow-cifar10 in 50 min, or a clear no", bits(3.749)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="+")
    parser.add_argument(
        "--minutes", type=float, nargs="+", default=[15.0], help="of each recipe; the last for the rest"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/picture-flows"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-n", type=int, default=2_000)
    parser.add_argument("--change", nargs="*", default=[], help="fields of the recipes, a=b: for trials")
    parser.add_argument("--train-only", action="store_true")
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.runs.mkdir(parents=True, exist_ok=True)
    changes = {key: json.loads(value) for key, value in (c.split("=", 1) for c in args.change)}
    minutes = args.minutes + args.minutes[-1:] * len(args.recipes)
    runs = {
        name: trained(name, m, args.runs, args.seed, changes) for name, m in zip(args.recipes, minutes, strict=False)
    }
    if args.train_only:
        return
    spec = runs[args.recipes[0]].recipe.data
    test = held_out(spec)
    judge = extractor_for(load_spec(spec), test)
    real = extract(judge, test or load_spec(spec))["features"][: 5 * args.n]
    rows = {name: judged(run, judge, real, args.n) for name, run in runs.items()}
    target, verdict = TARGETS.get(args.recipes[0], ("none", lambda first, rows: None))
    record(
        f"picture-flows-{args.recipes[0]}",
        f"{args.recipes[0]}, {minutes[0]:g} min of one thread, {args.n:,} samples on the features of offline-v1",
        target,
        "; ".join(said(name, row) for name, row in rows.items()),
        verdict(rows[args.recipes[0]], rows),
        rows,
        args.note,
    )


if __name__ == "__main__":
    main()
