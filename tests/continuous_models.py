"""Continuous flows away from their start."""

from __future__ import annotations

import functools

import networks
import torch

from triptych.data import load
from triptych.models.flows.continuous import ContinuousFlow
from triptych.models.flows.velocity import VelocityMLP

perturbed = functools.partial(networks.perturbed, by=0.05)


def plane(by: float = 0.05, **how) -> ContinuousFlow:
    torch.manual_seed(0)
    model = VelocityMLP(width=16, octaves=2, **how).build((2,))
    assert isinstance(model, ContinuousFlow)
    model.fit(load("8gaussians").x[:5000])
    perturbed(model, by=by)
    return model
