"""A zoo: trained runs, given away as files with checksums, `zoo:NAME`.

An index of the zoo names its entries, and of each every file with its size and SHA-256. An entry is copied into the
cache, checked, and opened there as a run: the same from a folder and from an address.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import triptych
from triptych.errors import UserError, nearest
from triptych.run import json_types, schema
from triptych.system import files
from triptych.system.cache import ADVICE, root
from triptych.system.download import Remote, Unreachable, download, read

PREFIX = "zoo:"
FORMAT = 1
"""Of index.json."""
INDEX = "index.json"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
FILE = re.compile(
    r"(recipe|env|status|eval)\.json|metrics\.jsonl|card\.md|model\.safetensors|samples/\d{9,18}\.(png|webp)"
)
FIXED = ("recipe.json", "env.json", "model.safetensors")
"""Files of a copy that no command changes: they are checked each time."""
LIMIT = 16 << 20
"""Bytes of the largest index."""

NUMBER = json_types.both(
    json_types.record(title=json_types.is_text, value=json_types.is_number),
    json_types.having(
        floor=json_types.optional(json_types.is_number),
        se=json_types.optional(json_types.is_number),
        better=json_types.is_text,
    ),
)
ENTRY = json_types.both(
    json_types.record(
        **dict.fromkeys(("about", "data", "family", "licence", "terms"), json_types.is_text),
        seconds=json_types.is_number,
        numbers=json_types.listed(NUMBER),
        files=json_types.mapped(json_types.record(bytes=json_types.is_count, sha256=json_types.is_text)),
    ),
    json_types.having(format=json_types.is_count, remark=json_types.is_text),
)


def is_address(place: str | Path) -> bool:
    """Whether this is an entry of a zoo and no path."""
    return str(place).startswith(PREFIX)


def is_remote(place: str | Path) -> bool:
    return str(place).startswith(("http://", "https://"))


def home() -> Path | str:
    """Where the zoo is: $TRIPTYCH_ZOO, a folder or an address; else zoo/ of the repository; else the cache."""
    if own := os.environ.get("TRIPTYCH_ZOO"):
        return own.rstrip("/") if is_remote(own) else Path(own).expanduser()
    return next((p for p in own_places() if (p / INDEX).is_file()), cache())


def own_places() -> list[Path]:
    """zoo/ of the repository that this program runs from, and zoo/ where the person stands."""
    repository = Path(triptych.__file__).parents[2]
    places = [repository / "zoo"] if (repository / "pyproject.toml").is_file() else []
    return [*places, Path("zoo")]


def cache() -> Path:
    """Copies of entries, a folder each, named by their checksums; and the newest index that came from an address."""
    return root() / "zoo"


def index(place: Path | str | None = None) -> dict[str, Mapping[str, Any]]:
    """The entries of the zoo by name; those of the last time, with a note, where its address cannot be reached."""
    place = home() if place is None else place
    if isinstance(place, str):
        copy = cache() / INDEX
        try:
            raw = read(f"{place}/{INDEX}", LIMIT)
        except Unreachable as e:
            if not copy.is_file():
                raise
            schema.note(f"{e}: the zoo's index of the last time is taken")
            return read_index(copy)
        found = checked(f"{place}/{INDEX}", parsed(f"{place}/{INDEX}", raw))
        copy.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(copy, raw, ADVICE)
        return found
    if not (place / INDEX).is_file():
        raise UserError(
            f"there is no zoo at {place}; set TRIPTYCH_ZOO to a folder or an address that has an {INDEX}, or make one "
            "by `triptych zoo add RUN NAME`"
        )
    return read_index(place / INDEX)


def read_index(file: Path) -> dict[str, Mapping[str, Any]]:
    """The entries that an index names."""
    return checked(str(file), parsed(str(file), files.read_bytes(file, LIMIT)))


def parsed(where: str, raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as e:
        raise UserError(f"{where} is not valid JSON ({e}); get it again") from e


def checked(where: str, told: Any) -> dict[str, Mapping[str, Any]]:
    """`entries` of an index; UserError for one that is newer, or that cannot be right."""
    fields = {"format": json_types.is_count, "entries": json_types.mapped(json_types.is_object)}
    told = json_types.verified(Path(where), told, fields, tuple(fields), "get it again")
    if told["format"] > FORMAT:
        raise UserError(newer(where, told["format"], FORMAT))
    for name, entry in told["entries"].items():
        if not NAME.fullmatch(name) or not ENTRY(entry) or not all(map(FILE.fullmatch, entry["files"])):
            raise UserError(f"{where} says of {name!r} what cannot be right; get it again")
        if not {"recipe.json", "env.json", "model.safetensors"} <= set(entry["files"]):
            raise UserError(f"{where} has no weights or no recipe of {name!r}; get it again")
    return dict(told["entries"])


def newer(where: str, number: int, known: int) -> str:
    return (
        f"{where} was written by a newer triptych (format {number}; this one knows up to {known}); install the newer "
        "version"
    )


def fetch(address: str) -> Path:
    """The folder, in the cache, of an entry: every file as the index has it.

    UserError for a name that there is not, a file that is another one or gone, and an entry that is newer.
    """
    name = address.removeprefix(PREFIX)
    place = home()
    entries = index(place)
    if name not in entries:
        raise UserError(f"no entry of the zoo is named {name!r}; {nearest(name, entries, '`triptych zoo` lists them')}")
    entry = entries[name]
    if entry.get("format", schema.FORMAT) > schema.FORMAT:
        raise UserError(newer(address, entry["format"], schema.FORMAT))
    told: Mapping[str, Mapping[str, Any]] = entry["files"]
    folder = cache() / hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16] / name
    if not folder.exists():
        with files.making_folder(folder, ADVICE) as part:
            (part / "samples").mkdir()
            for file, facts in told.items():
                bring(place, name, file, facts, part / file)
    for file in FIXED:
        if wrong(folder / file, told[file]):
            raise UserError(f"{folder / file} is not what it was when it came; remove {folder}, and it comes again")
    return folder


def bring(place: Path | str, name: str, file: str, facts: Mapping[str, Any], to: Path) -> None:
    """Copy or fetch one file of an entry; UserError where it is not the one that the index has."""
    if isinstance(place, str):
        download(Remote(f"{place}/{name}/{file}", f"sha256:{facts['sha256']}", size=facts["bytes"]), to)
        return
    source = place / name / file
    if not source.is_file() or source.is_symlink():
        where = "; set TRIPTYCH_ZOO to its address, and it comes from there" if place == cache() else ", get it again"
        raise UserError(f"{source} is not here{where}")
    if wrong(source, facts):
        raise UserError(f"{source} is damaged, or another file: its checksum is not that of {INDEX}; get it again")
    files.write_bytes(to, files.read_bytes(source, facts["bytes"]), ADVICE)


def wrong(path: Path, facts: Mapping[str, Any]) -> bool:
    """Whether a file is not the one with these `bytes` and this `sha256`."""
    if not path.is_file() or path.stat().st_size != facts["bytes"]:
        return True
    return hashlib.sha256(files.read_bytes(path, facts["bytes"])).hexdigest() != facts["sha256"]
