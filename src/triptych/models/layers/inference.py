"""Layers without gradients on a CPU: what samples are made by, where a network is called many times with equal weights.

Weights are cast and laid out as oneDNN wants them once, not at every call; images stay in channels_last; what is added
to a convolution is added while it is written; what the time makes of a normalisation is part of its weights; and
enlarged images are not made, only convolved.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.models.layers.conv import enlarging_taps
from triptych.system.processor import onednn_takes


def available(device: str, dtype: torch.dtype) -> bool:
    """Whether there is a form of these layers for tensors of that dtype there."""
    return device == "cpu" and onednn_takes(dtype)


Network = Callable[..., Tensor]
"""F of images x_t / r (n, *shape) and times (n, 1)."""


class Preparable(nn.Module, ABC):
    """Abstract base of networks that have a form for samples, which are many passes with equal weights."""

    @abstractmethod
    def prepared(self, dtype: torch.dtype) -> Network:
        """The same function up to rounding to `dtype`, of the weights as they are now, on a CPU without gradients."""


def in_bfloat16(network: nn.Module, device: str) -> Network:
    """A network's passes in bfloat16: its form for samples, else autocast."""
    if isinstance(network, Preparable) and available(device, torch.bfloat16):
        return network.prepared(torch.bfloat16)

    def call(*inputs: Tensor) -> Tensor:
        with torch.autocast(device, torch.bfloat16):
            return network(*inputs)

    return call


class Packed:
    """A convolution whose weights are cast, and laid out for the first input that it sees."""

    def __init__(self, conv: nn.Module, dtype: torch.dtype) -> None:
        assert isinstance(conv, nn.Conv2d)
        self.weight = conv.weight.detach().to(dtype).contiguous(memory_format=torch.channels_last)
        self.bias = None if conv.bias is None else conv.bias.detach().to(dtype)
        self.how = list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups
        self.new = True

    def __call__(self, x: Tensor, onto: Tensor | None = None) -> Tensor:
        """x (n, c, h, w) to (n, o, h', w'), plus `onto` of that shape."""
        if self.new:
            self.weight = torch.ops.mkldnn._reorder_convolution_weight(self.weight, *self.how, list(x.shape))
            self.new = False
        convolve = torch.ops.mkldnn._convolution_pointwise
        if onto is None:
            return convolve(x, self.weight, self.bias, *self.how, "none", [], "")
        return convolve.binary(x, onto, self.weight, self.bias, *self.how, "add", None, None, [], None)


class PackedUp:
    """A 3×3 convolution of an image twice as large, by nearest neighbours: 4/9 of the work, as `enlarging_taps`."""

    def __init__(self, conv: nn.Module, dtype: torch.dtype) -> None:
        assert isinstance(conv, nn.Conv2d)
        w = enlarging_taps(conv.weight.detach())
        self.weight = w.to(dtype).contiguous(memory_format=torch.channels_last)
        self.bias = None if conv.bias is None else conv.bias.detach().to(dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """x (n, c, h, w) to (n, o, 2h, 2w)."""
        return torch.conv_transpose2d(x, self.weight, self.bias, 2, 1)


def normalised(norm: nn.Module, x: Tensor, gain: Tensor | None = None, offset: Tensor | None = None) -> Tensor:
    """`norm(x)` of x (n, c, h, w), its weights replaced by gain and offset (n, c) or (1, c) where they are given.

    Statistics and weights are float32 in bfloat16 too.
    """
    assert isinstance(norm, nn.GroupNorm)
    if gain is None or offset is None:
        return F.group_norm(x, norm.num_groups, norm.weight.detach(), norm.bias.detach(), norm.eps)
    if gain.shape[0] == 1:
        return F.group_norm(x, norm.num_groups, gain[0], offset[0], norm.eps)
    gain, offset = (part.to(x.dtype)[:, :, None, None] for part in (gain, offset))
    return torch.addcmul(offset, F.group_norm(x, norm.num_groups, None, None, norm.eps), gain)


def activated(norm: nn.Module, x: Tensor, gain: Tensor | None = None, offset: Tensor | None = None) -> Tensor:
    """SiLU of `normalised`."""
    return F.silu(normalised(norm, x, gain, offset), inplace=True)
