"""What a source gives is checked where it enters, and a share of it set aside where the source has no test split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from triptych.cli import main
from triptych.core import Data
from triptych.core.preparation import Preparation
from triptych.data.entering import taken
from triptych.data.source import Source, digest
from triptych.errors import NoSplit, UserError


@dataclass(frozen=True)
class Given(Source):
    """Gives what it was given; there is no test split."""

    data: Any = None

    @property
    def summary(self) -> str:
        return "as given"

    def load(self, name: str, split: str, how: Preparation) -> Data:
        if split == "test":
            raise NoSplit(f"{name} has no test split; use split all")
        return self.data


NAN = torch.tensor([[0.0, 1.0], [float("nan"), 1.0]])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (Data("d", torch.zeros(9, 2, dtype=torch.float64)), "float64 of the shape (9, 2)"),
        (Data("d", torch.rand(9, 3, 32, 32)), "float32 of the shape (9, 3, 32, 32)"),
        (Data("d", torch.zeros(9, 4, 8, 8, dtype=torch.uint8)), "uint8 of the shape (9, 4, 8, 8)"),
        (Data("d", torch.zeros(0, 2)), "no numbers, an array of the shape (0, 2)"),
        (Data("d", NAN), "NaN or infinite numbers in 1 of 2 rows"),
        (Data("d", torch.zeros(9, 2), labels=torch.zeros(8, dtype=torch.int64)), "labels of torch.int64, (8,)"),
        (torch.zeros(9, 2), "Tensor; return a Data"),
    ],
)
def test_examples_of_another_form_are_refused_by_name(data: Any, said: str) -> None:
    with pytest.raises(UserError) as e:
        taken(Given(data), "mine", "train", Preparation())
    assert str(e.value).startswith(f"mine cannot be used, as its source Given gives {said}")
    assert "; " in str(e.value)


def test_a_broken_generators_vectors_may_be_evaluated() -> None:
    assert taken(Given(Data("d", NAN)), "mine", "all", Preparation(), finite=False).x is NAN


def test_a_share_is_set_aside_where_the_source_has_no_test_split() -> None:
    x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    source = Given(Data("d", x, labels=torch.arange(500), factors={"row": torch.arange(500)}, fingerprint=digest(x)))
    how = Preparation(holdout=0.2)
    train, test = (taken(source, "mine", split, how) for split in ("train", "test"))
    assert len(train) + len(test) == 500
    assert 60 < len(test) < 140
    assert sorted([*train.labels.tolist(), *test.labels.tolist()]) == list(range(500))
    assert torch.equal(x[test.factors["row"]], test.x)
    assert (train.split, test.split) == ("train", "test")
    assert len({train.fingerprint, test.fingerprint, source.data.fingerprint}) == 3
    with pytest.raises(NoSplit):
        taken(source, "mine", "test", Preparation())
    assert taken(source, "mine", "train", Preparation()) is source.data


PLUGIN = '''
from dataclasses import dataclass

import torch

from triptych.core import Data
from triptych.data.source import Source, digest
from triptych.errors import NoSplit


@dataclass(frozen=True)
class Whole(Source):
    """One split."""

    @property
    def summary(self):
        return "one split"

    def load(self, name, split, how):
        if split == "test":
            raise NoSplit(f"{name} has no test split; use split all")
        x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
        return Data(name, x, split, fingerprint=digest(x))


SOURCES = {"whole": Whole()}
'''


def test_a_strangers_source_without_a_test_split_is_trained_and_held_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN)
    plugin = ["--plugin", str(tmp_path / "mine.py")]
    assert main([*plugin, "data", "info", "whole"]) == 0
    tiny = ["--data", "whole", "--train.images", "128", "--train.batch", "32", "--device", "cpu"]
    assert main([*plugin, "train", "gan-8gaussians", *tiny, "--out", str(tmp_path / "all")]) == 0
    out, err = capsys.readouterr()
    assert "--holdout 0.1 sets some aside" in out + err
    words = [*plugin, "train", "gan-8gaussians", *tiny, "--holdout", "0.1", "--out", str(tmp_path / "part")]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "--holdout 0.1" not in out + err
