"""Convolutions that are quick on a processor in bfloat16, under any order of differentiation.

A convolution y = w ∗ x is linear in x and in w, so ⟨w ∗ x, y⟩ is one trilinear form, and its three gradients are all
there is: `_Convolve` (towards y), `_Spread` (towards x, the transposed convolution) and `_Correlate` (towards w).
The derivative of each is made of the other two. Written so, the second backward of a gradient penalty is ordinary
convolutions too; PyTorch's own takes the weights' second gradient through a convolution with a kernel as large as
the picture, and copies every operand into another layout first.

Each of the three picks its way by shape alone, so that a resumed run repeats the same arithmetic: oneDNN's
kernels, or one matrix product over gathered windows where the picture is small and the kernel 4×4 of stride 2
(at 8 px and 512 → 1024 channels the weights' gradient is ten times quicker so).

All this holds in bfloat16 on a CPU, which is what mixed precision uses there. Elsewhere the layers are PyTorch's.

`Conv`, `Down` and `Up` are for any network. `Down` and `Up` are the 4×4, stride 2, padding 1 pair of DCGANs and
autoencoders; their weights have the shapes of `nn.Conv2d` and `nn.ConvTranspose2d`, and sit in the child `conv`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.utils import parametrizations

SMALL_FOR_WEIGHTS, SMALL_FOR_PICTURES = 8 * 8, 4 * 4
"""Output positions up to which a matrix product wins, measured between 64 and 1,024 channels."""


def convolve(x: Tensor, w: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """x (n, c, h, w) with w (o, c, k, k), as `F.conv2d`."""
    x, w, bias = lowered(x, w, bias)
    if not quick(x):
        return F.conv2d(x, w, bias, stride, padding)
    return _Convolve.apply(channels_last(x), channels_last(w), bias, stride, padding)  # type: ignore[return-value]


def spread(y: Tensor, w: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """y (n, o, h, w) with w (o, c, k, k), as `F.conv_transpose2d`."""
    y, w, bias = lowered(y, w, bias)
    if not quick(y):
        return F.conv_transpose2d(y, w, bias, stride, padding)
    sides = tuple(stride * (s - 1) + w.shape[2] - 2 * padding for s in y.shape[2:])
    return _Spread.apply(channels_last(y), channels_last(w), bias, stride, padding, sides)  # type: ignore[return-value]


def lowered(x: Tensor, w: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """The operands in autocast's type, where it is on: it does not look inside a custom function."""
    kind = x.device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return x, w, bias
    to = torch.get_autocast_dtype(kind)
    return x.to(to), w.to(to), None if bias is None else bias.to(to)


def quick(x: Tensor) -> bool:
    return x.dtype == torch.bfloat16 and x.device.type == "cpu"


def channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def wanted(ctx: Any, i: int) -> bool:
    """Whether this backward pass leads to tensor input i: a penalty's first backward needs no gradient of weights."""
    if not ctx.needs_input_grad[i]:
        return False
    try:
        return torch._C._will_engine_execute_node(ctx.next_functions[i][0])
    except RuntimeError:  # raised for a leaf that is itself asked for
        return True


class _Convolve(Function):
    """(x, w) to y."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, w)
        ctx.how = stride, padding
        if four_by_two(w, stride, padding) and positions(x) <= 4 * SMALL_FOR_PICTURES:
            return gathered(x, w, bias)
        return torch.conv2d(x, w, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None) -> Any:
        if g is None:
            return None, None, None, None, None
        (x, w), how = ctx.saved_tensors, ctx.how
        g = channels_last(g)
        gx = _Spread.apply(g, w, None, *how, x.shape[2:]) if wanted(ctx, 0) else None
        gw = _Correlate.apply(x, g, *how, w.shape[2]) if wanted(ctx, 1) else None
        gb = g.sum((0, 2, 3)) if wanted(ctx, 2) else None
        return gx, gw, gb, None, None


class _Spread(Function):
    """(y, w) to x of the given sides: the transpose of `_Convolve`."""

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, w: Tensor, bias: Tensor | None, stride: int, padding: int, sides: tuple[int, int]
    ) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(y, w)
        ctx.how = stride, padding
        if four_by_two(w, stride, padding) and positions(y) <= SMALL_FOR_PICTURES:
            return scattered(y, w, bias)
        rest = [s - (stride * (t - 1) + w.shape[2] - 2 * padding) for s, t in zip(sides, y.shape[2:], strict=True)]
        return torch.conv_transpose2d(y, w, bias, stride, padding, rest)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None) -> Any:
        if g is None:
            return None, None, None, None, None, None
        (y, w), how = ctx.saved_tensors, ctx.how
        g = channels_last(g)
        gy = _Convolve.apply(g, w, None, *how) if wanted(ctx, 0) else None
        gw = _Correlate.apply(g, y, *how, w.shape[2]) if wanted(ctx, 1) else None
        gb = g.sum((0, 2, 3)) if wanted(ctx, 2) else None
        return gy, gw, gb, None, None, None


class _Correlate(Function):
    """(x, y) to w of side k: the gradient of ⟨w ∗ x, y⟩ towards w."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, stride: int, padding: int, k: int) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.how = stride, padding
        w = channels_last(x.new_empty(y.shape[1], x.shape[1], k, k))
        if four_by_two(w, stride, padding) and positions(y) <= SMALL_FOR_WEIGHTS:
            return correlated(x, y)
        both = (stride, stride), (padding, padding), (1, 1), False, (0, 0), 1, (False, True, False)
        return torch.ops.aten.convolution_backward(y, x, w, None, *both)[1]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (x, y), how = ctx.saved_tensors, ctx.how
        g = channels_last(g)
        gx = _Spread.apply(y, g, None, *how, x.shape[2:]) if wanted(ctx, 0) else None
        gy = _Convolve.apply(x, g, None, *how) if wanted(ctx, 1) else None
        return gx, gy, None, None, None


# ---------------------------------------------------------- 4×4, stride 2, padding 1 as one matrix product


def four_by_two(w: Tensor, stride: int, padding: int) -> bool:
    return w.shape[2] == 4 and stride == 2 and padding == 1


def positions(x: Tensor) -> int:
    return x.shape[2] * x.shape[3]


def windows(x: Tensor) -> Tensor:
    """x (n, c, h, w) to its windows (n · h/2 · w/2, 16c): four rows of four neighbouring pixels each.

    In channels-last order four neighbouring pixels are one stretch of memory, so the copy runs at full speed.
    """
    n, c, h, w = x.shape
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    row = (w + 2) * c
    view = padded.as_strided((n, h // 2, w // 2, 4, 4 * c), ((h + 2) * row, 2 * row, 2 * c, row, 1))
    return view.reshape(-1, 16 * c)


def rows(y: Tensor) -> Tensor:
    """(n, o, h, w) to (n · h · w, o): free in channels-last order."""
    return y.permute(0, 2, 3, 1).reshape(-1, y.shape[1])


def matrix(w: Tensor) -> Tensor:
    """(o, c, 4, 4) to (o, 16c): free in channels-last order."""
    return w.permute(0, 2, 3, 1).reshape(w.shape[0], -1)


def gathered(x: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
    n, _, h, wide = x.shape
    y = blank(x, n, w.shape[0], h // 2, wide // 2)
    if bias is None:
        torch.mm(windows(x), matrix(w).t(), out=rows(y))
    else:
        torch.addmm(bias, windows(x), matrix(w).t(), out=rows(y))
    return y


def scattered(y: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
    n, _, h, wide = y.shape
    c = w.shape[1]
    pieces = (rows(y) @ matrix(w)).view(n, h, wide, 4, 4, c)
    padded = y.new_zeros(n, h + 1, 2, wide + 1, 2, c)
    for a in (0, 1):
        for b in (0, 1):
            piece = pieces[:, :, :, 2 * a : 2 * a + 2, 2 * b : 2 * b + 2]
            padded[:, a : a + h, :, b : b + wide].add_(piece.transpose(2, 3))
    inside = padded.view(n, 2 * h + 2, 2 * wide + 2, c)[:, 1:-1, 1:-1].permute(0, 3, 1, 2)
    x = blank(y, n, c, 2 * h, 2 * wide)
    return x.copy_(inside) if bias is None else torch.add(inside, bias.view(-1, 1, 1), out=x)


def blank(like: Tensor, *shape: int) -> Tensor:
    """Memory to write a picture into: a function's result must own its memory for in-place layers after it."""
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def correlated(x: Tensor, y: Tensor) -> Tensor:
    # oneDNN is half as fast on a transposed left operand as on a copy of it.
    g = rows(y).t().contiguous() @ windows(x)
    return g.view(y.shape[1], 4, 4, x.shape[1]).permute(0, 3, 1, 2)


# ---------------------------------------------------------------------------------------- rectifiers


def relu(x: Tensor, slope: float = 0.0) -> Tensor:
    """x where x > 0, else slope · x. Its second derivative is nothing, rather than a picture of zeros.

    PyTorch's sends those zeros back through the whole of a penalised critic: a fifth of its arithmetic. Not in
    place: on a processor, reading and writing one tensor was measured at half the speed of writing another.
    """
    return _Rectify.apply(x, slope)  # type: ignore[return-value]


def relu_mean_down(x: Tensor) -> Tensor:
    """`mean_down(relu(x))`, with one pass over the large picture backward instead of three."""
    return _RectifyMean.apply(x)  # type: ignore[return-value]


def mean_down(x: Tensor) -> Tensor:
    """Every 2×2 square becomes its mean."""
    return F.avg_pool2d(x, 2)


def nearest_up(x: Tensor) -> Tensor:
    """Every pixel becomes a 2×2 square."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class _Rectify(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float) -> Tensor:
        ctx.set_materialize_grads(False)
        y = F.leaky_relu(x, slope) if slope else torch.relu(x)
        ctx.save_for_backward(y)
        ctx.slope = slope
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor | None) -> Any:
        return (None, None) if g is None else (_Mask.apply(g, *ctx.saved_tensors, ctx.slope), None)


class _Mask(Function):
    """g where y > 0, else slope · g; linear in g and flat in y."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, y: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(y)
        ctx.slope = slope
        if slope:
            return torch.ops.aten.leaky_relu_backward(g, y, slope, True)
        return torch.ops.aten.threshold_backward(g, y, 0)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return _Mask.apply(g, *ctx.saved_tensors, ctx.slope), None, None


class _RectifyMean(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.set_materialize_grads(False)
        y = torch.relu(x)
        ctx.save_for_backward(y)
        return mean_down(y)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None) -> Any:
        return None if g is None else _MaskUp.apply(g, *ctx.saved_tensors)


class _MaskUp(Function):
    """The transpose of the mean of the masked picture, (n, c, h, w) to (n, c, 2h, 2w)."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(y)
        n, c, h, w = g.shape
        flat = channels_last(g * 0.25).permute(0, 2, 3, 1)
        squares = flat.view(n, h, 1, w, 1, c).expand(n, h, 2, w, 2, c)
        mask = channels_last(y).permute(0, 2, 3, 1).view(n, h, 2, w, 2, c)
        out = torch.empty_like(y, memory_format=torch.channels_last)
        target = out.permute(0, 2, 3, 1).view(n, h, 2, w, 2, c)
        torch.ops.aten.threshold_backward.grad_input(squares, mask, 0, grad_input=target)
        return out

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return mean_down(_Mask.apply(g, *ctx.saved_tensors, 0.0)), None  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------- layers


class Conv(nn.Module):
    """A k×k convolution that keeps the picture's size; `nn.Conv2d`'s initialisation."""

    def __init__(self, inputs: int, outputs: int, k: int, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, k, padding=k // 2, bias=bias)
        self.padding = k // 2

    def forward(self, x: Tensor) -> Tensor:
        return convolve(x, self.conv.weight, self.conv.bias, 1, self.padding)

    def after_upsampling(self, x: Tensor) -> Tensor:
        """The same 3×3 convolution of the nearest-neighbour enlargement of x, without making it.

        Each output pixel sees 2×2 pixels of x, so a transposed 4×4 convolution of stride 2 with summed taps does it, in
        4/9 of the work. Equal up to rounding.
        """
        w = F.pad(self.conv.weight, (1, 1, 1, 1))
        w = w[..., 1:] + w[..., :-1]
        w = w[..., 1:, :] + w[..., :-1, :]
        return spread(x, w.flip(2, 3).transpose(0, 1), self.conv.bias, 2, 1)


class Down(nn.Module):
    """4×4, stride 2, padding 1: half the side."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return convolve(x, self.conv.weight, self.conv.bias, 2, 1)


class Up(nn.Module):
    """Transposed 4×4, stride 2, padding 1: twice the side."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return spread(x, self.conv.weight, self.conv.bias, 2, 1)


class LeakyReLU(nn.Module):
    """`relu` of slope 0.2 below 0, DCGAN's."""

    def forward(self, x: Tensor) -> Tensor:
        return relu(x, 0.2)


def spectral_norm(net: nn.Module) -> nn.Module:
    """Divide every weight of a network by its largest singular value, estimated by power iteration.

    Source: Miyato et al. 2018, Algorithm 1.
    """
    for layer in list(net.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            parametrizations.spectral_norm(layer)
    return net
