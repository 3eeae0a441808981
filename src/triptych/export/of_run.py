"""From a run to files that other programs read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from triptych import __version__
from triptych.core import Conditional, Latent, Model, encode
from triptych.core.columns import unit
from triptych.errors import UserError
from triptych.export import formats
from triptych.export.formats import NotExportable
from triptych.export.graphs import Graph, PartName, graphs_of
from triptych.run.addresses import Place
from triptych.run.folder import Run, Which
from triptych.system import files

if TYPE_CHECKING:
    from onnx import ModelProto

Format = Literal["onnx", "safetensors", "torch-export"]
Precision = Literal["fp32", "fp16"]
FORMAT = 1
"""Of export.json."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]
    """a line for each part that was left out, or that differs from the model by more than rounding"""


def write_export(
    run: Place,
    out: str | Path | None = None,
    *,
    format: Format = "onnx",
    part: PartName | None = None,
    precision: Precision = "fp32",
    which: Which = "last",
    model: Model | None = None,
    announce: Callable[[str], None] = lambda text: None,
) -> Exported:
    """Write what a run's model can do, a file each, and `export.json` beside them; into the run folder by default.

    Of ONNX and PyTorch's exported programs each file is checked against the model. A part that cannot be written is
    left out and named; UserError where it was asked for, or where the part that samples is among them.
    """
    found = Run(run)
    if precision == "fp16" and format == "torch-export":
        raise UserError("--precision fp16 is for onnx and safetensors; leave it out")
    if part is not None and format == "safetensors":
        raise UserError("safetensors holds the weights of the whole model; leave --part out")
    if format == "onnx":
        formats.need("onnx", "onnxscript", "onnxruntime")
    model = found.load(which, "cpu") if model is None else model
    if not model.players:
        raise UserError(f"{found.path} holds {type(model).__name__}, which was fitted in closed form; export a network")
    folder = Path(out) if out is not None else found.path / "export"
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; give --out a folder")
    about = describe(found, model, precision)
    notes: list[str] = []
    left_out = [f"left out: {why}" for why in model.missing.values()] if part is None else []
    contents: dict[str, bytes] = {}
    parts: dict[str, Any] = {}
    if format == "safetensors":
        contents["model.safetensors"] = weights(model, precision, about)
    else:
        for graph in graphs_of(model, part):
            announce(graph.name)
            try:
                content, checked = written(graph, format, precision, about)
            except NotExportable as e:
                if part is not None or graph.part.output == "x":
                    raise
                left_out.append(f"left out: {e}")
                continue
            name = f"{graph.name}.{'onnx' if format == 'onnx' else 'pt2'}"
            contents[name] = content
            parts[graph.name] = {"file": name} | sides(graph) | file_facts(content) | checked
            if (kept := kept_whole(graph, checked, precision)) is not None:
                notes.append(kept)
            if checked["largest_difference"] > formats.CLOSE and checked["precision"] == "fp32":
                notes.append(f"{graph.name} differs from the model by {checked['largest_difference']:.2g}")
    told = {"format": FORMAT, "written_as": format} | about | {"parts": parts, "left_out": left_out, "notes": notes}
    if format == "safetensors":
        told |= {"file": "model.safetensors"} | file_facts(contents["model.safetensors"])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        files.write_bytes(folder / name, content, "give --out another place")
    files.write_json(folder / "export.json", told, "give --out another place")
    return Exported((*(folder / name for name in contents), folder / "export.json"), (*left_out, *notes))


def written(graph: Graph, format: Format, precision: Precision, about: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """The file of one part, and how far it is from the model.

    `precision` in the latter is fp32 also where weights in float16 would make it another function.
    """
    if format == "torch-export":
        content = formats.saved_program(graph)
        return content, formats.check(graph, formats.run_program(content)) | {"precision": "fp32"}
    made = formats.to_onnx(graph)
    if precision == "fp16":
        with suppress(NotExportable):
            content, checked = finished(graph, formats.halve(made), about | {"precision": "fp16"})
            if checked.get("within_a_grey_level", 1.0) >= formats.NEAR:
                return content, checked
    return finished(graph, made, about | {"precision": "fp32"})


def finished(graph: Graph, made: ModelProto, about: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """An ONNX model as a file that says what it is, and how far it is from ours."""
    formats.annotate(made, metadata(graph, about))
    content = made.SerializeToString()
    return content, formats.check(graph, formats.run_onnx(content)) | {"precision": about["precision"]}


def kept_whole(graph: Graph, checked: dict[str, Any], precision: Precision) -> str | None:
    """What to say of a part whose weights are float32 although float16 was asked for."""
    if checked["precision"] == precision:
        return None
    return f"{graph.name} keeps its weights in float32: in float16 it would be another function"


def describe(run: Run, model: Model, precision: Precision) -> dict[str, Any]:
    """What a program has to know that has the files alone."""
    images = len(model.shape) == 3
    told: dict[str, Any] = {
        "triptych": __version__,
        "run": run.name,
        "seed": run.seed,
        "images": run.status["images"],
        "model": type(model).__name__,
        "data": run.env.get("data", {}).get("name", run.recipe.data.name),
        "shape": list(model.shape),
        "range": [0, 1] if images else None,
        "precision": precision,
        "recipe": encode(run.recipe),
    }
    if isinstance(model, Latent):
        told |= {"latent": model.latent, "prior": "normal" if model.transport() is None else "fitted"}
    if isinstance(model, Conditional) and model.classes:
        told["classes"] = list(model.class_names) or [str(c) for c in range(model.classes)]
        told["frequencies"] = model.frequencies.tolist()
    if isinstance(model, Conditional) and model.numbers:
        told["given"] = numbers_of(model)
    if run.origin():
        told["origin"] = list(run.origin())
    if (typed := run.typed()) is not None:
        told["columns"] = typed.told()
    elif run.names():
        told["names"] = list(run.names())
    return told


def numbers_of(model: Conditional) -> list[dict[str, Any]]:
    """Name, range and mean in the training data of each number that a model is conditioned on.

    Those of a column of categories, one of which is 1, say which `column` and `category` they are; a date how many
    `seconds` since 1970 its unit has.
    """
    low, high = model.known.amin(0).tolist(), model.known.amax(0).tolist()
    mean = model.centre_of_numbers.tolist()
    each = zip(model.number_names, low, high, mean, strict=True)
    found = [{"name": name, "range": [a, b], "mean": m} for name, a, b, m in each]
    kinds: list[dict[str, Any]] = []
    for column in model.number_columns:
        if column.kind == "category":
            kinds += [{"column": column.name, "category": value} for value in column.values]
        else:
            kinds.append({"seconds": unit(column.form)} if column.kind == "date" else {})
    return [number | kind for number, kind in zip(found, kinds, strict=True)]


def metadata(graph: Graph, about: dict[str, Any]) -> dict[str, str]:
    """The same as words inside an ONNX file, and which part it is."""
    told = about | {"part": graph.name} | sides(graph)
    if graph.part.input == "noise":
        told["prior"] = "normal"  # the model's own is in the graph
    return {k: v if isinstance(v, str) else json.dumps(files.plain(v)) for k, v in told.items()}


def sides(graph: Graph) -> dict[str, Any]:
    """Name, shape of one example and range of what goes in and comes out; null where it has no bounds."""
    model = graph.model
    assert isinstance(model, Latent)
    examples = {"shape": list(model.shape), "range": [0, 1] if len(model.shape) == 3 else None}
    known = {"x": examples, "z": {"shape": [model.latent], "range": None}}
    if graph.transport is not None:
        known["noise"] = {"shape": [graph.transport.takes], "range": None}
    number = {"shape": [], "range": None}
    names = (("input", graph.part.input), ("output", graph.part.output))
    found: dict[str, Any] = {side: {"name": name} | known.get(name, number) for side, name in names}
    if graph.labelled:
        assert isinstance(model, Conditional)
        label = {"shape": [], "range": [0, model.classes - 1]}
        found["labels"] = {"name": "y"} | (label if model.classes else {"shape": [model.numbers], "range": None})
    return found


def file_facts(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def weights(model: Model, precision: Precision, about: dict[str, Any]) -> bytes:
    """All weights and buffers under their own names, with the description in the header."""
    from safetensors.torch import save

    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    if precision == "fp16":
        state = {k: v.half() if v.dtype == torch.float32 else v for k, v in state.items()}
        if bad := [k for k, v in state.items() if v.is_floating_point() and not bool(torch.isfinite(v).all())]:
            raise UserError(f"{bad[0]} has values beyond float16; leave --precision out")
    return save(state, {k: v if isinstance(v, str) else json.dumps(files.plain(v)) for k, v in about.items()})
