"""Where a source's examples enter: their form is checked, and a share is set aside where the source does not."""

from __future__ import annotations

import dataclasses

import torch

from triptych.core import Data, Split
from triptych.core.preparation import Preparation
from triptych.data.source import Source, digest
from triptych.errors import NoSplit, UserError


def taken(source: Source, name: str, split: Split, how: Preparation, *, finite: bool = True) -> Data:
    """The examples of a split; `NoSplit` for a test split that there is none of.

    UserError, naming the source, for what no network could learn. `finite`: whether vectors have to be.
    """
    try:
        data = checked(source, name, source.load(name, split, how), finite=finite)
    except NoSplit:
        if not how.holdout or source.sets_aside:
            raise
        return set_aside(checked(source, name, source.load(name, "train", how), finite=finite), split, how.holdout)
    if split == "train" and how.holdout and not source.sets_aside:
        try:
            source.load(name, "test", how)
        except NoSplit:
            return set_aside(data, split, how.holdout)
    return data


def checked(source: Source, name: str, data: Data, *, finite: bool) -> Data:
    """The same; UserError where they are of another form than `Data` says."""
    who = f"{name} cannot be used, as its source {type(source).__name__} gives"
    if not isinstance(data, Data):
        raise UserError(f"{who} {type(data).__name__}; return a Data")
    x, labels = data.x, data.labels
    pictures = x.dtype == torch.uint8 and x.ndim == 4 and x.shape[1] in (1, 3)
    kinds = (torch.float32, torch.get_default_dtype())  # in double precision where the caller computes so
    if not pictures and not (x.dtype in kinds and x.ndim == 2):
        form = f"{str(x.dtype).removeprefix('torch.')} of the shape {tuple(x.shape)}"
        raise UserError(f"{who} {form}; give vectors, float32 (n, d), or pictures, uint8 (n, 1 or 3, h, w)")
    # rows of a table whose columns are always the same stand for something, and take no place in the vector
    if not len(x) or (data.typed is None and 0 in x.shape):
        raise UserError(f"{who} no numbers, an array of the shape {tuple(x.shape)}; give some")
    if labels is not None and (labels.dtype != torch.int64 or labels.shape != (len(x),)):
        raise UserError(f"{who} labels of {labels.dtype}, {tuple(labels.shape)}; give int64 ({len(x)},), or None")
    if finite and not pictures and (bad := int((~torch.isfinite(x)).any(1).sum())):
        raise UserError(f"{who} NaN or infinite numbers in {bad} of {len(x)} rows; remove or repair them")
    return data


def set_aside(data: Data, split: Split, share: float) -> Data:
    """One side of all examples, by a hash of each one's bytes, so that equal ones are on one side."""
    marks = [int(digest(row.numpy().tobytes())[:16], 16) / 2.0**64 < share for row in data.x]
    rows = torch.nonzero(torch.tensor(marks) == (split == "test")).flatten()
    if not len(rows):
        raise UserError(f"{data.name} has no {split} example of {len(data)}; choose another --holdout")

    def part(x: torch.Tensor | None) -> torch.Tensor | None:
        return None if x is None else x[rows]

    return dataclasses.replace(
        data,
        x=data.x[rows],
        split=split,
        labels=part(data.labels),
        conditions=part(data.conditions),
        factors={name: values[rows] for name, values in data.factors.items()},
        intensities=part(data.intensities),
        fingerprint=digest(data.fingerprint, f"{split} {share}"),
        file=None,
    )
