"""Autoencoders whose samples are sharp: a hierarchy of latent groups, and discrete codes with a transformer's prior."""

from __future__ import annotations

from dataclasses import replace

from triptych.core import DataSpec, Recipe, Train
from triptych.models.discrete import FSQTransformer
from triptych.models.hierarchical import HierarchicalVAE
from triptych.objectives.autoencoder import VAE
from triptych.objectives.discrete import FSQ

MNIST, CIFAR10 = DataSpec("mnist"), DataSpec("cifar10")
BIRDS = DataSpec("birds", resolution=32, split="all")
CELEBA64 = DataSpec("celeba", resolution=64)

HOUR = Train(images=600_000, batch=64, lr=2e-3, schedule="cosine", warmup=6_400, clip=200.0, ema=0.999)
MINUTES = replace(HOUR, warmup=3_000, ema=0.99)

# Of a logistic the mean of black costs nothing far below black: for hundreds of steps all is black, and codes that say
# nothing in the beginning never do. A Gaussian has no such tail.
LADDER = VAE(likelihood="gaussian-learned")
GROUPS = HierarchicalVAE()
LADDER_WORDS = "hierarchical VAE, sigma learned"
CODES = FSQ(likelihood="gaussian-learned", share=0.2)
GRID = FSQTransformer(codes=12, near=True)
CODES_WORDS = "discrete codes (FSQ), then a transformer that draws them"


def hierarchical(data: DataSpec, images: int, quick: int, patch: int = 2) -> tuple[Recipe, Recipe]:
    """The recipe of about an hour of two cores, and that of five minutes of one; colour needs more of everything."""
    colour = data.name != "mnist"
    small = replace(GROUPS, patch=patch)
    model = replace(small, groups=3, channels=6) if colour else small
    long = Recipe(data, model, LADDER, replace(HOUR, images=images, flip=colour), about=LADDER_WORDS)
    train = replace(MINUTES, images=quick, evaluate=quick // 2, flip=colour)
    return long, replace(long, model=small, train=train, about=f"{LADDER_WORDS}; shortened")


def discrete(data: DataSpec, model: FSQTransformer, images: int, quick: int) -> tuple[Recipe, Recipe]:
    """The recipe of about an hour of two cores, and with narrow networks that of five minutes of one."""
    colour = data.name != "mnist"
    # a rate of 2e-3 was tried on digits alone
    train = replace(HOUR, images=images, lr=1e-3 if colour else 2e-3, clip=50.0, flip=colour)
    long = Recipe(data, model, CODES, train, about=CODES_WORDS)
    # too short to overfit
    narrow = replace(model, width=32, prior_width=96, prior_depth=3, dropout=0.0)
    train = replace(MINUTES, images=quick, evaluate=quick // 2, clip=50.0, flip=colour)
    return long, replace(long, model=narrow, train=train, about=f"{CODES_WORDS}; narrow")


PAIRS = {
    "hvae-mnist": hierarchical(MNIST, 2_500_000, 100_000),
    "hvae-cifar10": hierarchical(CIFAR10, 1_400_000, 70_000),
    "hvae-birds": hierarchical(BIRDS, 1_400_000, 70_000),
    "hvae-celeba64": hierarchical(CELEBA64, 1_000_000, 48_000, patch=4),
    "fsq-mnist": discrete(MNIST, replace(GRID, side=7, codes=2, dropout=0.1, min_p=0.15), 1_800_000, 90_000),
    "fsq-cifar10": discrete(CIFAR10, replace(GRID, min_p=0.1), 1_200_000, 100_000),
    "fsq-birds": discrete(BIRDS, GRID, 1_200_000, 100_000),
    "fsq-birds64": discrete(replace(BIRDS, resolution=64), replace(GRID, codes=16), 650_000, 60_000),
    "fsq-celeba64": discrete(CELEBA64, replace(GRID, codes=16), 650_000, 60_000),
}


def in_grey_levels(recipe: Recipe) -> Recipe:
    """The same with the probability of the grey levels themselves, of a scale for each pixel."""
    assert isinstance(recipe.model, HierarchicalVAE)
    about = recipe.about.replace("sigma learned", "discretised logistic, a learned scale for each pixel")
    model, objective = replace(recipe.model, scale="pixel"), VAE(likelihood="logistic")
    return replace(recipe, model=model, objective=objective, about=about)


RECIPES: dict[str, Recipe] = {
    **{f"{name}-logistic": in_grey_levels(PAIRS[name][0]) for name in ("hvae-mnist", "hvae-cifar10")},
    **{f"{name}-logistic-quick": in_grey_levels(PAIRS[name][1]) for name in ("hvae-mnist", "hvae-cifar10")},
    **{name: long for name, (long, _) in PAIRS.items()},
    **{f"{name}-quick": quick for name, (_, quick) in PAIRS.items()},
}
