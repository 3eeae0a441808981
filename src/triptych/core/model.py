"""Models, and the capabilities they inherit."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, get_args, get_origin

import torch
from torch import Tensor, nn

from triptych.core.data import LARGEST, Data, Shape
from triptych.core.share import draw
from triptych.errors import Missing, UserError


@dataclass(frozen=True)
class Cost:
    """What one example takes, in passes through the networks; a pass backward counts as two."""

    sample: float = 1.0
    likelihood: float = 1.0


def affordable(n: int, each: float, passes: float, least: int) -> int:
    """How many of n examples at `each` passes a budget of `passes` allows: at least `least`, never more than n."""
    return min(n, max(least, int(passes / each)))


class Model(nn.Module, ABC):
    """A module whose named children are the players (`generator`, `critic`, `encoder`, `decoder`, `flow`).

    What it can do is said by the capabilities it inherits: `Sampler`, `Latent`, `Encoder`, `Density`.
    """

    sampling: ClassVar[tuple[str, ...]] = ()
    """Names of the players whose weights are averaged (EMA) and that make samples."""
    adversary: ClassVar[str | None] = None
    """Name of the player that only judges the others, where there is one: `Train.critic_lr` is its learning rate."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.missing: dict[str, str] = {}

    def leave_out(self, player: str, why: str) -> None:
        """Go on without a player; whoever asks for it is told `why`, as a `Missing`."""
        delattr(self, player)
        self.missing[player] = why

    def __getattr__(self, name: str) -> Any:
        if name != "missing" and name in self.missing:
            raise Missing(self.missing[name])
        return super().__getattr__(name)

    @property
    def players(self) -> dict[str, nn.Module]:
        """The named children: networks that objectives move."""
        return dict(self.named_children())

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    @property
    def cost(self) -> Cost:
        """What a sample and a likelihood take; whoever makes many asks, and makes fewer where they are dear."""
        return Cost()

    def sample(self, n: int, seed: int = 0, temperature: float = 1.0, batch: int = 256) -> Tensor:
        """TypeError unless the model is a `Sampler`; likewise the next three, whatever their arguments."""
        raise TypeError(f"{type(self).__name__} cannot sample; models that can are Samplers")

    def decode(self, z: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} has no latent space to decode from; models that have one are Latent")

    def encode(self, x: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} has no encoder; autoencoders and flows have one")

    def log_prob(self, x: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} has no exact density; flows have one, and `evaluate` bounds a VAE's")

    def before_pooling(self) -> None:
        """Turn buffers that follow a batch other than linearly into such that do, in place: the shares of a batch
        have their own, of which the mean is taken."""

    def after_pooling(self) -> None:
        """The inverse of `before_pooling`."""

    def finish(self, data: Data, held_out: Data, seed: int) -> dict[str, float]:
        """After the last step, before the last look: what it makes of the training examples with its final weights.

        Numbers for the log; default: nothing.
        """
        return {}

    def autocast_modules(self) -> list[nn.Module]:
        """Modules whose calls may run in bfloat16 under mixed precision: all players, unless the model says less."""
        return list(self.children())


class Latent(Model):
    """Has a latent space: `decode` maps z to examples."""

    latent: int
    """Number of latent dimensions."""
    spherical: ClassVar[bool] = True
    """Whether codes lie near a sphere, as draws of N(0, I) do: paths between two of them then follow it."""

    @property
    def prior_is_gaussian(self) -> bool:
        """Whether codes are draws of N(0, I), or of what `prior_factor` gives; else that only stands in for them."""
        return True

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for needed in ("prior_moments", "prior_factor"):
            if "prior" in vars(cls) and needed not in vars(cls):
                raise TypeError(f"{cls.__name__} has a prior of its own; define {needed} beside it")

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """z (n, latent) to public examples, differentiable."""

    def prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n draws of z ~ N(0, I), (n, latent), on the model's device."""
        where = self.device if generator is None else generator.device
        return draw(lambda n: torch.randn(n, self.latent, generator=generator, device=where), n).to(self.device)

    def prior_moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each latent dimension under the prior, (latent,) each, on the CPU."""
        return torch.zeros(self.latent), torch.ones(self.latent)

    def prior_factor(self) -> tuple[Tensor, Tensor] | None:
        """Mean (latent,) and root R (latent, latent), on the CPU, of a prior that draws mean + R ε with ε ~ N(0, I).

        None where the prior is N(0, I) itself. For programs that draw by themselves: an exported model.
        """
        return None


class Sampler(Latent):
    """Makes new examples by decoding draws from the prior."""

    def sample(self, n: int, seed: int = 0, temperature: float = 1.0, batch: int = 256) -> Tensor:
        """n new public examples, (n, *shape). The same seed gives the same examples whatever `batch` is.

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

    def log_prob_to_look_at(self, x: Tensor) -> Tensor:
        """`log_prob` for pictures of it: within what an eye can tell where an exact one is dear."""
        return self.log_prob(x)


class Stepwise(Model):
    """Makes examples in a number of steps that can still be chosen after training."""

    solvers: ClassVar[tuple[str, ...]] = ()
    """names of the ways to step, where there are several"""
    solver: str
    steps: int
    brief = False
    """whether `sample` may compute in bfloat16: set where a run that was trained so is loaded"""

    @abstractmethod
    def path(self, z: Tensor, steps: int) -> Iterator[Tensor]:
        """What z (n, latent) passes on its way in so many steps: public examples, z itself first."""

    def choose(self, solver: str | None = None, steps: int | None = None) -> None:
        """Another solver or number of steps from now on; None leaves it. UserError for what there is not."""
        if solver is not None and solver not in self.solvers:
            known = (
                f"choose {', '.join(self.solvers)}" if self.solvers else "leave --solver out: it has one way to step"
            )
            raise UserError(f"{type(self).__name__} has no solver {solver!r}; {known}")
        if steps is not None and not 1 <= steps <= 10_000:
            raise UserError(f"{steps} steps were asked for; give 1 to 10,000")
        self.solver, self.steps = solver or self.solver, steps or self.steps


def choose_steps(model: Model, solver: str | None, steps: int | None) -> None:
    """`Stepwise.choose`; UserError for a model that makes its examples in one pass, unless nothing is asked."""
    if solver is None and steps is None:
        return
    if not isinstance(model, Stepwise):
        raise UserError(f"{type(model).__name__} takes no steps to make a sample; leave out --solver and --steps")
    model.choose(solver, steps)


def is_size(hint: Any) -> bool:
    """Whether a field's annotation, a type or its text, is `int`, also with notes on what to try for it."""
    if isinstance(hint, str):
        return hint == "int" or hint.startswith("Annotated[int,")
    return hint is int or (get_origin(hint) is Annotated and get_args(hint)[0] is int)


class ModelSpec(ABC):
    """Abstract base of the frozen dataclasses in `models/` that build a model for a data shape.

    A field annotated as `int` is a size: at least 1, or at least 0 where its default is 0, and at most `LARGEST`;
    UserError otherwise. Other fields a class checks itself.
    """

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):  # type: ignore[arg-type]
            if not is_size(f.type):
                continue
            value, least = getattr(self, f.name), 0 if f.default == 0 else 1
            if value < least:
                raise UserError(f"model.{f.name} is {value}; it must be {'0 or more' if least == 0 else 'above 0'}")
            if value > LARGEST:
                raise UserError(f"model.{f.name} is {value}; it must be at most {LARGEST:,}")

    @abstractmethod
    def build(self, shape: Shape) -> Model:
        """A freshly initialised model; UserError where the networks cannot make this shape."""
