"""Batch normalisation: at evaluation the statistics of the weights in use; in training those of the whole batch."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from triptych.core import Sampler, share

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


def over_shares(model: nn.Module) -> None:
    """Let batch normalisation of every player use the statistics of the whole batch where a share of it is computed.

    PyTorch's own layer for that is for CUDA alone. Of one's own batch, or in eval mode, calls are the plain ones.
    """
    for layer in model.modules():
        if isinstance(layer, BATCH_NORM):
            layer.forward = functools.partial(_normalised, layer, layer.forward)


def _normalised(layer: nn.modules.batchnorm._BatchNorm, plain: Callable[[Tensor], Tensor], input: Tensor) -> Tensor:
    if share.current().of == 1 or not layer.training:
        return plain(input)
    ranks, over = share.current().of, [0, *range(2, input.dim())]
    wide = input.to(torch.promote_types(input.dtype, torch.float32))
    # means and variances of all shares in one sum: each writes a row of its own
    rows = wide.new_zeros(ranks, 2, input.shape[1])
    rows[share.current().index] = torch.stack([wide.mean(over), wide.var(over, correction=0)])
    means, variances = share.everyone(rows).unbind(1)
    mean = means.mean(0)
    variance = variances.mean(0) + (means - mean).square().mean(0)
    if layer.track_running_stats and layer.running_mean is not None and layer.running_var is not None:
        _follow(layer, mean.detach(), variance.detach(), ranks * input.numel() // input.shape[1])
    scale = (variance + layer.eps).rsqrt()
    shift = -mean * scale
    if layer.affine:
        scale, shift = scale * layer.weight, shift * layer.weight + layer.bias
    form = [1, -1, *[1] * (input.dim() - 2)]
    return torch.addcmul(shift.view(form), wide, scale.view(form)).to(input.dtype)


@torch.no_grad()
def _follow(layer: nn.modules.batchnorm._BatchNorm, mean: Tensor, variance: Tensor, n: int) -> None:
    """The running statistics after a batch of n values a channel, as PyTorch has them."""
    assert layer.num_batches_tracked is not None
    assert layer.running_mean is not None
    assert layer.running_var is not None
    layer.num_batches_tracked += 1
    rate = layer.momentum if layer.momentum is not None else 1 / int(layer.num_batches_tracked)
    layer.running_mean.lerp_(mean.to(layer.running_mean), rate)
    layer.running_var.lerp_((variance * (n / (n - 1))).to(layer.running_var), rate)
