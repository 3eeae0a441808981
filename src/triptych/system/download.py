"""Fetching files: into the cache, checked, resumed where they stopped, and never half there."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from triptych.errors import UserError
from triptych.system.cache import ADVICE, root
from triptych.system.files import read_text, write_text
from triptych.system.locks import exclusive
from triptych.system.notices import say
from triptych.system.progress import Progress
from triptych.system.refusals import system_errors

CHUNK = 1 << 18
MB = 1_000_000
PATIENCE = 20.0  # seconds without a byte before a connection is given up
TRIES = 4


@dataclass(frozen=True)
class Remote:
    """A file on a server. `size` in bytes where known.

    `checksum` is `md5:HEX` or `sha256:HEX`, or how it begins; empty where none is published. Unless it is a whole
    SHA-256, the file is trusted on first use: its own is written down beside it, said, and compared from then on.
    """

    url: str
    checksum: str = ""
    name: str = ""
    size: int | None = None

    @property
    def file(self) -> str:
        return self.name or PurePosixPath(urlsplit(self.url).path).name


class Failed(Exception):
    """One try failed; another may not."""


class Unreachable(UserError):
    """A server does not answer: what came from it before may serve."""


def read(url: str, limit: int, patience: float = PATIENCE) -> bytes:
    """The bytes of a small file on a server; Unreachable where nobody answers, UserError where it is not there."""
    request = urllib.request.Request(url, headers={"User-Agent": "triptych"})
    try:
        with urllib.request.urlopen(request, timeout=patience) as reply:
            raw = reply.read(limit + 1)
    except urllib.error.HTTPError as e:
        e.close()
        kind = UserError if e.code < 500 else Unreachable
        raise kind(f"{url} could not be read (HTTP {e.code}); check the address") from e
    except (urllib.error.URLError, http.client.HTTPException, OSError) as e:
        raise Unreachable(f"{url} could not be read ({getattr(e, 'reason', '') or e}); check the network") from e
    except ValueError as e:  # a port that is no number, a host with a space
        raise UserError(f"{url!r} is no address ({e}); check it") from e
    if len(raw) > limit:
        raise UserError(f"{url} has more than {limit:,} bytes; check the address")
    return raw


def fetch(name: str, remotes: tuple[Remote, ...]) -> Path:
    """The folder `downloads/NAME` of the cache with all the files, fetched where missing."""
    home = root() / "downloads" / name
    with system_errors(home, ADVICE):
        home.mkdir(parents=True, exist_ok=True)
        with exclusive(home / ".lock"):
            for remote in remotes:
                if not (home / remote.file).is_file():
                    download(remote, home / remote.file)
    return home


def download(remote: Remote, to: Path, patience: float = PATIENCE, pause: float = 1.0, tries: int = TRIES) -> None:
    """Fetch one file: under `to` when its checksum is right, nothing otherwise.

    A broken connection goes on where it stopped (the part is kept for the next call too); a wrong checksum starts
    afresh once. UserError after `tries` failures, at once where the server says that the file is not there.
    """
    part = to.with_name(to.name + ".part")
    corrupt = False
    for attempt in range(tries):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            _transfer(remote, part, patience)
        except Failed as e:
            reason = str(e)
            continue
        if not remote.checksum or _checksum(part, remote.checksum).startswith(remote.checksum):
            trust(part, to, remote)
            part.replace(to)
            return
        part.unlink()
        reason = "the checksum of what came is wrong"
        if corrupt:
            break
        corrupt = True
    raise UserError(f"{remote.url} could not be fetched ({reason}); {by_hand(remote, to)}")


def by_hand(remote: Remote, to: Path) -> str:
    return f"try again later, or put the file at {to} yourself"


def _transfer(remote: Remote, part: Path, patience: float) -> None:
    """Append what is missing of the file to `part`; Failed where that stopped early."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(remote.url, headers={"User-Agent": "triptych"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=patience) as reply:
            if have and reply.status != 206:  # the server sends all of it again
                have = 0
            length = reply.headers.get("Content-Length")
            total = have + int(length) if length and length.isdigit() else remote.size
            bar = Progress(remote.file, (total or 0) // MB, have // MB, shown=total is not None, unit="MB")
            with part.open("ab" if have else "wb") as f, bar:
                while chunk := reply.read(CHUNK):
                    f.write(chunk)
                    have += len(chunk)
                    bar.update(have // MB)
                    if remote.size is not None and have > remote.size:
                        break
            if total is not None and have < total:
                raise Failed(f"the connection ended after {have:,} of {total:,} bytes")
    except urllib.error.HTTPError as e:
        e.close()
        if e.code == 416:  # nothing is missing, or the file changed: the checksum tells
            return
        if e.code in (401, 403, 404, 410):
            raise UserError(
                f"{remote.url} is not there (HTTP {e.code}); {by_hand(remote, part.with_suffix(''))}"
            ) from e
        raise Failed(f"HTTP {e.code}") from e
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as e:
        raise Failed(str(getattr(e, "reason", "") or e or type(e).__name__)) from e


def _checksum(path: Path, like: str) -> str:
    kind = like.partition(":")[0]
    with path.open("rb") as f:
        return f"{kind}:{hashlib.file_digest(f, kind).hexdigest()}"


def trust(part: Path, to: Path, remote: Remote) -> None:
    """Write down the SHA-256 of a file that came, unless it was known before; UserError where it is another one."""
    if len(remote.checksum) == len("sha256:") + 64:
        return
    own, kept = _checksum(part, "sha256:"), _kept(to)
    if kept is None:
        write_text(_note(to), own + "\n", "set TRIPTYCH_CACHE to a folder that can")
        say(f"{to.name}: no full checksum is published; trusted on first use as {own[:23]}..., kept in {_note(to)}")
    elif kept != own:
        part.unlink()
        raise UserError(
            f"{remote.url} is another file than the one first fetched ({kept[:23]}...); "
            f"if that is meant, remove {_note(to)}"
        )


def check_trusted(path: Path) -> None:
    """UserError where a fetched file is no more what it was when it came."""
    if (kept := _kept(path)) is not None and _checksum(path, "sha256:") != kept:
        raise UserError(f"{path} has changed since it was fetched (its SHA-256 differs); remove it and fetch it again")


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _kept(path: Path) -> str | None:
    """The SHA-256 written down when a file was first fetched."""
    note = _note(path)
    text = read_text(note, 1 << 10).strip() if note.is_file() else ""
    return text if text.startswith("sha256:") else None
