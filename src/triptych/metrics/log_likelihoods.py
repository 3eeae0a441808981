"""log p of examples under a model: exact, estimated along an ODE, or bounded; each with the card that says which."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import torch
from torch import Tensor

from triptych.core import Conditional, Data, Density, Model, to_inner
from triptych.core.metric import standard_error
from triptych.core.model import affordable, class_count
from triptych.core.units import bits_per_dim
from triptych.metrics.arrays import rows
from triptych.metrics.cards import Card, EstimateCard
from triptych.metrics.comparison import subset
from triptych.models.families import FlowModel, VAEModel, joint, over_classes
from triptych.models.flows import ode
from triptych.models.flows.continuous import ContinuousFlow
from triptych.models.observed import Observed
from triptych.objectives.likelihoods import Bounded
from triptych.objectives.posterior import importance_draws

AGREE = 0.005
"""Nats per dimension that a likelihood may move in twice the steps and still be called converged."""
CHECKED, CHECKED_PASSES = 256, 80_000
"""Most examples whose likelihood is also found in twice the steps, and the passes they may take."""


@torch.no_grad()
def exact(
    model: Model, x: Tensor, draws: int = 1, batch: int = 256, given: Tensor | None = None
) -> tuple[Tensor, Card]:
    """log p per example (n,), float64, of a model with a density; x are public vectors or uint8 images.

    Images: log E_q [p(k + u) / q(u | k)] over `draws` draws of the noise, of the density on [0, 1]^D; at one draw
    in expectation a lower bound of what it is at more. The same global seed gives all models the same uniform noise.
    `given` are the numbers (n, k) of a model that is conditioned on some: then it is log p(x | c).
    """
    images = x.dtype == torch.uint8
    parts = [
        torch.logsumexp(torch.stack([log_density(model, part, c) for _ in range(draws)]).double(), 0) - math.log(draws)
        for part, c in beside_each(x, given, batch)
    ]
    log_p = torch.cat(parts)
    learned = isinstance(model, FlowModel) and "dequantizer" in model.players
    card = Card(
        "[0, 1]^D" if images else "the data's units",
        ("learned" if learned else "uniform") if images else "none",
        "ODE" if isinstance(model, ContinuousFlow) else "exact",
        draws,
        "lower bound" if images else "exact",
        len(x),
        int((~torch.isfinite(log_p)).sum()),
        classes=class_count(model) or None,
    )
    if isinstance(model, ContinuousFlow):
        card = estimated(model, x, log_p, card, batch, given)
    return log_p, card


def given_to(model: Model, data: Data) -> Tensor | None:
    """Numbers that a model is conditioned on, of these examples; None of one that is not. Classes are summed over."""
    return data.conditions if isinstance(model, Conditional) and model.numbers else None


def beside_each(x: Tensor, given: Tensor | None, batch: int) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Examples in parts, each with its own of what they are conditioned on."""
    for i in range(0, len(x), batch):
        yield x[i : i + batch], None if given is None else given[i : i + batch]


def estimated(
    model: ContinuousFlow, x: Tensor, log_p: Tensor, card: Card, batch: int, given: Tensor | None = None
) -> EstimateCard:
    """The card with how the solver found log p (n,), and what twice its steps give for some of the examples.

    dopri5 is of order 5: a tolerance 2⁵ times smaller makes about twice the steps. Where rounding allows no smaller
    one, a 2⁵ times larger one is tried in its stead, and its result counts as the one of half the steps. Noise and
    probes are the same both times.
    """
    steps = model.evaluations["likelihood"] / 6
    passes = CHECKED_PASSES if len(model.shape) == 1 else CHECKED_PASSES / 10
    some = x[: affordable(CHECKED, model.cost.likelihood, passes, 16)]
    least = ode.LEAST[torch.float32]
    finer = model.tolerance / 32
    tolerances = (model.tolerance, finer) if finer >= least else (32 * model.tolerance, model.tolerance)
    found = []
    for tolerance in tolerances:
        with torch.random.fork_rng(devices=[]), model.at_tolerance(tolerance):
            torch.manual_seed(0)
            parts = [log_density(model, part, c).double() for part, c in beside_each(some, given, batch)]
        found.append(-torch.cat(parts).mean().item())
    plain, doubled = found
    return EstimateCard(
        **vars(card),
        tolerance=model.tolerance,
        steps=steps,
        probes=0 if model.exact_trace else model.probes,
        se=standard_error(log_p),
        value_at_doubled_steps=doubled,
        value_at_steps=plain,
        checked=len(some),
        converged=abs(doubled - plain) <= AGREE * model.latent,
    )


def log_density(model: Model, x: Tensor, given: Tensor | None = None) -> Tensor:
    """log p(x) of vectors; log p((k + u) / 256) − log q(u | k) of uint8 images; where numbers are `given`, of x | c."""
    if not isinstance(model, Density):
        raise TypeError(f"{type(model).__name__} has no density")
    if x.dtype == torch.uint8 and isinstance(model, FlowModel):
        with nullcontext() if given is None else model.given(given, len(x)):
            y, log_q = model.dequantise(to_inner(x).to(model.device))
            return (model.log_marginal(y) + model.latent * math.log(2) - log_q).cpu()
    if x.dtype == torch.uint8:
        x = (x + torch.rand(x.shape).clamp_max(1 - 2**-16)) / 256
    public = x.to(model.device)
    if isinstance(model, Conditional) and given is not None:
        return model.log_prob(public, given).cpu()  # pyright: ignore[reportCallIssue]
    return model.log_prob(public).cpu()


@torch.no_grad()
def variational(
    model: Observed, objective: Bounded, x: Tensor, draws: int = 1, chunk: int = 2048, given: Tensor | None = None
) -> tuple[Tensor, Card]:
    """The ELBO (one draw, KL in closed form) or the importance-weighted bound of `draws` draws, (n,) float64.

    Gaussian likelihoods are densities: images are dequantised by uniform noise and the value is over [0, 1]^D.
    Bernoulli and logistic ones are probabilities of the pixel values. The importance-weighted bound is that of a
    `VAEModel`. Source: Burda et al. 2016, eq. 8. Of a model with classes they are bounds of log Σ_c p(c) p(x | c); of
    one that is conditioned on numbers, `given` (n, k), of log p(x | c).
    """
    cards = []

    def bound() -> Tensor:
        log_p, card = bound_given(model, objective, x, draws, chunk, given)
        cards.append(card)
        return log_p.to(model.device)

    log_p = (over_elbos if draws == 1 and class_count(model) else over_classes)(model, bound).cpu()
    return log_p, dataclasses.replace(cards[0], non_finite=int((~torch.isfinite(log_p)).sum()))


def over_elbos(model: Observed, elbo: Callable[[], Tensor]) -> Tensor:
    """A bound of log Σ_c p(c) p(x | c), (n,), where `elbo` gives noisy ELBOs of x given a class, other ones each time.

    Σ_c q(c) (log p(c) + ELBO_c − log q(c)), q(c) ∝ p(c) exp ELBO_c of other noise than the sum's. That holds for any q
    that does not see the noise: Kingma et al. 2014, "Semi-supervised learning with deep generative models", eq. 7.
    log Σ_c p(c) exp ELBO_c of noisy ELBOs is no bound: noise raises it, by several nats where classes are alike.
    """
    log_q = joint(model, elbo).log_softmax(1)
    q = log_q.exp()
    return torch.where(q > 0, q * (joint(model, elbo) - log_q), 0.0).sum(1)


def bound_given(
    model: Observed, objective: Bounded, x: Tensor, draws: int, chunk: int, given: Tensor | None = None
) -> tuple[Tensor, Card]:
    """`variational`, given the labels at hand where the model has classes."""
    density = objective.likelihood.startswith("gaussian")
    images = x.dtype == torch.uint8
    found = []
    for part, c in beside_each(x, given, max(1, chunk // draws)):
        inner = to_inner(part)
        if images and density:
            inner = (part + torch.rand(part.shape)) / 128 - 1
        with nullcontext() if c is None else model.given(c, len(part)):
            found.append(bound_of(model, objective, inner.to(model.device), draws, chunk))
    bound = torch.cat(found)
    if images and density:
        bound += math.prod(model.shape) * math.log(2)
    card = Card(
        ("[0, 1]^D" if density else "the pixels' values") if images else "the data's units",
        "uniform" if images and density else "none",
        "ELBO" if draws == 1 else "IWAE",
        draws,
        "lower bound",
        len(x),
        int((~torch.isfinite(bound)).sum()),
        classes=class_count(model) or None,
    )
    return bound, card


def bound_of(model: Observed, objective: Bounded, x: Tensor, draws: int, chunk: int) -> Tensor:
    """The bound of inner examples, (n,) float64."""
    if draws == 1:
        return objective.elbo(x, model).double().cpu()
    assert isinstance(model, VAEModel)
    mu, log_sigma = model.posterior(x)
    weights = []
    for some in torch.ones(draws).split(max(1, chunk // len(x))):
        noise = torch.randn(len(some), *mu.shape, device=mu.device)
        z, log_ratio = importance_draws(mu, log_sigma, noise)
        log_p = objective.log_likelihoods(x, model.decoder(z.flatten(0, 1)), model)
        weights.append((log_p.double() + log_ratio.double()).cpu())
    return torch.logsumexp(torch.cat(weights), 0) - math.log(draws)


def gaussian_bits(train: Data, test: Data, seed: int = 0, most: int = 20_000) -> float:
    """Bits per dimension of held-out images under one full-covariance Gaussian: what a model must beat."""
    g = torch.Generator().manual_seed(seed)

    def grey(data: Data) -> Tensor:
        return subset(data, most, seed).x.flatten(1)

    # (n, d); in place, as these are the largest arrays of an evaluation
    x = grey(train).float().add_(0.5).div_(256)
    mean = x.mean(0)
    x -= mean
    cov = rows(x.T @ x / len(x), "rows of the covariance")
    del x
    cov.diagonal().add_(1 / 12 / 256**2)  # of the dequantisation's noise
    factor = torch.linalg.cholesky(cov)
    levels = grey(test)
    y = torch.rand(levels.shape, generator=g).add_(levels).div_(256).sub_(mean)
    d = y.shape[1]
    z = torch.linalg.solve_triangular(factor, y.double().T, upper=False)
    log_p = -0.5 * (z.square().sum(0).mean() + d * math.log(2 * math.pi)) - factor.diagonal().log().sum()
    return bits_per_dim(log_p.item(), test.shape)
