"""From a run to numbers that say what they are."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from triptych.core import Data, Metric, Sampler, Value, discover
from triptych.evaluate.protocol import (
    Options,
    against_statistics,
    default_count,
    draw,
    halves,
    heard,
    load_inception,
    make_extractors,
    measure,
    save_statistics,
    writable,
)
from triptych.metrics.comparison import Case, fresh
from triptych.models.latent_space import use_batch_statistics
from triptych.run import data as run_data
from triptych.run.folder import Run
from triptych.system.files import write_json
from triptych.system.progress import bars


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


def evaluate_run(path: str | Path, options: Options = Options(), out: str | Path | None = None) -> dict[str, Value]:  # noqa: B008
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
            values |= selected(run, case, options, n, values)
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


def selected(run: Run, case: Case, options: Options, n: int, values: Mapping[str, Value]) -> dict[str, Value]:
    """The metric that chose the best checkpoint, of `best` and of `last`, on the half that did not choose."""
    name = run.recipe.train.best.removeprefix("-")
    metric = next((m for m in discover("metrics", Metric).values() if name in m.quantities), None)
    if not case.images or metric is None or name not in values:
        return {}
    extractors = tuple(e for e in case.extractors if e.id == values[name].extractor)
    real = halves(case.real)[1]
    found: dict[str, Value] = {}
    for which in ("last", "best"):
        model = run.load(which, options.device)
        assert isinstance(model, Sampler)
        if options.bn == "train":
            use_batch_statistics(model)
        half = Case(real, draw(model, min(n, len(real)), options.seed, real), case.spare, extractors=extractors)
        value = metric().evaluated(half).get(name)  # pyright: ignore[reportAbstractUsage]
        if value is not None:
            note = "; ".join(filter(None, [value.note, "on the half that chose nothing"]))
            found[f"{name}_{which}"] = dataclasses.replace(value, variant=which, note=note)
    return found
