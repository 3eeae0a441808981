"""What a person asks a model for, and what it then makes."""

import pytest
import torch
from fake_runs import make_run, toy_recipe

from triptych.errors import UserError
from triptych.explore.classes import numbers_asked
from triptych.explore.output import write_examples
from triptych.models.gans.mlp import MLPGAN


@pytest.mark.parametrize(("words", "wanted"), [(["1"], [1]), (["0,2"], [0, 2]), (["all"], [0, 1, 2]), ([], [])])
def test_classes_by_number(words, wanted):
    assert numbers_asked(MLPGAN(width=8, classes=3).build((2,)), words) == wanted


@pytest.mark.parametrize("words", [[""], [" "], [","], ["1", ""]])
def test_an_empty_word_is_no_class(words):
    """Of a shell variable that is not set: samples of all classes are not what was asked for."""
    with pytest.raises(UserError, match="--class names no class"):
        numbers_asked(MLPGAN(width=8, classes=3).build((2,)), words)


@pytest.mark.parametrize(("bad", "said"), [(3, "3 of 3 examples that the model made are NaN"), (1, "")])
def test_examples_of_which_none_is_finite_are_not_written(tmp_path, capsys, bad, said):
    """Whatever made them: conditions or codes that are extreme, or a model that has diverged."""
    run = make_run(tmp_path / "run", toy_recipe(), points=1, pictures=False)
    model = run.load(device="cpu")
    x = torch.zeros(3, 2)
    x[:bad] = torch.nan
    target = tmp_path / "x.npy"
    if said:
        with pytest.raises(UserError, match=said):
            write_examples(x, run, None, model, target, ".npy")
        assert not target.exists()
    else:
        write_examples(x, run, None, model, target, ".npy")
        assert "1 of 3 examples that the model made are NaN or infinite" in capsys.readouterr().err
