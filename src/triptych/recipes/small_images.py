"""Adversarial nets on digits and glyphs: minutes on a processor."""

from __future__ import annotations

from triptych.core import DataSpec, Recipe, Train
from triptych.nets.conv import ConvGAN
from triptych.objectives.gan import GAN, LSGAN, WGAN, WGANGP

MNIST, GLYPHS = DataSpec("mnist"), DataSpec("glyphs")

PLAIN = Train(images=250_000, batch=64, lr=1e-3, critic_lr=4e-4, betas=(0.5, 0.999), schedule="linear", ema=0.999)
CLIPPED = Train(images=400_000, batch=64, lr=1e-4, optimizer="rmsprop", ema=0.999)
PENALISED = Train(images=500_000, batch=64, lr=5e-4, betas=(0.0, 0.9), schedule="linear", ema=0.999)

RECIPES = {
    "gan-mnist": Recipe(MNIST, ConvGAN(), GAN(), PLAIN, about="DCGAN-like nets on digits, 28 px"),
    "lsgan-mnist": Recipe(MNIST, ConvGAN(), LSGAN(), PLAIN, about="the same nets, least squares"),
    "wgan-mnist": Recipe(MNIST, ConvGAN(), WGAN(), CLIPPED, about="the same nets, Wasserstein by clipping"),
    "wgan-gp-mnist": Recipe(MNIST, ConvGAN(), WGANGP(), PENALISED, about="the same nets, Wasserstein by penalty"),
    "gan-glyphs": Recipe(GLYPHS, ConvGAN(latent=16, width=32), GAN(), PLAIN, about="small pictures with known factors"),
    "wgan-gp-glyphs": Recipe(
        GLYPHS, ConvGAN(latent=16, width=32), WGANGP(), PENALISED, about="the same, with a penalty"
    ),
}
