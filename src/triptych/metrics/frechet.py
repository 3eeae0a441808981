"""Fréchet distance between Gaussians fitted to two sets of features."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from triptych.core import Comparison, Metric, Quantity, Space, Value
from triptych.errors import TooFew, UserError
from triptych.metrics.arrays import double, pair
from triptych.metrics.features.extractor import Extractor, Identity

ROUNDING = 1e-5
"""Of a covariance that was made in float32, relative to its largest number or eigenvalue."""


def frechet_distance(
    mu1: Tensor | ArrayLike, cov1: Tensor | ArrayLike, mu2: Tensor | ArrayLike, cov2: Tensor | ArrayLike
) -> float:
    """‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½), in float64.

    mu (d,), cov (d, d), finite, symmetric and positive semi-definite up to rounding; ValueError otherwise. The trace
    comes from the eigenvalues of Lᵀ Σ₂ L with Σ₁ = L Lᵀ, a symmetric matrix: the result is real whatever the rank.
    Source: Dowson and Landau 1982; Heusel et al. 2017, eq. 6.
    """
    mu1, cov1, mu2, cov2 = double(mu1), double(cov1), double(mu2), double(cov2)
    if not (mu1.shape == mu2.shape and cov1.shape == cov2.shape == (mu1.numel(), mu1.numel()) and mu1.dim() == 1):
        raise UserError(
            f"means {tuple(mu1.shape)}, {tuple(mu2.shape)} and covariances {tuple(cov1.shape)}, {tuple(cov2.shape)} "
            "do not match; give (d,) and (d, d) from one extractor"
        )
    for name, value in (("mu1", mu1), ("cov1", cov1), ("mu2", mu2), ("cov2", cov2)):
        if not torch.isfinite(value).all():
            raise UserError(f"{name} holds NaN or infinite numbers; were the features finite?")
    for name, cov in (("cov1", cov1), ("cov2", cov2)):
        check_covariance(name, cov)
    root = square_root(cov1)
    inner = root.T @ cov2 @ root
    trace = torch.linalg.eigvalsh((inner + inner.T) / 2).clamp_min(0).sqrt().sum()
    return combine(mu1 - mu2, cov1.trace() + cov2.trace(), trace)


def check_covariance(name: str, cov: Tensor) -> None:
    """UserError for a matrix (d, d) that is the covariance of nothing: lopsided, or with a negative variance."""
    size = cov.abs().max().item() if cov.numel() else 0.0
    if (cov - cov.T).abs().max().item() > ROUNDING * size:
        raise UserError(f"{name} is not symmetric; give a covariance")
    if not torch.linalg.cholesky_ex(cov)[1]:
        return
    values = torch.linalg.eigvalsh(cov)
    if values[0].item() < -ROUNDING * values.abs().max().item():
        raise UserError(
            f"{name} is not positive semi-definite (its lowest eigenvalue is {values[0].item():.3g}); give a covariance"
        )


def square_root(cov: Tensor) -> Tensor:
    """A matrix L with L Lᵀ = cov: the Cholesky factor, or from eigenvalues where cov is singular."""
    factor, failed = torch.linalg.cholesky_ex(cov)
    if not failed:
        return factor
    values, vectors = torch.linalg.eigh((cov + cov.T) / 2)
    return vectors * values.clamp_min(0).sqrt()


def frechet_from_features(x: Tensor | ArrayLike, y: Tensor | ArrayLike) -> float:
    """Fréchet distance between Gaussians fitted to features x (n, d) and y (m, d).

    Where a set has no more examples than dimensions, the trace is the nuclear norm of X Yᵀ (centred), which is
    exact and far cheaper than d × d matrices. Biased upwards by about 1/n; invalid to compare across n.
    """
    x, y = pair(x, y, least=2)
    n, m, d = len(x), len(y), x.shape[1]
    mu1, mu2 = x.mean(0), y.mean(0)
    x, y = x - mu1, y - mu2
    if min(n, m) > d:
        return frechet_distance(mu1, x.T @ x / (n - 1), mu2, y.T @ y / (m - 1))
    traces = x.square().sum() / (n - 1) + y.square().sum() / (m - 1)
    if max(n, m) <= 2 * d:
        trace = torch.linalg.svdvals(x @ y.T).sum() / ((n - 1) * (m - 1)) ** 0.5
    else:
        small, large = (x, y) if n < m else (y, x)
        inner = small @ (large.T @ large / (len(large) - 1)) @ small.T / (len(small) - 1)
        trace = torch.linalg.eigvalsh(inner).clamp_min(0).sqrt().sum()
    return combine(mu1 - mu2, traces, trace)


def combine(shift: Tensor, traces: Tensor, cross: Tensor) -> float:
    """The three terms; rounding below zero is zero, the distance of a set to itself."""
    return max((shift @ shift + traces - 2 * cross).item(), 0.0)


def moments(x: Tensor | ArrayLike) -> tuple[Tensor, Tensor]:
    """Mean (d,) and unbiased covariance (d, d) of features (n, d), float64."""
    x, _ = pair(x, x, least=2)
    mu = x.mean(0)
    x = x - mu
    return mu, x.T @ x / (len(x) - 1)


# ------------------------------------------------------------------------------------------- metrics


@dataclass(frozen=True)
class Frechet(Metric):
    """Fréchet distance on every extractor's features: `fid` on Inception's, `frechet` on others."""

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "frechet": Quantity(
            "Fréchet distance",
            "lower",
            axis="distance",
            rank=27,
            features=True,
            logged="images",
            about="Distance of two Gaussians with the means and covariances of both sets' features.",
        ),
        "fid": Quantity(
            "FID",
            "lower",
            axis="distance",
            rank=26,
            logged="images",
            about="The Fréchet distance of Inception's features.",
        ),
        "frechet_v1": Quantity(
            "Fréchet distance", "lower", axis="distance", rank=47, variant="offline-v1", logged="images"
        ),
    }

    def applies(self, comparison: Comparison) -> str:
        return ""

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for space in comparison.spaces:
            n, d = min(len(comparison.real), len(comparison.fake)), space.real["features"].shape[1]
            note = f"{n} examples for {d} dimensions: strongly biased" if n < d else ""
            if note:
                comparison.warn(f"{space.extractor.name('frechet')}: {note}; prefer {space.extractor.name('kernel')}")
            found |= comparison.measure(self.distance, space, note=note, controlled=True)
        return found

    def distance(self, x: Tensor, y: Tensor) -> dict[str, float]:
        return {"frechet": frechet_from_features(x, y)}

    def along(self, comparison: Comparison) -> dict[str, float]:
        found: dict[str, float] = {}
        for e in comparison.extractors.of_features:
            found |= comparison.number(e.name("frechet"), frechet_from_features, *comparison.sides(e))
        return found


@dataclass(frozen=True)
class FrechetInfinity(Metric):
    """The Fréchet distance extrapolated to infinitely many samples, along 1/n.

    A line through the distances of random subsets of the samples, each with more examples than dimensions: below
    that the bias is not proportional to 1/n. The real side is used whole, and needs as many: its own bias is not
    extrapolated. Source: Chong and Forsyth 2020, section 3.
    """

    quantities: ClassVar[Mapping[str, Quantity]] = {
        "frechet_infinity": Quantity(
            "Fréchet distance at n = ∞",
            "lower",
            features=True,
            about="The Fréchet distance that infinitely many samples would have, extrapolated.",
        ),
        "fid_infinity": Quantity(
            "FID at n = ∞", "lower", about="FID that infinitely many samples would have, extrapolated."
        ),
    }
    points: int = 15
    """subset sizes that the line goes through"""
    seed: int = 0
    """of the subsets"""

    def applies(self, comparison: Comparison) -> str:
        return "" if comparison.is_images else "vectors have few dimensions: the bias is small at any n"

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for space in comparison.spaces:
            e, d = space.extractor, space.real["features"].shape[1]
            few = [
                f"{n} {what}"
                for n, what in ((len(comparison.fake), "samples"), (len(comparison.real), "real examples"))
                if n < 2 * d
            ]
            if few:
                note = f"not defined: {' and '.join(few)} for {d} dimensions; extrapolation needs at least {2 * d}"
                found[e.name("frechet_infinity")] = comparison.value(
                    math.nan,
                    extractor=e.id,
                    resize=e.resize,
                    dtype=e.dtype,
                    note=note,
                    quantity="frechet_infinity",
                    variant=e.label,
                )
                continue
            found |= comparison.measure(self.extrapolated, space, seed=self.seed, note="extrapolated in the samples")
        return found

    def extrapolated(self, x: Tensor, y: Tensor) -> dict[str, float]:
        return {"frechet_infinity": frechet_infinity(x, y, self.points, self.seed)}


def frechet_infinity(x: Tensor | ArrayLike, y: Tensor | ArrayLike, points: int = 15, seed: int = 0) -> float:
    """Intercept at 1/m = 0 of the Fréchet distances from x (n, d) to subsets of y (m, d); TooFew below 2d a side."""
    x, y = pair(x, y, least=2)
    m, d = len(y), y.shape[1]
    for n, what in ((m, "samples"), (len(x), "real examples")):
        if n < 2 * d:
            raise TooFew(f"{n} {what} for {d} dimensions; the extrapolation needs at least {2 * d}")
    g = torch.Generator().manual_seed(seed)
    mu, cov = moments(x)
    inverse = torch.linspace(1 / max(d + 1, m // 8), 1 / m, points, dtype=torch.float64)
    values = [
        frechet_distance(mu, cov, *moments(y[torch.randperm(m, generator=g)[: round(1 / i.item())]])) for i in inverse
    ]
    line = torch.stack([torch.ones_like(inverse), inverse], 1)
    return torch.linalg.lstsq(line, torch.tensor(values, dtype=torch.float64)[:, None]).solution[0].item()


class Pixels(Identity):
    """Principal components of pixels as features."""

    @property
    def label(self) -> str:
        return "pixels"

    def name(self, base: str) -> str:
        return f"{base}_pixels"


@dataclass(frozen=True)
class PixelFrechet(Metric):
    """Fréchet distance of the pixels' leading principal components, fitted on the real side."""

    quantities: ClassVar[Mapping[str, Quantity]] = {"frechet": Frechet.quantities["frechet"]}
    components: int = 64

    def applies(self, comparison: Comparison) -> str:
        return "" if comparison.is_images else "the examples are vectors: frechet is the same"

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            pixels = comparison.real.x.flatten(1).float() / 255
            mean = pixels.mean(0)
            q = min(self.components, *pixels.shape)
            _, _, basis = torch.svd_lowrank((pixels - mean), q=q, niter=4)
        sets = [
            (d.x.flatten(1).float() / 255 - mean) @ basis
            for d in (comparison.real, comparison.fake, *comparison.floor_sides)
        ]
        pca = Pixels(f"pixels-pca{q}:{comparison.real.fingerprint[:12]}", "none", "float32", Extractor.note)
        space = Space(pca, *({"features": s} for s in sets))
        return comparison.measure(self.distance, space, seed=0)

    def distance(self, x: Tensor, y: Tensor) -> dict[str, float]:
        return {"frechet": frechet_from_features(x, y)}
