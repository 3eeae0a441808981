"""Continuous flows by regression: no equation is solved while training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from triptych.core import Clock, Data, Model, Move, Objective, Quantity, to_inner
from triptych.core.assignment import assignment
from triptych.core.labels import given
from triptych.core.objective import examples
from triptych.core.share import draw, gathered, mine, normal_like, uniform_like
from triptych.errors import UserError
from triptych.models.flows.continuous import ContinuousFlow, OnePassFlow
from triptych.models.flows.path import NEAREST, Scaled, dequantised
from triptych.models.two_stages import LatentFlow, spread
from triptych.objectives.flow import FITTED, TRAINED_ON, check_vectors
from triptych.objectives.gradients import directional
from triptych.objectives.likelihoods import sse
from triptych.objectives.stages import InTwoStages

Time = Literal["log-uniform", "logit-normal", "uniform"]
Coupling = Literal["independent", "transport"]


def draw_times(n: int, how: Time, like: Tensor) -> Tensor:
    """n times (n, 1): 1 − t log-uniform above `NEAREST`, t the logistic function of N(0, 1), or t uniform."""
    u = draw(lambda n: torch.rand(n, 1, dtype=like.dtype, device=like.device), n)
    match how:
        case "log-uniform":
            return 1 - (u * math.log(NEAREST)).exp()
        case "logit-normal":
            return torch.sigmoid(torch.special.ndtri(u.clamp(1e-6, 1 - 1e-6)))
        case "uniform":
            return u


def paired(z: Tensor, x: Tensor, how: Coupling) -> Tensor:
    """Noise z (n, d) in the order in which it belongs to x (n, d): as it came, or the cheapest pairing of the batch."""
    if how == "independent":
        return z
    x, z = gathered(x), gathered(z)
    cost = torch.cdist(x.double(), z.double()).square().cpu().numpy()
    return mine(z[torch.from_numpy(assignment(cost)).to(z.device)])


def thinned(y: Tensor | None, share: float, classes: int) -> Tensor | None:
    """Labels (n,) of which a share is dropped at random: it becomes the label `classes`, which says nothing.

    Numbers (n, k) that are dropped become 0, with a one behind them, at the place that says so: (n, k + 1).

    Source: Ho and Salimans 2022, "Classifier-Free Diffusion Guidance", Algorithm 1.
    """
    if y is None or not share:
        return y
    dropped = draw(lambda n: torch.rand(n, device=y.device), y.shape[0]) < share
    if y.dim() == 2:
        gone = dropped[:, None].to(y)
        return torch.cat([y * (1 - gone), gone], 1)
    return torch.where(dropped, classes, y)


def check_share(unlabelled: float) -> None:
    """UserError for what is no share of the labels."""
    if not 0 <= unlabelled < 1:
        raise UserError(f"objective.unlabelled is {unlabelled}; a share of labels is at least 0 and below 1")


PICTURES = 2_500
"""Held-out pictures that a validation looks at: a pass of a U-Net over one is dear, and their mean is within 1 %."""


def validated(model: Model, batches: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Held-out batches with what they are conditioned on: all vectors, and the first `PICTURES` images."""
    seen = 0
    for x, y in examples(model, batches):
        yield x, y
        if x.dim() == 4 and (seen := seen + len(x)) >= PICTURES:
            return


REGRESSION: Mapping[str, Quantity] = {
    "loss": Quantity("Loss", neither=TRAINED_ON, rank=43, live=True),
    "val_error": Quantity(
        "Held-out regression error", "lower", comparable="objective, its time and its coupling", rank=25, live=True
    ),
}


def check_data(data: Data, coupling: Coupling) -> None:
    """UserError where the data have no density, or are too large for pairs to mean anything."""
    if data.is_images and coupling == "transport":
        raise UserError(
            "pairs of pictures and noise in a batch are far apart whoever is paired; --objective.coupling independent"
        )
    if not data.is_images:
        check_vectors(data)


def fit(model: Scaled, data: Data) -> None:
    """Give the model the scale and the range of the data: of every vector, or of `FITTED` images."""
    every = -(-len(data) // FITTED) if data.is_images else 1
    model.fit(to_inner(data.x[::every].to(model.device)))


def regression(model: Scaled, x: Tensor, z: Tensor, t: Tensor) -> Tensor:
    """Squared errors of scaled x (n, d), noise z and times t (n, 1), the mean over dimensions, (n,)."""
    seen, target = model.mix(x, z, t)
    return (model.network(seen, t) - target).square().mean(1)


@dataclass(frozen=True)
class FlowMatching(Objective):
    """E ‖F(x_t / r, t) − ((1 − t) x − t z) / r‖², with x_t = (1 − t) z + t x and r² = (1 − t)² + t².

    The regression on the velocity x − z of a straight line from noise z to data x, in a form whose target has variance
    1 at every t: with the guess of x that F stands for, D, it is E ‖D(x_t, t) − x‖² r² / (1 − t)². The minimiser's
    velocity E[x − z | x_t] carries N(0, I) to the data. Pictures are dequantised by uniform noise.

    Sources: Lipman et al. 2023, "Flow Matching for Generative Modeling", eq. 23 with σ_min = 0; Liu et al. 2023,
    "Flow Straight and Fast", eq. 1; Albergo and Vanden-Eijnden 2023, "Building Normalizing Flows with Stochastic
    Interpolants". Transport: Tong et al. 2024, "Improving and Generalizing Flow-Based Generative Models with Minibatch
    Optimal Transport". Logit-normal times: Esser et al. 2024, "Scaling Rectified Flow Transformers", section 3.1.
    """

    quantities: ClassVar[Mapping[str, Quantity]] = REGRESSION
    time: Time = "log-uniform"
    """how t is drawn: 1 - t log-uniform (vectors, whose modes may be narrow), logit-normal (pictures), or uniform"""
    coupling: Coupling = "independent"
    """which noise belongs to which example: any, or the cheapest pairing within the batch (straighter lines)"""
    unlabelled: float = field(default=0.1, metadata={"later": True})
    """with classes: share of examples whose label is dropped, so that samples can be guided (--guidance)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share(self.unlabelled)

    def step(self, model: ContinuousFlow, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
        batch, y = next(examples(model, batches))
        x = model.scaled(dequantised(batch))
        z = paired(normal_like(x), x, self.coupling)
        with given(thinned(y, self.unlabelled, model.classes)):
            loss = regression(model, x, z, draw_times(x.shape[0], self.time, x)).mean()
        yield Move("flow", loss, {"loss": loss})

    def check(self, model: Model, data: Data, steps: int = 0) -> None:
        if not isinstance(model, ContinuousFlow):
            raise UserError(
                f"FlowMatching trains a velocity, and {type(model).__name__} has none; use VelocityMLP or VelocityUNet"
            )
        check_data(data, self.coupling)

    def prepare(self, model: ContinuousFlow, data: Data) -> None:
        fit(model, data)

    def validate(self, model: ContinuousFlow, batches: Iterable[Tensor], clock: Clock) -> dict[str, float]:
        """val_error: the mean squared error on held-out examples, at times drawn as in training, independent noise.

        Of pictures on the first `PICTURES` of them.
        """
        found = []
        for batch, y in validated(model, batches):
            x = model.scaled(dequantised(batch))
            with given(y):
                found.append(regression(model, x, normal_like(x), draw_times(x.shape[0], self.time, x)).double())
        return {"val_error": torch.cat(found).mean().item()}


@dataclass(frozen=True)
class MeanFlow(Objective):
    """E w ‖u(x_t, t, s) − sg(v + (s − t) d/dt u(x_t, t, s))‖², v = x − z: the mean velocity from t to s, in one pass.

    (s − t) u(x_t, t, s) is the way from x_t to x_s along the flow. Its derivative by t gives the identity
    u = v + (s − t) du/dt, du/dt along the path with the tangent (v, 1, 0), by a derivative forward; sg holds the
    target fixed. The weight w = 1 / (‖error‖² + c), held fixed too, evens out errors of all sizes.

    Source: Geng et al. 2025, "Mean Flows for One-step Generative Modeling", eq. 6 to 11 and 22, with time running from
    noise to data.
    """

    quantities: ClassVar[Mapping[str, Quantity]] = REGRESSION
    time: Time = "logit-normal"
    """how the two ends of an interval are drawn"""
    instant: float = 0.5
    """share of intervals of no length, where u is the velocity itself"""
    c: float = 1e-3
    """constant of the weight"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.instant <= 1:
            raise UserError(f"objective.instant is {self.instant}; a share lies between 0 and 1")
        if not self.c > 0:
            raise UserError(f"objective.c is {self.c}; it must be above 0")

    def errors(self, model: OnePassFlow, x: Tensor) -> Tensor:
        """Squared errors of scaled x (n, d) over fresh noise and intervals, the mean over dimensions, (n,)."""
        z = normal_like(x)
        a, b = draw_times(x.shape[0], self.time, x), draw_times(x.shape[0], self.time, x)
        t, s = torch.minimum(a, b), torch.maximum(a, b)
        s = torch.where(uniform_like(t) < self.instant, t, s)
        v = x - z
        tangents = (v, torch.ones_like(t), torch.zeros_like(s))
        u, change = directional(model.mean_velocity, ((1 - t) * z + t * x, t, s), tangents)
        return (u - (v + (s - t) * change).detach()).square().mean(1)

    def step(self, model: OnePassFlow, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
        x, y = next(examples(model, batches))
        with given(y):
            error = self.errors(model, model.scaled(dequantised(x)))
        loss = (error / (error.detach() + self.c)).mean()
        yield Move("flow", loss, {"loss": error.mean()})

    def check(self, model: Model, data: Data, steps: int = 0) -> None:
        if not isinstance(model, OnePassFlow):
            raise UserError(
                f"MeanFlow trains a mean velocity, and {type(model).__name__} has none; use VelocityMLP or "
                "VelocityUNet with --model.one-pass"
            )
        check_data(data, "independent")

    def prepare(self, model: OnePassFlow, data: Data) -> None:
        fit(model, data)
        # the first forward derivative sets torch up for seconds: here, where no step is timed
        one = torch.ones(1, device=model.device)
        directional(torch.square, (one,), (one,))

    def validate(self, model: OnePassFlow, batches: Iterable[Tensor], clock: Clock) -> dict[str, float]:
        """val_error: the mean squared error on held-out examples."""
        found = []
        for x, y in validated(model, batches):
            with given(y):
                found.append(self.errors(model, model.scaled(dequantised(x))).double())
        return {"val_error": torch.cat(found).mean().item()}


@dataclass(frozen=True)
class LatentFlowMatching(InTwoStages):
    """First an autoencoder by E ‖x − g(f(x) + noise)‖², then flow matching on its codes: two stages of one run.

    The first `share` of the budget moves encoder and decoder, the rest the flow, with the codes held as they are. The
    decoder sees codes with a little noise, so that it forgives the flow's small errors. Source of the two stages:
    Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models", section 3.
    """

    quantities: ClassVar[Mapping[str, Quantity]] = {
        **REGRESSION,
        "recon": Quantity("Reconstruction error while training", neither=TRAINED_ON),
        "val_recon": Quantity("Held-out reconstruction error", "lower", rank=24, live=True),
    }
    share: float = 0.4
    """part of the budget that the autoencoder takes"""
    noise: float = 0.1
    """noise on the codes that the decoder learns from, in their standard deviations"""
    time: Time = "logit-normal"
    """how t is drawn"""
    unlabelled: float = field(default=0.1, metadata={"later": True})
    """with classes: share of examples whose label is dropped, so that samples can be guided (--guidance)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share(self.unlabelled)
        self.check_share()
        if not 0 <= self.noise < math.inf:
            raise UserError(f"objective.noise is {self.noise}; give a finite number, 0 or more")

    def step(self, model: LatentFlow, batches: Iterator[Tensor], clock: Clock) -> Iterator[Move]:
        x, label = next(examples(model, batches))
        if clock.fraction < self.share:
            codes = model.encoder(x).flatten(1)
            model.observe(codes.detach())
            # of this batch and with its slope: else codes would outgrow the noise, and their running deviation
            noisy = codes + self.noise * spread(codes) * normal_like(codes)
            recon = sse(x, model.decoder(noisy.reshape(-1, *model.moved))).mean()
            yield Move(("encoder", "decoder"), recon, {"loss": recon, "recon": recon})
        else:
            with torch.no_grad():
                y = model.scaled(x)
            with given(thinned(label, self.unlabelled, model.classes)):
                loss = regression(model, y, normal_like(y), draw_times(y.shape[0], self.time, y)).mean()
            yield Move("flow", loss, {"loss": loss})

    def check(self, model: Model, data: Data, steps: int = 0) -> None:
        if not isinstance(model, LatentFlow):
            raise UserError(
                f"LatentFlowMatching trains an autoencoder and a flow, and {type(model).__name__} is not both; "
                "use LatentUNet"
            )
        self.check_steps(steps)

    def validate(self, model: LatentFlow, batches: Iterable[Tensor], clock: Clock) -> dict[str, float]:
        """val_recon: held-out squared error of the round trip, summed; val_error: the flow's, as in training."""
        recon, found = [], []
        for x, label in validated(model, batches):
            recon.append(sse(x, model.decoder(model.encoder(x))).double())
            y = model.scaled(x)
            with given(label):
                found.append(regression(model, y, normal_like(y), draw_times(y.shape[0], self.time, y)).double())
        return {"val_recon": torch.cat(recon).mean().item(), "val_error": torch.cat(found).mean().item()}
