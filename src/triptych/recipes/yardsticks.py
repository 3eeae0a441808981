"""What every study is measured against: four models fitted in closed form, of which nobody expects much."""

from __future__ import annotations

from dataclasses import replace

from triptych.core import DataSpec, Recipe, Train
from triptych.models.yardsticks import Mean, Memoriser, MixtureOfGaussians
from triptych.objectives.closed_form import ClosedForm

ONCE = Train(images=1, batch=1, lr=1.0)
"""They look at all training examples before the first step: the budget is the one example that ends the run."""

YARDSTICKS = {
    "gaussian": (MixtureOfGaussians(components=1), "one Gaussian with the mean and covariance of the data"),
    "mixture": (MixtureOfGaussians(), "a mixture of Gaussians, as many as the BIC chooses"),
    "memoriser": (Memoriser(), "training examples, drawn anew"),
    "mean": (Mean(), "the mean of the data"),
}


def yardsticks(data: DataSpec) -> tuple[Recipe, ...]:
    """The yardsticks of a data set, fitted to the same examples as the recipes beside them."""
    return tuple(
        Recipe(data, model, ClosedForm(), replace(ONCE), name, f"yardstick: {about}")
        for name, (model, about) in YARDSTICKS.items()
    )


RECIPES = {
    f"{name}-{data}": Recipe(DataSpec(data), model, ClosedForm(), ONCE, about=f"yardstick: {about}")
    for name, (model, about) in YARDSTICKS.items()
    for data in ("25gaussians", "mnist", "cifar10")
}
