"""Masked autoregressive flow: each dimension is scaled and shifted by functions of those before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from triptych.core import Shape
from triptych.core.model_spec import ConditionalSpec
from triptych.core.search import Among
from triptych.models.families import FlowModel
from triptych.models.flows.coupling import alternated, columns
from triptych.models.layers.bijections import Affine, Compose, Standardize
from triptych.models.layers.conditional import appended, width_of
from triptych.models.layers.linear import linear


class MaskedLinear(nn.Linear):
    """A linear layer in which unit j sees input i only where `degree_in[i]` ≤ `degree_out[j]`."""

    mask: Tensor

    def __init__(self, degree_in: Tensor, degree_out: Tensor) -> None:
        super().__init__(len(degree_in), len(degree_out))
        self.register_buffer("mask", (degree_in[None, :] <= degree_out[:, None]).float(), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight * self.mask, self.bias)


def made(d: int, outputs: int, hidden: Sequence[int], classes: int = 0) -> nn.Sequential:
    """x (n, d) to (n, outputs · d), output block by block; number i of a block depends on x₁ … xᵢ₋₁ only.

    Where there are classes, all of them depend on the label at hand. The last layer starts at zero. Source: Germain
    et al. 2015, section 4.
    """
    degree = torch.cat([torch.arange(1, d + 1), torch.zeros(width_of(classes), dtype=torch.int64)])
    layers: list[nn.Module] = appended(classes)
    for width in hidden:
        # Hidden degrees run over 1 … d − 1; with one column no unit may see anything and the biases decide.
        # With a label, which is before all columns, some units see that alone: they speak for the first column.
        after = torch.arange(width) % d if classes else torch.arange(width) % max(d - 1, 1) + (1 if d > 1 else 0)
        layer = MaskedLinear(degree, after)
        with torch.no_grad():
            layer.weight.normal_(0, 1).mul_((2 / layer.mask.sum(1).clamp_min(1)).sqrt()[:, None])
            layer.bias.zero_()
        layers += [layer, nn.SiLU()]
        degree = after
    last = MaskedLinear(degree, torch.arange(d).repeat(outputs))
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)


class MaskedAutoregressive(Affine):
    """zᵢ = xᵢ exp(sᵢ) + tᵢ with sᵢ, tᵢ functions of x₁ … xᵢ₋₁: one pass forward, d passes back.

    Source: Papamakarios et al. 2017, section 3, with μ and α folded into t and s.
    """

    def __init__(self, d: int, hidden: Sequence[int], classes: int = 0) -> None:
        super().__init__()
        self.d = d
        self.net = made(d, 2, hidden, classes)

    @property
    def passes_back(self) -> float:
        return float(self.d)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        s, t = self.scale_and_shift(x)
        return x * s.exp() + t, s.sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        x = torch.zeros_like(z)
        for i in range(self.d):
            s, t = self.scale_and_shift(x)
            # Column i is right once those before it are: set it alone.
            x = torch.cat([x[:, :i], ((z - t) * (-s).exp())[:, i : i + 1], x[:, i + 1 :]], dim=1)
        return x


@dataclass(frozen=True)
class MAF(ConditionalSpec):
    """Masked autoregressive flow for vectors, columns standardised first. Sampling takes d passes per layer."""

    layers: Annotated[int, Among(4, 8)] = 8
    """autoregressive layers, the order of the columns changed between them"""
    width: Annotated[int, Among(64, 128)] = 128
    """units per hidden layer"""
    depth: int = 2
    """hidden layers"""

    def build(self, shape: Shape) -> FlowModel:
        d = columns(shape, "MAF", least=1)
        layers = alternated(d, self.layers, lambda: MaskedAutoregressive(d, [self.width] * self.depth, self.k))
        return FlowModel(shape, Compose([Standardize(d), *layers]), classes=self.k)
