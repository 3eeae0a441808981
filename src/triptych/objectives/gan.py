"""Adversarial objectives, side by side.

Every objective says how a critic D is scored on real and fake examples, `critic(D, real, fake)`, and how a
generator is, `generator(D, real, fake)`; both return a scalar to minimise. `D(x)` is a raw score per example,
(n,) or (n, 1): no objective wants a sigmoid inside the network.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core import Clock, Data, Move, Objective, Quantity, Undefined
from triptych.core.labels import given
from triptych.core.objective import examples
from triptych.core.search import Among, Range
from triptych.core.share import draw
from triptych.errors import UserError
from triptych.objectives.gradients import input_gradient

Critic = Callable[[Tensor], Tensor]
BATCH_STATISTICS = (nn.modules.batchnorm._BatchNorm,)


def has_batch_norm(D: Critic) -> bool:
    """Whether a score depends on the rest of the batch."""
    return isinstance(D, nn.Module) and any(isinstance(m, BATCH_STATISTICS) for m in D.modules())


def critic_scores(D: Critic, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of real and fake examples, (n,) each: one call of D, unless it has batch statistics."""
    if has_batch_norm(D):
        return D(real).flatten(), D(fake).flatten()
    d_real, d_fake = D(torch.cat([real, fake])).flatten().split([len(real), len(fake)])
    return d_real, d_fake


def gradient_penalty(D: Critic, real: Tensor, fake: Tensor, epsilon: Tensor | None = None) -> Tensor:
    """E (‖∇D(x̂)‖₂ − 1)², x̂ = ε real + (1 − ε) fake with one ε ~ U[0, 1] per example.

    The norm is taken per example over all other dimensions, in float32 or better.
    Source: Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", Algorithm 1.
    """
    n = len(real)
    if epsilon is None:
        epsilon = draw(lambda n: torch.rand(n, device=real.device, dtype=real.dtype), n)
    epsilon = epsilon.view(n, *[1] * (real.dim() - 1))
    gradient = input_gradient(D, torch.lerp(fake, real, epsilon))
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


GAME = "two players pull it to and fro: in equilibrium it rests, at no value known beforehand"


@dataclass(frozen=True)
class Adversarial(Objective):
    """The game: `n_critic` critic moves, each on a fresh real batch, then one generator move.

    Of a model with classes both players are given the labels of the real batch: D(x | y) and G(z | y).
    """

    validates_averages = False  # a critic is evaluated with the generator that it plays with
    adversarial = True

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "critic_loss": Quantity("Loss of the critic", neither=GAME, rank=41, live=True),
        "generator_loss": Quantity("Loss of the generator", neither=GAME, rank=42, live=True),
        "d_real": Quantity("Critic's mean score of real examples", neither=GAME),
        "d_fake": Quantity("Critic's mean score of samples", neither=GAME),
        "d_gap": Quantity("Gap of the critic's scores", neither=GAME, unit="standard deviations"),
        "diversity": Quantity("Diversity of samples", neither="1 is as diverse as the data", unit="of the data's"),
    }
    _: KW_ONLY
    n_critic: Annotated[int, Among(1, 2, 5)] = 1
    """critic moves per generator move"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_critic < 1:
            raise UserError(f"objective.n_critic is {self.n_critic}; it must be at least 1")

    @abstractmethod
    def critic(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """Scalar that the critic minimises."""

    @abstractmethod
    def generator(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """Scalar that the generator minimises."""

    def after_critic(self, D: nn.Module) -> None:
        """Runs after each optimiser step of the critic."""

    def step(self, model: Any, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
        G, D = model.generator, model.critic
        for _ in range(self.n_critic):
            real, y = next(examples(model, batches))
            with given(y):
                with torch.no_grad():
                    fake = G(model.prior(len(real)))
                loss = self.critic(D, real, fake)
            yield Move("critic", loss, {"critic_loss": loss})
            self.after_critic(D)
        with given(y):
            fake = G(model.prior(len(real)))
            loss = self.generator(D, real, fake)
        yield Move("generator", loss, {"generator_loss": loss})

    def check(self, model: Any, data: Data, steps: int = 0) -> None:
        missing = {"generator", "critic"} - model.players.keys()
        if missing:
            raise UserError(
                f"{type(self).__name__} needs a generator and a critic; {type(model).__name__} has no {missing.pop()}"
            )

    def validate(self, model: Any, batches: Iterable[Tensor], clock: Clock) -> dict[str, float]:
        """Mean critic scores of real and fake examples, how far apart they lie in standard deviations, and how
        diverse the samples are: their mean pairwise distance over the real examples'."""
        D, G = model.critic, model.generator
        real, y = next(examples(model, batches))
        with given(y):
            fake = G(model.prior(len(real)))
            d_real, d_fake = critic_scores(D, real, fake)
        spread = torch.cat([d_real - d_real.mean(), d_fake - d_fake.mean()]).std()
        apart = F.pdist(real.flatten(1)).mean()
        return {
            "d_real": d_real.mean().item(),
            "d_fake": d_fake.mean().item(),
            "d_gap": ((d_real.mean() - d_fake.mean()) / spread.clamp_min(1e-12)).item()
            if spread > 0
            else Undefined("the critic gives all real examples one score, and all samples one"),
            "diversity": (F.pdist(fake.flatten(1)).mean() / apart).item()
            if apart > 0
            else Undefined("no two held-out examples differ"),
        }


@dataclass(frozen=True)
class GAN(Adversarial):
    """The original game, on logits.

    critic:     −E log σ(D(x)) − E log(1 − σ(D(G(z)))), as a mean of the two
    generator:  −E log σ(D(G(z)))  (non-saturating), or E log(1 − σ(D(G(z)))) with `minimax`

    Sources: Goodfellow et al. 2014, eq. 1 and section 3; one-sided label smoothing: Salimans et al. 2016,
    section 3.4.
    """

    label_smoothing: tuple[float, float] | None = None
    """targets of real examples, in the critic only, are drawn from this range"""
    minimax: bool = False
    """the generator minimises log(1 − σ(D)): the saturating form"""

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.label_smoothing or (0, 1)
        if not 0 <= low <= high <= 1:
            raise UserError(
                f"{low} to {high} is no range of targets; give two numbers in [0, 1], the lower first, "
                "as in --objective.label-smoothing 0.7 0.9"
            )

    def critic(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        d_real, d_fake = critic_scores(D, real, fake)
        low, high = self.label_smoothing or (1.0, 1.0)
        target = (
            torch.ones_like(d_real)
            if self.label_smoothing is None
            else draw(lambda n: d_real.new_empty(n).uniform_(low, high), len(d_real))
        )
        return (bce(d_real, target) + bce(d_fake, torch.zeros_like(d_fake))) / 2

    def generator(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        d_fake = D(fake).flatten()
        if self.minimax:
            return -bce(d_fake, torch.zeros_like(d_fake))
        return bce(d_fake, torch.ones_like(d_fake))


@dataclass(frozen=True)
class LSGAN(Adversarial):
    """Least squares, a = 0, b = c = 1.

    critic:     ½ E (D(x) − 1)² + ½ E D(G(z))²
    generator:  ½ E (D(G(z)) − 1)²

    Source: Mao et al. 2017, eq. 2 and 9.
    """

    def critic(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        d_real, d_fake = critic_scores(D, real, fake)
        return ((d_real - 1).square().mean() + d_fake.square().mean()) / 2

    def generator(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        return (D(fake) - 1).square().mean() / 2


@dataclass(frozen=True)
class WGAN(Adversarial):
    """Wasserstein, the critic made Lipschitz by clipping its weights to [−c, c].

    critic:     E D(G(z)) − E D(x)
    generator:  −E D(G(z))

    Source: Arjovsky et al. 2017, Algorithm 1.
    """

    clip: Annotated[float, Range(0.001, 0.1, log=True)] = 0.01
    """c"""
    _: KW_ONLY
    n_critic: Annotated[int, Among(1, 2, 5)] = 5
    """critic moves per generator move"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.clip < math.inf:
            raise UserError(f"objective.clip is {self.clip}; it must be a finite number above 0")

    def critic(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        d_real, d_fake = critic_scores(D, real, fake)
        return d_fake.mean() - d_real.mean()

    def generator(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        return -D(fake).mean()

    @torch.no_grad()
    def after_critic(self, D: nn.Module) -> None:
        for w in D.parameters():
            w.clamp_(-self.clip, self.clip)


@dataclass(frozen=True)
class WGANGP(Adversarial):
    """Wasserstein, with a gradient penalty towards unit norm on the critic.

    critic:     E D(G(z)) − E D(x) + λ E (‖∇D(x̂)‖₂ − 1)²
    generator:  −E D(G(z))

    Source: Gulrajani et al. 2017, Algorithm 1. The theory is per example: no batch normalisation in D.
    """

    gp: Annotated[float, Range(0.1, 100.0, log=True)] = 10.0
    """λ"""
    _: KW_ONLY
    n_critic: Annotated[int, Among(1, 2, 5)] = 5
    """critic moves per generator move"""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_0("gp", self.gp)

    def critic(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        refuse_batch_norm(D, "WGANGP")
        d_real, d_fake = critic_scores(D, real, fake)
        return d_fake.mean() - d_real.mean() + self.gp * gradient_penalty(D, real, fake)

    def generator(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        return -D(fake).mean()

    def check(self, model: Any, data: Data, steps: int = 0) -> None:
        super().check(model, data, steps)
        refuse_batch_norm(model.players["critic"], "WGANGP")


def bce(logits: Tensor, target: Tensor) -> Tensor:
    """−E [t log σ(D) + (1 − t) log(1 − σ(D))]."""
    return F.binary_cross_entropy_with_logits(logits, target)


def at_least_0(name: str, weight: float) -> None:
    """UserError for a weight that is negative or not finite."""
    if not 0 <= weight < math.inf:
        raise UserError(f"objective.{name} is {weight}; it must be a finite number, 0 or more")


def refuse_batch_norm(D: Critic, name: str) -> None:
    """UserError for a critic whose scores depend on the other examples of the batch."""
    if has_batch_norm(D):
        raise UserError(
            f"{name} penalises the gradient at each example, and batch normalisation in the critic mixes examples; "
            "use a critic without it (layer or instance normalisation will do)"
        )
