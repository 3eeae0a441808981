"""Classes and numbers that a person asks for, as conditions of samples and of walks through a latent space."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from triptych.core import Conditional, Data, Model, conditions
from triptych.core.labels import class_number
from triptych.core.model import class_count
from triptych.errors import UserError
from triptych.models import latent_space
from triptych.system.notices import say

Ends = list[tuple[int | Tensor, int | Tensor]]
"""For each row of a walk the class, or the row of numbers (k,), that it begins with and the one that it ends with."""


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
    if not all(word.strip(" ,") for word in asked):
        raise UserError("--class names no class; leave it out, or give a number or a name")
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


def numbers_given(model: Model, words: Sequence[str], n: int) -> Tensor | None:
    """Numbers (n, k) of samples by the words of --given, NAME=VALUE each; None: none is asked, and they are drawn.

    UserError for a model that is conditioned on none, for a name that is not there or lacks, and for what is no value.
    Numbers that training did not come near are named.
    """
    if not words:
        return None
    if not isinstance(model, Conditional) or not model.numbers:
        raise UserError(
            f"this {type(model).__name__} is conditioned on no numbers; leave --given out, or train a recipe with it"
        )
    row = conditions.row_asked(model.number_columns, words)
    if far := conditions.beyond(model.number_columns, model.known.cpu(), row):
        say(f"outside what the model was trained on: {', '.join(far)}")
    return row.expand(n, -1)


def rows_of_numbers(model: Model, y: Tensor | None, n: int, seed: int = 0) -> Tensor | None:
    """The numbers (n, k) that n samples are made to, those that a model draws where none are asked for; else None."""
    if not isinstance(model, Conditional) or not model.numbers:
        return None
    found = model.labels(y, n, seed)
    assert found is not None
    return found.cpu()


def cells_of_numbers(model: Model, rows: Tensor) -> dict[str, list[str]]:
    """Rows of numbers (n, k) as cells of a table, by the names of its columns."""
    assert isinstance(model, Conditional)
    return conditions.cells_of(model.number_columns, rows)


def own_labels(model: Model, data: Data, announce: Callable[[str], None] | None, otherwise: str = "") -> Tensor | None:
    """Labels (n,) or numbers (n, k) of examples for a model, None where they have none: the model then draws them.

    That it will is said, with what can be done.
    """
    known = latent_space.labels_for(model, data, range(len(data)))
    if known is None and class_count(model) and announce is not None:
        announce(f"the examples have no labels of this run's classes: drawn ones are taken{otherwise}")
    return known


def ends_asked(model: Model, asked: Sequence[str], rows: int) -> Ends:
    """The classes of `rows` paths: one, held; or two, from the first to the second; without any the first of all.

    Of a model that is conditioned on numbers the mean of each is held. None of a model without either.
    """
    numbers = numbers_asked(model, asked)
    if len(numbers) > 2:
        raise UserError(f"a path goes from one class to another, and {len(numbers)} were named; give one or two")
    if (held := latent_space.one_class(model)) is None:
        return []
    first, last = (numbers[0], numbers[-1]) if numbers else (held, held)
    return [(first, last)] * rows


def ends_of_examples(model: Model, asked: Sequence[str], data: Data, rows: Sequence[int]) -> Ends:
    """The same for paths between real examples: where no class is asked for, from each one's label to the next's."""
    labels = latent_space.labels_for(model, data, rows)
    if labels is None or asked:
        return ends_asked(model, asked, len(rows) - 1)
    known: list[int | Tensor] = labels.tolist() if labels.dim() == 1 else list(labels)
    return list(itertools.pairwise(known))


def labels_at(ends: Ends) -> Tensor | None:
    """Labels of the ends of paths in turn, (2 · paths,), or numbers (2 · paths, k); None of a model without either."""
    each = [end for pair in ends for end in pair]
    if not each:
        return None
    return torch.stack([end.cpu() if isinstance(end, Tensor) else torch.tensor(end) for end in each])


def labels_along(model: Model, ends: Ends, columns: int) -> Tensor | None:
    """Labels of paths (rows · columns,), or where a class changes shares of both, (rows · columns, K).

    Numbers change evenly from one end to the other, (rows · columns, k).
    """
    if not ends or not isinstance(model, Conditional):
        return None
    if model.classes and all(a == b for a, b in ends):
        return torch.tensor([a for a, _ in ends]).repeat_interleave(columns)
    t = torch.linspace(0, 1, columns)[:, None]
    places = torch.eye(model.classes)

    def row(end: int | Tensor) -> Tensor:
        return places[end] if isinstance(end, int) else end.cpu()

    return torch.cat([(1 - t) * row(a) + t * row(b) for a, b in ends])
