"""Has a model copied its training examples? A test with a null, for pictures and tables.

An example's *relative distance* is that to its nearest training example over that to its nearest example of a reference
set that was held out. Where samples are crowded or blurred both are small, so that their ratio says little; next to a
copied training example only the first is. The rest of the held-out examples show which ratios the data themselves
give, near-duplicates between the splits included. The null: samples have no more ratios in the lowest tail than these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from triptych.core import Data, Sampler
from triptych.core.conformal import holm_smallest, proportion, tail
from triptych.core.counts import check_count
from triptych.errors import TooFew, UserError
from triptych.explore.output import opened
from triptych.figures import tiles
from triptych.metrics.neighbours import nearest
from triptych.models import latent_space
from triptych.run import data as run_data
from triptych.run.folder import Which
from triptych.system.csv_files import csv_text
from triptych.system.device import check_seed
from triptych.system.files import write_json, write_text

TAILS = (0.0, 0.02)
"""Lowest shares of the calibration ratios that are looked at; 0 is the smallest alone."""
MARGIN = 0.5
"""A ratio counts as low below this part of the calibration's: honest models that prefer the crowded places of the data,
or leave out some of their modes, have ratios a little below those of held-out examples, copies far below."""
MOST = 4_000
"""Held-out examples that are used: a quarter is the reference, the rest calibrates."""
SHOWN = 16
"""Worst pairs that are shown."""
FEWEST = 20


@dataclass(frozen=True)
class Copies:
    """What the test says."""

    p: float
    """probability of so many low ratios, or more, for a model that copies nothing"""
    share: float
    """samples with such low ratios"""
    low: float
    high: float
    """95 % interval of the copied share, conservative"""
    ratios: Tensor
    """(n,) of the samples"""
    nearest: Tensor
    """(n,) index of each sample's nearest training example"""
    calibration: int
    """held-out examples that the null was seen on"""

    @property
    def said(self) -> str:
        verdict = "copies training examples" if self.p < 0.05 else "no sign of copies"
        return f"{verdict}: p = {self.p:.2g}; copied share {self.share:.1%} (95 %: {self.low:.1%} to {self.high:.1%})"


def copied(samples: Tensor, train: Tensor, held_out: Tensor, seed: int = 0) -> Copies:
    """The test on vectors (n, d), (t, d), (h, d). TooFew for fewer than 80 held-out examples."""
    order = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(seed))[:MOST]
    cut = len(order) // 4
    if cut < FEWEST or len(samples) < 2:
        raise TooFew(
            f"there are {len(held_out)} held-out examples and {len(samples)} samples; the test takes {4 * FEWEST} and "
            "2 or more: train with a larger --holdout"
        )
    reference, calibration = held_out[order[:cut]], held_out[order[cut:]]
    ratios, who = relative(samples, train, reference)
    null = relative(calibration, train, reference)[0].sort().values
    tests = []
    for part in TAILS:
        rank = max(1, int(part * len(null)))
        found = int((ratios < MARGIN * null[rank - 1]).sum())
        tests.append((tail(found, len(ratios), rank, len(null)), found, rank))
    p = holm_smallest([test[0] for test in tests])
    _, found, rank = min(tests)
    sample_low, sample_high = proportion(found, len(ratios), 0.975)
    expected = int((null < MARGIN * null[rank - 1]).sum())
    null_low, null_high = proportion(expected, len(null), 0.975)
    share = found / len(ratios)
    low, high = max(0.0, sample_low - null_high) if p < 0.05 else 0.0, max(0.0, sample_high - null_low)
    return Copies(p, share, min(low, share), high, ratios, who, len(null))


def relative(x: Tensor, train: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Relative distances of x, (n,) float64, and the index of each nearest training example."""
    centre = train.double().mean(0)
    near, who = nearest(x, train, centre=centre)
    beside, _ = nearest(x, reference, centre=centre)
    # found by the matrix form, which is wrong near 0, where copies are: once more by differences
    near = (x.double() - train[who[:, 0]].double()).norm(dim=1)
    return near / beside[:, 0].clamp_min(1e-300), who[:, 0]


def write_copies(
    run: str | Path,
    n: int = 1_000,
    seed: int = 0,
    *,
    which: Which = "last",
    device: str = "auto",
    data: str | None = None,
) -> tuple[Copies, list[Path]]:
    """Test n samples of a run; write copies.json and the worst pairs (.png, or .csv of tables) into the run folder."""
    check_seed(seed)
    check_count(n, "samples")
    found, model = opened(run, which, device=device)
    if not isinstance(model, Sampler):
        raise UserError(f"{found.path} holds {type(model).__name__}, which cannot sample; choose another run")
    examples = run_data.own(found, data)
    test = examples.test()
    if test is None:
        raise UserError(
            f"{examples.train.name} has no held-out part, which the null is seen on; train with --holdout 0.1"
        )
    train = examples.train
    samples = torch.cat([model.sample(min(256, n - i), seed=seed + i).cpu() for i in range(0, n, 256)])
    result = copied(scaled(samples, train), scaled(shown_of(train), train), scaled(shown_of(test), train), seed)
    folder = found.path / "neighbours"
    folder.mkdir(exist_ok=True)
    worst = result.ratios.argsort()[:SHOWN].tolist()
    files = [folder / "copies.json", folder / ("copies.png" if train.is_images else "copies.csv")]
    write_json(files[0], told(result, n, seed, worst))
    if train.is_images:
        beside = latent_space.public(train, result.nearest[worst].tolist())
        tiles.grid(tiles.pairs(samples[worst], beside), files[1], columns=8)
    else:
        write_text(files[1], worst_pairs(samples, train, result, worst))
    return result, files


def told(result: Copies, n: int, seed: int, worst: Sequence[int]) -> dict[str, Any]:
    pairs = [{"sample": i, "train": int(result.nearest[i]), "ratio": result.ratios[i].item()} for i in worst]
    keys = ("p", "share", "low", "high", "calibration")
    return {k: getattr(result, k) for k in keys} | {"n": n, "seed": seed, "worst": pairs}


def worst_pairs(samples: Tensor, train: Data, result: Copies, worst: Sequence[int]) -> str:
    """A table: each of the worst samples, and below it the training row nearest to it."""
    both = samples[worst], train.x[result.nearest[worst]]
    if train.typed is not None:
        names = train.typed.names
        sides = [list(zip(*train.typed.write(train.typed.decode(x)).values(), strict=True)) for x in both]
    else:
        names = train.columns or tuple(f"x{i}" for i in range(samples.shape[1]))
        sides = [train.in_full(x).tolist() for x in both]
    lines = []
    for k, i in enumerate(worst):
        for what, rows in zip(("sample", "training"), sides, strict=True):
            values = dict(zip(names, rows[k], strict=True))
            lines.append({"pair": f"{i}", "row": what, "ratio": f"{result.ratios[i]:.4g}"} | values)
    return csv_text(["pair", "row", "ratio", *names], lines)


def shown_of(data: Data) -> Tensor:
    """Every example, public, on the CPU."""
    return latent_space.public(data, range(len(data))).cpu() if data.is_images else data.x


def scaled(x: Tensor, train: Data) -> Tensor:
    """Rows that are compared: pixels as they are, the columns of a table by their spread over the training rows.

    Rows of a typed table are compared as they are written: equal ones are at distance 0.
    """
    flat = x.float().flatten(1)
    if train.typed is not None:
        flat = train.typed.canonical(flat)
    return flat if train.is_images else flat / train.x.std(0).clamp_min(1e-12)
