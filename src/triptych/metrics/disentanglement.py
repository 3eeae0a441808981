"""Whether the axes of a latent space match the factors of variation.

The functions take codes (n, d) and factors by name, (n,) each, so that any encoder can be evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from triptych.core import Comparison, Encoder, Metric, Quantity, Value
from triptych.errors import UserError
from triptych.metrics.arrays import rows
from triptych.metrics.comparison import counted
from triptych.metrics.linear_models import chosen_lasso, linear_accuracy, random_order, standard

BINS = 20
Factors = Mapping[str, Tensor]


# -------------------------------------------------------------------------------------------- factors


def discrete(v: Tensor, bins: int = BINS) -> Tensor:
    """Values 0, 1, ...: the different values of v (n,) where they are few, else `bins` bins of equal width."""
    values, index = v.unique(return_inverse=True)
    if len(values) <= bins:
        return index
    v = v.double()
    low, high = v.min(), v.max()
    return ((v - low) / (high - low) * bins).long().clamp_max(bins - 1)


def categorical(v: Tensor) -> bool:
    """Whole numbers name categories; floats are quantities."""
    return not v.is_floating_point()


def varying(codes: Tensor, factors: Factors) -> tuple[Tensor, dict[str, Tensor]]:
    """Codes as float64 and the factors that take more than one value; UserError where there are none."""
    z = rows(codes, "codes", least=8)
    kept = {k: v for k, v in factors.items() if len(v.unique()) > 1}
    if not kept:
        raise UserError("no factor takes more than one value; give data with known factors, such as glyphs")
    if wrong := [k for k, v in kept.items() if v.shape != (len(z),)]:
        raise UserError(f"factor {wrong[0]} has shape {tuple(kept[wrong[0]].shape)}, and there are {len(z)} codes")
    return z, kept


def mutual_information(a: Tensor, b: Tensor) -> float:
    """I(a; b) in nats of two columns of whole numbers, from their joint histogram."""
    joint = torch.bincount(a * (int(b.max()) + 1) + b, minlength=(int(a.max()) + 1) * (int(b.max()) + 1)).double()
    joint = (joint / joint.sum()).view(int(a.max()) + 1, -1)
    return (entropy(joint.sum(1)) + entropy(joint.sum(0)) - entropy(joint.flatten())).item()


def entropy(p: Tensor) -> Tensor:
    """−Σ p log p, in nats."""
    return torch.special.entr(p).sum()


def gap(scores: Tensor) -> float:
    """How far the highest of several scores lies above the second; the score itself where there is one."""
    top = scores.topk(min(2, len(scores))).values
    return (top[0] - top[1]).item() if len(top) == 2 else top[0].item()


# ------------------------------------------------------------------------------- axis disentanglement


def mig(codes: Tensor, factors: Factors, bins: int = BINS) -> float:
    """Mutual information gap, in [0, 1]: mean over factors of (I₁ − I₂) / H(factor).

    I₁ and I₂ are the largest mutual informations of one code with the factor, from histograms of 20 bins of equal
    width; other estimators give other numbers. Source: Chen et al. 2018, section 4.1.
    """
    z, factors = varying(codes, factors)
    binned = [discrete(column, bins) for column in z.T]
    gaps = []
    for v in factors.values():
        target = discrete(v, bins)
        h = entropy(torch.bincount(target).double() / len(target)).item()
        gaps.append(gap(torch.tensor([mutual_information(c, target) for c in binned], dtype=torch.float64)) / h)
    return sum(gaps) / len(gaps)


def sap(codes: Tensor, factors: Factors) -> float:
    """Separated attribute predictability, in [0, 1]: mean gap between the two codes that best predict a factor.

    One code predicts a quantity by linear regression (score R²) and a category by the nearest class mean (score:
    accuracy above the most frequent class, scaled to [0, 1]). Source: Kumar et al. 2018, section 3.
    """
    z, factors = varying(codes, factors)
    centred = z - z.mean(0)
    gaps = []
    for v in factors.values():
        if categorical(v):
            scores = nearest_mean_scores(z, discrete(v, len(v)))
        else:
            y = v.double() - v.double().mean()
            scores = (centred.T @ y).square() / (centred.square().sum(0) * y.square().sum()).clamp_min(1e-30)
        gaps.append(gap(scores))
    return sum(gaps) / len(gaps)


def nearest_mean_scores(z: Tensor, y: Tensor) -> Tensor:
    """For each column of z (n, d), how well the nearest class mean tells y (n,): 0 chance, 1 always."""
    counts = torch.bincount(y).double()
    sums = torch.zeros(len(counts), z.shape[1], dtype=z.dtype).index_add_(0, y, z)
    means = sums / counts[:, None]
    told = torch.stack([(z[:, j, None] - means[:, j]).abs().argmin(1) for j in range(z.shape[1])], 1)
    base = (counts.max() / counts.sum()).item()
    return (((told == y[:, None]).double().mean(0) - base) / (1 - base)).clamp_min(0)


def dci(codes: Tensor, factors: Factors) -> dict[str, float]:
    """Disentanglement, completeness and informativeness, by lasso.

    The importance of a code for a factor is the size of its weight in a lasso regression of the standardised factor
    (a category: of its indicator columns) on the standardised codes, with a penalty chosen on validation examples:
    a factor that the codes do not predict has no importances, rather than a few by chance. `dci_disentanglement` is
    1 − the entropy of a code's importances over factors, weighted by the code's share; `dci_completeness` 1 − the
    entropy of a factor's importances over codes; both in [0, 1], and both of what is predicted at all:
    `dci_informativeness` says how much, 1 − RMSE / σ on a random quarter of the examples.
    Source: Eastwood and Williams 2018, section 2.
    """
    z, factors = varying(codes, factors)
    order = random_order(len(z))
    z, factors = standard(z[order]), {name: v[order] for name, v in factors.items()}
    importance, fit = [], []
    tested = slice(len(z) * 3 // 4, None)
    for v in factors.values():
        y = F.one_hot(discrete(v, len(v))).double() if categorical(v) else v.double()[:, None]
        y = standard(y)
        w = chosen_lasso(z[: tested.start], y[: tested.start])
        importance.append(w.abs().sum(1))
        scale = y[tested].square().mean().sqrt().clamp_min(1e-12)
        error = (z[tested] @ w - y[tested]).square().mean().sqrt() / scale
        fit.append(max(0.0, 1 - error.item()))
    r = torch.stack(importance, 1)
    total = r.sum()
    if total == 0:
        return {"dci_disentanglement": 0.0, "dci_completeness": 0.0, "dci_informativeness": sum(fit) / len(fit)}
    by_code, by_factor = r / r.sum(1, keepdim=True).clamp_min(1e-30), r / r.sum(0).clamp_min(1e-30)
    d, k = r.shape
    disentangled = torch.stack([1 - entropy(p) / math.log(k) if k > 1 else p.sum() for p in by_code])
    complete = torch.stack([(1 - entropy(p) / math.log(d) if d > 1 else p.sum()) * (p.sum() > 0) for p in by_factor.T])
    return {
        "dci_disentanglement": (disentangled * r.sum(1) / total).sum().item(),
        "dci_completeness": complete.mean().item(),
        "dci_informativeness": sum(fit) / len(fit),
    }


def beta_vae_score(codes: Tensor, factors: Factors, points: int = 1000, pairs: int = 32, seed: int = 0) -> float:
    """Held-out accuracy of a linear classifier that names the shared factor of pairs; 1/K is chance for K factors.

    One point: `pairs` pairs of examples that agree in one factor (quantities: in one of ten quantile bins), and the
    mean of |z₁ − z₂| over them. Source: Higgins et al. 2017, section 3 and appendix.
    """
    z, factors = varying(codes, factors)
    if len(factors) < 2:
        raise UserError(f"the beta-VAE score tells factors apart and only {next(iter(factors))} varies; give two")
    z = standard(z)
    g = torch.Generator().manual_seed(seed)
    features, labels = [], []
    for k, v in enumerate(factors.values()):
        group = discrete(v, len(v)) if categorical(v) else quantile_bins(v)
        order = group.argsort()
        starts = torch.searchsorted(group[order], torch.arange(int(group.max()) + 2))
        one = torch.randint(len(z), (points, pairs), generator=g)
        low, high = starts[group[one]], starts[group[one] + 1]
        other = order[low + (torch.rand(points, pairs, generator=g) * (high - low)).long()]
        features.append((z[one] - z[other]).abs().mean(1))
        labels.append(torch.full((points,), k))
    return linear_accuracy(torch.cat(features), torch.cat(labels))


def quantile_bins(v: Tensor, bins: int = 10) -> Tensor:
    """Bins of equal counts, numbered from 0; ties stay together."""
    edges = torch.quantile(v.double(), torch.linspace(0, 1, bins + 1, dtype=torch.float64)[1:-1]).unique()
    return torch.bucketize(v.double(), edges).unique(return_inverse=True)[1]


# --------------------------------------------------------------------------------------------- metrics


@dataclass(frozen=True)
class Disentanglement(Metric):
    """MIG, DCI, SAP and the β-VAE score of an encoder's axes on data with known factors.

    The floor is what the same codes score when they are dealt to the wrong examples: chance.
    """

    needs = Encoder
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "mig": Quantity(
            "Mutual information gap",
            "higher",
            axis="codes",
            rank=52,
            about="How much better the best latent dimension tells a factor than the second best.",
        ),
        "dci_disentanglement": Quantity(
            "DCI disentanglement",
            "higher",
            axis="codes",
            rank=52,
            about="Whether each latent dimension tells one factor.",
        ),
        "dci_completeness": Quantity(
            "DCI completeness",
            "higher",
            axis="codes",
            rank=52,
            about="Whether each factor is told by one latent dimension.",
        ),
        "dci_informativeness": Quantity(
            "DCI informativeness", "higher", axis="codes", rank=52, about="How well the code predicts the factors."
        ),
        "sap": Quantity(
            "Separated attribute predictability",
            "higher",
            axis="codes",
            rank=52,
            about="How much better the best latent dimension predicts a factor than the second best.",
        ),
        "beta_vae_score": Quantity(
            "β-VAE score",
            "higher",
            axis="codes",
            rank=52,
            about="How often a linear classifier names the factor that was held fixed.",
        ),
    }
    points: int = 5000
    widest: int = 512
    """latent dimensions that are still evaluated axis by axis"""
    seed: int = 0

    def applies(self, comparison: Comparison) -> str:
        if not isinstance(comparison.model, Encoder) or not 1 < comparison.model.latent <= self.widest:
            return f"axes are evaluated one by one, for encoders with 2 to {self.widest} of them"
        varied = [k for k, v in comparison.real.factors.items() if len(v.unique()) > 1]
        return "" if len(varied) > 1 else f"{comparison.real.name} has no known factors of variation"

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        data, codes = comparison.codes(self.points, self.seed)
        varied = sum(len(v.unique()) > 1 for v in data.factors.values())
        shuffled = codes[torch.randperm(len(codes), generator=torch.Generator().manual_seed(self.seed))]
        got, chance = self.scores(codes, data.factors), self.scores(shuffled, data.factors)
        notes = {"mig": f"histograms of {BINS} bins; ", "dci_informativeness": "1 - RMSE/σ; "}
        found = {
            k: comparison.value(
                v,
                seed=self.seed,
                floor=chance[k],
                note=f"{notes.get(k, '')}{varied} factors, {codes.shape[1]} axes; floor: shuffled codes",
            )
            for k, v in got.items()
        }
        return counted(found, len(codes))

    def scores(self, codes: Tensor, factors: Factors) -> dict[str, float]:
        return {
            "mig": mig(codes, factors),
            **dci(codes, factors),
            "sap": sap(codes, factors),
            "beta_vae_score": beta_vae_score(codes, factors, seed=self.seed),
        }
