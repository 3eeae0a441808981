"""Tars, member by member: what is in them, without unpacking anything to a disk.

An archive is complete or refused: a tar that was cut off, in whatever place, is never taken for a shorter one.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tarfile import EOFHeaderError, HeaderError, ReadError  # pyright: ignore[reportAttributeAccessIssue]
from typing import IO, Any, Self

from triptych.errors import UserError

TARS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
BOMB, SLACK = 50, 1 << 30  # a compressed tar may grow by this factor, plus so many bytes
HEADER_LIMIT = 1 << 20  # bytes of a long name, or of a member's extended header
EXTENDED = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
"""How a compressed file begins, and what reads it."""
DAMAGE = (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, ValueError, OSError, RecursionError)


def is_tar(path: Path) -> bool:
    """Whether the name is that of a tar, compressed or not."""
    return path.name.lower().endswith(TARS)


def is_packed(path: Path) -> bool:
    """Whether the members of a tar can only be read one after the other, since it is compressed."""
    with path.open("rb") as f:
        return f.read(6).startswith(tuple(PACKED))


def leads_outside(name: str) -> bool:
    """Whether a member's name is no path within the archive."""
    parts = name.replace("\\", "/").split("/")
    return name[:1] in ("/", "\\") or ".." in parts or ":" in parts[0]


# --------------------------------------------------------------------------------------------- tars


class _Header(tarfile.TarInfo):
    """A member's header that is whole: the library takes a damaged or cut one for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        if not buf:
            raise ReadError("it ends without an end mark")
        if len(buf) < tarfile.BLOCKSIZE:
            raise ReadError("it ends within a header")
        if not any(buf):
            return super().frombuf(buf, encoding, errors)  # the end mark
        try:
            info = super().frombuf(buf, encoding, errors)
        except HeaderError as e:
            raise ReadError(f"a header is damaged: {e}") from e
        if info.type in EXTENDED and not 0 <= info.size <= HEADER_LIMIT:
            raise ReadError(f"a member's name or extended header has {info.size:,} bytes")
        if info.size < 0:
            raise ReadError(f"a member has {info.size:,} bytes")
        return info

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        """Of the library's errors only the one that tells of the end mark ends an archive.

        It takes the others for the end, too, such as that of a cut extended header.
        """
        try:
            return super().fromtarfile(tarfile)
        except EOFHeaderError:
            raise
        except HeaderError as e:
            raise ReadError(f"a header is damaged or cut: {e}") from e


class _Counted(io.RawIOBase):
    """An unpacked stream that ends in UserError where it grows out of proportion."""

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self.path, self.stream = path, stream
        self.left = self.allowed = BOMB * path.stat().st_size + SLACK

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise UserError(
                f"{self.path} unpacks to over {self.allowed >> 20:,} MB; unpack it yourself if that is right"
            )
        return data


def tar_members(path: Path) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Members one by one; UserError for a damaged or cut-off tar and for one that unpacks to absurd sizes."""
    with _damage(path), path.open("rb") as raw:
        magic = raw.read(6)
        raw.seek(0)
        unpack = next((opener for start, opener in PACKED.items() if magic.startswith(start)), None)
        if unpack is None:
            with tarfile.open(fileobj=raw, mode="r:", tarinfo=_Header, encoding="utf-8") as t:
                total = path.stat().st_size
                for member in t:
                    if member.size < 0 or member.offset_data + member.size > total:
                        raise ReadError(f"it ends within {member.name}")
                    yield t, member
                    _forget(t)
                _refuse_more(t.fileobj)
            return
        with unpack(raw, "rb") as stream:
            counted = _Counted(path, stream)  # type: ignore[arg-type]
            with tarfile.open(fileobj=counted, mode="r|", tarinfo=_Header, encoding="utf-8") as t:
                for member in t:
                    if member.size < 0:
                        raise ReadError(f"{member.name} has {member.size} bytes")
                    yield t, member
                    _forget(t)
                _refuse_more(t.fileobj)
            while counted.read(1 << 20):  # to the compressed stream's own checksum
                pass


def _forget(t: Any) -> None:
    """Let go of the members so far, which are kept for those who ask by name: a kilobyte each, of a million."""
    t.members.clear()


def _refuse_more(stream: Any) -> None:
    """Behind the end mark come zeros only; else two tars were put together, and half would be lost."""
    while data := stream.read(1 << 20):
        if any(data):
            raise ReadError("more follows behind its end mark")


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGE as e:
        if isinstance(e, UserError):
            raise
        raise UserError(f"{path} is a damaged or cut-off tar ({e}); fetch or pack it again") from e
