"""The z = 10 studies at 64 px, on digits and faces: GAN, WGAN by clipping, WGAN-GP, and the recommended pair."""

from __future__ import annotations

from dataclasses import replace

from triptych.core import DataSpec, Recipe, Train
from triptych.models.gans.dcgan import DCGAN
from triptych.objectives.gan import GAN, WGAN, WGANGP
from triptych.objectives.relativistic import Relativistic

# Twenty epochs of the whole sets, whatever part of them is at hand.
SETS = {
    "mnist64": (DataSpec("mnist", resolution=64), 20 * 60_000, "digits"),
    "celeba64": (DataSpec("celeba", resolution=64), 20 * 202_599, "faces"),
}
STUDY = Train(batch=128, lr=2e-4, betas=(0.5, 0.999), best="frechet")
CLIPPED = Train(batch=128, lr=5e-5, optimizer="rmsprop", best="frechet")

# Four times narrower, for about five minutes on two cores with matrix units, and for an hour.
QUICK = 120_000
HOUR = 500_000

PAIRS = {
    "gan-{}": (DCGAN(), GAN(label_smoothing=(0.7, 0.9)), STUDY, "DCGAN, labels smoothed from one side"),
    "gan-{}-plain": (DCGAN(), GAN(), STUDY, "DCGAN, labels not smoothed"),
    "wgan-{}": (DCGAN(), WGAN(), CLIPPED, "Wasserstein, clipped"),
    "wgan-gp-{}": (DCGAN(norm="none"), WGANGP(), STUDY, "Wasserstein with gradient penalty"),
}
# γ as in the other recommended recipes, where it was picked.
BEST = Relativistic(gamma=0.1)
BEST_NETS = DCGAN(norm="generator")
BEST_TRAIN = replace(STUDY, schedule="linear", ema=0.999, betas=(0.0, 0.99))


def study(loss: str, images: int, data: DataSpec, what: str) -> Recipe:
    """One loss of the study on `data`, for so many real images."""
    nets, objective, train, words = PAIRS[loss]
    return Recipe(data, nets, objective, replace(train, images=images), about=f"{what} at 64 px, z = 10: {words}")


def narrow(loss: str, data: DataSpec, what: str) -> Recipe:
    """The same loss with the narrow networks, for the short budget."""
    full = study(loss, QUICK, data, what)
    assert isinstance(full.model, DCGAN)
    return replace(
        full,
        model=replace(full.model, width=32),
        train=replace(full.train, batch=64, ema=0.99, best=""),
        about=f"{full.about}; narrow",
    )


def best(images: int, data: DataSpec, what: str) -> Recipe:
    """The recommended recipe on `data`."""
    about = f"{what} at 64 px, z = 10, recommended: relativistic, R1 + R2, averaged weights, decay to 0"
    return Recipe(data, BEST_NETS, BEST, replace(BEST_TRAIN, images=images), about=about)


def best_narrow(images: int, data: DataSpec, what: str) -> Recipe:
    """The recommended recipe with the narrow networks.

    On faces a rate of 2e-4 left it behind the plain GAN, see docs/adversarial.md.
    """
    full = best(images, data, what)
    train = replace(full.train, batch=64, lr=5e-4, ema=0.995, best="")
    return replace(full, model=replace(BEST_NETS, width=32), train=train, about=f"{full.about}; narrow")


def recipes_of(name: str) -> dict[str, Recipe]:
    """Every recipe on one of the `SETS`."""
    data, images, what = SETS[name]
    return {
        **{loss.format(name): study(loss, images, data, what) for loss in PAIRS},
        **{f"{loss.format(name)}-quick": narrow(loss, data, what) for loss in PAIRS},
        f"best-{name}": best_narrow(HOUR, data, what),
        f"best-{name}-quick": best_narrow(QUICK, data, what),
        f"best-{name}-full": best(images, data, what),
    }


RECIPES: dict[str, Recipe] = {**recipes_of("mnist64"), **recipes_of("celeba64")}
