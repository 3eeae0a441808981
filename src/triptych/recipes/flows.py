"""Normalizing flows by maximum likelihood."""

from __future__ import annotations

from dataclasses import replace

from triptych.core import DataSpec, ModelSpec, Recipe, Train
from triptych.models.flows.autoregressive import MAF
from triptych.models.flows.coupling import NSF, RealNVP
from triptych.models.flows.multiscale import Glow, MultiScaleRealNVP
from triptych.models.flows.transformer import JetFlow, TransformerFlow
from triptych.objectives.flow import NLL

TOYS = ("8gaussians", "25gaussians", "swissroll", "moons", "checkerboard", "pinwheel", "rings", "spiral", "links")

TOY = Train(images=3_500_000, batch=512, lr=3e-3, schedule="cosine", clip=200.0, ema=0.999, log=35_000)

SPLINE = replace(TOY, images=4_000_000, lr=5e-3, clip=100.0)

IMAGES = Train(
    images=1_500_000, batch=64, lr=2e-3, schedule="cosine", warmup=6_400, clip=2_000.0, ema=0.999, best="bits_per_dim"
)


def toys(data: str) -> dict[str, Recipe]:
    """The three flows for vectors on one 2-D set."""

    def flow(model: ModelSpec, train: Train, words: str) -> Recipe:
        return Recipe(DataSpec(data), model, NLL(), train, about=f"flow, {words}: exact likelihood, 2-D")

    return {
        f"realnvp-{data}": flow(RealNVP(width=64), TOY, "affine couplings"),
        f"spline-{data}": flow(NSF(layers=2, bins=24), SPLINE, "rational-quadratic spline couplings"),
        f"maf-{data}": flow(MAF(width=64), TOY, "masked autoregressive"),
    }


def shortened(recipe: Recipe, images: int = 50_000) -> Recipe:
    """A first look at an image flow: a few minutes on two cores."""
    return replace(recipe, train=replace(recipe.train, images=images, ema=0.99), about=f"{recipe.about}; shortened")


REALNVP_MNIST = Recipe(
    DataSpec("mnist"),
    MultiScaleRealNVP(width=64, preprocess="quantiles"),
    NLL(),
    IMAGES,
    about="multi-scale affine couplings, exact likelihood",
)
GLOW_MNIST = Recipe(
    DataSpec("mnist"),
    Glow(levels=2, steps=8, width=64, preprocess="quantiles"),
    NLL(),
    IMAGES,
    about="actnorm, 1×1 convolutions, affine couplings",
)
GLOW_CIFAR10 = Recipe(
    DataSpec("cifar10"),
    Glow(),
    NLL(),
    replace(IMAGES, images=3_000_000, lr=1e-3, flip=True),
    about="actnorm, 1×1 convolutions, affine couplings",
)

GLOW_BIRDS = replace(
    GLOW_CIFAR10, data=DataSpec("birds", resolution=32, split="all"), about=f"{GLOW_CIFAR10.about}; birds, 32 px"
)
GLOW_CELEBA64 = replace(
    GLOW_CIFAR10,
    about=f"{GLOW_CIFAR10.about}; faces, 64 px",
    data=DataSpec("celeba", resolution=64),
    model=Glow(levels=4, width=64),
    train=replace(GLOW_CIFAR10.train, images=1_000_000),
)


def narrow(recipe: Recipe, images: int) -> Recipe:
    """A first look with few steps and narrow couplings: some minutes of one core."""
    assert isinstance(recipe.model, Glow)
    model = replace(recipe.model, steps=4, width=32)
    train = replace(recipe.train, images=images, ema=0.99, best="")
    return replace(recipe, model=model, train=train, about=f"{recipe.about}; narrow")


def learned_noise(recipe: Recipe) -> Recipe:
    """The same flow, with noise from a flow of its own in place of uniform noise: a tighter bound."""
    assert isinstance(recipe.model, Glow)
    model = replace(recipe.model, dequantise="variational")
    return replace(recipe, model=model, about=f"{recipe.about}, learned dequantisation")


# Transformers take smaller steps than convolutions.
TOKENS = replace(IMAGES, images=600_000, lr=5e-4, clip=100.0)
JET_MNIST = Recipe(
    DataSpec("mnist"),
    JetFlow(layers=12, depth=1, preprocess="quantiles"),
    NLL(),
    TOKENS,
    about="couplings by transformers over patches, exact likelihood",
)
JET_CIFAR10 = replace(
    JET_MNIST,
    data=DataSpec("cifar10"),
    model=JetFlow(layers=16, width=192, depth=1),
    train=replace(TOKENS, images=2_000_000, flip=True),
)
TARFLOW_MNIST = replace(
    JET_MNIST,
    model=TransformerFlow(layers=6, preprocess="quantiles"),
    about="causal transformers over patches, exact likelihood",
)
TARFLOW_CIFAR10 = replace(JET_CIFAR10, model=TransformerFlow(layers=6, width=192, depth=3), about=TARFLOW_MNIST.about)

RECIPES: dict[str, Recipe] = {
    **{name: recipe for data in TOYS for name, recipe in toys(data).items()},
    "realnvp-mixture-8gaussians": Recipe(
        DataSpec("8gaussians"),
        RealNVP(width=64, layers=4, components=32),
        NLL(),
        TOY,
        about="flow, affine couplings on a learned mixture of Gaussians: exact likelihood, 2-D",
    ),
    "realnvp-glyphs": Recipe(
        DataSpec("glyphs", resolution=16, channels=1),
        MultiScaleRealNVP(levels=2, couplings=2, width=48, preprocess="quantiles"),
        NLL(),
        replace(IMAGES, images=60_000, ema=0.99),
        about="multi-scale affine couplings on drawn digits and letters",
    ),
    "realnvp-mnist": REALNVP_MNIST,
    "realnvp-mnist-quick": shortened(REALNVP_MNIST),
    "glow-mnist": GLOW_MNIST,
    "glow-mnist-quick": shortened(GLOW_MNIST),
    "glow-mnist-variational": learned_noise(GLOW_MNIST),
    "glow-cifar10": GLOW_CIFAR10,
    "glow-cifar10-quick": shortened(GLOW_CIFAR10),
    "glow-cifar10-variational": learned_noise(GLOW_CIFAR10),
    "glow-birds": GLOW_BIRDS,
    "glow-birds-quick": narrow(GLOW_BIRDS, 180_000),
    "glow-celeba64": GLOW_CELEBA64,
    "glow-celeba64-quick": narrow(GLOW_CELEBA64, 50_000),
    "jet-mnist": JET_MNIST,
    "jet-mnist-quick": shortened(JET_MNIST),
    "jet-cifar10": JET_CIFAR10,
    "jet-cifar10-quick": shortened(JET_CIFAR10, 15_000),
    "tarflow-mnist": TARFLOW_MNIST,
    "tarflow-mnist-quick": shortened(TARFLOW_MNIST),
    "tarflow-cifar10": TARFLOW_CIFAR10,
    "tarflow-cifar10-quick": shortened(TARFLOW_CIFAR10, 25_000),
}
