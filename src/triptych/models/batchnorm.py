"""Batch normalisation at evaluation: statistics of the weights in use, not of those that training passed through."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from triptych.core import Sampler

BATCH_NORM = nn.modules.batchnorm._BatchNorm


def batch_norms(model: Sampler) -> dict[str, nn.modules.batchnorm._BatchNorm]:
    """Batch normalisation layers of the sampling players, by name."""
    return {k: m for k, m in model.named_modules() if isinstance(m, BATCH_NORM) and k.split(".")[0] in model.sampling}


def statistics(model: Sampler) -> dict[str, Tensor]:
    """Their running means and variances (c,) by name: the tensors themselves, not copies."""
    return {f"{k}.{name}": b for k, m in batch_norms(model).items() for name, b in m.named_buffers()}


@torch.no_grad()
def assign(model: Sampler, values: dict[str, Tensor]) -> None:
    """Set the running statistics to those kept earlier."""
    for k, b in statistics(model).items():
        b.copy_(values[k])


@torch.no_grad()
def reestimate(model: Sampler, batches: int = 8, batch: int = 256) -> None:
    """Set the running statistics to those of samples, batches × batch of them, drawn with the weights as they are.

    Averaged weights were never run in training mode, so the running statistics at hand belong to other weights; with
    them an averaged generator samples washed-out images. The same weights give the same statistics. For models
    that decode z alone; without batch normalisation nothing happens.

    Source: Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization", section 3.
    """
    layers = list(batch_norms(model).values())
    if not layers:
        return
    noise = torch.Generator().manual_seed(0)
    was = [(m, m.training, m.momentum) for m in layers]
    for m in layers:
        m.reset_running_stats()
        m.momentum = None  # a plain mean over the batches
        m.train()
    for _ in range(batches):
        model.decode(model.prior(batch, noise))
    for m, training, momentum in was:
        m.training, m.momentum = training, momentum
