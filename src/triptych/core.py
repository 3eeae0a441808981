"""The eight nouns that everything else is made of.

`Data`, `Model`, `Objective`, `Move`, `Recipe`, `Metric` live here; a `Run` is in `run.py`, a `Study` in
`study.py`. Concrete objectives, networks, data sources and metrics are final dataclasses in the packages of
those names and are found by `discover`: dropping a file in is all it takes. `encode` and `decode` turn recipes
into JSON values and back.

Of the two spaces that examples live in, public and inner, `spaces.py` has the definition.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from triptych.discovery import discover as discover
from triptych.encoding import decode as decode
from triptych.encoding import encode as encode
from triptych.errors import UserError
from triptych.preparation import Preparation
from triptych.spaces import to_bytes as to_bytes
from triptych.spaces import to_inner as to_inner
from triptych.spaces import to_public as to_public

Split = Literal["train", "test", "all"]
Shape = tuple[int, ...]


# ---------------------------------------------------------------------------------------------- data


class Law(ABC):
    """A known distribution on R^d: what a toy data set is drawn from."""

    modes: Tensor | None = None
    """(m, d) centres of the mixture's components; None where the law has none."""
    std: float | None = None
    """Standard deviation of one component; None where the law has no components."""

    @abstractmethod
    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """n fresh points, (n, d) float32."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Log density in nats at x (n, d), shape (n,)."""


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
    law: Law | None = None
    """The distribution behind a toy set."""
    classes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    origin: tuple[float, ...] = ()
    """(d,) where the columns of vectors are counted from, for numbers that float32 cannot tell apart; () is 0."""
    file: tuple[Path, int] | None = None
    """Where the rows of x lie side by side on disk: the file and the byte at which the first begins."""
    intensities: Tensor | None = None
    """Grey levels behind binary pictures: where given, training draws each pixel anew, 255 with probability / 255."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Source, preparation options, licence terms, citation, counts: plain JSON values."""

    @property
    def shape(self) -> Shape:
        """Shape of one example."""
        return tuple(self.x.shape[1:])

    @property
    def is_images(self) -> bool:
        return self.x.dtype == torch.uint8

    def __len__(self) -> int:
        return len(self.x)

    def in_full(self, x: Tensor) -> Tensor:
        """Vectors (n, d) like `x`, samples of a model say, counted from 0: float64 where there is an origin."""
        return x.double() + torch.tensor(self.origin, dtype=torch.float64) if self.origin else x

    def counted_from(self, origin: tuple[float, ...]) -> Data:
        """The same vectors counted from the origin of another set, so that the two can be compared."""
        if self.is_images or origin == self.origin:
            return self
        if len(origin or self.origin) != self.x.shape[1]:
            raise ValueError(f"{self.name} has {self.x.shape[1]} columns, and the origin {len(origin)}")
        whole = self.in_full(self.x).double() - torch.tensor(origin or (0.0,), dtype=torch.float64)
        return dataclasses.replace(self, x=whole.float(), origin=origin)

    @property
    def modes(self) -> Tensor:
        """(m, d) centres of the modes of a toy set."""
        if self.law is None or self.law.modes is None:
            raise TypeError(f"{self.name} has no known modes")
        return self.law.modes

    @property
    def std(self) -> float:
        """Standard deviation of one mode of a toy set."""
        if self.law is None or self.law.std is None:
            raise TypeError(f"{self.name} has no known modes")
        return self.law.std

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """n fresh points of a toy set, (n, d)."""
        return self._law().draw(n, torch.Generator().manual_seed(seed))

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log density of a toy set in nats, (n,)."""
        return self._law().log_prob(x)

    def _law(self) -> Law:
        if self.law is None:
            raise TypeError(f"{self.name} has no known density: only toy sets do")
        return self.law


@dataclass(frozen=True)
class DataSpec(Preparation):
    """Which data, prepared how. The whole of it is part of a run's identity."""

    name: str
    """a name from `triptych data list`, a folder, an archive or an array file"""
    split: Split = "train"
    """the part that is trained on"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.holdout and self.split == "all":
            raise UserError(
                f"split all trains on every example and leaves none to --holdout {self.holdout}; add --split train"
            )

    def load(self, split: Split | None = None) -> Data:
        from triptych import data

        options = {f.name: getattr(self, f.name) for f in dataclasses.fields(Preparation)}
        return data.load(self.name, split=split or self.split, **options)


# --------------------------------------------------------------------------------------------- model


class Model(nn.Module, ABC):
    """A module whose named children are the players (`generator`, `critic`, `encoder`, `decoder`, `flow`).

    What it can do is said by the capabilities it inherits: `Sampler`, `Latent`, `Encoder`, `Density`.
    """

    sampling: ClassVar[tuple[str, ...]] = ()
    """Names of the players whose weights are averaged (EMA) and that make samples."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = tuple(shape)

    @property
    def players(self) -> dict[str, nn.Module]:
        return dict(self.named_children())

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def sample(self, n: int, seed: int = 0, temperature: float = 1.0, batch: int = 256) -> Tensor:
        """TypeError unless the model is a `Sampler`; likewise the next three, whatever their arguments."""
        raise TypeError(f"{type(self).__name__} cannot sample; models that can are Samplers")

    def decode(self, z: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} has no latent space to decode from; models that have one are Latent")

    def encode(self, x: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} has no encoder; autoencoders and flows have one")

    def log_prob(self, x: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} has no exact density; flows have one, and `evaluate` bounds a VAE's")

    def precise(self) -> list[nn.Module]:
        """Modules whose calls may run in bfloat16 under mixed precision: all players, unless the model says less."""
        return list(self.children())


class Latent(Model):
    """Has a latent space: `decode` maps z to examples."""

    latent: int
    """Numbers in one z."""

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """z (n, latent) to public examples, differentiable."""

    def prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n draws of z ~ N(0, I), (n, latent), on the model's device."""
        where = self.device if generator is None else generator.device
        return torch.randn(n, self.latent, generator=generator, device=where).to(self.device)


class Sampler(Latent):
    """Makes new examples by decoding draws from the prior."""

    def sample(self, n: int, seed: int = 0, temperature: float = 1.0, batch: int = 256) -> Tensor:
        """n new public examples. The same seed gives the same examples whatever `batch` is.

        `temperature` multiplies z.
        """
        z = self.prior(n, torch.Generator().manual_seed(seed)) * temperature
        with torch.no_grad():
            return torch.cat([self.decode(part) for part in z.split(batch)])


class Encoder(Latent):
    """Maps examples to their z (a VAE: to the posterior mean)."""

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Public examples to z (n, latent), differentiable."""


class Density(Model):
    """Knows the exact log density of an example."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Nats per public example, (n,), differentiable. ValueError for images outside [0, 1]."""


LARGEST = 2**20
"""Of any size of a network, and of a batch."""


class ModelSpec(ABC):
    """Abstract base of the frozen dataclasses in `nets/` that build a model for a data shape.

    Their numbers are sizes: UserError where one is below 0, or is 0 and is not so by default, or is absurdly large.
    """

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, int | float) or isinstance(value, bool):
                continue
            if value > LARGEST:
                raise UserError(f"model.{name} is {value}; it must be at most {LARGEST:,}")
            if value > 0:
                continue
            if getattr(type(self), name, None) != 0:
                raise UserError(f"model.{name} is {value}; it must be above 0")
            if value < 0:
                raise UserError(f"model.{name} is {value}; it must be 0 or more")

    @abstractmethod
    def build(self, shape: Shape) -> Model:
        """A freshly initialised model; UserError where the networks cannot make this shape."""


# ----------------------------------------------------------------------------------------- objective


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


class Objective(ABC):
    """Abstract base of the frozen dataclasses in `objectives/`; their fields are their hyper-parameters."""

    @abstractmethod
    def step(self, model: Any, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
        """Yield moves. Code after a `yield` runs after that player's optimiser step."""

    def check(self, model: Model, data: Data, steps: int = 0) -> None:
        """Raise UserError when this objective cannot train this model on this data in so many steps."""

    def prepare(self, model: Any, data: Data) -> None:
        """Once, before the first step of a fresh run: what the model must know of the data beforehand (its scale)."""

    def tied_to_budget(self) -> str:
        """What of it follows the length of the run, in words; empty where nothing does."""
        return ""

    def validate(self, model: Any, batches: Iterable[Tensor], clock: Clock) -> dict[str, float]:
        """Numbers on held-out inner batches for the log; means over examples. Default: none."""
        return {}


# -------------------------------------------------------------------------------------------- recipe


@dataclass(frozen=True)
class Train:
    """How long, how fast, how often. Every cadence counts images: real examples drawn."""

    images: int = 1_000_000
    """budget: the run ends at the first step that reaches it"""
    batch: int = 256
    """examples per optimiser move"""
    lr: float = 2e-4
    """learning rate"""
    critic_lr: float | None = None
    """learning rate of the critic; default: the same"""
    optimizer: Literal["adam", "adamw", "rmsprop"] = "adam"
    """optimiser of every player"""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's decay rates"""
    weight_decay: float = 0.0
    """decoupled weight decay (adamw)"""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """learning rate over the run: constant, or decayed to 0"""
    warmup: int = 0
    """images over which the learning rate rises from 0"""
    clip: float = 0.0
    """gradient-norm clip over all players of a move; 0 is off"""
    ema: float = 0.0
    """decay per step of the averaged weights, with warm-up; 0 is off"""
    flip: bool = False
    """mirror half of the pictures at random"""
    log: int = 0
    """images between log lines; 0: a hundredth of the budget"""
    evaluate: int = 0
    """images between evaluations; 0: a tenth of the budget"""
    sample: int = 0
    """images between sample pictures; 0: one with each checkpoint"""
    checkpoint: int = 0
    """images between checkpoints; 0: a tenth of the budget"""
    best: str = ""
    """metric whose best checkpoint is kept; a leading - means that higher is better"""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """arithmetic inside the players"""
    on_divergence: Literal["stop", "rollback"] = "stop"
    """at a non-finite loss: stop, or go back to the last good checkpoint with half the rate"""


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
        for section in ("model", "objective", "train"):
            for name, value in vars(getattr(self, section)).items():
                for number in value if isinstance(value, tuple) else (value,):
                    if isinstance(number, float) and not math.isfinite(number):
                        raise UserError(f"{section}.{name} is {value}; give a finite number")


# -------------------------------------------------------------------------------------------- metric


@dataclass(frozen=True)
class Value:
    """One number and what it takes to trust it. `eval.json` stores exactly these fields."""

    value: float | None
    """None: not defined, `note` says why"""
    n: int
    """generated examples"""
    n_real: int | None = None
    """real examples"""
    reference: str = ""
    """the real side: name, split and fingerprint"""
    extractor: str | None = None
    resize: str | None = None
    seed: int | None = None
    dtype: str = "float64"
    floor: float | None = None
    """the same metric between two independent sets of real examples"""
    floor_n: int | None = None
    """real examples on the smaller side of the floor: n, unless there are too few"""
    se: float | None = None
    """standard error where the estimator has one"""
    how: str = ""
    """what was unlike a plain evaluation of a run: the best checkpoint's weights, statistics of batches"""
    note: str = ""
    card: Mapping[str, Any] | None = None
    """of a likelihood: what it is a likelihood of"""


class Metric(ABC):
    """Abstract base of the frozen dataclasses in `metrics/`.

    A metric is called with a `triptych.metrics.case.Case`, which makes samples and features once for all metrics.
    """

    needs: ClassVar[type] = Sampler
    """Capability a model must have."""

    @abstractmethod
    def applies(self, case: Any) -> str:
        """Empty when the metric is defined for this case, else the reason why not."""

    @abstractmethod
    def __call__(self, case: Any) -> dict[str, Value]:
        """Named numbers."""
