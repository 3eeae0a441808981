"""Flows of the zuko library as models of this one (extra `zuko`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from triptych.core import ModelSpec, Shape
from triptych.errors import UserError
from triptych.models.families import FlowModel
from triptych.models.flows.coupling import columns
from triptych.models.layers.bijections import Compose, Standardize, Transform


class Adapted(Transform):
    """The transform of an unconditional zuko flow."""

    def __init__(self, flow: nn.Module) -> None:
        super().__init__()
        self.flow = flow

    def _transform(self) -> Any:
        return self.flow().transform  # its networks run when it is called, so it is made anew each time

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._transform().call_and_ladj(x)

    def inverse(self, z: Tensor) -> Tensor:
        return self._transform().inv(z)


def adapt(flow: nn.Module, shape: Shape) -> FlowModel:
    """Any unconditional zuko flow over vectors of `shape` as a model, columns standardised first.

    Its base must be N(0, I), which is most of them; UserError otherwise.
    """
    base = flow().base
    probe = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(probe).sum(-1)
    if base.event_shape != shape or not torch.allclose(base.log_prob(probe), normal, atol=1e-4):
        raise UserError(f"the zuko flow's base is not a standard normal of shape {shape}; use one that has that base")
    return FlowModel(shape, Compose([Standardize(shape[0]), Adapted(flow)]))


@dataclass(frozen=True)
class Zuko(ModelSpec):
    """A flow of the zuko library, with its own defaults."""

    flow: Literal["NICE", "MAF", "NSF", "SOSPF", "NAF", "UNAF", "CNF", "GF", "BPF"] = "NSF"
    """class in zuko.flows"""
    transforms: int = 3
    """transforms stacked"""
    width: int = 64
    """units per hidden layer"""
    depth: int = 2
    """hidden layers"""

    def build(self, shape: Shape) -> FlowModel:
        d = columns(shape, "Zuko", least=1)
        try:
            import zuko
        except ImportError as e:
            raise UserError("zuko is not installed; pip install 'triptych[zuko]'") from e
        options: dict[str, Any] = {"hidden_features": [self.width] * self.depth}
        if self.flow != "CNF":
            options["transforms"] = self.transforms
        return adapt(getattr(zuko.flows, self.flow)(features=d, **options), shape)
