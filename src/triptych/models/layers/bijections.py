"""Bijections, one at a time: forward with the log-determinant, and the exact inverse.

Every transform works on the last dimension, so the same classes serve vectors (n, d) and images laid out
(n, h, w, c). Log-determinants are per example, (n,), in the dtype of x: float32 in training even when the
networks inside a transform run in bfloat16.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core.labels import labels_at_hand, look_up
from triptych.core.share import current, mean
from triptych.models.layers.conditional import ClassAffine
from triptych.models.layers.data_init import Fitted


class Transform(nn.Module, ABC):
    """A bijection z = f(x)."""

    @property
    def passes_back(self) -> float:
        """What `inverse` takes, in passes forward."""
        return 1.0

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (n, ...) to z and log |det ∂z/∂x|, (n,)."""

    @abstractmethod
    def inverse(self, z: Tensor) -> Tensor:
        """z to the x it came from, differentiable."""

    def freeze(self) -> None:
        """The parameters are final: compute once what `inverse` otherwise computes from them at each call."""


BOUND = 2.0
"""|log s| of one affine transform stays below this."""


SEEN = 10.0
"""The inputs of the networks of affine transforms are clipped to ±this, where nearly all of N(0, 1) lies: an input of
10,000 must not drive scales and shifts to extremes from which float32 does not recover."""


class Affine(Transform):
    """z = x exp(s) + t on some dimensions of x, with s and t computed from the others by `net`."""

    net: nn.Module

    def scale_and_shift(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """s, bounded smoothly to ±BOUND with derivative 1 at 0, and t: the two halves of the net's last dimension.

        `seen` is (..., d_in), s and t are (..., d_out).
        """
        return self.halves(self.net(self.clipped(seen)).to(seen.dtype))

    def halves(self, out: Tensor) -> tuple[Tensor, Tensor]:
        """s and t out of what the net gave, (..., 2 d_out)."""
        s, t = out.chunk(2, dim=-1)
        return self.bounded(s), t

    @staticmethod
    def clipped(seen: Tensor) -> Tensor:
        """Inputs of the net, within ±SEEN."""
        return seen.clamp(-SEEN, SEEN)

    @staticmethod
    def bounded(s: Tensor) -> Tensor:
        """s of any shape, squashed to within ±BOUND; the identity to first order at 0."""
        return BOUND * torch.tanh(s / BOUND)


class Convolutions(nn.Module):
    """3×3, 1×1, 3×3 convolutions on (n, h, w, c), ReLU between; the last starts at zero.

    Behind the first there is a gain and a bias for each class. The layout is channels_last in all but name. The only
    part of a flow that may run in bfloat16.
    """

    def __init__(self, inputs: int, outputs: int, width: int, classes: int = 0) -> None:
        super().__init__()
        first = nn.Conv2d(inputs, width, 3, padding=1)
        self.first = nn.Sequential(first, ClassAffine(width, classes)) if classes else first
        self.middle = nn.Conv2d(width, width, 1)
        self.last = nn.Conv2d(width, outputs, 3, padding=1)
        for w in self.last.parameters():
            nn.init.zeros_(w)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.first(x.permute(0, 3, 1, 2)), inplace=True)
        h = F.relu(self.middle(h), inplace=True)
        return self.last(h).permute(0, 2, 3, 1)


def per_example(x: Tensor) -> Tensor:
    """Sum over all but the first dimension, (n,)."""
    return x.flatten(1).sum(1)


class Compose(Transform):
    """f₁, then f₂, then ...; log-determinants add."""

    def __init__(self, parts: Iterable[Transform]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        total = x.new_zeros(x.shape[0])
        for f in self.parts:
            x, log_det = f(x)
            total = total + log_det
        return x, total

    def inverse(self, z: Tensor) -> Tensor:
        for f in reversed(self.parts):
            assert isinstance(f, Transform)
            z = f.inverse(z)
        return z

    @property
    def passes_back(self) -> float:
        return max((f.passes_back for f in self.parts if isinstance(f, Transform)), default=1.0)


class ClassGaussian(Transform):
    """(x − μ_y) exp(−s_y) of flat x (n, d): behind a flow it makes N(μ_y, diag exp 2 s_y) the prior of each class.

    It starts as N(0, I). Source of class means as a flow's prior: Izmailov et al. 2020, "Semi-Supervised Learning with
    Normalizing Flows".
    """

    def __init__(self, d: int, classes: int) -> None:
        super().__init__()
        self.mean, self.log_scale = nn.Embedding(classes, d), nn.Embedding(classes, d)
        for part in (self.mean, self.log_scale):
            nn.init.zeros_(part.weight)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """μ and s of each row, (n, d), s within ±BOUND."""
        y = labels_at_hand(x.shape[0])
        return look_up(self.mean, y).to(x), Affine.bounded(look_up(self.log_scale, y).to(x))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, s = self.parts(x)
        return (x - mean) * (-s).exp(), -s.sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        mean, s = self.parts(z)
        return z * s.exp() + mean


class DataInitialised(Transform, Fitted):
    """A transform with data-dependent initialisation: it sees the training data once, before training."""

    @abstractmethod
    def fit(self, x: Tensor) -> None:
        """Set it from all rows of x (n, d), as the transforms before it left them."""

    @staticmethod
    def fit_each(flow: nn.Module, x: Tensor) -> None:
        """Set those at the head of a flow, one after the other, from rows x (n, d)."""
        parts = [part for part in flow.modules() if isinstance(part, DataInitialised)]
        for i, part in enumerate(parts):
            part.fit(x)
            if i + 1 < len(parts):  # of many images that takes longer than the fit, and several times their memory
                x, _ = part(x)


class Standardize(DataInitialised):
    """(x − mean) / std per column of a table; the identity until `fit`.

    Its log-determinant −Σ log std is part of the density, which therefore stays in the data's own units.
    """

    statistics = "mean and standard deviation of each column"
    mean: Tensor
    std: Tensor

    def __init__(self, d: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(d))
        self.register_buffer("std", torch.ones(d))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        self.mean.copy_(x.double().mean(0))
        self.std.copy_(x.double().std(0))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return (x - self.mean) / self.std, -self.std.log().sum().to(x.dtype).expand(x.shape[0])

    def inverse(self, z: Tensor) -> Tensor:
        return z * self.std + self.mean


class Permutation(Transform):
    """Reorders the last dimension: z[..., i] = x[..., order[i]]."""

    order: Tensor
    back: Tensor

    def __init__(self, order: Tensor) -> None:
        super().__init__()
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("back", order.argsort(), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.index_select(-1, self.order), x.new_zeros(x.shape[0])

    def inverse(self, z: Tensor) -> Tensor:
        return z.index_select(-1, self.back)


class ActNorm(Transform):
    """(x + b) exp(s) per channel; the first training batch sets b and s so that z has mean 0 and variance 1.

    Source: Kingma & Dhariwal 2018, section 3.1.
    """

    initialised: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.register_buffer("initialised", torch.tensor(False))
        self._found: tuple[Tensor, int] | None = None

    def is_initialised(self) -> bool:
        """Looked up again only once somebody has written to it: a look waits for a GPU."""
        now = (self.initialised, self.initialised._version)
        if self._found is not None and self._found[0] is now[0] and self._found[1] == now[1]:
            return True
        if bool(self.initialised):
            self._found = now
            return True
        return False

    @torch.no_grad()
    def _initialise(self, x: Tensor) -> None:
        flat = x.flatten(0, -2)
        centre = mean(flat)
        self.bias.copy_(-centre)
        # A channel that does not vary in the first batch (an image's black border) keeps a finite scale.
        spread = flat.std(0, correction=0) if current().of == 1 else mean((flat - centre).square()).sqrt()
        self.log_scale.copy_(-spread.clamp_min(1e-3).log())
        self.initialised.fill_(True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.training and not self.is_initialised():
            self._initialise(x)
        pixels = x[0].numel() // x.shape[-1]
        return (x + self.bias) * self.log_scale.exp(), (pixels * self.log_scale.sum()).expand(x.shape[0])

    def inverse(self, z: Tensor) -> Tensor:
        return z * (-self.log_scale).exp() - self.bias


class LULinear(Transform):
    """z = W x with W = P L (U + diag(±exp s)): on images, the invertible 1×1 convolution.

    P stays fixed, L is unit lower and U strictly upper triangular, so log |det W| = Σ s costs nothing and W can
    never become singular. W starts as a random rotation, or as the plain reversal of the order for d = 2.
    Source: Kingma & Dhariwal 2018, section 3.2.
    """

    order: Tensor
    sign: Tensor
    inverted: Tensor | None

    def __init__(self, d: int) -> None:
        super().__init__()
        self.register_buffer("inverted", None, persistent=False)
        if d == 2:
            w = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
        else:
            w = torch.linalg.qr(torch.randn(d, d))[0]
        p, lower, upper = torch.linalg.lu(w)
        self.register_buffer("order", p.argmax(1))
        self.register_buffer("sign", upper.diagonal().sign())
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))
        self.log_scale = nn.Parameter(upper.diagonal().abs().log())

    def weight(self) -> Tensor:
        """W, (d, d)."""
        lower = self.lower.tril(-1) + torch.eye(len(self.lower), dtype=self.lower.dtype, device=self.lower.device)
        upper = self.upper.triu(1) + torch.diag(self.sign * self.log_scale.exp())
        return (lower @ upper)[self.order]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        pixels = x[0].numel() // x.shape[-1]
        return F.linear(x, self.weight()), (pixels * self.log_scale.sum()).expand(x.shape[0])

    def freeze(self) -> None:
        """`inverse` becomes one product with W⁻¹, found in float64: an exported graph knows no triangular solve."""
        with torch.no_grad():
            w = self.weight()
            self.inverted = torch.linalg.inv(w.double()).to(w)

    def inverse(self, z: Tensor) -> Tensor:
        if self.inverted is not None:
            return F.linear(z, self.inverted)
        # Two triangular solves: more exact than multiplying by an explicit inverse.
        columns = z.reshape(-1, z.shape[-1]).T
        y = columns[self.order.argsort()]
        upper = self.upper.triu(1) + torch.diag(self.sign * self.log_scale.exp())
        y = torch.linalg.solve_triangular(self.lower, y, upper=False, unitriangular=True)
        return torch.linalg.solve_triangular(upper, y, upper=True).T.reshape(z.shape)
