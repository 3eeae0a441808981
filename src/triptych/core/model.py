"""Models, and the capabilities they inherit."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from triptych.core.data import LARGEST, Shape
from triptych.core.share import draw
from triptych.errors import UserError


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

    @property
    def players(self) -> dict[str, nn.Module]:
        """The named children: networks that objectives move."""
        return dict(self.named_children())

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
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

    def before_pooling(self) -> None:
        """Turn buffers that follow a batch other than linearly into such that do, in place: the shares of a batch
        have their own, of which the mean is taken."""

    def after_pooling(self) -> None:
        """The inverse of `before_pooling`."""

    def autocast_modules(self) -> list[nn.Module]:
        """Modules whose calls may run in bfloat16 under mixed precision: all players, unless the model says less."""
        return list(self.children())


class Latent(Model):
    """Has a latent space: `decode` maps z to examples."""

    latent: int
    """Number of latent dimensions."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "prior" in vars(cls) and "prior_moments" not in vars(cls):
            raise TypeError(f"{cls.__name__} has a prior of its own; define prior_moments beside it")

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


class ModelSpec(ABC):
    """Abstract base of the frozen dataclasses in `models/` that build a model for a data shape.

    A field annotated as `int` is a size: at least 1, or at least 0 where its default is 0, and at most `LARGEST`;
    UserError otherwise. Other fields a class checks itself.
    """

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):  # type: ignore[arg-type]
            if f.type not in (int, "int"):
                continue
            value, least = getattr(self, f.name), 0 if f.default == 0 else 1
            if value < least:
                raise UserError(f"model.{f.name} is {value}; it must be {'0 or more' if least == 0 else 'above 0'}")
            if value > LARGEST:
                raise UserError(f"model.{f.name} is {value}; it must be at most {LARGEST:,}")

    @abstractmethod
    def build(self, shape: Shape) -> Model:
        """A freshly initialised model; UserError where the networks cannot make this shape."""
