"""A rewrite of compiled graphs that makes a penalty's second gradient fast on a GPU.

PyTorch differentiates a convolution twice by one whose kernel is as large as the image: its result, the gradient of the
weights, has a few thousand numbers, and each is a sum over the whole batch. A GPU divides a convolution's work by its
results, and most of it stood idle. The same sums are an ordinary gradient of the weights, for which there are kernels
that divide the sum instead. In eager mode `models/layers/conv_kernels.py` sees to that.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import fx
from torch._guards import detect_fake_mode
from torch._inductor.custom_graph_pass import CustomGraphPass

aten = torch.ops.aten


class WeightGradients(CustomGraphPass):
    """Convolutions with kernels as large as the image become gradients of the weights."""

    def __call__(self, graph: fx.Graph) -> None:
        for node in list(graph.nodes):
            if node.op == "call_function" and node.target is aten.convolution.default:
                rewrite(graph, node)

    def uuid(self) -> str:
        """What compiled graphs are kept under: another rewrite compiles anew."""
        return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def rewrite(graph: fx.Graph, node: fx.Node) -> bool:
    """Replace one convolution of x (c, n, h, w) with a kernel y (o, n, h', w') where it gives a small (c, o, k, k).

    Of the convolution it comes from x and y are inputs and gradients of outputs with channels and batch exchanged;
    its stride is this one's dilation, and the other way round.
    """
    x, y, bias, stride, padding, dilation, transposed, _, groups = node.args
    assert isinstance(x, fx.Node)
    assert isinstance(y, fx.Node)
    (c, _n, *sides), (o, _, *kernel), (_, _, *small) = (_shape(t) for t in (x, y, node))
    if bias is not None or transposed or groups != 1 or len(sides) != 2:
        return False
    if kernel[0] <= small[0] or kernel[1] <= small[1]:
        return False  # an ordinary convolution
    for side, k, p, wide, step, out in zip(sides, small, padding, stride, dilation, kernel, strict=True):  # type: ignore[arg-type]
        if (side + 2 * p - wide * (k - 1) - 1) // step + 1 != out:
            return False  # the original's kernel is a part of this result
    with graph.inserting_before(node):
        inputs, gradients = (_add(graph, aten.permute.default, t, [1, 0, 2, 3]) for t in (x, y))
        weights = _add(graph, aten.new_empty.default, inputs, [o, c, *small])
        both = (None, dilation, padding, stride, False, [0, 0], 1, [False, True, False])
        found = _add(graph, aten.convolution_backward.default, gradients, inputs, weights, *both)
        result = _add(graph, aten.permute.default, _add(graph, operator.getitem, found, 1), [1, 0, 2, 3])
    node.replace_all_uses_with(result)
    graph.erase_node(node)
    return True


def _shape(node: fx.Node) -> tuple[int, ...]:
    return tuple(node.meta["val"].shape)


def _add(graph: fx.Graph, target: Callable[..., Any], *args: Any) -> fx.Node:
    """A call at the graph's place of insertion, with the shape and layout that its result will have."""
    node = graph.call_function(target, args)
    values = [a.meta["val"] if isinstance(a, fx.Node) else a for a in args]
    with fake_mode(*values):
        node.meta["val"] = target(*values)
    return node


def fake_mode(*values: Any) -> Any:
    """The mode in which the graph's shapes were found."""
    return detect_fake_mode(values) or nullcontext()
