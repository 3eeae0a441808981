"""What early stopping does for a small table whose columns have nothing to do with each other.

    python benchmarks/early_stopping.py [--seeds 3]
    python benchmarks/early_stopping.py --looks wine iris breast_cancer

1,500 rows of six columns drawn independently of each other: all that a model learns of their pairs it has learned by
heart. The recommended recipe is trained as it is, and with `--train.patience 0` to the end of its budget. Table and
seeds differ from those that the recipe's patience was chosen on: with `--looks`, tables of scikit-learn at seed 100,
whose held-out nll at each look over the whole budget is printed and not recorded.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from common import record, spread
from tables import write_shipped

from triptych.core import DataSpec, Recipe
from triptych.recipes import recommend
from triptych.trainer import fit

ROWS = 1_500


def write_table(path: Path, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)

    def normal() -> list[float]:
        return torch.randn(ROWS, generator=generator).tolist()

    def among(k: int) -> list[int]:
        return torch.randint(k, (ROWS,), generator=generator).tolist()

    columns = {
        "age": [round(40 + 12 * v) for v in normal()],
        "income": [round(30_000 * 2**v, 2) for v in normal()],
        "weight": [round(70 + 9 * v, 1) for v in normal()],
        "city": ["abcdef"[k] for k in among(6)],
        "sex": ["fm"[k] for k in among(2)],
        "rating": [1 + k for k in among(5)],
    }
    with path.open("w", newline="", encoding="utf-8") as f:
        csv.writer(f).writerows([list(columns), *zip(*columns.values(), strict=True)])


def trained(recipe: Recipe, seed: int, out: Path) -> dict[str, float]:
    """Held-out nll of the last and of the best checkpoint, passes over the table, and seconds of processor."""
    began = time.process_time()
    run = fit(recipe, seed, out, "cpu", progress=False)
    seconds = time.process_time() - began
    nll = {line["images"]: line["nll"] for line in run.lines() if "nll" in line}
    return {
        "last": nll[max(nll)],
        "best": min(nll.values()),
        "passes": run.status["images"] / run.env["data"]["examples"],
        "seconds": seconds,
    }


def looks(names: list[str]) -> None:
    """Held-out nll at each look of the recommended recipe without early stopping."""
    with tempfile.TemporaryDirectory() as place:
        for name in names:
            recipe, _ = recommend(DataSpec(str(write_shipped(name, Path(place)))))
            recipe = replace(recipe, train=replace(recipe.train, patience=0))
            lines = fit(recipe, 100, Path(place) / f"{name}-run", "cpu", progress=False).lines()
            nll = [line["nll"] for line in lines if "nll" in line]
            print(name, "lowest at look", nll.index(min(nll)), [round(v, 2) for v in nll], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--looks", nargs="+", default=[])
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.looks:
        looks(options.looks)
        return
    found: dict[str, list[dict[str, float]]] = {"early stopping": [], "whole budget": []}
    with tempfile.TemporaryDirectory() as place:
        for seed in range(options.seeds):
            table = Path(place) / f"table-{seed}.csv"
            write_table(table, 1_000 + seed)
            recipe, _ = recommend(DataSpec(str(table)))
            for kind, patience in (("early stopping", recipe.train.patience), ("whole budget", 0)):
                asked = replace(recipe, train=replace(recipe.train, patience=patience))
                found[kind].append(trained(asked, seed, Path(place) / f"{kind}-{seed}"))
                print(seed, kind, {k: round(v, 3) for k, v in found[kind][-1].items()}, flush=True)
    each = {kind: {k: spread([r[k] for r in runs]) for k in runs[0]} for kind, runs in found.items()}

    def told(kind: str) -> str:
        last, passes, seconds = (each[kind][k] for k in ("last", "passes", "seconds"))
        after = f"after {passes['mean']:.0f} passes and {seconds['mean']:.0f} s of processor"
        return f"{last['mean']:.2f} ± {last['half_width_95']:.2f} {after}"

    record(
        "early-stopping",
        f"held-out nll at the end of a training on {ROWS:,} rows of independent columns, and what the training takes",
        "within 0.5 nats of the best checkpoint",
        f"{told('early stopping')}, best {each['early stopping']['best']['mean']:.2f}; without early stopping "
        f"{told('whole budget')} ({options.seeds} seeds)",
        all(r["last"] - r["best"] <= 0.5 for r in found["early stopping"]),
        each,
    )


if __name__ == "__main__":
    main()
