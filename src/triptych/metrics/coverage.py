"""Which modes of a known mixture the samples reach."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from triptych.core import Comparison, Metric, Quantity, Value
from triptych.errors import UserError
from triptych.metrics.arrays import double

WITHIN = 3.0
"""A sample is of high quality when its nearest mode is closer than this many standard deviations."""


def mode_coverage(
    samples: Tensor | ArrayLike,
    modes: Tensor | ArrayLike,
    std: float,
    weights: Tensor | ArrayLike | None = None,
) -> dict[str, float]:
    """Modes reached, share of high-quality samples, and how unevenly the modes are hit.

    samples (n, d), modes (m, d) centres of isotropic components of standard deviation `std`, whose probabilities
    are `weights` (m,); None: all equal.

    - `modes`: how many modes are nearest to at least one high-quality sample (closer than 3 std to it);
    - `high_quality`: share of all samples that are of high quality. A perfect sampler scores `ceiling(d)`,
      98.9 % in the plane, not 100 %. Non-finite samples count as not of high quality;
    - `reverse_kl`: KL in nats from the histogram of high-quality samples over the modes to the weights:
      0 is as it should be, −log w is full collapse on a mode of weight w (log m where all are equal); NaN when no
      sample is of high quality.

    Source: Srivastava et al. 2017 (VEEGAN), section 4; reverse KL: Lin et al. 2018 (PacGAN), section 4.1.
    """
    x, centres = double(samples), double(modes)
    if x.dim() != 2 or centres.dim() != 2 or x.shape[1] != centres.shape[1]:
        raise UserError(f"samples {tuple(x.shape)} and modes {tuple(centres.shape)} must be (n, d) and (m, d)")
    if len(x) == 0:
        raise UserError("there are no samples; mode coverage needs at least 1")
    if not len(centres) or not bool(centres.isfinite().all()):
        raise UserError(f"there are {len(centres)} modes and each must be finite; give their centres (m, d)")
    if not 0 < std < math.inf:
        raise UserError(f"std is {std}; the modes need a positive standard deviation")
    w = torch.full((len(centres),), 1 / len(centres), dtype=torch.float64) if weights is None else double(weights)
    if w.shape != (len(centres),) or not bool((w > 0).all()) or abs(w.sum().item() - 1) > 1e-6:
        raise UserError(f"the weights of {len(centres)} modes must be as many positive numbers of sum 1")
    finite = torch.isfinite(x).all(1)
    hits = torch.zeros(len(centres), dtype=torch.float64)
    for part in x[finite].split(4096):
        distance, nearest = (part[:, None] - centres).norm(dim=2).min(1)
        hits += torch.bincount(nearest[distance < WITHIN * std], minlength=len(centres))
    good = hits.sum()
    return {
        "modes": int((hits > 0).sum()),
        "high_quality": (good / len(x)).item(),
        "reverse_kl": kl_to_uniform(hits) if weights is None else kl_to(hits, w),
    }


def kl_to_uniform(counts: Tensor) -> float:
    """KL(counts / sum ‖ uniform) in nats; NaN for no counts at all."""
    p = counts.double() / counts.sum()
    return math.log(len(p)) - torch.special.entr(p).sum().item()


def kl_to(counts: Tensor, weights: Tensor) -> float:
    """KL(counts / sum ‖ weights) in nats, for weights of sum 1; NaN for no counts at all."""
    p = counts.double() / counts.sum()
    return -(torch.special.entr(p).sum() + (p * weights.log()).sum()).item()


def ceiling(d: int) -> float:
    """Share of high-quality samples of a perfect sampler in d dimensions: P(χ_d < 3), 1 − exp(−4.5) in the plane."""
    half = torch.tensor([d / 2, WITHIN**2 / 2], dtype=torch.float64)
    return torch.special.gammainc(half[0], half[1]).item()


@dataclass(frozen=True)
class ModeCoverage(Metric):
    """`mode_coverage` of a toy mixture. The floor is the score of a perfect sampler: fresh draws."""

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "modes": Quantity(
            "Modes found",
            "higher",
            axis="coverage",
            rank=10,
            live=True,
            logged="vectors",
            about="How many of the known modes have a sample within three standard deviations.",
        ),
        "high_quality": Quantity(
            "High-quality samples",
            "higher",
            axis="fidelity",
            rank=11,
            live=True,
            logged="vectors",
            about="Share of samples within three standard deviations of a mode.",
        ),
        "reverse_kl": Quantity(
            "Reverse KL over modes",
            "lower",
            unit="nats",
            axis="coverage",
            rank=12,
            logged="vectors",
            about="How unevenly good samples fall on the modes: 0 is even.",
        ),
    }
    points: int = 2500
    """samples, by convention: more of them reach more modes"""

    def applies(self, comparison: Comparison) -> str:
        distribution = comparison.real.distribution
        return (
            ""
            if distribution is not None and distribution.modes is not None
            else f"{comparison.real.name} has no known modes"
        )

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        modes, std, weights = comparison.real.modes, comparison.real.std, comparison.real.weights
        n = min(self.points, len(comparison.fake))
        got = mode_coverage(comparison.fake.x[:n], modes, std, weights)
        ideal = mode_coverage(comparison.floor_sides[1].x[:n], modes, std, weights)
        notes = {
            "modes": f"of {len(modes)}",
            "high_quality": f"a perfect sampler scores {ceiling(modes.shape[1]):.4f} on average",
        }
        if math.isnan(got["reverse_kl"]):
            notes["reverse_kl"] = "not defined: no sample is close to a mode"
        return {
            k: dataclasses.replace(comparison.value(v, floor=ideal[k], floor_n=n, note=notes.get(k, "")), n=n)
            for k, v in got.items()
        }

    def along(self, comparison: Comparison) -> dict[str, float]:
        if comparison.real.distribution is None or comparison.real.distribution.modes is None:
            return {}
        real = comparison.real
        return mode_coverage(comparison.fake.x, real.modes, real.std, real.weights)
