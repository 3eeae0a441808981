"""Adversarial nets on digits and glyphs: minutes on a CPU."""

from __future__ import annotations

from dataclasses import replace

from triptych.core import DataSpec, Recipe, Train
from triptych.models.gans.dcgan import DCGAN
from triptych.models.gans.small_conv import ConvGAN
from triptych.objectives.gan import GAN, LSGAN, WGAN, WGANGP
from triptych.objectives.relativistic import Relativistic

MNIST, GLYPHS = DataSpec("mnist"), DataSpec("glyphs")
SMALL_GLYPHS = DataSpec("glyphs", resolution=20, channels=1)
STACKED, STACKED_32 = DataSpec("stackedmnist"), DataSpec("stackedmnist", resolution=32)

# For three minutes on two cores (benchmarks/mnist_minutes.py), found by single short trials: convolutions at a quarter
# of the size, Adam without momentum, one critic move for each of the generator's.
SMALL = ConvGAN(latent=16, width=48, depth=2)
PLAIN = Train(images=195_000, evaluate=65_000, batch=64, lr=1e-3, betas=(0.0, 0.99), schedule="linear", ema=0.999)
CLIPPED = Train(images=400_000, batch=64, lr=1e-4, optimizer="rmsprop", ema=0.999)
PENALISED = Train(
    images=165_000, evaluate=55_000, batch=64, lr=1e-3, critic_lr=2e-3, betas=(0.0, 0.9), schedule="linear", ema=0.999
)

STRONG = Train(batch=64, lr=1e-3, betas=(0.0, 0.99), schedule="linear", ema=0.999)
# On seed 100, γ = 1 was slightly worse after 60,000 and 120,000 digits, γ = 0.02 worse at the end of 195,000.
BEST = Relativistic(gamma=0.1)
DIGITS = Recipe(
    MNIST,
    replace(SMALL, latent=48, choices=32),
    BEST,
    replace(STRONG, images=560_000),
    about="digits, 28 px: relativistic, R1 + R2, discrete latent of 32 values, averaged weights, decay to 0",
)
STACK = replace(SMALL, latent=64)
WORDS = "1,000 modes, recommended: relativistic, R1 + R2, averaged weights, decay to 0"

RECIPES = {
    "best-mnist": DIGITS,
    "best-mnist-quick": replace(DIGITS, train=replace(STRONG, images=150_000), about=f"{DIGITS.about}; shortened"),
    "gan-mnist": Recipe(MNIST, SMALL, GAN(), PLAIN, about="DCGAN-like nets on digits, 28 px"),
    "lsgan-mnist": Recipe(MNIST, SMALL, LSGAN(), PLAIN, about="DCGAN-like nets on digits, least squares"),
    "wgan-mnist": Recipe(MNIST, SMALL, WGAN(), CLIPPED, about="DCGAN-like nets on digits, Wasserstein by clipping"),
    "wgan-gp-mnist": Recipe(
        MNIST, SMALL, WGANGP(n_critic=1), PENALISED, about="DCGAN-like nets on digits, Wasserstein by penalty"
    ),
    "gan-glyphs": Recipe(GLYPHS, SMALL, GAN(), PLAIN, about="DCGAN-like nets on drawn digits and letters"),
    # Many short steps: at this budget batches of 32 draw better glyphs than as many pictures in batches of 64.
    "gan-glyphs-quick": Recipe(
        SMALL_GLYPHS,
        replace(SMALL, width=32),
        GAN(),
        replace(PLAIN, images=20_000, evaluate=10_000, batch=32, ema=0.99),
        about="DCGAN-like nets on drawn digits and letters, 20 px; shortened",
    ),
    "wgan-gp-glyphs": Recipe(
        GLYPHS,
        SMALL,
        WGANGP(n_critic=1),
        PENALISED,
        about="DCGAN-like nets on drawn digits and letters, with a penalty",
    ),
    # Mode coverage: a thousand modes, three digits as red, green and blue. Beside it the usual DCGAN.
    "gan-stackedmnist": Recipe(
        STACKED_32,
        DCGAN(latent=100, width=64),
        GAN(),
        Train(images=6_400_000, batch=64, lr=2e-4, betas=(0.5, 0.999)),
        about="three digits as RGB, 1,000 modes: plain DCGAN",
    ),
    "gan-stackedmnist-quick": Recipe(
        STACKED_32,
        DCGAN(latent=100, width=32),
        GAN(),
        Train(images=320_000, batch=64, lr=2e-4, betas=(0.5, 0.999)),
        about="three digits as RGB, 1,000 modes: plain DCGAN, narrow",
    ),
    "best-stackedmnist": Recipe(STACKED, STACK, BEST, replace(STRONG, images=800_000), about=WORDS),
    "best-stackedmnist-quick": Recipe(
        STACKED, replace(STACK, width=32), BEST, replace(STRONG, images=320_000), about=f"{WORDS}; narrow"
    ),
}
