"""Fréchet distance of an autoencoder and a VAE on MNIST by what their codes are drawn from: one decoder, each sampler.

The networks of a seed are trained once, in a run folder that is resumed; then each density is fitted to the same codes.
Distances are between as many samples as there are held-out digits, on the set's own extractor.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from common import record, spread

from triptych.core import Data, to_bytes
from triptych.metrics import frechet_from_features
from triptych.metrics.features.extractor import extract
from triptych.metrics.features.self_trained import extractor_for
from triptych.models.families import Autoencoder
from triptych.models.latent_space import decode, encode, public
from triptych.recipes import get
from triptych.run import Run
from triptych.trainer import fit, resume

SAMPLERS = ("prior", "gaussian", "mixture", "flow")
SHARE = 0.25
"""Of the single Gaussian's distance: what the mixture is to reach at most."""


def trained(folder: Path, name: str, seed: int, images: int | None) -> Run:
    """The networks alone, without a second stage."""
    if folder.exists():
        return resume(folder)
    recipe = get(name)
    model: Any = recipe.model
    train = recipe.train if images is None else replace(recipe.train, images=images)
    return fit(replace(recipe, model=replace(model, codes="prior"), train=train), seed, folder, "cpu")


def with_sampler(run: Run, codes: str, train: Data, test: Data) -> tuple[Autoencoder, dict[str, float]]:
    """The run's networks with a second stage fitted to their codes, and what that took."""
    spec: Any = run.recipe.model
    model = replace(spec, codes=codes).build(run.shape())
    model.load_state_dict(run.load(device="cpu").state_dict(), strict=False)
    model.eval()
    torch.manual_seed(run.seed)
    with torch.no_grad():
        return model, model.finish(train, test, run.seed)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--images", type=int, help="budget; default: the recipe's own")
    options.add_argument("--runs", type=Path, default=Path("runs/codes-samplers"))
    options.add_argument("--note", default="")
    args = options.parse_args()
    found: dict[str, dict[str, list[float]]] = {}
    seconds: dict[str, list[float]] = {}
    for seed in range(args.seeds):
        for name in ("ae-mnist", "vae-mnist"):
            run = trained(args.runs / f"{name}-{seed}", name, seed, args.images)
            train, test = run.data(), run.data("test")
            own = extractor_for(train, test)
            real, n = extract(own, test)["features"], len(test)
            rows = found.setdefault(name, {})

            def measured(x: torch.Tensor, real: torch.Tensor = real, own: Any = own) -> float:
                return frechet_from_features(real, extract(own, Data("samples", to_bytes(x)))["features"])

            for codes in SAMPLERS:
                began = time.perf_counter()
                model, told = with_sampler(run, codes, train, test)
                seconds.setdefault(codes, []).append(told.get("codes_seconds", time.perf_counter() - began))
                # an AE has no prior: its running Gaussian is what `prior` means there
                rows.setdefault(codes, []).append(measured(model.sample(n, seed=seed)))
            x = decode(model, encode(model, public(test, range(n))))
            rows.setdefault("reconstruction", []).append(measured(x))
            print(name, seed, {k: round(v[-1], 2) for k, v in rows.items()}, flush=True)
    mean = {name: {k: sum(v) / len(v) for k, v in rows.items()} for name, rows in found.items()}
    shares = {name: rows["mixture"] / rows["gaussian"] for name, rows in mean.items()}
    told = "; ".join(f"{name}: {', '.join(f'{k} {v:.1f}' for k, v in rows.items())}" for name, rows in mean.items())
    record(
        "codes_samplers",
        "A mixture fitted to the codes samples far better than one Gaussian",
        f"Fréchet distance of the AE's mixture at most {SHARE} of its single Gaussian's",
        f"{told}; mixture / Gaussian: {', '.join(f'{k} {v:.2f}' for k, v in shares.items())}",
        shares["ae-mnist"] <= SHARE,
        {
            "frechet": {name: {k: spread(v) for k, v in rows.items()} for name, rows in found.items()},
            "seconds": seconds,
            "images": args.images,
        },
        args.note,
    )


if __name__ == "__main__":
    main()
