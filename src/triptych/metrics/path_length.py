"""How smooth the paths of a latent space are."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from triptych.core import Comparison, Latent, Metric, Model, Quantity, Value
from triptych.core.metric import standard_error
from triptych.core.model import affordable, decoded, given_to
from triptych.models.latent_space import slerp

PASSES = 8_000
"""Through the networks that the starts of the steps may take; their ends take as many again."""
FEW = 250
"""Points at least."""


@torch.no_grad()
def path_length(
    model: Latent,
    features: Callable[[Tensor], Tensor],
    n: int = 2000,
    epsilon: float = 1e-4,
    path: Literal["slerp", "lerp"] = "slerp",
    seed: int = 0,
    batch: int = 128,
) -> tuple[float, float]:
    """Perceptual path length and its standard error: E ‖f(G(p(t + ε))) − f(G(p(t)))‖² / ε².

    p is the path between two draws of the prior, t uniform on it; `features` maps public examples to (n, d). The
    lowest and highest 1 % are left out. Source: Karras et al. 2019, section 4.1 (there LPIPS; here any features).
    """
    g = torch.Generator().manual_seed(seed)
    with given_to(model, None, n, seed):
        a, b = model.prior(n, g), model.prior(n, g)
    t = torch.rand(n, 1, generator=g).to(a)
    walk = slerp if path == "slerp" else torch.lerp
    labels, lengths = model.labels(None, n, seed), []
    for rows in torch.arange(n).split(batch):
        x, y, s = a[rows], b[rows], t[rows]
        both = torch.cat([walk(x, y, s), walk(x, y, s + epsilon)])
        ends = features(decoded(model, both, None if labels is None else torch.cat([labels[rows]] * 2), len(both)))
        here, there = ends.double().chunk(2)
        lengths.append((here - there).square().sum(1) / epsilon**2)
    d = torch.cat(lengths)
    low, high = torch.quantile(d, torch.tensor([0.01, 0.99], dtype=d.dtype))
    d = d[(d >= low) & (d <= high)]
    return d.mean().item(), standard_error(d)


@dataclass(frozen=True)
class PathLength(Metric):
    """`path_length` with the set's own extractor: small is smooth. It compares models of one data set only."""

    needs = Latent
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "path_length": Quantity(
            "Path length",
            "lower",
            comparable="kind of path (straight, or along the sphere)",
            average=True,
            about="How far pictures move for a small step of the code.",
        )
    }
    points: int = 2000
    """steps of a code; fewer where a sample takes many passes"""
    epsilon: float = 1e-4
    seed: int = 0

    def applies(self, comparison: Comparison) -> str:
        if comparison.model is None or not comparison.is_images or comparison.extractors.own is None:
            return "path length needs a model of images, and the set's own extractor"
        if not isinstance(comparison.model, Latent) or comparison.model.latent >= math.prod(comparison.model.shape):
            return "the latent space is as large as the image: its paths leave the data"
        return ""

    def __call__(self, comparison: Comparison) -> dict[str, Value]:
        model, extractor = comparison.model, comparison.extractors.own
        assert isinstance(model, Latent)
        assert extractor is not None
        path: Literal["slerp", "lerp"] = "slerp" if model.spherical else "lerp"

        def features(x: Tensor) -> Tensor:
            return extractor(x)["features"].cpu()

        points = self.afford(model)
        length = path_length(model, features, points, self.epsilon, path, self.seed)
        note = f"{path}, ε = {self.epsilon:g}, outer 1 % left out; any extractor's own scale"
        number = comparison.value(
            length, extractor=extractor.id, resize=extractor.resize, dtype="float32", seed=self.seed, note=note
        )
        return {"path_length": dataclasses.replace(number, n=points, n_real=None)}

    def afford(self, model: Model) -> int:
        """How many steps are taken: two thousand for one pass a sample, five hundred for sixteen."""
        return affordable(self.points, model.cost.sample, PASSES, FEW)
