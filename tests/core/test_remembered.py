"""What is the same for every run of a data set is made once in a process, and never mixed up."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from triptych.core import remembered
from triptych.core.remembered import of_real


@dataclass(frozen=True)
class Distance:
    """As metrics are: a frozen value with a method of two sets."""

    power: float = 1.0

    def of(self, x: Tensor, y: Tensor) -> dict[str, float]:
        CALLS.append(self.power)
        return {"distance": (x - y).abs().sum().item() ** self.power}

    def other(self, x: Tensor, y: Tensor) -> dict[str, float]:
        CALLS.append(self.power)
        return {"distance": 0.0}


CALLS: list[float] = []


@pytest.fixture(autouse=True)
def nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "_kept", {})
    CALLS.clear()


def test_equal_sets_and_equal_metrics_are_measured_once() -> None:
    x, y = torch.arange(6.0).view(3, 2), torch.ones(3, 2)
    found = of_real(Distance().of, x, y)
    assert found == {"distance": 11.0}
    assert of_real(Distance().of, x.clone(), y.clone()) is found
    assert len(CALLS) == 1


@pytest.mark.parametrize("changed", ["number", "shape", "field", "method", "side"])
def test_another_number_shape_field_or_method_is_another_result(changed: str) -> None:
    x, y = torch.arange(6.0).view(3, 2), torch.ones(3, 2)
    of_real(Distance().of, x, y)
    metric, f = Distance(2.0 if changed == "field" else 1.0), Distance.other if changed == "method" else Distance.of
    x2 = x + 1e-6 if changed == "number" else x.view(2, 3) if changed == "shape" else x
    y2 = torch.ones(2, 3) if changed == "shape" else y
    of_real(f.__get__(metric), *((y2, x2) if changed == "side" else (x2, y2)))
    assert len(CALLS) == 2


def test_a_function_that_is_no_method_is_called_every_time() -> None:
    x = torch.ones(2, 2)
    calls = [of_real(lambda a, b: {"n": float(len(a))}, x, x) for _ in range(2)]
    assert calls[0] is not calls[1]


def test_the_oldest_results_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST", 2)
    for i in (0, 1, 2, 2, 0):
        of_real(Distance().of, torch.full((2, 2), float(i)), torch.ones(2, 2))
    assert len(CALLS) == 4
    assert len(remembered._kept) == 2
