"""Labels that examples are made to.

Networks with classes do not take labels as an argument: whatever is called inside `given(y)` is conditioned on y, the
bar of p(x | y). So a loss is written once, and reads as in its paper, with labels and without.
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
Asked = int | str | Sequence[int | str] | Tensor | None
"""Labels as people ask for them: a class for all examples, by number or name, or one for each; None: drawn.

A tensor may also be shares of the classes (n, K): between two classes lies what has a share of both."""

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


def labels_at_hand(n: int) -> Tensor:
    """The labels of n rows, (n,) int64, or shares of the classes, (n, K): those of the innermost `given`.

    They are repeated where the rows are several batches of its examples, one below the other.
    """
    if _given is None:
        raise UserError(
            "a network with classes was called without labels; call it inside `given(y)`, or by a method that takes y"
        )
    times = n // _given.shape[0]
    return _given if times == 1 else torch.cat([_given] * times)


def look_up(table: nn.Embedding, y: Tensor) -> Tensor:
    """Rows of a table of classes (K, d) for labels (n,), (n, d); for shares of classes (n, K) the rows' means."""
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


def class_number(name: int | str, names: Sequence[str], classes: int) -> int:
    """The number of a class that a person named; UserError with the nearest names where there is none."""
    folded = {known.casefold(): i for i, known in enumerate(names)}
    if isinstance(name, str) and name.casefold() in folded:
        return names.index(name) if name in names else folded[name.casefold()]
    try:
        number = int(name)
    except ValueError:
        near = difflib.get_close_matches(str(name).casefold(), folded, 3, 0.5)
        known = ", ".join(names[folded[n]] for n in near) or f"0 to {classes - 1}"
        raise UserError(f"there is no class {name!r}; {'the nearest are' if near else 'classes are'} {known}") from None
    if not 0 <= number < classes:
        raise UserError(f"there is no class {number}; this model has the classes 0 to {classes - 1}")
    return number


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
