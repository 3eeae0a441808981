"""Named studies: plain Python functions from a scale to recipes. The first line of each says what it asks.

`quick` takes minutes on two processor cores, `plain` the budgets of the recipes by their plain names (an hour, where
there is a longer one), `full` the original budgets. Nothing heavy is imported until a study is made, so that their
names can be listed at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from triptych.core.discovery import first_line, parts
from triptych.errors import UserError, nearest

if TYPE_CHECKING:
    from triptych.core import Recipe
    from triptych.study import Scale, Study

    Recipes = tuple[Recipe, ...]

TOYS = ("8gaussians", "25gaussians", "swissroll")
ANGLE = 30
"""Degrees by which a set of the plane is turned: no grid, ring or marginal falls on itself."""
EPOCHS = 20
"""Of the studies on ten latent dimensions."""


def within(images: int, name: str, scale: Scale) -> Recipe:
    """A named recipe; at `quick` with that budget, cadences as fractions of it, and few evaluations."""
    from triptych.recipes.named import get

    found = get(name)
    if scale != "quick":
        return found
    cadence = {"log": 0, "evaluate": max(1, images // 4), "sample": 0, "checkpoint": 0}
    warmup = round(found.train.warmup * images / found.train.images)
    return replace(found, train=replace(found.train, images=images, warmup=warmup, **cadence))


def scaled(names: tuple[str, ...], scale: Scale) -> Recipes:
    """The recipes of these names, the `-quick` ones, or those of the original budgets: `-full` where there is one."""
    from triptych.recipes.named import all_recipes

    known = all_recipes()
    if scale == "plain":
        return tuple(known[name] for name in names)
    if scale == "quick":
        return tuple(known[f"{name}-quick"] for name in names)
    return tuple(known.get(f"{name}-full", known[name]) for name in names)


def birds(scale: Scale) -> Recipes:
    """GAN, LSGAN, WGAN-GP and the recommended recipe on CUB-200-2011 at 32 x 32: which samples are best, and when?"""
    return scaled(("gan-birds", "lsgan-birds", "wgan-gp-birds", "best-birds"), scale)


def cifar10_ae(scale: Scale) -> Recipes:
    """Autoencoders of 16, 128 and 1024 latent dimensions on CIFAR-10: how much does the size of the code buy?"""
    return scaled(("ae-cifar10-16", "ae-cifar10-128", "ae-cifar10-1024"), scale)


def cifar10_vae(scale: Scale) -> Recipes:
    """Autoencoder against VAE, both of 1024 latent dimensions, on CIFAR-10: what does the prior cost and give?"""
    return scaled(("ae-cifar10-1024", "vae-cifar10"), scale)


def cifar10_beta(scale: Scale) -> Recipes:
    """VAEs of beta 0.8, 1 and 1.2 on CIFAR-10: reconstruction against KL."""
    return scaled(("vae-cifar10-beta0.8", "vae-cifar10", "vae-cifar10-beta1.2"), scale)


def cifar10_anneal(scale: Scale) -> Recipes:
    """A VAE whose beta grows from 0 to 1 against a constant 1 on CIFAR-10: does a gentle start help?"""
    return scaled(("vae-cifar10", "vae-cifar10-linear"), scale)


def toys(scale: Scale) -> Recipes:
    """Five GANs, a VAE and two flows on 2-D sets as they stand and turned: who loses modes, and what cures it?"""
    straight = of_points(scale)
    return tuple(made for one in straight for made in (one, turned(one)))


def turned(recipe: Recipe) -> Recipe:
    """A recipe of a set of the plane on the turned set: a network that leans on the axes does worse there."""
    from triptych.core import DataSpec

    angle = f"@{ANGLE}"
    return replace(recipe, name=recipe.name + angle, data=DataSpec(recipe.data.name + angle))


def of_points(scale: Scale) -> Recipes:
    """Eight models on each of three 2-D sets whose density is known."""
    from triptych.objectives.gan import GAN

    budgets = {
        "gan": 250_000,
        "lsgan": 250_000,
        "wgan": 450_000,
        "wgan-gp": 350_000,
        "vae": 600_000,
        "realnvp": 400_000,
        "spline": 700_000,
    }
    found = []
    for data in TOYS:
        for model, images in budgets.items():
            made = within(images, f"{model}-{data}", scale)
            found.append(made)
            if isinstance(made.objective, GAN):
                smooth = replace(made.objective, label_smoothing=(0.7, 0.9))
                found.append(replace(made, name=f"gan-smooth-{data}", objective=smooth))
    return tuple(found)


def of_ten_dimensions(data: str, scale: Scale) -> Recipes:
    """The GANs of ten latent dimensions at 64 x 64, the plain one with and without smoothed labels.

    Samples are drawn twenty times: at a full budget of twenty epochs after each.
    """
    found = scaled((f"gan-{data}", f"gan-{data}-plain", f"wgan-{data}", f"wgan-gp-{data}"), scale)
    return tuple(replace(r, train=replace(r.train, sample=r.train.images // EPOCHS)) for r in found)


def digits(scale: Scale) -> Recipes:
    """GAN with smoothed and hard labels, WGAN and WGAN-GP on MNIST at 64 x 64, ten latent dimensions, by epoch."""
    return of_ten_dimensions("mnist64", scale)


def faces(scale: Scale) -> Recipes:
    """GAN with smoothed and hard labels, WGAN and WGAN-GP on CelebA at 64 x 64, ten latent dimensions, by epoch."""
    return of_ten_dimensions("celeba64", scale)


def coursework(scale: Scale) -> Recipes:
    """Every figure of the two course studies: GANs on birds at 32 x 32, autoencoders and VAEs on CIFAR-10."""
    parts = (birds, cifar10_ae, cifar10_vae, cifar10_beta, cifar10_anneal)
    return tuple({made.name: made for part in parts for made in part(scale)}.values())


def project_page(scale: Scale) -> Recipes:
    """Every figure of the project page: GANs, VAEs and flows on digits, faces and points."""
    budgets = {"vae-mnist": 250_000, "realnvp-mnist": 32_000, "glow-mnist": 30_000}
    others = tuple(within(images, name, scale) for name, images in budgets.items())
    return (
        *digits(scale),
        *others,
        *faces(scale),
        *scaled(("vae-celeba64", "glow-celeba64"), scale),
        *of_points(scale),
    )


def three_families(scale: Scale) -> Recipes:
    """GANs, autoencoders and flows, plain and stronger, on MNIST and CIFAR-10: samples, likelihood, codes, cost."""
    from triptych.core import DataSpec
    from triptych.recipes.small_images import SMALL

    budgets = {
        "mnist": {
            "gan-mnist": 45_000,
            "wgan-gp-mnist": 30_000,
            "best-mnist": 30_000,
            "ae-mnist": 90_000,
            "vae-mnist": 250_000,
            "realnvp-mnist": 32_000,
            "glow-mnist": 30_000,
        },
        "cifar10": {
            "gan-mnist": 30_000,
            "wgan-gp-mnist": 20_000,
            "best-mnist": 20_000,
            "ae-cifar10-128": 40_000,
            "vae-cifar10": 40_000,
            "realnvp-mnist": 10_000,
            "glow-mnist": 7_000,
        },
    }
    found = []
    for data, each in budgets.items():
        for name, images in each.items():
            made = within(images, name, scale)
            if made.name == "best-mnist" and (scale == "quick" or data == "cifar10"):
                # without the discrete latent, which takes more than a minute and data that come in kinds
                made = replace(made, model=SMALL)
            called = name.replace("mnist", data).replace("best-cifar10", "relativistic-cifar10")  # no recipe's name
            found.append(replace(made, name=called, data=DataSpec(data)))
    return tuple(found)


def recommended(scale: Scale) -> Recipes:
    """The recommended GAN, discrete codes and flow of birds, CIFAR-10 and MNIST: how good after how many minutes?

    All are evaluated ten times, for the curves.
    """
    data, kinds = ("birds", "cifar10", "mnist"), ("best", "fsq", "lcfm")
    found = scaled(tuple(f"{kind}-{name}" for name in data for kind in kinds), scale)
    return tuple(replace(recipe, train=replace(recipe.train, evaluate=0)) for recipe in found)


def quickstart(scale: Scale) -> Recipes:
    """All three families on 8 Gaussians and on images drawn by the program itself: a first look in minutes."""
    from triptych.recipes.small_images import SMALL_GLYPHS

    budgets = {
        "gan-8gaussians": 200_000,
        "wgan-gp-8gaussians": 250_000,
        "vae-8gaussians": 150_000,
        "spline-8gaussians": 300_000,
    }
    points = tuple(within(images, name, scale) for name, images in budgets.items())
    glyphs = scaled(("gan-glyphs", "vae-glyphs", "lcfm-glyphs"), scale)
    return (*points, *(replace(made, data=SMALL_GLYPHS) for made in glyphs))


LINES = "parallel-lines"


def parallel_lines(scale: Scale) -> Recipes:
    """Two parallel lines drawn apart: divergence, Wasserstein estimate and gradient against the offset."""
    raise UserError(f"{LINES} trains no recipes; `triptych study {LINES}` makes its page")


STUDIES: dict[str, tuple[Callable[[Scale], Recipes], int]] = {
    "quickstart": (quickstart, 3),
    "toys": (toys, 5),
    "three-families": (three_families, 3),
    "recommended": (recommended, 3),
    "digits": (digits, 3),
    "faces": (faces, 3),
    "birds": (birds, 3),
    "cifar10-ae": (cifar10_ae, 3),
    "cifar10-vae": (cifar10_vae, 3),
    "cifar10-beta": (cifar10_beta, 3),
    "cifar10-anneal": (cifar10_anneal, 3),
    LINES: (parallel_lines, 3),
    "coursework": (coursework, 1),
    "project-page": (project_page, 1),
}
"""The recipes of each, and the number of seeds."""


def studies() -> dict[str, tuple[Callable[[Scale], Recipes], int]]:
    """Every named study, of plug-ins too."""
    return {name: part.value for name, part in parts("study").items()}


def listing() -> dict[str, str]:
    """Every named study and what it asks."""
    return {name: first_line(make) for name, (make, _) in studies().items()}


def get(name: str, scale: Scale = "quick") -> Study:
    """The study of that name; UserError with the nearest names otherwise.

    At `quick` a run is evaluated on the 2,500 examples of the mode-coverage protocol.
    """
    from triptych.study.study import Study

    known = studies()
    if name not in known:
        hint = nearest(name, known, f"known: {', '.join(known)}")
        raise UserError(f"no study is named {name!r}; {hint}")
    make, seeds = known[name]
    return Study(name, make(scale), seeds, first_line(make), 2_500 if scale == "quick" else None)
