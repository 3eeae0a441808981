"""What examples are made to: the y of p(x | y).

Networks do not take it as an argument: whatever is called inside `given(y)` is conditioned on y. So a loss is written
once, and reads as in its paper, with labels and without.

There is one idea of it: y is a row of numbers, and a class is the row with a one at its place. A layer holds a table
with a row for each place, and y chooses among these rows, or weighs them. Labels of classes are kept as their numbers,
(n,) int64.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from triptych.errors import UserError

if TYPE_CHECKING:
    from triptych.core.data import Data

CLASSES = 1_000
"""The most classes that a model is conditioned on."""
Asked = int | str | Sequence[int | str | float] | Tensor | None
"""Labels as people ask for them: a class for all examples, by number or name, or one for each; None: drawn.

A tensor may also be shares of the classes (n, K): between two classes lies what has a share of both. Of a model that is
conditioned on k numbers it is a row of them (k,) for all, or (n, k)."""


class Numbers(int):
    """How many numbers a network is conditioned on, where an int is how many classes. Layers need not know which."""


_given: Tensor | None = None


@contextmanager
def given(y: Tensor | None) -> Iterator[None]:
    """Inside it networks with classes are conditioned on the labels y (n,) int64; on none where y is None."""
    global _given
    before, _given = _given, y
    try:
        yield
    finally:
        _given = before


def is_given() -> bool:
    """Whether this is inside a `given` that has labels."""
    return _given is not None


def labels_at_hand(n: int) -> Tensor:
    """The labels of n rows, (n,) int64, or shares of the classes or numbers, (n, K): those of the innermost `given`.

    They are repeated where the rows are several batches of its examples, one below the other.
    """
    if _given is None:
        raise UserError(
            "a network with classes was called without labels; call it inside `given(y)`, or by a method that takes y"
        )
    times = n // _given.shape[0]
    return _given if times == 1 else torch.cat([_given] * times)


def look_up(table: nn.Embedding, y: Tensor) -> Tensor:
    """Rows of a table (K, d) for labels (n,), (n, d); for numbers or shares of classes (n, K) sums of rows by them."""
    return y.to(table.weight.dtype) @ table.weight[: y.shape[1]] if y.dim() == 2 else table(y)


def draw_labels(frequencies: Tensor, n: int, seed: int) -> Tensor:
    """n class numbers drawn at the given frequencies (K,), which need not sum to one: (n,) int64, on the CPU.

    The same seed gives the same labels; what else is drawn from that seed has numbers of its own.
    """
    generator = torch.Generator().manual_seed(seed ^ 0x1ABE1)
    return torch.multinomial(frequencies.cpu().double(), n, replacement=True, generator=generator)


@runtime_checkable
class Labelled(Protocol):
    """A stream of batches that knows the labels of its examples."""

    @property
    def labelled(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The same stream, as batches (n, ...) with their labels (n,) int64."""
        ...


def known_of(data: Data) -> Tensor | None:
    """What the examples of a set are conditioned on: numbers (n, k) where it has some, else labels (n,); or None."""
    return data.labels if data.conditions is None else data.conditions


def classes_in(data: Data) -> int:
    """How many classes the labels of a set are numbers of; 0 where it has none."""
    if data.labels is None:
        return 0
    return max(len(data.classes), int(data.labels.max()) + 1 if len(data.labels) else 0)


def frequencies_of(data: Data, classes: int) -> Tensor:
    """The share of each class among the examples, (classes,) float32."""
    if data.labels is None:
        raise UserError(no_labels(data))
    counts = torch.bincount(data.labels, minlength=classes).double()
    return (counts / counts.sum()).float()


def no_labels(data: Data) -> str:
    """What is wrong where classes are asked for of a set that has none."""
    return (
        f"{data.name} has no labels to condition on; give sub-folders as classes, a set with labels, or a recipe "
        "without classes (--model.classes 0)"
    )


def class_number(name: float | str, names: Sequence[str], classes: int) -> int:
    """The number of a class that a person named; UserError with the nearest names where there is none."""
    folded = {known.casefold(): i for i, known in enumerate(names)}
    if isinstance(name, str) and name.casefold() in folded:
        return names.index(name) if name in names else folded[name.casefold()]
    try:
        number = int(name)
        if number != float(name):
            raise ValueError(name)
    except ValueError:
        near = difflib.get_close_matches(str(name).casefold(), folded, 3, 0.5)
        known = ", ".join(names[folded[n]] for n in near) or f"0 to {classes - 1}"
        raise UserError(f"there is no class {name!r}; {'the nearest are' if near else 'classes are'} {known}") from None
    if not 0 <= number < classes:
        raise UserError(f"there is no class {number}; this model has the classes 0 to {classes - 1}")
    return number


def numbers_asked(y: Asked, n: int, names: Sequence[str]) -> Tensor:
    """Numbers (n, k) out of what a person asked for, a row for all or one for each; UserError for anything else."""
    said = f"({', '.join(names)})" if names else "of its numbers"
    try:
        found = torch.as_tensor(y) if not isinstance(y, int | str) else None
    except (TypeError, ValueError):
        found = None
    k = len(names)
    # no (k,) is compared with (n, k): a graph of any n would be one of n ≠ k
    want = (k,) if found is not None and found.dim() == 1 else (n, k)
    if found is None or found.dtype == torch.bool or found.dim() > 2 or tuple(found.shape) != want:
        raise UserError(f"this model is conditioned on {k} numbers; give a row {said} for all, or ({n}, {k})")
    if not torch.compiler.is_compiling() and not bool(torch.isfinite(found).all()):
        raise UserError(f"a row {said} holds NaN or infinite numbers; give finite ones")
    return found.to(torch.float32 if not found.is_floating_point() else found.dtype).expand(n, k)


def class_numbers(y: Asked, n: int, names: Sequence[str], classes: int) -> Tensor:
    """Labels (n,) int64, or shares of classes (n, K), out of what a person asked for.

    UserError for another number of them, or no such class.
    """
    if isinstance(y, Tensor) and y.is_floating_point():
        if tuple(y.shape) != (n, classes):
            raise UserError(f"shares of classes have the shape {tuple(y.shape)}; give ({n}, {classes})")
        return y
    if isinstance(y, Tensor):
        if y.dtype != torch.int64 or tuple(y.shape) not in ((n,), ()):
            raise UserError(f"labels are {y.dtype} {tuple(y.shape)}; give int64 ({n},)")
        if len(y.shape) and not torch.compiler.is_compiling() and not bool(((y >= 0) & (y < classes)).all()):
            raise UserError(f"labels go from {y.min()} to {y.max()}; this model has the classes 0 to {classes - 1}")
        return y.expand(n)
    if y is None or isinstance(y, int | str):
        return torch.full((n,), class_number(y if y is not None else 0, names, classes))
    if len(y) != n:
        raise UserError(f"{len(y)} labels were given for {n} examples; give one for each, or one class for all")
    return torch.tensor([class_number(one, names, classes) for one in y])
