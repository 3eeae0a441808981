"""What the commands that show a trained run write: samples, codes, reconstructions, walks; pictures and arrays."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from triptych import expost, figures, flow_figures, latent, run_data
from triptych.core import Data, Latent, Model, Sampler
from triptych.data.tables import numbers
from triptych.data.vectors import csv_text
from triptych.errors import UserError
from triptych.models import Autoencoder, FlowModel
from triptych.run import Run, Which
from triptych.runtime import check_seed
from triptych.system.files import making_folder, write_text, writing

BatchNorm = Literal["eval", "train"]
Codes = Literal["prior", "gaussian", "mixture"]


def opened(run: str | Path, which: Which = "last", bn: BatchNorm = "eval", device: str = "auto") -> tuple[Run, Model]:
    """A run and its trained model, batch normalisation as asked."""
    found = Run(run)
    model = found.load(which, device)
    if bn == "train":
        latent.use_batch_statistics(model)
    return found, model


# --------------------------------------------------------------------------------------------- samples


def write_samples(
    run: str | Path,
    n: int = 64,
    seed: int = 0,
    out: str | Path | None = None,
    *,
    temperature: float = 1.0,
    bn: BatchNorm = "eval",
    which: Which = "last",
    batch: int = 256,
    device: str = "auto",
    codes: Codes = "prior",
    components: int | None = None,
    data: str | None = None,
) -> Path:
    """Write n samples; returns the file or folder. What is written is told by the name of `out`:

    a folder: one PNG per picture; `.png`: one grid (2-D points: drawn over the data); `.npy`: the array, float32;
    `.csv`: a row per vector. Default: a grid of pictures or an `.npy` of vectors, inside the run folder.

    `codes` other than the prior are drawn from a density fitted to the codes of the run's training examples: one
    Gaussian, or a mixture of `components` (10 where not given). `data` says where the run's own examples are, if they
    have moved: for those codes, for the names of columns and for what points are drawn over.
    """
    if n < 1 or batch < 1:
        raise UserError(f"{n} samples in batches of {batch} were asked for; both must be at least 1")
    check_seed(seed)
    if not 0 < temperature < math.inf:
        raise UserError(f"the temperature is {temperature}; it must be above 0")
    if codes != "prior" and temperature != 1:
        raise UserError("--temperature scales draws from the prior; leave it out, or leave --codes at prior")
    if codes != "mixture" and components is not None:
        raise UserError("--components is the size of a mixture; add --codes mixture")
    found, model = opened(run, which, bn, device)
    if not isinstance(model, Sampler):
        raise UserError(f"{found.path} holds {type(model).__name__}, which cannot sample; choose another run")
    pictures = len(model.shape) == 3
    target = Path(out) if out is not None else found.path / f"sample-{n}-seed{seed}{'.png' if pictures else '.npy'}"
    kind = check_target(target, pictures, model.shape)
    beside = train_data(found, data) if codes != "prior" or shows_data(kind, pictures) else None
    if codes == "prior":
        x = model.sample(n, seed=seed, temperature=temperature, batch=batch).cpu()
    else:
        if not isinstance(model, Autoencoder):
            raise UserError(f"{type(model).__name__} has no codes of examples to fit; leave --codes at prior")
        assert beside is not None
        z = expost.codes_of_data(model, beside)
        density = expost.fit_codes(z, (components or 10) if codes == "mixture" else 1)
        x = latent.decode(model, density.draw(n, seed), batch)
    return write_examples(x, found, beside, model, target, kind)


def train_data(found: Run, where: str | None) -> Data:
    """What the run was trained on, `where` it is now."""
    return run_data.own(found, where).train


def shows_data(kind: str, pictures: bool) -> bool:
    """Whether a file of that kind says something of the run's data: names of columns, or the points behind others."""
    return not pictures and kind in (".csv", ".png")


def write_examples(x: Tensor, found: Run, beside: Data | None, model: Model, target: Path, kind: str) -> Path:
    """Public examples in the form that `check_target` found; `beside` is the run's data where the form shows them."""
    if kind == ".png" and x.dim() == 4:
        return figures.grid(x, target)
    if kind == ".png":
        assert beside is not None
        return figures.plane(x, beside, target, model)
    target.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        with making_folder(target, "give --out another place") as folder:
            for i, one in enumerate(figures.picture_bytes(x)):
                png = io.BytesIO()  # a plain write reports a full disk; Pillow's own hides the reason
                Image.fromarray(one[..., 0] if one.shape[2] == 1 else one).save(png, "PNG")
                (folder / f"{i:05d}.png").write_bytes(png.getvalue())
    elif kind == ".csv":
        assert beside is not None
        write_text(target, csv_text(x, beside.columns, found.origin()), "give --out another place")
    else:
        write_array(target, in_full(x, found))
    return target


def write_array(target: Path, x: Tensor) -> None:
    with writing(target, "give --out another place") as f:
        np.save(f, x.numpy())


def in_full(x: Tensor, run: Run) -> Tensor:
    """Vectors counted from 0, float64 where the run's data have an origin; pictures as they are."""
    origin = run.origin() if x.dim() == 2 else ()
    return x.double() + torch.tensor(origin, dtype=torch.float64) if origin else x


def check_target(target: Path, pictures: bool, shape: tuple[int, ...]) -> str:
    """`folder`, `.png`, `.npy` or `.csv`; UserError before anything is computed where that cannot be written."""
    kind = target.suffix.lower() if target.suffix and not target.is_dir() else "folder"
    if kind not in ("folder", ".png", ".npy", ".csv"):
        raise UserError(f"--out {target.name} has no known ending; use .png, .npy, .csv or a folder")
    if kind == "folder" and not pictures:
        raise UserError(f"this run makes vectors of {shape[0]} numbers; give --out a name that ends in .npy or .csv")
    if kind == "folder" and target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} exists and is not an empty folder; give --out another name")
    if kind == ".csv" and pictures:
        raise UserError("pictures do not fit a .csv; use a folder, .png or .npy")
    if kind == ".png" and not pictures and shape != (2,):
        raise UserError(f"vectors of {shape[0]} numbers cannot be drawn; use .npy or .csv")
    return kind


# ----------------------------------------------------------------------------------- codes of examples


def examples(found: Run, where: str | None, n: int | None, announce: Callable[[str], None] | None) -> tuple[Data, bool]:
    """The first n examples, and whether they are the run's own.

    Without `where` the run's held-out ones. At `where` there may be the same examples, moved, or another set, prepared
    as the run's own were: then the first n of all it has, and `announce` is told.
    """
    if n is not None and n < 1:
        raise UserError(f"{n} examples were asked for; give at least 1")
    there = run_data.own_or_other(found, where)
    source = there.held_out() if there.own else there.whole()
    shape = found.shape()
    if source.shape != shape:
        raise UserError(f"{source.name} has examples of shape {source.shape} and the run's have {shape}; use such data")
    if announce is not None and not there.own:
        announce(there.said())
    if not source.is_images and not there.own:
        source = source.counted_from(found.origin())
    return replace(source, x=source.x[:n], labels=None, factors={}), there.own


def write_codes(
    run: str | Path,
    out: str | Path,
    data: str | None = None,
    n: int | None = None,
    *,
    which: Which = "last",
    device: str = "auto",
    announce: Callable[[str], None] | None = None,
) -> Path:
    """Encode examples, all or the first n of them, into an `.npy` of shape (n, latent); returns it.

    A VAE's code is the posterior's mean. UserError where the model cannot encode.
    """
    target = Path(out)
    if target.suffix != ".npy":
        raise UserError(f"--out {target.name} is no array; give a name that ends in .npy")
    found, model = opened(run, which, device=device)
    chosen, _ = examples(found, data, n, announce)
    rows = range(len(chosen))
    parts = [latent.encode(model, latent.public(chosen, rows[i : i + 4096])) for i in rows[::4096]]
    target.parent.mkdir(parents=True, exist_ok=True)
    write_array(target, torch.cat(parts))
    return target


def write_decoded(
    run: str | Path,
    codes: str | Path,
    out: str | Path,
    *,
    which: Which = "last",
    device: str = "auto",
    data: str | None = None,
) -> Path:
    """Decode an array file of codes (n, latent) into what the name of `out` asks for, as `write_samples` does."""
    found, model = opened(run, which, device=device)
    space = latent.latent_of(model)
    pictures = len(model.shape) == 3
    kind = check_target(Path(out), pictures, model.shape)
    z = numbers(Path(codes))
    if z.ndim != 2 or z.shape[1] != space.latent or z.dtype.kind not in "fiu" or not len(z):
        raise UserError(
            f"{codes} holds {z.dtype} of shape {z.shape}; codes of this run are (n, {space.latent}) numbers"
        )
    if not np.isfinite(z).all():
        raise UserError(f"{codes} holds NaN or infinite numbers; give finite codes")
    beside = train_data(found, data) if shows_data(kind, pictures) else None
    return write_examples(
        latent.decode(space, torch.from_numpy(np.array(z, np.float32))), found, beside, model, Path(out), kind
    )


def write_reconstructions(
    run: str | Path,
    n: int = 36,
    out: str | Path | None = None,
    data: str | None = None,
    *,
    which: Which = "last",
    device: str = "auto",
    announce: Callable[[str], None] | None = None,
) -> tuple[Path, float]:
    """Encode and decode the first n examples; returns the file and the mean squared error in public units.

    A `.png` shows each picture beside its reconstruction; other endings hold the reconstructions alone.
    """
    found, model = opened(run, which, device=device)
    pictures = len(model.shape) == 3
    target = Path(out) if out is not None else found.path / f"reconstructions-{n}{'.png' if pictures else '.npy'}"
    kind = check_target(target, pictures, model.shape)
    chosen, own = examples(found, data, n, announce)
    beside = chosen
    if shows_data(kind, pictures):
        beside = train_data(found, data if own else None)
    x = latent.public(chosen, range(len(chosen)))
    again = latent.decode(latent.latent_of(model), latent.encode(model, x))
    error = (x - again).square().mean().item()
    if kind == ".png" and pictures:
        return figures.grid(latent.pairs(x, again), target, columns=12), error
    return write_examples(again, found, beside, model, target, kind), error


def write_neighbours(
    run: str | Path,
    n: int = 32,
    seed: int = 0,
    *,
    which: Which = "last",
    device: str = "auto",
    data: str | None = None,
) -> tuple[Path, Tensor]:
    """Each of n samples beside the training picture nearest to it; returns the grid and the distances, (n,).

    Distances are Euclidean on [0, 1] over all pixels. A model that has learned its pictures by heart shows them.
    """
    check_seed(seed)
    found, model = opened(run, which, device=device)
    if not isinstance(model, Sampler) or len(model.shape) != 3:
        raise UserError(f"{found.path} makes no pictures; nearest neighbours are drawn for runs that sample pictures")
    if n < 1:
        raise UserError(f"{n} samples were asked for; give at least 1")
    train, x = train_data(found, data), model.sample(n, seed=seed).cpu()
    index, distance = latent.nearest(x, train)
    both = latent.pairs(x, latent.public(train, index.tolist()))
    return figures.grid(both, found.path / "neighbours" / f"seed{seed}.png", columns=8), distance


def write_flow_figures(
    run: str | Path,
    out: str | Path | None = None,
    *,
    which: Which = "last",
    device: str = "auto",
    data: str | None = None,
) -> list[Path]:
    """What only a flow can show; returns the files.

    In the plane its density beside the true one, where it takes a grid of z, and samples at temperatures from 0.5 to
    1; of pictures the temperatures.
    """
    found, model = opened(run, which, device=device)
    if not isinstance(model, FlowModel):
        raise UserError(f"{found.path} holds {type(model).__name__}; these figures are of flows, choose a run of one")
    draw = {"temperatures": flow_figures.temperatures}
    if len(model.shape) == 1:
        draw = {"density": flow_figures.density, "warp": flow_figures.warp} | draw
    train, folder = train_data(found, data), Path(out) if out is not None else found.path / "flow"
    with torch.no_grad():
        return [figure(model, train, folder / f"{name}.png") for name, figure in draw.items()]


# ----------------------------------------------------------------------------------------------- walks


def write_interpolation(
    run: str | Path,
    out: str | Path | None = None,
    *,
    seed: int = 0,
    rows: int = 8,
    steps: int = 11,
    how: latent.How = "linear",
    through: Sequence[int] = (),
    real: Sequence[int] = (),
    side: int = 10,
    rest: Literal["zero", "random"] = "zero",
    animate: bool = False,
    bn: BatchNorm = "eval",
    which: Which = "last",
    device: str = "auto",
    data: str | None = None,
) -> list[Path]:
    """Write a sheet of walks between codes (a row each) and the z[0] × z[1] square; returns the files.

    The walks join samples 0 and 1, 2 and 3, … of `seed`; or samples `through[0]`, `through[1]`, … in turn; or the
    codes of the held-out examples `real`. The square holds the other numbers at 0 or at one random draw.
    """
    check_seed(seed)
    if rows < 1 or steps < 2:
        raise UserError(f"{rows} walks of {steps} pictures show nothing; use at least 1 and 2")
    if any(i < 0 for i in through):
        raise UserError(f"there is no sample {min(through)}; samples are counted from 0")
    found, model = opened(run, which, bn, device)
    space = latent.latent_of(model)
    folder = Path(out) if out is not None else found.path / "interpolation"
    there = run_data.own(found, data) if real or model.shape == (2,) else None
    legs = chosen_legs(there, space, seed, rows, through, real)
    walks = torch.stack([latent.through(leg, steps, how) for leg in legs])
    files = [draw_walks(there, space, walks, folder / f"{how}.png")]
    if animate and len(model.shape) == 3:
        files.append(animation(space, walks, folder / f"{how}.webp"))
    if space.latent >= 2:
        codes = latent.codes_of(space)
        base = codes.mean if rest == "zero" else latent.draw(space, 1, seed)[0]
        z = latent.square(base, codes, side).view(side, side, -1)
        files.append(draw_walks(there, space, z, folder / "square.png"))
    return files


def chosen_legs(
    there: run_data.Found | None,
    model: Latent,
    seed: int,
    rows: int,
    through: Sequence[int],
    real: Sequence[int],
) -> list[Tensor]:
    """Pairs of codes (2, latent) to walk between."""
    if real:
        assert there is not None
        z = latent.encode(model, latent.public(there.held_out(), real))
    elif through:
        z = latent.draw(model, max(through) + 1, seed)[list(through)]
    else:
        return list(latent.draw(model, 2 * rows, seed).split(2))
    if len(z) < 2:
        raise UserError("a walk needs at least two codes; give two or more numbers")
    return [torch.stack([a, b]) for a, b in itertools.pairwise(z)]


def write_sweep(
    run: str | Path,
    out: str | Path | None = None,
    *,
    seed: int = 0,
    rows: int = 10,
    columns: int = 11,
    reach: float = 2.5,
    dims: Sequence[int] = (),
    real: int | None = None,
    animate: bool = False,
    bn: BatchNorm = "eval",
    which: Which = "last",
    device: str = "auto",
    data: str | None = None,
) -> tuple[list[Path], list[int]]:
    """Write one sheet in which row j moves one latent dimension alone; returns the files and the dimensions.

    The others stay as in sample 0 of `seed`, or as in the code of held-out example `real`. Where there are more
    dimensions than rows, those that change the output most are shown, largest first, unless `dims` names them.
    """
    check_seed(seed)
    if not 0 < reach < math.inf:
        raise UserError(f"the reach is {reach}; it must be a finite number above 0")
    found, model = opened(run, which, bn, device)
    space = latent.latent_of(model)
    if columns < 2 or rows < 1:
        raise UserError(f"a sweep of {rows} rows and {columns} columns shows nothing; use at least 1 and 2")
    there = run_data.own(found, data) if real is not None or model.shape == (2,) else None
    codes = latent.codes_of(space)
    if real is None:
        base, name = latent.draw(space, 1, seed)[0], "sweep.png"
    else:
        assert there is not None
        base, name = latent.encode(space, latent.public(there.held_out(), [real]))[0], f"traversal-{real}.png"
    axes = list(dims) or latent.strongest(space, base, codes, rows)
    z = latent.sweep(base, codes, axes, columns, reach).view(len(axes), columns, -1)
    folder = Path(out) if out is not None else found.path / "sweep"
    files = [draw_walks(there, space, z, folder / name)]
    if animate and len(model.shape) == 3:
        files.append(animation(space, z, folder / name.replace(".png", ".webp")))
    return files, axes


def draw_walks(there: run_data.Found | None, model: Latent, z: Tensor, path: Path) -> Path:
    """Decode codes (rows, columns, latent) and draw them: a sheet of pictures, or lines over 2-D data."""
    x = latent.decode(model, z.flatten(0, 1))
    if len(model.shape) == 3:
        return figures.grid(x, path, columns=z.shape[1])
    if model.shape != (2,) or there is None:
        raise UserError(f"walks through vectors of {model.shape[0]} numbers cannot be drawn; use `triptych sample`")
    return figures.walks(x.view(*z.shape[:2], 2), there.train, path)


def animation(model: Latent, z: Tensor, path: Path) -> Path:
    """There and back along the columns of z (rows, columns, latent), all rows side by side in each frame."""
    x = latent.decode(model, z.flatten(0, 1)).view(*z.shape[:2], *model.shape)
    frames = [figures.tile(x[:, j]) for j in range(x.shape[1])]
    return figures.loop(frames + frames[-2:0:-1], path, seconds=0.12)
