"""From a run to numbers that say what they are."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from triptych.core import Data, Metric, Model, Sampler, Value, discover
from triptych.core.metric import real_side
from triptych.core.model import choose_steps
from triptych.errors import UserError
from triptych.evaluate.by_classifier import sorted_by_classifier
from triptych.evaluate.given import with_given
from triptych.evaluate.options import Features, Reference, Samples
from triptych.evaluate.protocol import (
    CONTROLS,
    against_statistics,
    collected_warnings,
    default_count,
    draw,
    halves,
    load_inception,
    make_extractors,
    measure,
    save_statistics,
    strangers,
    without_fid,
)
from triptych.metrics.comparison import Comparison, fresh, numbered_alike
from triptych.metrics.features.extractor import Inception
from triptych.models.latent_space import use_batch_statistics
from triptych.run import data as run_data
from triptych.run import schema
from triptych.run.addresses import Place
from triptych.run.folder import Run
from triptych.system.files import write_json
from triptych.system.progress import bars
from triptych.system.refusals import refuse_unwritable


@dataclass(frozen=True)
class Evaluation(Mapping[str, Value]):
    """Values by name, and what a reader should know beside them."""

    name: str
    found: Mapping[str, Value]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Value:
        return self.found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def write(self, file: Path) -> None:
        """`{name: {value, n, extractor, resize, seed, dtype, floor, ...}}`."""
        write_json(file, {k: dataclasses.asdict(v) for k, v in self.items()})


@dataclass(frozen=True)
class Built:
    """The comparison of a run with its reference, and what was learned while it was built."""

    comparison: Comparison
    pace: dict[str, object] | None
    """examples per second that were drawn, and on what; None for a model that cannot sample"""
    notes: tuple[str, ...]


def evaluate_run(
    path: Place,
    *,
    samples: Samples = Samples(),  # noqa: B008
    reference: Reference = Reference(),  # noqa: B008
    features: Features = Features(),  # noqa: B008
    model: Model | None = None,
    device: str = "auto",
    out: str | Path | None = None,
    progress: bool = False,
) -> Evaluation:
    """Evaluate a run by every metric that applies, and write `eval.json` into it (or to `out`).

    An eval.json of another real side is kept as eval-old.json.
    `model` is the run's checkpoint `samples.which` where the caller has loaded it already; it comes back in eval mode.
    Where the recipe chose a best checkpoint on one half of the reference, both `best` and `last` are also evaluated by
    that metric on the other half.
    """
    for file in filter(None, (out, features.save_stats)):
        refuse_unwritable(file, folder=False)
        schema.refuse_own(Path(file))
    run = Run(path)
    run.sweep_parts()
    model = run.load(samples.which, device) if model is None else model.eval()
    choose_steps(model, samples.solver, samples.steps)
    if samples.bn == "train":
        use_batch_statistics(model)
    try:
        result, pace = evaluate_model(run, model, samples, reference, features, device=device, progress=progress)
    finally:
        model.eval()
    if out is None and pace is not None:
        write_json(run.path / "sampling.json", pace)  # apart: eval.json is the same whenever it is made
    if out is None and has_another_real_side(run, result) and run.archive_evaluation():
        told = "eval.json was an evaluation against other data, and is now eval-old.json; --out FILE keeps both apart"
        result = dataclasses.replace(result, notes=(*result.notes, told))
    result.write(Path(out) if out is not None else run.path / "eval.json")
    return result


def has_another_real_side(run: Run, result: Evaluation) -> bool:
    """Whether the run's eval.json compares it with another set than `result` does."""
    if not (run.path / "eval.json").exists():
        return False
    try:
        earlier = {real_side(v["reference"]) for v in schema.read_evaluation(run.path).values() if v.get("reference")}
    except UserError:  # spoilt: what is written now replaces it, as the message of whoever reads it advises
        return False
    return earlier.isdisjoint({real_side(v.reference) for v in result.values() if v.reference}) and bool(earlier)


def evaluate_model(
    run: Run,
    model: Model,
    samples: Samples,
    reference: Reference,
    features: Features,
    *,
    device: str,
    progress: bool,
) -> tuple[Evaluation, dict[str, object] | None]:
    """The numbers of a run's model as it stands, and its pace; writes only `features.save_stats`."""
    found = run_data.own_or_other(run, reference.data)
    bar = bars(shown=progress)
    said: list[str] = []
    with collected_warnings(said):
        inception = load_inception(features, images=found.train.is_images, device=device)
        built = compare(run, model, found, samples, reference, inception, progress=progress)
        comparison = with_given(built.comparison, features, device)
        values = measure(comparison)
        if samples.sorted:
            values |= sorted_by_classifier(comparison)
        if inception is not None and features.stats is not None:
            values |= against_statistics(features.stats, comparison.fake, inception, bar)
        if inception is not None and features.save_stats is not None:
            save_statistics(features.save_stats, comparison.real, inception, bar)
        own = reference.split is None and found.own  # else the reference has no half that chose
        if own and samples.which == "last" and run.best is not None and isinstance(model, Sampler):
            values |= selected(run, comparison, model, samples, device, values)
    notes = [*built.notes, *without_fid(comparison)]
    if samples.bn == "train":
        notes.append("batch normalisation used the statistics of each batch of samples (--bn train)")
    if samples.how:
        values = {k: dataclasses.replace(v, how=samples.how) for k, v in values.items()}
    return Evaluation(run.name, values, (*comparison.warnings, *said), tuple(notes)), built.pace


def compare(
    run: Run,
    model: Model,
    found: run_data.Found,
    samples: Samples,
    reference: Reference,
    inception: Inception | None,
    *,
    progress: bool,
) -> Built:
    """Samples of a run's model beside its reference, complete: whatever a metric asks of a comparison is there."""
    train = found.train
    real, extra_real = reference_of(found, reference)
    notes = [] if found.own else [found.said()]
    if found.own and real is train and real.distribution is None:
        notes.append("samples and likelihoods are evaluated on the training examples: there is no held-out part")
    n, pace = samples.n or default_count(real), None
    if isinstance(model, Sampler):
        fake, pace = timed_draw(model, n, samples.seed, real)
    else:
        fake = real
        notes.append(f"{type(model).__name__} cannot sample: metrics of samples are left out")
    fake, lost = numbered_alike(fake, real)
    extractors = make_extractors(real, train, inception, bars(shown=progress)).on(model.device)
    comparison = Comparison(
        real
        if real.distribution is None
        else fresh(real, n, samples.seed + 1, labelled=fake is not real and fake.labels is not None),
        fake,
        extra_real=extra_real,
        model=model,
        objective=run.recipe.objective,
        train=train,
        seed=samples.seed,
        extractors=extractors,
        controls=CONTROLS,
        strangers=strangers(real),
        progress=bars(shown=progress),
    )
    if lost:
        comparison.warn(lost)
    return Built(comparison, pace, tuple(notes))


def reference_of(found: run_data.Found, reference: Reference) -> tuple[Data, Data | None]:
    """The real side of a run, and further real examples for floors."""
    train = found.train
    if train.distribution is not None:
        return train, None
    if reference.split is not None:
        real = found.load(reference.split)
        return real, None if real.split == train.split or train.split == "all" else train
    test = found.test()
    return (train, None) if test is None else (test, train)


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


def selected(
    run: Run, comparison: Comparison, last: Sampler, samples: Samples, device: str, values: Mapping[str, Value]
) -> dict[str, Value]:
    """The metric that chose the best checkpoint, of `best` and of `last`, on the half that did not choose."""
    name = run.recipe.train.best.removeprefix("-")
    metric = next((m for m in discover("metrics", Metric).values() if name in m.quantities), None)
    if not comparison.is_images or metric is None or name not in values:
        return {}
    best = run.load("best", device)
    assert isinstance(best, Sampler)
    choose_steps(best, samples.solver, samples.steps)
    if samples.bn == "train":
        use_batch_statistics(best)
    extractors = comparison.extractors.only(values[name].extractor)
    real = halves(comparison.real)[1]
    n = min(len(comparison.fake), len(real))
    found: dict[str, Value] = {}
    for which, model in (("last", last), ("best", best)):
        fake = draw(model, n, samples.seed, real)
        half = Comparison(real, fake, extra_real=comparison.extra_real, extractors=extractors)
        if metric().applies(half):  # pyright: ignore[reportAbstractUsage]
            return {}  # it is not of samples: a likelihood was chosen by all held-out examples
        measured = metric().evaluated(half)  # pyright: ignore[reportAbstractUsage]
        for each in filter(None, (name, values[name].companion)):
            if (value := measured.get(each)) is not None:
                note = "; ".join(filter(None, [value.note, "on the half that chose nothing"]))
                beside = value.companion and f"{value.companion}_{which}"
                found[f"{each}_{which}"] = dataclasses.replace(value, variant=which, note=note, companion=beside)
    return found
