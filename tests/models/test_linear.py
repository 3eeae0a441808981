"""Affine maps by oneDNN's product against PyTorch's, to the second derivative, and where each is taken."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad

from triptych.models.flows.coupling import SplineCoupling
from triptych.models.layers import linear as module
from triptych.models.layers.linear import Linear, linear, takes_onednn
from triptych.objectives.gradients import directional

needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch was built without oneDNN")
SHAPES = [(40, 3, 9), (40, 9, 3), (7, 12, 5), (300, 64, 23)]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """oneDNN's product for everything that it may be taken for, counted."""
    calls = list[int]()
    plain = module.product
    monkeypatch.setattr(module, "LEAST", 0)
    monkeypatch.setattr(module, "is_faster", lambda: True)
    monkeypatch.setattr(module, "product", lambda *of: calls.append(1) or plain(*of))
    return calls


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def derivatives(x: Tensor, w: Tensor, bias: Tensor) -> list[Tensor]:
    """A value, its gradients, and those of a penalty on the gradient of x."""
    given = [t.requires_grad_() for t in (x, w, bias)]
    y = torch.tanh(linear(*given)).square().sum()
    first = torch.autograd.grad(y, given, create_graph=True)
    penalty = (first[0].norm(dim=-1) - 1).square().mean() + first[1].square().sum()
    return [y.detach(), *(g.detach() for g in first), *torch.autograd.grad(penalty, given)]


@needs_onednn
@pytest.mark.parametrize(("n", "i", "o"), SHAPES)
def test_numbers_and_two_derivatives_are_those_of_float64(taken: list[int], n: int, i: int, o: int) -> None:
    exact = derivatives(drawn(n, i), drawn(o, i), drawn(o))
    assert not taken
    found = derivatives(drawn(n, i).float(), drawn(o, i).float(), drawn(o).float())
    assert len(taken) > 5
    for a, b in zip(found, exact, strict=True):
        assert a.shape == b.shape
        assert (a - b).norm() <= 1e-5 * b.norm()


@needs_onednn
def test_more_dimensions_no_bias_and_equal_bits_when_repeated(taken: list[int]) -> None:
    layer, x = Linear(9, 4, bias=False), drawn(3, 5, 9).float()
    y = layer(x)
    assert taken
    torch.testing.assert_close(y, F.linear(x, layer.weight))
    assert torch.equal(y, layer(x))
    assert y.shape == (3, 5, 4)


@needs_onednn
def test_the_first_backward_of_a_penalty_multiplies_for_no_weights(taken: list[int]) -> None:
    layer, x = Linear(4, 3), drawn(6, 4).float().requires_grad_()
    y = layer(x).square().sum()
    taken.clear()
    torch.autograd.grad(y, x, create_graph=True)
    assert len(taken) == 1


@needs_onednn
def test_a_spline_coupling_by_either_product(taken: list[int]) -> None:
    torch.manual_seed(0)
    layer, x = SplineCoupling(2, 2, 16, 1, 4, 3.0), torch.randn(50, 4)
    nn.init.normal_(layer.net[-1].weight)
    found = layer(x)
    assert taken
    layer, x = layer.double(), x.double()
    for a, b in zip(found, layer(x), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-4)


@needs_onednn
def test_forward_derivatives_and_maps_over_rows_are_pytorchs(taken: list[int]) -> None:
    layer, x, v = Linear(9, 4), drawn(5, 9).float(), drawn(5, 9).float() + 1
    value, slope = directional(lambda x: layer(x).square(), (x,), (v,))
    torch.testing.assert_close(slope, 2 * F.linear(x, layer.weight, layer.bias) * F.linear(v, layer.weight))
    torch.testing.assert_close(torch.func.vmap(layer)(x), F.linear(x, layer.weight, layer.bias))
    torch.testing.assert_close(value, layer(x).square())
    with forward_ad.dual_level():
        moved = forward_ad.unpack_dual(layer(forward_ad.make_dual(x, v)))
        torch.testing.assert_close(moved.tangent, F.linear(v, layer.weight))


@needs_onednn
def test_graphs_that_leave_this_package_have_pytorchs(taken: list[int]) -> None:
    """With any number of rows, which must not be asked for."""
    shapes = ({0: torch.export.Dim("n")},)
    for strict in (False, True):
        program = torch.export.export(Linear(9, 4), (torch.randn(5, 9),), dynamic_shapes=shapes, strict=strict)
        assert not taken
        assert "aten.linear" in str(program.graph)
        assert "mkldnn" not in str(program.graph)


def test_it_is_taken_for_float32_on_a_slow_processor_where_it_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_faster", lambda: True)
    x, w = torch.empty(256, 128), torch.empty(128, 128)
    assert takes_onednn(x, w)
    assert not takes_onednn(x[:32], w)
    assert not takes_onednn(x.double(), w.double())
    assert not takes_onednn(x.bfloat16(), w.bfloat16())
    assert not takes_onednn(x.to("meta"), w.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert not takes_onednn(x, w)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert not takes_onednn(x, w)
    monkeypatch.undo()
    monkeypatch.setattr(module, "is_faster", lambda: False)
    assert not takes_onednn(x, w)
