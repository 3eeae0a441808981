"""Named studies: plain Python functions from a scale to a `Study`. The first line of each says what it asks.

`quick` takes minutes on two processor cores, `full` the original budgets. Nothing heavy is imported until a study
is made, so that their names can be listed at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from triptych.errors import UserError

if TYPE_CHECKING:
    from triptych.core import Recipe
    from triptych.study import Scale, Study

TOYS = ("8gaussians", "25gaussians", "swissroll")


def recipe(name: str, images: int | None = None) -> Recipe:
    """A named recipe, with another budget: cadences are then fractions of it, with few evaluations."""
    from triptych.recipes import get

    found = get(name)
    if images is None:
        return found
    cadence = {"log": 0, "evaluate": max(1, images // 4), "sample": 0, "checkpoint": 0}
    warmup = round(found.train.warmup * images / found.train.images)
    return replace(found, train=replace(found.train, images=images, warmup=warmup, **cadence))


def scaled(names: tuple[str, ...], scale: Scale) -> tuple[Recipe, ...]:
    """The recipes of the original budgets, or their shorter `-quick` twins."""
    return tuple(recipe(name if scale == "full" else f"{name}-quick") for name in names)


def birds(scale: Scale) -> Study:
    """GAN, LSGAN, WGAN-GP and the recommended recipe on CUB-200-2011 at 32 x 32: which samples are best, and when?"""
    from triptych.study import Study

    names = ("gan-birds", "lsgan-birds", "wgan-gp-birds", "best-birds")
    return Study("birds", scaled(names, scale), 3, first_line(birds), judged(scale))


def cifar10_ae(scale: Scale) -> Study:
    """Autoencoders of 16, 128 and 1024 numbers on CIFAR-10: how much does the size of the code buy?"""
    from triptych.study import Study

    names = ("ae-cifar10-16", "ae-cifar10-128", "ae-cifar10-1024")
    return Study("cifar10-ae", scaled(names, scale), 3, first_line(cifar10_ae), judged(scale))


def cifar10_vae(scale: Scale) -> Study:
    """Autoencoder against VAE, both of 1024 numbers, on CIFAR-10: what does the prior cost and give?"""
    from triptych.study import Study

    return Study(
        "cifar10-vae", scaled(("ae-cifar10-1024", "vae-cifar10"), scale), 3, first_line(cifar10_vae), judged(scale)
    )


def cifar10_beta(scale: Scale) -> Study:
    """VAEs of beta 0.8, 1 and 1.2 on CIFAR-10: reconstruction against KL."""
    from triptych.study import Study

    names = ("vae-cifar10-beta0.8", "vae-cifar10", "vae-cifar10-beta1.2")
    return Study("cifar10-beta", scaled(names, scale), 3, first_line(cifar10_beta), judged(scale))


def cifar10_anneal(scale: Scale) -> Study:
    """A VAE whose beta grows from 0 to 1 against a constant 1 on CIFAR-10: does a gentle start help?"""
    from triptych.study import Study

    return Study(
        "cifar10-anneal",
        scaled(("vae-cifar10", "vae-cifar10-linear"), scale),
        3,
        first_line(cifar10_anneal),
        judged(scale),
    )


def toys(scale: Scale) -> Study:
    """Five GANs, a VAE and a flow on 2-D sets whose density is known: who loses modes, and what cures it?"""
    from triptych.objectives.gan import GAN
    from triptych.study import Study

    budgets = {
        "gan": 250_000,
        "lsgan": 250_000,
        "wgan": 450_000,
        "wgan-gp": 350_000,
        "vae": 600_000,
        "realnvp": 400_000,
    }
    found = []
    for data in TOYS:
        for model, images in budgets.items():
            made = recipe(f"{model}-{data}", images if scale == "quick" else None)
            found.append(made)
            if isinstance(made.objective, GAN):
                smooth = replace(made.objective, label_smoothing=(0.7, 0.9))
                found.append(replace(made, name=f"gan-smooth-{data}", objective=smooth))
    return Study("toys", tuple(found), 5, first_line(toys), judged(scale))


def digits(scale: Scale) -> Study:
    """GAN against WGAN-GP on MNIST at 64 x 64, ten numbers of noise: samples at epochs 1, 10 and 20."""
    from triptych.study import Study

    return Study("digits", scaled(("gan-mnist64", "wgan-gp-mnist64"), scale), 3, first_line(digits), judged(scale))


def faces(scale: Scale) -> Study:
    """GAN against WGAN-GP on CelebA at 64 x 64, ten numbers of noise: samples at epochs 1, 10 and 20."""
    from triptych.study import Study

    return Study("faces", scaled(("gan-celeba64", "wgan-gp-celeba64"), scale), 3, first_line(faces), judged(scale))


def three_families(scale: Scale) -> Study:
    """GANs, autoencoders and a flow on MNIST and CIFAR-10: quality, coverage, likelihood, codes, cost."""
    from triptych.core import DataSpec
    from triptych.study import Study

    budgets = {
        "gan-mnist": 60_000,
        "wgan-gp-mnist": 100_000,
        "ae-mnist": 150_000,
        "vae-mnist": 150_000,
        "realnvp-mnist": 100_000,
    }
    found = []
    for data in ("mnist", "cifar10"):
        for name, images in budgets.items():
            made = recipe(name, images if scale == "quick" else None)
            found.append(replace(made, name=name.replace("mnist", data), data=DataSpec(data)))
    return Study("three-families", tuple(found), 3, first_line(three_families), judged(scale))


def quickstart(scale: Scale) -> Study:
    """All three families on 25 Gaussians and on pictures drawn by the program itself: a first look in minutes."""
    from triptych.study import Study

    budgets = {
        "gan-25gaussians": 200_000,
        "wgan-gp-25gaussians": 300_000,
        "vae-25gaussians": 400_000,
        "realnvp-25gaussians": 250_000,
        "gan-glyphs": 12_000,
        "wgan-gp-glyphs": 20_000,
        "vae-glyphs": 16_000,
        "realnvp-glyphs": 20_000,
    }
    found = tuple(recipe(name, images if scale == "quick" else None) for name, images in budgets.items())
    return Study("quickstart", found, 2, first_line(quickstart), judged(scale))


def judged(scale: Scale) -> int | None:
    """Examples that a run is judged on: the 2,500 of the mode-coverage protocol at `quick`."""
    return 2_500 if scale == "quick" else None


def first_line(function: Callable[..., object]) -> str:
    return (function.__doc__ or "").splitlines()[0]


STUDIES: dict[str, Callable[[Scale], Study]] = {
    "quickstart": quickstart,
    "toys": toys,
    "three-families": three_families,
    "digits": digits,
    "faces": faces,
    "birds": birds,
    "cifar10-ae": cifar10_ae,
    "cifar10-vae": cifar10_vae,
    "cifar10-beta": cifar10_beta,
    "cifar10-anneal": cifar10_anneal,
}
LINES = "parallel-lines"
LINES_ABOUT = "Two parallel lines drawn apart: divergence, Wasserstein estimate and gradient against the offset."
"""This one trains no generator: see `lines.py`."""


def listing() -> dict[str, str]:
    """Every named study and what it asks."""
    return {name: first_line(make) for name, make in STUDIES.items()} | {LINES: LINES_ABOUT}


def get(name: str, scale: Scale = "quick") -> Study:
    """The study of that name; UserError with the nearest names otherwise."""
    if name not in STUDIES:
        near = difflib.get_close_matches(name, [*STUDIES, LINES], n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join([*STUDIES, LINES])}"
        raise UserError(f"no study is named {name!r}; {hint}")
    return STUDIES[name](scale)
