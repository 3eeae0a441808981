"""Codes of real examples, and examples decoded from codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from triptych.core import Model
from triptych.data.sources.array_files import numbers
from triptych.errors import UserError
from triptych.explore.classes import labels_asked, numbers_given, own_labels, rows_of_numbers
from triptych.explore.output import (
    check_target,
    examples,
    opened,
    shows_data,
    train_data,
    usual,
    write_array,
    write_examples,
)
from triptych.figures import tiles
from triptych.models import latent_space
from triptych.run.folder import Which

ASK = "; --class says which"


def write_codes(
    run: str | Path,
    out: str | Path,
    data: str | None = None,
    n: int | None = None,
    *,
    classes: Sequence[str] = (),
    which: Which = "last",
    device: str = "auto",
    model: Model | None = None,
    announce: Callable[[str], None] | None = None,
) -> Path:
    """Encode examples, all or the first n of them, into an `.npy` of shape (n, latent); returns it.

    A VAE's code is the posterior's mean. A model with classes is given the examples' labels, unless `classes` names
    others. UserError where the model cannot encode.
    """
    target = Path(out)
    if target.suffix != ".npy":
        raise UserError(f"--out {target.name} is no array; give a name that ends in .npy")
    found, model = opened(run, which, device=device, model=model)
    chosen, _ = examples(found, data, n, announce)
    rows, parts = range(len(chosen)), []
    y = labels_asked(model, classes, len(chosen)) if classes else own_labels(model, chosen, announce, ASK)
    for i in rows[::4096]:
        part = rows[i : i + 4096]
        own = None if y is None else y[i : i + 4096]
        parts.append(latent_space.encode(model, latent_space.public(chosen, part), y=own))
    target.parent.mkdir(parents=True, exist_ok=True)
    write_array(target, torch.cat(parts))
    return target


def write_decoded(
    run: str | Path,
    codes: str | Path,
    out: str | Path,
    *,
    classes: Sequence[str] = (),
    given: Sequence[str] = (),
    which: Which = "last",
    device: str = "auto",
    model: Model | None = None,
    data: str | None = None,
) -> Path:
    """Decode an array file of codes (n, latent) into what the name of `out` asks for, as `write_samples` does.

    `classes` and `given` as there.
    """
    found, model = opened(run, which, device=device, model=model)
    space = latent_space.latent_of(model)
    pictures = len(model.shape) == 3
    kind = check_target(Path(out), model.shape, found.typed(), pictures=pictures)
    z = numbers(Path(codes))
    if z.ndim != 2 or z.shape[1] != space.latent or z.dtype.kind not in "fiu" or not len(z):
        raise UserError(
            f"{codes} holds {z.dtype} of shape {z.shape}; codes of this run are (n, {space.latent}) numbers"
        )
    if not np.isfinite(z).all():
        raise UserError(f"{codes} holds NaN or infinite numbers; give finite codes")
    beside = train_data(found, data) if shows_data(kind, found.typed(), pictures=pictures) else None
    y = labels_asked(model, classes, len(z)) if classes else numbers_given(model, given, len(z))
    rows = rows_of_numbers(model, y, len(z))
    x = latent_space.decode(space, torch.from_numpy(np.array(z, np.float32)), y=y if rows is None else rows)
    return write_examples(x, found, beside, model, Path(out), kind, rows=rows)


def write_reconstructions(
    run: str | Path,
    n: int = 36,
    out: str | Path | None = None,
    data: str | None = None,
    *,
    which: Which = "last",
    device: str = "auto",
    model: Model | None = None,
    announce: Callable[[str], None] | None = None,
) -> tuple[Path, float]:
    """Encode and decode the first n examples; returns the file and the mean squared error in public units.

    A `.png` shows each image beside its reconstruction; other endings hold the reconstructions alone.
    """
    found, model = opened(run, which, device=device, model=model)
    pictures = len(model.shape) == 3
    target = Path(out) if out is not None else found.path / f"reconstructions-{n}{usual(found, pictures=pictures)}"
    kind = check_target(target, model.shape, found.typed(), pictures=pictures)
    chosen, own = examples(found, data, n, announce)
    beside = chosen
    if shows_data(kind, found.typed(), pictures=pictures):
        beside = train_data(found, data if own else None)
    x = latent_space.public(chosen, range(len(chosen)))
    y = own_labels(model, chosen, announce)
    again = latent_space.decode(latent_space.latent_of(model), latent_space.encode(model, x, y=y), y=y)
    error = (x - again).square().mean().item()
    if kind == ".png" and pictures:
        return tiles.grid(tiles.pairs(x, again), target, columns=12), error
    rows = rows_of_numbers(model, y, len(x))
    return write_examples(again, found, beside, model, target, kind, rows=rows), error
