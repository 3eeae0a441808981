"""Archives of pictures from a stranger: slips, bombs, cuts, lies, links."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from hostile.place import Hostile, Place


def png(i: int = 0, side: int = 8) -> bytes:
    """A small sound picture, each `i` another."""
    held = io.BytesIO()
    Image.new("RGB", (side, side), (i * 37 % 256, i * 91 % 256, i % 256)).save(held, "PNG")
    return held.getvalue()


def tar_bytes(n: int = 12, fmt: int = tarfile.PAX_FORMAT) -> bytes:
    """A sound tar of n pictures."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=fmt) as t:
        for i in range(n):
            add(t, f"pics/{i}.png", png(i))
    return held.getvalue()


def add(t: tarfile.TarFile, name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content)
    t.addfile(info, io.BytesIO(content))


def header(name: bytes, size: int, kind: bytes) -> bytes:
    """A tar header that may lie about the size of what follows."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[124:136] = (
        b"%011o\0" % size if 0 <= size < 8**11 else b"\x80" + size.to_bytes(11, "big") if size >= 0 else b"\xff" * 12
    )
    block[136:148] = b"00000000000\0"
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def sparse(path: Path, start: bytes, size: int) -> None:
    """A file of `size` bytes that begins with `start` and takes no room on the disk."""
    with path.open("wb") as f:
        f.write(start)
        f.truncate(size)


def gz_zeros(start: bytes, size: int) -> bytes:
    """`start` and `size` zeros, in gzip."""
    return gzip.compress(start + b"\0" * size, 1)


def tried(kind: str, name: str, file: str, write: Callable[[Path, Place], object], incomplete: bool = False) -> Hostile:
    """`write` makes the file; the command prepares it at 8 pixels."""

    def build(place: Place) -> Sequence[str]:
        write(place.here / file, place)
        return ["data", "prepare", str(place.here / file), "--resolution", "8"]

    return Hostile(kind, name, build, incomplete)


def tars() -> list[Hostile]:
    """Cut anywhere, endless names, members that lead outside."""
    found = []
    whole, rng = tar_bytes(), random.Random(1)
    end = len(whole.rstrip(b"\0")) // 512 * 512 + 512  # of the last member
    cuts = sorted({1, 100, 511, 512, 513, 700, len(whole) - 1025, *(rng.randrange(len(whole)) for _ in range(25))})
    for at in cuts:
        found.append(
            tried("tars cut off", f"at byte {at}", "x.tar", lambda p, _, at=at: p.write_bytes(whole[:at]), at < end)
        )
    packed = gzip.compress(whole, mtime=0)
    for at in (1, 9, 10, 40, len(packed) // 2, len(packed) - 9, len(packed) - 1):
        found.append(
            tried("tars cut off", f"gz at {at}", "x.tar.gz", lambda p, _, at=at: p.write_bytes(packed[:at]), True)
        )
    for _ in range(10):
        at = rng.randrange(len(packed))
        flipped = packed[:at] + bytes([packed[at] ^ 4]) + packed[at + 1 :]
        found.append(tried("tars damaged", f"gz byte {at}", "x.tgz", lambda p, _, b=flipped: p.write_bytes(b)))
    for _ in range(10):
        at = rng.randrange(2048)
        flipped = whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :]
        found.append(tried("tars damaged", f"byte {at}", "x.tar", lambda p, _, b=flipped: p.write_bytes(b)))

    big = 3 << 30
    for what, kind in (("long name", b"L"), ("long link", b"K"), ("pax header", b"x"), ("global pax header", b"g")):
        start = header(b"././@LongLink", big, kind)
        found.append(tried("tar bombs", f"{what} of 3 GB", "x.tar", lambda p, _, s=start: sparse(p, s, big + 8192)))
        lie = header(b"././@LongLink", -1, kind) + whole
        found.append(tried("tar bombs", f"{what} of a negative size", "x.tar", lambda p, _, b=lie: p.write_bytes(b)))
    member = header(b"x.png", big, b"0")
    found.append(tried("tar bombs", "a picture of 3 GB", "x.tar", lambda p, _: sparse(p, member, big + 8192)))
    found.append(
        tried(
            "tar bombs", "a picture of 2^90", "x.tar", lambda p, _: p.write_bytes(header(b"x.png", 2**80, b"0") + whole)
        )
    )
    gnu_sparse = header(b"x.png", 512, b"S")
    found.append(tried("tar bombs", "a sparse member", "x.tar", lambda p, _: p.write_bytes(gnu_sparse + whole)))
    long_name = header(b"././@LongLink", 1 << 28, b"L")
    found.append(
        tried("tar bombs", "a long name in gz", "x.tar.gz", lambda p, _: p.write_bytes(gz_zeros(long_name, 1 << 28)))
    )
    found.append(
        tried("tar bombs", "bz2 of nothing", "x.tar.bz2", lambda p, _: p.write_bytes(bz2.compress(b"\0" * 10**8)))
    )

    def many_keys(path: Path, _: Place) -> None:
        pax = b"".join(b"%d k%06d=%s\n" % (32, i, b"v" * 20) for i in range(100_000))
        path.write_bytes(header(b"pax", len(pax), b"x") + pax + b"\0" * (-len(pax) % 512) + whole)

    found.append(tried("tar bombs", "100,000 pax keys", "x.tar", many_keys))
    for text in (
        b"9 size=9\n",
        b"13 size=-100\n",
        b"20 size=99999999999\n",
        b"0 size=1\n",
        b"99999999999999 a=b\n",
        b"5 a\n",
    ):
        odd = header(b"pax", len(text), b"x") + text + b"\0" * (-len(text) % 512) + whole
        found.append(tried("tar bombs", f"pax {text!r}", "x.tar", lambda p, _, b=odd: p.write_bytes(b)))

    def with_member(**how: object) -> Callable[[Path, Place], object]:
        def write(path: Path, place: Place) -> None:
            with tarfile.open(path, "w") as t:
                for i in range(3):
                    add(t, f"{i}.png", png(i))
                full = {k: v.format(outside=place.outside) if isinstance(v, str) else v for k, v in how.items()}
                add(t, **full)  # type: ignore[arg-type]
                add(t, str(how["name"]).format(outside=place.outside) + "/inner.png", png(9))

        return write

    for name in (
        "../../outside/new.png",
        "{outside}/new.png",
        "a/../../../outside/new.png",
        "..\\..\\outside\\new.png",
    ):
        found.append(tried("tars that lead outside", name, "x.tar", with_member(name=name, content=png(7))))
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        for link in ("{outside}/precious.txt", "../outside", "x.png", "/dev/zero", "/etc/passwd"):
            how = with_member(name="x.png", kind=kind, link=link)
            found.append(tried("tars that lead outside", f"link {kind!r} {link}", "x.tar", how))
    for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, b"V", b"M", b"\xff"):
        found.append(
            tried("tars that lead outside", f"member of kind {kind!r}", "x.tar", with_member(name="y.png", kind=kind))
        )
    return found


def zips() -> list[Hostile]:
    """Slips, bombs, encrypted, nested, sizes that lie."""
    found = []

    def of(members: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w", how) as z:
            for name, content in members.items():
                z.writestr(name, content)
        return held.getvalue()

    sound = {f"{i}.png": png(i) for i in range(4)}

    def zipped(kind: str, name: str, blob: bytes) -> None:
        found.append(tried(kind, name, "x.zip", lambda p, _: p.write_bytes(blob)))

    for name in ("../../outside/new.png", "/new.png", "a/../../../outside/new.png", "C:\\new.png", "..\\..\\new.png"):
        zipped("zips that lead outside", repr(name), of({**sound, name: png(7)}))

    def bomb(name: str, make: Callable[[], dict[str, bytes]], how: int = zipfile.ZIP_DEFLATED) -> None:
        found.append(tried("zip bombs", name, "x.zip", lambda p, _: p.write_bytes(of({**sound, **make()}, how))))

    bomb("a picture of 256 MB of zeros", lambda: {"z.png": b"\0" * (1 << 28)})
    bomb("a picture and 256 MB of zeros", lambda: {"z.png": png(5) + b"\0" * (1 << 28)})
    bomb("three of 256 MB", lambda: {f"z{i}.png": b"\0" * (1 << 28) for i in range(3)})
    bomb("100,000 names", lambda: {f"{i}.txt": b"" for i in range(100_000)}, zipfile.ZIP_STORED)
    bomb("100,000 pictures", lambda: {f"z/{i}.png": b"" for i in range(100_000)}, zipfile.ZIP_STORED)
    nested = of(sound)
    for _ in range(20):
        nested = of({"inner.zip": nested})
    zipped("nested zips", "20 deep", nested)
    zipped("nested zips", "a zip named png", of({"x.png": of(sound)}))
    zipped("nested zips", "a tar in a zip", of({"x.tar": tar_bytes()}))
    blob = of(sound)
    encrypted = bytearray(blob)
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        i = -1
        while (i := encrypted.find(mark, i + 1)) >= 0:
            encrypted[i + at] |= 1
    zipped("zips that lie", "encrypted", bytes(encrypted))
    half = bytearray(blob)
    half[6] |= 1
    zipped("zips that lie", "encrypted by one header only", bytes(half))
    renamed = bytearray(blob)
    renamed[30:35] = b"z.png"
    zipped("zips that lie", "another name in the header", bytes(renamed))
    for what, at, value in (
        ("stored size", 20, 2**32 - 2),
        ("size", 24, 2**32 - 2),
        ("size 0", 24, 0),
        ("method", 10, 0x00630063),
        ("offset", 42, 2**31),
        ("name length", 28, 0xFFFF),
        ("extra length", 30, 0xFFFF),
    ):
        lying = bytearray(blob)
        i = lying.find(b"PK\x01\x02")
        width = "<H" if at in (10, 28, 30) else "<I"
        struct.pack_into(width, lying, i + at, value & (0xFFFF if width == "<H" else 0xFFFFFFFF))
        zipped("zips that lie", what, bytes(lying))
    rng = random.Random(2)
    for at in sorted({0, 1, 30, len(blob) - 22, len(blob) - 1, *(rng.randrange(len(blob)) for _ in range(12))}):
        zipped("zips damaged", f"cut at {at}", blob[:at])
    for _ in range(16):
        at = rng.randrange(len(blob))
        zipped("zips damaged", f"byte {at}", blob[:at] + bytes([blob[at] ^ 1 << rng.randrange(8)]) + blob[at + 1 :])
    overlap = bytearray(of({f"{i}.png": b"\0" * 10**7 for i in range(2)}))
    second = overlap.find(b"PK\x01\x02", overlap.find(b"PK\x01\x02") + 1)
    struct.pack_into("<I", overlap, second + 42, 0)
    zipped("zips that lie", "two members at one place", bytes(overlap))
    link = zipfile.ZipInfo("link.png")
    link.external_attr = 0o120777 << 16
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as z:
        z.writestr("a.png", png())
        z.writestr(link, "/etc/passwd")
    zipped("zips that lead outside", "a link", held.getvalue())
    return found


def folders() -> list[Hostile]:
    """Folders with pipes, devices, links outside, loops and names that are not text."""
    found = []

    def folder(name: str, fill: Callable[[Path, Place], object]) -> None:
        def build(place: Place) -> Sequence[str]:
            target = place.here / "pics"
            target.mkdir()
            for i in range(4):
                (target / f"{i}.png").write_bytes(png(i))
            fill(target, place)
            return ["data", "prepare", str(target), "--resolution", "8"]

        found.append(Hostile("folders of pictures", name, build))

    folder("a pipe", lambda t, _: os.mkfifo(t / "x.png"))
    folder("a link to zeros", lambda t, _: (t / "x.png").symlink_to("/dev/zero"))
    folder("a link to random bytes", lambda t, _: (t / "x.png").symlink_to("/dev/urandom"))
    folder("a link to a terminal", lambda t, _: (t / "x.png").symlink_to("/dev/tty"))
    folder("a loop", lambda t, _: (t / "loop").symlink_to(t))
    folder("a link to the root", lambda t, _: (t / "all.png").symlink_to("/"))
    folder("a link to itself", lambda t, _: (t / "x.png").symlink_to("x.png"))
    folder("an escape in a name", lambda t, _: (t / "\x1b[31mred[bold].png").write_bytes(b"x"))
    folder("a line end in a name", lambda t, _: (t / "a\nerror: b.png").write_bytes(b"x"))
    folder("bytes for a name", lambda t, _: Path(os.fsdecode(bytes(t) + b"/\xe9\xff.png")).write_bytes(png(8)))
    folder("a name of 255 bytes", lambda t, _: (t / ("x" * 251 + ".png")).write_bytes(png(8)))
    folder("names of formulas", lambda t, _: (t / "=cmd|' C'!A0.png").write_bytes(png(8)))

    def deep(target: Path, _: Place) -> None:
        for i in range(300):
            target = target / f"d{i}"
            target.mkdir()
        (target / "x.png").write_bytes(png(3))

    folder("300 folders deep", deep)
    for device in ("/dev/zero", "/dev/null", "/dev/full", "/proc/self/mem"):
        found.append(
            Hostile("devices as data", device, lambda _, d=device: ["data", "prepare", d, "--resolution", "8"])
        )
        found.append(Hostile("devices as data", f"info {device}", lambda _, d=device: ["data", "info", d]))
    for suffix in (".zip", ".tar", ".tar.gz", ".npy", ".npz", ".csv", ".yaml", ""):

        def pipe(place: Place, suffix: str = suffix) -> Sequence[str]:
            os.mkfifo(place.here / f"pipe{suffix}")
            if suffix == ".yaml":
                return ["study", str(place.here / "pipe.yaml"), "--out", str(place.out / "s")]
            return ["data", "info", str(place.here / f"pipe{suffix}")]

        found.append(Hostile("devices as data", f"a pipe named *{suffix}", pipe))

        def zero(place: Place, suffix: str = suffix) -> Sequence[str]:
            link = place.here / f"zero{suffix}"
            link.symlink_to("/dev/zero")
            return ["study", str(link)] if suffix == ".yaml" else ["data", "info", str(link)]

        found.append(Hostile("devices as data", f"zeros named *{suffix}", zero))
    return found
