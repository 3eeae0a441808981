"""Dynamically binarised MNIST, the IWAE paper's net: test −log p(x) by IWAE-5000 of a VAE, or of IWAE-50.

--run judges a run folder that exists (or is resumed when unfinished); without it the recipe is trained first.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from common import record

from triptych.metrics.log_likelihoods import variational
from triptych.models import VAEModel
from triptych.objectives.autoencoder import Variational
from triptych.recipes import get
from triptych.run import Run
from triptych.trainer import fit, resume

TARGETS = {"vae-binarymnist": (88, 40), "iwae-binarymnist": (86, 90)}
"""Nats, and minutes of training."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("recipe", choices=TARGETS)
    options.add_argument("--run", type=Path)
    options.add_argument("--draws", type=int, default=5000)
    options.add_argument("--examples", type=int, default=1000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--as-it-is", action="store_true", help="judge an unfinished run without training on")
    options.add_argument("--note", default="")
    args = options.parse_args()
    folder = args.run or Path("runs") / f"{args.recipe}-{args.seed}"
    if not args.as_it_is:
        run = resume(folder) if folder.exists() else fit(get(args.recipe), args.seed, folder)
    else:
        run = Run(folder)
    model, test = run.load(device="cpu"), run.data("test")
    assert isinstance(model, VAEModel)
    assert isinstance(run.recipe.objective, Variational)
    torch.manual_seed(args.seed)
    elbo, _ = variational(model, run.recipe.objective, test.x)
    chosen = torch.randperm(len(test))[: args.examples]
    bound, card = variational(model, run.recipe.objective, test.x[chosen], args.draws, chunk=10_000)
    gain = bound - elbo[chosen]
    target, minutes = TARGETS[args.recipe]
    took = run.status["seconds"] / 60
    value = -(elbo.mean() + gain.mean()).item()
    se = math.sqrt(gain.var().item() / len(gain) * (1 - len(gain) / len(test)))
    images = run.status["images"]
    record(
        args.recipe,
        f"{args.recipe}: test -log p(x), binarised MNIST, 50 latent, 2 x 200 tanh",
        f"≤ {target} nats by IWAE-5000 in ≤ {minutes} min",
        f"{value:.2f} ± {se:.2f} nats by IWAE-{args.draws} (minus the ELBO of all {len(test):,} test images, "
        f"{-elbo.mean().item():.2f}, less its mean gain on {len(gain):,}) after {images:,} images, {took:.0f} min",
        value <= target and took <= minutes,
        {
            "card": str(card),
            "value": value,
            "se": se,
            "nll_elbo": -elbo.mean().item(),
            "images": images,
            "seconds": run.status["seconds"],
            "state": run.status["state"],
            "train": str(run.recipe.train),
        },
        args.note,
    )


if __name__ == "__main__":
    main()
