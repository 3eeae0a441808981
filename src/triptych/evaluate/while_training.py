"""Cheap numbers for the log of a training."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from triptych.core import Data, Metric, Model, Quantity, Sampler, discover
from triptych.core.counts import plural
from triptych.core.features import Extractors
from triptych.core.model import affordable, class_count
from triptych.errors import NotFinite
from triptych.evaluate.options import Features
from triptych.evaluate.protocol import draw, halves, load_inception, own_extractors
from triptych.evaluate.tried import tried
from triptych.metrics.comparison import Comparison, fresh, mixed
from triptych.metrics.features import contrasts, self_trained
from triptych.system.progress import bars

LEAST = 5_000
"""Images of a budget from which on extractors are worth making for the numbers along the way."""
LONG = 1_000_000
"""Images of a budget from which on older versions made one."""
FEW = 256
"""Samples whose diversity is told."""
FEWEST = 4
"""Examples whose half has a covariance."""


DIVERSITY = Quantity("Diversity of samples", neither="1 is as diverse as the data", unit="of the data's")
CLASS_DIVERSITY = Quantity(
    "Diversity within each class", neither="1 is as diverse as the class's examples", unit="of the class's"
)
OF_CLASS, CLASS_PASSES = 8, 4_096
"""Samples of a class whose diversity is told, and the passes through the networks that those of all may take."""
SAMPLE_PASSES, LEAST_SAMPLES = 10_000, 500
"""Passes through the networks that the samples of one look may take, and the least samples it is made of."""
NONFINITE = Quantity("Samples that are not finite", neither="any above 0 is a fault")


def quantities() -> dict[str, Quantity]:
    """What is put in the log of a training of any family that samples, by name."""
    own = {"diversity": DIVERSITY, "class_diversity": CLASS_DIVERSITY, "nonfinite_samples": NONFINITE}
    return own | {
        name: quantity
        for metric in discover("metrics", Metric).values()
        for name, quantity in metric.quantities.items()
        if quantity.logged
    }


def of_features() -> list[str]:
    """Names of what needs an extractor along the way, without those of older features."""
    found = {k: q for k, q in quantities().items() if q.logged == "images" and not q.variant}
    return sorted(found, key=lambda k: found[k].rank)


def left_out_along(data: Data, test: Data | None, budget: int) -> str:
    """Why a log has no distances of features, in words; empty where it has them."""
    if not data.is_images:
        return ""
    reference = "held-out" if test is not None else "training"
    if (n := len(test if test is not None else data)) < FEWEST:
        return f"half of {plural(n, f'{reference} example')} would be compared, and it takes at least {FEWEST} in all"
    if budget >= LEAST or ready(data):
        return ""
    return f"a training of fewer than {LEAST:,} images is shorter than the making of an extractor"


SAMPLES = (2_500, 10_000)
"""Samples behind the numbers of a line: on a processor; on a GPU, which also makes FID where its weights are."""
BRIEF = 1_000
"""Of pictures, on a processor, in a training so short that more would take a good part of it."""


def samples_along(data: Data, budget: int, *, graphics: bool) -> int:
    """How many samples a line of the log is made from."""
    return BRIEF if data.is_images and budget < LONG and not graphics else SAMPLES[graphics]


def ready(data: Data) -> bool:
    """Whether the extractors of a set of images are kept, or need no making."""
    return self_trained.cached(data) and contrasts.cached(data)


def prepare(
    data: Data, test: Data | None, budget: int, say: Callable[[str], None] | None = None, *, shown: bool = False
) -> Extractors:
    """The set's own extractors, made before a training begins where its `budget` of images is worth it.

    That is no part of the training: they are made once for each set and kept, and `say` is told how long it took.
    None where they would be left out, as `left_out_along` says, and for vectors.
    """
    if not data.is_images or left_out_along(data, test, budget):
        return Extractors()
    if ready(data):
        return own_extractors(data, test, contrasts.SEEDS[:1])
    if say is not None:
        say(f"making the extractors by which samples are compared with {data.name}: once, before the training")
    began = time.perf_counter()
    found = own_extractors(data, test, contrasts.SEEDS[:1], bars(shown=shown))
    if say is not None:
        say(f"made in {time.perf_counter() - began:.0f} s")
    return found


def as_before(data: Data, test: Data | None, budget: int) -> Extractors:
    """The extractor of a run that was begun when there was no other: its log goes on with the same numbers."""
    if not data.is_images or not (budget >= LONG or self_trained.cached(data)):
        return Extractors()
    return Extractors(own=self_trained.extractor_for(data, test))


def during_training(
    model: Model,
    data: Data,
    test: Data | None,
    n: int,
    seed: int,
    extractors: Extractors | None = None,
    *,
    inception: bool = False,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, float]:
    """Cheap numbers for a line of the log, `Metric.along` of every metric: n samples against n fresh or held-out ones.

    What cannot be computed from so few examples is left out, and `tell` gets its name and the reason.

    Vectors are compared where their law is known with fresh draws of it, rows of a typed table with held-out ones.
    Images are compared on the set's own extractors, as `prepare` gives them (None: those that are there already), with
    one half of the reference, so that the best checkpoint is chosen by examples that its final numbers are not made
    from. With `inception` also on Inception's features, where the weights are here. `diversity` is there in any case.

    Leaves the global random state alone.
    """
    fewer = affordable(
        n, model.cost.sample, SAMPLE_PASSES if model.device.type == "cpu" else 100 * SAMPLE_PASSES, LEAST_SAMPLES
    )
    if fewer < n:
        tell(
            f"a sample takes {model.cost.sample:.0f} passes through the network: numbers on the way are of "
            f"{fewer:,} samples, not {n:,}"
        )
        n = fewer
    if not isinstance(model, Sampler):
        return {}
    if extractors is None:
        extractors = prepare(data, test, 0)
    if inception and data.is_images:
        net = load_inception(Features(), images=True, device=str(model.device))
        extractors = dataclasses.replace(extractors, inception=net)
    real = test if test is not None else data
    try:
        if not extractors.of_features and data.distribution is None and data.typed is None:
            return {"diversity": diversity(mixed(real, FEW).x, draw(model, min(n, FEW), seed, real).x)}
        if data.is_images:
            real = halves(real)[0]
        elif data.distribution is not None:
            real = fresh(data, n, seed + 1)
        comparison = Comparison(real, draw(model, n, seed, real), model=model, extractors=extractors)
    except NotFinite as e:
        return {"nonfinite_samples": float(e.count)}
    if comparison.non_finite_samples:
        return {"nonfinite_samples": float(comparison.non_finite_samples)}
    comparison.warnings.clear()  # a generator begins with one sample for all codes: its alarms are the trainer's
    found = {"diversity": diversity(mixed(real, FEW).x, comparison.fake.x)}
    for metric in discover("metrics", Metric).values():
        if isinstance(model, metric.needs):
            with tried(metric, comparison.warn):
                found |= metric().along(comparison)  # pyright: ignore[reportAbstractUsage]
    for text in comparison.warnings:
        tell(text)
    return found


def diversity(real: Tensor, fake: Tensor) -> float:
    """Mean distance between two samples over that between two real examples, of the first `FEW` of each; 1 is as
    diverse as the data. NaN where that cannot be told."""
    spread = [F.pdist(x[:FEW].flatten(1).float()).mean().item() for x in (fake, real)]
    return spread[0] / spread[1] if spread[1] > 0 else math.nan


def class_diversity(model: Model, data: Data, seed: int) -> list[float | None]:
    """`diversity` of each class by itself, of `OF_CLASS` samples and training examples: one picture for all seeds of a
    class has 0.

    None for a class with fewer than two different examples, and where there are too many to be looked at: those that
    are looked at are evenly spread. NaN where samples are not finite is None, too.
    """
    assert data.labels is not None
    k = class_count(model)
    many = affordable(k, OF_CLASS * model.cost.sample, CLASS_PASSES, 1)
    found: list[float | None] = [None] * k
    for c in {i * k // many for i in range(many)}:
        rows = (data.labels == c).nonzero().flatten()[:OF_CLASS]
        if len(rows) < 2:
            continue
        fake = model.sample(OF_CLASS, seed=seed, y=c).cpu()
        real = data.x[rows].float() / 255 if data.is_images else data.x[rows]
        share = diversity(real, fake)
        found[c] = round(share, 4) if math.isfinite(share) else None
    return found
