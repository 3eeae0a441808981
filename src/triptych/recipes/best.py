"""The recommended GANs of colour images at 32 px, and of birds at 64."""

from __future__ import annotations

from dataclasses import replace

from triptych.core import DataSpec, Recipe, Train
from triptych.models.gans.pyramid import PyramidGAN
from triptych.models.gans.resnet import ResNetGAN
from triptych.objectives.relativistic import Relativistic
from triptych.recipes import faces
from triptych.recipes.birds import BIRDS, NARROW, SHORT, STUDY

# Augmented, the narrow nets drew textures but no birds: kernel distance (offline-v1) 0.35 after 800,000 pictures of
# seed 0; without 0.07 after 240,000 of seed 1.
# γ = 0.1 found by single short trials of the narrow nets, seed 100: 0.02 was no better half way.
PLAIN = Relativistic(gamma=0.1)
AUGMENTED = replace(PLAIN, augment=("color", "translation", "cutout"))
WORDS = "relativistic, R1 + R2"
PYRAMID = PyramidGAN(width=24)
HOUR = 700_000
"""Pictures that the pyramid is shown in about an hour of one core."""
Nets = ResNetGAN | PyramidGAN


def best(data: DataSpec, nets: Nets, objective: Relativistic, train: Train, about: str) -> Recipe:
    """The recommended recipe: averaged weights, the rate decayed to 0."""
    averaged = replace(train, betas=(0.0, 0.99), schedule="linear", ema=0.999, flip=True)
    return Recipe(data, nets, objective, averaged, about=about)


def budgets(data: DataSpec, what: str, quick: tuple[Nets, int]) -> dict[str, Recipe]:
    """For minutes, with these nets and so many images, for an hour, and for a GPU."""
    nets, images = quick
    return {
        f"best-{data.name}-quick": best(
            data, nets, PLAIN, replace(SHORT, images=images), f"{what}, 32 px: {WORDS}, narrow, for minutes"
        ),
        f"best-{data.name}": best(
            data,
            PYRAMID,
            PLAIN,
            replace(SHORT, images=HOUR, best="frechet"),
            f"{what}, recommended for an hour: {WORDS}, averaged weights, decay to 0",
        ),
        f"best-{data.name}-full": best(
            data,
            replace(PYRAMID, width=96),
            AUGMENTED,
            STUDY,
            f"{what}, 32 px: {WORDS}, full width and augmented, for a GPU",
        ),
    }


def of_64_pixels(images: int) -> Recipe:
    """The nets of the faces, with a latent space of 128 dimensions: the ten of the study were about ten."""
    made = faces.best_narrow(images, replace(BIRDS, resolution=64), "birds")
    train = replace(made.train, flip=True)
    about = f"birds at 64 px, recommended: {WORDS}, averaged weights, decay to 0; narrow"
    return replace(made, model=replace(faces.BEST_NETS, width=32, latent=128), train=train, about=about)


RECIPES: dict[str, Recipe] = {
    # On birds the narrow nets of the study are a little nearer after ten minutes of a slow core, the pyramid after
    # twenty (seed 0). On CIFAR-10 they stood still after 100,000 pictures and drew hatching (seeds 1 and 100).
    **budgets(BIRDS, "birds", (NARROW, 160_000)),
    **budgets(DataSpec("cifar10"), "CIFAR-10", (PYRAMID, 50_000)),
    "best-birds64": of_64_pixels(faces.HOUR),
    "best-birds64-quick": of_64_pixels(faces.QUICK),
}
