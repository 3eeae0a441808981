"""Cheap numbers for the log of a training."""

from __future__ import annotations

from collections.abc import Callable

from triptych.core import Data, Metric, Model, Quantity, Sampler, discover
from triptych.core.features import Extractors
from triptych.evaluate.options import Features
from triptych.evaluate.protocol import draw, halves, load_inception
from triptych.metrics.comparison import Comparison, fresh
from triptych.metrics.features import self_trained

LONG = 1_000_000
"""Images of a budget from which on an extractor is worth training for the numbers along the way."""
FEWEST = 4
"""Examples whose half has a covariance."""


def quantities() -> dict[str, Quantity]:
    """What the metrics put in the log of a training, by name."""
    return {
        name: quantity
        for metric in discover("metrics", Metric).values()
        for name, quantity in metric.quantities.items()
        if quantity.logged
    }


def of_features() -> list[str]:
    """Names of what needs an extractor along the way."""
    found = {k: q for k, q in quantities().items() if q.logged == "images"}
    return sorted(found, key=lambda k: found[k].rank)


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
    *,
    inception: bool = False,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, float]:
    """Cheap numbers for a line of the log, `Metric.along` of every metric: n samples against n fresh or held-out ones.

    What cannot be computed from so few examples is left out, and `tell` gets its name and the reason.

    Vectors are compared where their law is known, with fresh draws of it. Images are compared on the set's own
    extractor, with one half of the reference, so that the best checkpoint is chosen by examples that its final numbers
    are not made from. The extractor is trained first where the run's `budget` of images is long enough to be worth it;
    else they are left out unless it is there already. With `inception` also on Inception's features, where the weights
    are here.

    Leaves the global random state alone.
    """
    own = net = None
    if data.is_images:
        if budget >= LONG or self_trained.cached(data):
            own = self_trained.extractor_for(data, test)
        net = load_inception(Features(), images=True, device=str(model.device)) if inception else None
        real = halves(test if test is not None else data)[0]
        if (own is None and net is None) or len(real) < 2:  # `left_out_along` says so
            return {}
    elif data.distribution is None:
        return {}
    else:
        real = fresh(data, n, seed + 1)
    if not isinstance(model, Sampler):
        return {}
    extractors = Extractors(own=own, inception=net)
    comparison = Comparison(real, draw(model, n, seed, real), model=model, extractors=extractors)
    comparison.warnings.clear()  # a generator begins with one sample for all codes: its alarms are the trainer's
    found: dict[str, float] = {}
    for metric in discover("metrics", Metric).values():
        if isinstance(model, metric.needs):
            found |= metric().along(comparison)  # pyright: ignore[reportAbstractUsage]
    for text in comparison.warnings:
        tell(text)
    return found
