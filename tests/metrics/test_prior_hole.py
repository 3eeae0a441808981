"""The prior hole of an autoencoder whose codes are nowhere near N(0, I)."""

import torch
from torch import nn

from triptych.core import Data
from triptych.metrics.comparison import Comparison
from triptych.metrics.prior_hole import PriorHole
from triptych.models import VAEModel


class Shifted(nn.Module):
    """x to (x + 6, log 0.01): codes far from the prior."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x + 6, torch.full_like(x, 0.01).log()], 1)


class Back(nn.Module):
    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z - 6


def test_the_hole_is_seen_and_filled() -> None:
    model = VAEModel((2,), 2, Shifted(), Back())
    model.register_parameter("unused", nn.Parameter(torch.zeros(())))
    x = torch.randn(1500, 2, generator=torch.Generator().manual_seed(0))
    train, test = Data("a", x[:1000]), Data("b", x[1000:], "test")
    found = PriorHole(points=500)(Comparison(test, test, model=model, train=train))
    assert {v.n for v in found.values()} == {500}
    value = {k: v.value for k, v in found.items()}
    assert value["hole_prior"] > 3
    assert value["hole_mixture"] < 0.3
    assert value["hole_gaussian"] < 0.3
    assert value["hole_reconstruction"] < 0.02
