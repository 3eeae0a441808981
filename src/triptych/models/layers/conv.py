"""Layers that are fast on a CPU in bfloat16, twice differentiable, on top of `conv_kernels.py`.

`Conv`, `Down` and `Up` are for any network; their weights have the shapes of `nn.Conv2d` and `nn.ConvTranspose2d`, and
sit in the child `conv`. `Down` and `Up` are the 4×4 pair of DCGANs. `PlainDown` and `PlainUp` are the autoencoders':
the CIFAR-10 study goes down by 3×3, and its checkpoints name the weights as plain PyTorch layers do, without `conv`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.utils import parametrizations

from triptych.models.layers.conv_kernels import channels_last, conv2d, conv_transpose2d


def relu(x: Tensor, slope: float = 0.0) -> Tensor:
    """x where x > 0, else slope · x, of any shape. Its second derivative is None rather than a tensor of zeros.

    PyTorch's sends those zeros back through the whole of a penalised critic: a fifth of its arithmetic. Not in
    place: on a CPU, reading and writing one tensor was measured at half the speed of writing another.
    A compiler drops the zeros by itself.
    """
    if torch.compiler.is_compiling():
        return F.leaky_relu(x, slope) if slope else torch.relu(x)
    return _Rectify.apply(x, slope)


def relu_mean_down(x: Tensor) -> Tensor:
    """`mean_down(relu(x))`, (n, c, h, w) to (n, c, h/2, w/2): its backward passes over the input once, not thrice."""
    if torch.compiler.is_compiling():
        return mean_down(torch.relu(x))
    return _RectifyMean.apply(x)


def mean_down(x: Tensor) -> Tensor:
    """2×2 average pooling, (n, c, h, w) to (n, c, h/2, w/2)."""
    return F.avg_pool2d(x, 2)


def nearest_up(x: Tensor) -> Tensor:
    """Nearest-neighbour upsampling, (n, c, h, w) to (n, c, 2h, 2w)."""
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
    """g where y > 0, else slope · g; linear in g, with derivative 0 in y."""

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
    """The transpose of the average pooling of the masked input, (n, c, h, w) to (n, c, 2h, 2w)."""

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
        return mean_down(_Mask.apply(g, *ctx.saved_tensors, 0.0)), None


def enlarging_taps(w: Tensor) -> Tensor:
    """w (o, c, 3, 3) to the weights (c, o, 4, 4) that convolve `nearest_up(x)` with w without making it.

    Each output pixel sees 2×2 pixels of x, so a transposed 4×4 convolution of stride 2 and padding 1 with summed taps
    does it, in 4/9 of the work. Equal up to rounding.
    """
    w = F.pad(w, (1, 1, 1, 1))
    w = w[..., 1:] + w[..., :-1]
    w = w[..., 1:, :] + w[..., :-1, :]
    return w.flip(2, 3).transpose(0, 1)


# ------------------------------------------------------------------------------------------------- layers


class Conv(nn.Module):
    """A k×k convolution of stride 1 that keeps the sides, initialised as `nn.Conv2d`: (n, c, h, w) to (n, o, h, w)."""

    def __init__(self, inputs: int, outputs: int, k: int, *, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, k, padding=k // 2, bias=bias)
        self.padding = k // 2

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.conv.weight, self.conv.bias, 1, self.padding)

    def after_upsampling(self, x: Tensor) -> Tensor:
        """`self(nearest_up(x))` for k = 3, (n, c, h, w) to (n, o, 2h, 2w), without the upsampled tensor."""
        return conv_transpose2d(x, enlarging_taps(self.conv.weight), self.conv.bias, 2, 1)


class Down(nn.Module):
    """4×4, stride 2, padding 1: half the side."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.conv.weight, self.conv.bias, 2, 1)


class Up(nn.Module):
    """Transposed 4×4, stride 2, padding 1: twice the side."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return conv_transpose2d(x, self.conv.weight, self.conv.bias, 2, 1)


class PlainDown(nn.Conv2d):
    """3×3, stride 2, padding 1: half the side, rounded up."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, 2, 1)

    def forward(self, input: Tensor) -> Tensor:
        return conv2d(input, self.weight, self.bias, 2, 1)


class PlainUp(nn.ConvTranspose2d):
    """Transposed 4×4, stride 2, padding 1: twice the side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, 2, 1)

    def forward(self, input: Tensor) -> Tensor:
        return conv_transpose2d(input, self.weight, self.bias, 2, 1)


class LeakyReLU(nn.Module):
    """`relu` of slope 0.2 below 0, as DCGAN has it."""

    def forward(self, x: Tensor) -> Tensor:
        return relu(x, 0.2)


class OneHotLatent(nn.Module):
    """A discrete latent: z's last `k` dimensions are replaced by the one-hot of their arg-max, (n, latent) to the same.

    A continuous generator maps a connected prior to a connected set, which has bridges between modes where the data
    have none. z stays N(0, I), under which each of the k values is equally likely, and the generator may jump from
    one to another. The one-hot is scaled by √k, to the mean square of the dimensions that it replaces. Sources:
    Khayatkhoei et al. 2018, "Disconnected Manifold Learning for Generative Adversarial Networks"; as a mixture of
    Gaussians, Gurumurthy et al. 2017, "DeLiGAN".
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, z: Tensor) -> Tensor:
        discrete = F.one_hot(z[:, -self.k :].argmax(1), self.k).to(z) * math.sqrt(self.k)
        return torch.cat([z[:, : -self.k], discrete], 1)


def spectral_norm(net: nn.Module) -> nn.Module:
    """Divide every weight of a network by its largest singular value, estimated by power iteration.

    Source: Miyato et al. 2018, Algorithm 1.
    """
    for layer in list(net.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            parametrizations.spectral_norm(layer)
    return net
