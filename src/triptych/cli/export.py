"""The commands that hand a model on: as files for other programs, and as a page."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from triptych.cli.explore import Moved, RunFolder, Which, note
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
        Literal["decode", "encode", "log_prob", "critic", "codes", "sample"] | None,
        arg(help="only this; default: all that the model can do"),
    ] = None,
    precision: Precision = "fp32",
    out: Annotated[
        Path | None, arg(metavar="DIR", help="folder to write to; default: export/ in the run folder")
    ] = None,
    which: Which = "last",
) -> None:
    """Export a run's model for other programs, checked against it: ONNX graphs, or weights.

    Writes DIR/{decode,encode,log_prob,critic,codes,sample}.onnx, those that the model can do, and export.json.
    """
    from triptych.export import write_export

    result = write_export(run, out, format=format, part=part, precision=precision, which=which)
    for text in result.notes:
        note(text)
    say(*result.files)


Runs = Annotated[tuple[Path, ...], Positional, arg(metavar="RUN", help="folders of one to four runs")]


def explore(
    runs: Runs,
    out: Annotated[Path, arg(metavar="FILE.html", help="the page to write")] = Path("explore.html"),
    precision: Precision = "fp32",
    data: Moved = None,
    *,
    embed_training: Annotated[
        bool, arg(help="put some training examples into the page, to show those nearest to a sample; mind their terms")
    ] = False,
    open: Annotated[bool, arg(help="open the page in the browser")] = False,
) -> None:
    """Write a page that runs models in the browser: sliders, walks and samples, side by side, in one file.

    The file needs no server and no network, and can be sent to anybody.
    """
    from triptych.explore.page import write_page

    file = write_page(runs, out, precision=precision, embed_training=embed_training, data=data, announce=note)
    say(file, f"{file.stat().st_size / 2**20:.1f} MB; open it in a browser, from the disk")
    if open:
        webbrowser.open(file.absolute().as_uri())
