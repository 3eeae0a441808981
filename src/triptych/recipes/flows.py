"""Normalizing flows by maximum likelihood."""

from __future__ import annotations

from triptych.core import DataSpec, Recipe, Train
from triptych.nets.autoregressive import MAF
from triptych.nets.coupling import NSF, RealNVP
from triptych.objectives.flow import NLL

TOYS = ("8gaussians", "25gaussians", "swissroll", "moons", "checkerboard", "pinwheel", "rings")

TOY = Train(images=3_000_000, batch=512, lr=1e-3, schedule="cosine", clip=10.0, ema=0.999, log=30_000)

RECIPES: dict[str, Recipe] = {}

for _data in TOYS:
    for _name, _model, _about in (
        ("realnvp", RealNVP(), "affine couplings"),
        ("spline", NSF(), "rational-quadratic spline couplings"),
        ("maf", MAF(), "masked autoregressive"),
    ):
        RECIPES[f"{_name}-{_data}"] = Recipe(
            DataSpec(_data), _model, NLL(), TOY, about=f"flow, {_about}: exact likelihood, 2-D"
        )
