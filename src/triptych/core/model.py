"""Models, and the capabilities they inherit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from triptych.core.columns import Column
from triptych.core.conditions import names_of, unnamed
from triptych.core.counts import check_draw
from triptych.core.data import Data, Shape
from triptych.core.labels import (
    Asked,
    Numbers,
    class_numbers,
    draw_labels,
    frequencies_of,
    given,
    numbers_asked,
)
from triptych.core.share import draw
from triptych.core.transport import Transport
from triptych.errors import Missing, UserError

KNOWN = 1_024
"""Rows of the training data that a model conditioned on numbers keeps, to draw from."""


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

    What it can do is said by the capabilities it inherits: `Sampler`, `Latent`, `Encoder`, `Density`, `Conditional`.
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

    def sample(self, n: int, seed: int = 0, temperature: float = 1.0, batch: int = 256, y: Asked = None) -> Tensor:
        """TypeError unless the model is a `Sampler`; likewise the next three, whatever their arguments."""
        raise TypeError(f"{type(self).__name__} cannot sample; models that can are Samplers")

    def decode(self, z: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} has no latent space to decode from; models that have one are Latent")

    def encode(self, x: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} has no encoder; autoencoders and flows have one")

    def log_prob(self, x: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} has no exact density; flows have one, and `evaluate` bounds a VAE's")

    def labels(self, y: Asked, n: int, seed: int = 0) -> Tensor | None:
        """What n examples are conditioned on: nothing, and UserError for a class that is asked for."""
        if y is not None:
            raise UserError(
                f"this {type(self).__name__} has no classes; leave the class out, or train a recipe with them"
            )
        return None

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

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for needed in ("prior_moments", "transport"):
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

    def transport(self) -> Transport | None:
        """How noise becomes what `prior` draws; None where it is N(0, I), and noise is a code as it is.

        For programs that draw by themselves: an exported model, the explorer.
        """
        return None


class Sampler(Latent):
    """Makes new examples by decoding draws from the prior."""

    cooler: ClassVar[float | None] = None
    """a temperature at which pictures are also shown, beside those at 1"""

    def sample(self, n: int, seed: int = 0, temperature: float = 1.0, batch: int = 256, y: Asked = None) -> Tensor:
        """n new public examples, (n, *shape): the same of a seed, up to rounding, whatever `batch` is.

        `temperature`, not below 0, multiplies z. A model with classes takes y: a class, or one for each example; None
        draws them at the data's frequencies. The same seed gives the same z whatever the classes are.
        """
        seed = check_draw(n, seed, temperature)
        z = self.prior(n, torch.Generator().manual_seed(seed)) * temperature
        return decoded(self, z, self.labels(y, n, seed), batch)


class Conditional(Model):
    """Can be conditioned on classes, or on numbers: `sample`, `decode`, `encode` and `log_prob` take y.

    Of classes y is one for all, by number or name, or (n,) int64, or a list of n; of k numbers a row (k,) for all, or
    (n, k), in the data's units. None: drawn as in the training data, the same for the same n (`log_prob`: the density
    of x whatever its class).
    """

    classes: int
    """number of classes K; 0: it is conditioned on none"""
    class_names: tuple[str, ...] = ()
    """of the K classes, where the data name them"""
    frequencies: Tensor
    """(K,) shares of the classes in the training data, saved with the weights"""
    numbers: int
    """how many numbers k it is conditioned on; 0: none"""
    number_columns: tuple[Column, ...] = ()
    """the columns or factors that these are, as `core.conditions` has it"""
    known: Tensor
    """(KNOWN, k) of the training data, from which they are drawn where none are given"""
    centre_of_numbers: Tensor
    scale_of_numbers: Tensor

    def use_classes(self, k: int) -> None:
        """To be called once, by the constructor: how many classes there are, or how many `Numbers`."""
        self.numbers = k if isinstance(k, Numbers) else 0
        self.classes = k = k - self.numbers
        # an unconditional model has no more weights than before there were classes
        self.register_buffer("frequencies", torch.full((k,), 1 / max(k, 1)), persistent=k > 0)
        self.number_columns = unnamed(self.numbers)
        if self.numbers:
            self.register_buffer("known", torch.zeros(KNOWN, self.numbers))
            self.register_buffer("centre_of_numbers", torch.zeros(self.numbers))
            self.register_buffer("scale_of_numbers", torch.ones(self.numbers))

    @property
    def number_names(self) -> tuple[str, ...]:
        """Names (k,) of the numbers."""
        return names_of(self.number_columns)

    @property
    def conditioned(self) -> bool:
        """Whether it is conditioned on anything."""
        return self.classes > 0 or self.numbers > 0

    def know_classes(self, data: Data) -> None:
        """Take the frequencies and names of the classes from the training data; or rows, scale and names of numbers."""
        if self.classes:
            self.frequencies.copy_(frequencies_of(data, self.classes))
            self.class_names = tuple(data.classes)
        if self.numbers:
            assert data.conditions is not None
            c = data.conditions.double()
            self.known.copy_(c[torch.arange(KNOWN) * len(c) // KNOWN])
            self.centre_of_numbers.copy_(c.mean(0))
            spread = c.std(0, correction=0)
            self.scale_of_numbers.copy_(spread.where(spread > 0, 1.0))
            self.number_columns = data.condition_columns or self.number_columns

    def labels(self, y: Asked, n: int, seed: int = 0) -> Tensor | None:
        """What n examples are conditioned on, on the model's device: labels (n,) int64, or numbers (n, k); or None.

        UserError for a class that is not there, and for another number of labels than n.
        """
        if self.numbers:
            if y is None:
                return self.known[draw_labels(torch.ones(KNOWN), n, seed).to(self.device)]
            return numbers_asked(y, n, self.number_names).to(self.known)
        if not self.classes:
            return super().labels(y, n, seed)
        drawn = draw_labels(self.frequencies, n, seed) if y is None else y
        return class_numbers(drawn, n, self.class_names, self.classes).to(self.device)

    def inner(self, y: Tensor | None) -> Tensor | None:
        """What networks see of `labels`: numbers in units of their spread in the training data; labels unchanged."""
        if y is None or not self.numbers:
            return y
        return (y.to(self.known) - self.centre_of_numbers) / self.scale_of_numbers

    def given(self, y: Asked, n: int) -> AbstractContextManager[None]:
        """Inside it the networks are conditioned on y for n examples, as it is asked for."""
        return given(self.inner(self.labels(y, n)))

    def check_given(self, y: Asked) -> None:
        """UserError for a density of x whatever the numbers are that it is conditioned on: there is none."""
        if self.numbers and y is None:
            raise UserError(f"this is a density given {', '.join(self.number_names)}; say which, by log_prob(x, y)")

    @abstractmethod
    def decode(self, z: Tensor, y: Asked = None) -> Tensor: ...

    def encode(self, x: Tensor, y: Asked = None) -> Tensor:
        return super().encode(x)

    def log_prob(self, x: Tensor, y: Asked = None) -> Tensor:
        return super().log_prob(x)

    def log_joint(self, x: Tensor) -> Tensor:
        """log p(x, c) = log p(x | c) + log p(c) of public examples for every class c, (n, K), in nats.

        Its softmax is the classifier by Bayes' rule, its log-sum-exp the density of x. Where a density is estimated by
        random numbers, they are the same for every class: what differs between classes is then known the better.
        """
        log_p, devices = [], [self.device] if self.device.type == "cuda" else []
        for c in range(self.classes):
            with torch.random.fork_rng(devices) if c + 1 < self.classes else nullcontext():
                log_p.append(self.log_prob(x, torch.full((x.shape[0],), c, device=x.device)))
        return torch.stack(log_p, 1) + self.frequencies.to(log_p[0]).log()


class Classifier(Conditional):
    """Tells the classes of examples by a network of its own, q(y|x)."""

    @abstractmethod
    def log_classes(self, x: Tensor) -> Tensor:
        """log q(y|x) of public examples for every class, (n, K), in nats, differentiable."""


def conditions_of(model: Model, data: Data) -> Tensor | None:
    """What examples are conditioned on for a model: their labels (n,) or numbers (n, k); None for nothing."""
    if not isinstance(model, Conditional) or not model.conditioned:
        return None
    return data.conditions if model.numbers else data.labels


def given_to(model: Model, y: Asked, n: int, seed: int = 0) -> AbstractContextManager[None]:
    """Inside it a model is conditioned on y for n examples, as of `Conditional`; None is drawn by the seed.

    A model that can be conditioned on nothing is left as it is.
    """
    return model.given(model.labels(y, n, seed), n) if isinstance(model, Conditional) else nullcontext()


def class_count(model: Model) -> int:
    """How many classes a model is conditioned on; 0 where on none."""
    return model.classes if isinstance(model, Conditional) else 0


def decoded(model: Model, z: Tensor, y: Tensor | None = None, batch: int = 256) -> Tensor:
    """Public examples of z (n, latent), given labels y (n,) where the model has classes, by batches, no gradients.

    UserError where they are not of the data's shape.
    """
    labels = () if y is None or not isinstance(model, Conditional) else (y.split(batch),)
    with torch.no_grad():
        made = torch.cat([model.decode(*part) for part in zip(z.split(batch), *labels, strict=True)])
    if made.shape != (asked := (len(z), *model.shape)):
        name, found = type(model).__name__, tuple(made.shape)
        raise UserError(f"{name}.decode makes the shape {found} where {asked} is expected; correct the network")
    return made


@contextmanager
def shape_told(model: Model) -> Iterator[None]:
    """PyTorch's errors inside become a UserError where the model makes examples of another shape than the data have."""
    try:
        yield
    except RuntimeError:
        if isinstance(model, Latent):
            with suppress(RuntimeError):  # the first one tells more
                decoded(model, model.prior(1, torch.Generator().manual_seed(0)), model.labels(None, 1))
        raise


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
    """whether `sample` may compute in bfloat16: set in a training that does, and where its run is loaded"""

    @abstractmethod
    def path(self, z: Tensor, steps: int, y: Asked = None) -> Iterator[Tensor]:
        """What z (n, latent) passes on its way in so many steps: public examples, z itself first.

        `y` as for `decode` of a model with classes.
        """

    def choose(self, solver: str | None = None, steps: int | None = None) -> None:
        """Another solver or number of steps from now on; None leaves it. UserError for what there is not."""
        if solver is not None and solver not in self.solvers:
            one = "leave --solver out: it has one way to step"
            known = f"choose {', '.join(self.solvers)}" if self.solvers else one
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
