"""Any two sets of examples against each other, with no model in sight."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from triptych import data as data_sets
from triptych.core import Data, Split, Value
from triptych.core.preparation import Preparation
from triptych.data.entering import taken
from triptych.data.sources.array_files import Table
from triptych.errors import NoSplit, UserError
from triptych.evaluate.by_classifier import sorted_by_classifier
from triptych.evaluate.foreign_generator import is_generator, open_generator
from triptych.evaluate.given import with_given
from triptych.evaluate.of_run import Evaluation
from triptych.evaluate.options import Features, Generator, Reference, Samples
from triptych.evaluate.protocol import (
    CONTROLS,
    IMAGES,
    against_statistics,
    collected_warnings,
    default_count,
    load_inception,
    make_extractors,
    measure,
    save_statistics,
    strangers,
    without_fid,
)
from triptych.metrics.comparison import Comparison, numbered_alike, subset
from triptych.metrics.features.extractor import Inception
from triptych.run import schema
from triptych.system.device import pick_device
from triptych.system.progress import bars
from triptych.system.refusals import refuse_unwritable


def evaluate_sets(
    real: str | Path | None,
    fake: str | Path,
    *,
    samples: Samples = Samples(),  # noqa: B008
    reference: Reference = Reference(),  # noqa: B008
    features: Features = Features(),  # noqa: B008
    generator: Generator = Generator(),  # noqa: B008
    resolution: int | str | None = None,
    channels: int | None = None,
    device: str = "auto",
    out: str | Path | None = None,
    progress: bool = False,
) -> Evaluation:
    """Evaluate two folders, archives, array files or named sets, both sides whole unless `samples.n` says less.

    The real side is a set's test split where it has one, or `reference.split`; samples are taken whole. Of a 2-D set,
    which has no end, the real side has as many examples as there are samples, and as samples it has 5,000. The real
    side's own extractor is then trained on the training split, as for a run, and that split is the floor's other side.
    With `features.stats` the real side may be left out.

    A generated side that ends in .onnx is a generator, which is asked for as many samples as a run would be.
    """
    for file in filter(None, (out, features.save_stats)):
        refuse_unwritable(file, folder=False)
        schema.refuse_own(Path(file))
    if reference.data is not None:
        raise UserError("--data is the real side of a run; give --real FOLDER")
    if samples.which != "last" or samples.solver is not None or samples.steps is not None:
        raise UserError("--which, --solver and --steps are of runs; drop them")
    if real is None and features.stats is None:
        raise UserError("there is no real side; give --real FOLDER or --stats FILE.npz")
    if real is None and features.save_stats is not None:
        raise UserError("--save-stats writes the statistics of the real side; give --real FOLDER")
    if generator.asked and not is_generator(fake):
        raise UserError("--latent, --prior and --output are for a generator: give --fake FILE.onnx, or drop them")
    how = Preparation(resolution=resolution, channels=channels)
    bar = bars(shown=progress)
    said: list[str] = []
    notes: list[str] = []
    values: dict[str, Value] = {}
    with collected_warnings(said):
        whole = None if real is None else real_side(real, reference.split, how)
        if is_generator(fake):
            opened = open_generator(fake, generator)
            count = samples.n or (IMAGES if whole is None else default_count(whole))
            generated = opened.samples(count, samples.seed)
        else:
            generated = examples(fake, "all", how)
            count = samples.n or (len(generated) if generated.distribution is None else default_count(generated))
            generated = subset(generated, count, samples.seed)
        inception = load_inception(features, images=generated.is_images, device=device)
        if real is not None and whole is not None:
            if whole.distribution is not None:  # of a set without end as many as there are samples
                samples = dataclasses.replace(samples, n=len(generated))
            comparison = compare(real, whole, generated, samples, inception, how, device, progress=progress)
            comparison = with_given(comparison, features, device)
            values = measure(comparison)
            if samples.sorted:
                values |= sorted_by_classifier(comparison)
            notes = without_fid(comparison)
            said = [*comparison.warnings, *said]
            if features.save_stats is not None and inception is not None:
                save_statistics(features.save_stats, comparison.real, inception, bar)
        if features.stats is not None and inception is not None:
            values |= against_statistics(features.stats, generated, inception, bar)
    result = Evaluation(f"{Path(fake).name}", values, tuple(said), tuple(notes))
    if out is not None:
        result.write(Path(out))
    return result


def compare(
    real: str | Path,
    whole: Data,
    generated: Data,
    samples: Samples,
    inception: Inception | None,
    how: Preparation,
    device: str,
    *,
    progress: bool,
) -> Comparison:
    """Generated examples beside `whole`, a side of the set `real`. UserError where one side has a single example."""
    beyond = [name for name in generated.named if name not in whole.named]
    generated = generated.as_in(whole.typed, whole.origin, whole.columns)
    train = whole if whole.split == "train" else examples(real, "train", how)
    chosen = whole if samples.n is None else subset(whole, samples.n, samples.seed)
    for name, data in (("real", chosen), ("generated", generated)):
        if len(data) == 1:  # of two sets there is then nothing to say; a run has more to it
            raise UserError(f"the {name} side {data.name!r} has 1 example; every distance needs at least 2, give more")
    generated, lost = numbered_alike(generated, chosen)
    comparison = Comparison(
        chosen,
        generated,
        extra_real=train if whole.split == "test" else None,
        train=train,
        seed=samples.seed,
        extractors=make_extractors(whole, train, inception, bars(shown=progress)).on(pick_device(device)),
        controls=CONTROLS,
        strangers=strangers(whole),
        progress=bars(shown=progress),
    )
    if lost:
        comparison.warn(lost)
    if beyond and set(generated.named) & set(whole.named):
        comparison.warn(f"{generated.name} has columns that {whole.name} has not, left out: {', '.join(beyond[:8])}")
    return comparison


def real_side(name: str | Path, split: Split | None, how: Preparation) -> Data:
    """The test split of a set that has one, else everything, or the `split` asked for. Vectors have to be finite."""
    if split is not None:
        found = examples(name, split, how)
    else:
        try:
            found = examples(name, "test", how)
        except NoSplit:
            found = examples(name, "all", how)
    if not found.is_images and (bad := int((~torch.isfinite(found.x)).any(1).sum())):
        raise UserError(f"{name} holds NaN or infinite numbers in {bad} of {len(found)} rows; remove or repair them")
    return found


def examples(name: str | Path, split: Split, how: Preparation) -> Data:
    """One split, and vectors whatever they are: a collapsed or broken generator's are evaluated, not refused."""
    source = data_sets.find(name)
    if isinstance(source, Table):
        source = dataclasses.replace(source, learnable=False)
    return taken(source, str(name), split, how, finite=False)
