"""What a person asks a model with classes for."""

import pytest

from triptych.errors import UserError
from triptych.explore.classes import numbers_asked
from triptych.models.gans.mlp import MLPGAN


@pytest.mark.parametrize(("words", "wanted"), [(["1"], [1]), (["0,2"], [0, 2]), (["all"], [0, 1, 2]), ([], [])])
def test_classes_by_number(words, wanted):
    assert numbers_asked(MLPGAN(width=8, classes=3).build((2,)), words) == wanted


@pytest.mark.parametrize("words", [[""], [" "], [","], ["1", ""]])
def test_an_empty_word_is_no_class(words):
    """Of a shell variable that is not set: samples of all classes are not what was asked for."""
    with pytest.raises(UserError, match="--class names no class"):
        numbers_asked(MLPGAN(width=8, classes=3).build((2,)), words)
