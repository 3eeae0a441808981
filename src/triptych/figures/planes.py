"""Points of the plane: samples over data, contours, paths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from triptych.core import Conditional, Data, Density, Model, Sampler
from triptych.core.labels import given
from triptych.core.model import affordable, class_count
from triptych.figures.canvas import FAINT, PALETTE, _canvas, _save, rendered, save_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes


DEAR = 10.0
"""Passes through the networks that a likelihood may take before maps of it are made of fewer points."""
SAMPLES, SAMPLE_PASSES, FEWEST = 2_000, 100_000, 500
"""Points that a plane shows, the passes through the networks that they may take, and the least that are shown."""
SIDES = (96, 32)
"""Points a side of the grid behind contours: usually, and where a likelihood is dear."""


def plane(
    samples: Tensor, data: Data | Tensor, path: str | Path, model: Model | None = None, labels: Tensor | None = None
) -> Path:
    """Draw 2-D samples (n, 2) over data (m, 2), with contours of what the model believes; returns the path.

    Contours are the exact log density where the model is a `Density`, else the score of its adversary where it has
    one, over all classes where it has some. The view is fixed by the data, so that panels of one data set can be
    compared; samples beyond it are counted in a corner. Samples of `labels` (n,) have a colour for each class, and
    neighbouring numbers have different ones.
    """
    return save_picture(plane_image(samples, data, model, labels), path)


def plane_image(
    samples: Tensor, data: Data | Tensor, model: Model | None = None, labels: Tensor | None = None
) -> Image.Image:
    """The picture that `plane` writes. Contours are on a coarser grid where a likelihood is dear; a corner says so."""
    figure, axes = _canvas(4.2, 4.2)
    draw_plane(axes, samples, data, model, labels)
    return rendered(figure)


def plane_of(model: Sampler, data: Data) -> Image.Image:
    """The plane with the model's samples, the same noise every time; fewer where a sample takes many passes.

    Of a model with classes in their colours.
    """
    n = affordable(SAMPLES, model.cost.sample, SAMPLE_PASSES, FEWEST)
    if not class_count(model):
        return plane_image(model.sample(n, seed=0), data, model)
    y = model.labels(None, n)
    return plane_image(model.sample(n, seed=0, y=y), data, model, y)


def paths(lines: Tensor, data: Data | Tensor, path: str | Path, *, every: int = 1, labels: Sequence[str] = ()) -> Path:
    """Draw paths (rows, steps, 2) through 2-D space as lines over data (m, 2); returns the path.

    A dot stands at every `every`-th step; `labels` name the rows.
    """
    figure, axes = _canvas(4.2, 4.2)
    draw_plane(axes, torch.zeros(0, 2), data)
    for i, line in enumerate(lines.detach().float().cpu().numpy()):
        color, label = PALETTE[i % len(PALETTE)], labels[i] if labels else None
        axes.plot(*line.T, "o-", color=color, markersize=2.5, linewidth=0.9, alpha=0.85, markevery=every, label=label)
    if labels:
        axes.legend(frameon=True, framealpha=0.8, fontsize=7, loc="upper right")
    return _save(figure, path)


def draw_plane(
    axes: Axes, samples: Tensor, data: Data | Tensor, model: Model | None = None, labels: Tensor | None = None
) -> None:
    """`plane` on given axes: samples (n, 2) over data (m, 2)."""
    points = (data.x if isinstance(data, Data) else data)[:2000].detach().float().cpu()
    samples = samples.detach().float().cpu()
    centre, half = view(points)
    said = [] if model is None else _contours(axes, model, centre, half)
    size = 5 if len(samples) <= 1000 else 2.5
    own = PALETTE[1:6]  # blue is what the model believes
    colors = own[0] if labels is None else [own[k % len(own)] for k in labels.tolist()]
    axes.scatter(*points.T.numpy(), s=size, c=FAINT, alpha=0.45, linewidths=0, rasterized=True)
    axes.scatter(*samples.T.numpy(), s=size, c=colors, alpha=0.7, linewidths=0, rasterized=True)
    axes.set_xlim(centre[0] - half, centre[0] + half)
    axes.set_ylim(centre[1] - half, centre[1] + half)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    outside = int((~((samples - torch.tensor(centre)).abs().amax(dim=1) <= half)).sum())
    if outside:
        axes.text(
            0.985, 0.015, f"{outside} of {len(samples)} outside", transform=axes.transAxes, ha="right", fontsize=8
        )

    if said and len(samples) < SAMPLES:
        said.insert(0, f"{len(samples)} samples")
    if said:
        axes.text(0.015, 0.015, ", ".join(said), transform=axes.transAxes, fontsize=7)


def view(points: Tensor) -> tuple[tuple[float, float], float]:
    """Centre and half-width of the square shown around points (m, 2): their extent and a quarter more."""
    low, high = points.amin(dim=0), points.amax(dim=0)
    centre = (low + high) / 2
    return (centre[0].item(), centre[1].item()), 1.25 * max(0.5 * (high - low).max().item(), 1e-6)


def scores(model: Model, critic: nn.Module, x: Tensor) -> Tensor:
    """The critic's scores of x (n, d), (n,); of one with classes the mean over these."""
    if not (k := class_count(model)):
        return critic(x).flatten()
    total = torch.zeros(len(x), device=x.device)
    for c in range(k):
        with given(torch.full((len(x),), c, device=x.device)):
            total += critic(x).flatten() / k
    return total


def dear(model: Model) -> bool:
    """Whether a map of the model's density is to be made of fewer points."""
    return isinstance(model, Density) and model.cost.likelihood > DEAR


@torch.no_grad()
def _contours(axes: Axes, model: Model, centre: tuple[float, float], half: float) -> list[str]:
    """Draws them, and says in words what was saved."""
    if isinstance(model, Conditional) and model.numbers:
        return []  # another density for each condition
    n = SIDES[dear(model)]
    line = torch.linspace(-half, half, n)
    y, x = torch.meshgrid(line + centre[1], line + centre[0], indexing="ij")
    spots = torch.stack([x.flatten(), y.flatten()], dim=1).to(model.device)
    if isinstance(model, Density):
        z = model.log_prob_to_look_at(spots)
        z = z.clamp_min(z[z.isfinite()].max().item() - 12) if z.isfinite().any() else z
    elif model.adversary in model.players:
        z = scores(model, model.players[model.adversary], spots)
    else:
        return []
    height = z.float().cpu().view(n, n).nan_to_num(posinf=0.0, neginf=0.0).numpy()
    if np.ptp(height) <= 0:
        return []
    x, y = x.numpy(), y.numpy()
    axes.contourf(x, y, height, levels=14, cmap="Blues", alpha=0.45, zorder=0)
    axes.contour(x, y, height, levels=14, colors=PALETTE[0], alpha=0.35, linewidths=0.5, zorder=0)
    return [f"density at {n}² points"] if dear(model) else []
