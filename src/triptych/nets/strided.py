"""Strided convolutions that train quickly in bfloat16 on a CPU with matrix units.

Forward and input gradient are the library's. Its gradients of the weights at small sides, and of a transposed
layer's bias, take longer than all the rest: here they are four matrix products, and one sum. Weights,
shapes and state dicts are those of `nn.Conv2d` and `nn.ConvTranspose2d`, which do the work everywhere else.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PRODUCT_SIDE = {False: 4, True: 8}
"""Largest side of the smaller picture at which matrix products are the quicker weight gradient, by `transposed`."""


class Down(nn.Conv2d):
    """3x3 convolution of stride 2 and padding 1: (n, c, 2h, 2w) to (n, c', h, w)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, stride=2, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        if in_bfloat16(input):
            return _Strided.apply(input.bfloat16(), self.weight.bfloat16(), as_bfloat16(self.bias), False)
        return super().forward(input)


class Up(nn.ConvTranspose2d):
    """4x4 transposed convolution of stride 2 and padding 1: (n, c, h, w) to (n, c', 2h, 2w)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if in_bfloat16(input):
            return _Strided.apply(input.bfloat16(), self.weight.bfloat16(), as_bfloat16(self.bias), True)
        return super().forward(input, output_size)


def in_bfloat16(x: Tensor) -> bool:
    """Whether a layer is called under bfloat16 autocast on the CPU."""
    autocast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    return autocast and x.device.type == "cpu"


def as_bfloat16(bias: Tensor | None) -> Tensor:
    assert bias is not None
    return bias.bfloat16()


def weight_gradient(small: Tensor, large: Tensor, kernel: int) -> Tensor:
    """Σ over images and places of small (n, c, h, w) times the patches of large, stride 2, padding 1: (c, c', k, k).

    The padded large picture becomes a grid of 2x2 blocks, (h + 1)(w + 1) of them, in one long list. Kernel rows 2a + r
    and columns 2b + s meet block (i + a, j + b): for each (a, b) that is the same list, read from a fixed offset, so
    no patch is ever copied. Places of the grid outside the small picture hold 0.
    """
    (n, c, h, w), outputs = small.shape, large.shape[1]
    bottom, right = 2 * (h + 1) - large.shape[2] - 1, 2 * (w + 1) - large.shape[3] - 1
    padded = F.pad(large, (1, right, 1, bottom)).permute(0, 2, 3, 1).contiguous()
    blocks = padded.view(n, h + 1, 2, w + 1, 2 * outputs).transpose(2, 3).reshape(-1, 4 * outputs)
    sums = F.pad(small, (0, 1, 0, 1)).permute(0, 2, 3, 1).reshape(-1, c).T
    gradient = small.new_empty(c, 2, 2, 2, 2, outputs)
    for a in (0, 1):
        for b in (0, 1):
            offset = a * (w + 1) + b
            product = sums[:, : sums.shape[1] - offset] @ blocks[offset:]
            gradient[:, a, :, b] = product.view(c, 2, 2, outputs)
    return gradient.view(c, 4, 4, outputs)[:, :kernel, :kernel].permute(0, 3, 1, 2)


class _Strided(torch.autograd.Function):
    """Convolution of stride 2 and padding 1, or its transpose."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, transposed: bool) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.transposed = transposed
        return (F.conv_transpose2d if transposed else F.conv2d)(x, weight, bias, stride=2, padding=1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors

        def library(dx: bool, dw: bool) -> tuple[Tensor, Tensor, Tensor]:
            return torch.ops.aten.convolution_backward(
                grad, x, weight, None, [2, 2], [1, 1], [1, 1], ctx.transposed, [0, 0], 1, [dx, dw, False]
            )

        small, large = (x, grad) if ctx.transposed else (grad, x)
        dx = library(True, False)[0] if ctx.needs_input_grad[0] else None
        if small.shape[2] <= PRODUCT_SIDE[ctx.transposed]:
            dw = weight_gradient(small, large, weight.shape[2])
        else:
            dw = library(False, True)[1]
        return dx, dw, grad.sum((0, 2, 3)), None
