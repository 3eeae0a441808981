"""One file each with parts that a stranger wrote, as CONTRIBUTING.md says they are written."""

from __future__ import annotations

from pathlib import Path

OBJECTIVE = '''
"""A stranger's objective."""

from dataclasses import dataclass

from triptych.core import Move, Objective, Quantity
from triptych.errors import UserError


@dataclass(frozen=True)
class Moments(Objective):
    """‖mean of x − mean of G(z)‖² + weight · ‖cov of x − cov of G(z)‖²: two moments matched, no critic."""

    quantities = {"first": Quantity("Distance of the means, squared", neither="a part of the loss")}
    weight: float = 1.0
    """of the second moment"""

    def check(self, model, data, steps=0):
        if set(model.players) != {"generator"}:
            raise UserError(f"Moments trains a generator alone; {type(model).__name__} has more: use another model")

    def step(self, model, batches, clock):
        x = next(batches)
        fake = model.generator(model.prior(len(x)))
        first = (x.mean(0) - fake.mean(0)).square().sum()
        second = (x.T.cov() - fake.T.cov()).square().sum()
        yield Move("generator", first + self.weight * second, {"first": first})
'''

NETWORK = '''
"""A stranger's network."""

from dataclasses import dataclass

from torch import nn

from triptych.core import ModelSpec, Sampler, to_public


class GeneratorModel(Sampler):
    sampling = ("generator",)

    def __init__(self, shape, latent, generator):
        super().__init__(shape)
        self.latent = latent
        self.generator = generator

    def decode(self, z):
        return to_public(self.generator(z))


@dataclass(frozen=True)
class Affine(ModelSpec):
    """x = A z + b, for vectors."""

    latent: int = 2
    """latent dimensions"""

    def build(self, shape):
        return GeneratorModel(shape, self.latent, nn.Linear(self.latent, shape[0]))
'''

METRIC = '''
"""A stranger's metric."""

from dataclasses import dataclass

from triptych.core import Metric, Quantity


@dataclass(frozen=True)
class MeanError(Metric):
    """`mean_error`: Euclidean distance between the two means."""

    quantities = {"mean_error": Quantity("Error of the mean", "lower")}

    def applies(self, comparison):
        return "" if not comparison.is_images else "only vectors have such a mean"

    def __call__(self, comparison):
        left, right = comparison.floor_sides
        floor = (left.x.mean(0) - right.x.mean(0)).norm().item()
        value = (comparison.real.x.mean(0) - comparison.fake.x.mean(0)).norm().item()
        number = comparison.value(value, floor=floor, floor_n=len(right), note="Euclidean distance")
        return {"mean_error": number}
'''

SOURCE = '''
"""A stranger's data."""

from dataclasses import dataclass

import torch

from triptych.core import Data
from triptych.data.source import Source, digest


@dataclass(frozen=True)
class Noise(Source):
    """Standard normal numbers."""

    rows: int = 512

    @property
    def summary(self):
        return "standard normal pairs"

    def load(self, name, split, how):
        x = torch.randn(self.rows, 2, generator=torch.Generator().manual_seed(1 if split == "test" else 0))
        return Data(name, x, split, fingerprint=digest(x))


SOURCES = {"noise": Noise()}
'''

RECIPE = '''
"""A stranger's recipe and study."""

from triptych.core import DataSpec, Recipe, Train
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.gan import GAN

RECIPES = {
    "gan-mine": Recipe(DataSpec("8gaussians"), MLPGAN(width=8), GAN(), Train(images=256, batch=64), about="of mine")
}


def small(scale):
    """Is one better than itself?"""
    return (RECIPES["gan-mine"],)


STUDIES = {"small": (small, 1)}
'''

TRACKER = '''
"""A stranger's tracker, the one of docs/sharing.md."""

import json
from dataclasses import dataclass

from triptych.run.sinks.trackers import Tracker


@dataclass(eq=False)
class Lines(Tracker):
    """Every line of the log as JSON, in a file beside the run."""

    def start(self):
        self.shown.folder.mkdir(parents=True, exist_ok=True)
        self.file = (self.shown.folder / f"{self.shown.name}.jsonl").open("a", encoding="utf-8")

    def scalars(self, images, step, values):
        print(json.dumps({"images": images, "step": step, **values}), file=self.file)

    def close(self):
        self.file.close()
'''

FILES = {
    "moments": OBJECTIVE,
    "affine": NETWORK,
    "mean_error": METRIC,
    "noise": SOURCE,
    "recipe": RECIPE,
    "lines": TRACKER,
}


def write(folder: Path) -> list[str]:
    """The files in `folder`, and the words that make them plug-ins."""
    folder.mkdir(parents=True, exist_ok=True)
    words = []
    for name, text in FILES.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
        words += ["--plugin", str(folder / f"{name}.py")]
    return words
