"""How often the report's verdict by axis is wrong, and how often it sees what is there: contests of a known ranking.

Samplers of a mixture of ten Gaussians in 16 dimensions whose faults are set: how noisy each sample is (fidelity) and
how unequally the modes are served (coverage). A seed moves both a little, as a training does. Each contest has three
recipes; each sampler is judged by the metrics of the package on three kinds of features (the points, and two random
networks), as pictures are. Known is which recipe is truly better, or that none is.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from common import record

from triptych.metrics.frechet import Frechet, frechet_from_features
from triptych.metrics.neighbours import Neighbours, prdc
from triptych.report.axes import judge_axes
from triptych.report.entries import Entry
from triptych.report.table import tables

D, MODES, N, FEATURES = 16, 10, 300, 24
NOISE, UNEVEN = (1.0, 1.15, 1.35), (0.0, 1.0, 2.0)
"""Spread of a sample around its mode, of the data's; strength of the modes' inequality (softmax of normal numbers)."""
NOISE_SEEDS, UNEVEN_SEEDS = 0.03, 0.15
"""Standard deviations over seeds."""
QUANTITIES = {**Frechet.quantities, **Neighbours.quantities}


def draw(rng: np.random.Generator, means: np.ndarray, noise: float, uneven: float, n: int = N) -> np.ndarray:
    """Samples (n, 16) of one training."""
    logits = uneven * rng.normal(size=MODES)
    weights = np.exp(logits - logits.max())
    return means[rng.choice(MODES, n, p=weights / weights.sum())] + noise * rng.normal(size=(n, D))


def contest(seed: int, seeds: int) -> list[tuple[str, bool, bool]]:
    """For each axis and pair of recipes: the axis, whether they truly differ, and whether the verdict was right.

    A tie is (differ, False) or (equal, True); a clear difference is right only where it is true and points right.
    """
    rng = np.random.default_rng((seed, seeds))
    means = 2.0 * rng.normal(size=(MODES, D))
    nets = [rng.normal(size=(D, FEATURES)) / 4 for _ in range(2)]
    spaces = {"pixels": lambda x: x, "first": lambda x: np.tanh(x @ nets[0]), "second": lambda x: np.tanh(x @ nets[1])}
    real = draw(rng, means, 1.0, 0.0)
    truth = {f"r{i}": (rng.choice(NOISE), rng.choice(UNEVEN)) for i in range(3)}
    entries = []
    for label, (noise, uneven) in truth.items():
        for k in range(seeds):
            x = draw(rng, means, noise * np.exp(NOISE_SEEDS * rng.normal()), abs(uneven + UNEVEN_SEEDS * rng.normal()))
            values: dict[str, Any] = {}
            for name, space in spaces.items():
                found = {"frechet": frechet_from_features(space(real), space(x)), **prdc(space(real), space(x), k=5)}
                for metric, value in found.items():
                    told = {"value": float(value), "n": N, "extractor": name, "source": "eval"}
                    values[f"{metric}_{name}"] = told | QUANTITIES[metric].told()
            recipe = {"name": label, "data": {"name": "mixture"}}
            status = {"state": "done"}
            entries.append(Entry(Path(label), recipe, k, {}, status, [], values, evaluated=True, label=label))
    (table,) = tables(entries)
    outcome = []
    for verdict in judge_axes(table):
        for pair in verdict.pairs:
            (na, ua), (nb, ub) = truth[pair.better], truth[pair.worse]
            better = {"fidelity": nb - na, "coverage": ub - ua}.get(verdict.axis)
            if better is None:  # a distance sees both faults: better where neither is worse
                better = (
                    0
                    if (na, ua) == (nb, ub)
                    else 1
                    if na <= nb and ua <= ub
                    else -1
                    if na >= nb and ua >= ub
                    else np.nan
                )
            if np.isnan(better):
                continue
            clear = pair.grade == "clear"
            outcome.append((verdict.axis, better != 0, better > 0 if clear else better == 0))
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    table: dict[str, dict[str, dict[str, float | int]]] = {}
    worst = 0.0
    for seeds in (3, 5):
        found: dict[str, Counter[str]] = {}
        studies_wrong: Counter[str] = Counter()
        for seed in range(options.studies):
            told = contest(seed, seeds)
            for axis, differ, right in told:
                one = found.setdefault(axis, Counter())
                one["differ" if differ else "equal"] += 1
                one["seen" if differ and right else "false" if not differ and not right else "other"] += 1
            for axis in {a for a, differ, right in told if not differ and not right}:
                studies_wrong[axis] += 1
        table[f"{seeds} seeds"] = {
            axis: {
                "pairs that are equal": c["equal"],
                "called clear": c["false"],
                "share of studies with a false clear": round(studies_wrong[axis] / options.studies, 4),
                "pairs that differ": c["differ"],
                "seen": c["seen"],
                "power": round(c["seen"] / max(c["differ"], 1), 3),
            }
            for axis, c in found.items()
        }
        worst = max(worst, *(studies_wrong[a] / options.studies for a in found))
        print(seeds, table[f"{seeds} seeds"], flush=True)
    power = {s: {a: t["power"] for a, t in axes.items()} for s, axes in table.items()}
    if not options.no_record:
        record(
            "verdict_errors",
            f"{options.studies} simulated studies of three samplers whose ranking is known, three kinds of features, "
            "at 3 and at 5 seeds: studies with a false `clear`, and the power",
            "false clear in at most 5 % of studies on each axis",
            f"at most {worst:.1%} on any axis; power {power}",
            worst <= 0.05,
            {"table": table, "noise": NOISE, "uneven": UNEVEN, "samples": N},
        )


if __name__ == "__main__":
    main()
