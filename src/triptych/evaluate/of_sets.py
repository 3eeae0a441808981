"""Any two sets of examples against each other, with no model in sight."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from triptych import data as data_sets
from triptych.core import Data, Split, Value
from triptych.core.preparation import Preparation
from triptych.data.sources.array_files import Table
from triptych.errors import NoSplit, UserError
from triptych.evaluate.of_run import Evaluation
from triptych.evaluate.protocol import (
    Options,
    against_statistics,
    heard,
    load_inception,
    make_extractors,
    measure,
    save_statistics,
    writable,
)
from triptych.metrics.comparison import Case, subset
from triptych.system.progress import bars


def judge_sets(
    real: str | Path | None,
    fake: str | Path,
    options: Options,
    *,
    out: str | Path | None = None,
    resolution: int | str | None = None,
    channels: int | None = None,
) -> Evaluation:
    """Judge two folders, archives, array files or named sets, both sides whole unless `n` says less.

    The real side is a set's test split where it has one, or `options.split`; samples are taken whole. The real side's
    own extractor is then trained on the training split, as for a run, and that split is the floor's other side. With
    `options.stats` the real side may be left out.
    """
    for file in (out, options.save_stats):
        writable(file)
    if real is None and options.stats is None:
        raise UserError("there is no real side; give --real FOLDER or --stats FILE.npz")
    if real is None and options.save_stats is not None:
        raise UserError("--save-stats writes the statistics of the real side; give --real FOLDER")
    said: list[str] = []
    notes: list[str] = []
    values: dict[str, Value] = {}
    with heard(said):
        samples = examples(fake, "all", resolution, channels)
        if options.n is not None:
            samples = subset(samples, options.n, options.seed)
        inception = load_inception(options, samples.is_images)
        if real is not None:
            whole = side(real, options, resolution, channels)
            if whole.shape == samples.shape:
                samples = samples.counted_from(whole.origin)
            train = whole
            if whole.split != "train":
                train = examples(real, "train", resolution, channels)
            truth = whole if options.n is None else subset(whole, options.n, options.seed)
            spare = train if whole.split == "test" else None
            for name, data in (("real", truth), ("generated", samples)):
                if len(data) == 1:  # of two sets there is then nothing to say; a run has more to it
                    raise UserError(
                        f"the {name} side {data.name!r} has 1 example; every distance needs at least 2, give more"
                    )
            case = Case(truth, samples, spare, train=train, seed=options.seed, progress=bars(options.progress))
            case.extractors, notes, case.digits = make_extractors(whole, train, options, inception)
            values = measure(case)
            said = [*case.warnings, *said]
            if options.save_stats is not None and inception is not None:
                save_statistics(options.save_stats, truth, inception, options)
        if options.stats is not None and inception is not None:
            values |= against_statistics(options.stats, samples, inception, bars(options.progress))
    result = Evaluation(f"{Path(fake).name}", values, tuple(said), tuple(notes))
    if out is not None:
        result.write(Path(out))
    return result


def side(name: str | Path, options: Options, resolution: int | str | None, channels: int | None) -> Data:
    """The real side: the test split of a set that has one, else everything. Vectors have to be finite."""
    if options.split is not None:
        found = examples(name, options.split, resolution, channels)
    else:
        try:
            found = examples(name, "test", resolution, channels)
        except NoSplit:
            found = examples(name, "all", resolution, channels)
    if not found.is_images and (bad := int((~torch.isfinite(found.x)).any(1).sum())):
        raise UserError(f"{name} holds NaN or infinite numbers in {bad} of {len(found)} rows; remove or repair them")
    return found


def examples(name: str | Path, split: Split, resolution: int | str | None, channels: int | None) -> Data:
    """One split, and vectors whatever they are: a collapsed or broken generator's are judged, not refused."""
    source = data_sets.find(name)
    if isinstance(source, Table):
        source = dataclasses.replace(source, learnable=False)
    return source.load(str(name), split, Preparation(resolution=resolution, channels=channels))
