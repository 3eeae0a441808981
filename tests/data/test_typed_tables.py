"""Tables of categories, whole numbers, dates and empty cells: types found, rows encoded, and written back the same."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych import data
from triptych.cli import main
from triptych.core import Data
from triptych.core.columns import Column, Columns, read_back
from triptych.data.sources.typed_tables import table_text
from triptych.errors import UserError

HEADER = "age,sex,city,when,income,married,country\n"


def lines(n: int = 60) -> list[str]:
    g = np.random.default_rng(3)
    return [
        f"{g.integers(18, 90)},{g.choice(['m', 'f'])},{g.choice(['Rome', 'Oslo', 'São Paulo', ''])},"
        f"2024-{g.integers(1, 13):02d}-{g.integers(1, 29):02d},{'' if g.random() < 0.2 else f'{g.normal(40, 9):.2f}'},"
        f"{g.integers(0, 2)},IT"
        for _ in range(n)
    ]


def loaded(path: Path, text: str, **options: Any) -> Data:
    path.write_bytes(text.encode())
    return data.load(path, **options)


def people(tmp_path: Path, **options: Any) -> Data:
    return loaded(tmp_path / "t.csv", HEADER + "\n".join(lines()) + "\n", **options)


def typed(d: Data) -> Columns:
    assert d.typed is not None
    return d.typed


def kinds(d: Data) -> dict[str, str]:
    return {
        c.name: f"{c.kind} {c.form or ('' if c.decimals is None else c.decimals)}".strip() + ("?" if c.missing else "")
        for c in typed(d).all
    }


# ---------------------------------------------------------------------------------------------- types


def test_types_are_found_and_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    d = people(tmp_path)
    assert kinds(d) == {
        "age": "number 0",
        "sex": "category",
        "city": "category?",
        "when": "date %Y-%m-%d",
        "income": "number 2?",
        "married": "category",
        "country": "category",
    }
    said = [line for line in capsys.readouterr().err.splitlines() if "columns:" in line]
    assert len(said) == 1
    assert "age whole numbers, sex 2 categories, city 3 categories (some missing), when dates as %Y-%m-%d" in said[0]
    assert "country always the same" in said[0]
    assert d.columns == typed(d).places
    assert d.shape == (10,)  # 1 + 1 + 4 + 1 + 2 + 1 + 0


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    d = people(tmp_path)
    cells = typed(d).write(typed(d).decode(d.x))
    assert [",".join(row) for row in zip(*cells.values(), strict=True)] == lines()


def test_a_table_of_numbers_stays_as_it_was(tmp_path: Path) -> None:
    """Whole numbers in their own units, unless somebody asks for types."""
    text = "a,b\n" + "".join(f"{i},{i * i}\n" for i in range(30))
    plain = loaded(tmp_path / "t.csv", text)
    assert plain.typed is None
    assert plain.x[:, 1].tolist() == [i * i for i in range(30)]
    asked = data.load(tmp_path / "t.csv", columns=("auto",))
    assert kinds(asked) == {"a": "number 0", "b": "number 0"}


def test_types_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "types.yaml").write_text("age: number\nsex: drop\n")
    for words in (("age=number", "sex=drop"), (str(tmp_path / "types.yaml"),)):
        d = people(tmp_path, columns=words)
        assert kinds(d)["age"] == "number 0"  # written without digits behind the point
        assert "sex" not in kinds(d)
    assert kinds(people(tmp_path, columns=("age=category",)))["age"] == "category"
    assert kinds(people(tmp_path, columns=("married=integer",)))["married"] == "number 0"


def test_pandas_writes_whole_numbers_with_a_point_where_some_are_missing(tmp_path: Path) -> None:
    text = "n,x\n" + "".join(f"{'' if i % 7 == 0 else float(i % 5)},{i * 0.5}\n" for i in range(40))
    assert kinds(loaded(tmp_path / "t.csv", text))["n"] == "number 0?"


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["31.01.2024", "01.02.2024"], "%d.%m.%Y"),
        (["2024/01/31", "2024/02/01"], "%Y/%m/%d"),
        (["01/31/2024", "02/01/2024"], "%m/%d/%Y"),
        (["2024-01-31 12:30", "2024-02-01 00:05"], "%Y-%m-%d %H:%M"),
        (["2024-01-31T12:30:59", "2024-02-01T00:05:00"], "%Y-%m-%dT%H:%M:%S"),
    ],
)
def test_dates_keep_their_one_format(tmp_path: Path, cells: list[str], form: str) -> None:
    d = loaded(tmp_path / "t.csv", "when,x\n" + "".join(f"{c},{i}\n" for i, c in enumerate(cells)))
    assert kinds(d)["when"] == f"date {form}"
    assert typed(d).write(typed(d).decode(d.x))["when"] == cells


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (
            ["2024-01-31", "31.01.2024", "01/31/2024"],
            r"c is written as dates in 3 formats \('2024-01-31' in line 2, '31.01.2024' in line 3, '01/31/2024' in ",
        ),
        (["01/02/2024", "03/04/2024"], r"line 2: c is '01/02/2024', which may be %d/%m/%Y or %m/%d/%Y; say which"),
        (["2024-01-31", "2024-02-01", "soon"], "line 4: c is 'soon', not a date as the others are"),
        (["1.5", "2.5", "x"], "line 4: c is 'x', not a number; .*--columns 'c=category'"),
        (["1,5", "2.5", "3.5"], "c is '1,5', not a number; use one decimal sign"),
        (["1", "2", "inf"], "line 4: c is infinite"),
        ([f"person {i}" for i in range(60)], "c has 60 different texts in 60 rows, .*--columns 'c=drop'"),
    ],
)
def test_one_line_for_a_column_of_no_type(tmp_path: Path, column: list[str], says: str) -> None:
    rows = "".join(f'"{cell}",{"xy"[i % 2]}\n' for i, cell in enumerate(column))
    with pytest.raises(UserError, match=says) as e:
        loaded(tmp_path / "t.csv", "c,kind\n" + rows)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("age",), "--columns takes auto, a .yaml file or NAME=TYPE, not 'age'"),
        (("age=whole",), "not 'age=whole'; a type is one of integer, number"),
        (("ages=integer",), "--columns names 'ages', and the columns of .* are age, sex"),
        (("sex=integer",), "line 2: sex is '[mf]', not a number"),
        (("income=integer",), "no whole number; take it as income=number"),
        (("when=date:%d.%m.%Y",), "no date as %d.%m.%Y"),
        (("none.yaml",), "none.yaml is not a file"),
    ],
)
def test_one_line_for_types_that_do_not_fit(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    with pytest.raises(UserError, match=says) as e:
        people(tmp_path, columns=words)
    assert "\n" not in str(e.value)


def test_types_are_for_tables_of_text(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.eye(4))
    with pytest.raises(UserError, match="holds an array, whose columns have no types; drop --columns"):
        data.load(tmp_path / "t.npy", columns=("auto",))
    with pytest.raises(UserError, match=r"only tables have columns .*; drop --columns"):
        data.load("8gaussians", columns=("auto",))


def test_a_parquet_file_is_the_same_table(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    d = people(tmp_path)
    cells = typed(d).write(typed(d).decode(d.x))
    table = {
        "age": [int(v) for v in cells["age"]],
        "sex": cells["sex"],
        "city": [v or None for v in cells["city"]],
        "when": pa.array(np.array(cells["when"], "datetime64[D]")),
        "income": [float(v) if v else None for v in cells["income"]],
        "married": [int(v) for v in cells["married"]],
        "country": cells["country"],
    }
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    again = data.load(tmp_path / "t.parquet")
    assert [c.kind for c in typed(again).all] == [c.kind for c in typed(d).all]
    assert typed(again).write(typed(again).decode(again.x))["when"] == cells["when"]


def test_a_parquet_file_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "t.parquet").write_bytes(b"PAR1" + b"\0" * 40 + b"PAR1")
    with pytest.raises(UserError, match=r"pip install 'triptych\[parquet\]'"):
        data.load(tmp_path / "t.parquet")


# -------------------------------------------------------------------------------------------- encoding

names = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=5, unique=True).map(tuple)


@st.composite
def columns(draw: st.DrawFn, name: str) -> Column:
    kind = draw(st.sampled_from(["number", "date", "category"]))
    missing = draw(st.booleans())
    if kind == "category":
        return Column(name, "category", values=draw(names), missing=missing)
    decimals = draw(st.sampled_from([0, 1, 3, None])) if kind == "number" else 0
    form = draw(st.sampled_from(["%Y-%m-%d", "%d.%m.%Y"])) if kind == "date" else ""
    scale = draw(st.sampled_from([0.0, 0.5, 3.0, 100.0]))
    return Column(name, kind, 10.0, scale, decimals, form, (), missing)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(), min_size=1, max_size=5).flatmap(
        lambda v: st.tuples(*(columns(f"c{i}") for i in range(len(v))))
    ),
    st.integers(0, 99),
)
def test_decoding_undoes_encoding(made: tuple[Column, ...], seed: int) -> None:
    g, table, values = np.random.default_rng(seed), Columns(made), []
    for c in made:
        if c.kind == "category":
            v = g.integers(0, len(c.values), 40).astype(float)
        else:
            v = 10.0 + c.scale * g.normal(size=40)
            v = v if c.decimals is None else np.round(v, c.decimals)
        values.append(np.where(g.random(40) < 0.2, np.nan, v) if c.missing else v)
    x = table.encode(values, seed)
    assert x.shape == (40, table.width) == (40, len(table.places))
    for c, was, now in zip(made, values, table.decode(x), strict=True):
        if c.scale or c.kind == "category":
            np.testing.assert_allclose(now, was, atol=1e-4 * c.scale if c.decimals is None else 1e-9)
    assert torch.equal(table.canonical(x), table.encode(values, None))
    assert read_back(table.told()) == table


def test_any_vector_is_a_row_of_these_types(tmp_path: Path) -> None:
    d = people(tmp_path)
    x = 50 * torch.randn(200, d.x.shape[1], generator=torch.Generator().manual_seed(0))
    text = table_text(typed(d).write(typed(d).decode(x)))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["sex"] for row in rows} <= {"m", "f"}
    assert all(row["age"].lstrip("-").isdigit() for row in rows)
    assert all(len(row["when"]) == 10 for row in rows)
    again = loaded(tmp_path / "again.csv", text)
    assert kinds(again)["when"] == "date %Y-%m-%d"
    with pytest.raises(UserError, match="NaN or infinite"):
        typed(d).decode(torch.full((2, d.x.shape[1]), torch.nan))


def test_equal_rows_are_on_one_side_of_a_split(tmp_path: Path) -> None:
    rows = lines(30) * 4
    text = HEADER + "\n".join(rows) + "\n"
    train, test = (loaded(tmp_path / "t.csv", text, split=s, holdout=0.3) for s in ("train", "test"))
    assert len(train) + len(test) == 120
    assert train.fingerprint != test.fingerprint
    assert train.typed == test.typed
    sides = [set(zip(*typed(d).write(typed(d).decode(d.x)).values(), strict=True)) for d in (train, test)]
    assert not sides[0] & sides[1]


def test_noise_is_the_same_every_time_and_within_a_step(tmp_path: Path) -> None:
    a, b = people(tmp_path), people(tmp_path)
    assert torch.equal(a.x, b.x)
    assert a.fingerprint == b.fingerprint
    column = typed(a).all[0]
    off = a.x[:, 0].double() * column.scale + column.centre
    assert 0.3 < (off - off.round()).abs().max() < 0.5
    sex = a.x[:, 1]
    assert ((sex - sex.round()).abs() < 0.5).all()


# --------------------------------------------------------------------------------- rows of another file


def test_another_table_takes_the_columns_of_the_first(tmp_path: Path) -> None:
    d = people(tmp_path)
    some = "\n".join(lines()[:5])
    other = loaded(
        tmp_path / "few.csv",
        "country,"
        + HEADER.replace(",country", "")
        + some.replace(",IT", "").replace("\n", "\nIT,").join(["IT,", "\n"]),
    )
    again = other.as_in(d.typed)
    assert again.shape == d.shape
    assert torch.equal(typed(d).canonical(again.x), typed(d).canonical(d.x[:5]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.replace("Rome", "Bari"), "city is 'Bari' in row .*, and should be one of Oslo, Rome, São Paulo"),
        (lambda t: t.replace("age,", "years,"), "there is no column 'age', .*; its columns are years, sex,"),
        (lambda t: t + ",m,Rome,2024-01-01,3.00,1,IT\n", "age is empty in row 61, and never was in training"),
    ],
)
def test_a_row_that_has_no_place_there_is_one_line(tmp_path: Path, change, says: str) -> None:
    d = people(tmp_path)
    other = loaded(tmp_path / "other.csv", change(HEADER + "\n".join(lines()) + "\n"))
    with pytest.raises(UserError, match=says) as e:
        other.as_in(d.typed)
    assert "\n" not in str(e.value)


def test_a_column_without_any_value_is_said_to_be_empty(tmp_path: Path) -> None:
    d = loaded(tmp_path / "t.csv", "a,b,c\n1,,x\n2,,y\n3,NA,x\n")
    assert [column.said for column in typed(d).all] == ["a whole numbers", "b always empty", "c 2 categories"]


def test_what_is_no_date_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 3: a is '79', no date; take the column as another type"):
        loaded(tmp_path / "t.csv", "a,b\n2024-01-01,1\n79,2\n2024-01-03,4\n", columns=("a=date",))
    with pytest.raises(UserError, match="a is written as dates in 2 formats"):
        loaded(tmp_path / "u.csv", "a,b\n2024-01-31,1\n31.01.2024,2\n", columns=("a=date",))


def test_info_tells_the_types(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people(tmp_path)
    assert main(["data", "info", str(tmp_path / "t.csv"), "--columns", "sex=drop"]) == 0
    out = capsys.readouterr().out
    assert "income numbers (some missing)" in out
    assert "sex 2 categories" not in out
