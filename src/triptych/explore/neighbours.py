"""The nearest real examples of samples."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from triptych.core import Data, Model, Sampler, to_inner, to_public
from triptych.core.counts import check_count
from triptych.errors import UserError
from triptych.explore.output import SHEET, opened, train_data
from triptych.figures import tiles
from triptych.models import latent_space
from triptych.run.folder import Which
from triptych.system.device import check_seed


def write_neighbours(
    run: str | Path,
    n: int = 32,
    seed: int = 0,
    *,
    which: Which = "last",
    device: str = "auto",
    model: Model | None = None,
    data: str | None = None,
) -> tuple[Path, Tensor]:
    """Each of n samples beside the training image nearest to it; returns the grid and the distances, (n,).

    Distances are Euclidean on [0, 1] over all pixels. A model that has memorised its training set shows it.
    """
    check_seed(seed)
    found, model = opened(run, which, device=device, model=model)
    if not isinstance(model, Sampler) or len(model.shape) != 3:
        raise UserError(f"{found.path} makes no images; nearest neighbours are drawn for runs that sample images")
    check_count(n, "samples")
    check_count(2 * n, "pictures of a sheet", SHEET)
    train, x = train_data(found, data), model.sample(n, seed=seed).cpu()
    index, distance = nearest(x, train)
    both = tiles.pairs(x, latent_space.public(train, index.tolist()))
    # eight across, and more where the sheet would be longer than wide: pictures of a million rows open nowhere
    across = max(8, 2 * math.ceil(math.sqrt(2 * n) / 2))
    return tiles.grid(both, found.path / "neighbours" / f"seed{seed}.png", columns=across), distance


def nearest(samples: Tensor, data: Data, chunk: int = 4_096) -> tuple[Tensor, Tensor]:
    """Index of each sample's nearest example of `data`, (n,), and the Euclidean distance on the public scale, (n,).

    Distances are differences summed in float32, not the faster matrix form, which is wrong near 0.
    """
    best = torch.full((len(samples),), math.inf)
    index = torch.zeros(len(samples), dtype=torch.long)
    flat = samples.float().flatten(1)
    for start in range(0, len(data), chunk):
        part = to_public(to_inner(data.x[start : start + chunk])).flatten(1)
        distance = torch.cdist(flat, part, compute_mode="donot_use_mm_for_euclid_dist")
        value, where = distance.min(dim=1)
        closer = value < best
        best = torch.where(closer, value, best)
        index = torch.where(closer, where + start, index)
    return index, best
