"""Samples of a generator that is given as an ONNX file, ours or anybody's."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from triptych.core import Data, to_bytes
from triptych.core.columns import Columns, read_back
from triptych.errors import UserError
from triptych.evaluate.options import Generator
from triptych.run.json_types import is_number, is_text, listed
from triptych.run.schema import COLUMNS
from triptych.system import files
from triptych.system.onnx_runtime import onnx_runtime

ENDING = ".onnx"
BATCH = 64
LARGEST = (1 << 31) - 1
"""Bytes of a file that is read: no ONNX file without others beside it is larger."""
TYPES = {"tensor(float)": torch.float32, "tensor(double)": torch.float64, "tensor(float16)": torch.float16}
SAMPLING = ("decode", "sample")
"""Which of our own graphs make samples."""


def is_generator(path: str | Path) -> bool:
    """Whether a generated side is to be read as a generator."""
    return str(path).lower().endswith(ENDING)


@dataclass(frozen=True)
class Rows:
    """What vectors stand for, as one of our files says."""

    typed: Columns | None = None
    origin: tuple[float, ...] = ()
    names: tuple[str, ...] = ()

    def of(self, path: Path, x: Tensor) -> Data:
        """Examples of a generator with these columns; UserError where there are more of them or fewer."""
        names = self.names if self.typed is None else self.typed.places
        told = len(names) or len(self.origin)
        if told and x.shape[1:] != (told,):
            raise UserError(f"{path} makes {tuple(x.shape[1:])} and says that it has {told} columns; export it again")
        return Data(path.name, x, typed=self.typed, origin=self.origin, columns=names)


@dataclass(frozen=True)
class Opened:
    """A generator that is ready to be asked."""

    path: Path
    session: Any
    shape: tuple[int, ...]
    """of one row of noise"""
    prior: Literal["normal", "uniform"]
    output: tuple[float, float] | None
    """values of black and white; None: as the output's type says"""
    rows: Rows = Rows()

    def samples(self, n: int, seed: int) -> Data:
        """n samples: uint8 images, or vectors. UserError where they are neither."""
        g = torch.Generator().manual_seed(seed)
        size = math.prod(self.shape)
        z = torch.randn(n, size, generator=g) if self.prior == "normal" else torch.rand(n, size, generator=g) * 2 - 1
        given = self.session.get_inputs()[0]
        parts = [self.run(given, part) for part in z.split(BATCH)]
        return self.rows.of(self.path, torch.cat(parts))

    def run(self, given: Any, z: Tensor) -> Tensor:
        try:
            noise = z.view(-1, *self.shape).to(TYPES[given.type])
            x = torch.from_numpy(self.session.run(None, {given.name: noise.numpy()})[0])
        except Exception as e:  # whatever the runtime makes of a stranger's graph
            raise UserError(
                f"{self.path} fails on {len(z)} codes ({first_line(e)}); export it with a free batch"
            ) from e
        if len(x) != len(z):
            raise UserError(f"{self.path} makes {len(x)} samples of {len(z)} codes; export it with a free batch")
        return self.public(x)

    def public(self, x: Tensor) -> Tensor:
        """The output as examples: images to bytes, vectors as they are."""
        if x.dim() == 2 and self.output is None:
            return x.float()
        if x.dim() != 4 or x.shape[1] not in (1, 3):
            raise UserError(
                f"{self.path} makes tensors {tuple(x.shape[1:])}, which are neither images (1 or 3, height, width) nor "
                "vectors; it is no generator that can be evaluated"
            )
        if x.dtype == torch.uint8:
            return x
        if self.output is None:
            raise UserError(f"{self.path} does not say which values are black and white; give --output LOW HIGH")
        low, high = self.output
        x = (x.float() - low) / (high - low)
        if not bool(x.isfinite().all()):
            raise UserError(f"{self.path} makes NaN or infinite pixels; it has diverged")
        if float(x.min()) < -0.1 or float(x.max()) > 1.1:
            extent = f"{float(x.min()) * (high - low) + low:.3g} to {float(x.max()) * (high - low) + low:.3g}"
            raise UserError(
                f"{self.path} makes pixels from {extent}, beyond {low:g} to {high:g}; give --output LOW HIGH"
            )
        return to_bytes(x.clamp(0, 1))


def open_generator(path: str | Path, chosen: Generator) -> Opened:
    """Read the file and find out what goes in and comes out. UserError where it cannot be asked for samples."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist; give an ONNX file")
    onnxruntime = onnx_runtime()
    try:
        import onnx
    except ImportError as e:
        raise UserError(f"{e.name} is not installed; pip install 'triptych[onnx]'") from e
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        content = files.read_bytes(path, LARGEST)
        if reads_elsewhere(onnx.load_model_from_string(content).graph):
            raise UserError("its weights are in other files")
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as e:  # whatever the readers make of a stranger's file
        raise UserError(
            f"{path} is no ONNX model that can be run ({first_line(e)}); export it again, as one file"
        ) from e
    said = session.get_modelmeta().custom_metadata_map
    if "triptych" in said and (part := said.get("part")) not in SAMPLING:
        raise UserError(f"{path} is the {part} of a model and makes no samples; give its decode.onnx or sample.onnx")
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in TYPES:
        names = ", ".join(f"{i.name} {i.type}" for i in inputs) or "nothing"
        raise UserError(f"{path} takes {names}; a generator that can be evaluated takes codes alone, as floats")
    return Opened(
        path,
        session,
        code_shape(path, inputs[0].shape, chosen.latent),
        prior_of(path, said, chosen),
        range_of(path, said, chosen),
        rows_of(path, said),
    )


def reads_elsewhere(graph: Any) -> bool:
    """Whether a graph, or one inside it, has tensors in other files: a stranger's path is not followed."""
    tensors, graphs = list(graph.initializer), []
    for node in graph.node:
        for attribute in node.attribute:
            tensors += [attribute.t, *attribute.tensors]
            graphs += [attribute.g, *attribute.graphs]
    return any(t.data_location for t in tensors) or any(reads_elsewhere(g) for g in graphs if g.node or g.initializer)


def code_shape(path: Path, shape: list[Any], latent: int | None) -> tuple[int, ...]:
    """Of one row of noise, from an input (n, latent) or (n, latent, 1, 1)."""
    if not shape or isinstance(shape[0], int):
        raise UserError(f"{path} has a frozen batch of {shape[0] if shape else 0}; export it with a free one")
    if len(shape) not in (2, 4) or any(s != 1 for s in shape[2:]):
        raise UserError(f"{path} takes {shape}, which are no codes (n, latent); it is no generator")
    known = shape[1] if isinstance(shape[1], int) else None
    if latent is not None and known is not None and latent != known:
        raise UserError(f"{path} takes {known} latent dimensions, not {latent}; leave --latent out")
    if (size := known or latent) is None or size < 1:
        raise UserError(f"{path} does not say how many latent dimensions it takes; give --latent N")
    return (size, *shape[2:])


def prior_of(path: Path, said: Mapping[str, str], chosen: Generator) -> Literal["normal", "uniform"]:
    if chosen.prior is not None:
        return chosen.prior
    match said.get("prior"):
        case "normal":
            return "normal"
        case "gaussian" | "fitted":
            raise UserError(f"codes of {path} are not drawn from N(0, I); give the sample.onnx that lies beside it")
        case _:
            raise UserError(f"{path} does not say what noise it takes; give --prior normal or --prior uniform")


def range_of(path: Path, said: Mapping[str, str], chosen: Generator) -> tuple[float, float] | None:
    """Values of black and white, as chosen, or as one of our files says."""
    if chosen.output is not None:
        if not all(map(math.isfinite, chosen.output)) or chosen.output[0] == chosen.output[1]:
            raise UserError(f"--output {chosen.output[0]} {chosen.output[1]} is no range; give two different numbers")
        return chosen.output
    try:
        low, high = json.loads(said.get("output", "{}")).get("range") or (None, None)
        if low is None or high is None:
            return None
        if not math.isfinite(low) or not math.isfinite(high) or low == high:
            raise ValueError("no range")
        return float(low), float(high)
    except (ValueError, AttributeError, TypeError) as e:
        raise UserError(f"{path} says nothing sensible about its range; give --output LOW HIGH") from e


def rows_of(path: Path, said: Mapping[str, str]) -> Rows:
    """Types, origin and names of columns; UserError for such of another form than ours."""
    forms = {"columns": COLUMNS, "origin": listed(is_number), "names": listed(is_text)}
    try:
        found = {k: json.loads(said[k]) for k in forms if "triptych" in said and k in said}
    except ValueError as e:
        raise UserError(f"{path} says nothing sensible about its columns; export it again") from e
    if wrong := [k for k, v in found.items() if not forms[k](v)]:
        raise UserError(f"{path} says nothing sensible about its {wrong[0]}; export it again")
    typed = read_back(found["columns"]) if "columns" in found else None
    return Rows(typed, tuple(found.get("origin", ())), tuple(found.get("names", ())))


def first_line(e: Exception) -> str:
    return next((line.strip() for line in str(e).splitlines() if line.strip()), type(e).__name__)[:200]
