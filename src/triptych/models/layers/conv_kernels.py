"""Convolutions that are fast on a CPU, under any order of differentiation.

A convolution y = w ∗ x is linear in x and in w, so ⟨w ∗ x, y⟩ is one trilinear form, and its three gradients are all
there is: `_Conv2d` (towards y), `_ConvTranspose2d` (towards x) and `_WeightGradient` (towards w). The derivative of
each is made of the other two. Written so, the double backward of a gradient penalty is ordinary convolutions too;
PyTorch's own takes the second gradient of the weights through a convolution with a kernel as large as the image, and
copies every operand into another layout first.

Each of the three chooses its kernel by shape, precision and kind of processor alone, so that a resumed run repeats the
same arithmetic: oneDNN's kernels, or one matrix product over image patches (im2col, col2im) where the image is small
and the kernel 3×3 or 4×4 of stride 2. The limits were measured with matrix units (AMX), on AVX-512 with bfloat16
instructions, and on AVX2 (benchmarks/conv_paths.py). In bfloat16 a product makes the weights' gradient of a 512 → 1024
layer 4 times faster at 4×4 px and 16 times at 2×2. In float32 with AVX-512 it is worth it only there, with AVX2, where
oneDNN's gradient of wide layers runs at half the rate of its convolution, from 256 → 256 on. The double backward makes
a penalised critic's step a sixth shorter. The first and last layers of images have too few channels to fill a vector
of oneDNN's convolutions; where float32 products are oneDNN's (`linear.py`), or vectors are AVX2's, products are faster.

All this holds on a CPU, in bfloat16 and, for networks that `place` brought into channels_last, in float32. On a GPU the
three are cuDNN's kernels, and the derivatives are those of here; in compiled graphs `trainer/graph_rewrites.py` sees to
the same. Elsewhere `conv2d` and `conv_transpose2d` are PyTorch's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from triptych.models.layers import linear
from triptych.models.layers.linear import needs_gradient, of_weights, takes_onednn
from triptych.system.processor import AVX2, of_processor


def conv2d(x: Tensor, w: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """x (n, c, h, w) and w (o, c, k, k) to (n, o, h', w'), as `F.conv2d`."""
    if torch.compiler.is_compiling():
        return F.conv2d(x, w, bias, stride, padding)
    x, w, bias = cast_for_autocast(x, w, bias)
    if not has_own_derivatives(x, w):
        return F.conv2d(x, w, bias, stride, padding)
    return _Conv2d.apply(channels_last(x), channels_last(w), bias, stride, padding)


def conv_transpose2d(y: Tensor, w: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """y (n, o, h, w) and w (o, c, k, k) to (n, c, h', w'), as `F.conv_transpose2d`."""
    if torch.compiler.is_compiling():
        return F.conv_transpose2d(y, w, bias, stride, padding)
    y, w, bias = cast_for_autocast(y, w, bias)
    if not has_own_derivatives(y, w):
        return F.conv_transpose2d(y, w, bias, stride, padding)
    sides = tuple(stride * (s - 1) + w.shape[2] - 2 * padding for s in y.shape[2:])
    return _ConvTranspose2d.apply(channels_last(y), channels_last(w), bias, stride, padding, sides)


def cast_for_autocast(x: Tensor, w: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """The operands in autocast's dtype where it is on, which does not look inside a custom function."""
    kind = x.device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return x, w, bias
    to = torch.get_autocast_dtype(kind)
    return x.to(to), w.to(to), None if bias is None else bias.to(to)


def has_own_derivatives(x: Tensor, w: Tensor) -> bool:
    """Whether the functions of this module are used for x and w, rather than PyTorch's."""
    if x.device.type == "cuda":
        return torch.is_grad_enabled() and not linear.transformed()
    if x.device.type != "cpu":
        return False
    if x.dtype == torch.bfloat16:
        return True
    if x.dtype != torch.float32:
        return False
    return is_channels_last(x) or is_channels_last(w) or w.shape[1] <= products(x.dtype).weights.channels


def is_channels_last(x: Tensor) -> bool:
    """Whether x (n, c, h, w) is in channels-last memory format and in no other."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def channels_last(x: Tensor) -> Tensor:
    """x (n, c, h, w) in channels-last memory format."""
    return x.contiguous(memory_format=torch.channels_last)


class _Conv2d(Function):
    """(x, w) to y."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, w)
        ctx.how = stride, padding
        if is_stride_2(w, stride, padding) and products(w.dtype).forward.hold(w, pixels(x) // 4):
            return im2col_product(x, w, bias)
        return torch.conv2d(x, w, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None) -> Any:
        if g is None:
            return None, None, None, None, None
        (x, w), how = ctx.saved_tensors, ctx.how
        g = channels_last(g)
        gx = _ConvTranspose2d.apply(g, w, None, *how, x.shape[2:]) if needs_gradient(ctx, 0) else None
        gw = _WeightGradient.apply(x, g, *how, w.shape[2]) if needs_gradient(ctx, 1) else None
        gb = g.sum((0, 2, 3)) if needs_gradient(ctx, 2) else None
        return gx, gw, gb, None, None


class _ConvTranspose2d(Function):
    """(y, w) to x of the given sides: the transpose of `_Conv2d`."""

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, w: Tensor, bias: Tensor | None, stride: int, padding: int, sides: tuple[int, int]
    ) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(y, w)
        ctx.how = stride, padding
        rest = [s - (stride * (t - 1) + w.shape[2] - 2 * padding) for s, t in zip(sides, y.shape[2:], strict=True)]
        doubles = is_stride_2(w, stride, padding) and w.shape[2] == 4 and not any(rest)
        if doubles and products(w.dtype).transposed.hold(w, pixels(y)):
            return col2im_product(y, w, bias)
        return torch.conv_transpose2d(y, w, bias, stride, padding, rest)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None) -> Any:
        if g is None:
            return None, None, None, None, None, None
        (y, w), how = ctx.saved_tensors, ctx.how
        g = channels_last(g)
        gy = _Conv2d.apply(g, w, None, *how) if needs_gradient(ctx, 0) else None
        gw = _WeightGradient.apply(g, y, *how, w.shape[2]) if needs_gradient(ctx, 1) else None
        gb = g.sum((0, 2, 3)) if needs_gradient(ctx, 2) else None
        return gy, gw, gb, None, None, None


class _WeightGradient(Function):
    """(x, y) to w of side k: the gradient of ⟨w ∗ x, y⟩ towards w."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, stride: int, padding: int, k: int) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.how = stride, padding
        w = channels_last(x.new_empty(y.shape[1], x.shape[1], k, k))
        if is_stride_2(w, stride, padding) and products(w.dtype).weights.hold(w, pixels(y)):
            return weight_gradient_product(x, y, k)
        both = (stride, stride), (padding, padding), (1, 1), False, (0, 0), 1, (False, True, False)
        return torch.ops.aten.convolution_backward(y, x, w, None, *both)[1]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (x, y), how = ctx.saved_tensors, ctx.how
        g = channels_last(g)
        gx = _ConvTranspose2d.apply(y, g, None, *how, x.shape[2:]) if needs_gradient(ctx, 0) else None
        gy = _Conv2d.apply(x, g, None, *how) if needs_gradient(ctx, 1) else None
        return gx, gy, None, None, None


# ------------------------------------------- 3×3 or 4×4, stride 2, padding 1 as one matrix product (im2col)


def is_stride_2(w: Tensor, stride: int, padding: int) -> bool:
    """Whether a convolution with w (o, c, k, k) on a CPU halves the sides, as the matrix products below have it."""
    return w.device.type == "cpu" and w.shape[2] in (3, 4) and stride == 2 and padding == 1


def pixels(x: Tensor) -> int:
    """h · w of x (n, c, h, w)."""
    return x.shape[2] * x.shape[3]


@dataclass(frozen=True)
class Limits:
    """Where a matrix product is faster than oneDNN's convolution: with so few channels of the larger image, or where
    the smaller one is small and a tap has weights enough, o · c of them."""

    channels: int = 0
    up_to_4: float = math.inf
    """weights of a tap from which on it is faster up to 4×4 px"""
    up_to_8: float = math.inf
    """and up to 8×8 px"""

    def hold(self, w: Tensor, count: int) -> bool:
        """Of w (o, c, k, k) and a smaller image of so many pixels."""
        o, c = w.shape[:2]
        return c <= self.channels or (count <= 16 and o * c >= self.up_to_4) or (count <= 64 and o * c >= self.up_to_8)


@dataclass(frozen=True)
class Products:
    """The limits of the convolution, of its transpose, and of the gradient of the weights.

    Measured between 32 and 1,024 channels, and with 1 to 16 on the side of the larger image.
    """

    forward: Limits
    transposed: Limits
    weights: Limits


FLOAT32 = Products(Limits(0, 512 * 1024), Limits(), Limits(0, 512 * 1024))
AVX2_FLOAT32 = Products(Limits(0, 512 * 512), Limits(4, 512 * 512), Limits(1, 256 * 256, 256 * 512))
AMD_FLOAT32 = Products(Limits(1, 512 * 1024), Limits(4), Limits(1, 128 * 256))
"""Where products are `linear.py`'s."""
BFLOAT16 = Products(Limits(0, 256 * 512), Limits(0, 256 * 512), Limits(0, 1, 128 * 256))
AMD_BFLOAT16 = Products(Limits(1, 256 * 512), Limits(0, 256 * 512), Limits(1, 1, 128 * 256))


@cache
def products(dtype: torch.dtype) -> Products:
    """The limits on this kind of processor."""
    exact = dtype == torch.float32
    if linear.is_faster():
        return AMD_FLOAT32 if exact else AMD_BFLOAT16
    if exact and of_processor() is AVX2:
        return AVX2_FLOAT32
    return FLOAT32 if exact else BFLOAT16


def patches(x: Tensor, k: int) -> Tensor:
    """im2col: x (n, c, h, w) to its k×k patches (n · h' · w', k²c), k rows of k neighbouring pixels each.

    In channels-last format neighbouring pixels are contiguous, so the copy runs at full speed.
    """
    n, c, h, w = x.shape
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    row = (w + 2) * c
    view = padded.as_strided((n, *halved(x, k), k, k * c), ((h + 2) * row, 2 * row, 2 * c, row, 1))
    return view.reshape(-1, k * k * c)


def halved(x: Tensor, k: int) -> tuple[int, int]:
    """Height and width of an image after a k×k convolution of stride 2 and padding 1."""
    return (x.shape[2] - k) // 2 + 2, (x.shape[3] - k) // 2 + 2


def rows(y: Tensor) -> Tensor:
    """(n, o, h, w) to (n · h · w, o): a view in channels-last format."""
    return y.permute(0, 2, 3, 1).reshape(-1, y.shape[1])


def matrix(w: Tensor) -> Tensor:
    """(o, c, k, k) to (o, k²c): a view in channels-last format."""
    return w.permute(0, 2, 3, 1).reshape(w.shape[0], -1)


def im2col_product(x: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
    """`conv2d` of stride 2 and padding 1 as one matrix product: x (n, c, h, w) to (n, o, h', w')."""
    k = w.shape[2]
    left, right = patches(x, k), matrix(w)
    if takes_onednn(left, right):
        return image(linear.product(left, right, bias), len(x), *halved(x, k))
    y = empty(x, len(x), len(w), *halved(x, k))
    if bias is None:
        torch.mm(left, right.t(), out=rows(y))
    else:
        torch.addmm(bias, left, right.t(), out=rows(y))
    return y


def col2im_product(y: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
    """`conv_transpose2d`, 4×4, of stride 2 and padding 1, as one matrix product: y (n, o, h, w) to (n, c, 2h, 2w)."""
    n, _, h, wide = y.shape
    c = w.shape[1]
    pieces = linear.linear(rows(y), matrix(w).t()).view(n, h, wide, 4, 4, c)
    padded = y.new_zeros(n, h + 1, 2, wide + 1, 2, c)
    for a in (0, 1):
        for b in (0, 1):
            piece = pieces[:, :, :, 2 * a : 2 * a + 2, 2 * b : 2 * b + 2]
            padded[:, a : a + h, :, b : b + wide].add_(piece.transpose(2, 3))
    inside = padded.view(n, 2 * h + 2, 2 * wide + 2, c)[:, 1:-1, 1:-1].permute(0, 3, 1, 2)
    x = empty(y, n, c, 2 * h, 2 * wide)
    return x.copy_(inside) if bias is None else torch.add(inside, bias.view(-1, 1, 1), out=x)


def empty(like: Tensor, *shape: int) -> Tensor:
    """An uninitialised channels-last tensor: a function's result must own its memory for in-place layers after it."""
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def image(y: Tensor, n: int, h: int, w: int) -> Tensor:
    """A fresh (n · h · w, o) as (n, o, h, w) in channels-last format, which owns the memory: see `empty`."""
    o = y.shape[1]
    return y.new_empty(0).set_(y.untyped_storage(), 0, (n, o, h, w), (h * w * o, 1, w * o, o))


def weight_gradient_product(x: Tensor, y: Tensor, k: int) -> Tensor:
    """The gradient (o, c, k, k) of ⟨w ∗ x, y⟩ towards w, as one matrix product."""
    left, right = rows(y), patches(x, k)
    if takes_onednn(left.t(), right.t()):
        g = of_weights(right, left).contiguous()
    elif right.shape[1] < left.shape[1]:
        g = (right.t() @ left).t().contiguous()
    else:  # oneDNN is half as fast on a transposed left operand as on a copy of it
        g = left.t().contiguous() @ right
    return g.view(y.shape[1], k, k, x.shape[1]).permute(0, 3, 1, 2)
