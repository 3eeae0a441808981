"""Figures of a trained flow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from triptych.core import Density, Model, Sampler
from triptych.core.model import Stepwise
from triptych.errors import UserError
from triptych.explore.output import opened, train_data
from triptych.figures import flows
from triptych.run.folder import Which


def write_flow_figures(
    run: str | Path,
    out: str | Path | None = None,
    *,
    which: Which = "last",
    device: str = "auto",
    model: Model | None = None,
    data: str | None = None,
) -> list[Path]:
    """What only a flow can show; returns the files.

    In the plane its density beside the true one, where it takes a grid of z, noise in stages on its way to data, and
    samples at temperatures from 0.5 to 1; of images the temperatures. Of a flow in continuous time also an animation:
    points, or images, on their way.
    """
    found, model = opened(run, which, device=device, model=model)
    if not (isinstance(model, Sampler) and isinstance(model, Density)):
        raise UserError(f"{found.path} holds {type(model).__name__}; these figures are of flows, choose a run of one")
    draw: dict[str, Callable[..., Path]] = {"temperatures.png": flows.temperatures}
    if len(model.shape) == 1:
        draw |= {"density.png": flows.density, "warp.png": flows.warp, "stages.png": flows.stages}
    if isinstance(model, Stepwise):
        draw["motion.webp"] = flows.motion
    train, folder = train_data(found, data), Path(out) if out is not None else found.path / "flow"
    with torch.no_grad():
        return [figure(model, train, folder / name) for name, figure in draw.items()]
