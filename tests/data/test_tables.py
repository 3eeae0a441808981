"""Tables of text and of numbers: what is taken for header, separator and number, and that no digit is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from triptych import data
from triptych.cli import main
from triptych.core import Data
from triptych.data.sources.vectors import csv_text
from triptych.errors import UserError

ROWS = np.random.default_rng(0).normal(size=(30, 2)).round(4)
BODY = "".join(f"{a:.4f},{b:.4f}\n" for a, b in ROWS)


def loaded(path: Path, text: str, **options: Any) -> Data:
    path.write_bytes(text.encode())
    return data.load(path, **options)


# ------------------------------------------------------------------------------------------- headers


@pytest.mark.parametrize(
    ("first", "says"),
    [
        ("1.5,", "line 1 may be names or data: '1.5' is a number and another cell is empty"),
        ("1.5,NA", "'1.5' is a number and 'NA' is none"),
        ('"1,234.5",2.0', "'1,234.5' is none; write numbers without separators of thousands"),
        ("x,2001", "'2001' is a number and 'x' is none"),
        ("nan,weight", "'nan' is a number"),
        ("NA,", "neither names nor numbers"),
    ],
)
def test_a_first_row_that_may_be_either_is_asked(tmp_path: Path, first: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as e:
        loaded(tmp_path / "t.csv", f"{first}\n{BODY}")
    assert "\n" not in str(e.value)


def test_what_was_taken_for_the_header_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    years = loaded(tmp_path / "years.csv", f"2019,2020\n{BODY}")
    assert len(years) == 31
    assert "no header: the first row (2019, 2020) is data" in capsys.readouterr().err
    named = loaded(tmp_path / "named.csv", f"# a,b\n{BODY}")
    assert named.columns == ("a", "b")
    assert named.about["taken"] == ["first row taken as header: a, b"]
    assert main(["data", "info", str(tmp_path / "named.csv")]) == 0
    assert "first row taken as header: a, b" in capsys.readouterr().out


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,a\n1,2,3\n4,5,6\n")
    with pytest.raises(UserError, match="line 1 names two columns 'a'; give every column a name of its own"):
        data.load(tmp_path / "t.csv")


def test_numbers_are_plain_numbers(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'1_000', not a number"):
        loaded(tmp_path / "t.csv", f"a,b\n{BODY}1_000,2\n")


def test_an_index_is_not_learned_unasked(tmp_path: Path) -> None:
    body = "".join(f"{i},{line}\n" for i, line in enumerate(BODY.splitlines()))
    with pytest.raises(UserError, match="no name and counts the rows"):
        loaded(tmp_path / "t.csv", f",a,b\n{body}")
    assert loaded(tmp_path / "t.csv", f"i,a,b\n{body}").shape == (3,)


# ---------------------------------------------------------------------------------------- separators


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("semicolon.csv", "x;y\n" + BODY.replace(",", ";")),
        ("european.csv", "x;y\n" + BODY.replace(",", ";").replace(".", ",")),
        ("tab.tsv", "x\ty\n" + BODY.replace(",", "\t")),
        ("tab.csv", "x\ty\n" + BODY.replace(",", "\t").replace(".", ",")),
        ("spaces.txt", "x y\n" + BODY.replace(",", "   ")),
        ("bars.csv", "x|y\n" + BODY.replace(",", "|")),
        ("quoted.csv", '"x","y"\r\n' + "".join(f'"{a}","{b}"\r\n' for a, b in ROWS)),
        ("marked.csv", "\ufeffx,y\n" + BODY),
        ("spaced.csv", "x, y\n" + BODY.replace(",", ", ")),
    ],
)
def test_every_separator_gives_the_same_table(tmp_path: Path, name: str, text: str) -> None:
    d = loaded(tmp_path / name, text)
    assert d.columns == ("x", "y")
    assert torch.equal(d.x, torch.from_numpy(ROWS.astype(np.float32)))


def test_separators_are_said(tmp_path: Path) -> None:
    d = loaded(tmp_path / "t.csv", BODY.replace(",", ";").replace(".", ","))
    assert d.about["taken"][0] == "cells between semicolons, decimal commas"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x;y\n" + BODY.replace(",", ";") + "1,2;3\n", "line 32: x is '1,2', not a number; use one decimal sign"),
        ("x,y\n" + BODY + "1;2\n", "line 32 has 1 cells, not 2; .* commas, and there are semicolons"),
        ("x,y\n" + BODY + "1," + "2" * 200_000 + "\n", "a cell of more than 131,072 characters"),
    ],
)
def test_one_line_for_what_is_no_table(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as e:
        loaded(tmp_path / "t.csv", text)
    assert "\n" not in str(e.value)


def test_a_wide_table(tmp_path: Path) -> None:
    wide = np.random.default_rng(1).normal(size=(3, 12_000))
    np.savetxt(tmp_path / "t.csv", wide, delimiter=",", fmt="%.12f")
    assert data.load(tmp_path / "t.csv").shape == (12_000,)


def test_other_encodings(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("größe,y\n".encode("latin-1") + BODY.encode())
    with pytest.raises(UserError, match="not text in UTF-8"):
        data.load(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_bytes(("x,y\n" + BODY).encode("utf-16"))
    with pytest.raises(UserError, match="UTF-16; save it as UTF-8"):
        data.load(tmp_path / "t.csv")


# -------------------------------------------------------------------------------------------- digits


def seconds(step: float = 1.0) -> np.ndarray:
    return np.c_[1_700_000_000 + step * np.arange(60), np.random.default_rng(0).normal(size=60)]


@pytest.mark.parametrize("step", [1.0, 0.25, 100.0])
def test_seconds_stay_apart(tmp_path: Path, step: float) -> None:
    path, table = tmp_path / "t.npy", seconds(step)
    np.save(path, table)
    d = data.load(path)
    assert d.x.dtype == torch.float32
    assert len(d.x[:, 0].unique()) == 60
    assert np.array_equal(d.in_full(d.x)[:, 0].numpy(), table[:, 0])
    assert any("is counted from" in text for text in d.about["taken"])
    train, test = (data.load(path, split=s, holdout=0.3) for s in ("train", "test"))
    assert train.origin == test.origin == d.origin


def test_whole_numbers_beyond_float64(tmp_path: Path) -> None:
    ids = 10**18 + np.arange(60)
    np.save(tmp_path / "t.npy", np.c_[ids, np.arange(60) % 7])
    assert len(data.load(tmp_path / "t.npy").x[:, 0].unique()) == 60


def test_whole_numbers_that_float64_would_change_are_refused_in_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,y\n" + "".join(f"{10**18 + 123 * i},{i % 7}\n" for i in range(60)))
    with pytest.raises(UserError, match=r"line 3: id is 1000000000000000123, a whole number .* 'id=category'"):
        data.load(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("id,y\n" + "".join(f"{2**60 + 2**20 * i},{i % 7}\n" for i in range(60)))
    assert len(data.load(tmp_path / "t.csv").x[:, 0].unique()) == 60


def test_ordinary_tables_are_as_they_were(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(3, 2, (2000, 3))
    np.save(tmp_path / "t.npy", x)
    d = data.load(tmp_path / "t.npy")
    assert d.origin == ()
    assert torch.equal(d.x, torch.from_numpy(x.astype(np.float32)))
    assert d.in_full(d.x) is d.x


def test_what_float32_cannot_tell_apart_is_said(tmp_path: Path) -> None:
    ids = np.r_[np.arange(30), 2_000_000_000 + np.arange(30)]
    np.save(tmp_path / "t.npy", np.c_[ids, np.arange(60) % 7])
    d = data.load(tmp_path / "t.npy")
    kept = len(d.x[:, 0].unique())
    assert kept < 60
    assert d.about["taken"] == [f"column 1: of 60 different numbers float32 keeps {kept} apart"]


def test_a_column_that_vanishes_in_float32(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.c_[np.arange(9) * 1e-60, np.arange(9)])
    with pytest.raises(UserError, match="varies by less than float32 can hold"):
        data.load(tmp_path / "t.npy")


def test_written_digits_are_read_again(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", seconds())
    d = data.load(tmp_path / "t.npy")
    (tmp_path / "again.csv").write_text(csv_text(d.x, ("time", "a, b"), d.origin))
    again = data.load(tmp_path / "again.csv")
    assert again.columns == ("time", "a, b")
    assert torch.equal(again.counted_from(d.origin).x, d.x)
    assert csv_text(torch.tensor([[11.5, 0.1]]), (), (1_700_000_000.0, 0.0)) == "x0,x1\n1700000011.5,0.1\n"
    tiny = torch.tensor([[1e-30, 2.000011e7]])
    assert csv_text(tiny) == "x0,x1\n1e-30,20000110\n"


def test_tables_of_two_origins_are_compared_in_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, start in (("a.npy", 0), ("b.npy", 3_000)):
        np.save(tmp_path / name, seconds() + np.array([start, 0]))
    a, b = (data.load(tmp_path / name) for name in ("a.npy", "b.npy"))
    assert a.origin != b.origin
    assert b.counted_from(a.origin).x[0, 0] - a.x[0, 0] == 3_000
    assert main(["evaluate", "--real", str(tmp_path / "a.npy"), "--fake", str(tmp_path / "b.npy")]) == 0
    assert "wasserstein" in capsys.readouterr().out.lower()


def test_columns_are_compared_by_their_names_whatever_their_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    age, big = rng.normal(40, 10, 200), 3_000_000_000 + rng.normal(0, 5, 200)
    (tmp_path / "a.csv").write_text("age,big\n" + "\n".join(f"{a:.3f},{b:.3f}" for a, b in zip(age, big, strict=True)))
    lines = [f"{b:.3f},{'fm'[i % 2]},{a:.3f}" for i, (a, b) in enumerate(zip(age, big, strict=True))]
    (tmp_path / "b.csv").write_text("big,sex,age\n" + "\n".join(lines))  # typed: it has categories
    a = data.load(tmp_path / "a.csv")
    for b in (data.load(tmp_path / "b.csv"), a.in_order_of(("big", "age"))):
        same = b.as_in(a.typed, a.origin, a.columns)
        assert same.columns == a.columns
        assert torch.allclose(same.x, a.x, atol=2e-3)
    assert a.in_order_of(("x", "y")) is a  # of other names nothing is known but the place
    (tmp_path / "c.csv").write_text(
        "big,years\n" + "\n".join(f"{b:.3f},{a:.3f}" for a, b in zip(age, big, strict=True))
    )
    argv = ["evaluate", "--real", str(tmp_path / "a.csv"), "--fake", str(tmp_path / "c.csv")]
    assert main(argv) == 2
    assert "c has no column 'age', which is needed; its columns are big, years" in capsys.readouterr().err
    assert main(["evaluate", "--real", str(tmp_path / "a.csv"), "--fake", str(tmp_path / "b.csv")]) == 0
    assert "warning: b has columns that a has not, left out: sex" in capsys.readouterr().err
    np.save(tmp_path / "d.npy", a.in_full(a.x).numpy())
    assert main(["evaluate", "--real", str(tmp_path / "d.npy"), "--fake", str(tmp_path / "b.csv")]) == 2
    assert "b has columns that are no numbers, and the other set names none of its columns" in capsys.readouterr().err


# ---------------------------------------------------------------------------------- pictures in rows


def test_rows_named_pixels_are_pictures(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (12, 64))
    for names in ([f"pixel{i}" for i in range(64)], [f"{i // 8 + 1}x{i % 8 + 1}" for i in range(64)]):
        table = np.c_[np.arange(12) % 4, grey]
        np.savetxt(tmp_path / "t.csv", table, "%d", ",", header=",".join(["label", *names]), comments="")
        d = data.load(tmp_path / "t.csv")
        assert d.shape == (1, 8, 8)
        assert d.labels is not None
        assert d.labels.tolist() == [i % 4 for i in range(12)]
        assert torch.equal(d.x.flatten(1), torch.from_numpy(grey.astype(np.uint8)))


def test_rows_that_may_be_pictures_are_asked(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (12, 784))
    grey[:, :5] = 0
    np.savetxt(tmp_path / "t.csv", np.c_[np.arange(12) % 4, grey], "%d", ",")
    with pytest.raises(UserError, match=r"constant .*if the rows are pictures of 28 x 28, give .*t.csv:pictures"):
        data.load(tmp_path / "t.csv")
    d = data.load(f"{tmp_path}/t.csv:pictures", resolution=16)
    assert d.shape == (1, 16, 16)
    assert d.labels is not None
    (tmp_path / "u.csv").write_text("a,b\n" + BODY)
    with pytest.raises(UserError, match="make no square picture"):
        data.load(f"{tmp_path}/u.csv:pictures")
