"""Classes that a person asks for, as labels of samples and of walks through a latent space."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from triptych.core import Conditional, Data, Model
from triptych.core.labels import class_number
from triptych.errors import UserError
from triptych.models import latent_space

Ends = list[tuple[int, int]]
"""For each row of a walk the class that it begins with and the one that it ends with."""


def numbers_asked(model: Model, asked: Sequence[str]) -> list[int]:
    """Class numbers by the words of --class: numbers or names, `3,5` for both, `all` for every one.

    UserError for a model without classes, and for a class that is not there.
    """
    if not asked:
        return []
    if not isinstance(model, Conditional) or not model.classes:
        raise UserError(f"this {type(model).__name__} has no classes; leave --class out, or train a recipe with them")
    if list(asked) == ["all"]:
        return list(range(model.classes))
    names = model.class_names
    words = [w for word in asked for w in ([word] if word in names else word.split(","))]
    return [class_number(w.strip(), names, model.classes) for w in words if w.strip()]


def labels_asked(model: Model, asked: Sequence[str], n: int) -> Tensor | None:
    """Labels (n,) of samples, of several classes as many of each, one class after the other; None: none is asked."""
    numbers = numbers_asked(model, asked)
    if not numbers:
        return None
    if n < len(numbers):
        raise UserError(f"{n} samples cannot be of {len(numbers)} classes; raise -n")
    return torch.tensor([numbers[i * len(numbers) // n] for i in range(n)])


def ends_asked(model: Model, asked: Sequence[str], rows: int) -> Ends:
    """The classes of `rows` paths: one, held; or two, from the first to the second; without any the first of all.

    None of a model without classes.
    """
    numbers = numbers_asked(model, asked)
    if len(numbers) > 2:
        raise UserError(f"a path goes from one class to another, and {len(numbers)} were named; give one or two")
    if not isinstance(model, Conditional) or not model.classes:
        return []
    numbers = numbers or [0]
    return [(numbers[0], numbers[-1])] * rows


def ends_of_examples(model: Model, asked: Sequence[str], data: Data, rows: Sequence[int]) -> Ends:
    """The same for paths between real examples: where no class is asked for, from each one's label to the next's."""
    labels = latent_space.labels_for(model, data, rows)
    if labels is None or asked:
        return ends_asked(model, asked, len(rows) - 1)
    known = labels.tolist()
    return list(itertools.pairwise(known))


def labels_along(model: Model, ends: Sequence[tuple[int, int]], columns: int) -> Tensor | None:
    """Labels of paths (rows · columns,), or where a class changes shares of both, (rows · columns, K)."""
    if not ends or not isinstance(model, Conditional):
        return None
    if all(a == b for a, b in ends):
        return torch.tensor([a for a, _ in ends]).repeat_interleave(columns)
    t = torch.linspace(0, 1, columns)
    shares = torch.zeros(len(ends), columns, model.classes)
    for row, (a, b) in zip(shares, ends, strict=True):
        row[:, a] += 1 - t
        row[:, b] += t
    return shares.flatten(0, 1)
