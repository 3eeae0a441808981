"""Hierarchical and discrete autoencoders from the command line: all that a run of an autoencoder can be asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from triptych.cli import main
from triptych.export import write_export
from triptych.export.formats import run_onnx
from triptych.run.folder import load

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


def test_what_is_exported_draws_the_samples_of_a_seed(run: Path, tmp_path: Path) -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    made = write_export(run, tmp_path / "export")
    assert made.notes == ()
    files = {file.name for file in made.files}
    assert {"decode.onnx", "encode.onnx"} <= files
    model, discrete = load(run), run.parent.name.startswith("fsq")
    assert ("sample.onnx" in files) == discrete
    if discrete:
        noise = torch.randn(40, model.latent, generator=torch.Generator().manual_seed(3))
        x = run_onnx((tmp_path / "export" / "sample.onnx").read_bytes())(noise)
        alike = ((x - model.sample(40, seed=3)).abs() < 1e-3).flatten(1).all(1)
        assert alike.float().mean() > 0.9  # rounding may choose another code where a number lies at the edge of two
