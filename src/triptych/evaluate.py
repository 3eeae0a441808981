"""From a run to numbers that say what they are."""

from __future__ import annotations

import dataclasses
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from triptych import data as data_sets
from triptych import run_data
from triptych.core import Data, Density, Metric, Model, Sampler, Split, Value, discover, to_bytes
from triptych.errors import UserError
from triptych.latent import use_batch_statistics
from triptych.metrics import features, offline
from triptych.metrics.arrays import TooFew
from triptych.metrics.case import Case, fresh, pick
from triptych.metrics.coverage import mode_coverage
from triptych.metrics.frechet import frechet_distance, frechet_from_features, moments
from triptych.metrics.kernel import kernel_distance
from triptych.metrics.neighbours import prdc
from triptych.metrics.transport import sliced_wasserstein
from triptych.progress import bars
from triptych.run import Run, Which
from triptych.runtime import check_seed, pick_device
from triptych.system.files import write_json

IMAGES, VECTORS = 10_000, 5_000
"""Samples, unless asked otherwise; never more than the reference has, where it is finite."""
STACKED = 26_000
"""Samples of stacked MNIST, by convention."""
LONG = 1_000_000
"""Images of a budget from which on an extractor is worth training for the numbers along the way."""


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


@dataclass(frozen=True)
class Evaluation:
    """Named values, and what a reader should be told beside them."""

    name: str
    values: dict[str, Value]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def write(self, file: Path) -> None:
        """`{name: {value, n, extractor, resize, seed, dtype, floor, ...}}`."""
        write_json(file, {k: dataclasses.asdict(v) for k, v in self.values.items()})


# --------------------------------------------------------------------------------------------- a run


def evaluate_run(path: str | Path, options: Options = Options(), out: str | Path | None = None) -> dict[str, Value]:
    """Judge a run by every metric that applies, and write `eval.json` into it (or to `out`)."""
    return judge_run(path, options, out).values


def judge_run(path: str | Path, options: Options, out: str | Path | None = None) -> Evaluation:
    """`evaluate_run`, with its warnings and notes.

    Where the recipe chose a best checkpoint on one half of the reference, both `best` and `last` are also judged by
    that metric on the other half.
    """
    for file in (out, options.save_stats):
        writable(file)
    run = Run(path)
    model = run.load(options.which, options.device)
    if options.bn == "train":
        use_batch_statistics(model)
    found = run_data.own_or_other(run, options.data)
    train = found.train
    real, spare = reference(found, options)
    n = options.n or default_count(real)
    torch_warnings: list[str] = []
    case_notes: list[str] = [] if found.own else [found.said()]
    if real is train and real.law is None:
        case_notes.append("samples and likelihoods are judged against the training examples: there is no held-out part")
    with heard(torch_warnings):
        inception = load_inception(options, real.is_images)
        if isinstance(model, Sampler):
            fake, pace = timed_draw(model, n, options.seed, real)
            if out is None:
                write_json(run.path / "sampling.json", pace)  # apart: eval.json is the same whenever it is made
        else:
            fake = real
            case_notes.append(f"{type(model).__name__} cannot sample: metrics of samples are left out")
        if real.law is not None:
            real = fresh(real, n, options.seed + 1)
        case = Case(
            real, fake, spare, model, run.recipe.objective, train, options.seed, progress=bars(options.progress)
        )
        case.extractors, notes, case.digits = make_extractors(real, train, options, inception)
        values = measure(case)
        if inception is not None and options.stats is not None:
            values |= against_statistics(options.stats, fake, inception, bars(options.progress))
        if inception is not None and options.save_stats is not None:
            save_statistics(options.save_stats, real, inception, options)
        own = options.split is None and found.own  # else the reference has no half that chose
        if own and options.which == "last" and run.best is not None and isinstance(model, Sampler):
            values |= selected(run, case, options, n)
    notes = [*case_notes, *notes]
    if options.bn == "train":
        notes.append("batch normalisation used the statistics of each batch of samples (--bn train)")
    unlike = {f"--which {options.which}": options.which != "last", f"--bn {options.bn}": options.bn != "eval"}
    if how := ", ".join(k for k, v in unlike.items() if v):
        values = {k: dataclasses.replace(v, how=how) for k, v in values.items()}
    result = Evaluation(run.name, values, (*case.warnings, *torch_warnings), tuple(notes))
    result.write(Path(out) if out is not None else run.path / "eval.json")
    return result


def reference(found: run_data.Found, options: Options) -> tuple[Data, Data | None]:
    """The real side of a run, and further real examples for floors."""
    train = found.train
    if train.law is not None:
        return train, None
    if options.split is not None:
        real = found.load(options.split)
        return real, None if real.split == train.split or train.split == "all" else train
    test = found.test()
    return (train, None) if test is None else (test, train)


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


def timed_draw(model: Sampler, n: int, seed: int, real: Data) -> tuple[Data, dict[str, object]]:
    """`draw`, and how many examples a second that was, on what; the first two, which set things up, do not count."""
    model.sample(2, seed=seed)
    began = time.perf_counter()
    samples = draw(model, n, seed, real)
    seconds = time.perf_counter() - began
    return samples, {
        "examples_per_second": n / seconds,
        "n": n,
        "device": str(model.device),
        "threads": torch.get_num_threads(),
    }


def selected(run: Run, case: Case, options: Options, n: int) -> dict[str, Value]:
    """The metric that chose the best checkpoint, of `best` and of `last`, on the half that did not choose."""
    name = run.recipe.train.best.removeprefix("-")
    chosen = [(e, base) for e in case.extractors for base in CHEAP if e.name(base) == name]
    if not case.images or not chosen:
        return {}
    extractor, base = chosen[0]
    real = halves(case.real)[1]
    found: dict[str, Value] = {}
    for which in ("last", "best"):
        model = run.load(which, options.device)
        assert isinstance(model, Sampler)
        if options.bn == "train":
            use_batch_statistics(model)
        half = Case(real, draw(model, min(n, len(real)), options.seed, real), case.spare, extractors=(extractor,))
        value = half.measure(
            lambda x, y: {base: CHEAP[base](x, y)}, half.spaces[0], note="on the half that chose nothing"
        )
        found[f"{name}_{which}"] = value[name]
    return found


# ---------------------------------------------------------------------------------------- statistics


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
    return {
        "fid": Value(
            value, len(samples), None, str(file), inception.id, inception.resize, None, inception.dtype, note=note
        )
    }


def save_statistics(file: str | Path, real: Data, inception: features.Inception, options: Options) -> None:
    """Write the real side's Inception statistics as clean-fid does."""
    bar = bars(options.progress)
    x = features.extract(inception, real, progress=bar and bar("fid: statistics"))["features"]
    features.write_statistics(file, *moments(x))


# -------------------------------------------------------------------------------------------- pieces


def measure(case: Case) -> dict[str, Value]:
    """Every metric of `metrics/` that applies; one that has too few examples for any value is told of in a warning."""
    found: dict[str, Value] = {}
    for name, metric in discover("metrics", Metric).items():
        if case.model is not None and not isinstance(case.model, metric.needs):
            continue
        one = metric()  # pyright: ignore[reportAbstractUsage]
        try:
            if not one.applies(case):
                found |= one(case)
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
) -> tuple[tuple[features.Extractor, ...], list[str], offline.Offline | None]:
    """Extractors of an image set, a note where FID has to be left out, and a stacked set's digit classifier."""
    if not real.is_images:
        return (), [], None
    bar = bars(options.progress)
    held_out = real if real is not train and real.split == "test" else None
    own = offline.extractor_for(train, held_out, progress=bar and bar("training the extractor"))
    digits = None
    if real.name == "stackedmnist":
        mnist = data_sets.load("mnist", "train")
        digits = offline.extractor_for(mnist, data_sets.load("mnist", "test"), progress=bar and bar("digit classifier"))
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


# ------------------------------------------------------------------------------------ during training

CHEAP = {"frechet": frechet_from_features, "kernel": kernel_distance}
"""Distances on features that are computed along the way."""
ALONG = (*CHEAP, "coverage", "fid", "kid")
"""Names of what needs an extractor along the way."""
FEWEST = 4
"""Examples whose half has a covariance."""
COVERED, NEIGHBOURS = 1_000, 5
"""Examples and neighbours of the coverage that is computed along the way."""


def halves(data: Data) -> tuple[Data, Data]:
    """A half to choose by and a half to report on."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    return pick(data, order[: len(data) // 2], "choose"), pick(data, order[len(data) // 2 :], "report")


def left_out_along(data: Data, test: Data | None, budget: int) -> str:
    """Why a log has no distances of features, in words; empty where it has them."""
    if not data.is_images:
        return ""
    reference = "held-out" if test is not None else "training"
    if (n := len(test if test is not None else data)) < FEWEST:
        return f"there are {n} {reference} examples, and half of them are compared: it takes at least {FEWEST}"
    return "" if budget >= LONG or offline.cached(data) else "no extractor for so short a training"


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
        if budget >= LONG or offline.cached(data):
            extractors.append(offline.extractor_for(data, test))
        net = load_inception(Options(device=str(model.device)), True) if inception else None
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
