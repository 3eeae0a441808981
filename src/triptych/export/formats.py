"""A graph written as ONNX or as PyTorch's exported program, checked against the model that it came from."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from triptych.errors import UserError
from triptych.export.graphs import Graph
from triptych.system.onnx_runtime import onnx_runtime

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

OPSET = 20
BATCHES = (1, 3, 64)
"""Batch sizes that a graph is checked with: a frozen one fails at the second."""
CLOSE = 1e-4
"""Largest difference from the model that passes without a note, relative to values above 1."""
NEAR = 0.999
"""Share of pixels that weights in float16 leave within a grey level."""
WRONG = 1e-2
"""Difference from which on a graph is not the model."""
OTHERS = 0.05
"""Share of examples that may be others, where noise chooses among values: some numbers lie at the edge of two."""
HALVED = ("Gemm", "MatMul", "Conv", "ConvTranspose")
"""Operators whose weights may be stored as float16."""


class NotExportable(UserError):
    """A graph that cannot be written, and why."""


def need(*modules: str) -> None:
    """UserError that names the extra unless these modules are installed."""
    import importlib.util

    for name in modules:
        if importlib.util.find_spec(name) is None:
            raise UserError(f"{name} is not installed; pip install 'triptych[onnx]'")


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """The exporter's remarks on itself are not for whoever exports a model."""
    loggers = [
        logging.getLogger(name)
        for name in ("torch.onnx", "torch.export", "torch._export", "torch.fx.experimental", "onnxscript", "onnx_ir")
    ]
    before = [(log, log.level) for log in loggers]
    # a graph that cannot be traced is printed, line by line
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            for log in loggers:
                log.setLevel(logging.CRITICAL)
            yield
        finally:
            for log, level in before:
                log.setLevel(level)


def reason(e: BaseException) -> str:
    """The first error of a chain, in one line."""
    while e.__cause__ is not None:
        e = e.__cause__
    if "data-dependent" in str(e):
        return "it decides by values, which no graph can"
    line = next((line for line in str(e).splitlines() if line.strip()), type(e).__name__)
    return line.strip()[:200]


def captured(graph: Graph) -> torch.export.ExportedProgram:
    """The graph of one part, of any batch size. NotExportable where PyTorch cannot trace it."""
    try:
        with quietly(), torch.no_grad():
            free, inputs = {0: torch.export.Dim("n", min=1)}, graph.all_examples(3, 0)
            return torch.export.export(graph, inputs, dynamic_shapes=(free,) * len(inputs), strict=False)
    except Exception as e:  # whatever a network does that cannot be traced
        raise NotExportable(f"{graph.name} cannot be traced ({reason(e)})") from e


def to_onnx(graph: Graph) -> ModelProto:
    """One part as an ONNX model of opset 20 whose batch is free. NotExportable where an operator has no ONNX form."""
    need("onnx", "onnxscript")
    program = captured(graph)
    try:
        with quietly(), torch.no_grad():
            made = torch.onnx.export(
                program,
                graph.all_examples(3, 0),
                dynamo=True,
                opset_version=OPSET,
                input_names=graph.inputs,
                output_names=[graph.part.output],
                verbose=False,
            )
    except Exception as e:
        raise NotExportable(f"{graph.name} has no ONNX form ({reason(e)})") from e
    assert made is not None
    return strip(made.model_proto)


def nested(graph: GraphProto) -> Iterator[GraphProto]:
    """A graph, and the bodies of its loops."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from nested(attribute.g)


def strip(model: ModelProto) -> ModelProto:
    """Without the exporter's notes on where each node came from, which are most of a small file."""
    for graph in nested(model.graph):
        for holder in (graph, *graph.node):
            del holder.metadata_props[:]
            holder.doc_string = ""
        del graph.value_info[:]
    del model.metadata_props[:]
    return model


def halve(model: ModelProto) -> ModelProto:
    """A copy that stores the weights of its products and convolutions as float16, cast back when it is loaded.

    Arithmetic stays float32. What has no float16, being too large, stays as it is.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    half = onnx.ModelProto()
    half.CopyFrom(model)
    every = [node for graph in nested(half.graph) for node in graph.node]
    wanted = {name for node in every if node.op_type in HALVED for name in node.input[1:2]}
    casts, kept = [], []
    for tensor in half.graph.initializer:
        if tensor.name in wanted and tensor.data_type == TensorProto.FLOAT:
            small = numpy_helper.to_array(tensor).astype(np.float16)
            if np.isfinite(small).all():
                kept.append(numpy_helper.from_array(small, f"{tensor.name}.half"))
                casts.append(helper.make_node("Cast", [f"{tensor.name}.half"], [tensor.name], to=TensorProto.FLOAT))
                continue
        kept.append(tensor)
    nodes = [*casts, *half.graph.node]
    del half.graph.initializer[:], half.graph.node[:]
    half.graph.initializer.extend(kept)
    half.graph.node.extend(nodes)
    return half


def annotate(model: ModelProto, about: Mapping[str, str]) -> None:
    """Write these words into an ONNX model's metadata."""
    from onnx import helper

    helper.set_model_props(model, dict(about))
    model.producer_name = "triptych"


def saved_program(graph: Graph) -> bytes:
    """One part as the file of `torch.export.save`."""
    file = io.BytesIO()
    with quietly():
        torch.export.save(captured(graph), file)
    return file.getvalue()


def run_onnx(content: bytes) -> Callable[..., Tensor]:
    """What an ONNX model with one output computes of its inputs, on the CPU. NotExportable where nothing can run it."""
    onnxruntime = onnx_runtime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as e:  # its exceptions share no class
        raise NotExportable(f"the graph cannot be run ({reason(e)})") from e
    names = [i.name for i in session.get_inputs()]

    def run(*given: Tensor) -> Tensor:
        feeds = {name: x.numpy() for name, x in zip(names, given, strict=True)}
        return torch.from_numpy(session.run(None, feeds)[0])

    return run


def run_program(content: bytes) -> Callable[..., Tensor]:
    """What a file of `torch.export.save` computes."""
    with quietly():
        return torch.export.load(io.BytesIO(content)).module()


@torch.no_grad()
def check(graph: Graph, run: Callable[..., Tensor]) -> dict[str, Any]:
    """Compare with the model at batches of 1, 3 and 64.

    Returns the largest difference, relative to values above 1, and of images the share of pixels within one grey level.
    Where noise chooses among values, examples of which rounding chose others are counted, `chosen_otherwise`, and not
    compared. NotExportable where the graph fails or is another function.
    """
    worst, near, images = 0.0, [], graph.part.output == "x" and len(graph.model.shape) == 3
    chooses = graph.transport is not None and graph.transport.chooses
    others = 0
    for n in BATCHES:
        given = graph.all_examples(n, seed=n)
        want = graph(*given)
        try:
            got = run(*given)
        except Exception as e:
            raise NotExportable(f"{graph.name} fails on a batch of {n} ({reason(e)})") from e
        if got.shape != want.shape:
            raise NotExportable(f"{graph.name} makes {tuple(got.shape)} of a batch of {n}, not {tuple(want.shape)}")
        apart = (got - want).abs()
        if chooses:
            alike = (apart <= WRONG).flatten(1).all(1)
            others += n - int(alike.sum())
            apart, want = apart[alike], want[alike]
        if len(apart):
            worst = max(worst, float((apart / want.abs().clamp_min(1)).max()))
            near.append((apart <= 1 / 255 + 1e-6).float().mean().item())
    if others > OTHERS * sum(BATCHES):
        raise NotExportable(f"{graph.name} as a graph makes another example of {others} of {sum(BATCHES)}")
    if not worst <= WRONG and not (images and min(near) >= NEAR):
        raise NotExportable(f"{graph.name} as a graph differs from the model by {worst:.2g}")
    found: dict[str, Any] = {"largest_difference": worst, "batches": list(BATCHES)}
    found |= {"chosen_otherwise": others} if chooses else {}
    return found | ({"within_a_grey_level": min(near)} if images else {})
