"""Ranks among calibration examples: p values and counts that hold whatever the distribution, and binomial intervals.

They ask one thing: that an honest new example could change places with any calibration example (exchangeability).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def p_values(calibration: Tensor, scores: Tensor) -> Tensor:
    """(1 + how many calibration scores are at least as high) / (1 + n) for each score, float64 (m,).

    High scores are strange. For an example like the calibration ones P(p ≤ α) ≤ α, for every α and n. Source: Vovk,
    Gammerman and Shafer 2005, section 2.2; as anomaly scores Laxhammar 2014, and Bates et al. 2023, equation 2.
    """
    ordered = calibration.double().sort().values
    below = torch.searchsorted(ordered, scores.double().contiguous(), right=False)
    return (1 + len(ordered) - below).double() / (1 + len(ordered))


def tail(found: int, samples: int, rank: int, calibration: int) -> float:
    """P(at least `found` of `samples` lie below the `rank`-th smallest of `calibration`) where all are alike.

    All orders of the two sets are then equally likely: the number is negative hypergeometric.
    """
    n, m, k = calibration, samples, rank
    if found <= 0:
        return 1.0
    whole = _log_choose(n + m, m)
    terms = (_log_choose(j + k - 1, j) + _log_choose(m - j + n - k, m - j) - whole for j in range(found, m + 1))
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def proportion(found: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share of which `found` of `n` were seen. Source: Clopper and Pearson 1934."""
    alpha = (1 - confidence) / 2
    low = 0.0 if found == 0 else _root(lambda p: _at_least(found, n, p) < alpha)
    high = 1.0 if found == n else _root(lambda p: 1 - _at_least(found + 1, n, p) > alpha)
    return low, high


def holm_smallest(p: Sequence[float]) -> float:
    """The smallest of several p values, corrected for their number (Bonferroni)."""
    return min(1.0, len(p) * min(p))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _at_least(k: int, n: int, p: float) -> float:
    """P(X ≥ k) of a binomial."""
    if p <= 0 or p >= 1:
        return float(p >= 1 or k <= 0)
    a, b = math.log(p), math.log1p(-p)
    return min(1.0, math.fsum(math.exp(_log_choose(n, j) + j * a + (n - j) * b) for j in range(k, n + 1)))


def _root(below: Callable[[float], bool]) -> float:
    """Where `below(p)` stops to hold on [0, 1]."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return (low + high) / 2
