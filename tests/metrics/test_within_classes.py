"""Numbers within classes: perfect sets reach the floor, wrong labels do not, the worst class and too few are named."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from triptych.core import Data, Value
from triptych.errors import TooFew
from triptych.metrics.class_accuracy import TrainOnGenerated, accuracies, train_on_generated
from triptych.metrics.comparison import Comparison
from triptych.metrics.frechet import Frechet, frechet_from_features
from triptych.metrics.kernel import kernel_distance
from triptych.metrics.within_classes import ClassFrechet, ClassKernel, ClassNeighbours, by_class

K, EACH = 4, 200
NAMES = ("ash", "birch", "cedar", "elm")
CLASS_MEANS = tuple(f"{k}_class_mean" for k in ("frechet", "kernel", "precision", "recall", "density", "coverage"))


def points(seed: int, each: int = EACH) -> tuple[Tensor, Tensor]:
    """Four classes far apart in the plane, (n, 2) and (n,)."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.arange(K).repeat(each)
    centres = torch.tensor([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0], [6.0, 6.0]])
    return centres[labels] / 2 + torch.randn(len(labels), 2, generator=g) / 2, labels


def data(x: Tensor, labels: Tensor | None, name: str = "points") -> Data:
    return Data(name, x, labels=labels, classes=NAMES)


def compared(x: Tensor, labels: Tensor | None) -> Comparison:
    real, further = (data(*points(seed)) for seed in (0, 1))
    return Comparison(real, data(x, labels, "samples"), extra_real=further)


def measure(comparison: Comparison) -> dict[str, Value]:
    """What applies of the distances, and of the numbers within classes."""
    metrics = (Frechet(), ClassFrechet(), ClassKernel(), ClassNeighbours(), TrainOnGenerated())
    return {k: v for m in metrics if not m.applies(comparison) for k, v in m.evaluated(comparison).items()}


def f(x: Tensor, y: Tensor) -> dict[str, float]:
    return {"frechet": frechet_from_features(x, y)}


def test_a_class_has_the_number_of_its_examples_alone() -> None:
    (x, a), (y, b) = points(0), points(1)
    found = by_class(f, x, a, y, b)["frechet"]
    assert found.parts.tolist() == [frechet_from_features(x[a == k], y[b == k]) for k in range(K)]
    assert found.overall is None


def test_too_few_examples_have_no_number() -> None:
    (x, a), (y, b) = points(0), points(1)
    b = b.where((b != 2) | (b.eq(2).cumsum(0) <= 9), -1)  # nine of the third class, and some of no class
    parts = by_class(f, x, a, y, b)["frechet"].parts
    assert parts.isnan().tolist() == [False, False, True, False]
    with pytest.raises(TooFew, match="no class has 10 examples on each side"):
        by_class(f, x[:20], a[:20], y, b)


def test_samples_as_good_as_real_ones_reach_the_floor() -> None:
    found = measure(compared(*points(5)))
    for name in CLASS_MEANS:
        value = found[name]
        assert value.value is not None
        assert value.floor is not None
        assert value.value == pytest.approx(value.floor, abs=4 * (value.se or 0.03)), name
        assert value.parts is not None
        assert list(value.parts) == list(NAMES)
        assert math.fsum(p["value"] for p in value.parts.values()) / K == pytest.approx(value.value)
        assert {p["n"] for p in value.parts.values()} == {p["n_real"] for p in value.parts.values()} == {EACH}
        assert "mean of 4 classes" in value.note
    assert found["train_on_generated"].value == pytest.approx(found["train_on_generated"].floor, abs=0.01)


def test_swapped_labels_spoil_the_classes_and_nothing_else() -> None:
    x, labels = points(5)
    right, wrong = (measure(compared(x, y)) for y in (labels, (labels + 1) % K))
    assert wrong["frechet"] == right["frechet"]
    for name in CLASS_MEANS:
        a, b = right[name], wrong[name]
        assert a.value is not None
        assert b.value is not None
        assert b.value > 20 * a.value if b.better == "lower" else b.value < 0.2 * a.value
    assert wrong["train_on_generated"].value < 0.05 < 0.9 < right["train_on_generated"].value


def test_the_worst_class_is_named() -> None:
    """One picture for all seeds of a class, and a class that has moved."""
    x, labels = points(5)
    x[labels == 2] = x[labels == 2][:1] + 1e-4 * x[labels == 2]
    found = measure(compared(x, labels))
    assert "worst: cedar" in found["recall_class_mean"].note
    assert "worst: cedar" in found["coverage_class_mean"].note
    x, labels = points(5)
    x[labels == 3] += 2
    found = measure(compared(x, labels))
    assert "worst: elm" in found["frechet_class_mean"].note
    assert found["frechet_class_mean"].parts["elm"]["value"] > 7  # 2² + 2², less what is due to chance
    assert found["kernel_class_mean"].parts["ash"]["value"] < 0.1


def test_what_is_too_few_is_said_and_the_rest_averaged() -> None:
    x, labels = points(5)
    keep = (labels != 1) | (labels.eq(1).cumsum(0) <= 3)
    found = measure(compared(x[keep], labels[keep]))
    value = found["kernel_class_mean"]
    assert value.parts["birch"] == {"value": None, "n": 3, "n_real": EACH, "floor": value.parts["birch"]["floor"]}
    assert "mean of 3 of 4 classes; too few examples of 1 class" in value.note
    kept = [p for k, p in value.parts.items() if k != "birch"]
    assert value.value == pytest.approx(math.fsum(p["value"] for p in kept) / 3)


def test_samples_of_no_class_have_no_such_numbers() -> None:
    x, _ = points(5)
    found = measure(compared(x, None))
    assert found["frechet"].value is not None
    assert not {*CLASS_MEANS, "train_on_generated", "class_accuracy"} & set(found)
    assert {v.parts is None for v in found.values()} == {True}
    for metric in (ClassFrechet(), ClassKernel(), ClassNeighbours()):
        assert metric.applies(compared(x, None)) == "the samples are of no class"


def test_samples_that_are_not_finite() -> None:
    x, labels = points(5)
    x[3, 0] = math.nan
    found = measure(compared(x, labels))
    assert found["frechet_class_mean"].value is None
    assert "1 of 800 samples are not finite" in found["frechet_class_mean"].note


def test_the_mean_of_kernel_distances_has_an_error_that_covers_the_floor() -> None:
    value = measure(compared(*points(5)))["kernel_class_mean"]
    assert value.se is not None
    assert abs(value.value) < 4 * value.se
    (x, a), (y, b) = points(0), points(5)
    expected = [kernel_distance(x[a == k], y[b == k]) for k in range(K)]
    assert value.value == pytest.approx(math.fsum(expected) / K)


def test_accuracy_by_class() -> None:
    asked = torch.arange(3).repeat_interleave(20)
    told = asked.clone()
    told[:5] = 1
    told[20:60:2] = 2
    found = accuracies(told, asked)
    assert found.parts.tolist() == [0.75, 0.5, 1.0]
    assert found.overall == 0.75
    assert accuracies(told, asked.where(asked != 1, -1)).overall == 35 / 40
    few = accuracies(told[:45], asked[:45]).parts
    assert few.isnan().tolist() == [False, False, True]
    with pytest.raises(TooFew):
        accuracies(told, torch.full_like(asked, -1))


def test_a_classifier_learns_from_samples() -> None:
    (x, a), (y, b) = points(0), points(1)
    assert train_on_generated(x, a, y, b).overall == pytest.approx(1.0, abs=0.02)
    assert train_on_generated(x, a, y, b, points=100).overall == pytest.approx(1.0, abs=0.03)
    noise = torch.randint(0, K, (len(b),), generator=torch.Generator().manual_seed(0))
    assert train_on_generated(x, a, y, noise).overall < 0.6
    with pytest.raises(TooFew, match="all of one class"):
        train_on_generated(x, a, y, torch.zeros_like(b))


def test_classes_that_only_one_side_has() -> None:
    """Samples of a class that the reference has none of, and the reverse, have no number, and do no harm."""
    x, labels = points(5)
    base = compared(x[labels < 3], labels[labels < 3])
    assert measure(base)["recall_class_mean"].parts["elm"]["n"] == 0
    real = base.real
    rows = real.labels < 2
    real = dataclasses.replace(real, x=real.x[rows], labels=real.labels[rows])
    found = measure(dataclasses.replace(base, real=real))["recall_class_mean"]
    assert found.parts["cedar"]["value"] is None
    assert "mean of 2 of 3 classes" in found.note
