"""Adversarial recipes on the 2-D sets: where a GAN collapses and a Wasserstein critic does not."""

from __future__ import annotations

from dataclasses import replace

from triptych.core import DataSpec, Recipe, Train
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.gan import GAN, LSGAN, WGAN, WGANGP

SETS = {
    "8gaussians": "8 Gaussians",
    "25gaussians": "25 Gaussians",
    "swissroll": "the swiss roll",
    "spiral": "a spiral of 16 unequal Gaussians",
    "links": "two interlocked rings",
}
# Small nets and large steps: after a minute on one core this beats 512 units at the study's rate of 1e-4 by far.
NETS = MLPGAN(latent=2, width=128, depth=3)
BUDGET = 3_200_000
ADAM = Train(images=BUDGET, batch=256, lr=4e-3, betas=(0.5, 0.9), ema=0.999, schedule="linear")
CLIPPED = Train(images=BUDGET, batch=256, lr=5e-4, optimizer="rmsprop", ema=0.999)

OBJECTIVES = {
    # two critic moves for every objective: the same examples, the same moves, the same nets
    "gan": (GAN(n_critic=2), replace(ADAM, lr=1e-3), "non-saturating GAN"),
    "lsgan": (LSGAN(n_critic=2), replace(ADAM, lr=1e-3), "least-squares GAN"),
    "wgan": (WGAN(clip=0.1), CLIPPED, "WGAN with weight clipping"),
    "wgan-gp": (WGANGP(gp=0.1, n_critic=2), ADAM, "WGAN with gradient penalty"),
}

RECIPES = {
    f"{name}-{data}": Recipe(DataSpec(data), NETS, objective, train, about=f"{about} on {words}")
    for name, (objective, train, about) in OBJECTIVES.items()
    for data, words in SETS.items()
}
