"""Classes of folders that are hardly any: one picture, too many, names that differ by case, labels of a part."""

from pathlib import Path

import pytest
from picture_files import png, write

from triptych import data
from triptych.cli import main
from triptych.core.labels import CLASSES, classes_in
from triptych.errors import UserError
from triptych.recipes import get
from triptych.recipes.override import with_field
from triptych.trainer.classes import with_classes

CONDITIONAL = with_field(get("gan-mnist"), "model.classes", "auto")


def folder(path: Path, counts: dict[str, int]) -> Path:
    return write(path, {f"{name}/{i}.png": png(i, 4) for name, n in counts.items() for i in range(n)})


def test_a_class_with_one_picture_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    d = data.load(folder(tmp_path / "s", {"ash": 3, "birch": 1, "elm": 2, "oak": 1}), resolution=4)
    assert d.about["notes"] == {"the only picture of its class": 2}
    assert d.labels is not None
    assert d.labels.tolist() == [0, 0, 0, 1, 2, 2, 3]
    assert "7 of 7 files prepared; 2 the only picture of its class" in capsys.readouterr().err


def test_folders_without_classes_say_nothing_of_single_pictures(tmp_path: Path) -> None:
    d = data.load(write(tmp_path / "s", {f"{i}.png": png(i, 4) for i in range(3)}), resolution=4)
    assert d.labels is None
    assert d.about["notes"] == {}
    with pytest.raises(UserError, match="has no labels to condition on; give sub-folders as classes"):
        with_classes(CONDITIONAL, d)


def test_pictures_beside_the_folders_leave_no_classes_and_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = folder(tmp_path / "s", {"ash": 3, "elm": 3})
    d = data.load(write(place, {"loose.png": png(7, 4)}), resolution=4)
    assert d.labels is None
    assert d.about["notes"] == {"in no sub-folder, so that sub-folders are not classes": 1}
    assert "1 in no sub-folder, so that sub-folders are not classes" in capsys.readouterr().err


def test_folders_whose_names_differ_by_case_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = folder(tmp_path / "s", {"Ash": 2, "ash": 2, "elm": 2})
    assert main(["data", "prepare", str(place), "--resolution", "4"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line == f"error: {place} has two classes of the same name, 'Ash' and 'ash'; rename or merge one"


def test_more_folders_than_a_model_takes_classes(tmp_path: Path) -> None:
    """They are classes of the data all the same, and an unconditional training is not in the way of that."""
    d = data.load(folder(tmp_path / "s", {f"class{i:04}": 1 for i in range(CLASSES + 1)}), resolution=4)
    assert classes_in(d) == CLASSES + 1
    with pytest.raises(UserError, match=r"s has 1,001 classes and a model is conditioned on 1,000 at most; merge some"):
        with_classes(CONDITIONAL, d)
    assert with_classes(get("gan-mnist"), d) == get("gan-mnist")


def test_labels_for_half_of_the_files_and_for_missing_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {f"{i}.png": png(i, 4) for i in range(8)}
    table = "file_name,label\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in (0, 1, 2, 3, 90, 91))
    place = write(tmp_path / "s", files | {"metadata.csv": table.encode()})
    d = data.load(place, resolution=4)
    assert (len(d), classes_in(d)) == (4, 2)
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "4 of 11 files prepared, 7 skipped" in line
    assert "4 no class in metadata.csv" in line
    assert "2 listed in metadata.csv but not there" in line
    assert with_classes(CONDITIONAL, d).model.classes == 2
