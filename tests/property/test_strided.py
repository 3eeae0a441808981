"""The quick strided layers against the library's, forward and backward."""

import pytest
import torch
from torch import nn

from triptych.nets.strided import Down, Up, weight_gradient


@pytest.mark.parametrize("side", [2, 6, 7, 16, 32])
@pytest.mark.parametrize("kind", [Down, Up])
def test_quick_layers_equal_the_librarys(kind: type[nn.Module], side: int) -> None:
    torch.manual_seed(side)
    layer = kind(6, 10).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(3, 6, side, side).requires_grad_()
    want = layer(x)
    g = torch.randn_like(want)
    expected = torch.autograd.grad(want, [x, *layer.parameters()], g)
    with torch.autocast("cpu", torch.bfloat16):
        got = layer(x)
    found = torch.autograd.grad(got, [x, *layer.parameters()], g.to(got.dtype))
    for a, b in zip([want, *expected], [got, *found], strict=True):
        # bfloat16 rounds each of the inputs and sums to 8 bits
        assert (a - b).norm() <= 0.01 * a.norm()


@pytest.mark.parametrize("side", [4, 7])
def test_weight_gradient_is_exact_in_float64(side: int) -> None:
    x = torch.randn(2, 3, side, side, dtype=torch.float64)
    weight = torch.randn(5, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    y = torch.nn.functional.conv2d(x, weight, stride=2, padding=1)
    g = torch.randn_like(y)
    torch.testing.assert_close(weight_gradient(g, x, 3), torch.autograd.grad(y, weight, g)[0])
