"""Figures that only flows allow: the density, the warp from z to data, samples at several temperatures."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from triptych.core import Conditional, Data, Density, Latent, Model, Sampler
from triptych.core.model import Stepwise, class_count, decoded
from triptych.errors import UserError
from triptych.figures.canvas import PALETTE, _save
from triptych.figures.planes import dear, draw_plane, plane_image, view
from triptych.figures.tiles import grid, loop, tile
from triptych.models.families import FlowModel
from triptych.models.latent_space import one_class
from triptych.models.layers.bijections import Compose, Permutation, Standardize, Transform

TEMPERATURES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def density(model: Density, data: Data, path: str | Path, pixels: int = 240) -> Path:
    """Map of exp log p(x) over the square around 2-D data, beside the true density where the data know it.

    Both panels have one colour scale, cut at the 99.5th percentile of the truth (or of the model); returns the path.
    Where a likelihood takes many passes, half as many pixels a side; the title says so.
    """
    centre, half = _view(model, data)
    pixels = pixels // 2 if dear(model) else pixels
    axis = torch.linspace(-half, half, pixels)
    points = torch.cartesian_prod(axis + centre[1], axis + centre[0]).flip(1)
    title = f"model, at {pixels}² points" if dear(model) else "model"
    maps = [(title, _exp(model.log_prob_to_look_at, points, model.device))]
    if data.distribution is not None:
        maps.insert(0, ("truth", _exp(data.log_prob, points, torch.device("cpu"))))
    top = torch.quantile(maps[0][1], 0.995).item()
    figure, panels = _panels(len(maps))
    for axes, (name, values) in zip(panels, maps, strict=True):
        extent = (centre[0] - half, centre[0] + half, centre[1] - half, centre[1] + half)
        image = values.view(pixels, pixels).numpy()
        axes.imshow(image, origin="lower", extent=extent, vmin=0, vmax=top, cmap="viridis")
        axes.set_title(name, fontsize=9)
    return _save(figure, path)


def warp(model: Latent, data: Data, path: str | Path, lines: int = 21, extent: float = 2.5) -> Path:
    """A square grid in z ∈ [−extent, extent]² and its image under the inverse flow; returns the path.

    Of a flow with classes that of class 0.
    """
    centre, half = _view(model, data)
    ticks, fine = torch.linspace(-extent, extent, lines), torch.linspace(-extent, extent, 400)
    one = torch.stack([torch.stack([t.expand_as(fine), fine], 1) for t in ticks])
    rows = torch.cat([one, one.flip(2)])
    with torch.no_grad():
        z, held = rows.flatten(0, 1).to(model.device), one_class(model)
        bent = decoded(model, z, model.labels(held, len(z)), len(z)).cpu().view(rows.shape)
    figure, (base, space) = _panels(2)
    draw_plane(space, torch.zeros(0, 2), data)
    for axes, paths in ((base, rows), (space, bent)):
        for i, line in enumerate(paths):
            axes.plot(*line.T.numpy(), color=PALETTE[i >= lines], linewidth=0.5, alpha=0.8)
    base.set_aspect("equal")
    base.set_title("z", fontsize=9)
    space.set_title("x = f⁻¹(z), class 0" if class_count(model) else "x = f⁻¹(z)", fontsize=9)
    space.set_xlim(centre[0] - half, centre[0] + half)
    space.set_ylim(centre[1] - half, centre[1] + half)
    return _save(figure, path)


def stages(model: Sampler, data: Data, path: str | Path, panels: int = 5) -> Path:
    """2,000 draws of z on their way to 2-D data, a colour for each direction that they come from; returns the path.

    Of a flow of layers the states between them, evenly spread, with the axes in the order of x; of one in continuous
    time those at some times, which stand closer towards the end.
    """
    _view(model, data)
    z = model.prior(2_000, torch.Generator().manual_seed(0))
    with torch.no_grad(), model.given(None, len(z)) if isinstance(model, Conditional) else nullcontext():
        found = _at_times(model, z, panels) if isinstance(model, Stepwise) else _between_layers(model, z, panels)
    colours = torch.atan2(z[:, 1], z[:, 0]).cpu().numpy()
    figure, axes = _panels(len(found))
    for panel, (name, x) in zip(axes, found, strict=True):
        x = x.float().cpu()
        panel.scatter(*x.T.numpy(), c=colours, cmap="hsv", s=2, alpha=0.8, linewidths=0, rasterized=True)
        (left, low), half = view(x)
        panel.set_xlim(left - half, left + half)
        panel.set_ylim(low - half, low + half)
        panel.set_aspect("equal")
        panel.set_title(name, fontsize=9)
    return _save(figure, path)


def _at_times(model: Stepwise, z: Tensor, panels: int) -> list[tuple[str, Tensor]]:
    """States of a flow in continuous time, with the time as their name; later times stand closer."""
    steps = 16 * (panels - 1)
    way = list(model.path(z, steps))
    at = [round(steps * (1 - (1 - i / (panels - 1)) ** 2)) for i in range(panels)]
    return [(f"t = {i / steps:.2g}", way[i]) for i in at]


def _between_layers(model: Sampler, z: Tensor, panels: int) -> list[tuple[str, Tensor]]:
    """States between the layers of a flow, with the number of layers passed as their name; z and x for any other."""
    flow = model.flow if isinstance(model, FlowModel) else None
    if not isinstance(flow, Compose):
        return [("z", z), ("x", model.decode(z))]
    parts = [part for part in reversed(flow.parts) if isinstance(part, Transform)]

    def as_in_x(state: Tensor, ahead: Sequence[Transform]) -> Tensor:
        for part in ahead:
            state = part.inverse(state) if isinstance(part, Permutation) else state
        return state

    states, x = [as_in_x(z, parts)], z
    for i, part in enumerate(parts):
        x = part.inverse(x)
        if not isinstance(part, Permutation | Standardize):  # these give the same points another order or unit
            states.append(as_in_x(x, parts[i + 1 :]))
    n = len(states) - 1
    chosen = sorted({round(i * n / (panels - 1)) for i in range(panels)})
    names = {0: "z", n: "x"}
    return [(names.get(i, f"after {i} of {n}"), states[i]) for i in chosen[:-1]] + [("x", model.decode(z))]


def temperatures(model: Sampler, data: Data, path: str | Path, at: Sequence[float] = TEMPERATURES) -> Path:
    """The same draws of z times each temperature, decoded: a panel each for 2-D data, a row of 10 each for images."""
    if data.is_images:
        samples = torch.cat([model.sample(10, seed=0, temperature=t) for t in at])
        return grid(samples, path, columns=10)
    _view(model, data)
    figure, panels = _panels(len(at))
    for axes, t in zip(panels, at, strict=True):
        draw_plane(axes, model.sample(2_000, seed=0, temperature=t), data)
        axes.set_title(f"temperature {t:g}", fontsize=9)
    return _save(figure, path)


def motion(model: Stepwise, data: Data, path: str | Path, frames: int = 24) -> Path:
    """An animation of noise on its way to data: 2,000 points of the plane, or 36 images; returns the path."""
    assert isinstance(model, Latent)
    if not data.is_images:
        _view(model, data)
    z = model.prior(36 if data.is_images else 2_000, torch.Generator().manual_seed(0))
    with torch.no_grad():
        shown = [tile(x) if data.is_images else plane_image(x, data) for x in model.path(z, frames)]
    return loop([*shown, *shown[-1:] * 8], path, seconds=0.1)


def _view(model: Model, data: Data) -> tuple[tuple[float, float], float]:
    if model.shape != (2,):
        raise UserError(f"this figure shows the plane and the flow has examples of shape {model.shape}; use a 2-D set")
    return view(data.x[:2000].float().cpu())


def _exp(log_prob: Any, points: Tensor, device: torch.device) -> Tensor:
    with torch.no_grad():
        return torch.cat([log_prob(part.to(device)).exp().float().cpu() for part in points.split(8192)])


def _panels(n: int) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * n, 3.4), layout="constrained")
    panels = list(figure.subplots(1, n, squeeze=False)[0])
    for axes in panels:
        axes.set_xticks([])
        axes.set_yticks([])
    return figure, panels
