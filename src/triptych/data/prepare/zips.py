"""Zips: the directory as a stream, and members one by one, without an object for each that is there.

The process that lists a zip reads its directory once. What it says of a member (`Place`) is all that another needs to
read that member. Layout and names of fields: PKWARE, APPNOTE.TXT, version 6.3.
"""

from __future__ import annotations

import lzma
import os
import zipfile
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import Struct
from struct import error as StructError
from typing import BinaryIO, NamedTuple

from triptych.errors import UserError

END = Struct("<4s4H2LH")  # end of central directory
END64_AT = Struct("<4sLQL")  # its locator in a Zip64 archive
END64 = Struct("<4sQ2H2L4Q")
RECORD = Struct("<4s6H3L5H2L")  # one member in the directory
HEADER = Struct("<4s5H3L2H")  # the same in front of its bytes
COMMENT_LIMIT = 1 << 16
NEWEST = 63  # version of the format, in tenths
ENCRYPTED, PATCH, STRONG, UTF8 = 0x1, 0x20, 0x40, 0x800  # bits of the flags
FULL = 0xFFFFFFFF  # in place of a number that stands in the Zip64 field
DAMAGE = (zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError, StructError)


class Place(NamedTuple):
    """What the directory says of a member, as far as reading it goes."""

    offset: int
    """of its header, in the file"""
    end: int
    """where the next member or the directory begins"""
    packed: int
    size: int
    checksum: int
    method: int
    name: int
    """the checksum of its name, which its own header repeats"""


class Member(NamedTuple):
    """One file or folder of a zip."""

    name: str
    encrypted: bool
    place: Place


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """UserError in place of what a damaged zip ends in."""
    try:
        yield
    except DAMAGE as e:
        if isinstance(e, UserError):
            raise
        raise UserError(f"{path} is a damaged zip ({e}); fetch or pack it again") from e


def members(file: BinaryIO) -> Iterator[Member]:
    """Every member in the directory's order; BadZipFile where the directory is damaged."""
    start, size, shift = _directory(file)
    offsets = array("Q", sorted(place.offset for _, _, place in _records(file, start, size, shift)))
    for raw, flags, place in _records(file, start, size, shift):
        following = bisect_right(offsets, place.offset)
        end = offsets[following] if following < len(offsets) else start
        yield Member(_name(raw, flags), bool(flags & (ENCRYPTED | STRONG)), place._replace(end=end))


def read(file: BinaryIO, place: Place, limit: int) -> bytes:
    """The bytes of a member, at most `limit`; one of `DAMAGE`, or NotImplementedError for an unknown compression.

    The header in front of it has to be that of the same name, and its bytes may not reach into the next member.
    """
    file.seek(place.offset)
    header = file.read(HEADER.size)
    if len(header) < HEADER.size:
        raise zipfile.BadZipFile("no header where the directory says")
    mark, _, flags, *_, named, extra = HEADER.unpack(header)
    if mark != b"PK\3\4":
        raise zipfile.BadZipFile("no header where the directory says")
    if zlib.crc32(file.read(named)) != place.name:
        raise zipfile.BadZipFile("its header has another name than the directory")
    if flags & (ENCRYPTED | STRONG):
        raise zipfile.BadZipFile("its header says that it is encrypted, the directory does not")
    if flags & PATCH:
        raise NotImplementedError("a patch")
    start = place.offset + HEADER.size + named + extra
    if start + place.packed > place.end:
        raise zipfile.BadZipFile("it reaches into the next member")
    file.seek(start)
    info = zipfile.ZipInfo()
    info.compress_type, info.CRC = place.method, place.checksum
    info.compress_size, info.file_size = place.packed, place.size
    with zipfile.ZipExtFile(file, "r", info) as member:  # checks the sum at the end
        return member.read(limit)


def _directory(file: BinaryIO) -> tuple[int, int, int]:
    """Where the directory starts, its bytes, and what to add to its offsets, as something may stand before the zip."""
    total = file.seek(0, os.SEEK_END)
    tail_at = max(total - COMMENT_LIMIT - END.size, 0)
    file.seek(tail_at)
    tail = file.read()
    # a comment may hold the mark, too, but the last 22 bytes of a zip without one are not searched through
    bare = tail[-END.size :]
    last = len(tail) - END.size if bare[:4] == b"PK\5\6" and bare[-2:] == b"\0\0" else tail.rfind(b"PK\5\6")
    if last < 0 or len(tail) - last < END.size:
        raise zipfile.BadZipFile("it has no directory")
    *_, size, offset, _ = END.unpack_from(tail, last)
    behind = tail_at + last  # the directory ends here
    wide_at = behind - END64_AT.size - END64.size
    if wide_at >= 0:
        file.seek(wide_at)
        wide, locator = file.read(END64.size), END64_AT.unpack(file.read(END64_AT.size))
        if locator[0] == b"PK\6\7":
            if locator[1] != 0 or locator[3] > 1:
                raise zipfile.BadZipFile("it has several parts")
            if wide[:4] == b"PK\6\6":
                *_, size, offset = END64.unpack(wide)
                behind = wide_at
    start = behind - size
    if start < 0:
        raise zipfile.BadZipFile("its directory is cut off")
    return start, size, start - offset


def _records(file: BinaryIO, start: int, size: int, shift: int) -> Iterator[tuple[bytes, int, Place]]:
    """(name, flags, place) of every member; the places' ends are open."""
    file.seek(start)
    left = size
    while left > 0:
        record = file.read(RECORD.size)
        if len(record) < RECORD.size:
            raise zipfile.BadZipFile("its directory is cut off")
        (mark, _, version, flags, method, _, _, checksum, packed, full, named, extra, comment, _, _, _, offset) = (
            RECORD.unpack(record)
        )
        if mark != b"PK\1\2":
            raise zipfile.BadZipFile("its directory is damaged")
        if version & 0xFF > NEWEST:
            raise zipfile.BadZipFile(f"it needs version {(version & 0xFF) / 10} of the format")
        rest = file.read(named + extra + comment)
        if len(rest) < named + extra:
            raise zipfile.BadZipFile("its directory is cut off")
        name = rest[:named]
        if extra:
            full, packed, offset = _wide(rest[named : named + extra], full, packed, offset)
        if not 0 <= offset + shift < 1 << 63:
            raise zipfile.BadZipFile("its directory points outside the file")
        yield name, flags, Place(offset + shift, 0, packed, full, checksum, method, zlib.crc32(name))
        left -= RECORD.size + named + extra + comment


def _wide(extra: bytes, *numbers: int) -> list[int]:
    """The numbers, those that did not fit into 32 bits from the Zip64 field."""
    found = list(numbers)
    while len(extra) >= 4:
        kind, length = int.from_bytes(extra[:2], "little"), int.from_bytes(extra[2:4], "little")
        if length + 4 > len(extra):
            raise zipfile.BadZipFile("a field of its directory is damaged")
        if kind == 1:
            field = extra[4 : 4 + length]
            for i, number in enumerate(found):
                if number == FULL:
                    if len(field) < 8:
                        raise zipfile.BadZipFile("a Zip64 field of its directory is damaged")
                    found[i], field = int.from_bytes(field[:8], "little"), field[8:]
        extra = extra[4 + length :]
    return found


def _name(raw: bytes, flags: int) -> str:
    """A member's name. Packers that do not say that it is UTF-8 often write UTF-8 nevertheless."""
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        if flags & UTF8:
            raise
        name = raw.decode("cp437")
    return name.partition("\0")[0].replace(os.sep, "/")
