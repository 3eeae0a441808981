"""What a training is made of: players, optimisers, averages, stream, clock and counters; to a checkpoint and back."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from triptych.core import Clock, Data, Model, Move, Objective, Recipe, Train, encode
from triptych.core.features import Extractors
from triptych.core.objective import wrong_move
from triptych.data.batches import Batches
from triptych.errors import Diverged, UserError
from triptych.models import batchnorm
from triptych.run.checkpoint import NEEDED, Contents, check_fit, pack_optimizers, unpack_optimizers
from triptych.system import device
from triptych.system.distributed import ALONE, Ranks
from triptych.trainer.ema import Averages
from triptych.trainer.optimizers import full_rates, learning_rate, make_optimizer


@dataclass
class State:
    """One training in memory. It changes from step to step; what it writes and where is none of its business."""

    recipe: Recipe
    model: Model
    data: Data
    """what is trained on"""
    test: Data | None
    """the held-out part, where there is one"""
    seed: int
    alarms: list[str] = field(default_factory=list)
    extractors: Extractors = field(default_factory=Extractors)
    """what images are compared by on the way"""
    step: int = 0
    """calls of `Objective.step` so far"""
    seconds: float = 0.0
    """spent since the beginning, looks included"""
    slowed: float = 1.0
    """factor on every learning rate: halved each time that the training went back after a divergence"""
    best: dict[str, Any] | None = None
    """images, metric and value of the best checkpoint so far"""
    end: int | None = None
    """image count at which it ends before its budget, once the recipe's patience is over"""
    fresh: bool = True
    """whether it begins here, and not at a checkpoint"""
    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    """sums of the numbers for the next log line, and how many values each has"""
    moved: set[str] = field(default_factory=set)
    """players that were moved in this process"""
    replay: Callable[[], None] | None = None
    """a recorded step in place of an ordinary one, where there is one"""
    looks: dict[int, list[float]] = field(default_factory=dict)
    """seconds of each call of each observer in this process, by the observer's id"""

    def __post_init__(self) -> None:
        train, model = self.recipe.train, self.model
        visible = self.objective.visible(self.data, self.seed)
        self.batches = Batches(visible, train.batch, self.seed, model.device, flip=train.flip)
        if train.accumulate > 1:
            batchnorm.over_shares(model)
        self.parameters = {k: [w for w in p.parameters() if w.requires_grad] for k, p in model.players.items()}
        self.rates = {k: lr for k, lr in full_rates(train, model).items() if self.parameters[k]}
        self.optimizers = {k: make_optimizer(train, lr, self.parameters[k]) for k, lr in self.rates.items()}
        self.averages = Averages(model, train.ema)
        # On a GPU looking at each loss would wait for it: there one flag is read at every log line.
        self.looks_at_each = model.device.type == "cpu"
        self.sane = torch.ones((), device=model.device)
        self.overlaps = model.device.type == "cuda"  # a GPU sends and computes at a time, a processor takes turns
        self.paused = 0.0
        self.ahead = 0.0  # fraction of the budget that a rehearsal takes as done already
        self.ranks = ALONE
        self.start_clock()

    def join(self, ranks: Ranks) -> None:
        """Train together with other processes from here on: each computes its share of every batch."""
        if ranks.world == 1:
            return
        train, before, self.ranks = self.train, self.batches.state_dict(), ranks
        visible = self.batches.data
        self.batches = Batches(visible, train.batch, self.seed, self.model.device, flip=train.flip, share=ranks.share())
        self.batches.load_state_dict(before)
        if train.accumulate == 1:
            batchnorm.over_shares(self.model)

    # ---------------------------------------------------------------------------------------- the clock

    @property
    def train(self) -> Train:
        return self.recipe.train

    @property
    def objective(self) -> Objective:
        return self.recipe.objective

    @property
    def images(self) -> int:
        """Real examples drawn so far."""
        return self.batches.drawn

    @property
    def finished(self) -> bool:
        """Whether the budget is used up, or the patience with it."""
        return self.images >= (self.train.images if self.end is None else self.end)

    @property
    def held_out(self) -> Data:
        """What validation looks at: the held-out part, else what is trained on."""
        return self.data if self.test is None else self.test

    def prepare(self) -> None:
        """Give the networks the statistics of the data that they begin with, unless the recipe wants none."""
        if self.train.head_start == "own":
            self.objective.prepare(self.model, self.data)

    def clock(self) -> Clock:
        """Where the training stands before its next step."""
        images = self.images
        steps = math.ceil(self.train.images * self.step / images) if images else 0
        return Clock(self.step, images, min(self.ahead + images / self.train.images, 1.0), steps)

    @property
    def stage(self) -> int:
        """Which of the objective's stages the next step is of."""
        fraction = self.clock().fraction
        return sum(begin <= fraction for begin in self.objective.stages()) - 1

    def set_rates(self) -> None:
        """Give each optimiser the learning rate that the schedule has here."""
        factor = learning_rate(self.train, self.images) * self.slowed
        for player, optimizer in self.optimizers.items():
            group, rate = optimizer.param_groups[0], self.rates[player] * factor
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def start_clock(self) -> None:
        """Count seconds from here on, beside those of earlier processes."""
        self._began = time.perf_counter() - self.seconds

    def advance(self) -> None:
        """A step was made: count it, and let the averages follow."""
        self.step += 1
        self.averages.update(self.step)
        self.seconds = time.perf_counter() - self._began

    # ------------------------------------------------------------------------------ numbers for the log

    def accumulate(self, values: Mapping[str, Tensor | float]) -> None:
        """One more value of each of these numbers, of which the next log line has the mean."""
        for name, value in values.items():
            value = value.detach() if isinstance(value, Tensor) else torch.tensor(float(value))
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def line(self) -> dict[str, Any]:
        """A line of the log: where the training stands, and means since the line before."""
        self.paused = time.perf_counter()
        line: dict[str, Any] = {"images": self.images, "step": self.step, "seconds": round(self.seconds, 3)}
        line |= {k: (v / self.counts[k]).item() for k, v in self.sums.items()}
        self.sums, self.counts = {}, {}
        return line

    # ---------------------------------------------------------------------------------- what goes wrong

    def check_move(self, move: Move) -> None:
        """UserError for a move that cannot be carried out."""
        if wrong := wrong_move(move, self.parameters):
            raise UserError(f"{type(self.objective).__name__} {wrong}")

    def check_reached(self, players: Sequence[str]) -> None:
        """UserError where the backward pass of a move gave one of its players no gradient at all."""
        for player in players:
            if all(w.grad is None for w in self.parameters[player]):
                name = type(self.objective).__name__
                raise UserError(f"the loss of a move of {name} reaches no parameter of its player {player!r}; use it")
        self.moved.update(players)

    def check_drawn(self, before: int) -> None:
        """UserError where a step drew no real examples: a training of such steps would never end."""
        if self.images == before:
            raise UserError(f"a step of {type(self.objective).__name__} draws no real examples; call next(batches)")

    def check_finite(self, value: Tensor, players: Sequence[str]) -> None:
        """Diverged where the loss or gradient norm of a move of these players is not finite.

        At once on a processor, elsewhere at the next `check`.
        """
        if not self.looks_at_each:
            self.sane *= torch.isfinite(value.detach())
        elif not math.isfinite(value.item()):
            self.raise_diverged(players)

    def check(self, *, weights: bool) -> None:
        """Diverged where a loss or norm was not finite since the last call, or with `weights` one of these is not."""
        if not (self.sane and (not weights or not self._spoilt())):
            self.raise_diverged(list(self.optimizers))

    def raise_diverged(self, players: Sequence[str]) -> None:
        """Stop, for the weights that are not finite, or where all are for the loss or gradient of these players."""
        spoilt = self._spoilt()
        names = " and ".join(spoilt or players)
        what = f"weights of the {names} are" if spoilt else f"loss or its gradient of the {names} is"
        raise Diverged(
            f"the {what} not finite at {self.images} images; lower --train.lr, or start again "
            "with --train.on-divergence rollback, which goes back to the last good checkpoint"
        )

    def _spoilt(self) -> list[str]:
        """Players with a weight that is not finite."""
        return [k for k, ws in self.parameters.items() if not all(bool(torch.isfinite(w).all()) for w in ws)]

    # --------------------------------------------------------------------------- to a checkpoint and back

    def contents(self) -> Contents:
        """All tensors from which the training goes on exactly; the averages' statistics where they were made."""
        stream = {"batches": self.batches.state_dict()["generator"]}
        return Contents(
            model=self.model.state_dict(),
            averages=self.averages.named(),
            statistics=self.averages.statistics or {},
            optimizers=pack_optimizers(self.optimizers, self.parameters),
            generators=device.random_state(self.model.device) | stream,
            sums=self.sums,
        )

    def note(self) -> dict[str, Any]:
        """What else is needed for it, as plain values."""
        return {
            "asked": {"recipe": encode(self.recipe), "seed": self.seed},
            "step": self.step,
            "seconds": self.seconds,
            "slowed": self.slowed,
            "batches": {"drawn": self.images},
            "alarms": self.alarms,
            "best": self.best,
            "counts": self.counts,
            **({} if self.end is None else {"end": self.end}),
        }

    def restore(self, images: int, tensors: Mapping[str, Tensor], note: Mapping[str, Any]) -> None:
        """Everything as it was when the checkpoint at `images` was written, but `best`, which the run knows.

        UserError, before anything is changed, where it is not one of this model, these optimisers and generators.
        """
        place, saved = f"the checkpoint at {images} images", Contents.unpack(tensors)
        if NEEDED - note.keys() or note["batches"]["drawn"] != images:
            raise UserError(f"{place} cannot be gone on with: its note is incomplete; restore it from a copy")
        check_fit(saved.model, self.model.state_dict(), images, "the model of recipe.json")
        check_fit(saved.averages, self.averages.named(), images, "the averages")
        counts = note.get("counts", {})
        check_fit(
            saved.sums, {k: saved.sums.get(k, torch.zeros(())).new_zeros(()) for k in counts}, images, "its own note"
        )
        own = {**device.random_state(self.model.device), "batches": self.batches.state_dict()["generator"]}
        generators = {k: saved.generators[k] for k in own if k in saved.generators}
        check_fit(generators, own, images, "the random generators")
        states = unpack_optimizers(saved.optimizers, self.optimizers, self.parameters, images)
        try:
            torch.Generator().set_state(saved.generators["cpu"])
            torch.Generator().set_state(saved.generators["batches"])
        except RuntimeError as e:
            raise UserError(f"{place} holds no state of a random generator ({e}); restore it from a copy") from e
        self.model.load_state_dict(saved.model)
        self.averages.load(saved.averages)
        for player, optimizer in self.optimizers.items():
            optimizer.state.clear()
            optimizer.state.update(states[player])
        device.set_random_state(dict(saved.generators), self.model.device)
        self.batches.load_state_dict({**note["batches"], "generator": saved.generators["batches"]})
        self.step, self.seconds, self.slowed = note["step"], note["seconds"], note["slowed"]
        same_budget = "end" in note and note["asked"]["recipe"]["train"]["images"] == self.train.images
        self.end = note["end"] if same_budget else None  # of a run that goes on for longer it is an old one
        self.alarms, self.fresh = list(note["alarms"]), False
        self.sums, self.counts = {k: v.to(self.model.device) for k, v in saved.sums.items()}, dict(counts)
        self.sane.fill_(1)
        self.replay = None  # the optimisers remember elsewhere now
