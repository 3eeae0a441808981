"""The classes of a training: how many, whether the data have them, and what a person should know of them beforehand."""

from __future__ import annotations

from dataclasses import replace

import torch

from triptych.core import Data, Recipe, conditions
from triptych.core.labels import CLASSES, classes_in, no_labels
from triptych.core.model_spec import ConditionalSpec
from triptych.errors import UserError

FEW = 20
"""Examples of a class below which its samples are likely to be copies of them."""


def with_classes(recipe: Recipe, data: Data) -> Recipe:
    """The recipe with the number of classes in place of auto; UserError where the data have others, or none."""
    model = recipe.model
    if data.conditions is not None:
        if not isinstance(model, ConditionalSpec):
            raise UserError(f"{type(model).__name__} cannot be conditioned on numbers; leave --given out")
        k = data.conditions.shape[1]
        if model.classes:
            raise UserError("a network is conditioned on classes or on numbers; add --model.classes 0, or drop --given")
        if model.numbers not in (0, k):
            raise UserError(f"model.numbers is {model.numbers} and --given makes {k}; leave model.numbers out")
        return replace(recipe, model=replace(model, numbers=k))
    if isinstance(model, ConditionalSpec) and model.numbers:
        raise UserError("the network is conditioned on numbers; say which columns or factors they are with --given")
    if not isinstance(model, ConditionalSpec) or model.classes == 0:
        return recipe
    if data.labels is None:
        raise UserError(no_labels(data))
    k = classes_in(data)
    if k > CLASSES:
        raise UserError(
            f"{data.name} has {k:,} classes and a model is conditioned on {CLASSES:,} at most; merge some, or train "
            "without classes (--model.classes 0)"
        )
    if model.classes not in ("auto", k):
        raise UserError(f"model.classes is {model.classes} and {data.name} has {k} classes; give --model.classes auto")
    return replace(recipe, model=replace(model, classes=k))


def undecided(recipe: Recipe) -> bool:
    """Whether the number of classes is still that of data nobody has looked at."""
    return isinstance(recipe.model, ConditionalSpec) and recipe.model.classes == "auto"


def told(recipe: Recipe, data: Data) -> list[str]:
    """Lines for a person: which classes, and which have few examples."""
    if data.conditions is not None:
        columns = data.condition_columns or conditions.unnamed(data.conditions.shape[1])
        return [f"conditioned on {conditions.told(columns, data.conditions)}"]
    if not isinstance(recipe.model, ConditionalSpec) or not recipe.model.classes:
        return []
    assert data.labels is not None
    counts = torch.bincount(data.labels, minlength=recipe.model.k)
    named = [data.classes[i] if i < len(data.classes) else str(i) for i in range(len(counts))]
    shown = ", ".join(named[:5]) + (", …" if len(named) > 5 else "")
    lines = [f"conditioned on {len(counts)} classes of {data.name}: {shown}"]
    visible = recipe.objective.visible(data, 0)
    if visible.labels is not None and (known := int((visible.labels >= 0).sum())) < len(visible):
        lines.append(f"the labels of {known:,} of {len(visible):,} training examples are used, those of the others not")
    if len(few := (counts < FEW).nonzero()[:, 0]) and data.distribution is None:
        least = int(counts.argmin())
        lines.append(
            f"{len(few)} of the {len(counts)} classes have fewer than {FEW} examples (class {named[least]} has "
            f"{int(counts[least])}): samples of these are likely to be copies"
        )
    return lines
