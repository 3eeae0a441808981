"""`hf:owner/name`, against a stand-in for the `datasets` library."""

import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from triptych import data
from triptych.data.prepare import reshaped
from triptych.errors import UserError


class Image:
    """A feature type, told by its name, and what decodes a picture."""

    def __init__(self, decode: bool = True) -> None:
        self.decode = decode

    def decode_example(self, value: Any) -> Any:
        if isinstance(value, OSError):
            raise value
        return value


class ClassLabel:
    names = ["cat", "dog"]


class Value:
    """Any other feature."""


@dataclass
class Part:
    rows: list[dict[str, Any]]
    features: dict[str, Any]
    info: Any = field(default_factory=lambda: types.SimpleNamespace(license="mit", citation="Somebody 2020"))

    encoded: bool = False

    def cast_column(self, name: str, kind: Image) -> "Part":
        assert name == "picture"
        return replace(self, encoded=not kind.decode)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        assert self.encoded  # a stream that decodes by itself ends with the first damaged picture
        for row in self.rows:
            if isinstance(row, Exception):
                raise row
            yield row


def part(n: int, **extra: Any) -> Part:
    rows = [{"picture": Pillow.fromarray(np.full((9, 7, 3), i, np.uint8)), "animal": i % 2} for i in range(n)]
    return Part(rows, {"picture": Image(), "animal": ClassLabel(), **extra})


def install(monkeypatch: pytest.MonkeyPatch, **parts: Part) -> None:
    module = types.ModuleType("datasets")
    module.load_dataset = lambda repo, streaming: parts  # type: ignore[attr-defined]
    module.Image = Image  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_columns_are_guessed_and_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    install(monkeypatch, train=part(6), test=part(2))
    train = data.load("hf:some/pets", resolution=8)
    assert train.x.shape == (6, 3, 8, 8)
    assert train.classes == ("cat", "dog")
    assert train.labels is not None
    assert train.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert train.x[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert train.about["licence"] == "mit"
    assert "pictures from 'picture', labels from 'animal'" in capsys.readouterr().err
    assert len(data.load("hf:some/pets", split="test", resolution=8)) == 2


def test_what_cannot_be_guessed_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, train=part(2, second=Image()))
    with pytest.raises(UserError, match="2 picture columns"):
        data.load("hf:some/pets", resolution=8)
    install(monkeypatch, validation=part(2))
    with pytest.raises(UserError, match="no train or test"):
        data.load("hf:some/pets", resolution=8)
    with pytest.raises(UserError, match="--resolution"):
        data.load("hf:some/pets")


def test_damaged_pictures_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = part(6)
    whole.rows[1]["picture"] = OSError("cannot identify image file")
    whole.rows[2]["picture"] = Pillow.fromarray(np.full((4, 4), 0.5, np.float32))
    whole.rows[3]["picture"] = Pillow.fromarray(np.full((4, 4), 9, np.uint8))
    install(monkeypatch, train=whole)
    d = data.load("hf:some/pets", resolution=8)
    assert len(d) == 4
    assert d.labels is not None
    assert d.labels.tolist() == [0, 1, 0, 1]
    assert d.about["skipped"] == {"damaged": 1, "values without a stated range": 1}
    assert d.about["notes"] == {"grey made RGB": 1, reshaped.ENLARGED: 4, reshaped.SQUASHED: 3}
    mostly = part(3)
    mostly.rows[1]["picture"] = mostly.rows[2]["picture"] = OSError("cannot identify image file")
    install(monkeypatch, train=mostly)
    with pytest.raises(UserError, match="2 of 3 pictures in hf:other/pets are unreadable"):
        data.load("hf:other/pets", resolution=8)


def test_missing_labels_leave_none(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = part(2)
    for row in hidden.rows:
        row["animal"] = -1
    install(monkeypatch, train=part(4), test=hidden)
    d = data.load("hf:some/pets", resolution=8)
    assert (d.labels, d.classes) == (None, ())
    assert d.about["notes"]["labels left out, since some are missing"] == 2


def test_a_stream_that_ends_early_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = part(3)
    cut.rows[2] = ConnectionError("reset by peer")  # type: ignore[call-overload]
    install(monkeypatch, train=cut)
    with pytest.raises(UserError, match=r"cannot be read to its end \(reset by peer\); try again"):
        data.load("hf:some/pets", resolution=8)
    install(monkeypatch, train=part(3))
    assert len(data.load("hf:some/pets", resolution=8)) == 3
    untold = part(1)
    untold.features = None  # type: ignore[assignment]
    install(monkeypatch, train=untold)
    with pytest.raises(UserError, match="does not say what its columns are"):
        data.load("hf:other/pets", resolution=8)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"triptych\[hf\]"):
        data.load("hf:some/pets", resolution=8)
