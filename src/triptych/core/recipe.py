"""Recipes: which data, which model, which objective, trained how."""

from __future__ import annotations

from dataclasses import dataclass, field, is_dataclass
from typing import Annotated, Literal

from triptych.core.data import Split
from triptych.core.kinds import fit_fields
from triptych.core.model_spec import ModelSpec
from triptych.core.objective import Objective
from triptych.core.preparation import Preparation
from triptych.core.search import Among, Range
from triptych.errors import UserError


@dataclass(frozen=True)
class DataSpec(Preparation):
    """Which data, prepared how. The whole of it is part of a run's identity."""

    name: str
    """a name from `triptych data list`, a folder, an archive or an array file"""
    split: Split = "train"
    """the part that is trained on"""
    given: tuple[str, ...] = field(default=(), metadata={"later": True})
    """columns of a table, or known factors of pictures, that examples are made to: p(x | c) is learned"""

    def __post_init__(self) -> None:
        super().__post_init__()
        fit_fields(self, "data.")
        if self.holdout and self.split == "all":
            raise UserError(
                f"split all trains on every example and leaves none to --holdout {self.holdout}; add --split train"
            )


@dataclass(frozen=True)
class Train:
    """How long, how fast, how often. Every cadence counts images: real examples drawn."""

    images: int = 1_000_000
    """budget: the run ends at the first step that reaches it"""
    batch: Annotated[int, Among(64, 128, 256, 512)] = 256
    """examples per optimiser move"""
    accumulate: int = 1
    """parts in which a batch is computed, one after the other, where a device cannot hold it whole"""
    lr: Annotated[float, Range(1e-5, 1e-2, log=True)] = 2e-4
    """learning rate"""
    critic_lr: Annotated[float | None, Range(1e-5, 1e-2, log=True)] = None
    """learning rate of the critic; default: the same"""
    optimizer: Literal["adam", "adamw", "rmsprop"] = "adam"
    """optimiser of every player"""
    betas: Annotated[tuple[float, float], Among((0.9, 0.999), (0.5, 0.999), (0.5, 0.9), (0.0, 0.99))] = (0.9, 0.999)
    """Adam's decay rates"""
    weight_decay: float = 0.0
    """decoupled weight decay (adamw)"""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """learning rate over the run: constant, or decayed to 0"""
    warmup: int = 0
    """images over which the learning rate rises from 0"""
    clip: float = 0.0
    """gradient-norm clip over all players of a move; 0 is off"""
    ema: Annotated[float, Among(0.0, 0.99, 0.999)] = 0.0
    """decay per step of the averaged weights, with warm-up; 0 is off"""
    flip: bool = False
    """mirror half of the images at random"""
    log: int = 0
    """images between log lines; 0: a hundredth of the budget"""
    evaluate: int = 0
    """images between evaluations; 0: a tenth of the budget"""
    sample: int = 0
    """images between figures of samples; 0: one with each checkpoint"""
    checkpoint: int = 0
    """images between checkpoints; 0: a tenth of the budget"""
    keep: int | Literal["all"] = field(default=2, metadata={"later": True})
    """checkpoints kept beside the best: the last so many, or all, for the explorer to step through"""
    best: str = ""
    """metric whose best checkpoint is kept; a leading - means that higher is better"""
    patience: int = field(default=0, metadata={"later": True})
    """images without a better `best` after which training ends (early stopping); 0: it goes to the end of the budget"""
    precision: Literal["auto", "fast", "fp32", "bf16"] = "auto"
    """arithmetic inside the players; fast: bf16 where it is faster here; auto: the same, for wide convolutions alone"""
    head_start: Literal["own", "none"] = field(default="own", metadata={"later": True})
    """statistics of the data in the network before the first step: those it has by its design, or none"""
    on_divergence: Literal["stop", "rollback"] = "stop"
    """at a non-finite loss: stop, or go back to the last good checkpoint with half the rate"""

    def __post_init__(self) -> None:
        fit_fields(self, "train.")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training, but the seed."""

    data: DataSpec
    model: ModelSpec
    objective: Objective
    train: Train
    name: str = ""
    about: str = ""
    """One line for `triptych recipes`."""

    def __post_init__(self) -> None:
        fit_fields(self)
        for section in ("model", "objective"):  # a class of somebody's own may have left out what its base checks
            if is_dataclass(part := getattr(self, section)):
                fit_fields(part, f"{section}.")
