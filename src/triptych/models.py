"""The three families as models: players bound to the capabilities they give."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from triptych.core import Density, Encoder, Sampler, Shape, to_inner, to_public
from triptych.errors import UserError
from triptych.nets.transforms import Conditioned, Transform


class GANModel(Sampler):
    """A `generator` from z (n, latent) to inner examples, and a `critic` from inner examples to scores."""

    sampling = ("generator",)

    def __init__(self, shape: Shape, latent: int, generator: nn.Module, critic: nn.Module) -> None:
        super().__init__(shape)
        self.latent = latent
        self.generator = generator
        self.critic = critic

    def decode(self, z: Tensor) -> Tensor:
        return to_public(self.generator(z))


class FlowModel(Sampler, Encoder, Density):
    """A bijection `flow` from inner examples to z ~ N(0, I) of the same number of dimensions.

    `flow(x)` gives z (n, d) and log |det ∂z/∂x|, `flow.inverse(z)` the way back. Pictures may have a second player
    `dequantizer`, which draws the noise u in k + u from a learned q(u | k); without it u is uniform.
    """

    sampling = ("flow",)

    def __init__(self, shape: Shape, flow: Transform, dequantizer: nn.Module | None = None) -> None:
        super().__init__(shape)
        self.latent = math.prod(shape)
        self.flow = flow
        if dequantizer is not None:
            self.dequantizer = dequantizer

    def precise(self) -> list[nn.Module]:
        """The networks that decide scales and shifts, for pictures; z and log-determinants stay float32.

        Vectors have none: bfloat16 moves the log density of 2-D data by hundredths of a nat.
        """
        if len(self.shape) == 1:
            return []
        return [m.net for m in self.modules() if isinstance(m, Conditioned)]

    def encode(self, x: Tensor) -> Tensor:
        return self.flow(to_inner(self._checked(x)))[0]

    def decode(self, z: Tensor) -> Tensor:
        return to_public(self.flow.inverse(z))

    def log_prob(self, x: Tensor) -> Tensor:
        """Nats per example: the density at the given x, in the data's units (pictures: on [0, 1]^d)."""
        log_p = self.log_density(to_inner(self._checked(x)))
        return log_p + self.latent * math.log(2) if x.dim() == 4 else log_p

    def log_density(self, x: Tensor) -> Tensor:
        """log N(f(x); 0, I) + log |det ∂f/∂x| of inner examples, (n,)."""
        z, log_det = self.flow(x)
        return -0.5 * (z.square().sum(1) + self.latent * math.log(2 * math.pi)) + log_det

    def dequantise(self, x: Tensor, levels: int = 256) -> tuple[Tensor, Tensor]:
        """Inner pictures of whole grey levels k to (k + u) / levels on [-1, 1], and log q(u | k), (n,).

        Vectors are returned as they are, with 0. Source: Theis et al. 2016, section 3.1; Ho et al. 2019, eq. 7.
        """
        if x.dim() != 4:
            return x, x.new_zeros(len(x))
        k = ((x + 1) * ((levels - 1) / 2)).round()
        if "dequantizer" in self.players:
            u, log_q = self.dequantizer(x)
        else:
            u, log_q = torch.rand_like(x), x.new_zeros(len(x))
        # In float32 255 + u rounds up to 256 for u > 1 − 2⁻¹⁶: the noise must not leave its bin.
        return (k + u.clamp(0, 1 - 2**-16)) * (2 / levels) - 1, log_q

    def _checked(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.shape:
            raise UserError(f"the flow was made for examples of shape {self.shape}; these have {tuple(x.shape[1:])}")
        if len(self.shape) == 3 and not bool(((x >= 0) & (x <= 1)).all()):
            raise UserError("pictures have values outside [0, 1]; the density is defined there only: rescale them")
        return x
