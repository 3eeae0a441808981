"""Objectives are generators of moves: a loss, and the player that it moves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from triptych.core.data import Data
from triptych.core.kinds import fit_fields
from triptych.core.labels import Labelled
from triptych.core.model import Conditional, Model
from triptych.core.quantity import Quantity
from triptych.errors import UserError


@dataclass(frozen=True)
class Clock:
    """Where a run stands, as objectives see it."""

    step: int
    """calls of `Objective.step` before this one"""
    images: int
    """real examples drawn before this step"""
    fraction: float
    """images / budget, in [0, 1]"""
    steps: int = 0
    """expected number of steps in the whole run"""


@dataclass(frozen=True)
class Move:
    """Minimise `loss` over the parameters of `players`, now."""

    players: str | tuple[str, ...]
    loss: Tensor
    logs: Mapping[str, Tensor | float] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return (self.players,) if isinstance(self.players, str) else self.players


def wrong_move(move: Move, players: Iterable[str]) -> str:
    """Why a move cannot be carried out in a model with these players, and what to do; empty where it can."""
    if not isinstance(move, Move):
        return f"yields a {type(move).__name__}; yield Move(player, loss)"
    if strange := [name for name in move.names if name not in (known := list(players))]:
        return f"moves {strange[0]!r}, which is no player of this model; its players are {', '.join(known)}"
    if move.loss.shape != ():
        return f"has a loss of the shape {tuple(move.loss.shape)}; give a scalar, the mean over the batch say"
    if not move.loss.requires_grad:
        return f"has a loss of the {' and '.join(move.names)} without a gradient; is it detached?"
    return ""


def moves_of(objective: Objective, model: Model, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
    """The moves of a step, none of them made yet; UserError where `step` is no generator of them."""
    moves = objective.step(model, batches, clock)
    if not isinstance(moves, Iterator):
        name = type(objective).__name__
        raise UserError(f"{name}.step returns a {type(moves).__name__}; yield Move(player, loss) for each update")
    return moves


def examples(model: Model, batches: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Batches of a stream, each with what the networks are conditioned on: labels (n,), numbers (n, k), or None.

    `given(y)` around the calls of the players conditions them on these.
    """
    if not isinstance(model, Conditional) or not model.conditioned:
        return ((x, None) for x in batches)
    if not isinstance(batches, Labelled):
        raise TypeError(f"the model has classes, and these batches ({type(batches).__name__}) have no labels")
    return ((x, model.inner(y)) for x, y in batches.labelled)


class Objective(ABC):
    """Abstract base of the frozen dataclasses in `objectives/`; their fields are their hyper-parameters."""

    validates_averages: ClassVar[bool] = True
    """Whether `validate` looks at the averaged weights (EMA), which will be loaded, or at those that training moves."""

    adversarial: ClassVar[bool] = False
    """Whether one of its players only judges the others: `Train.critic_lr` is that one's."""

    quantities: ClassVar[Mapping[str, Quantity]] = {}
    """What its moves log and `validate` returns, by name."""

    def __post_init__(self) -> None:
        fit_fields(self, "objective.")

    @abstractmethod
    def step(self, model: Any, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
        """Yield moves. Code after a `yield` runs after that player's optimiser step.

        Every step draws from `batches`, since the budget is counted by what is drawn; every player of the model is
        moved, one that waits for long in a stage of its own (`stages`).
        """

    def check(self, model: Model, data: Data, steps: int = 0) -> None:
        """Raise UserError when this objective cannot train this model on this data in so many steps."""

    def visible(self, data: Data, seed: int) -> Data:
        """What its steps draw from: the training data, without what of them it may not see. Default: all of them."""
        return data

    def prepare(self, model: Any, data: Data) -> None:
        """Once, before the first step of a fresh run: what the model must know of the data beforehand (its scale)."""

    def tied_to_budget(self) -> str:
        """What of it follows the length of the run, in words; empty where nothing does."""
        return ""

    def stages(self) -> tuple[float, ...]:
        """Fractions of the budget at which steps of another kind, and of another cost, begin; the first is 0."""
        return (0.0,)

    def validate(self, model: Any, batches: Iterable[Tensor], clock: Clock) -> dict[str, float]:
        """Numbers on held-out inner batches for the log; means over examples. Default: none.

        One that these examples do not define is `Undefined`: it is left out of the log, and the reason is told.
        """
        return {}
