"""Continuous flows by flow matching, and mean flows in one pass."""

from __future__ import annotations

from dataclasses import replace

from triptych.core import DataSpec, Recipe, Train
from triptych.models.flows.velocity import VelocityMLP, VelocityUNet
from triptych.models.two_stages import LatentMLP, LatentUNet
from triptych.objectives.flow_matching import FlowMatching, LatentFlowMatching, MeanFlow
from triptych.recipes.flows import TOYS

PLANE = Train(images=8_000_000, batch=512, lr=3e-3, schedule="cosine", clip=1.0, ema=0.999, log=80_000)
IMAGES = Train(images=1_000_000, batch=64, lr=1e-3, schedule="cosine", warmup=6_400, clip=1.0, ema=0.999)
PICTURES = FlowMatching(time="logit-normal")
WORDS = "continuous flow by flow matching"


def plane(data: str) -> Recipe:
    """A 2-D set, a minute of one core. In so many steps codes of narrow modes come back to within a thousandth."""
    return Recipe(DataSpec(data), VelocityMLP(solver="rk4", steps=56), FlowMatching(), PLANE, about=f"{WORDS}, 2-D")


def shortened(recipe: Recipe, images: int, width: int) -> Recipe:
    """A first look: narrow, a few minutes on two cores."""
    assert isinstance(recipe.model, VelocityUNet | LatentUNet)
    train = replace(recipe.train, images=images, ema=0.995, best="")
    return replace(recipe, model=replace(recipe.model, width=width), train=train, about=f"{recipe.about}; shortened")


GLYPHS = Recipe(
    DataSpec("glyphs", resolution=16, channels=1),
    VelocityUNet(width=24),
    PICTURES,
    replace(IMAGES, images=150_000, ema=0.995),
    about=f"{WORDS} on drawn digits and letters",
)
MNIST = Recipe(DataSpec("mnist"), VelocityUNet(), PICTURES, IMAGES, about=f"{WORDS}, U-Net")
LARGE = replace(IMAGES, images=3_000_000, flip=True, best="frechet")
CIFAR10 = Recipe(DataSpec("cifar10"), VelocityUNet(width=64, blocks=2), PICTURES, LARGE, about=f"{WORDS}, U-Net")
BIRDS = Recipe(
    DataSpec("birds", resolution=32, split="all"),
    VelocityUNet(width=64, blocks=2),
    PICTURES,
    LARGE,
    about=f"{WORDS}, U-Net, 32 px",
)
CELEBA64 = Recipe(
    DataSpec("celeba", resolution=64),
    VelocityUNet(width=64, blocks=2),
    PICTURES,
    LARGE,
    about=f"{WORDS}, U-Net, faces at 64 px",
)
BIRDS64 = replace(BIRDS.data, resolution=64)
IMAGE_RECIPES = {"mnist": MNIST, "cifar10": CIFAR10, "birds": BIRDS, "celeba64": CELEBA64}

# The codes hold a sixth of the numbers of an image of 32 px, a twelfth at 64: the flow works on these alone. Where they
# have 4×4 places instead, the round trip alone is further from the data than samples of these are.
CODES = LatentUNet(codes=8, side=8, width=16)
CODED = LatentFlowMatching(share=0.2)
CODED_TRAIN = replace(IMAGES, images=2_000_000, clip=50.0, flip=True)
STAGES = "autoencoder with spatial codes, then a continuous flow on these"
CODED_RECIPES = {
    "cifar10": Recipe(CIFAR10.data, CODES, CODED, CODED_TRAIN, about=STAGES),
    "birds": Recipe(BIRDS.data, CODES, CODED, CODED_TRAIN, about=STAGES),
    "birds64": Recipe(BIRDS64, replace(CODES, codes=16), CODED, CODED_TRAIN, about=f"{STAGES}, 64 px"),
    "celeba64": Recipe(CELEBA64.data, replace(CODES, codes=16), CODED, CODED_TRAIN, about=f"{STAGES}, 64 px"),
}
CODED_GLYPHS = Recipe(
    DataSpec("glyphs", resolution=20, channels=1),
    LatentUNet(codes=4, side=5),
    LatentFlowMatching(),
    replace(CODED_TRAIN, images=400_000, flip=False),
    about=f"{STAGES}, drawn glyphs, 20 px",
)

CODED_MNIST = Recipe(
    MNIST.data,
    LatentMLP(),
    LatentFlowMatching(share=0.15),
    replace(CODED_TRAIN, images=12_000_000, batch=128, flip=False),
    about="autoencoder whose codes are vectors, then a continuous flow on these",
)

RECIPES: dict[str, Recipe] = {
    **{f"cfm-{data}": plane(data) for data in TOYS},
    "cfm-glyphs": GLYPHS,
    "lcfm-glyphs": CODED_GLYPHS,
    "lcfm-glyphs-quick": replace(
        CODED_GLYPHS,
        # to the eye six passes are as good as eight here, and there is less to export and to run in a browser
        model=LatentUNet(codes=4, side=5, width=16, flow_width=64, flow_depth=2, solver="midpoint", steps=3),
        train=replace(CODED_GLYPHS.train, images=30_000, evaluate=15_000, batch=32, ema=0.99),
        about=f"{CODED_GLYPHS.about}; shortened",
    ),
    **{f"cfm-{name}": recipe for name, recipe in IMAGE_RECIPES.items()},
    "cfm-mnist-quick": shortened(MNIST, 120_000, 32),
    "cfm-cifar10-quick": shortened(CIFAR10, 60_000, 32),
    "cfm-birds-quick": shortened(BIRDS, 60_000, 32),
    "cfm-celeba64-quick": shortened(CELEBA64, 40_000, 16),
    "lcfm-mnist": CODED_MNIST,
    "lcfm-mnist-quick": replace(
        CODED_MNIST,
        train=replace(CODED_MNIST.train, images=1_200_000, ema=0.995),
        about=f"{CODED_MNIST.about}; shortened",
    ),
    **{f"lcfm-{name}": recipe for name, recipe in CODED_RECIPES.items()},
    **{f"lcfm-{name}-quick": shortened(recipe, 100_000, 8) for name, recipe in CODED_RECIPES.items()},
    "meanflow-8gaussians": Recipe(
        DataSpec("8gaussians"),
        VelocityMLP(one_pass=True, width=192, octaves=2),
        MeanFlow(time="uniform"),  # whole ways, which a sample takes, are rare among logit-normal ends
        replace(PLANE, images=4_000_000, lr=2e-3),
        about="mean flow: noise to data in one pass, 2-D",
    ),
    "meanflow-mnist": Recipe(
        DataSpec("mnist"),
        VelocityUNet(one_pass=True),
        MeanFlow(),
        IMAGES,
        about="mean flow: noise to data in one pass, U-Net",
    ),
}
