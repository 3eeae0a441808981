"""Normalizing flows by maximum likelihood."""

from __future__ import annotations

from triptych.core import DataSpec, Recipe, Train
from triptych.nets.coupling import RealNVP
from triptych.objectives.flow import NLL

TOYS = ("8gaussians", "25gaussians", "swissroll", "moons", "checkerboard", "pinwheel", "rings")

TOY = Train(images=3_000_000, batch=512, lr=1e-3, schedule="cosine", clip=10.0, ema=0.999, log=30_000)

RECIPES: dict[str, Recipe] = {}

for _data in TOYS:
    RECIPES[f"realnvp-{_data}"] = Recipe(
        DataSpec(_data), RealNVP(), NLL(), TOY, about="affine couplings, exact likelihood, 2-D"
    )
