"""Continuous flows of codes: noise to codes and back."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from triptych.core import Clock, to_inner
from triptych.data import load
from triptych.models.layers.linear import Linear
from triptych.models.two_stages import LatentMLP, LatentUNet
from triptych.objectives.flow_matching import LatentFlowMatching


@pytest.mark.parametrize(
    ("spec", "codes"),
    [
        (LatentUNet(codes=2, side=7, width=4, flow_width=16, flow_depth=1), 98),
        (LatentMLP(codes=5, width=4, flow_width=16, flow_depth=2), 5),
    ],
)
def test_a_flow_of_codes_carries_noise_to_codes_and_back(spec: LatentUNet | LatentMLP, codes: int) -> None:
    torch.manual_seed(0)
    model = replace(spec, solver="rk4", steps=20).build((1, 28, 28)).eval()
    for weights in model.flow.parameters():  # their last layers begin at 0
        nn.init.normal_(weights, std=0.05)
    x = torch.rand(6, 1, 28, 28)
    assert (model.latent, model.reconstruct(x).shape, model.sample(3).shape) == (codes, (6, 1, 28, 28), (3, 1, 28, 28))
    z = model.encode(x)
    assert z.shape == (6, codes)
    assert torch.allclose(model.decode(z), model.reconstruct(x), atol=1e-3)


def test_a_decoder_of_vectors_ends_at_the_range_and_keeps_its_slope() -> None:
    """All pixels below black come out black, and the decoder still learns."""
    torch.manual_seed(0)
    model = LatentMLP(codes=3, width=4, flow_width=8, flow_depth=1).build((1, 16, 16))
    last = [m for m in model.decoder.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)][-1]
    assert last.bias is not None
    with torch.no_grad():
        last.bias.fill_(-1.2)
    made = model.decoder(torch.randn(4, 3))
    assert -1.01 < made.min() <= made.max() < -1 + 1 / 255  # black, to the nearest grey level
    made.square().sum().backward()
    assert last.weight.grad is not None
    assert last.weight.grad.abs().max() > 0


def test_larger_codes_have_larger_noise_at_once() -> None:
    """The loss of codes times 3, read by a decoder that divides by 3, is the same: there is nothing in growing."""
    torch.manual_seed(0)
    data = load("glyphs", resolution=16, channels=1)
    model = LatentMLP(codes=8, width=4, flow_width=8, flow_depth=1).build(data.shape)
    objective, batch = LatentFlowMatching(noise=0.5), to_inner(data.x[:256])
    enter = next(m for m in model.decoder.modules() if isinstance(m, Linear))
    with torch.no_grad():  # so that codes, and what is added to them, are seen
        enter.weight.mul_(100)

    def loss() -> float:
        torch.manual_seed(1)
        return next(objective.step(model, iter([batch]), Clock(0, 0, 0.0))).loss.item()

    small = loss()
    with torch.no_grad():
        for weights in list(model.encoder.children())[-1].parameters():
            weights.mul_(3)
        enter.weight.div_(3)
    assert loss() == pytest.approx(small, rel=1e-4)
