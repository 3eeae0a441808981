"""The command `evaluate`, and the tables it prints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.table import Table
from tyro.conf import OmitArgPrefixes, Positional, arg

from triptych.cli.options import Device, field_docs
from triptych.core.controls import praise
from triptych.core.statistics import format_number
from triptych.errors import UserError
from triptych.evaluate.options import Features, Generator, Reference, Samples
from triptych.system.console import console, say

if TYPE_CHECKING:
    from triptych.core import Value
    from triptych.evaluate.of_run import Evaluation

OWN = "not comparable with published FID"
Runs = Annotated[tuple[Path, ...], Positional, arg(metavar="RUN", help="run folders, each gets an eval.json")]


@dataclass(frozen=True, kw_only=True)
class Drawn(Samples):
    """What is drawn from a model."""

    # the short flag, which only a command line has
    n: Annotated[int | None, arg(aliases=["-n"], help=field_docs(Samples)["n"])] = None


def evaluate(
    runs: Runs = (),
    real: Annotated[str | None, arg(help="real side: a folder, an archive, an array file or a data set's name")] = None,
    fake: Annotated[
        str | None, arg(help="generated side, likewise, or a generator as FILE.onnx; no run is needed")
    ] = None,
    out: Annotated[Path | None, arg(help="JSON file to write; default: eval.json in the run folder")] = None,
    resolution: Annotated[
        int | str | None, arg(help="side in pixels, or WIDTHxHEIGHT, that --real and --fake are brought to")
    ] = None,
    channels: Annotated[int | None, arg(help="1 (grey) or 3 (RGB) for --real and --fake")] = None,
    *,
    curve: Annotated[
        bool, arg(help="also evaluate every kept checkpoint of a run: distance against images, as curve.json and .png")
    ] = False,
    explain: Annotated[
        bool, arg(help="instead: FID under three resizes, two sample counts and two references, and whose each is like")
    ] = False,
    published: Annotated[float | None, arg(help="with --explain: a number from elsewhere, to find its like")] = None,
    device: Device = "auto",
    samples: OmitArgPrefixes[Drawn] = Drawn(),
    reference: OmitArgPrefixes[Reference] = Reference(),  # noqa: B008
    features: OmitArgPrefixes[Features] = Features(),  # noqa: B008
    generator: OmitArgPrefixes[Generator] = Generator(),  # noqa: B008
) -> None:
    """Evaluate runs, or any two sets of images, by every metric that applies.

    `triptych evaluate RUN...` samples from each run and compares with its data. `triptych evaluate --real A --fake B`
    compares two folders, arrays or prepared sets. Every number is printed beside its floor: the same metric between
    two sets of real examples.
    """
    from triptych.core.counts import check_count
    from triptych.evaluate.curve import judge_checkpoints
    from triptych.evaluate.of_run import evaluate_run
    from triptych.run.folder import Run

    n = samples.n
    if n is not None and n < 2:
        raise UserError(f"{n} examples were asked for; every metric needs at least 2: give -n 2 or more")
    if n is not None:
        check_count(n, "examples")
    if bool(runs) == (fake is not None or real is not None):
        raise UserError("give either run folders, or --real A --fake B")
    if curve and not runs:
        raise UserError("--curve is of the checkpoints of a run; give run folders")
    if runs and (resolution is not None or channels is not None):
        raise UserError("a run's data are prepared as its recipe says; drop --resolution and --channels")
    if explain or published is not None:
        from triptych.cli.explain import explain as tell

        how = {"resolution": resolution, "channels": channels}
        tell(runs, real, fake, samples, reference, features, published, device, how=how)
        return
    chosen: dict[str, Any] = {"samples": samples, "reference": reference, "features": features}
    if runs and generator.asked:
        raise UserError("a run knows its own noise and range; drop --latent, --prior and --output")
    if runs:
        if out is not None and len(runs) > 1:
            raise UserError(f"--out names one file, for {len(runs)} runs; leave it out: each gets an eval.json")
        if features.save_stats is not None and len(runs) > 1:
            raise UserError(f"--save-stats names one file, for {len(runs)} runs; give one run")
        opened = [Run(run) for run in runs]  # one that is not there stops before the others' work
        if curve and any(len(run.shape()) != 3 for run in opened):
            raise UserError("--curve is of checkpoints of runs on images; leave it out")
        results = []
        for run in runs:
            results.append(evaluate_run(run, **chosen, device=device, out=out, progress=True))
            show(results[-1])
            console().print(f"written: {out or run / 'eval.json'}")
            if curve:
                console().print(f"written: {judge_checkpoints(Run(run), reference.data, device, progress=True)}")
        for results_of_one in by_reference(results).values():
            if len(results_of_one) > 1:
                compare(results_of_one)
        return
    if fake is None:
        raise UserError("there is no generated side; give --fake FOLDER")
    from triptych.evaluate.of_sets import evaluate_sets

    result = evaluate_sets(
        real,
        fake,
        **chosen,
        generator=generator,
        resolution=resolution,
        channels=channels,
        device=device,
        out=out,
        progress=True,
    )
    show(result)
    if out is not None:
        console().print(f"written: {out}")


def show(result: Evaluation) -> None:
    """The table of one evaluation: value, floor, counts, extractor, note; warnings go to stderr."""
    table = Table(title=result.name, title_justify="left", box=None, pad_edge=False)
    table.add_column("metric", no_wrap=True)
    for column in ("value", "floor", "n"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("extractor", no_wrap=True)
    table.add_column("note", overflow="fold")
    own = dict.fromkeys(v.extractor for v in result.values() if v.extractor and OWN in v.note)
    for name, v in result.items():
        note = "; ".join(filter(None, [*(part for part in v.note.split("; ") if part != OWN), praise(v.controls)]))
        table.add_row(name, value(v), number(v.floor), f"{v.n:,}", v.extractor or "", note)
    out = console()
    out.print(table)
    if own:
        out.print(f"{', '.join(own)}: {OWN}", soft_wrap=True)
    if real := reference_of(result):
        out.print(f"real side: {real}; the floor is the same metric between two sets of real examples", soft_wrap=True)
    for note in result.notes:
        out.print(f"note: {note}", soft_wrap=True)
    for warning in result.warnings:
        say(f"warning: {' '.join(warning.split())}", stderr=True)


def reference_of(result: Evaluation) -> str:
    """The real side of an evaluation, in words; empty where no metric has one."""
    return next((v.reference for v in result.values() if v.reference), "")


def by_reference(results: list[Evaluation]) -> dict[str, list[Evaluation]]:
    """Evaluations by their real side: distances from different sets cannot be compared, nor have they one floor."""
    from triptych.core.metric import real_side

    found: dict[str, list[Evaluation]] = {}
    for result in results:
        found.setdefault(real_side(reference_of(result)), []).append(result)
    return found


def compare(results: list[Evaluation]) -> None:
    """Metrics by rows, runs by columns, the first run's floor last; all have the same real side."""
    table = Table(box=None, pad_edge=False)
    table.add_column("metric", no_wrap=True)
    for result in results:
        table.add_column(result.name, justify="right")
    table.add_column("floor", justify="right")
    for name in dict.fromkeys(k for r in results for k in r):
        found = [r.get(name) for r in results]
        floor = next((v.floor for v in found if v is not None and v.floor is not None), None)
        table.add_row(name, *("" if v is None else value(v) for v in found), number(floor))
    console().print(table)
    console().print(f"real side: {reference_of(results[0])}", soft_wrap=True)


def value(v: Value) -> str:
    """`0.1234 ± 0.0056`, or that there is none."""
    if v.value is None:
        return "not defined"
    return number(v.value) + (f" ± {number(v.se)}" if v.se is not None else "")


def number(x: float | None) -> str:
    return "" if x is None else format_number(x)
