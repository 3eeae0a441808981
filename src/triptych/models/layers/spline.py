"""Monotone rational-quadratic splines: one kernel both ways, with a backward of its own.

Source: Durkan et al. 2019, "Neural Spline Flows", section 3.1; Gregory & Delbourgo 1982.

The spline maps [−B, B] onto itself through K bins and is the identity outside. An element has K widths, K heights
and K − 1 inner slopes, unnormalised: 3K − 1 parameters, of which all zero is the identity. They come *first*,
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
    """The x that `spline` maps to z, both (...); `raw` is (3K − 1, ...)."""
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
    """The bin of each element, the spline's value and slope there, and the way back.

    Positions count from the lower left corner of the box. Written with fused products (`addcmul`): for small
    tensors the time is the number of operations.
    """

    def __init__(self, at: Tensor, raw: Tensor, bound: float, *, inverse: bool) -> None:
        """`at` (...) in [0, 2 bound] is x, or z for the inverse."""
        self.count = (len(raw) + 1) // 3
        self.least = LEAST * 2 * bound
        self.keep = 2 * bound - self.count * self.least
        self.soft = raw[: 2 * self.count].unflatten(0, (2, self.count)).softmax(1)
        share = self.soft.mul(self.keep).add_(self.least)
        ends = share.cumsum(1)
        self.index = (at >= ends[int(inverse), :-1]).sum(0, keepdim=True)
        both = self.index.expand(2, *self.index.shape)
        self.size = share.gather(1, both)
        self.start = ends.gather(1, both).sub_(self.size)
        self.w, self.h = self.size[:, 0].unbind()
        x, y = self.start[:, 0].unbind()
        # The outer two knots have slope 1, which is what an unnormalised 0 means.
        zero = torch.zeros_like(raw[:1])
        self.beside = torch.cat([self.index, self.index + 1])
        self.raw_slope = torch.cat([zero, raw[2 * self.count :], zero]).gather(0, self.beside).add_(_ZERO_IS_ONE)
        self.d0, self.d1 = F.softplus(self.raw_slope).add_(FLATTEST).unbind()
        self.s = self.h / self.w
        self.bend = torch.sub(self.d0 + self.d1, self.s, alpha=2)
        self.theta = self._solve(at - y) if inverse else ((at - x) / self.w).clamp_(0, 1)
        # Powers of θ and 1 − θ: θ², θ(1 − θ), (1 − θ)².
        self.rest = 1 - self.theta
        self.q = self.theta * self.theta
        self.t = self.theta - self.q
        self.r = self.rest - self.t
        self.bottom = torch.addcmul(self.s, self.bend, self.t)
        self.top = torch.addcmul(self.d0 * self.t, self.s, self.q)
        self.slope_top = (self.d1 * self.q).addcmul_(self.d0, self.r).addcmul_(self.s, self.t, value=2)
        u = self.s / self.bottom
        self.slope = u.mul_(u).mul_(self.slope_top)
        self.value = (
            torch.addcmul(x, self.w, self.theta) if inverse else torch.addcdiv(y, self.h * self.top, self.bottom)
        )

    def _solve(self, v: Tensor) -> Tensor:
        """θ of a height v above the bin's corner, by the form of the quadratic's root that does not cancel."""
        bent = v * self.bend
        a = torch.addcmul(bent, self.h, self.s - self.d0)
        b = self.h * self.d0 - bent
        c = self.s * v
        # The discriminant is not negative but for rounding.
        root = torch.addcmul(b * b, a, c, value=4).clamp_min_(0).sqrt_()
        return (2 * c / root.add_(b)).clamp_(0, 1)

    def backward(self, g: Tensor, gl: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of x and `raw` from those of z (g) and of log dz/dx (gl)."""
        s, t, w = self.s, self.t, self.w
        # z is y + h ρ with ρ = top / bottom; the log slope is 2 log s + log slope_top − 2 log bottom.
        rho = self.top / self.bottom
        gh = g * self.h / self.bottom
        twice = (gl + gl).div_(self.bottom)
        over = gl / self.slope_top
        turn = self.rest - self.theta
        m = torch.rsub(t, 1, alpha=2)
        by_theta = (self.d1 * self.theta).addcmul_(s, turn).addcmul_(self.d0, self.rest, value=-1)
        g_theta = (g * w).mul_(self.slope).addcmul_(over, by_theta, value=2)
        g_theta.addcmul_(twice * self.bend, turn, value=-1)
        g_s = torch.addcmul(self.q, rho, m, value=-1).mul_(gh)
        g_s.addcdiv_(gl, s, value=2).addcmul_(over, t, value=2).addcmul_(twice, m, value=-1)
        shared = torch.addcmul(twice, gh, rho).mul_(t)
        g_d0 = (gh * t).sub_(shared).addcmul_(over, self.r)
        g_d1 = (over * self.q).sub_(shared)
        # Of the bin's corner and size.
        g_x = g_theta / w
        g_s /= w
        g_w = (g_x * self.theta).addcmul_(g_s, s).neg_()
        g_size = torch.stack([g_w, torch.addcmul(g_s, g, rho)]).unsqueeze_(1)
        g_start = torch.stack([-g_x, g]).unsqueeze_(1)
        # Of all shares: one moves its own bin's size and the corners of all bins after it. Then of the softmax.
        numbers = torch.arange(self.count, device=g.device).view(-1, *[1] * g.dim())
        g_share = g_start * (numbers < self.index)
        g_share.scatter_(1, self.index.expand(2, *self.index.shape), g_size)
        inner = g_start * (self.start - self.least * self.index)
        inner.addcmul_(g_size, self.size - self.least)
        g_shares = g_share.mul_(self.keep).sub_(inner).mul_(self.soft).flatten(0, 1)
        g_slopes = g.new_zeros(self.count + 1, *g.shape)
        g_slopes.scatter_(0, self.beside, torch.stack([g_d0, g_d1]).mul_(self.raw_slope.sigmoid()))
        return g_x, torch.cat([g_shares, g_slopes[1:-1]])


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, raw: Tensor, bound: float) -> tuple[Tensor, Tensor]:
        outside = x.abs() >= bound
        bins = _Bins(x.clamp(-bound, bound).add_(bound), raw, bound, inverse=False)
        ctx.bins, ctx.outside = bins, outside
        return torch.where(outside, x, bins.value.sub_(bound)), bins.slope.log().masked_fill_(outside, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, gl: Tensor) -> tuple[Tensor, Tensor, None]:
        g_x, g_raw = ctx.bins.backward(g.masked_fill(ctx.outside, 0), gl.masked_fill(ctx.outside, 0))
        return torch.where(ctx.outside, g, g_x), g_raw, None


class _Inverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, raw: Tensor, bound: float) -> Tensor:
        outside = z.abs() >= bound
        bins = _Bins(z.clamp(-bound, bound).add_(bound), raw, bound, inverse=True)
        ctx.bins, ctx.outside = bins, outside
        return torch.where(outside, z, bins.value.sub_(bound))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, None]:
        # z = f(x; raw) held fixed: dx = −(∂f/∂x)⁻¹ ∂f/∂raw draw.
        g_z = (g / ctx.bins.slope).masked_fill_(ctx.outside, 0)
        _, g_raw = ctx.bins.backward(-g_z, torch.zeros_like(g))
        return torch.where(ctx.outside, g, g_z), g_raw, None
