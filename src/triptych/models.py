"""The three families as models: players bound to the capabilities they give."""

from __future__ import annotations

from torch import Tensor, nn

from triptych.core import Sampler, Shape, to_public


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
