"""`triptych evaluate --explain`: why one FID differs from another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from triptych.core import Data
from triptych.core.statistics import format_number
from triptych.errors import NoSplit, UserError
from triptych.evaluate.options import Features, Reference, Samples
from triptych.system.console import console, say


def explain(
    runs: Sequence[Path],
    real: str | None,
    fake: str | None,
    samples: Samples,
    reference: Reference,
    features: Features,
    published: float | None,
    device: str,
    *,
    how: dict[str, object],
) -> None:
    """Print the FID of a run, or of a folder, by each usual resize, count and reference."""
    from triptych.evaluate import explain as explained
    from triptych.evaluate.protocol import load_inception
    from triptych.metrics.features.resize import RESIZES
    from triptych.system.progress import bars

    if len(runs) > 1:
        raise UserError("--explain is of one run; give one, or --real A --fake B")
    references, generated = of_run(runs[0], samples, reference, device) if runs else of_sets(real, fake, samples, how)
    if not generated.is_images:
        raise UserError("--explain is about FID, and the examples are vectors; drop it")
    nets = []
    for resize in RESIZES:
        asked = Features(inception=features.inception or "download", resize=resize, precision=features.precision)  # pyright: ignore[reportArgumentType]
        net = load_inception(asked, images=True, device=device)
        assert net is not None
        nets.append(net)
    cells = explained.explained(references, generated, nets, bars(shown=True))
    table = Table(box=None, pad_edge=False)
    for name in ("resize", "samples", "reference", "FID"):
        table.add_column(name, justify="right" if name in ("samples", "FID") else "left", no_wrap=True)
    table.add_column("most like", overflow="fold")
    for cell in cells:
        row = (cell.resize, f"{cell.n:,}", f"{cell.reference} ({cell.n_real:,})", format_number(cell.fid), cell.like)
        table.add_row(*row)
    console().print(table)
    low, high = min(c.fid for c in cells), max(c.fid for c in cells)
    say(f"the same pictures: {format_number(low)} to {format_number(high)}; a FID without its protocol says little")
    if published is not None:
        one = explained.nearest(cells, published)
        where = f"{one.resize}, {one.n:,} samples, {one.reference}"
        say(f"nearest to {published:g} is {format_number(one.fid)}: {where}; most like {one.like}")


def of_run(path: Path, samples: Samples, reference: Reference, device: str) -> tuple[dict[str, Data], Data]:
    """The two references of a run's data, and its samples."""
    from triptych.core import Sampler
    from triptych.evaluate.explain import two_references
    from triptych.evaluate.protocol import default_count, draw
    from triptych.run import data as run_data
    from triptych.run.folder import Run

    run = Run(path)
    found = run_data.own_or_other(run, reference.data)
    model = run.load(samples.which, device)
    if not isinstance(model, Sampler):
        raise UserError(f"{path} holds {type(model).__name__}, which cannot sample; choose another run")
    test = found.test()
    n = samples.n or default_count(found.train if test is None else test)
    return two_references(found.train, test), draw(model, n, samples.seed, found.train)


def of_sets(
    real: str | None, fake: str | None, samples: Samples, how: dict[str, object]
) -> tuple[dict[str, Data], Data]:
    """The two references of a set, and generated examples."""
    from triptych.core.preparation import Preparation
    from triptych.evaluate.explain import two_references
    from triptych.evaluate.of_sets import examples
    from triptych.metrics.comparison import subset

    if real is None or fake is None:
        raise UserError("--explain compares two sides; give --real A --fake B, or a run")
    prepared = Preparation(**how)  # pyright: ignore[reportArgumentType]
    generated = examples(fake, "all", prepared)
    train = examples(real, "train", prepared)
    try:
        test = examples(real, "test", prepared)
    except NoSplit:
        test = None
    return two_references(train, test), generated if samples.n is None else subset(generated, samples.n, samples.seed)
