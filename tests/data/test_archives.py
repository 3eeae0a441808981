"""Archives: complete or refused, whatever is wrong with them."""

import gzip
import io
import random
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
from picture_files import png, write_tar, write_zip

from triptych import data
from triptych.data.prepare.archives import tar_members
from triptych.data.prepare.layouts import collection
from triptych.errors import UserError

FILES = {f"{'ab'[i % 2]}/{i}.png": png(i, 4) for i in range(4)} | {f"a/{60 * chr(109)}/{60 * chr(110)}.png": png(9, 4)}


def names(path: Path) -> list[str]:
    return sorted(e.name for e in collection(path).entries)


def said(path: Path) -> str:
    """The error, or nothing where the archive is taken."""
    try:
        names(path)
    except UserError as e:
        return str(e)
    return ""


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_cut_anywhere_is_refused_or_whole(tmp_path: Path, form: int) -> None:
    raw = write_tar(tmp_path / "whole.tar", FILES, format=form).read_bytes()
    whole = names(tmp_path / "whole.tar")
    assert len(whole) == 5
    cut = tmp_path / "cut.tar"
    accepted = []
    places = {at + by for at in range(0, len(raw), 512) for by in (-257, -1, 0, 1, 100, 511) if 0 <= at + by < len(raw)}
    for at in sorted(places):
        cut.write_bytes(raw[:at])
        if error := said(cut):
            assert "cut" in error, at
        else:
            assert names(cut) == whole, at
            accepted.append(at)
    assert all(not any(raw[at - 512 :]) for at in accepted)  # only what lost nothing but zeros


@pytest.mark.parametrize("kind", ["gz", "xz", "bz2"])
def test_a_compressed_tar_cut_anywhere_is_refused_or_whole(tmp_path: Path, kind: str) -> None:
    raw = write_tar(tmp_path / f"whole.tar.{kind}", FILES, f"w:{kind}").read_bytes()
    whole = names(tmp_path / f"whole.tar.{kind}")
    cut = tmp_path / f"cut.tar.{kind}"
    for at in sorted({*range(0, len(raw), 23), *range(len(raw) - 20, len(raw))}):
        cut.write_bytes(raw[:at])
        error = said(cut)
        assert "cut" in error if error else names(cut) == whole, at


def test_a_tar_cut_before_its_compression_is_refused(tmp_path: Path) -> None:
    raw = write_tar(tmp_path / "whole.tar", FILES).read_bytes()
    end = len(raw.rstrip(b"\0"))
    for at in (512, 700, 1024, end - end % 512, end):
        (tmp_path / "cut.tgz").write_bytes(gzip.compress(raw[:at]))
        with pytest.raises(UserError, match="cut-off tar"):
            names(tmp_path / "cut.tgz")


def test_a_damaged_header_does_not_end_the_tar(tmp_path: Path) -> None:
    raw = bytearray(write_tar(tmp_path / "a.tar", FILES).read_bytes())
    at = raw.index(b"b/1.png")
    raw[at] ^= 1
    (tmp_path / "a.tar").write_bytes(raw)
    with pytest.raises(UserError, match="header is damaged"):
        names(tmp_path / "a.tar")


def test_two_tars_put_together_are_refused(tmp_path: Path) -> None:
    one, two = (write_tar(tmp_path / f"{i}.tar", {f"{i}.png": png(i)}).read_bytes() for i in range(2))
    for name, content in (("both.tar", one + two), ("both.tgz", gzip.compress(one + two))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="more follows behind its end mark"):
            names(tmp_path / name)


def test_random_damage_gives_one_line(tmp_path: Path) -> None:
    raw = write_tar(tmp_path / "a.tar", FILES, format=tarfile.PAX_FORMAT).read_bytes()
    packed = write_tar(tmp_path / "a.tgz", FILES, "w:gz").read_bytes()
    whole_zip = write_zip(tmp_path / "a.zip", FILES).read_bytes()
    rng = random.Random(0)
    for trial in range(300):
        name, content = rng.choice([("d.tar", raw), ("d.tgz", packed), ("d.zip", whole_zip)])
        damaged = bytearray(content)
        for _ in range(rng.choice((1, 1, 4, 30))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        (tmp_path / name).write_bytes(damaged)
        assert "\n" not in said(tmp_path / name), trial


def header(name: str, size: int, kind: bytes) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_name_of_gigabytes_is_not_read(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "long.tar"
    with path.open("wb") as f:
        f.write(header("x", 3 << 30, kind))
        f.truncate(3 << 30)  # sparse: takes no room on the disk
    start = time.process_time()
    with pytest.raises(UserError, match="3,221,225,472 bytes"):
        names(path)
    assert time.process_time() - start < 2


def test_headers_within_headers_come_to_an_end(tmp_path: Path) -> None:
    nested = (header("././@LongLink", 4, tarfile.GNUTYPE_LONGNAME) + b"abc\0".ljust(512, b"\0")) * 3000
    (tmp_path / "nested.tar").write_bytes(nested + bytes(10240))
    with pytest.raises(UserError, match="damaged"):
        names(tmp_path / "nested.tar")


def test_a_size_below_zero_comes_to_an_end(tmp_path: Path) -> None:
    pax = b"15 size=-10240\n"
    raw = header("x", len(pax), tarfile.XHDTYPE) + pax.ljust(512, b"\0") + header("a.png", 0, tarfile.REGTYPE)
    (tmp_path / "back.tar").write_bytes(raw + bytes(10240))
    with pytest.raises(UserError, match="damaged"):
        names(tmp_path / "back.tar")


def test_a_tar_that_ends_in_a_zip_is_a_tar(tmp_path: Path) -> None:
    inner = write_zip(tmp_path / "inner.zip", {"in.png": png(1)}).read_bytes()
    path = write_tar(tmp_path / "a.tar", {"0.png": png(0), "inner.zip": inner})
    assert names(path) == ["0.png", "inner.zip"]


def test_a_tar_goes_by_its_content_not_its_ending(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", FILES, "w:gz")
    write_tar(tmp_path / "b.tgz", FILES)
    assert names(tmp_path / "a.tar") == names(tmp_path / "b.tgz")
    assert len(data.load(tmp_path / "a.tar", resolution=4)) == 5


def test_a_link_of_the_same_name_hides_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.tgz"
    with tarfile.open(path, "w:gz") as t:
        link = tarfile.TarInfo("0.png")
        link.type, link.linkname = tarfile.SYMTYPE, "1.png"
        t.addfile(link)
        member = tarfile.TarInfo("0.png")
        member.size = len(png(0))
        t.addfile(member, io.BytesIO(png(0)))
    assert len(data.load(path, resolution=4)) == 1


def test_sizes_that_lie_in_a_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", FILES | {"metadata.csv": b"file_name,label\n" * 100})
    raw = bytearray(path.read_bytes())
    at = raw.find(b"PK\1\2")
    while at >= 0:  # unpacked sizes of the central directory: 4 GB less one
        raw[at + 24 : at + 28] = b"\xfe\xff\xff\xff"
        at = raw.find(b"PK\1\2", at + 4)
    path.write_bytes(raw)
    with pytest.raises(UserError):
        data.load(path, resolution=4)


def test_many_members(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as z:
        for i in range(5000):
            z.writestr(f"{i % 7}/{i}.txt", b"")
        z.writestr("0/x.png", png(0))
    assert len(data.load(path, resolution=4)) == 1


def test_members_are_closed_when_nobody_goes_on(tmp_path: Path) -> None:
    members = tar_members(write_tar(tmp_path / "a.tar", FILES))
    next(members)
    members.close()  # type: ignore[attr-defined]
