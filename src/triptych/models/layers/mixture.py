"""A mixture of Gaussians as the last step of a flow: couplings that end in it need not tear one bump apart."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.models.layers.bijections import Transform
from triptych.models.layers.normal import quantile

LEAST = 1e-3
"""Smallest standard deviation of a component, of columns that are standardised."""
TINY = 1e-37
"""Smallest tail that float32 still tells from 0: |z| up to about 12.8."""
PARTS, ROUNDS = 8, 10
"""Into so many parts `inverse` cuts the interval in which x lies, and how often."""


class ToNormal(Transform):
    """x ~ Σ_k w_k N(m_k, diag s_k²) to z ~ N(0, I), a column at a time:

        z_j = Φ⁻¹(F(x_j | x_1 … x_{j−1})),  so that  log |det ∂z/∂x| = log p(x) − log N(z; 0, I)

    Weights, means and deviations are learned. The inverse has no formula: x_j lies between the least and the largest of
    m_kj + s_kj z_j, and that interval is cut again and again. Source: Rosenblatt 1952, "Remarks on a Multivariate
    Transformation".
    """

    def __init__(self, d: int, components: int) -> None:
        super().__init__()
        self.log_weights = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(torch.randn(components, d))
        self.raw = nn.Parameter(torch.zeros(components, d))

    @property
    def deviations(self) -> Tensor:
        """(k, d)"""
        return F.softplus(self.raw) * (0.5 / math.log(2)) + LEAST

    def shares(self, x: Tensor) -> Tensor:
        """log w_k Π_{i<j} N(x_i; m_ki, s_ki) of the columns that x (n, c) has, j = 1 … c + 1: (n, k, c + 1)."""
        log_w, c = torch.log_softmax(self.log_weights, 0)[:, None], x.shape[1]
        m, s = self.means[:, :c], self.deviations[:, :c]
        logs = -0.5 * ((x[:, None] - m) / s).square() - s.log() - 0.5 * math.log(2 * math.pi)
        return torch.cat([log_w.expand(x.shape[0], -1, 1), log_w + logs.cumsum(2)], 2)

    def tails(self, x: Tensor, known: Tensor, j: int) -> tuple[Tensor, Tensor]:
        """F and 1 − F of some x_j for each row (n, m), given p(k | x_1 … x_{j−1}) (n, k): (n, m) each."""
        t = (x[:, :, None] - self.means[:, j]) / self.deviations[:, j]
        return (known[:, None] * below(t)).sum(2), (known[:, None] * below(-t)).sum(2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        joint = self.shares(x)
        known = joint[:, :, :-1].softmax(1)
        columns = []
        for j in range(x.shape[1]):
            low, high = self.tails(x[:, j, None], known[:, :, j], j)
            found = quantile(torch.minimum(low, high).clamp_min(TINY))
            columns.append(torch.where(low < high, found, -found))
        z = torch.cat(columns, 1)
        normal = -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
        return z, joint[:, :, -1].logsumexp(1) - normal

    def inverse(self, z: Tensor) -> Tensor:
        x = z.new_zeros(z.shape[0], 0)
        for j in range(z.shape[1]):
            known = self.shares(x)[:, :, -1].softmax(1)
            x = torch.cat([x, self.column(z[:, j], known, j)[:, None]], 1)
        return x

    def column(self, z: Tensor, known: Tensor, j: int) -> Tensor:
        """x_j (n,) of z_j (n,) given p(k | x_1 … x_{j−1}) (n, k)."""
        m, s = self.means[:, j], self.deviations[:, j]
        wanted, upper = torch.minimum(below(z), below(-z)), z[:, None] > 0
        with torch.no_grad():
            ends = m + s * z[:, None]
            x, width = ends.amin(1), ends.amax(1) - ends.amin(1)
            inner = torch.arange(1, PARTS, device=z.device, dtype=z.dtype) / PARTS
            for _ in range(ROUNDS):
                left, right = self.tails(x[:, None] + width[:, None] * inner, known, j)
                further = (upper & (right > wanted[:, None])) | (~upper & (left < wanted[:, None]))
                width = width / PARTS
                x = x + width * further.sum(1)
            x = x + width / 2
        # a step of Newton that moves nothing, and knows how x follows z and the parameters
        left, right = self.tails(x[:, None], known, j)
        off = torch.where(upper, wanted[:, None] - right, left - wanted[:, None])[:, 0]
        t = (x[:, None] - m) / s
        slope = (known * torch.exp(-0.5 * t.square()) / s).sum(1) / math.sqrt(2 * math.pi)
        return x - (off - off.detach()) / slope.detach().clamp_min(TINY)


def below(t: Tensor) -> Tensor:
    """Φ(t), exact in the lower tail."""
    return 0.5 * torch.erfc(-t / math.sqrt(2))
