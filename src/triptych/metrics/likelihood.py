"""Likelihoods: their unit, and the card that says what a number is."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from triptych.core import Comparison, Conditional, Data, Density, Metric, Model, Quantity, Value, to_inner
from triptych.core.model import affordable, class_count
from triptych.core.units import bits_per_dim
from triptych.metrics.arrays import rows
from triptych.metrics.cards import Card, EstimateCard
from triptych.metrics.comparison import fresh, pick, subset
from triptych.models.families import FlowModel, VAEModel, over_classes
from triptych.models.flows import ode
from triptych.models.flows.continuous import ContinuousFlow
from triptych.models.observed import Observed
from triptych.objectives.likelihoods import Bounded
from triptych.objectives.posterior import importance_draws

AGREE = 0.005
"""Nats per dimension that a likelihood may move in twice the steps and still be called converged."""
CHECKED, CHECKED_PASSES = 256, 80_000
"""Most examples whose likelihood is also found in twice the steps, and the passes they may take."""
EXAMPLES_PASSES, FEW = 10_000_000, 64
"""Passes that the likelihoods of an evaluation may take, and the least examples they are of; more on a GPU."""
ALONG_PASSES = 150_000
"""Passes that the likelihoods of one look in training may take."""


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
        se=(log_p.std() / len(log_p) ** 0.5).item() if len(log_p) > 1 else math.nan,
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
    `VAEModel`. Source: Burda et al. 2016, eq. 8. Of a model with classes they are bounds of log Σ_c p(c) p(x | c),
    whose terms are bounded each; of one that is conditioned on numbers, `given` (n, k), of log p(x | c).
    """
    cards = []

    def bound() -> Tensor:
        log_p, card = bound_given(model, objective, x, draws, chunk, given)
        cards.append(card)
        return log_p.to(model.device)

    log_p = over_classes(model, bound).cpu()
    return log_p, dataclasses.replace(cards[0], non_finite=int((~torch.isfinite(log_p)).sum()))


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

    def dequantised(data: Data) -> Tensor:  # (n, d); in place, as these are the largest arrays of an evaluation
        grey = subset(data, most, seed).x.flatten(1)
        return torch.rand(grey.shape, generator=g).add_(grey).div_(256)

    x = dequantised(train)
    mean = x.mean(0)
    x -= mean
    cov = rows(x.T @ x / len(x), "rows of the covariance")
    del x
    cov.diagonal().add_(1 / 12 / 256**2)
    factor = torch.linalg.cholesky(cov)
    y = dequantised(test).sub_(mean)
    d = y.shape[1]
    z = torch.linalg.solve_triangular(factor, y.double().T, upper=False)
    log_p = -0.5 * (z.square().sum(0).mean() + d * math.log(2 * math.pi)) - factor.diagonal().log().sum()
    return bits_per_dim(log_p.item(), test.shape)


TIMED = 64
"""Examples on which the time of a likelihood is measured."""
CARDS = "kind of likelihood (exact, or the same bound)"


@dataclass(frozen=True)
class Likelihood(Metric):
    """Negative log-likelihood of held-out examples in nats, with its card; "not defined" is a result.

    - a density: `nll`, and `bits_per_dim` of images or `kl` (data ‖ model) of toy sets, whose density is known;
    - a VAE: `nll_elbo` and `nll_iwae`, two upper bounds of the negative log-likelihood, and their bits; the first alone
      where codes are drawn group by group, or are discrete with one for each example.

    The floor of a toy set is the entropy of the distribution, estimated on the same points.
    """

    needs = Model
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "nll": Quantity(
            "Negative log-likelihood",
            "lower",
            unit="nats",
            comparable=CARDS,
            axis="likelihood",
            rank=21,
            about="How improbable held-out examples are under the model.",
        ),
        "bits_per_dim": Quantity(
            "Bits per dimension",
            "lower",
            comparable=CARDS,
            axis="likelihood",
            rank=22,
            about="Bits that a code by the model spends for each number of a held-out example.",
        ),
        "kl": Quantity(
            "KL(data ‖ model)",
            "lower",
            unit="nats",
            comparable=CARDS,
            axis="likelihood",
            rank=20,
            about="How many nats the model's density lies below the true one, on average over the data.",
        ),
        # of its own name in the log: there the autoencoders' `kl` is the posterior's distance from the prior
        "kl_data": Quantity("KL(data ‖ model)", "lower", unit="nats", rank=20, logged="vectors"),
    }
    points: int = 10_000
    """held-out examples"""
    drawn: int = 50_000
    """fresh points of a toy set"""
    codes: int = 500
    """K of the importance-weighted bound"""
    codes_points: tuple[int, int] = (64, 2000)
    """examples of the importance-weighted bound: pictures, whose decoders cost the most of an evaluation; vectors"""
    seconds: float = 300.0
    """time that the likelihood of all examples may take; where it would be more, fewer examples are looked at"""
    seed: int = 0

    def applies(self, comparison: Comparison) -> str:
        return "" if comparison.model is not None else "there is no model, only samples"

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        model = comparison.model
        assert model is not None
        real = subset(comparison.real, self.afford(model, self.points), self.seed)
        if real.distribution is not None:
            real = fresh(real, self.afford(model, self.drawn), comparison.seed + 3)
        if isinstance(model, Density):
            real = self.affordable(real, lambda some: exact(model, some.x, given=given_to(model, some)))
        tell = functools.partial(self.tell, comparison, real, functools.cache(lambda: self.beside(comparison, real)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            if isinstance(model, Density):
                log_p, card = exact(model, real.x, given=given_to(model, real))
                names = ("_estimate", "estimate") if card.kind == "estimate" else ("", "")
                found = tell(*names, log_p, card)
            elif isinstance(model, Observed) and isinstance(comparison.objective, Bounded):
                elbo = variational(model, comparison.objective, real.x, given=given_to(model, real))
                found = tell("_elbo", "ELBO", *elbo)
                if isinstance(model, VAEModel):
                    iwae, gain = self.tighter(model, comparison.objective, real, *elbo)
                    found |= tell("_iwae", "IWAE", elbo[0], iwae, gain)
            else:
                note = f"not defined: {type(model).__name__} has no density"
                found = {"nll": comparison.value(math.nan, seed=self.seed, note=note)}
        return found

    def affordable(self, real: Data, likelihood: Callable[[Data], object]) -> Data:
        """The examples, or a half, a quarter and so on of them, so that their likelihood takes at most `seconds`.

        Measured on `TIMED` of them. Halves, so that the number seldom depends on how busy the machine is.
        """
        with torch.random.fork_rng(devices=[]):
            began = time.perf_counter()
            likelihood(pick(real, torch.arange(min(TIMED, len(real))), "timed"))
            each = (time.perf_counter() - began) / min(TIMED, len(real))
        n = len(real)
        while n > TIMED and n * each > self.seconds:
            n //= 2
        return subset(real, n, self.seed)

    def afford(self, model: Model, n: int, passes: float = EXAMPLES_PASSES, least: int = FEW) -> int:
        """How many of n likelihoods are made: fewer where one takes many passes; the card tells how many they were.

        A pass of a small network over vectors is less than a hundredth of one over pictures.
        """
        more = 100 if model.device.type != "cpu" else 1
        scale = 1 if len(model.shape) == 1 else 200
        return affordable(n, model.cost.likelihood, more * passes / scale, least)

    def tighter(self, model: VAEModel, objective: Bounded, real: Data, elbo: Tensor, card: Card) -> tuple[Card, Tensor]:
        """The importance-weighted bound's card, and its gain over the ELBO on a few of the examples.

        The bound itself spreads over examples by hundreds of nats, its gain by a few: a few examples tell the mean
        gain well, and the ELBO's mean is known from all.
        """
        few = self.codes_points[0 if real.is_images else 1]
        rows = torch.randperm(len(real), generator=torch.Generator().manual_seed(self.seed))[:few]
        few_of = pick(real, rows, "few")
        bound, found = variational(model, objective, few_of.x, self.codes, given=given_to(model, few_of))
        broken = card.non_finite + found.non_finite
        return dataclasses.replace(found, examples=len(elbo), non_finite=broken), bound - elbo[rows]

    def beside(self, comparison: Comparison, real: Data) -> str:
        """Bits of two densities that know little, for scale."""
        train = comparison.train
        if train is None or len(train) <= math.prod(real.shape):
            return "uniform 8 bits"
        return f"uniform 8, one Gaussian {gaussian_bits(train, real, self.seed):.2f} bits"

    def tell(
        self,
        comparison: Comparison,
        real: Data,
        beside: Callable[[], str],
        suffix: str,
        variant: str,
        log_p: Tensor,
        card: Card,
        gain: Tensor | None = None,
    ) -> dict[str, Value]:
        """Values of log p per example (n,), with the standard error over examples; plus the mean gain on some of them.

        `beside` is asked for only where bits of a density are told: it may have to fit one.
        """
        card = card if real.typed is None else dataclasses.replace(card, space="the rows' vectors")
        n, note, shape = len(log_p), str(card), real.shape
        wanted = min(self.points, len(comparison.real)) if real.distribution is None else self.drawn
        if n < wanted:
            note += f"; {n:,} of {wanted:,} examples, for all would take more than {self.seconds:.0f} s"
        more = more_se = 0.0
        if gain is not None:
            more, more_se = gain.mean().item(), (gain.std() / len(gain) ** 0.5).item()
            note += f"; the ELBO of {n:,} examples and its mean gain on {len(gain):,} of them"
        mean, se = log_p.mean().item() + more, math.hypot((log_p.std() / n**0.5).item(), more_se)
        if card.non_finite:
            mean = se = math.nan
        floor = (
            -comparison.real.log_prob(real.x).double().mean().item()
            if comparison.real.distribution is not None
            else None
        )
        found = {"nll": comparison.value((-mean, se), seed=self.seed, floor=floor, floor_n=n, note=note)}
        if real.is_images and card.space == "[0, 1]^D":
            scale = math.prod(shape) * math.log(2)
            bits = (bits_per_dim(mean, shape), se / scale)
            found["bits_per_dim"] = comparison.value(bits, seed=self.seed, note=f"{note}; {beside()}")
        elif real.is_images:
            bits = (-mean / (math.prod(shape) * math.log(2)), se / (math.prod(shape) * math.log(2)))
            found["bits_per_dim"] = comparison.value(bits, seed=self.seed, note=note)
        if floor is not None:
            gap = comparison.real.log_prob(real.x).double() - log_p
            kl = math.nan if card.non_finite else gap.mean().item() - more
            above = "" if card.bound == "exact" else " (an upper bound)"
            found["kl"] = comparison.value(
                (kl, math.hypot((gap.std() / n**0.5).item(), more_se)),
                seed=self.seed,
                floor=0.0,
                floor_n=n,
                note=f"KL(data ‖ model), nats{above}" + (f"; {note}" if card.kind == "estimate" else ""),
            )
        plain = card.told()
        return {
            f"{k}{suffix}": dataclasses.replace(v, n=n, n_real=n, card=plain, quantity=k, variant=variant)
            for k, v in found.items()
        }

    def along(self, comparison: Comparison) -> dict[str, float]:
        """`kl_data`: of fresh points under a density, against their own."""
        model, real = comparison.model, comparison.real
        if not isinstance(model, Density) or real.distribution is None:
            return {}
        x = real.x[: self.afford(model, len(real), ALONG_PASSES, 256)]
        with torch.no_grad():
            log_prob = torch.cat([model.log_prob(part.to(model.device)) for part in x.split(4096)]).cpu().double()
        return {"kl_data": (real.log_prob(x).double() - log_prob).mean().item()}
