"""Interpolations and latent traversals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from triptych.core import Latent, Model
from triptych.core.counts import MOST, check_count
from triptych.errors import UserError
from triptych.explore.classes import Ends, ends_asked, ends_of_examples, labels_along, labels_at, numbers_asked
from triptych.explore.output import SHEET, BatchNorm, opened
from triptych.figures import planes, tiles
from triptych.models import latent_space
from triptych.run import data as run_data
from triptych.run.folder import Which
from triptych.system.device import check_seed

FINE = 8
"""Points of a curve in the plane from one of its codes to the next."""


def write_interpolation(
    run: str | Path,
    out: str | Path | None = None,
    *,
    seed: int = 0,
    rows: int = 8,
    steps: int = 11,
    how: latent_space.How = "linear",
    through: Sequence[int] = (),
    real: Sequence[int] = (),
    side: int = 10,
    rest: Literal["zero", "random"] = "zero",
    classes: Sequence[str] = (),
    animate: bool = False,
    bn: BatchNorm = "eval",
    which: Which = "last",
    device: str = "auto",
    model: Model | None = None,
    data: str | None = None,
) -> list[Path]:
    """Write a sheet of interpolations (a row each) and a 2-D traversal of z[0] × z[1]; returns the files.

    The segments join samples 0 and 1, 2 and 3, … of `seed`; or samples `through[0]`, `through[1]`, … in turn; or the
    codes of the held-out examples `real`. The traversal holds the other dimensions at 0 or at one random draw.

    Of a model with classes a path goes from the class of one example to that of the next; otherwise it holds the one
    of `classes`, or goes from the first of two to the second. Without any it holds the first class of all.
    """
    check_seed(seed)
    if rows < 1 or steps < 2:
        raise UserError(f"{rows} interpolations of {steps} steps show nothing; use at least 1 and 2")
    check_count(rows * steps, "pictures of a sheet", SHEET)
    if not_there := [i for i in through if not 0 <= i < MOST]:
        raise UserError(f"there is no sample {not_there[0]}; samples are counted from 0 to {MOST - 1:,}")
    found, model = opened(run, which, bn=bn, device=device, model=model)
    space = latent_space.latent_of(model)
    folder = Path(out) if out is not None else found.path / "interpolation"
    there = run_data.own(found, data) if real or model.shape == (2,) else None
    if real:
        assert there is not None
        ends = ends_of_examples(model, classes, there.held_out(), real)
    else:
        ends = ends_asked(model, classes, len(through) - 1 if through else rows)
    segments = chosen_segments(there, space, seed, rows, through, real, ends)
    paths = torch.stack([latent_space.path(pair, steps, how) for pair in segments])
    files = [draw_paths(there, space, paths, folder / f"{how}.png", ends=ends)]
    if animate and len(model.shape) == 3:
        files.append(animation(space, paths, folder / f"{how}.webp", ends))
    if space.latent >= 2:
        codes = latent_space.codes_of(space)
        first = ends[0][0] if ends else None
        base = codes.mean if rest == "zero" else latent_space.draw(space, 1, seed, first)[0]
        z = latent_space.square(base, codes, side).view(side, side, -1)
        held = [(a, a) for a, _ in ends[:1]] * side
        files.append(draw_paths(there, space, z, folder / "square.png", ends=held))
    return files


def chosen_segments(
    there: run_data.Found | None,
    model: Latent,
    seed: int,
    rows: int,
    through: Sequence[int],
    real: Sequence[int],
    ends: Ends,
) -> list[Tensor]:
    """The ends of each segment, codes (2, latent): drawn ones of the classes that the walk begins and ends with.

    Where one path goes on from another, all are drawn of the class that the first begins with.
    """
    if real:
        assert there is not None
        y = latent_space.labels_for(model, there.held_out(), real)
        z = latent_space.encode(model, latent_space.public(there.held_out(), real), y=y)
    elif through:
        z = latent_space.draw(model, max(through) + 1, seed, ends[0][0] if ends else None)[list(through)]
    else:
        return list(latent_space.draw(model, 2 * rows, seed, labels_at(ends)).split(2))
    if len(z) < 2:
        raise UserError("an interpolation needs at least two codes; give two or more numbers")
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
    classes: Sequence[str] = (),
    animate: bool = False,
    bn: BatchNorm = "eval",
    which: Which = "last",
    device: str = "auto",
    model: Model | None = None,
    data: str | None = None,
) -> tuple[list[Path], list[int]]:
    """Write a latent traversal: row j changes one latent dimension alone; returns the files and the dimensions.

    The others stay as in sample 0 of `seed`, or as in the code of held-out example `real`. `classes` names the one
    class that is held; without, it is that of the example, or the first. Where there are more dimensions than rows,
    those that change the output most are shown, largest first, unless `dims` names them.
    """
    check_seed(seed)
    if not 0 < reach < math.inf:
        raise UserError(f"--reach is {reach}; it must be a finite number above 0")
    found, model = opened(run, which, bn=bn, device=device, model=model)
    space = latent_space.latent_of(model)
    if columns < 2 or rows < 1:
        raise UserError(f"a latent traversal of {rows} rows and {columns} columns shows nothing; use at least 1 and 2")
    check_count(columns * rows, "pictures of a sheet", SHEET)
    there = run_data.own(found, data) if real is not None or model.shape == (2,) else None
    codes = latent_space.codes_of(space)
    numbers = numbers_asked(model, classes)
    if len(numbers) > 1:
        raise UserError(f"a traversal holds one class, and {len(numbers)} were named; give one")
    held = latent_space.one_class(model, *numbers)
    if real is None:
        base, name = latent_space.draw(space, 1, seed, held)[0], "sweep.png"
    else:
        assert there is not None
        own = latent_space.labels_for(model, there.held_out(), [real])
        base = latent_space.encode(space, latent_space.public(there.held_out(), [real]), y=own)[0]
        name = f"traversal-{real}.png"
        held = held if own is None or classes else own[0] if own.dim() == 2 else int(own[0])
    axes = list(dims) or latent_space.strongest(space, base, codes, rows, held)
    z = latent_space.sweep(base, codes, axes, columns, reach).view(len(axes), columns, -1)
    folder = Path(out) if out is not None else found.path / "sweep"
    ends: Ends = [] if held is None else [(held, held)] * len(axes)
    files = [draw_paths(there, space, z, folder / name, [f"z[{i}]" for i in axes], ends)]
    if animate and len(model.shape) == 3:
        files.append(animation(space, z, folder / name.replace(".png", ".webp"), ends))
    return files, axes


def draw_paths(
    there: run_data.Found | None,
    model: Latent,
    z: Tensor,
    path: Path,
    labels: Sequence[str] = (),
    ends: Ends | None = None,
) -> Path:
    """Decode codes (rows, columns, latent) and draw them: a sheet of images, or curves over 2-D data.

    `labels` name the rows, `ends` are their classes. In the plane codes between those of the columns are decoded too,
    so that a curve is one.
    """
    if len(model.shape) == 3:
        x = latent_space.decode(model, z.flatten(0, 1), y=labels_along(model, ends or [], z.shape[1]))
        return tiles.grid(x, path, columns=z.shape[1], labels=labels)
    if model.shape != (2,) or there is None:
        raise UserError(f"paths of {model.shape[0]}-dimensional vectors cannot be drawn; use `triptych sample`")
    between = torch.linspace(0, 1, FINE + 1)[:-1, None].to(z)
    fine = torch.stack([torch.lerp(a, b, between) for line in z for a, b in itertools.pairwise(line[:, None])])
    fine = torch.cat([fine.view(len(z), -1, z.shape[2]), z[:, -1:]], dim=1)
    x = latent_space.decode(model, fine.flatten(0, 1), y=labels_along(model, ends or [], fine.shape[1]))
    x = x.view(*fine.shape[:2], 2)
    return planes.paths(x, there.train, path, every=FINE, labels=labels)


def animation(model: Latent, z: Tensor, path: Path, ends: Ends | None = None) -> Path:
    """There and back along the columns of z (rows, columns, latent), all rows side by side in each frame."""
    x = latent_space.decode(model, z.flatten(0, 1), y=labels_along(model, ends or [], z.shape[1]))
    x = x.view(*z.shape[:2], *model.shape)
    frames = [tiles.tile(x[:, j]) for j in range(x.shape[1])]
    return tiles.loop(frames + frames[-2:0:-1], path, seconds=0.12)
