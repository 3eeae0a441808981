"""The folders of birds and faces as they are given away."""

from pathlib import Path

import pytest
import torch
from prepared_folders import as_tar, as_zip, save

from triptych import data
from triptych.errors import UserError


def official_cub(home: Path) -> Path:
    names = ["001.Black_footed_Albatross/A_0001_1.jpg", "002.Laysan/B_0001_2.jpg", "001.Black_footed_Albatross/A_2.jpg"]
    for i, name in enumerate(names):
        save(home / "CUB_200_2011" / "images" / name, i, mode="L" if i == 1 else "RGB")
    tables = {
        "images.txt": "\n".join(f"{i + 1} {n}" for i, n in enumerate(names)),
        "image_class_labels.txt": "1 1\n2 2\n3 1",
        "classes.txt": "1 001.Black_footed_Albatross\n2 002.Laysan",
        "train_test_split.txt": "1 1\n2 0\n3 1",
    }
    for name, text in tables.items():
        (home / "CUB_200_2011" / name).write_text(text + "\n")
    save(home / "CUB_200_2011" / "segmentations" / "A.png", 9)
    return home / "CUB_200_2011"


def test_official_birds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path / "sets"))
    (tmp_path / "sets" / "cub").mkdir(parents=True)
    tree = official_cub(tmp_path)
    as_tar(tree, tmp_path / "sets" / "cub" / "CUB_200_2011.tgz", "w:gz")
    both, test = data.load("birds", split="all", resolution=8), data.load("birds", split="test", resolution=8)
    assert both.labels is not None
    assert both.labels.tolist() == [0, 1, 0]
    assert both.classes == ("Black_footed_Albatross", "Laysan")
    assert len(test) == 1
    assert torch.equal(test.x[0], both.x[1])
    assert both.shape == (3, 8, 8)
    assert "Wah" in both.about["citation"]
    assert torch.equal(data.load(tree, split="all", resolution=8).x, both.x)
    assert len(data.load("birds", resolution=8)) == 2


def test_official_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "sets" / "celeba"
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path / "sets"))
    for i in range(4):
        save(tmp_path / "img_align_celeba" / f"{i + 1:06d}.jpg", i)
    home.mkdir(parents=True)
    as_zip(tmp_path / "img_align_celeba", home / "img_align_celeba.zip")
    assert len(data.load("celeba", resolution=8)) == 4  # without a split file all are train
    (home / "list_eval_partition.txt").write_text("000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n000004.jpg 0\n")
    (home / "list_attr_celeba.txt").write_text(
        "4\nBald Smiling\n000001.jpg -1  1\n000002.jpg 1 1\n000003.jpg 1 -1\n000004.jpg -1 -1\n"
    )
    d = {s: data.load("celeba", split=s, resolution=8) for s in ("train", "test", "all")}
    assert {s: len(v) for s, v in d.items()} == {"train": 2, "test": 1, "all": 4}
    assert d["train"].factors["Smiling"].tolist() == [1, 0]
    assert d["test"].factors["Bald"].tolist() == [1]


def test_faces_by_hand() -> None:
    with pytest.raises(UserError, match=r"by hand; .*img_align_celeba.zip"):
        data.load("celeba", resolution=8)


@pytest.mark.data
def test_real_birds_and_faces(real_data: Path) -> None:
    birds = data.load("birds", split="all", resolution=8)
    assert len(birds) == 5902
    assert len(birds.classes) == 100
    assert birds.about["notes"] == {"grey made RGB": 4}
    test = data.load("birds", split="test", resolution=8)
    assert len(test) == 2903
    assert test.labels is not None
    assert int(torch.bincount(test.labels, minlength=100).max()) <= 30
    faces = data.load("celeba", resolution=8)
    assert len(faces) == 5000
