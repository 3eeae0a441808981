"""What `sample`, `nearest`, `interpolate` and `sweep` write: pictures, animations and arrays from one trained run."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from triptych import expost, figures, latent
from triptych.core import Data, Latent, Model, Sampler
from triptych.errors import NoSplit, UserError
from triptych.models import Autoencoder
from triptych.run import Run, Which

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
    components: int = 10,
) -> Path:
    """Write n samples; returns the file or folder. What is written is told by the name of `out`:

    a folder: one PNG per picture; `.png`: one grid (2-D points: drawn over the data); `.npy`: the array, float32;
    `.csv`: a row per vector. Default: a grid of pictures or an `.npy` of vectors, inside the run folder.

    `codes` other than the prior are drawn from a density fitted to the codes of the run's training examples.
    """
    if n < 1 or batch < 1:
        raise UserError(f"{n} samples in batches of {batch} were asked for; both must be at least 1")
    found, model = opened(run, which, bn, device)
    if not isinstance(model, Sampler):
        raise UserError(f"{found.path} holds {type(model).__name__}, which cannot sample; choose another run")
    pictures = len(model.shape) == 3
    target = Path(out) if out is not None else found.path / f"sample-{n}-seed{seed}{'.png' if pictures else '.npy'}"
    kind = check_target(target, pictures, model.shape)
    if codes == "prior":
        x = model.sample(n, seed=seed, temperature=temperature, batch=batch).cpu()
    else:
        if not isinstance(model, Autoencoder):
            raise UserError(f"{type(model).__name__} has no codes of examples to fit; leave --codes at prior")
        z = expost.codes_of_data(model, found.data())
        density = expost.fit_codes(z, components if codes == "mixture" else 1)
        x = latent.decode(model, density.draw(n, seed), batch)
    target.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        target.mkdir(exist_ok=True)
        for i, one in enumerate(figures.picture_bytes(x)):
            Image.fromarray(one[..., 0] if one.shape[2] == 1 else one).save(target / f"{i:05d}.png")
    elif kind == ".npy":
        np.save(target, x.numpy())
    elif kind == ".csv":
        header = ",".join(found.data().columns or [f"x{i}" for i in range(x.shape[1])])
        np.savetxt(target, x.numpy(), delimiter=",", header=header, comments="", fmt="%.7g")
    elif pictures:
        figures.grid(x, target)
    else:
        figures.plane(x, found.data(), target, model)
    return target


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


def write_neighbours(
    run: str | Path, n: int = 32, seed: int = 0, *, which: Which = "last", device: str = "auto"
) -> tuple[Path, Tensor]:
    """Each of n samples beside the training picture nearest to it; returns the grid and the distances, (n,).

    Distances are Euclidean on [0, 1] over all pixels. A model that has learned its pictures by heart shows them.
    """
    found, model = opened(run, which, device=device)
    if not isinstance(model, Sampler) or len(model.shape) != 3:
        raise UserError(f"{found.path} makes no pictures; nearest neighbours are drawn for runs that sample pictures")
    if n < 1:
        raise UserError(f"{n} samples were asked for; give at least 1")
    data, x = found.data(), model.sample(n, seed=seed).cpu()
    index, distance = latent.nearest(x, data)
    both = latent.pairs(x, latent.public(data, index.tolist()))
    return figures.grid(both, found.path / "neighbours" / f"seed{seed}.png", columns=8), distance


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
) -> list[Path]:
    """Write a sheet of walks between codes (a row each) and the z[0] × z[1] square; returns the files.

    The walks join samples 0 and 1, 2 and 3, … of `seed`; or samples `through[0]`, `through[1]`, … in turn; or the
    codes of the held-out examples `real`. The square holds the other numbers at 0 or at one random draw.
    """
    found, model = opened(run, which, bn, device)
    space = latent.latent_of(model)
    folder = Path(out) if out is not None else found.path / "interpolation"
    legs = chosen_legs(found, space, seed, rows, through, real)
    walks = torch.stack([latent.through(leg, steps, how) for leg in legs])
    files = [draw_walks(found, space, walks, folder / f"{how}.png")]
    if animate and len(model.shape) == 3:
        files.append(animation(space, walks, folder / f"{how}.webp"))
    if space.latent >= 2:
        codes = latent.codes_of(space)
        base = codes.mean if rest == "zero" else latent.draw(space, 1, seed)[0]
        z = latent.square(base, codes, side).view(side, side, -1)
        files.append(draw_walks(found, space, z, folder / "square.png"))
    return files


def chosen_legs(
    found: Run, model: Latent, seed: int, rows: int, through: Sequence[int], real: Sequence[int]
) -> list[Tensor]:
    """Pairs of codes (2, latent) to walk between."""
    if real:
        z = latent.encode(model, latent.public(held_out(found), real))
    elif through:
        z = latent.draw(model, max(through) + 1, seed)[list(through)]
    else:
        return list(latent.draw(model, 2 * rows, seed).split(2))
    if len(z) < 2:
        raise UserError("a walk needs at least two codes; give two or more numbers")
    return [torch.stack([a, b]) for a, b in itertools.pairwise(z)]


def held_out(found: Run) -> Data:
    """The run's test examples where its data have some, else what it was trained on."""
    try:
        return found.data("test")
    except NoSplit:
        return found.data()


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
) -> tuple[list[Path], list[int]]:
    """Write one sheet in which row j moves one latent dimension alone; returns the files and the dimensions.

    The others stay as in sample 0 of `seed`, or as in the code of held-out example `real`. Where there are more
    dimensions than rows, those that change the output most are shown, largest first, unless `dims` names them.
    """
    found, model = opened(run, which, bn, device)
    space = latent.latent_of(model)
    if columns < 2 or rows < 1:
        raise UserError(f"a sweep of {rows} rows and {columns} columns shows nothing; use at least 1 and 2")
    codes = latent.codes_of(space)
    if real is None:
        base, name = latent.draw(space, 1, seed)[0], "sweep.png"
    else:
        base, name = latent.encode(space, latent.public(held_out(found), [real]))[0], f"traversal-{real}.png"
    axes = list(dims) or latent.strongest(space, base, codes, rows)
    z = latent.sweep(base, codes, axes, columns, reach).view(len(axes), columns, -1)
    folder = Path(out) if out is not None else found.path / "sweep"
    files = [draw_walks(found, space, z, folder / name)]
    if animate and len(model.shape) == 3:
        files.append(animation(space, z, folder / name.replace(".png", ".webp")))
    return files, axes


def draw_walks(found: Run, model: Latent, z: Tensor, path: Path) -> Path:
    """Decode codes (rows, columns, latent) and draw them: a sheet of pictures, or lines over 2-D data."""
    x = latent.decode(model, z.flatten(0, 1))
    if len(model.shape) == 3:
        return figures.grid(x, path, columns=z.shape[1])
    if model.shape != (2,):
        raise UserError(f"walks through vectors of {model.shape[0]} numbers cannot be drawn; use `triptych sample`")
    return figures.walks(x.view(*z.shape[:2], 2), found.data(), path)


def animation(model: Latent, z: Tensor, path: Path) -> Path:
    """There and back along the columns of z (rows, columns, latent), all rows side by side in each frame."""
    x = latent.decode(model, z.flatten(0, 1)).view(*z.shape[:2], *model.shape)
    frames = [figures.tile(x[:, j]) for j in range(x.shape[1])]
    return figures.loop(frames + frames[-2:0:-1], path, seconds=0.12)
