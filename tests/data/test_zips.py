"""Zips as a stream, and members by what the directory said of them: the same as the standard library's, if stricter."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from picture_files import png

from triptych import data
from triptych.data.prepare import zips
from triptych.errors import UserError

LIMIT = 1 << 20
CONTENT = {"a/0.png": png(0), "a/1.png": b"", "größe/2.png": bytes(range(256)) * 40, "b/": b"", "b/x.txt": b"x"}


def packed(method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"", before: bytes = b"") -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as z:
        for name, content in CONTENT.items():
            z.writestr(name, content)
        z.comment = comment
    return before + held.getvalue()


def contents(blob: bytes) -> dict[str, bytes | str]:
    """Every member's bytes, or that it cannot be read."""
    file, found = io.BytesIO(blob), dict[str, bytes | str]()
    for member in list(zips.members(file)):
        try:
            found[member.name] = "encrypted" if member.encrypted else zips.read(file, member.place, LIMIT)
        except (NotImplementedError, *zips.DAMAGE):
            found[member.name] = "unreadable"
    return found


def by_library(blob: bytes) -> dict[str, bytes | str]:
    found = dict[str, bytes | str]()
    with zipfile.ZipFile(io.BytesIO(blob)) as z:
        for info in z.infolist():
            try:
                found[info.filename] = "encrypted" if info.flag_bits & 1 else z.open(info).read(LIMIT)
            except (NotImplementedError, *zips.DAMAGE):
                found[info.filename] = "unreadable"
    return found


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("comment", [b"", b"of the set", b"with a PK\5 in it" * 4000])
@pytest.mark.parametrize("before", [b"", b"#!/bin/sh\n"])
def test_the_same_as_by_the_library(method: int, comment: bytes, before: bytes) -> None:
    assert contents(packed(method, comment, before)) == CONTENT


def test_zip64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 300)  # what lies behind byte 300 is written as if behind 4 GB
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    blob = packed()
    assert b"PK\6\6" in blob
    assert struct.pack("<HH", 1, 8) in blob[blob.find(b"PK\1\2") :]
    assert contents(blob) == CONTENT


def test_damage_anywhere_is_found_as_by_the_library() -> None:
    """Every byte altered: never other bytes than the library's, at most an error where it gives none."""
    blob, rng = packed(), random.Random(0)
    stricter = 0
    for at in range(len(blob)):
        altered = bytearray(blob)
        altered[at] ^= 1 << rng.randrange(8)
        try:
            expected = by_library(bytes(altered))
        except zips.DAMAGE:
            expected = None
        try:
            found = contents(bytes(altered))
        except zips.DAMAGE:
            found = None
        if found is None or expected is None:
            assert found is None
            stricter += expected is not None
            continue
        # names that are not said to be UTF-8 are read as such where they can be
        for (name, content), (other, same) in zip(found.items(), expected.items(), strict=True):
            assert name == other or not (name.isascii() and other.isascii())
            # the library calls it unreadable, too, where the two headers of sound bytes differ in a flag
            assert content in (same, "unreadable") or (
                same == "unreadable" and content in ("encrypted", *CONTENT.values())
            )
            stricter += content != same
    assert stricter < len(blob) / 20


Alter = Callable[[bytearray, int, int], None]  # the zip, where the first member's header and its record begin


def at_header(offset: int, form: str, value: int) -> Alter:
    return lambda blob, header, record: struct.pack_into(form, blob, header + offset, value)


def at_record(offset: int, form: str, value: int) -> Alter:
    return lambda blob, header, record: struct.pack_into(form, blob, record + offset, value)


HOSTILE: dict[str, tuple[Alter, str]] = {
    "an offset beyond the file": (at_record(42, "<L", 1 << 31), "no header where the directory says"),
    "an offset within the file": (at_record(42, "<L", 9), "no header where the directory says"),
    "another name in the header": (at_header(30, "<B", ord("z")), "another name than the directory"),
    "a longer name in the header": (at_header(26, "<H", 9), "another name than the directory"),
    "encrypted, says the header": (at_header(6, "<H", 1), "says that it is encrypted"),
    "much extra in the header": (at_header(28, "<H", 60_000), "reaches into the next member"),
    "more bytes than there are": (at_record(20, "<L", 1 << 31), "reaches into the next member"),
    "another checksum": (at_record(16, "<L", 7), "Bad CRC-32"),
    "fewer bytes than there are": (at_record(20, "<L", 3), "^"),
    "an unknown compression": (at_record(10, "<H", 77), "not supported"),
    "a patch": (at_header(6, "<H", 0x20), "a patch"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_header_that_lies_costs_its_own_member_only(name: str, tmp_path: Path) -> None:
    alter, message = HOSTILE[name]
    blob = bytearray(packed())
    alter(blob, 0, blob.find(b"PK\1\2"))
    file = io.BytesIO(blob)
    first, *others = zips.members(file)
    with pytest.raises((NotImplementedError, *zips.DAMAGE), match=message):
        zips.read(file, first.place, LIMIT)
    assert [zips.read(file, m.place, LIMIT) for m in others] == list(CONTENT.values())[1:]
    (tmp_path / "x.zip").write_bytes(blob)
    with pytest.raises(UserError, match=r"are unreadable|no readable"):  # the others are no pictures anyway
        data.load(tmp_path / "x.zip", resolution=4)


def test_a_record_that_says_encrypted() -> None:
    blob = bytearray(packed())
    at_record(8, "<H", 1)(blob, 0, blob.find(b"PK\1\2"))
    assert contents(bytes(blob))["a/0.png"] == "encrypted"


def test_members_within_members_are_refused() -> None:
    """A member whose bytes hold the headers of others is the small zip that unpacks to much."""
    inner = packed(zipfile.ZIP_STORED)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as z:
        z.writestr("outer", inner[: inner.find(b"PK\1\2")])
        z.writestr("0", b"")
    blob = held.getvalue()
    records = inner[inner.find(b"PK\1\2") : inner.find(b"PK\5\6")]
    directory = bytearray(records)
    at = -1
    while (at := directory.find(b"PK\1\2", at + 1)) >= 0:
        struct.pack_into("<L", directory, at + 42, struct.unpack_from("<L", directory, at + 42)[0] + 35)
    end = blob.find(b"PK\5\6")
    (start,) = struct.unpack_from("<L", blob, end + 16)
    own = blob[start:end]
    total = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 7, 7, len(own) + len(directory), start, 0)
    found = contents(blob[:start] + own + bytes(directory) + total)
    assert found == {"outer": "unreadable", "0": b"", **CONTENT}


@pytest.mark.parametrize("size", [0, 1 << 31])
def test_a_directory_of_another_size_is_refused(size: int) -> None:
    blob = bytearray(packed())
    struct.pack_into("<L", blob, blob.find(b"PK\5\6") + 12, size)
    if size:
        with pytest.raises(zipfile.BadZipFile, match="cut off"):
            list(zips.members(io.BytesIO(blob)))
    else:
        assert list(zips.members(io.BytesIO(blob))) == []


def test_a_worker_reads_no_directory(tmp_path: Path) -> None:
    """What the directory said is enough: it may be gone by the time that a member is read."""
    blob = packed()
    places = {m.name: m.place for m in zips.members(io.BytesIO(blob))}
    bare = io.BytesIO(blob[: blob.find(b"PK\1\2")])
    assert {name: zips.read(bare, place, LIMIT) for name, place in places.items()} == CONTENT
