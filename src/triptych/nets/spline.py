"""Monotone rational-quadratic splines: one kernel both ways, with a backward of its own.

Source: Durkan et al. 2019, "Neural Spline Flows", section 3.1; Gregory & Delbourgo 1982.

The spline maps [−B, B] onto itself through K bins and is the identity outside. An element has K widths, K heights
and K − 1 inner slopes, unnormalised: 3K − 1 numbers, of which all zero is the identity. They come *first*,
(3K − 1, ...): sums over a leading dimension run along contiguous memory, where sums over eight last elements take
twenty times as long. Only the bin an element falls into takes part in the arithmetic, and a derivative by hand
need not record how all the others were normalised.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

LEAST = 1e-4
"""Smallest width and height of a bin as a share of the box."""
FLATTEST = 1e-3
"""Smallest slope at a knot."""
_ZERO_IS_ONE = math.log(math.expm1(1 - FLATTEST))


def spline(x: Tensor, raw: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """z and log dz/dx, both of x's shape (...); `raw` is (3K − 1, ...)."""
    return _Forward.apply(x, raw, bound)


def spline_inverse(z: Tensor, raw: Tensor, bound: float) -> Tensor:
    """The x that `spline` maps to z."""
    return _Inverse.apply(z, raw, bound)


def knots(raw: Tensor, bound: float) -> tuple[Tensor, Tensor, Tensor]:
    """Positions x and y of the K + 1 knots in [−B, B], and the slopes there, (K + 1, ...) each."""
    share = _shares(raw)
    edges = torch.cat([torch.zeros_like(share[:, :1]), share.cumsum(1)], dim=1) * (2 * bound) - bound
    inner = F.softplus(raw[2 * share.shape[1] :] + _ZERO_IS_ONE) + FLATTEST
    one = torch.ones_like(edges[0, :1])
    return edges[0], edges[1], torch.cat([one, inner, one])


def unnormalised(x: Tensor, y: Tensor, bound: float) -> Tensor:
    """The (3K − 1, ...) whose knots are x and y (K + 1, ...), slopes by the harmonic mean of their neighbours'.

    Increasing knots from −B to B; bins narrower than `LEAST` of the box are widened to it.
    """
    bins = len(x) - 1
    share = torch.stack([x.diff(dim=0), y.diff(dim=0)]) / (2 * bound)
    soft = ((share - LEAST) / (1 - bins * LEAST)).clamp_min(1e-6).log()
    share = soft.softmax(1) * (1 - bins * LEAST) + LEAST
    secant = share[1] / share[0]
    slope = 2 / (1 / secant[1:] + 1 / secant[:-1])
    slope = (slope - FLATTEST).clamp_min(1e-4)
    return torch.cat([soft[0], soft[1], slope + torch.log(-torch.expm1(-slope)) - _ZERO_IS_ONE])


def _shares(raw: Tensor) -> Tensor:
    """Widths and heights of all bins as shares of the box, (2, K, ...)."""
    bins = (len(raw) + 1) // 3
    return raw[: 2 * bins].unflatten(0, (2, bins)).softmax(1).mul_(1 - bins * LEAST).add_(LEAST)


class _Bins:
    """The bin of each element and its numbers, in units of the box [0, 1]²."""

    def __init__(self, at: Tensor, raw: Tensor, axis: int) -> None:
        """`at` (...) are positions in [0, 1] along x (axis 0) or y (axis 1)."""
        self.share = _shares(raw)
        ends = self.share.cumsum(1)
        count = self.share.shape[1]
        self.index = (at >= ends[axis, :-1]).sum(0, keepdim=True)
        both = self.index.expand(2, *self.index.shape)
        size = self.share.gather(1, both)
        start = ends.gather(1, both).sub_(size)
        self.w, self.h, self.x, self.y = size[0, 0], size[1, 0], start[0, 0], start[1, 0]
        # Knot j has the slope numbered j − 1; the outer two have slope 1.
        slopes = raw[2 * count :]
        self.before = (self.index - 1).clamp_min_(0)
        self.after = self.index.clamp_max(count - 2)
        self.first, self.last = self.index[0] == 0, self.index[0] == count - 1
        self.raw0 = slopes.gather(0, self.before)[0] + _ZERO_IS_ONE
        self.raw1 = slopes.gather(0, self.after)[0] + _ZERO_IS_ONE
        self.d0 = F.softplus(self.raw0).add_(FLATTEST).masked_fill_(self.first, 1)
        self.d1 = F.softplus(self.raw1).add_(FLATTEST).masked_fill_(self.last, 1)
        self.s = self.h / self.w
        self.bend = self.d0 + self.d1 - 2 * self.s

    def locate(self, theta: Tensor) -> None:
        """Numerators and denominators at the share θ of the bin's width."""
        self.theta, self.rest = theta, 1 - theta
        self.t = theta * self.rest
        self.top = self.s * theta.square() + self.d0 * self.t
        self.bottom = self.s + self.bend * self.t
        self.slope_top = self.d1 * theta.square() + 2 * self.s * self.t + self.d0 * self.rest.square()

    def value(self) -> Tensor:
        return self.y + self.h * self.top / self.bottom

    def slope(self) -> Tensor:
        return self.slope_top * (self.s / self.bottom).square()

    def log_slope(self) -> Tensor:
        return (self.s / self.bottom).log().mul_(2).add_(self.slope_top.log())

    def solve(self, y: Tensor) -> Tensor:
        """θ of a height y in the bin, by the form of the quadratic's root that does not cancel."""
        v = y - self.y
        a = self.h * (self.s - self.d0) + v * self.bend
        b = self.h * self.d0 - v * self.bend
        c = -self.s * v
        # The discriminant is not negative but for rounding.
        root = (b.square() - 4 * a * c).clamp_min_(0).sqrt_()
        return (-2 * c / (b + root)).clamp_(0, 1)

    def backward(self, g: Tensor, gl: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of position and `raw`, given those of the value (g) and of the log slope (gl)."""
        s, t, theta, bottom, top = self.s, self.t, self.theta, self.bottom, self.slope_top
        r = self.top / bottom
        turn = 1 - 2 * theta
        # Of θ, s, d0, d1: the value is y + h r, the log slope 2 log s + log top − 2 log bottom.
        gh = g * self.h / bottom
        twice = 2 * gl / bottom
        over = gl / top
        g_theta = g * self.w * self.slope() + 2 * over * (self.d1 * theta + s * turn - self.d0 * self.rest)
        g_theta -= twice * self.bend * turn
        g_s = gh * (theta.square() - r * (1 - 2 * t)) + 2 * gl / s + 2 * over * t - twice * (1 - 2 * t)
        shared = gh * r * t + twice * t
        g_d0 = gh * t - shared + over * self.rest.square()
        g_d1 = over * theta.square() - shared
        # Of the bin's corner and size, then of all shares: a share moves its own bin and all those after it.
        g_at = g_theta / self.w
        size = torch.stack([-g_theta * theta - g_s * s, g_s]).div_(self.w)
        size[1] += g * r
        start = torch.stack([-g_at, g])
        numbers = torch.arange(self.share.shape[1], device=raw.device).view(-1, *[1] * self.index[0].dim())
        before = (numbers < self.index).to(start.dtype)
        g_share = start.unsqueeze(1) * before
        g_share.scatter_(1, self.index.expand(2, *self.index.shape), size.unsqueeze(1))
        soft = self.share - LEAST
        out = torch.zeros_like(raw)
        count = self.share.shape[1]
        keep = 1 - count * LEAST
        inner = (soft * g_share).sum(1, keepdim=True).div_(keep)
        out[: 2 * count] = soft.mul_(g_share.sub_(inner)).flatten(0, 1)
        slopes = out[2 * count :]
        slopes.scatter_add_(0, self.before, (g_d0 * self.raw0.sigmoid()).masked_fill_(self.first, 0)[None])
        slopes.scatter_add_(0, self.after, (g_d1 * self.raw1.sigmoid()).masked_fill_(self.last, 0)[None])
        return g_at, out


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, raw: Tensor, bound: float) -> tuple[Tensor, Tensor]:
        inside = x.abs() < bound
        at = ((x + bound) / (2 * bound)).clamp_(0, 1)
        bins = _Bins(at, raw, 0)
        bins.locate(((at - bins.x) / bins.w).clamp_(0, 1))
        ctx.bins, ctx.bound = bins, bound
        ctx.save_for_backward(raw, inside)
        z = torch.where(inside, bins.value().mul_(2 * bound).sub_(bound), x)
        return z, bins.log_slope().masked_fill_(~inside, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, gl: Tensor) -> tuple[Tensor, Tensor, None]:
        raw, inside = ctx.saved_tensors
        g_at, g_raw = ctx.bins.backward(g * inside * (2 * ctx.bound), gl * inside, raw)
        return torch.where(inside, g_at / (2 * ctx.bound), g), g_raw, None


class _Inverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, raw: Tensor, bound: float) -> Tensor:
        inside = z.abs() < bound
        at = ((z + bound) / (2 * bound)).clamp_(0, 1)
        bins = _Bins(at, raw, 1)
        bins.locate(bins.solve(at))
        ctx.bins, ctx.bound = bins, bound
        ctx.save_for_backward(raw, inside)
        return torch.where(inside, (bins.x + bins.w * bins.theta).mul_(2 * bound).sub_(bound), z)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, None]:
        # z = f(x; raw) held fixed: dx = −(∂f/∂x)⁻¹ ∂f/∂raw draw.
        raw, inside = ctx.saved_tensors
        g_z = torch.where(inside, g / ctx.bins.slope(), g)
        _, g_raw = ctx.bins.backward(-g_z * inside * (2 * ctx.bound), torch.zeros_like(g), raw)
        return g_z, g_raw, None
