"""Commands that show what a run has learned: samples, codes, interpolations, neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from triptych.cli.options import Device
from triptych.system.console import say

RunFolder = Annotated[Positional[Path], arg(metavar="RUN", help="folder of a run")]
Out = Annotated[Path | None, arg(help="folder to write to; default: inside the run folder")]
Bn = Annotated[
    Literal["eval", "train"],
    arg(help="batch normalisation: eval, averages kept while training; train, statistics of the batch at hand"),
]
Which = Annotated[Literal["last", "best"], arg(help="checkpoint to use")]
Moved = Annotated[
    str | None, arg(name="data", metavar="WHERE", help="where the run's data are now, if they have moved")
]
Classes = Annotated[
    tuple[str, ...],
    arg(name="class", metavar="NAME_OR_NUMBER ...", help="models with classes: of which; several: 3,5, or all"),
]
HeldClass = Annotated[
    tuple[str, ...],
    arg(
        name="class", metavar="NAME_OR_NUMBER ...", help="models with classes: the one that is held; default: the first"
    ),
]
Given = Annotated[
    tuple[str, ...],
    arg(metavar="NAME=VALUE ...", help="models conditioned on numbers: these; default: as in the training data"),
]
Numbers = Annotated[tuple[int, ...], arg(metavar="INT ...")]


def sample(
    run: RunFolder,
    n: Annotated[int, arg(aliases=["-n"], help="how many")] = 64,
    seed: Annotated[int, arg(help="seed of the noise: the same seed, the same samples")] = 0,
    out: Annotated[
        Path | None,
        arg(help="grid.png, a folder (one PNG per sample), x.npy, or x.csv (vectors); default: inside the run folder"),
    ] = None,
    temperature: Annotated[float, arg(help="factor on the noise; of discrete codes, on the spread")] = 1.0,
    batch: Annotated[int, arg(help="samples decoded at once; matters with --bn train only")] = 256,
    bn: Bn = "eval",
    which: Which = "last",
    codes: Annotated[
        Literal["prior", "gaussian", "mixture", "flow"] | None,
        arg(help="autoencoders: draw codes from the prior, or from what is fitted to those of the training data"),
    ] = None,
    components: Annotated[int | None, arg(help="Gaussians in the mixture of codes; default: by the BIC")] = None,
    solver: Annotated[
        str | None, arg(help="continuous flows: euler, midpoint, heun, rk4 or dopri5; default: the recipe's")
    ] = None,
    steps: Annotated[
        int | None, arg(help="continuous and mean flows: steps of a sample; default: the recipe's")
    ] = None,
    guidance: Annotated[
        float | None, arg(help="continuous flows with classes: weight of the class; 1: as it is, 2 to 4: clearer")
    ] = None,
    classes: Classes = (),
    given: Given = (),
    data: Moved = None,
    device: Device = "auto",
) -> None:
    """Draw samples from a run: one grid, a folder of images, or an array."""
    from triptych.explore.samples import write_samples

    file = write_samples(
        run,
        n,
        seed,
        out,
        temperature=temperature,
        bn=bn,
        which=which,
        device=device,
        batch=batch,
        codes=codes,
        components=components,
        solver=solver,
        steps=steps,
        guidance=guidance,
        classes=classes,
        given=given,
        data=data,
        announce=note,
    )
    say(file)


Examples = Annotated[
    str | None,
    arg(
        metavar="WHERE",
        help="where the run's data are now, or another set to take examples of; default: the run's own held-out ones",
    ),
]


def note(text: str) -> None:
    """A remark on standard error."""
    say(f"note: {text}", stderr=True)


def encode(
    run: RunFolder,
    out: Annotated[Path, arg(help="the .npy to write, (n, latent)")],
    data: Examples = None,
    n: Annotated[int | None, arg(aliases=["-n"], help="the first so many; default: all")] = None,
    which: Which = "last",
    classes: Annotated[
        tuple[str, ...],
        arg(name="class", metavar="NAME_OR_NUMBER ...", help="models with classes: of which; default: their labels"),
    ] = (),
    device: Device = "auto",
) -> None:
    """Encode examples into codes: a VAE's posterior means, all of a flow's z."""
    from triptych.explore.codes import write_codes

    say(write_codes(run, out, data, n, classes=classes, which=which, device=device, announce=note))


def decode(
    run: RunFolder,
    codes: Annotated[Positional[Path], arg(metavar="CODES", help="an .npy of codes, (n, latent)")],
    out: Annotated[Path, arg(help="grid.png, a folder (one PNG per image), x.npy, or x.csv (vectors)")],
    which: Which = "last",
    data: Moved = None,
    classes: Classes = (),
    given: Given = (),
    device: Device = "auto",
) -> None:
    """Decode codes into images or vectors."""
    from triptych.explore.codes import write_decoded

    say(write_decoded(run, codes, out, classes=classes, given=given, which=which, device=device, data=data))


def reconstruct(
    run: RunFolder,
    n: Annotated[int, arg(aliases=["-n"], help="how many examples")] = 36,
    out: Annotated[
        Path | None,
        arg(
            help=".png: originals beside reconstructions; a folder, .npy or .csv: reconstructions; default: in the run"
        ),
    ] = None,
    data: Examples = None,
    which: Which = "last",
    device: Device = "auto",
) -> None:
    """Encode and decode examples, and show the reconstructions."""
    from triptych.explore.codes import write_reconstructions

    file, error = write_reconstructions(run, n, out, data, which=which, device=device, announce=note)
    say(file)
    say(f"mean squared error, in the data's units: {error:.4g}")


def nearest(
    run: RunFolder,
    n: Annotated[int, arg(aliases=["-n"], help="how many samples")] = 32,
    seed: Annotated[int, arg(help="seed of the noise")] = 0,
    which: Which = "last",
    data: Moved = None,
    device: Device = "auto",
) -> None:
    """Draw samples beside the training images nearest to them: has the model memorised its training set?"""
    from triptych.explore.neighbours import write_neighbours

    file, distance = write_neighbours(run, n, seed, which=which, device=device, data=data)
    say(file)
    say(f"distance to the nearest training image, pixels in [0, 1]: median {distance.median():.3g}")


def copies(
    run: RunFolder,
    n: Annotated[int, arg(aliases=["-n"], help="how many samples")] = 1_000,
    seed: Annotated[int, arg(help="seed of the noise, and of how the held-out examples are divided")] = 0,
    which: Which = "last",
    data: Moved = None,
    device: Device = "auto",
) -> None:
    """Test whether samples are copies of training examples: a p value, the copied share, the worst pairs.

    The null is seen on held-out examples. Works for pictures and tables; beside the test, `nearest` shows pictures.
    """
    from triptych.explore.copies import write_copies

    result, files = write_copies(run, n, seed, which=which, device=device, data=data)
    say(result.said, *files)


def score(
    run: RunFolder,
    data: Examples = None,
    out: Annotated[Path | None, arg(help="the .csv to write; default: score.csv in the run folder")] = None,
    n: Annotated[int | None, arg(aliases=["-n"], help="the first so many; default: all")] = None,
    level: Annotated[float, arg(help="share of ordinary examples that may be called strange")] = 0.05,
    seed: Annotated[int, arg(help="seed of the dequantisation and of which held-out examples calibrate")] = 0,
    which: Which = "last",
    device: Device = "auto",
) -> None:
    """Score examples: log-likelihood, typicality, reconstruction, each with a p value by held-out examples.

    An ordinary example has p <= LEVEL with probability LEVEL at most, whatever the model is. Writes a CSV and, of
    pictures, a sheet of the strangest and the most ordinary.
    """
    from triptych.explore.score import write_scores

    result, files = write_scores(run, data, out, n, level=level, seed=seed, which=which, device=device, announce=note)
    for warning in result.warnings:
        say(f"warning: {warning}", stderr=True)
    say(*result.said(level), *files)


def flow(run: RunFolder, out: Out = None, which: Which = "last", data: Moved = None, device: Device = "auto") -> None:
    """Draw what only flows can show: the density, the warp from z to data, samples at several temperatures."""
    from triptych.explore.flows import write_flow_figures

    say(*write_flow_figures(run, out, which=which, device=device, data=data))


def interpolate(
    run: RunFolder,
    out: Out = None,
    seed: Annotated[int, arg(help="seed of the codes")] = 0,
    rows: Annotated[int, arg(help="interpolations between pairs of samples, a row each")] = 8,
    steps: Annotated[int, arg(help="steps of each segment, both ends counted")] = 11,
    how: Annotated[Literal["linear", "spherical"], arg(help="linear, or spherical (slerp)")] = "linear",
    through: Annotated[Numbers, arg(help="instead: from each of these samples of the seed to the next")] = (),
    real: Annotated[Numbers, arg(help="instead: from the code of each of these held-out examples to the next")] = (),
    rest: Annotated[Literal["zero", "random"], arg(help="the other latent dimensions in the 2-D traversal")] = "zero",
    classes: Annotated[
        tuple[str, ...],
        arg(
            name="class",
            metavar="NAME_OR_NUMBER ...",
            help="models with classes: one held, or 3,5 for paths from 3 to 5; default: the first",
        ),
    ] = (),
    *,
    animate: Annotated[bool, arg(help="also write an animation (WebP)")] = False,
    bn: Bn = "eval",
    which: Which = "last",
    data: Moved = None,
    device: Device = "auto",
) -> None:
    """Interpolate between codes.

    Writes a sheet with an interpolation in each row, and a 10 x 10 traversal of z[0] and z[1] from -1 to 1.
    """
    from triptych.explore.walks import write_interpolation

    files = write_interpolation(
        run,
        out,
        seed=seed,
        rows=rows,
        steps=steps,
        how=how,
        through=through,
        real=real,
        rest=rest,
        classes=classes,
        animate=animate,
        bn=bn,
        which=which,
        device=device,
        data=data,
    )
    say(*files)


def sweep(
    run: RunFolder,
    out: Out = None,
    seed: Annotated[int, arg(help="seed of the code whose other dimensions are held")] = 0,
    rows: Annotated[int, arg(help="latent dimensions shown; those that change the output most")] = 10,
    columns: Annotated[int, arg(help="steps in a row")] = 11,
    reach: Annotated[float, arg(help="extent: from -reach to reach standard deviations")] = 2.5,
    dims: Annotated[Numbers, arg(help="these latent dimensions instead")] = (),
    real: Annotated[int | None, arg(help="hold the code of this held-out example instead")] = None,
    classes: HeldClass = (),
    *,
    animate: Annotated[bool, arg(help="also write an animation (WebP)")] = False,
    bn: Bn = "eval",
    which: Which = "last",
    data: Moved = None,
    device: Device = "auto",
) -> None:
    """Latent traversal: change one latent dimension at a time, a row each, the others held."""
    from triptych.explore.walks import write_sweep

    files, shown = write_sweep(
        run,
        out,
        seed=seed,
        rows=rows,
        columns=columns,
        reach=reach,
        dims=dims,
        real=real,
        classes=classes,
        animate=animate,
        bn=bn,
        which=which,
        device=device,
        data=data,
    )
    say(*files, f"rows from the top: z{list(shown)}")
