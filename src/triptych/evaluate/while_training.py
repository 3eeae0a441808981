"""Cheap numbers for the log of a training."""

from __future__ import annotations

from collections.abc import Callable

import torch

from triptych.core import Data, Density, Model, Sampler
from triptych.errors import TooFew
from triptych.evaluate.options import Features
from triptych.evaluate.protocol import CHEAP, draw, halves, load_inception
from triptych.metrics.coverage import mode_coverage
from triptych.metrics.features import extractor as features
from triptych.metrics.features import self_trained
from triptych.metrics.neighbours import prdc
from triptych.metrics.transport import sliced_wasserstein

LONG = 1_000_000
"""Images of a budget from which on an extractor is worth training for the numbers along the way."""


ALONG = (*CHEAP, "coverage", "fid", "kid")
"""Names of what needs an extractor along the way."""
FEWEST = 4
"""Examples whose half has a covariance."""
COVERED, NEIGHBOURS = 1_000, 5
"""Examples and neighbours of the coverage that is computed along the way."""


def left_out_along(data: Data, test: Data | None, budget: int) -> str:
    """Why a log has no distances of features, in words; empty where it has them."""
    if not data.is_images:
        return ""
    reference = "held-out" if test is not None else "training"
    if (n := len(test if test is not None else data)) < FEWEST:
        return f"there are {n} {reference} examples, and half of them are compared: it takes at least {FEWEST}"
    return "" if budget >= LONG or self_trained.cached(data) else "no extractor for so short a training"


def during_training(
    model: Model,
    data: Data,
    test: Data | None,
    n: int,
    seed: int,
    budget: int = 0,
    inception: bool = False,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, float]:
    """Cheap numbers for a line of the log: n samples against n fresh or held-out examples.

    What cannot be computed from so few examples is left out, and `tell` gets its name and the reason.

    Vectors with a known law: `modes`, `high_quality`, `reverse_kl` where it has modes, `sliced_wasserstein`, and
    `nll` and `kl` (nats, data against model) where the model has a density.

    Images: `frechet`, `kernel` and `coverage` (of `COVERED` examples at most, by as many samples) on the set's own
    extractor, against one half of the reference, so that the best
    checkpoint is chosen by examples that its final numbers are not made from. The extractor is trained first where
    the run's `budget` of images is long enough to be worth it; else they are left out unless it is there already. With
    `inception` also `fid` and `kid`, where the weights are here.

    Leaves the global random state alone.
    """
    if data.is_images:
        extractors: list[features.Extractor] = []
        if budget >= LONG or self_trained.cached(data):
            extractors.append(self_trained.extractor_for(data, test))
        net = load_inception(Features(), images=True, device=str(model.device)) if inception else None
        if net is not None:
            extractors.append(net)
        if not isinstance(model, Sampler) or not extractors:
            return {}
        real = halves(test if test is not None else data)[0]
        if len(real) < 2:  # `left_out_along` says so
            return {}
        samples = draw(model, n, seed, real)
        found: dict[str, float] = {}
        for e in extractors:
            made, truth = (features.extract(e, d)["features"] for d in (samples, real))
            for name, distance in CHEAP.items():
                try:
                    found[e.name(name)] = distance(truth, made)
                except TooFew as why:
                    tell(f"{e.name(name)} is left out: {why}")
            if e is extractors[0]:
                if min(len(truth), len(made)) > NEIGHBOURS:
                    found["coverage"] = prdc(truth[:COVERED], made[:COVERED], NEIGHBOURS)["coverage"]
                else:
                    tell(f"coverage is left out: there are only {len(truth)} real examples; it needs {NEIGHBOURS + 1}")
        return found
    if data.law is None:
        return {}
    out: dict[str, float] = {}
    real = data.sample(n, seed + 1)
    if isinstance(model, Sampler):
        samples = model.sample(n, seed=seed).cpu()
        if data.law.modes is not None:
            out |= mode_coverage(samples, data.modes, data.std)
        finite = torch.isfinite(samples).all(1)
        out["sliced_wasserstein"] = sliced_wasserstein(real, samples) if finite.all() else float("nan")
    if isinstance(model, Density):
        with torch.no_grad():
            log_prob = torch.cat([model.log_prob(part.to(model.device)) for part in real.split(4096)]).cpu().double()
        out["kl"] = (data.log_prob(real).double() - log_prob).mean().item()
    return out
