"""Why the Wasserstein loss was invented, in one figure: two parallel lines drawn apart.

Real points are (0, Z) and generated ones (θ, Z), Z ~ U[0, 1]; the generator's one parameter is the offset θ. Exactly,
the Jensen–Shannon divergence is log 2 at every θ ≠ 0 while the Wasserstein distance is |θ|. Here every objective
trains a critic at fixed θ; then its estimate is read off, and the gradient that reaches θ.
Source: Arjovsky et al. 2017, "Wasserstein GAN", Example 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor, nn

from triptych.core.statistics import estimate
from triptych.models.layers.mlp import he_perceptron
from triptych.objectives.gan import GAN, LSGAN, WGAN, WGANGP, Adversarial

OBJECTIVES: dict[str, Adversarial] = {
    "GAN, min-max": GAN(minimax=True),
    "GAN": GAN(),
    "LSGAN": LSGAN(),
    "WGAN": WGAN(clip=0.1),
    "WGAN-GP": WGANGP(),
}
BATCH = 256


@dataclass(frozen=True)
class Reading:
    """What one trained critic says at one offset."""

    objective: str
    offset: float
    seed: int
    estimate: float
    """GAN: log 2 − loss, a lower bound of the Jensen–Shannon divergence in nats; WGANs: E D(real) − E D(fake)"""
    pull: float
    """dL/dθ of the generator's loss: what draws θ to 0 where positive"""


COLUMNS = tuple(f.name for f in fields(Reading))
MOST_SEEDS = 10_000
ELSEWHERE = "give --out another place"


def points(theta: Tensor | float, generator: torch.Generator, n: int = BATCH) -> Tensor:
    """n points (θ, Z), (n, 2), differentiable in θ."""
    z = torch.rand(n, generator=generator)
    return torch.stack([theta + torch.zeros(n), z], dim=1)


def read(name: str, offset: float, seed: int, steps: int) -> Reading:
    """Train a critic for `steps` moves at one offset, and read it on 4,096 fresh points."""
    objective = OBJECTIVES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        draws = torch.Generator().manual_seed(seed)
        D: nn.Module = he_perceptron(2, 1, 64, 2)
        optimizer = torch.optim.Adam(D.parameters(), 1e-3, (0.5, 0.9))
        for _ in range(steps):
            loss = objective.critic(D, points(0.0, draws), points(offset, draws))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            objective.after_critic(D)
        theta = torch.tensor(offset, requires_grad=True)
        real, fake = points(0.0, draws, 4_096), points(theta, draws, 4_096)
        (pull,) = torch.autograd.grad(objective.generator(D, real, fake), theta)
        with torch.no_grad():
            if isinstance(objective, GAN):
                found = math.log(2) - objective.critic(D, real, fake).item()
            else:
                found = (D(real).mean() - D(fake).mean()).item()
    return Reading(name, offset, seed, found, pull.item())


def readings(offsets: list[float], seeds: int, steps: int) -> Iterator[Reading]:
    """Every objective at every offset θ, once per seed."""
    for offset in offsets:
        for name in OBJECTIVES:
            for seed in range(seeds):
                yield read(name, offset, seed, steps)


def series(found: list[Reading], name: str, quantity: str) -> list[list[tuple[float, float]]]:
    """A curve (offset, value) per seed."""
    seeds = sorted({r.seed for r in found})
    return [
        [(r.offset, getattr(r, quantity)) for r in found if r.objective == name and r.seed == seed] for seed in seeds
    ]


def draw(found: list[Reading], path: Path) -> Path:
    """Three panels over the offset: Jensen–Shannon divergence, Wasserstein distance, gradient at θ."""
    from triptych.figures.charts import panels

    offsets = sorted({r.offset for r in found})
    exact_js = [[(t, math.log(2) if t else 0.0) for t in offsets]]
    exact_w = [[(t, t) for t in offsets]]
    return panels(
        {
            "Jensen–Shannon divergence (nats)": {"exact": exact_js, "GAN": series(found, "GAN", "estimate")},
            "Wasserstein distance": {
                "exact": exact_w,
                "WGAN-GP": series(found, "WGAN-GP", "estimate"),
                "WGAN (up to its slope)": series(found, "WGAN", "estimate"),
            },
            "gradient at θ": {name: series(found, name, "pull") for name in OBJECTIVES},
        },
        path,
        xlabel="offset θ",
        powers=["gradient at θ"],
    )


def words(found: list[Reading]) -> list[str]:
    """The figure in sentences, from its numbers."""
    far = max(r.offset for r in found)
    near = min(r.offset for r in found if r.offset)

    def mean(name: str, offset: float, quantity: str) -> float:
        return estimate([getattr(r, quantity) for r in found if r.objective == name and r.offset == offset]).mean

    def gradient(name: str) -> str:
        return f"{mean(name, near, 'pull'):.3g} at θ = {near:g}, {mean(name, far, 'pull'):.3g} at θ = {far:g}"

    js_near, js_far = mean("GAN", near, "estimate"), mean("GAN", far, "estimate")
    w_near, w_far = mean("WGAN-GP", near, "estimate"), mean("WGAN-GP", far, "estimate")
    return [
        f"The GAN critic's divergence goes from {js_near:.3f} nats at θ = {near:g} to {js_far:.3f} at θ = {far:g}; "
        f"log 2 = {math.log(2):.3f} is all there is, so it cannot tell how far away the lines are.",
        f"The WGAN-GP critic reads {w_near:.3f} where the distance is {near:g}, and {w_far:.3f} where it is {far:g}.",
        f"Gradient that reaches θ: min-max GAN {gradient('GAN, min-max')}; GAN {gradient('GAN')}; "
        f"LSGAN {gradient('LSGAN')}; WGAN {gradient('WGAN')}; WGAN-GP {gradient('WGAN-GP')}.",
    ]
