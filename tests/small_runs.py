"""A small training of a Wasserstein critic, and what it ends with."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from triptych import trainer
from triptych.core import DataSpec, Recipe, Train
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.gan import WGANGP
from triptych.run import Run

TRAIN = Train(images=6_400, batch=32, ema=0.9, checkpoint=1_600, evaluate=3_200, sample=6_400, log=640)
SMALL = Recipe(DataSpec("8gaussians"), MLPGAN(width=16), WGANGP(n_critic=2), TRAIN, name="small")


def fit(path: Path, recipe: Recipe = SMALL, **changes: Any) -> Run:
    recipe = dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, **changes))
    return trainer.fit(recipe, seed=3, out=path, device="cpu", progress=False)


def final(run: Run) -> dict[str, Tensor]:
    return run.read(run.checkpoints()[-1])[0]


def same(a: Run, b: Run) -> bool:
    x, y = final(a), final(b)
    return x.keys() == y.keys() and all(torch.equal(x[k], y[k]) for k in x)
