"""Classes that files beside the pictures name: metadata.csv, metadata.jsonl, dataset.json, `.cls` and `.json` files.

Every format is one reader, from the file's text to (file, class) pairs; what the pairs mean for a listing is the same
for all: pictures without a class are left aside, names without a picture are listed, contradictions refused.
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from triptych.data.prepare.entries import CLASS_FILES, LABELS, Listing
from triptych.errors import UserError

FILES = ("file_name", "filename", "file", "image", "path")
CLASSES = ("label", "labels", "class", "class_name", "category", "target")
Pairs = Iterable[tuple[str, Any]]


class Unfit(Exception):
    """Why a table gives no classes, though it is well formed: the pictures are taken without it."""


def csv_pairs(text: str) -> Iterator[tuple[str, Any]]:
    """Hugging Face's metadata.csv: a column file_name, and one of classes."""
    limit = csv.field_size_limit(1 << 26)
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        yield from _columns(rows, list(rows.fieldnames or []))
    finally:
        csv.field_size_limit(limit)


def jsonl_pairs(text: str) -> Iterator[tuple[str, Any]]:
    """The same as an object of JSON in each line."""
    rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a line is no object {...}")
    yield from _columns(rows, list(dict.fromkeys(key for row in rows for key in row)))


def _columns(rows: Iterable[dict[str, Any]], names: list[str]) -> Iterator[tuple[str, Any]]:
    plain = {name.strip().casefold(): name for name in names if name is not None}
    file = next((plain[f] for f in FILES if f in plain), None)
    kind = next((plain[c] for c in CLASSES if c in plain), None)
    if file is None or kind is None:
        raise Unfit(f"it has no column {'file_name' if file is None else 'label'}")
    for row in rows:
        if isinstance(row.get(file), str):
            yield row[file], row.get(kind)


def stylegan_pairs(text: str) -> Iterator[tuple[str, Any]]:
    """StyleGAN's dataset.json: {"labels": [["00000/img00000000.png", 6], ...]}."""
    value = json.loads(text)
    found = value.get("labels") if isinstance(value, dict) else None
    if found is None:
        raise Unfit("it has no labels")
    if not isinstance(found, list) or not all(
        isinstance(p, list) and len(p) == 2 and isinstance(p[0], str) for p in found
    ):
        raise Unfit("its labels are no pairs of a file and a class")
    yield from ((name, label) for name, label in found)


READERS: dict[str, Callable[[str], Pairs]] = dict(zip(LABELS, (csv_pairs, jsonl_pairs, stylegan_pairs), strict=True))


def labelled(listing: Listing) -> bool:
    """Give the entries the classes that files beside them name; False where there are none such."""
    if not listing.texts:
        return False
    known: dict[str, Any] = {}
    sources: dict[str, None] = {}
    entries = {e.name for e in listing.entries}
    for table, text in sorted(listing.texts.items()):
        base, _, name = table.rpartition("/")
        if (read := READERS.get(name)) is None:
            continue
        try:
            pairs = list(read(text))
            if any(isinstance(label, list | dict) and len(label) != 1 for _, label in pairs):
                raise Unfit("its labels are vectors, and a picture has one class here")
        except Unfit as e:
            listing.notes[f"{name} not used for classes, since {e}"] += len(entries)
            continue
        except (ValueError, RecursionError, csv.Error) as e:
            raise UserError(f"{listing.path}: {table} cannot be read ({e}); mend it or take it away") from e
        sources[name] = None
        for file, label in pairs:
            place = posixpath.normpath(posixpath.join(base, file.replace("\\", "/")))
            if place not in entries:
                listing.skipped.append((place, f"listed in {name} but not there"))
            else:
                _note(listing, known, place, plain(label), table)
    for ending in CLASS_FILES:
        for name, label in _class_files(listing, ending).items():
            sources[f"the {ending} files"] = None
            if ending == CLASS_FILES[0] or name not in known:
                _note(listing, known, name, label, f"its {ending} file")
    if not sources:
        return False
    said = " and ".join(sources)
    if not any(e.name in known for e in listing.entries if e.expected):
        raise UserError(f"{listing.path}: {said} names none of the pictures there; mend the file or take it away")
    listing.keep(lambda e: e.name in known, f"no class in {said}")
    number = numbered({known[e.name] for e in listing.entries})
    listing.classes = tuple(map(str, number))
    for e in listing.entries:
        e.label = number[known[e.name]]
    listing.notes[f"given a class by {said}"] += len(listing.entries)
    return True


def numbered(values: set[Any]) -> dict[Any, int]:
    """A number for each class, in the order of the classes."""
    order = sorted(values) if all(isinstance(v, int) for v in values) else sorted(values, key=str)
    return {value: i for i, value in enumerate(order)}


def _note(listing: Listing, known: dict[str, Any], name: str, label: Any, table: str) -> None:
    if known.get(name) not in (None, label):
        raise UserError(f"{listing.path}: {name} is {known[name]!r} and {label!r} in {table}; keep one of them")
    if label is not None:
        known[name] = label


def plain(label: Any) -> int | str | None:
    """A class as a whole number where it is one, else as text; None where it is empty."""
    if isinstance(label, list):
        (label,) = label
    text = "" if label is None or label != label else str(label).strip()
    # a table with gaps often holds 3.0 for 3; 003 is a name
    return int(text.partition(".")[0]) if re.fullmatch(r"-?(0|[1-9][0-9]{0,15})(\.0+)?", text) else text or None


def class_in(text: str) -> str | None:
    """The class that a file of facts about one picture tells, {"label": 3, ...}; None where it tells none."""
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(facts, dict):
        return None
    label = next((facts[name] for name in (*CLASSES, "cls") if name in facts), None)
    if isinstance(label, list | dict) and not (isinstance(label, list) and len(label) == 1):
        return None
    found = plain(label)
    return None if found is None else str(found)


def _class_files(listing: Listing, ending: str) -> dict[str, Any]:
    """WebDataset: a sample's files share their name up to the first dot of its last part."""
    names = {name for name in listing.texts if name.endswith(ending) and name.rpartition("/")[2] not in READERS}
    classes = {_key(name): name for name in names}
    found, used = {}, set()
    for e in listing.entries if classes else ():
        if (key := _key(e.name)) in classes and e.expected:
            used.add(key)
            found[e.name] = plain(listing.texts[classes[key]])
    lonely = {name for key, name in classes.items() if key not in used}
    listing.skipped = [(n, "a class without a picture" if n in lonely else why) for n, why in listing.skipped]
    return found


def _key(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(".")[0]
