"""Hierarchical and discrete autoencoders from the command line: all that a run of an autoencoder can be asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from triptych.cli import main
from triptych.export import write_export

WORDS = {
    "hvae": "train hvae-mnist --model.width 8 --model.groups 1 --model.channels 1 --model.top 3",
    "fsq": "train fsq-mnist --model.side 4 --model.width 8 --model.codes 2 --model.prior-width 8 --model.prior-depth 1",
}
SHORT = "--data glyphs --resolution 16 --channels 1 --train.images 256 --train.batch 32 --train.evaluate 256"


@pytest.fixture(scope="module", params=sorted(WORDS))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param) / "run"
    assert main([*WORDS[request.param].split(), *SHORT.split(), "--out", str(folder)]) == 0
    return folder


def test_it_can_be_looked_at_like_any_autoencoder(run: Path, tmp_path: Path) -> None:
    for words in (
        "sample RUN -n 8 --temperature 0.7 --out OUT/samples.png",
        "reconstruct RUN -n 4 --out OUT/reconstructions.png",
        "interpolate RUN --out OUT/interpolation",
        "sweep RUN --out OUT/sweep",
        "encode RUN -n 9 --out OUT/z.npy",
        "decode RUN OUT/z.npy --out OUT/decoded",
    ):
        assert main(words.replace("RUN", str(run)).replace("OUT", str(tmp_path)).split()) == 0, words


def test_an_export_says_where_it_is_less_than_the_model(run: Path, tmp_path: Path) -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    made = write_export(run, tmp_path / "export")
    discrete = json.loads((run / "recipe.json").read_text())["recipe"]["objective"]["type"] == "FSQ"
    assert bool([note for note in made.notes if "has no graph" in note]) == discrete
    assert {"decode.onnx", "encode.onnx"} <= {file.name for file in made.files}
