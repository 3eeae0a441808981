"""What every evaluation shares: options, samples, extractors, measuring."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from triptych import data as data_sets
from triptych.core import Data, Metric, Sampler, Split, Value, discover, to_bytes
from triptych.core.metric import described
from triptych.errors import TooFew, UserError
from triptych.metrics.comparison import Case, pick
from triptych.metrics.features import extractor as features
from triptych.metrics.features import self_trained
from triptych.metrics.frechet import Frechet, frechet_distance, moments
from triptych.run.folder import Which
from triptych.system.device import check_seed, pick_device
from triptych.system.progress import bars

IMAGES, VECTORS = 10_000, 5_000
"""Samples, unless asked otherwise; never more than the reference has, where it is finite."""
STACKED = 26_000
"""Samples of stacked MNIST, by convention."""


@dataclass(frozen=True)
class Options:
    """What can be chosen about an evaluation."""

    n: int | None = None
    seed: int = 0
    split: Split | None = None
    """reference: default the test split where there is one, else everything the run was trained on"""
    data: str | None = None
    """of a run: where its data are now, or another set as the real side, prepared alike; default: where they were"""
    which: Which = "last"
    bn: Literal["eval", "train"] = "eval"
    inception: str | None = None
    """path of the weights, or `download`; default: use them where they are found"""
    stats: str | Path | None = None
    """clean-fid's `.npz` (mu, sigma) as the real side of FID"""
    save_stats: str | Path | None = None
    """where to write the real side's"""
    resize: str = "clean"
    precision: Literal["fp32", "bf16"] = "fp32"
    device: str = "auto"
    progress: bool = False

    def __post_init__(self) -> None:
        check_seed(self.seed)


def default_count(real: Data) -> int:
    """As many samples as is customary, and no more than the reference has."""
    if real.law is not None:
        return VECTORS
    if real.name == "stackedmnist":
        return STACKED
    return min(IMAGES, len(real))


@torch.no_grad()
def draw(model: Sampler, n: int, seed: int, real: Data) -> Data:
    """n samples as data like `real`: 8-bit images, or vectors. Made in parts, so that floats never pile up."""
    if n < 1:
        raise UserError(f"{n} samples were asked for; give at least 1")
    if not real.is_images:
        return Data("samples", model.sample(n, seed=seed).cpu(), law=real.law)
    parts: list[Tensor] = []
    while (done := sum(map(len, parts))) < n:
        x = model.sample(min(10_000, n - done), seed=seed + 1_000_003 * len(parts))
        if not bool(torch.isfinite(x).all()):
            raise UserError("the model makes pictures with NaN or infinite pixels; it has diverged: try --which best")
        parts.append(to_bytes(x).cpu())
    return Data("samples", torch.cat(parts))


def against_statistics(
    file: str | Path,
    samples: Data,
    inception: features.Inception,
    progress: Callable[[str], features.Progress] | None = None,
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


def save_statistics(file: str | Path, real: Data, inception: features.Inception, options: Options) -> None:
    """Write the real side's Inception statistics as clean-fid does."""
    bar = bars(options.progress)
    x = features.extract(inception, real, progress=bar and bar("fid: statistics"))["features"]
    features.write_statistics(file, *moments(x))


def measure(case: Case) -> dict[str, Value]:
    """Every metric of `metrics/` that applies; one that has too few examples for any value is told of in a warning."""
    found: dict[str, Value] = {}
    for name, metric in discover("metrics", Metric).items():
        if case.model is not None and not isinstance(case.model, metric.needs):
            continue
        one = metric()  # pyright: ignore[reportAbstractUsage]
        try:
            if not one.applies(case):
                found |= one.evaluated(case)
        except TooFew as e:
            case.warn(f"{name} is left out: {e}")
    return found


def writable(file: str | Path | None) -> None:
    """UserError before the work where a file could not be written after it."""
    if file is None:
        return
    if Path(file).is_dir():
        raise UserError(f"{file} is a folder; give the name of a file")
    folder = Path(file).absolute().parent
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder} to write {Path(file).name} in; make it")
    if not os.access(folder, os.W_OK):
        raise UserError(f"{folder} cannot be written to; give another place than {file}")


def make_extractors(
    real: Data, train: Data, options: Options, inception: features.Inception | None
) -> tuple[tuple[features.Extractor, ...], list[str], self_trained.Offline | None]:
    """Extractors of an image set, a note where FID has to be left out, and a stacked set's digit classifier."""
    if not real.is_images:
        return (), [], None
    bar = bars(options.progress)
    held_out = real if real is not train and real.split == "test" else None
    own = self_trained.extractor_for(train, held_out, progress=bar and bar("training the extractor"))
    digits = None
    if real.name == "stackedmnist":
        mnist = data_sets.load("mnist", "train")
        digits = self_trained.extractor_for(
            mnist, data_sets.load("mnist", "test"), progress=bar and bar("digit classifier")
        )
    notes = []
    if inception is None:
        notes.append("fid is left out: the Inception weights are not here (--inception PATH, or --inception download)")
    return (own,) if inception is None else (own, inception), notes, digits


def load_inception(options: Options, images: bool) -> features.Inception | None:
    """As asked for; where nothing was asked that needs it and nothing is found, none."""
    asked = options.inception
    needed = asked is not None or options.stats is not None or options.save_stats is not None
    if not images:
        if needed:
            raise UserError("the examples are vectors and Inception takes pictures; drop --inception and --stats")
        return None
    path = None if asked == "download" else asked
    try:
        where = features.find_inception(path, needed and asked in (None, "download"))
    except UserError:
        if needed or os.environ.get("TRIPTYCH_INCEPTION"):  # that is asking for it, too
            raise
        return None
    return features.load_inception(where, options.resize, options.precision, device=pick_device(options.device))


@contextmanager
def heard(said: list[str]) -> Iterator[None]:
    """Warnings of the code below are collected, to be told in one place."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield
    said += [str(w.message) for w in caught]


def halves(data: Data) -> tuple[Data, Data]:
    """A half to choose by and a half to report on."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    return pick(data, order[: len(data) // 2], "choose"), pick(data, order[len(data) // 2 :], "report")
