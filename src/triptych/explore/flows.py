"""Figures of a trained flow."""

from __future__ import annotations

from pathlib import Path

import torch

from triptych.core import Model
from triptych.errors import UserError
from triptych.explore.output import opened, train_data
from triptych.figures import flows
from triptych.models.families import FlowModel
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

    In the plane its density beside the true one, where it takes a grid of z, and samples at temperatures from 0.5 to
    1; of images the temperatures.
    """
    found, model = opened(run, which, device=device, model=model)
    if not isinstance(model, FlowModel):
        raise UserError(f"{found.path} holds {type(model).__name__}; these figures are of flows, choose a run of one")
    draw = {"temperatures": flows.temperatures}
    if len(model.shape) == 1:
        draw = {"density": flows.density, "warp": flows.warp} | draw
    train, folder = train_data(found, data), Path(out) if out is not None else found.path / "flow"
    with torch.no_grad():
        return [figure(model, train, folder / f"{name}.png") for name, figure in draw.items()]
