"""Second gradients of convolutions in compiled graphs, rewritten: the same numbers by an ordinary gradient."""

import pytest
import torch
import torch.nn.functional as F
from functorch.compile import make_boxed_func
from torch._dynamo.backends.common import aot_autograd

from triptych.trainer import graph_rewrites


@pytest.fixture(autouse=True)
def _forget():
    yield
    torch.compiler.reset()


def compiled(function, rewritten):
    """Compiled without a backend's own kernels; what every convolution of the graphs became goes to `rewritten`."""

    def compile_graph(module, _):
        for node in list(module.graph.nodes):
            if node.target is torch.ops.aten.convolution.default:
                rewritten.append(graph_rewrites.rewrite(module.graph, node))
        module.graph.lint()
        module.recompile()
        return make_boxed_func(module.forward)

    return torch.compile(function, backend=aot_autograd(fw_compiler=compile_graph), fullgraph=True, dynamic=False)


@pytest.mark.parametrize(
    ("side", "k", "stride", "padding", "want"),
    [
        (8, 3, 1, 1, 2),
        (16, 4, 2, 1, 2),
        (9, 3, 2, 1, 2),
        (9, 3, 1, 0, 2),
        (8, 3, 2, 1, 1),  # of the first, the kernel is a part of what the large convolution gives
        (8, 1, 1, 0, 2),
    ],
)
def test_a_penalty_has_the_same_gradient(side, k, stride, padding, want):
    torch.manual_seed(0)
    first = torch.randn(5, 3, k, k, dtype=torch.float64).requires_grad_()
    second = torch.randn(4, 5, 3, 3, dtype=torch.float64).requires_grad_()
    x = torch.randn(6, 3, side, side, dtype=torch.float64)

    def slope(x):
        def scores(x):
            h = F.conv2d(x, first, None, stride, padding).tanh()
            return F.conv2d(h, second, None, 1, 1).square().sum()

        return torch.func.grad(scores)(x)

    rewritten = []
    exact = torch.autograd.grad(slope(x).square().sum(), [first, second])
    found = torch.autograd.grad(compiled(slope, rewritten)(x).square().sum(), [first, second])
    for a, b in zip(found, exact, strict=True):
        torch.testing.assert_close(a, b)
    assert sum(rewritten) == want


def test_ordinary_convolutions_are_left_alone():
    rewritten = []
    w = torch.randn(4, 3, 3, 3).requires_grad_()
    loss = compiled(lambda x: F.conv2d(x, w, None, 1, 1).square().sum(), rewritten)
    loss(torch.randn(2, 3, 8, 8)).backward()
    assert rewritten == [False]


def test_another_rewrite_is_another_cache():
    name = graph_rewrites.WeightGradients().uuid()
    assert len(name) == 64
    assert name == graph_rewrites.WeightGradients().uuid()
