"""Classes that files beside the pictures name."""

import json
from pathlib import Path

import pytest
from picture_files import png, write, write_tar, write_zip

from triptych import data
from triptych.errors import UserError

SIX = {f"{i}.png": png(i) for i in range(6)}
KINDS = ["cat", "dog", "cat", "dog", "cat", "dog"]


def csv(rows: dict[str, object], header: str = "file_name,label") -> bytes:
    return (header + "\n" + "".join(f"{n},{v}\n" for n, v in rows.items())).encode()


def jsonl(rows: dict[str, object]) -> bytes:
    return "".join(
        json.dumps({"file_name": n, "label": v, "text": "a picture"}) + "\n" for n, v in rows.items()
    ).encode()


def stylegan(rows: dict[str, object]) -> bytes:
    return json.dumps({"labels": [[n, v] for n, v in rows.items()]}).encode()


FORMATS = {"metadata.csv": csv, "metadata.jsonl": jsonl, "dataset.json": stylegan}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_in_folders_and_archives(tmp_path: Path, name: str) -> None:
    files = SIX | {name: FORMATS[name](dict(zip(SIX, KINDS, strict=True)))}
    nested = {f"set/{n}": c for n, c in files.items()}
    places = [
        write(tmp_path / "f", files),
        write(tmp_path / "n", nested),
        write_zip(tmp_path / "a.zip", nested),
        write_tar(tmp_path / "a.tar", files),
        write_tar(tmp_path / "a.tgz", nested, "w:gz"),
    ]
    for place in places:
        d = data.load(place, resolution=4)
        assert d.classes == ("cat", "dog"), place
        assert d.labels is not None
        assert d.labels.tolist() == [0, 1] * 3
        assert d.about["notes"] == {f"given a class by {name}": 6}
        assert d.about["skipped"] == {"a table of the set": 1}


def test_stylegans_own_layout(tmp_path: Path) -> None:
    files = {f"{i // 3:05d}/img{i:08d}.png": png(i) for i in range(6)}
    whole = dict(zip(files, (5, 7, 5, 7, 5, 10), strict=True))
    d = data.load(write_zip(tmp_path / "a.zip", files | {"dataset.json": stylegan(whole)}), resolution=4)
    assert d.classes == ("5", "7", "10")  # as numbers, not as text; the folders are no classes
    assert d.labels is not None
    assert d.labels.tolist() == [0, 1, 0, 1, 0, 2]
    none = data.load(write_zip(tmp_path / "b.zip", files | {"dataset.json": b'{"labels": null}'}), resolution=4)
    assert none.classes == ("00000", "00001")
    assert none.about["notes"] == {"dataset.json not used for classes, since it has no labels": 6}


def test_each_split_has_a_table_of_its_own(tmp_path: Path) -> None:
    files = {f"{'train' if i < 4 else 'test'}/{i}.png": png(i) for i in range(6)}
    files["train/metadata.csv"] = csv({f"{i}.png": "ab"[i % 2] for i in range(4)})
    files["test/metadata.csv"] = csv({f"./{i}.png": "ab"[i % 2] for i in (4, 5)})
    write(tmp_path / "s", files)
    train, test = (data.load(tmp_path / "s", split=s, resolution=4) for s in ("train", "test"))  # type: ignore[arg-type]
    assert train.labels is not None
    assert test.labels is not None
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1, 0, 1], [0, 1])


def test_labels_for_a_part_and_for_files_that_are_not_there(tmp_path: Path) -> None:
    rows = {"0.png": "a", "1.png": "b", "2.png": "", "9.png": "a"}
    d = data.load(write(tmp_path / "s", SIX | {"metadata.csv": csv(rows)}), resolution=4)
    assert len(d) == 2
    assert d.about["skipped"] == {
        "no class in metadata.csv": 4,
        "a table of the set": 1,
        "listed in metadata.csv but not there": 1,
    }


def test_class_files_for_a_part(tmp_path: Path) -> None:
    files = SIX | {"0.cls": b"1\n", "1.cls": b"0", "9.cls": b"0"}
    d = data.load(write_tar(tmp_path / "a.tar", files), resolution=4)
    assert d.labels is not None
    assert d.labels.tolist() == [1, 0]
    assert d.about["skipped"] == {
        "no class in the .cls files": 4,
        "a class beside its picture": 2,
        "a class without a picture": 1,
    }


def test_facts_beside_the_pictures_of_a_tar(tmp_path: Path) -> None:
    facts = [{"label": "dog"}, {"cls": 3}, {"caption": "none"}, [1], {"class": ["cat"]}, {"label": [1, 2]}]
    files = SIX | {f"{i}.json": json.dumps(told).encode() for i, told in enumerate(facts)} | {"1.cls": b"owl"}
    d = data.load(write_tar(tmp_path / "a.tar", files), resolution=4)
    assert d.classes == ("cat", "dog", "owl")
    assert d.labels is not None
    assert d.labels.tolist() == [1, 2, 0]
    assert d.about["notes"]["given a class by the .cls files and the .json files"] == 3
    assert d.about["skipped"]["a class beside its picture"] == 4
    folder = data.load(write(tmp_path / "s", SIX | {"0.json": b'{"label": 1}'}), resolution=4)
    assert folder.classes == ()  # in a folder a .json may be anything


def test_contradictions_are_refused_and_repetitions_are_not(tmp_path: Path) -> None:
    same = csv({"0.png": "a", "1.png": "b"}) + b"0.png,a\n"
    assert len(data.load(write(tmp_path / "s", SIX | {"metadata.csv": same}), resolution=4)) == 2
    write(tmp_path / "s", {"metadata.csv": same + b"0.png,b\n"})
    with pytest.raises(UserError, match=r"0\.png is 'a' and 'b' in metadata\.csv; keep one"):
        data.load(tmp_path / "s", resolution=4)
    write(tmp_path / "t", SIX | {"metadata.csv": csv({"0.png": "a"}), "dataset.json": stylegan({"0.png": "c"})})
    with pytest.raises(UserError, match=r"0\.png is "):
        data.load(tmp_path / "t", resolution=4)


BAD = {
    "no such pictures": ({"metadata.csv": csv({"x.png": 1})}, "names none of the pictures"),
    "not JSON": ({"dataset.json": b"{"}, "dataset.json cannot be read"),
    "deep": ({"dataset.json": b"[" * 100_000}, "dataset.json cannot be read"),
    "a line that is no object": ({"metadata.jsonl": b'{"file_name": "0.png"}\n[1]\n'}, "no object"),
    "two columns too many in a quote": (
        {"metadata.csv": b'file_name,label\n"0.png,1\n'},
        "metadata.csv cannot be read",
    ),
    "duplicates": ({"metadata.csv": csv({"0.png": "Cat", "1.png": "cat"})}, "two classes of the same name"),
}


@pytest.mark.parametrize("kind", BAD)
def test_tables_that_make_no_sense(tmp_path: Path, kind: str) -> None:
    files, said = BAD[kind]
    with pytest.raises(UserError, match=said):
        data.load(write(tmp_path / "s", SIX | files), resolution=4)


OTHERS = {
    "captions": ({"metadata.csv": b"file_name,text\na/0.png,a cat\n"}, "it has no column label"),
    "another's table": ({"metadata.csv": b"id;width\n1;20\n"}, "it has no column file_name"),
    "captions in lines": ({"metadata.jsonl": b'{"file_name": "a/0.png"}\n'}, "it has no column label"),
    "vectors": (
        {"dataset.json": stylegan({"a/0.png": [0.1, 0.9]})},
        "its labels are vectors, and a picture has one class here",
    ),
    "triples": ({"dataset.json": b'{"labels": [["0.png", 1, 2]]}'}, "its labels are no pairs of a file and a class"),
    "names of classes": ({"dataset.json": b'{"labels": {"0": "a"}}'}, "its labels are no pairs of a file and a class"),
    "another's JSON": ({"dataset.json": b"[1, 2]"}, "it has no labels"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_table_of_something_else_leaves_the_folders(tmp_path: Path, kind: str) -> None:
    table, why = OTHERS[kind]
    files = {f"{'ab'[i % 2]}/{i}.png": png(i) for i in range(6)}
    d = data.load(write(tmp_path / "s", files | table), resolution=4)
    assert d.classes == ("a", "b")
    assert d.about["notes"] == {f"{next(iter(table))} not used for classes, since {why}": 6}


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["3.0", "1.0", "3", "1", "3", ""], ("1", "3")),
        (["003", "001", "003", "001", "003", "001"], ("001", "003")),
        (["1", "x", "1", "x", "1", "x"], ("1", "x")),
        (["größe", "東京", "größe", "東京", "größe", "東京"], ("größe", "東京")),
        (["10", "9", "10", "9", "10", "9"], ("9", "10")),
    ],
)
def test_how_classes_are_written(tmp_path: Path, values: list[str], classes: tuple[str, ...]) -> None:
    table = b"\xef\xbb\xbf" + csv(dict(zip(SIX, values, strict=True)))
    assert data.load(write(tmp_path / "s", SIX | {"metadata.csv": table}), resolution=4).classes == classes


def test_a_changed_table_is_read_again(tmp_path: Path) -> None:
    write(tmp_path / "s", SIX | {"metadata.csv": csv(dict(zip(SIX, KINDS, strict=True)))})
    one = data.load(tmp_path / "s", resolution=4)
    write(tmp_path / "s", {"metadata.csv": csv(dict.fromkeys(SIX, "fox"))})
    two = data.load(tmp_path / "s", resolution=4)
    assert two.classes == ("fox",)
    assert one.fingerprint != two.fingerprint
