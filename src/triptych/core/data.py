"""Data: examples in public space, and the known distributions of toy sets."""

from __future__ import annotations

import dataclasses
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from triptych.core import conditions
from triptych.core.columns import Column, Columns
from triptych.core.counts import check_draw
from triptych.errors import UserError, nearest

Split = Literal["train", "test", "all"]
Shape = tuple[int, ...]


class Distribution(ABC):
    """A known distribution on R^d: what a toy data set is drawn from."""

    modes: Tensor | None = None
    """(m, d) centres of the mixture's components; None where there are none."""
    std: float | None = None
    """Standard deviation of one component; None where there are no components."""
    weights: Tensor | None = None
    """(m,) probabilities of the components; None where they are equal, or there are none."""

    @abstractmethod
    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """n fresh points, (n, d) float32."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Log density in nats at x (n, d), shape (n,)."""


class InParts(Distribution):
    """Abstract base of distributions that come in parts, each a class: a mode, a ring, an arm."""

    parts: int
    """how many"""

    @abstractmethod
    def draw_labelled(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """n fresh points, (n, d) float32, and the part that each is of, (n,) int64."""

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        return self.draw_labelled(n, generator)[0]


@dataclass(frozen=True, eq=False)
class Data:
    """A named, frozen set of examples."""

    name: str
    x: Tensor
    """uint8 (n, c, h, w) for images, float32 (n, d) for vectors; file order for official sets.

    Vectors are in the data's own units, each column counted from its `origin`."""
    split: Split = "train"
    labels: Tensor | None = None
    """int64 (n,), or None."""
    factors: Mapping[str, Tensor] = field(default_factory=dict)
    """Known factors of variation by name, each (n,)."""
    fingerprint: str = ""
    """Hex digest that changes when the examples or their preparation change."""
    distribution: Distribution | None = None
    """The distribution behind a toy set."""
    conditions: Tensor | None = None
    """float32 (n, k), numbers that each example is conditioned on, in their own units; see `conditioned_on`."""
    condition_columns: tuple[Column, ...] = ()
    """The columns or factors that these are, as `core.conditions` has it."""
    classes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    origin: tuple[float, ...] = ()
    """(d,) where the columns of vectors are counted from, for numbers that float32 cannot tell apart; () is 0."""
    typed: Columns | None = None
    """The typed columns that the vectors stand for, where the examples are rows of such a table."""
    file: tuple[Path, int] | None = None
    """Where the rows of x lie side by side on disk: the file and the byte at which the first begins."""
    intensities: Tensor | None = None
    """Grey levels behind binary pictures: where given, training draws each pixel anew, 255 with probability / 255."""
    channels_are: str = ""
    """Name of the data set of grey images that each channel is one of, with a class of its own; "" for most sets."""
    usual_samples: int | None = None
    """How many samples are customary where numbers on this set are published; None where nothing is."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Source, preparation options, licence terms, citation, counts: plain JSON values."""

    @property
    def shape(self) -> Shape:
        """Shape of one example."""
        return tuple(self.x.shape[1:])

    @property
    def is_images(self) -> bool:
        """Whether the examples are images, (n, c, h, w) uint8, rather than vectors (n, d)."""
        return self.x.dtype == torch.uint8

    @property
    def named(self) -> tuple[str, ...]:
        """Names of the columns of its table, typed or of numbers; () where there are none."""
        return self.columns if self.typed is None else self.typed.names

    def __len__(self) -> int:
        return len(self.x)

    def in_full(self, x: Tensor) -> Tensor:
        """Vectors (n, d) like `x`, samples of a model say, counted from 0: float64 where there is an origin."""
        return x.double() + torch.tensor(self.origin, dtype=torch.float64) if self.origin else x

    def given_as(self, columns: tuple[Column, ...]) -> Data:
        """The same rows with their conditions as numbers of another set's columns; unchanged where there are none.

        UserError for a category that is new.
        """
        if self.conditions is None or not columns or columns == self.condition_columns:
            return self
        found = conditions.read_as(columns, self.condition_columns, self.conditions, f"{self.name}: ")
        return dataclasses.replace(self, conditions=found, condition_columns=columns)

    def as_in(self, typed: Columns | None, origin: tuple[float, ...] = (), names: tuple[str, ...] = ()) -> Data:
        """The same rows as vectors of another set's columns, so that they can be compared.

        These are typed, or numbers counted from `origin`, found by their `names` where both sets have such; where there
        are more or fewer of them, the shape differs still. UserError where a row has no place there: a column that is
        not here, a category that is new.
        """
        if self.is_images:
            return self
        if typed is None or typed == self.typed:
            found = self if typed is not None else self.numbers_alone(names).in_order_of(names)
            return found if origin and len(origin) != found.x.shape[1] else found.counted_from(origin)
        if self.typed is not None:
            cells = self.typed.write(self.typed.decode(self.x))
        else:
            names = self.columns or tuple(f"column {j + 1}" for j in range(self.x.shape[1]))
            whole = self.in_full(self.x).double().numpy()
            cells = {name: [f"{v:.9g}" for v in whole[:, j]] for j, name in enumerate(names)}
        x = typed.encode(typed.read(cells, f"{self.name}: "))
        return dataclasses.replace(self, x=x, typed=typed, columns=typed.places, origin=())

    def numbers_alone(self, names: tuple[str, ...]) -> Data:
        """Of a typed table the columns of numbers that never lack, as plain numbers; other sets unchanged.

        UserError where it has others, and none of `names`, those of another set, to tell which are meant.
        """
        if self.typed is None:
            return self
        pairs = zip(self.typed.all, self.typed.decode(self.x), strict=True)
        found = {c: values - c.centre for c, values in pairs if c.kind == "number" and not c.missing}
        x = torch.from_numpy(np.stack([*found.values()], 1) if found else np.empty((len(self), 0))).float()
        own, origin = tuple(c.name for c in found), tuple(c.centre for c in found)
        if len(own) < len(self.typed.all) and not set(own) & set(names):
            raise UserError(
                f"{self.name} has columns that are no numbers, and the other set names none of its columns, which are "
                f"{', '.join(self.typed.names)}; name the columns of both alike"
            )
        return dataclasses.replace(self, x=x, typed=None, columns=own, origin=origin, file=None)

    def in_order_of(self, names: tuple[str, ...]) -> Data:
        """Vectors with the columns of another set, in its order; unchanged where the two have no name in common.

        UserError where some of the names are here and others lack.
        """
        if self.is_images or names == self.columns or not set(names) & set(self.columns):
            return self
        if lacking := [name for name in names if name not in self.columns]:
            raise UserError(
                f"{self.name} has no column {lacking[0]!r}, which is needed; its columns are "
                f"{', '.join(self.columns[:8])}{', ...' if len(self.columns) > 8 else ''}; name them alike"
            )
        at = [self.columns.index(name) for name in names]
        origin = tuple(self.origin[j] for j in at) if self.origin else ()
        return dataclasses.replace(self, x=self.x[:, at].contiguous(), columns=names, origin=origin, file=None)

    def counted_from(self, origin: tuple[float, ...]) -> Data:
        """The same vectors counted from the origin of another set, so that the two can be compared."""
        if self.is_images or origin == self.origin:
            return self
        if len(origin or self.origin) != self.x.shape[1]:
            raise ValueError(f"{self.name} has {self.x.shape[1]} columns, and the origin {len(origin)}")
        whole = self.in_full(self.x).double() - torch.tensor(origin or (0.0,), dtype=torch.float64)
        return dataclasses.replace(self, x=whole.float(), origin=origin)

    def conditioned_on(self, names: Sequence[str]) -> Data:
        """The examples with some columns, or known factors, as numbers that they are conditioned on: p(x | c).

        A column is one no longer. A toy set is then its points, and no density. UserError for a name that is none, and
        where no column is left.
        """
        if not names:
            return self
        if twice := [name for name in names if names.count(name) > 1]:
            raise UserError(f"--given has {twice[0]} twice; name each once")
        parts = [self.part_named(name) for name in names]
        taken = {j for _, _, places in parts for j in places}
        kept = [] if self.is_images else [j for j in range(self.x.shape[1]) if j not in taken]
        typed = self.typed and Columns(tuple(c for c in self.typed.all if c.name not in names))
        # a typed column that is always the same takes no place, and is left all the same
        if not (self.is_images or kept if typed is None else typed.all):
            raise UserError(f"--given takes every column of {self.name}, and leaves none to model; name fewer")
        mark = hashlib.sha256(f"{self.fingerprint}|given|{'|'.join(names)}".encode()).hexdigest()
        return dataclasses.replace(
            self,
            x=self.x if self.is_images else self.x[:, kept].contiguous(),
            conditions=conditions.numbers_of([c for c, _, _ in parts], [values for _, values, _ in parts]),
            condition_columns=tuple(column for column, _, _ in parts),
            columns=tuple(self.columns[j] for j in kept) if self.columns else (),
            origin=tuple(self.origin[j] for j in kept) if self.origin else (),
            typed=typed,
            distribution=None,
            fingerprint=mark[: len(self.fingerprint)],
            file=self.file if self.is_images else None,
        )

    def part_named(self, name: str) -> tuple[Column, np.ndarray, tuple[int, ...]]:
        """A column or factor: what it is, its values (n,), and the places of x that hold them."""
        if self.typed is not None and name in self.typed.names:
            i = self.typed.names.index(name)
            column, places = self.typed.all[i], self.typed.slices[i]
            values = column.decode(self.x[:, places].double().numpy())
            if np.isnan(values).any():
                raise UserError(f"{name} of {self.name} has missing cells, and --given needs every number; fill them")
            return column, values, tuple(range(places.start, places.stop))
        if self.typed is None and not self.is_images:
            columns = self.columns or tuple(f"column {j + 1}" for j in range(self.x.shape[1]))
            if name in columns:
                j = columns.index(name)
                return Column(name, "number"), self.in_full(self.x)[:, j].numpy(), (j,)
        if name in self.factors:
            return Column(name, "number"), self.factors[name].numpy(), ()
        known = [*self.named, *self.factors]
        raise UserError(f"{self.name} has no column or known factor {name!r}; {nearest(name, known, 'it has none')}")

    @property
    def modes(self) -> Tensor:
        """(m, d) centres of the modes of a toy set."""
        if self.distribution is None or self.distribution.modes is None:
            raise TypeError(f"{self.name} has no known modes")
        return self.distribution.modes

    @property
    def std(self) -> float:
        """Standard deviation of one mode of a toy set."""
        if self.distribution is None or self.distribution.std is None:
            raise TypeError(f"{self.name} has no known modes")
        return self.distribution.std

    @property
    def weights(self) -> Tensor | None:
        """(m,) probabilities of the modes of a toy set; None where they are equal."""
        return None if self.distribution is None else self.distribution.weights

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """n fresh points of a toy set, (n, d)."""
        law = self._law()
        seed = check_draw(n, seed)
        return law.draw(n, torch.Generator().manual_seed(seed))

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log density of a toy set in nats, (n,)."""
        return self._law().log_prob(x)

    def _law(self) -> Distribution:
        if self.distribution is None:
            raise TypeError(f"{self.name} has no known density: only toy sets do")
        return self.distribution


LARGEST = 2**20
"""Of any size of a network, and of a batch."""
