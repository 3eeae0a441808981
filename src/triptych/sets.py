"""Any two sets of examples against each other, with no model in sight."""

from __future__ import annotations

from pathlib import Path

import torch

from triptych import data as data_sets
from triptych.core import Data, Split, Value
from triptych.errors import NoSplit, UserError
from triptych.evaluate import (
    Evaluation,
    Options,
    against_statistics,
    bars,
    heard,
    load_inception,
    make_extractors,
    measure,
    save_statistics,
    writable,
)
from triptych.metrics.case import Case, subset


def judge_sets(
    real: str | Path | None,
    fake: str | Path,
    options: Options,
    *,
    out: str | Path | None = None,
    resolution: int | None = None,
    channels: int | None = None,
) -> Evaluation:
    """Judge two folders, archives, array files or named sets, both sides whole unless `n` says less.

    The real side is a set's test split where it has one; its own extractor is then trained on the training split,
    as for a run, and that split is the floor's other side. With `options.stats` the real side may be left out.
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
        samples = side(fake, options, resolution, channels)
        if options.n is not None:
            samples = subset(samples, options.n, options.seed)
        inception = load_inception(options, samples.is_images)
        if real is not None:
            whole = side(real, options, resolution, channels)
            train = whole
            if whole.split != "train":
                train = data_sets.load(real, "train", resolution=resolution, channels=channels)
            truth = whole if options.n is None else subset(whole, options.n, options.seed)
            spare = train if whole.split == "test" else None
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


def side(name: str | Path, options: Options, resolution: int | None, channels: int | None) -> Data:
    """One side of a comparison: the test split of a named set that has one, else everything."""
    wanted: tuple[Split, ...] = (options.split,) if options.split is not None else ("test", "all")
    for split in wanted[:-1]:
        try:
            found = data_sets.load(name, split, resolution=resolution, channels=channels)
            break
        except NoSplit:
            continue
    else:
        found = data_sets.load(name, wanted[-1], resolution=resolution, channels=channels)
    if not found.is_images and (bad := int((~torch.isfinite(found.x)).any(1).sum())):
        raise UserError(f"{name} holds NaN or infinite numbers in {bad} of {len(found)} rows; remove or repair them")
    return found
