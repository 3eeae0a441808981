"""The birds study at 32 px: three losses under one protocol, and what is better at the same budget."""

from __future__ import annotations

from dataclasses import replace

from triptych.core import DataSpec, Objective, Recipe, Train
from triptych.models.gans.resnet import ResNetGAN
from triptych.objectives.gan import GAN, LSGAN, WGANGP
from triptych.objectives.relativistic import Hinge

# The study trained on every image, squashed to 32 px.
BIRDS = DataSpec("birds", resolution=32, split="all")

# 30,000 critic steps, five to one of the generator for all three losses. The study's decay towards step 500,000 had
# come down to 94 % at the end: left out.
STUDY = Train(images=30_000 * 256, batch=256, lr=2e-4, betas=(0.0, 0.9), best="frechet")

# Four times narrower and a quarter of the batch, so with a larger step; five minutes on two cores with matrix units.
SHORT = Train(images=160_000, batch=64, lr=5e-4, betas=(0.0, 0.9), ema=0.99)
NARROW = ResNetGAN(width=32)

LOSSES = {
    "gan": (GAN(n_critic=5), "non-saturating GAN"),
    "lsgan": (LSGAN(n_critic=5), "least squares"),
    "wgan-gp": (WGANGP(), "Wasserstein with gradient penalty"),
}


def study(objective: Objective, words: str) -> Recipe:
    """One loss of the study, at its own width and budget."""
    return Recipe(BIRDS, ResNetGAN(), objective, STUDY, about=f"birds study, 32 px: {words}")


def narrow(objective: Objective, words: str) -> Recipe:
    """The same loss with the narrow networks, for the short budget."""
    return Recipe(BIRDS, NARROW, objective, SHORT, about=f"birds study, narrow: {words}")


def hinge(nets: ResNetGAN, train: Train, words: str) -> Recipe:
    """Miyato et al. 2018 beside the study: hinge loss under spectral normalisation, the rate decayed to 0."""
    about = f"birds, {words}: hinge loss, critic under spectral normalisation, decay to 0"
    model = replace(nets, spectral=True)
    return Recipe(BIRDS, model, Hinge(n_critic=5), replace(train, schedule="linear"), about=about)


RECIPES: dict[str, Recipe] = {
    **{f"{name}-birds": study(objective, words) for name, (objective, words) in LOSSES.items()},
    **{f"{name}-birds-quick": narrow(objective, words) for name, (objective, words) in LOSSES.items()},
    "hinge-birds": hinge(ResNetGAN(), STUDY, "32 px"),
    "hinge-birds-quick": hinge(NARROW, SHORT, "narrow"),
}
