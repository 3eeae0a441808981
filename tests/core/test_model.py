"""The fields of a network that are sizes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from triptych.core import ModelSpec, discover
from triptych.core.data import LARGEST
from triptych.errors import UserError


@dataclass(frozen=True)
class Sized(ModelSpec):
    width: int = 8
    choices: int = 0
    temperature: float = 0.5
    offset: float = 0.0
    wide: bool = False
    side: int | None = None

    def build(self, shape):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"width": 0}, "model.width is 0; it must be above 0"),
        ({"width": -3}, "model.width is -3; it must be above 0"),
        ({"width": LARGEST + 1}, f"must be at most {LARGEST:,}"),
        ({"choices": -1}, "model.choices is -1; it must be 0 or more"),
        ({"choices": LARGEST + 1}, f"must be at most {LARGEST:,}"),
    ],
)
def test_sizes_are_whole_numbers_that_can_be(given, said):
    with pytest.raises(UserError) as e:
        Sized(**given)
    assert said in str(e.value)


@pytest.mark.parametrize(
    "given",
    [{"choices": 0}, {"temperature": -0.5}, {"temperature": 0.0}, {"offset": -1.0}, {"wide": False}, {"side": -1}],
)
def test_what_is_no_size_is_a_classes_own_business(given):
    Sized(**given)


@pytest.mark.parametrize("bound", [0.0, -1.0, float("nan"), float("inf")])
def test_a_spline_has_a_bound(bound):
    with pytest.raises(UserError, match=r"model\.bound"):
        discover("models", ModelSpec)["NSF"](bound=bound)
