"""A run opened with its model, and the files that explorations write."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from triptych.core import Conditional, Data, Model
from triptych.core.checks import not_finite
from triptych.core.columns import Columns
from triptych.core.counts import check_count
from triptych.data.sources.typed_tables import table_text
from triptych.data.sources.vectors import csv_text
from triptych.errors import UserError
from triptych.explore.classes import cells_of_numbers
from triptych.figures import columns, planes, tiles
from triptych.models import latent_space
from triptych.run import data as run_data
from triptych.run.folder import Run, Which
from triptych.system.files import making_folder, write_text, writing
from triptych.system.notices import say

SHEET = 100_000
"""Most pictures of a sheet."""
BatchNorm = Literal["eval", "train"]


def opened(
    run: str | Path,
    which: Which = "last",
    *,
    bn: BatchNorm = "eval",
    device: str = "auto",
    model: Model | None = None,
) -> tuple[Run, Model]:
    """A run and its trained model, batch normalisation as asked; `model` where the caller has loaded it already."""
    found = Run(run)
    model = found.load(which, device) if model is None else model.eval()
    if bn == "train":
        latent_space.use_batch_statistics(model)
    return found, model


def train_data(found: Run, where: str | None) -> Data:
    """What the run was trained on, `where` it is now."""
    return run_data.own(found, where).train


def usual(found: Run, *, pictures: bool) -> str:
    """The ending of a file where nobody named one."""
    return ".png" if pictures else ".npy" if found.typed() is None else ".csv"


def shows_data(kind: str, typed: Columns | None, *, pictures: bool) -> bool:
    """Whether a file of that kind says something of the run's data: names of columns, or the points behind others.

    What the columns of a typed table are is known without them.
    """
    return not pictures and kind in ((".csv", ".png") if typed is None else (".png",))


def write_examples(
    x: Tensor,
    found: Run,
    beside: Data | None,
    model: Model,
    target: Path,
    kind: str,
    across: int | None = None,
    rows: Tensor | None = None,
) -> Path:
    """Write public examples (n, *shape) in the form that `check_target` found; a grid with so many across.

    `beside` is the run's data where the form shows them. `rows` are the numbers (n, k) that they are made to, more
    columns of a `.csv`. UserError where none of them is finite; how many are not is said.
    """
    if bad := not_finite(x):
        said = f"{bad:,} of {len(x):,} examples that the model made are NaN or infinite"
        if bad == len(x):
            raise UserError(f"{said}; ask for less extreme ones, or try --which best")
        say(said)
    if kind == ".png" and x.dim() == 4:
        return tiles.grid(x, target) if across is None else tiles.grid(x, target, columns=across)
    if kind == ".png":
        assert beside is not None
        return columns.sheet(x, beside, target) if beside.typed else planes.plane(x, beside, target, model)
    target.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        with making_folder(target, "give --out another place") as folder:
            for i, one in enumerate(tiles.picture_bytes(x)):
                png = io.BytesIO()  # a plain write reports a full disk; Pillow's own hides the reason
                Image.fromarray(one[..., 0] if one.shape[2] == 1 else one).save(png, "PNG")
                (folder / f"{i:05d}.png").write_bytes(png.getvalue())
    elif kind == ".csv" and (typed := found.typed()) is not None:
        cells = typed.write(typed.decode(x)) | ({} if rows is None else cells_of_numbers(model, rows))
        write_text(target, table_text(cells), "give --out another place")
    elif kind == ".csv":
        assert beside is not None
        names, origin = beside.columns or tuple(f"x{i}" for i in range(x.shape[1])), found.origin()
        if rows is not None:
            origin = (*(origin or (0.0,) * x.shape[1]), *(0.0,) * rows.shape[1])
            assert isinstance(model, Conditional)
            names, x = (*names, *model.number_names), torch.cat([x, rows], 1)
        write_text(target, csv_text(x, names, origin), "give --out another place")
    else:
        write_array(target, in_full(x, found))
    return target


def write_array(target: Path, x: Tensor) -> None:
    """Write a tensor of any shape as `.npy`."""
    with writing(target, "give --out another place") as f:
        np.save(f, x.numpy())


def in_full(x: Tensor, run: Run) -> Tensor:
    """Vectors counted from 0, float64 where the run's data have an origin; images unchanged."""
    origin = run.origin() if x.dim() == 2 else ()
    return x.double() + torch.tensor(origin, dtype=torch.float64) if origin else x


def check_target(target: Path, shape: tuple[int, ...], typed: Columns | None, *, pictures: bool) -> str:
    """`folder`, `.png`, `.npy` or `.csv`; UserError before anything is computed where that cannot be written."""
    kind = target.suffix.lower() if target.suffix and not target.is_dir() else "folder"
    if kind not in ("folder", ".png", ".npy", ".csv"):
        raise UserError(f"--out {target.name} has no known ending; use .png, .npy, .csv or a folder")
    if kind == "folder" and not pictures:
        raise UserError(f"this run makes {shape[0]}-dimensional vectors; give --out a name that ends in .npy or .csv")
    if kind == "folder" and target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} exists and is not an empty folder; give --out another name")
    if kind == ".csv" and pictures:
        raise UserError("images do not fit a .csv; use a folder, .png or .npy")
    if kind == ".png" and not pictures and shape != (2,) and typed is None:
        raise UserError(f"{shape[0]}-dimensional vectors cannot be drawn; use .npy or .csv")
    return kind


def examples(found: Run, where: str | None, n: int | None, announce: Callable[[str], None] | None) -> tuple[Data, bool]:
    """The first n examples, and whether they are the run's own.

    Without `where` the run's held-out ones. At `where` there may be the same examples, moved, or another set, prepared
    as the run's own were: then the first n of all it has, and `announce` is told.
    """
    if n is not None:
        check_count(n, "examples")
    there = run_data.own_or_other(found, where, whole=True)
    source = there.held_out() if there.own else there.train
    shape = found.shape()
    if source.shape != shape:
        raise UserError(f"{source.name} has examples of shape {source.shape} and the run's have {shape}; use such data")
    if announce is not None and not there.own:
        announce(there.said())
    labels = source.labels[:n] if there.own and source.labels is not None else None
    conditions = None if source.conditions is None else source.conditions[:n]
    return replace(source, x=source.x[:n], labels=labels, conditions=conditions, factors={}), there.own
