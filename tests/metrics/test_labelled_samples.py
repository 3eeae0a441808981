"""Labels of samples: drawn at the model's frequencies, numbered as the real side's classes, or told by a classifier."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from greys import NAMES, Greys, N, Sorts, greys

from triptych.core import Data
from triptych.core.features import Extractors
from triptych.core.labels import draw_labels
from triptych.data import load
from triptych.evaluate.by_classifier import sorted_by_classifier
from triptych.evaluate.protocol import draw
from triptych.metrics.comparison import Comparison, fresh, numbered_alike
from triptych.metrics.features.self_trained import Offline
from triptych.metrics.within_classes import ClassKernel


def compared(fake: Data) -> Comparison:
    known = Offline(Sorts(), "classifier", "classifier:test", 0.98, 40)
    return Comparison(greys(100), fake, extra_real=greys(101), extractors=Extractors(own=known))


def test_samples_of_a_model_with_classes_have_labels() -> None:
    model, real = Greys(), greys(0)
    samples = draw(model, 40, 7, real)
    assert samples.labels is not None
    assert torch.equal(samples.labels, draw_labels(model.frequencies, 40, 7))
    assert samples.classes == NAMES
    assert torch.equal(Sorts()(samples.x.float() / 127.5 - 1)[1].argmax(1), samples.labels)
    assert torch.equal(samples.x, draw(model, 40, 7, real).x)


def test_more_samples_than_a_part_keep_their_labels() -> None:
    samples = draw(Greys(), 10_050, 0, greys(0))
    assert torch.equal(Sorts()(samples.x.float() / 127.5 - 1)[1].argmax(1), samples.labels)
    shares = torch.bincount(samples.labels, minlength=3) / len(samples)
    torch.testing.assert_close(shares, torch.tensor([0.2, 0.3, 0.5]), atol=0.03, rtol=0)


def test_an_unconditional_model_makes_the_same_samples_as_before() -> None:
    model = Greys(classes=0)
    samples = draw(model, 20, 3, greys(0))
    assert samples.labels is None
    assert torch.equal(samples.x, (model.sample(20, seed=3) * 255).round().to(torch.uint8))


def test_classes_go_by_name() -> None:
    real = greys(0)
    other = dataclasses.replace(real, classes=("light", "dark", "grey"))
    found, said = numbered_alike(other, real)
    assert not said
    assert found.labels[:3].tolist() == [2, 0, 1]
    found, said = numbered_alike(dataclasses.replace(real, name="b", classes=("dark", "red", "light")), real)
    assert found.labels[:3].tolist() == [0, -1, 2]
    assert said == "30 of 90 samples are of classes that greys does not have (red)"
    found, said = numbered_alike(dataclasses.replace(real, name="b", classes=("a", "b", "c")), real)
    assert found.labels is None
    assert said.startswith("no class of b is one of greys ('a', 'dark')")
    bare = Data("b", real.x)
    assert numbered_alike(bare, real) == (bare, "")


def test_a_sample_of_no_class_of_the_real_side_counts_nowhere() -> None:
    fake, _ = numbered_alike(dataclasses.replace(greys(5), classes=("dark", "red", "light")), greys(0))
    value = ClassKernel()(compared(fake))["kernel_class_mean"]
    assert value.parts["grey"] == {"value": None, "n": 0, "n_real": 30, "floor": value.parts["grey"]["floor"]}
    assert "mean of 2 of 3 classes" in value.note


@pytest.mark.parametrize("name", ["25gaussians", "moons", "swissroll"])
def test_fresh_points_of_a_law_are_the_same_with_labels(name: str) -> None:
    toy = load(name)
    plain, labelled = fresh(toy, 50, 4), fresh(toy, 50, 4, labelled=True)
    assert torch.equal(plain.x, labelled.x)
    assert plain.labels is None
    assert (labelled.labels is None) == (toy.labels is None)


def test_samples_without_classes_are_sorted_by_the_classifier() -> None:
    asked = draw(Greys(), N, 7, greys(0))
    bare = dataclasses.replace(asked, labels=None)
    comparison = compared(bare)
    assert ClassKernel().applies(comparison)
    found = sorted_by_classifier(comparison)
    direct = ClassKernel().evaluated(compared(asked))["kernel_class_mean"]
    value = found["kernel_class_mean_sorted"]
    assert (value.value, value.floor, value.parts) == (direct.value, direct.floor, direct.parts)
    assert value.variant == "sorted by the classifier"
    assert "right on 98.00%" in value.note
    assert found["precision_class_mean_sorted"].companion == "recall_class_mean_sorted"
    assert "class_accuracy_sorted" not in found


def test_nothing_to_sort_by() -> None:
    comparison = compared(greys(5))
    without = dataclasses.replace(comparison, extractors=Extractors(own=Offline(Sorts(), "random", "random:0")))
    assert sorted_by_classifier(without) == {}
    assert without.warnings == ["--sorted is left out: greys has no classifier"]
