"""Normalizing flows by maximum likelihood."""

from __future__ import annotations

from dataclasses import replace

from triptych.core import DataSpec, Recipe, Train
from triptych.models.flows.autoregressive import MAF
from triptych.models.flows.coupling import NSF, RealNVP
from triptych.models.flows.multiscale import Glow, MultiScaleRealNVP
from triptych.objectives.flow import NLL

TOYS = ("8gaussians", "25gaussians", "swissroll", "moons", "checkerboard", "pinwheel", "rings")

TOY = Train(images=3_500_000, batch=512, lr=3e-3, schedule="cosine", clip=200.0, ema=0.999, log=35_000)

RECIPES: dict[str, Recipe] = {}

for _data in TOYS:
    for _name, _model, _train, _about in (
        ("realnvp", RealNVP(width=64), TOY, "affine couplings"),
        (
            "spline",
            NSF(layers=2, bins=24),
            replace(TOY, images=4_000_000, lr=5e-3, clip=100.0),
            "rational-quadratic spline couplings",
        ),
        ("maf", MAF(width=64), TOY, "masked autoregressive"),
    ):
        RECIPES[f"{_name}-{_data}"] = Recipe(
            DataSpec(_data), _model, NLL(), _train, about=f"flow, {_about}: exact likelihood, 2-D"
        )

IMAGES = Train(
    images=1_500_000, batch=64, lr=2e-3, schedule="cosine", warmup=6_400, clip=2_000.0, ema=0.999, best="bits_per_dim"
)

RECIPES["realnvp-glyphs"] = Recipe(
    DataSpec("glyphs", resolution=16, channels=1),
    MultiScaleRealNVP(levels=2, couplings=2, width=48, preprocess="quantiles"),
    NLL(),
    replace(IMAGES, images=60_000, ema=0.99),
    about="multi-scale affine couplings on drawn digits and letters",
)
RECIPES["realnvp-mnist"] = Recipe(
    DataSpec("mnist"),
    MultiScaleRealNVP(width=64, preprocess="quantiles"),
    NLL(),
    IMAGES,
    about="multi-scale affine couplings, exact likelihood",
)
RECIPES["glow-mnist"] = Recipe(
    DataSpec("mnist"),
    Glow(levels=2, steps=8, width=64, preprocess="quantiles"),
    NLL(),
    IMAGES,
    about="actnorm, 1×1 convolutions, affine couplings",
)
RECIPES["glow-cifar10"] = Recipe(
    DataSpec("cifar10"),
    Glow(),
    NLL(),
    replace(IMAGES, images=3_000_000, lr=1e-3, flip=True),
    about="actnorm, 1×1 convolutions, affine couplings",
)
for _name in ("realnvp-mnist", "glow-mnist", "glow-cifar10"):
    _full = RECIPES[_name]
    RECIPES[f"{_name}-quick"] = replace(
        _full, train=replace(_full.train, images=50_000, ema=0.99), about=f"{_full.about}; shortened"
    )
