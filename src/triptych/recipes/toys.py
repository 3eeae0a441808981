"""Adversarial recipes on the 2-D sets: where a GAN collapses and a Wasserstein critic does not."""

from __future__ import annotations

from triptych.core import DataSpec, Recipe, Train
from triptych.nets.mlp import MLPGAN
from triptych.objectives.gan import GAN, LSGAN, WGAN, WGANGP

SETS = {"8gaussians": "8 Gaussians", "25gaussians": "25 Gaussians", "swissroll": "the swiss roll"}
NETS = MLPGAN(latent=2, width=512, depth=3)

# examples drawn by the critic; every objective gets the same
BUDGET = 1_500_000


def toy(objective: GAN | LSGAN | WGAN | WGANGP, data: str, about: str, train: Train) -> Recipe:
    return Recipe(DataSpec(data), NETS, objective, train, about=about)


RECIPES: dict[str, Recipe] = {}
for data, words in SETS.items():
    adam = Train(images=BUDGET, batch=256, lr=2e-4, betas=(0.5, 0.9), ema=0.999, schedule="linear")
    RECIPES |= {
        f"gan-{data}": toy(GAN(), data, f"non-saturating GAN on {words}", adam),
        f"lsgan-{data}": toy(LSGAN(), data, f"least-squares GAN on {words}", adam),
        f"wgan-{data}": toy(
            WGAN(clip=0.1),
            data,
            f"WGAN with weight clipping on {words}",
            Train(images=BUDGET, lr=5e-5, optimizer="rmsprop"),
        ),
        f"wgan-gp-{data}": toy(WGANGP(gp=0.1), data, f"WGAN with gradient penalty on {words}", adam),
    }
