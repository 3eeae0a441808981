"""A run with classes from training to report, and the same numbers of two folders."""

import csv
import json

import pytest
import torch
from greys import NAMES, greys
from PIL import Image

from triptych import trainer
from triptych.cli import main
from triptych.core import Conditional, DataSpec, Recipe, Sampler, Train
from triptych.core.labels import draw_labels
from triptych.evaluate.protocol import draw
from triptych.figures.canvas import open_picture
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.gan import GAN

CLASS_MEANS = [f"{k}_class_mean" for k in ("frechet", "kernel", "precision", "recall", "density", "coverage")]
LOOKS = {"evaluate": 1_280, "log": 1_280, "sample": 1_280, "checkpoint": 1_280}


def folder(path, x, labels):
    for i, (picture, k) in enumerate(zip(x, labels.tolist(), strict=True)):
        (path / NAMES[k]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture[0].numpy()).save(path / NAMES[k] / f"{i:03}.png")
    return path


def recipe(place, classes):
    spec = DataSpec(str(place), resolution=4, channels=1)
    return Recipe(spec, MLPGAN(latent=4, width=8, classes=classes), GAN(), Train(2_560, 64, **LOOKS), name="r")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of real pictures, and a run with classes on them."""
    base = tmp_path_factory.mktemp("classes")
    real = greys(0)
    place = folder(base / "real", real.x, real.labels)
    return place, trainer.fit(recipe(place, "auto"), out=base / "cgan", device="cpu", progress=False)


def test_a_run_with_classes_has_numbers_of_each(made, tmp_path, capsys):
    _, run = made
    assert main(["evaluate", str(run.path), "-n", "120"]) == 0
    values = json.loads((run.path / "eval.json").read_text())
    model = run.load()
    assert isinstance(model, Conditional)
    asked = draw_labels(model.frequencies, 120, 0)
    for name in [*CLASS_MEANS, "train_on_generated"]:
        assert list(values[name]["parts"]) == list(NAMES), name
        assert [p["n"] for p in values[name]["parts"].values()] == torch.bincount(asked).tolist()
        assert values[name]["floor"] is not None
    assert values["frechet"]["parts"] is None
    assert "mean of 3 classes" in " ".join(capsys.readouterr().out.split())

    assert main(["report", str(run.path), "--out", str(tmp_path / "r.html")]) == 0
    page = (tmp_path / "r.html").read_text()
    assert "Class by class" in page
    assert "worst class" in page
    assert "each row is a class" in page
    rows = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))
    assert {r["class"] for r in rows if r["metric"] == "kernel_class_mean"} == {"", *NAMES}


def test_two_folders_of_the_same_class_names_give_the_same_numbers(made, tmp_path):
    place, run = made
    assert main(["evaluate", str(run.path), "-n", "120"]) == 0
    of_run = json.loads((run.path / "eval.json").read_text())
    model = run.load()
    assert isinstance(model, Sampler)
    samples = draw(model, 120, 0, greys(0))
    fake = folder(tmp_path / "fake", samples.x, samples.labels)
    file = tmp_path / "e.json"
    assert main(["evaluate", "--real", str(place), "--fake", str(fake), "--out", str(file), "--channels", "1"]) == 0
    of_sets = json.loads(file.read_text())
    for name in CLASS_MEANS:  # but for the order of the rows
        assert of_sets[name]["value"] == pytest.approx(of_run[name]["value"], rel=1e-6, abs=1e-9)
        for k in NAMES:
            a, b = (values[name]["parts"][k]["value"] for values in (of_sets, of_run))
            assert a == pytest.approx(b, rel=1e-6, abs=1e-9)


def test_its_sheets_have_a_row_a_class(made):
    _, run = made
    sheets = sorted((run.path / "samples").glob("*.png"))
    assert len(sheets) == 3
    assert {open_picture(s).height for s in sheets} == {3 * 66 - 2}
    lines = run.lines()
    assert all(len(line["class_diversity"]) == 3 for line in lines)


def test_an_unconditional_run_on_the_same_set_has_none_of_this(made, tmp_path, capsys):
    place, _ = made
    run = trainer.fit(recipe(place, 0), out=tmp_path / "gan", device="cpu", progress=False)
    assert all("class_diversity" not in line for line in run.lines())
    assert main(["evaluate", str(run.path), "-n", "120", "--sorted"]) == 0
    values = json.loads((run.path / "eval.json").read_text())
    assert not set(CLASS_MEANS) & set(values)
    assert "--sorted is left out: real has no classifier" in capsys.readouterr().err
