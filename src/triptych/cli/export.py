"""The commands that hand a model on: as files for other programs, and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from triptych.cli.explore import RunFolder, Which, note
from triptych.system.console import say

Precision = Annotated[
    Literal["fp32", "fp16"], arg(help="how weights are stored: fp16 halves the files; arithmetic stays float32")
]


def export(
    run: RunFolder,
    format: Annotated[
        Literal["onnx", "safetensors", "torch-export"],
        arg(help="onnx: graphs for any language; safetensors: weights; torch-export: graphs for PyTorch"),
    ] = "onnx",
    part: Annotated[
        Literal["decode", "encode", "log_prob", "critic", "sample"] | None,
        arg(help="only this; default: all that the model can do"),
    ] = None,
    precision: Precision = "fp32",
    out: Annotated[Path | None, arg(metavar="DIR", help="folder to write to; default: export/ in the run folder")] = None,
    which: Which = "last",
) -> None:
    """Export a run's model for other programs, checked against it: ONNX graphs, or weights.

    Writes DIR/{decode,encode,log_prob,critic}.onnx, those that the model can do, and export.json.
    """
    from triptych.export import write_export

    result = write_export(run, out, format=format, part=part, precision=precision, which=which)
    for text in result.notes:
        note(text)
    say(*result.files)
