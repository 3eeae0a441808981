"""Pictures in Parquet files, alone and in folders, with and without classes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from picture_files import png

from triptych import data
from triptych.cli import main
from triptych.data.prepare import parquet
from triptych.errors import UserError

pa = pytest.importorskip("pyarrow")
from pyarrow import parquet as pq  # noqa: E402

NAMES = {"info": {"features": {"image": {"_type": "Image"}, "kind": {"_type": "ClassLabel", "names": ["cat", "dog"]}}}}


def write(path: Path, *, told: Any = None, group: int = 4, **columns: Any) -> Path:
    """A table; `told` is what the Hub's library writes of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if told is not None:
        table = table.replace_schema_metadata({b"huggingface": json.dumps(told).encode()})
    pq.write_table(table, path, row_group_size=group)
    return path


def cells(*numbers: int) -> list[dict[str, Any]]:
    """Pictures as the Hub keeps them."""
    return [{"bytes": png(i), "path": None} for i in numbers]


def corner(d: Any) -> list[list[int]]:
    return d.x[:, :, 0, 0].tolist()


def test_the_pictures_are_those_of_files(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    for i in range(10):
        (tmp_path / "files" / f"{i}.png").write_bytes(png(i))
    wanted = data.load(tmp_path / "files", resolution=4)
    for path in (
        write(tmp_path / "hub.parquet", told=NAMES, image=cells(*range(10)), kind=[0, 1] * 5),
        write(tmp_path / "plain.parquet", png=[png(i) for i in range(10)], label=["cat", "dog"] * 5),
    ):
        d = data.load(path, resolution=4)
        assert corner(d) == corner(wanted)
        assert d.classes == ("cat", "dog")
        assert d.labels is not None
        assert d.labels.tolist() == [0, 1] * 5
    assert d.about["notes"] == {"given a class by the column 'label'": 10}


def test_a_folder_of_files_is_one_set_with_the_splits_of_their_names(tmp_path: Path) -> None:
    home = tmp_path / "set"
    for i, name in enumerate(("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001")):
        numbers = range(3 * i, 3 * i + 3)
        write(home / "data" / f"{name}.parquet", told=NAMES, image=cells(*numbers), kind=[1, 0, 1])
    (home / "README.md").write_text("about")
    train, test = (data.load(home, split=s, resolution=4) for s in ("train", "test"))  # type: ignore[arg-type]
    assert (len(train), len(test)) == (6, 3)
    assert train.labels is not None
    assert train.labels.tolist() == [1, 0, 1] * 2
    assert train.about["skipped"] == {"beside the Parquet files": 1}


def test_rows_without_class_or_sound_picture_are_counted(tmp_path: Path) -> None:
    pictures = [{"bytes": b"\x89PNG broken", "path": None}, None, *cells(*range(6))]
    path = write(tmp_path / "a.parquet", told=NAMES, image=pictures, kind=[0, 1, -1, None, 0, 1, 0, 1])
    d = data.load(path, resolution=4)
    assert len(d) == 4
    assert d.about["skipped"] == {"no class in the table": 2, "damaged": 1, "empty file": 1}
    hidden = data.load(write(tmp_path / "b.parquet", told=NAMES, image=cells(0, 1), kind=[-1, -1]), resolution=4)
    assert (len(hidden), hidden.classes) == (2, ())
    assert hidden.about["notes"] == {"column 'kind' not used for classes, since it is empty": 2}


def test_shards_make_the_same_set_and_read_what_they_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.parquet", told=NAMES, image=cells(*range(12)), kind=[0, 1] * 6)
    assert [row for row, _ in parquet.pictures(path, {1: 0, 9: 0})] == [1, 9]
    whole = data.load(path, resolution=4)
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "other"))
    for i in (1, 2, 3):
        assert main(["data", "prepare", str(path), "--resolution", "4", "--shard", f"{i}/3"]) == 0
    assert main(["data", "merge", str(path), "--resolution", "4"]) == 0
    merged = data.load(path, resolution=4)
    assert merged.fingerprint == whole.fingerprint
    assert merged.x.equal(whole.x)


BAD = {
    "cut": (lambda f: f.write_bytes(f.read_bytes()[:-40]), "is damaged, or no Parquet file"),
    "another format": (lambda f: f.write_bytes(b"PAR1 and no more"), "is damaged, or no Parquet file"),
    "empty": (lambda f: f.write_bytes(b""), "is damaged, or no Parquet file"),
    "no pictures": (lambda f: write(f, x=[1.0, 2.0]), "0 columns of encoded pictures"),
    "no picture among words": (
        lambda f: write(f, a=[{"path": "x"}]),
        r"0 columns of encoded pictures among a \(struct",
    ),
    "two": (lambda f: write(f, a=cells(1), b=cells(2)), "2 columns of encoded pictures"),
    "odd words of the Hub's": (lambda f: write(f, told=[1], x=[1, 2]), "0 columns of encoded pictures"),
    "no rows": (lambda f: write(f, image=pa.array([], pa.binary())), "holds no pictures"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_table_of_pictures_is_refused(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "set" / "a.parquet", image=cells(1, 2))
    make, said = BAD[kind]
    make(path)
    with pytest.raises(UserError, match=said):
        data.load(path.parent, resolution=4)
    if kind not in ("two", "no rows"):  # a file alone is a table, unless it has a column that may be pictures
        with pytest.raises(UserError, match=r"no whole Parquet file|is a table, not pictures|is empty"):
            data.load(path, resolution=4)


def test_a_table_of_numbers_is_still_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", x=[1.0, 2.0, 4.0], kind=["a", "b", "a"])
    assert data.load(path).typed is not None


def test_a_damaged_page_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", image=cells(*range(8)))
    content = bytearray(path.read_bytes())
    content[4:120] = bytes(116)
    path.write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        data.load(path, resolution=4)


def test_parts_that_differ_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "s" / "0.parquet", told=NAMES, image=cells(1), kind=[0])
    write(tmp_path / "s" / "1.parquet", image=cells(1), other=[0])
    with pytest.raises(UserError, match=r"1\.parquet has other columns or classes than 0\.parquet"):
        data.load(tmp_path / "s", resolution=4)


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.parquet", image=cells(1))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"triptych\[parquet\]"):
        data.load(path, resolution=4)
