"""Archives of pictures: nothing leaves them, and nothing is too much."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from prepared_folders import as_tar, as_zip, index, pets

from triptych import data
from triptych.errors import UserError

__all__ = ["pets"]  # a fixture


def test_archives_cannot_lead_outside(folder: Path, tmp_path: Path) -> None:
    picture = (folder / "cat" / "0.png").read_bytes()
    archive = as_zip(folder, tmp_path / "a.zip")
    with zipfile.ZipFile(archive, "a") as z:
        z.writestr("../../evil.png", picture)
        z.writestr("/evil.png", picture)
    tar = as_tar(folder, tmp_path / "a.tar")
    with tarfile.open(tar, "a") as t:
        for name, kind in (("../evil.png", tarfile.REGTYPE), ("pets/cat/link.png", tarfile.SYMTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            member.size = len(picture) if kind == tarfile.REGTYPE else 0
            t.addfile(member, io.BytesIO(picture))
    before = {p for p in tmp_path.rglob("*") if "cache" not in p.parts}
    for path in (archive, tar):
        d = data.load(path, resolution=8)
        assert len(d) == 10
        assert len(index(d)["skipped"]) == 2
    assert {p for p in tmp_path.rglob("*") if "cache" not in p.parts} == before


def test_zip_bomb_and_encrypted_members(folder: Path, tmp_path: Path) -> None:
    archive = as_zip(folder, tmp_path / "a.zip")
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as z:
        z.writestr("pets/cat/bomb.png", bytes(300 << 20))
    d = data.load(archive, resolution=8)
    assert len(d) == 10
    assert index(d)["skipped"][0]["reason"].startswith("too large")


def test_tar_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr("triptych.data.prepare.archives.SLACK", 1 << 20)
    bomb = tmp_path / "bomb.tar.gz"
    with tarfile.open(bomb, "w:gz") as t:
        member = tarfile.TarInfo("big.png")
        member.size = 50 << 20
        t.addfile(member, Zeros(member.size))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="unpacks to over"):
        data.load(bomb, resolution=8)


class Zeros:
    """A file of zeros of any size."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, n: int) -> bytes:
        n = min(n, self.left)
        self.left -= n
        return bytes(n)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_cut_archives(folder: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        as_zip(folder, path)
    else:
        as_tar(folder, path, "w:gz" if kind == "tar.gz" else "w")
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(UserError, match=r"damaged|cut off|cut-off|not a folder, a zip or a tar"):
        data.load(path, resolution=8)
