"""How strange examples are to a model, with p values that hold: conformal ranks among held-out examples.

Scores, each the higher the stranger:

- `nll`: −log p(x) in nats, of an autoencoder with a likelihood its bound;
- `atypicality`: |−log p(x) − its mean over training examples|. A density may be higher on simple pictures than on any
  example (Nalisnick et al. 2019): these are not typical, although they are likely;
- `reconstruction`: mean squared error of encoding and decoding, in the data's units.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from triptych.core import Data, Density, Encoder, Model
from triptych.core.conformal import p_values
from triptych.core.counts import check_count
from triptych.errors import UserError
from triptych.explore.classes import own_labels
from triptych.explore.output import examples, opened
from triptych.figures import tiles
from triptych.metrics.comparison import pick, subset
from triptych.metrics.log_likelihoods import exact, given_to, variational
from triptych.models import latent_space
from triptych.models.observed import Observed
from triptych.objectives.likelihoods import Bounded
from triptych.run import data as run_data
from triptych.run.folder import Run, Which
from triptych.system.csv_files import csv_text
from triptych.system.device import check_seed
from triptych.system.files import write_text

CALIBRATION = 2_000
"""Held-out examples that p values are ranks among, at most."""
TYPICAL = 1_000
"""Training examples whose mean −log p is what is typical."""
LEVELS = (0, 64, 128, 192, 255)
"""Grey levels of the constant pictures that are tried."""
SHOWN = 24
FEWEST = 20


@dataclass(frozen=True)
class Scores:
    """Scores and p values of examples, by the names of the scores, (n,) each."""

    scores: dict[str, Tensor]
    p: dict[str, Tensor]
    calibration: int
    warnings: list[str] = field(default_factory=list)

    def said(self, level: float) -> list[str]:
        """For each score the share that is called strange at a level."""
        return [
            f"{name}: {float((p <= level).double().mean()):.1%} of {len(p):,} examples have p <= {level:g} "
            f"(of ordinary ones at most {level:.1%}; {self.calibration:,} held-out examples calibrate)"
            for name, p in self.p.items()
        ]


@torch.no_grad()
def strangeness(run: Run, model: Model, data: Data, typical: float | None, seed: int) -> dict[str, Tensor]:
    """Scores of every example, float64 on the CPU. The dequantisation of an example depends on the seed alone."""
    found: dict[str, Tensor] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        objective = run.recipe.objective
        if isinstance(model, Density):
            found["nll"] = -exact(model, data.x, given=given_to(model, data))[0]
        elif isinstance(model, Observed) and isinstance(objective, Bounded):
            found["nll"] = -variational(model, objective, data.x, given=given_to(model, data))[0]
    if "nll" in found and typical is not None:
        found["atypicality"] = (found["nll"] - typical).abs()
    if isinstance(model, Encoder) and not isinstance(model, Density):
        parts = []
        for i in range(0, len(data), 1024):
            some = range(i, min(i + 1024, len(data)))
            x, own = latent_space.public(data, some), latent_space.labels_for(model, data, some)
            y = latent_space.decode(model, latent_space.encode(model, x, y=own), y=own)
            parts.append((x.cpu() - y.cpu()).double().square().flatten(1).mean(1))
        found["reconstruction"] = torch.cat(parts)
    return found


def score(run: Run, model: Model, data: Data, train: Data, held_out: Data, seed: int = 0) -> Scores:
    """Scores of `data`, and their p values among held-out examples; with what a reader should be warned of."""
    held_out = subset(held_out, CALIBRATION, seed)
    if len(held_out) < FEWEST:
        raise UserError(
            f"{held_out.name} has {len(held_out)} held-out examples to calibrate by; give at least {FEWEST}"
        )
    typical = strangeness(run, model, subset(train, TYPICAL, seed), None, seed + 1).get("nll")
    centre = None if typical is None else typical.mean().item()
    calibration = strangeness(run, model, held_out, centre, seed + 2)
    if not calibration:
        raise UserError(f"{run.path} has neither a density nor an encoder, so that it can score nothing; take another")
    scores = strangeness(run, model, data, centre, seed + 3)
    ranked = {k: p_values(worst(calibration[k]), worst(scores[k])) for k in scores}
    return Scores(scores, ranked, len(held_out), constants(run, model, held_out, calibration, centre, seed))


def by_row(data: Data) -> Data:
    """The rows of a typed table as vectors that do not depend on the table they stand in; other sets unchanged."""
    if data.typed is None:
        return data
    return replace(data, x=data.typed.encode_rows(data.typed.decode(data.x)), file=None)


def worst(scores: Tensor) -> Tensor:
    """What is not finite is as strange as can be."""
    return torch.where(scores.isfinite(), scores, torch.full_like(scores, math.inf))


def constants(
    run: Run, model: Model, held_out: Data, calibration: dict[str, Tensor], centre: float | None, seed: int
) -> list[str]:
    """Scores by which a constant picture is more ordinary than half of the held-out ones: they tell complexity."""
    if not held_out.is_images:
        return []
    grey = torch.tensor(LEVELS, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, *held_out.shape).contiguous()
    found = strangeness(run, model, Data("constant", grey), centre, seed)
    said = []
    for name, values in found.items():
        best = int(values.argmin())
        if values[best] < calibration[name].median():
            said.append(
                f"by {name} a constant picture (grey level {LEVELS[best]}) is more ordinary than half of the held-out "
                "ones; it tells how simple a picture is: take another score"
            )
    return said


def write_scores(
    run: str | Path,
    data: str | None = None,
    out: str | Path | None = None,
    n: int | None = None,
    *,
    level: float = 0.05,
    seed: int = 0,
    which: Which = "last",
    device: str = "auto",
    announce: Callable[[str], None] | None = None,
) -> tuple[Scores, list[Path]]:
    """Score examples of a run's own held-out part, or of another set; a CSV, and of pictures a sheet of the extremes.

    The run's own held-out examples are divided, also where `data` says where they are: half calibrates, half is scored.
    """
    check_seed(seed)
    if not 0 < level < 1:
        raise UserError(f"--level is {level:g}; give a share between 0 and 1, such as 0.05")
    target = Path(out) if out is not None else Path(run) / "score.csv"
    if target.suffix != ".csv":
        raise UserError(f"--out {target.name} is no table; give a name that ends in .csv")
    if n is not None:
        check_count(n, "examples")
    found, model = opened(run, which, device=device)
    own = run_data.own(found)
    held_out = own.test()
    if held_out is None:
        raise UserError(f"{own.train.name} has no held-out part to calibrate by; train with --holdout 0.1")
    other = None if data is None else examples(found, data, n, announce)
    if other is None or other[1]:  # at `data` lie the run's own, which are not to be ranked among themselves
        order = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(seed))
        cut = min(len(held_out) // 2, CALIBRATION)
        chosen = order[cut:].sort().values[:n]
        scored, held_out = pick(held_out, chosen, "scored"), pick(held_out, order[:cut], "calibration")
        index = chosen.tolist()
    else:
        scored = other[0]
        index = list(range(len(scored)))
        if isinstance(model, Encoder) and not isinstance(model, Density):  # whose classes nothing sums over
            own_labels(model, scored, announce)
    result = score(found, model, by_row(scored), by_row(own.train), by_row(held_out), seed)
    columns = ["index", *(c for k in result.scores for c in (k, f"p_{k}"))]
    lines = []
    for i, where in enumerate(index):
        line: dict[str, object] = {"index": where}
        for k in result.scores:
            line |= {k: f"{result.scores[k][i]:.8g}", f"p_{k}": f"{result.p[k][i]:.6g}"}
        lines.append(line)
    write_text(target, csv_text(columns, lines))
    files = [target]
    if scored.is_images:
        by = "atypicality" if "atypicality" in result.scores else next(iter(result.scores))
        order = result.scores[by].argsort()
        ends = [*order[-SHOWN:].flip(0).tolist(), *order[:SHOWN].tolist()]
        sheet = target.with_suffix(".png")
        tiles.grid(latent_space.public(scored, ends), sheet, columns=SHOWN // 2)
        files.append(sheet)
    return result, files
