"""The test of copies and the conformal score on seeds that neither was designed on.

    python benchmarks/copies_and_levels.py

False alarms: honest models of four kinds (the distribution itself, narrowed, widened, of few modes), each on a mixture
of its own. Power: models a share of whose samples are training examples with a little noise. Levels: 50 splits of
scores into those that calibrate and new ones.
"""

from __future__ import annotations

import argparse

import torch
from common import record

from triptych.core.conformal import p_values, proportion
from triptych.explore.copies import copied

FIRST = 700_000
"""Of the seeds: tests/explore/test_copies.py, where the test was designed, has those below 2,000."""
D, MODES = 8, 12
HONEST: dict[str, dict[str, float]] = {
    "exact": {},
    "narrow": {"std": 0.6},
    "wide": {"std": 1.5},
    "few modes": {"modes": 4},
}
SHARES = (0.01, 0.05, 0.2)
LEVELS = (0.01, 0.05, 0.1)


class Mixture:
    """A Gaussian mixture with centres of its own."""

    def __init__(self, seed: int) -> None:
        self.g = torch.Generator().manual_seed(seed)
        self.centres = 3 * torch.randn(MODES, D, generator=self.g)

    def draw(self, n: int, std: float = 1.0, modes: float = MODES) -> torch.Tensor:
        where = torch.randint(int(modes), (n,), generator=self.g)
        return self.centres[where] + std * torch.randn(n, D, generator=self.g)


def false_alarms(trials: int) -> dict[str, int]:
    """How many of so many honest models of each kind raise an alarm at 5 %."""
    found = {}
    for k, (kind, how) in enumerate(HONEST.items()):
        alarms = 0
        for i in range(trials):
            m = Mixture(FIRST + 10_000 * k + i)
            alarms += copied(m.draw(300, **how), m.draw(400), m.draw(400), seed=i).p < 0.05
        found[kind] = alarms
    return found


def power(trials: int) -> dict[str, dict[str, int]]:
    """How many models that copy are found, and how many intervals hold the share, of so many at each share."""
    found = {}
    for k, share in enumerate(SHARES):
        hits = inside = 0
        for i in range(trials):
            m = Mixture(FIRST + 100_000 + 10_000 * k + i)
            train, samples = m.draw(1000), m.draw(1000)
            n = int(share * len(samples))
            chosen = torch.randperm(len(train), generator=m.g)[:n]
            samples[:n] = train[chosen] + 0.01 * torch.randn(n, D, generator=m.g)
            result = copied(samples, train, m.draw(1000), seed=i)
            hits += result.p < 0.05
            inside += result.low <= share <= result.high
        found[f"{share:g}"] = {"found": hits, "interval holds it": inside}
    return found


def levels(splits: int) -> dict[str, dict[str, float | bool]]:
    """Share of new examples with p ≤ α over the splits, and whether it is within 99 % of what chance makes."""
    m = Mixture(FIRST + 200_000)
    found = {}
    for level in LEVELS:
        hits = total = 0
        for _ in range(splits):
            fresh = m.draw(800)
            # of a density that is not the true one: p values hold whatever the score is
            scores = torch.cdist(fresh, m.centres + 0.5).square().min(1).values
            hits += int((p_values(scores[:400], scores[400:]) <= level).sum())
            total += 400
        wanted = int(level * 401) / 401
        spread = (wanted * (1 - wanted) * (1 / total + 1 / (splits * 402))) ** 0.5
        share = hits / total
        found[f"{level:g}"] = {"share": share, "expected": wanted, "within": abs(share - wanted) < 2.58 * spread}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--splits", type=int, default=50)
    options = parser.parse_args()
    torch.set_num_threads(1)
    alarms, n = false_alarms(options.trials), options.trials
    found, held = power(n), levels(options.splits)
    total = sum(alarms.values())
    low, high = proportion(total, 4 * n)
    told = "; ".join(
        f"{k} of copies: {v['found']}/{n} found, {v['interval holds it']}/{n} intervals hold it"
        for k, v in found.items()
    )
    record(
        "copies-fresh-seeds",
        "the test of copies seldom accuses honest models and finds those that copy, on seeds it was not designed on",
        "at most 5 % of honest models accused; 1, 5 and 20 % of copies found in 80, 95 and 95 % of trials",
        f"{total} of {4 * n} honest models accused ({low:.1%} to {high:.1%}; {alarms}); {told}",
        total <= 0.05 * 4 * n
        and all(found[k]["found"] >= p * n for k, p in (("0.01", 0.8), ("0.05", 0.95), ("0.2", 0.95))),
        {"alarms": alarms, "power": found, "trials": n},
    )
    record(
        "conformal-levels",
        "conformal p values have their level",
        "within 99 % of what chance makes at 1, 5 and 10 %, over 50 splits",
        "; ".join(f"p <= {k}: {v['share']:.4f} (expected {v['expected']:.4f})" for k, v in held.items()),
        all(v["within"] for v in held.values()),
        {"levels": held, "splits": options.splits},
    )


if __name__ == "__main__":
    main()
