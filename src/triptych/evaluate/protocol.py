"""What every evaluation shares: samples, extractors, measuring."""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from triptych import data as data_sets
from triptych.core import Conditional, Data, Metric, Sampler, Value, discover, to_bytes
from triptych.core.checks import not_finite
from triptych.core.counts import check_count
from triptych.core.features import Extractors
from triptych.core.labels import draw_labels
from triptych.core.metric import described
from triptych.core.preparation import Preparation
from triptych.errors import NotFinite, TooFew, UserError
from triptych.evaluate.options import Features
from triptych.evaluate.tried import tried
from triptych.metrics.comparison import Comparison, pick
from triptych.metrics.features import contrasts, self_trained
from triptych.metrics.features import extractor as features
from triptych.metrics.features.kept import make_missing
from triptych.metrics.frechet import Frechet, frechet_distance, moments
from triptych.system.device import keep_freed_memory, pick_device
from triptych.system.progress import Count

Bars = Callable[[str], Count]
"""Makes a progress bar of a name."""

CONTROLS = 2_500
"""Real pictures on each side of a negative control, at most."""
STRANGERS = ("birds", "celeba", "mnist")
"""Sets whose pictures are a negative control of others, the first that is at hand."""
IMAGES, VECTORS = 10_000, 5_000
"""Samples, unless asked otherwise; never more than the reference has, where it is finite."""


def default_count(real: Data) -> int:
    """As many samples as is customary, and no more than the reference has."""
    if real.distribution is not None:
        return VECTORS
    return real.usual_samples or min(IMAGES, len(real))


@torch.no_grad()
def draw(model: Sampler, n: int, seed: int, real: Data) -> Data:
    """n samples as data like `real`: 8-bit images, or vectors. Made in parts, so that floats never pile up.

    Of a model with classes they have labels: drawn at its frequencies, and numbered as the classes of `real` are.
    """
    check_count(n, "samples")
    labels, classes = None, real.classes
    if isinstance(model, Conditional) and model.classes:
        labels, classes = draw_labels(model.frequencies, n, seed), model.class_names or real.classes

    def part(start: int, count: int, seed: int) -> Tensor:
        if labels is None:
            return model.sample(count, seed=seed)
        return model.sample(count, seed=seed, y=labels[start : start + count])

    if not real.is_images:
        x = part(0, n, seed).cpu()
        return Data("samples", x, "train", labels, distribution=real.distribution, classes=classes, typed=real.typed)
    parts: list[Tensor] = []
    while (done := sum(map(len, parts))) < n:
        x = part(done, min(10_000, n - done), seed + 1_000_003 * len(parts))
        if bad := not_finite(x):
            raise NotFinite(
                f"the model makes pictures with NaN or infinite pixels, {bad} of {len(x)}; it has diverged: try "
                "--which best",
                bad,
            )
        parts.append(to_bytes(x).cpu())
    return Data("samples", torch.cat(parts), labels=labels, classes=classes)


def against_statistics(
    file: str | Path,
    samples: Data,
    inception: features.Inception,
    progress: Bars | None = None,
) -> dict[str, Value]:
    """FID of samples against stored statistics."""
    mu, sigma = features.read_statistics(file)
    x = features.extract(inception, samples, progress=progress and progress("fid: samples"))["features"]
    if len(mu) != x.shape[1]:
        raise UserError(f"{file} has {len(mu)} dimensions; Inception features have {x.shape[1]}")
    value = frechet_distance(mu, sigma, *moments(x))
    note = "; ".join(filter(None, ["the real side's count is not in the file", inception.note]))
    fid = Value(value, len(samples), None, str(file), inception.id, inception.resize, None, inception.dtype, note=note)
    return described({inception.name("frechet"): fid}, Frechet.quantities)


def save_statistics(file: str | Path, real: Data, inception: features.Inception, progress: Bars | None = None) -> None:
    """Write the real side's Inception statistics as clean-fid does."""
    x = features.extract(inception, real, progress=progress and progress("fid: statistics"))["features"]
    features.write_statistics(file, *moments(x))


def measure(comparison: Comparison) -> dict[str, Value]:
    """Every metric of `metrics/` that applies, those within classes last.

    One that has too few examples for any value is named in a warning, and so is one that fails: what it declares is
    then not defined.
    """
    found: dict[str, Value] = {}
    keep_freed_memory()  # blocks of distances come and go
    metrics = discover("metrics", Metric)
    bar = comparison.progress("metrics") if comparison.progress is not None else None
    for i, (name, metric) in enumerate(metrics.items()):
        if bar is not None:
            bar(i, len(metrics))
        if comparison.model is not None and not isinstance(comparison.model, metric.needs):
            continue
        one = metric()  # pyright: ignore[reportAbstractUsage]
        failures: list[str] = []
        try:
            with tried(metric, failures.append):
                if not one.applies(comparison):
                    found |= one.evaluated(comparison)
        except TooFew as e:
            comparison.warn(f"{name} is left out: {e}")
        for text in failures:
            comparison.warn(text)
            lost = [k for k, quantity in metric.quantities.items() if not quantity.features]
            found |= described({k: comparison.value(math.nan, note=text) for k in lost}, metric.quantities)
    if bar is not None:
        bar(len(metrics), len(metrics))
    return dict(sorted(found.items(), key=lambda told: told[1].parts is not None))


def make_extractors(
    real: Data, train: Data, inception: features.Inception | None, progress: Bars | None = None
) -> Extractors:
    """The extractors of a set, its own trained on `train` where it is not kept already; none for vectors.

    `real` is the whole reference: a classifier is tested on it where it is held out.
    """
    if not real.is_images:
        return Extractors()
    held_out = real if real is not train and real.split == "test" else None
    own = own_extractors(train, held_out, contrasts.SEEDS, progress)
    digits = None
    if real.channels_are:
        one, test = (data_sets.load(real.channels_are, split) for split in ("train", "test"))
        digits = self_trained.extractor_for(one, test, progress=progress and progress("digit classifier"))
    return dataclasses.replace(own, inception=inception, digits=digits)


def own_extractors(
    train: Data, held_out: Data | None, seeds: Sequence[int], progress: Bars | None = None
) -> Extractors:
    """The extractors trained on a set of images: nets that tell faults, of these seeds, and that of older versions.

    A set that is too small to train any has random features alone.
    """
    bar = progress and progress("training the extractor")
    older = self_trained.kept(train, held_out, progress=bar)
    nets = []
    for seed in seeds if len(train) >= self_trained.FEW else ():
        bar = progress and progress(f"training the extractor that tells faults, seed {seed}")
        nets.append(contrasts.kept(train, seed, bar))
    make_missing((older, *nets))
    if not nets:
        return Extractors(own=older.get())
    own, *others = (net.get() for net in nets)
    return Extractors(own=own, beside=(*others, dataclasses.replace(older.get(), beside=True)))


def strangers(real: Data) -> Data | None:
    """Pictures of another set that is at hand, of the shape of `real`; None where there is none, or for vectors."""
    if not real.is_images:
        return None
    channels, height, width = real.shape
    how = Preparation(resolution=f"{width}x{height}", channels=channels)
    for name in STRANGERS:
        source = data_sets.all_sources()[name]
        if real.name.startswith(name) or source.state() != "ready":
            continue
        try:
            return pick(found := source.load(name, "train", how), torch.arange(min(len(found), CONTROLS)), "first")
        except UserError:  # it may be there in part
            continue
    return None


def without_fid(comparison: Comparison) -> list[str]:
    """Why there is no FID of images, in words for a reader; empty where there is one."""
    if not comparison.is_images or comparison.extractors.inception is not None:
        return []
    return ["fid is left out: the Inception weights are not here (--inception PATH, or --inception download)"]


def load_inception(chosen: Features, *, images: bool, device: str = "auto") -> features.Inception | None:
    """As asked for; where nothing was asked that needs it and nothing is found, none."""
    asked = chosen.inception
    if not images:
        if chosen.needed:
            raise UserError("Inception takes pictures, and these are vectors; drop --inception, --stats, --save-stats")
        return None
    path = None if asked == "download" else asked
    try:
        where = features.find_inception(path, may_download=chosen.needed and asked in (None, "download"))
    except UserError:
        if chosen.needed or os.environ.get("TRIPTYCH_INCEPTION"):  # that is asking for it, too
            raise
        return None
    return features.load_inception(where, chosen.resize, chosen.precision, device=pick_device(device))


@contextmanager
def collected_warnings(said: list[str]) -> Iterator[None]:
    """Warnings of the code below are collected, to be shown in one place."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield
    said += [str(w.message) for w in caught]


def halves(data: Data) -> tuple[Data, Data]:
    """A half to choose by and a half to report on."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    return pick(data, order[: len(data) // 2], "choose"), pick(data, order[len(data) // 2 :], "report")
