"""The three families conditioned on classes or numbers: the nets and budgets of the recipes without, but for these."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from triptych.core import DataSpec, Recipe, Train
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.velocity import VelocityMLP
from triptych.models.gans.resnet import ResNetGAN
from triptych.objectives.flow_matching import FlowMatching
from triptych.objectives.relativistic import Hinge
from triptych.objectives.semi import Semi
from triptych.recipes import autoencoders, birds, continuous_flows, flows, small_images, toys


def conditioned(recipe: Recipe, classes: int, about: str) -> Recipe:
    """The same recipe with labels."""
    model: Any = recipe.model
    return replace(recipe, model=replace(model, classes=classes), about=about)


def shortened(recipe: Recipe, width: int, train: Train) -> Recipe:
    """A first look: narrow and short."""
    model: Any = recipe.model
    return replace(recipe, model=replace(model, width=width), train=train, about=f"{recipe.about}; narrow, shortened")


WORDS = "hinge loss, projection critic, class-conditional batch normalisation"
CGAN_CIFAR10 = Recipe(
    DataSpec("cifar10"),
    ResNetGAN(spectral=True, classes=10),
    Hinge(n_critic=5),
    replace(birds.STUDY, images=50_000 * 256, schedule="linear", flip=True),
    about=f"CIFAR-10 of ten classes: {WORDS}",
)
CGAN_BIRDS = conditioned(birds.RECIPES["hinge-birds"], 100, f"birds of 100 species, 32 px: {WORDS}")
CVAE_CIFAR10 = conditioned(
    autoencoders.LIKELIHOODS["vae-cifar10-sigma"], 10, "VAE of CIFAR-10's ten classes, one learned sigma"
)
CFLOW_MNIST = conditioned(
    continuous_flows.MNIST, 10, "continuous flow of digits by class; guided samples by --guidance W"
)
CLCFM_MNIST = conditioned(
    continuous_flows.CODED_MNIST,
    10,
    "digits by class: an autoencoder with vectors as codes, a continuous flow on these",
)
CGLOW_MNIST = conditioned(flows.GLOW_MNIST, 10, "Glow of digits by class: exact likelihood, classifies by Bayes' rule")

SEMI_MNIST = Recipe(
    DataSpec("mnist"),
    MLPAutoencoder(latent=8, width=256, depth=2, activation="silu", classes=10, classifier=True),
    # On seed 100 after an epoch α = 0.1 told 26 %: hundreds of nats of pixels outweigh the labels; 10: 85 %, 100: 84 %.
    Semi(labelled=0.01, alpha=10.0, sigma=0.5),
    Train(images=2_000_000, batch=128, lr=1e-3, schedule="cosine", clip=50.0, ema=0.999),
    about="VAE of digits with 600 of 60,000 labels, which tells the classes of the others itself",
)

RECIPES: dict[str, Recipe] = {
    **{
        f"cgan-{k}gaussians": conditioned(
            toys.RECIPES[f"gan-{k}gaussians"], k, f"non-saturating GAN on {k} Gaussians, the mode as the label"
        )
        for k in (8, 25)
    },
    "cvae-25gaussians": conditioned(
        autoencoders.RECIPES["vae-25gaussians"], 25, "VAE on 25gaussians, the mode as the label"
    ),
    "cflow-25gaussians": conditioned(
        flows.RECIPES["spline-25gaussians"], 25, "spline flow on 25gaussians, the mode as the label"
    ),
    "cvae-glyphs-pose": replace(
        autoencoders.RECIPES["vae-glyphs"],
        data=DataSpec("glyphs", given=("x", "y", "scale", "rotation", "shear", "thickness")),
        about="VAE of glyphs given where they are, their size, turn, slant and pen: p(x | c) of numbers",
    ),
    "cflow-swissroll": Recipe(
        DataSpec("swissroll", given=("x",)),
        VelocityMLP(),
        FlowMatching(),
        replace(continuous_flows.PLANE, images=2_000_000, log=20_000),
        about="continuous flow of the roll's height given its breadth, p(y | x): a density with several modes",
    ),
    "semi-8gaussians": Recipe(
        DataSpec("8gaussians"),
        replace(autoencoders.RECIPES["vae-8gaussians"].model, classes=8, classifier=True),  # type: ignore[call-arg]
        Semi(labelled=0.01, likelihood="gaussian-learned"),
        replace(autoencoders.toy_train, images=500_000),
        about="VAE on 8 Gaussians, the mode as the label of one point in a hundred",
    ),
    "semi-mnist": SEMI_MNIST,
    "semi-mnist-quick": replace(
        SEMI_MNIST,
        train=replace(SEMI_MNIST.train, images=180_000),
        about=f"{SEMI_MNIST.about}; three epochs",
    ),
    "cgan-mnist": conditioned(
        small_images.RECIPES["gan-mnist"], 10, "DCGAN-like nets on digits of ten classes, projection critic"
    ),
    "cvae-mnist": conditioned(autoencoders.RECIPES["vae-mnist"], 10, "Gaussian VAE of digits by class"),
    # a recipe of its own, so that the two show what holes of the prior cost, as vae-mnist and vae-mnist-mixture do
    "cvae-mnist-mixture": conditioned(
        autoencoders.RECIPES["vae-mnist-mixture"],
        10,
        "Gaussian VAE of digits by class, sampled from a mixture fitted to the codes of each",
    ),
    "cflow-mnist": CFLOW_MNIST,
    "cflow-mnist-quick": continuous_flows.shortened(CFLOW_MNIST, 120_000, 32),
    "clcfm-mnist": CLCFM_MNIST,
    "clcfm-mnist-quick": replace(
        CLCFM_MNIST,
        train=continuous_flows.RECIPES["lcfm-mnist-quick"].train,
        about=f"{CLCFM_MNIST.about}; shortened",
    ),
    "cglow-mnist": CGLOW_MNIST,
    "cglow-mnist-quick": flows.shortened(CGLOW_MNIST),
    "cgan-cifar10": CGAN_CIFAR10,
    "cgan-cifar10-quick": shortened(CGAN_CIFAR10, 32, replace(birds.SHORT, schedule="linear", flip=True)),
    "cvae-cifar10": CVAE_CIFAR10,
    "cvae-cifar10-quick": autoencoders.one_epoch(CVAE_CIFAR10),
    "cgan-birds": CGAN_BIRDS,
    "cgan-birds-quick": shortened(CGAN_BIRDS, 32, replace(birds.SHORT, schedule="linear")),
}
