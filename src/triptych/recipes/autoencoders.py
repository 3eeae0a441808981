"""Autoencoders: 2-D sets, digits and glyphs, and every run of the CIFAR-10 study."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from triptych.core import DataSpec, Recipe, Train
from triptych.models.autoencoders import ConvAutoencoder, MLPAutoencoder, ResidualAutoencoder
from triptych.models.code_sampler import Codes
from triptych.models.observed import Scale
from triptych.objectives.autoencoder import AE, IWAE, VAE

EPOCH = 50_000
"""CIFAR-10's training images: the study counts epochs."""

toy_train = Train(images=2_000_000, batch=256, lr=1e-3, schedule="cosine", ema=0.999)
digit_train = Train(images=600_000, batch=128, lr=1e-3, schedule="cosine", clip=10.0)
study_train = Train(
    images=20 * EPOCH, batch=256, lr=1e-3, clip=1.0, log=10_000, evaluate=EPOCH, sample=5 * EPOCH, checkpoint=EPOCH
)
Likelihood = Literal["gaussian", "gaussian-learned", "bernoulli", "logistic"]
paper = MLPAutoencoder(latent=50, width=200, depth=2, activation="tanh", output="logit")


def toy(data: str, free_bits: float) -> Recipe:
    """A learned sigma begins wide and ends narrow; free bits keep it from ending as wide as the data, with z unused."""
    return Recipe(
        DataSpec(data),
        MLPAutoencoder(latent=2, width=128, depth=3, activation="silu"),
        VAE(likelihood="gaussian-learned", free_bits=free_bits),
        toy_train,
        about=f"VAE on {data}, sigma learned",
    )


def characters(data: str, latent: int, sigma: float, about: str) -> Recipe:
    """Few latent dimensions and a small sigma: samples of N(0, I) are then mostly characters, see
    benchmarks/mnist_minutes.py."""
    model = MLPAutoencoder(latent=latent, width=512, depth=3, activation="silu")
    train = replace(digit_train, images=1_500_000, clip=50.0)
    return Recipe(DataSpec(data), model, VAE(sigma=sigma), train, about=about)


def study(objective: AE | VAE, latent: int, about: str) -> Recipe:
    """A recipe of the CIFAR-10 study: one objective and one number of latent dimensions."""
    plain = isinstance(objective, AE)
    model = ConvAutoencoder(latent=latent, variational=not plain, codes="mixture" if plain else "prior")
    return Recipe(DataSpec("cifar10"), model, objective, study_train, about=f"CIFAR-10 study: {about}")


STUDY: dict[str, Recipe] = {
    "ae-cifar10-16": study(AE(), 16, "autoencoder, 16 latent dimensions"),
    "ae-cifar10-128": study(AE(), 128, "autoencoder, 128 latent dimensions"),
    "ae-cifar10-1024": study(AE(), 1024, "autoencoder, 1024 latent dimensions"),
    "vae-cifar10": study(VAE(), 1024, "VAE, beta 1, sigma fixed at 0.7071"),
    "vae-cifar10-beta0.8": study(VAE(beta=0.8), 1024, "beta 0.8"),
    "vae-cifar10-beta1.2": study(VAE(beta=1.2), 1024, "beta 1.2"),
    "vae-cifar10-linear": study(VAE(schedule="linear"), 1024, "beta from 0 to 1, reached at the last step"),
    "vae-cifar10-linear-ascoded": study(VAE(schedule="staircase"), 1024, "beta by epoch from 0 to 0.95, as coded"),
    "vae-cifar10-residual": replace(
        study(VAE(), 1024, ""),
        model=ResidualAutoencoder(latent=1024),
        about="beyond the study: residual blocks, beta 1",
    ),
}


def one_epoch(recipe: Recipe) -> Recipe:
    """The same recipe for one epoch, without samples or evaluations on the way."""
    train = replace(recipe.train, images=EPOCH, sample=0, evaluate=0)
    return replace(recipe, train=train, about=f"{recipe.about}; one epoch")


QUICK: dict[str, Recipe] = {f"{name}-quick": one_epoch(recipe) for name, recipe in STUDY.items()}


def sampled_from(recipe: Recipe, codes: Codes, words: str) -> Recipe:
    """The same networks and training, sampled from another density of codes."""
    about = f"{recipe.about.split(', sampled')[0]}, sampled from {words} fitted to its codes"
    model: Any = recipe.model
    return replace(recipe, model=replace(model, codes=codes), about=about)


def calibrated(recipe: Recipe, about: str, scale: Scale = "set", likelihood: Likelihood = "gaussian-learned") -> Recipe:
    """The same networks with a learned scale of p(x|z), so that bits per dimension are not those of sigma."""
    model: Any = recipe.model
    model = replace(model, scale=scale)
    return replace(recipe, model=model, objective=VAE(likelihood=likelihood), about=about)


VAE_CIFAR10, VAE_MNIST = STUDY["vae-cifar10"], characters("mnist", 4, 0.5, "")
LIKELIHOODS: dict[str, Recipe] = {
    "vae-cifar10-sigma": calibrated(VAE_CIFAR10, "CIFAR-10 VAE, one learned sigma"),
    "vae-cifar10-sigma-picture": calibrated(VAE_CIFAR10, "CIFAR-10 VAE, a learned sigma for each picture", "picture"),
    "vae-cifar10-sigma-pixel": calibrated(VAE_CIFAR10, "CIFAR-10 VAE, a learned sigma for each pixel", "pixel"),
    "vae-cifar10-logistic": calibrated(
        VAE_CIFAR10, "CIFAR-10 VAE, discretised logistic, a learned scale for each pixel", "pixel", "logistic"
    ),
    "vae-mnist-sigma": calibrated(VAE_MNIST, "MNIST VAE, one learned sigma"),
    "vae-mnist-logistic": calibrated(
        VAE_MNIST, "MNIST VAE, discretised logistic, a learned scale for each pixel", "pixel", "logistic"
    ),
}


def pictures(data: DataSpec, images: int, words: str) -> Recipe:
    """A calibrated VAE on pictures: residual blocks, one learned sigma, 128 latent dimensions."""
    train = Train(images=images, batch=128, lr=1e-3, schedule="cosine", clip=200.0, ema=0.999, flip=True)
    model = ResidualAutoencoder(latent=128)
    objective = VAE(likelihood="gaussian-learned")
    return Recipe(data, model, objective, train, about=f"VAE on {words}, sigma learned")


def minutes(recipe: Recipe, images: int) -> Recipe:
    """The same for some minutes of one core, narrow."""
    assert isinstance(recipe.model, ResidualAutoencoder)
    train = replace(recipe.train, images=images, batch=64, ema=0.99)
    return replace(recipe, model=replace(recipe.model, width=16), train=train, about=f"{recipe.about}; narrow")


VAE_BIRDS = pictures(DataSpec("birds", resolution=32, split="all"), 900_000, "birds, 32 px")
VAE_CELEBA64 = pictures(DataSpec("celeba", resolution=64), 250_000, "faces, 64 px")
PICTURES: dict[str, Recipe] = {
    "vae-birds": VAE_BIRDS,
    "vae-birds-quick": minutes(VAE_BIRDS, 100_000),
    "vae-celeba64": VAE_CELEBA64,
    "vae-celeba64-quick": minutes(VAE_CELEBA64, 30_000),
}

RECIPES: dict[str, Recipe] = {
    "vae-8gaussians": toy("8gaussians", 1.0),
    "vae-25gaussians": toy("25gaussians", 1.6),
    "vae-swissroll": toy("swissroll", 1.5),
    "vae-spiral": toy("spiral", 1.5),
    "vae-links": toy("links", 1.5),
    "vae-glyphs": characters("glyphs", 8, 0.4, "Gaussian VAE on drawn glyphs, 8 latent dimensions, sigma fixed at 0.4"),
    "vae-glyphs-quick": Recipe(
        DataSpec("glyphs", resolution=20, channels=1),
        ResidualAutoencoder(latent=16, width=16, codes="gaussian"),
        VAE(sigma=0.2),
        Train(images=16_000, evaluate=8_000, batch=64, lr=1e-3, schedule="cosine", clip=50.0, ema=0.98),
        about="VAE on drawn glyphs, 20 px, sampled from a Gaussian fitted to its codes; shortened",
    ),
    "vae-mnist": characters("mnist", 4, 0.5, "Gaussian VAE on MNIST, 4 latent dimensions, sigma fixed at 0.5"),
    "ae-mnist": Recipe(
        DataSpec("mnist"),
        ConvAutoencoder(latent=16, width=32, variational=False, codes="mixture"),
        AE(),
        digit_train,
        about="autoencoder on MNIST, sampled from a mixture fitted to its codes",
    ),
    "vae-binarymnist": Recipe(
        DataSpec("binarymnist"),
        paper,
        VAE(likelihood="bernoulli"),
        # over 2 and 6 million images a rate of 2e-3 ended 1.7 and 0.5 nats better: its gain shrinks with the length
        Train(images=45_000_000, batch=100, lr=1e-3, schedule="cosine"),
        about="VAE on dynamically binarised MNIST, the IWAE paper's net",
    ),
    "iwae-binarymnist": Recipe(
        DataSpec("binarymnist"),
        paper,
        # half of the examples with one draw take a sixth of the time
        IWAE(likelihood="bernoulli", samples=50, ahead=0.5),
        # 50 draws of each example make matrices that gain from bfloat16 as wide convolutions do
        Train(images=19_000_000, batch=50, lr=1e-3, schedule="cosine", precision="fast"),
        about="importance-weighted autoencoder on dynamically binarised MNIST, one draw and then 50",
    ),
    **STUDY,
    **QUICK,
    **LIKELIHOODS,
    **PICTURES,
}
RECIPES |= {
    "ae-mnist-gaussian": sampled_from(RECIPES["ae-mnist"], "gaussian", "one Gaussian"),
    "ae-mnist-flow": sampled_from(RECIPES["ae-mnist"], "flow", "a spline flow"),
    "vae-mnist-mixture": sampled_from(RECIPES["vae-mnist"], "mixture", "a mixture"),
    "vae-mnist-flow": sampled_from(RECIPES["vae-mnist"], "flow", "a spline flow"),
}
