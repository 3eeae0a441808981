"""Digits of a class: how often is the class asked for the one that a classifier tells? One recipe a family.

With --beside the recipe without classes is trained at the same budget, too, its samples are sorted by the classifier,
and the Fréchet distances within classes are compared.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from common import record

from triptych import recipes, trainer
from triptych.core import to_bytes
from triptych.data import load as load_data
from triptych.metrics.features.self_trained import Offline, extractor_for
from triptych.metrics.frechet import frechet_from_features
from triptych.models.code_density import fit_codes
from triptych.models.families import Autoencoder, codes_of_data
from triptych.models.flows.continuous import choose_guidance
from triptych.models.latent_space import decode, encode, public
from triptych.recipes.override import with_field
from triptych.run.folder import Run, load
from triptych.system.files import read_json, write_json

SAMPLES, WANTED, MINUTES = 10_000, 0.98, 10.0
PLAIN = {
    "cgan-mnist": "gan-mnist",
    "cvae-mnist": "vae-mnist",
    "cvae-mnist-mixture": "vae-mnist-mixture",
    "cflow-mnist": "cfm-mnist",
    "clcfm-mnist": "lcfm-mnist",
    "cglow-mnist": "glow-mnist",
}
"""The recipe without classes of each, and of its -quick one."""


def told(judge: Offline, pictures: torch.Tensor) -> torch.Tensor:
    """The most probable class of each picture (n, c, h, w), uint8."""
    return torch.cat([judge(x)["logits"].argmax(1) for x in pictures.split(500)])


def features(judge: Offline, pictures: torch.Tensor) -> torch.Tensor:
    return torch.cat([judge(x)["features"] for x in pictures.split(500)])


def trained(name: str, seed: int, out: Path, images: int | None = None) -> tuple[Path, dict[str, Any]]:
    """A run of a recipe, and what it took, which is kept beside it: one that is there is not trained again."""
    folder, took = out / f"{name}-{seed}", out / f"{name}-{seed}.took.json"
    if took.exists() and Run(folder).finished:
        return folder, read_json(took)
    recipe, began, spent = recipes.get(name), time.perf_counter(), time.process_time()
    if images is not None:
        recipe = with_field(recipe, "train.images", images)
    run = trainer.fit(recipe, seed, folder, "cpu", progress=False)
    seconds, busy = time.perf_counter() - began, time.process_time() - spent
    row = {"images": recipe.train.images, "seconds": seconds, "processor_seconds": busy}
    write_json(took, row)
    return run.path, row


def of_classes(path: Path, guidance: float | None, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples, as many of each class, and the classes asked for."""
    model = load(path, "cpu")
    choose_guidance(model, guidance)
    y = torch.arange(n) % 10
    parts = [to_bytes(model.sample(1_000, seed=i, y=some)) for i, some in enumerate(y.split(1_000))]
    return torch.cat(parts), y


def one(
    path: Path, judge: Offline, guidance: float | None, n: int
) -> tuple[dict[str, Any], torch.Tensor, torch.Tensor]:
    x, y = of_classes(path, guidance, n)
    right = told(judge, x) == y
    each = [right[y == c].double().mean().item() for c in range(10)]
    return {"as_asked": right.double().mean().item(), "of_each_class": each, "guidance": guidance}, x, y


def beside(
    name: str, seed: int, out: Path, judge: Offline, x: torch.Tensor, y: torch.Tensor, images: int
) -> dict[str, object]:
    """Fréchet distances to the test digits of each class, of samples of it and of sorted ones, as many of both."""
    path, row = trained(name, seed, out, images)
    model = load(path, "cpu")
    plain = torch.cat([to_bytes(model.sample(1_000, seed=i)) for i in range(len(x) // 1_000)])
    sides = {"asked": (features(judge, x), y), "sorted": (features(judge, plain), told(judge, plain))}
    test = load_data("mnist", "test")
    real = features(judge, test.x)
    found: dict[str, list[float]] = {"asked": [], "sorted": []}
    counts = []
    for c in range(10):
        n = min(int((labels == c).sum()) for _, labels in sides.values())
        counts.append(n)
        for side, (z, labels) in sides.items():
            few = n < 2
            own = math.nan if few else frechet_from_features(real[test.labels == c], z[labels == c][:n])
            found[side].append(own)
    means = {side: sum(values) / len(values) for side, values in found.items()}
    return {"recipe": name, "n": counts, **row, **found, "mean": means}


def by_codes(path: Path, judge: Offline, seed: int) -> dict[str, float]:
    """The share as asked of one decoder, by what its codes are drawn from; of test digits their own codes."""
    model, train, test = load(path, "cpu"), load_data("mnist"), load_data("mnist", "test")
    assert isinstance(model, Autoencoder)
    assert test.labels is not None
    z, own = codes_of_data(model, train, seed=seed)
    y, k = torch.arange(SAMPLES) % 10, model.classes

    def share(z: torch.Tensor, y: torch.Tensor) -> float:
        return (told(judge, to_bytes(decode(model, z, y=y))) == y).double().mean().item()

    return {
        "N(0, I)": share(torch.randn(SAMPLES, model.latent, generator=torch.Generator().manual_seed(seed)), y),
        "a mixture of all codes": share(fit_codes(z, None, seed).draw(SAMPLES, seed), y),
        "a Gaussian for each class": share(fit_codes(z, 1, seed, y=own, classes=k).draw(SAMPLES, seed, y), y),
        "a mixture for each class": share(fit_codes(z, None, seed, y=own, classes=k).draw(SAMPLES, seed, y), y),
        "test digits": share(encode(model, public(test, range(len(test))), y=test.labels), test.labels),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="cgan-mnist", help=f"{', '.join(PLAIN)}; flows also -quick")
    parser.add_argument("--guidance", type=float, default=None, help="weight of the class, of a continuous flow")
    parser.add_argument("--images", type=int, default=None, help="another budget than the recipe's")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="thousands of them; fewer for a slow sampler")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=None, help="keeps the run folder there")
    parser.add_argument("--codes", action="store_true", help="of a VAE: also by what its codes are drawn from")
    parser.add_argument("--beside", action="store_true", help="also the recipe without classes, at the same budget")
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    judge = extractor_for(load_data("mnist"), load_data("mnist", "test"))
    with tempfile.TemporaryDirectory() as folder:
        out = args.runs or Path(folder)
        path, row = trained(args.recipe, args.seed, out, args.images)
        agreed, x, y = one(path, judge, args.guidance, args.samples)
        row |= {"seed": args.seed, **agreed}
        print(args.recipe, json.dumps(row), flush=True)
        sources = by_codes(path, judge, args.seed) if args.codes else None
        quick = "-quick" * args.recipe.endswith("-quick")
        plain = PLAIN[args.recipe.removesuffix("-quick")] + quick
        other = beside(plain, args.seed, out, judge, x, y, row["images"]) if args.beside else None
    share, minutes = row["as_asked"], row["processor_seconds"] / 60
    weight = "" if args.guidance is None else f", guided with weight {args.guidance:g}"
    name = f"classes-mnist-{args.recipe}" + ("" if args.guidance is None else f"-guidance{args.guidance:g}")
    record(
        name,
        f"{args.recipe}: share of {args.samples:,} samples{weight} whose class is the one asked for, by a classifier "
        f"that is right on {judge.accuracy:.2%} of the test set",
        f"≥ {WANTED:.0%} within {MINUTES:g} minutes of one thread",
        f"{share:.2%} after {row['images']:,} images, {minutes:.1f} minutes of processor time (seed {args.seed})",
        share >= WANTED and minutes <= MINUTES,
        {"run": row},
        args.note,
    )
    if sources is not None:
        record(
            f"classes-mnist-{args.recipe}-codes",
            f"the decoder of {args.recipe}: share of {SAMPLES:,} samples whose class is the one asked for, by what its "
            "codes are drawn from",
            "said either way",
            "; ".join(f"{k} {v:.1%}" for k, v in sources.items()) + f" (seed {args.seed})",
            None,
            {"run": row, "by_codes": sources},
            args.note,
        )
    if other is not None:
        means: Any = other["mean"]
        record(
            f"{name}-frechet",
            f"{args.recipe} beside {plain} of as many images: Fréchet distance within classes, mean of ten, by the "
            f"classifier's features; those of {plain} are sorted by the classifier, as many of each class",
            "no worse than the sorted samples of the recipe without classes",
            f"{means['asked']:.3f} with classes{weight}, {means['sorted']:.3f} sorted (seed {args.seed})",
            means["asked"] <= means["sorted"],
            {"run": row, "beside": other},
            args.note,
        )


if __name__ == "__main__":
    main()
