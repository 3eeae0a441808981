"""Negative log-likelihoods of held-out examples as a metric, with their unit and their card."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from triptych.core import Comparison, Data, Density, Metric, Model, Quantity, Value
from triptych.core.metric import standard_error
from triptych.core.model import affordable
from triptych.core.units import bits_per_dim
from triptych.metrics.cards import Card
from triptych.metrics.comparison import fresh, pick, subset
from triptych.metrics.log_likelihoods import exact, gaussian_bits, given_to, variational
from triptych.models.families import VAEModel
from triptych.models.observed import Observed
from triptych.objectives.likelihoods import Bounded

EXAMPLES_PASSES, FEW = 10_000_000, 64
"""Passes that the likelihoods of an evaluation may take, and the least examples they are of; more on a GPU."""
ALONG_PASSES = 150_000
"""Passes that the likelihoods of one look in training may take."""
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
            average=True,
            axis="likelihood",
            rank=21,
            about="How improbable held-out examples are under the model.",
        ),
        "bits_per_dim": Quantity(
            "Bits per dimension",
            "lower",
            comparable=CARDS,
            average=True,
            axis="likelihood",
            rank=22,
            about="Bits that a code by the model spends for each number of a held-out example.",
        ),
        "kl": Quantity(
            "KL(data ‖ model)",
            "lower",
            unit="nats",
            comparable=CARDS,
            average=True,
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
            more, more_se = gain.mean().item(), standard_error(gain)
            note += f"; the ELBO of {n:,} examples and its mean gain on {len(gain):,} of them"
        mean, se = log_p.mean().item() + more, math.hypot(standard_error(log_p), more_se)
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
                (kl, math.hypot(standard_error(gap), more_se)),
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
