"""Affine maps of rows in float32, by the faster of two matrix products.

PyTorch multiplies float32 matrices by MKL, which runs at half the rate of an AMD processor with AVX-512; oneDNN at
nearly all of it (benchmarks/linear_paths.py). oneDNN's product has no derivative of its own: `_Product` gives it one,
made of products again, so that it has them of every order, as gradient penalties need.

All this holds for float32 on such a processor and for products that are worth it. Elsewhere `linear` is PyTorch's, and
so it is under autocast, in compiled and exported graphs, and where derivatives are taken forward or by `torch.func`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function, forward_ad

from triptych.system import processor

LEAST = 2**22
"""Multiplications of a product below which the detour costs more than it gains."""


def linear(x: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., i) and w (o, i) to x wᵀ + bias, (..., o), as `F.linear`."""
    if not takes_onednn(x, w):
        return F.linear(x, w, bias)
    if not torch.is_grad_enabled():
        return product(x, w, bias)
    y = _Product.apply(x.reshape(-1, x.shape[-1]), w, bias)
    return y if x.dim() == 2 else y.view(*x.shape[:-1], w.shape[0])


class Linear(nn.Linear):
    """`nn.Linear` by `linear`: equal weights, names and initialisation."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


def takes_onednn(x: Tensor, w: Tensor) -> bool:
    """Whether x wᵀ is left to oneDNN."""
    if torch.compiler.is_compiling():  # first: a graph whose sizes are open must not be asked for them
        return False
    if x.numel() * w.shape[0] < LEAST or x.dtype is not torch.float32 or w.dtype is not torch.float32:
        return False
    if x.device.type != "cpu" or not is_faster() or torch.is_autocast_enabled("cpu"):
        return False
    return not transformed()


def transformed() -> bool:
    """Whether derivatives are taken forward or by `torch.func` here."""
    return bool(torch._C._are_functorch_transforms_active()) or forward_ad._current_level >= 0


@cache
def is_faster() -> bool:
    """Whether oneDNN's product is faster than PyTorch's here."""
    return processor.halves_float32_products()


def product(x: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., i), w (o, i) and a bias (o,) to x wᵀ + bias, (..., o), by oneDNN, without derivatives."""
    return torch.ops.mkldnn._linear_pointwise(x, w, bias, "none", [], "")


class _Product(Function):
    """`product` with derivatives."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, w)
        return product(x, w, bias)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None) -> Any:
        if g is None:
            return None, None, None
        x, w = ctx.saved_tensors
        gx = linear(g, w.t()) if needs_gradient(ctx, 0) else None
        gw = of_weights(x, g) if needs_gradient(ctx, 1) else None
        gb = g.sum(0) if needs_gradient(ctx, 2) else None
        return gx, gw, gb


def of_weights(x: Tensor, g: Tensor) -> Tensor:
    """gᵀ x, (o, i), of x (n, i) and g (n, o). oneDNN takes the left operand by rows: the narrower one is copied."""
    n, o = g.shape
    if x.shape[1] < o < n:
        return linear(x.t(), g.t()).t()
    return linear(g.t(), x.t())


def needs_gradient(ctx: Any, i: int) -> bool:
    """Whether this backward pass needs the gradient of tensor input i.

    The first backward of a penalty needs none of the weights.
    """
    if not ctx.needs_input_grad[i]:
        return False
    try:
        return torch._C._will_engine_execute_node(ctx.next_functions[i][0])
    except RuntimeError:  # raised for a leaf that is itself asked for
        return True
