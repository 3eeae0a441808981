"""What the names and tables of a collection say: classes, splits and attributes."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path, PurePosixPath

from triptych.data.prepare.archives import TARS
from triptych.data.prepare.entries import CUB, Entry, Listing
from triptych.data.prepare.labels import labelled
from triptych.data.prepare.listing import candidates, refuse_others
from triptych.data.prepare.parquet import ENDING
from triptych.errors import UserError

RESERVED = re.compile(r"con|prn|aux|nul|com\d|lpt\d", re.IGNORECASE)  # devices on Windows, with any ending
VALIDATION = ("val", "valid", "validation")


def collection(path: Path, folder: Listing | None = None) -> Listing:
    """The pictures of a folder, zip or tar, as the first layout that fits understands them.

    `folder` is the bare listing of a folder where that is at hand.
    """
    listing = candidates(path, folder)
    refuse_others(listing)
    if all(listing.text(name) is not None for name in CUB):
        cub(listing)
    elif listing.text(*PARTITION) is not None or listing.text(*ATTRIBUTES) is not None:
        celeba(listing)
    else:
        folders(listing)
    return listing


def cub(listing: Listing) -> None:
    """CUB-200-2011: tables from picture number to file, class and side. Pictures come in the order of images.txt.

    The official tables count from 1, separate by a blank and mark train by 1. A teaching subset counts from 0,
    separates by ", " and marks train by 0, whatever its column is called: its README counts 2,999 train pictures,
    which is the number of zeros, and the zeros are 30 in nearly every class, as the official train pictures are.
    """
    images, labels, classes, sides = (_table(listing, name) for name in CUB)
    trained = "0" if "," in (listing.text(CUB[3]) or "") else "1"
    number = {c: i for i, c in enumerate(sorted(classes, key=int))}
    listing.classes = tuple(re.sub(r"^\d+\.", "", classes[c]) for c in sorted(classes, key=int))
    by_name = {_tail(e.name): e for e in listing.entries if "/images/" in f"/{e.name}"}
    ordered = []
    for i in sorted(images, key=int):
        if (entry := by_name.get(images[i])) is None:
            listing.skipped.append((images[i], "listed in images.txt but not there"))
            continue
        if labels.get(i) not in number or sides.get(i) not in ("0", "1"):
            raise UserError(f"{listing.path}: picture {i} has no class or side in the tables; fetch the set again")
        entry.label, entry.side = number[labels[i]], int(sides[i] != trained)
        ordered.append(entry)
    known = {id(e) for e in ordered}
    listing.keep(lambda e: id(e) in known, "not listed in images.txt")
    listing.entries = ordered


PARTITION = ("list_eval_partition.txt", "list_eval_partition.csv")
ATTRIBUTES = ("list_attr_celeba.txt", "list_attr_celeba.csv")


def celeba(listing: Listing) -> None:
    """CelebA: sides 0 train, 1 validation, 2 test, and forty attributes of -1 or 1, where the tables are there.

    The tables are the authors' (.txt) or Kaggle's (.csv). They name pictures .jpg, which may have been saved as
    something else since. Validation pictures are in neither split, only in `all`.
    """
    first: dict[str, Entry] = {}
    for e in listing.entries:
        if e.expected:
            first.setdefault(_number(e.name), e)
    listing.keep(lambda e: not e.expected or first[_number(e.name)] is e, "a second picture of the same number")
    if (partition := listing.text(*PARTITION)) is not None:
        _, sides = _faces(listing, partition, PARTITION[0])
        code = {"0": 0, "1": 2, "2": 1}
        listing.keep(lambda e: _number(e.name) in sides, "not in the table of splits")
        for e in listing.entries:
            side = sides[_number(e.name)][0]
            if side not in code:
                raise UserError(f"{listing.path}: the table of splits has the side {side!r}; fetch it again")
            e.side = code[side]
    if (attributes := listing.text(*ATTRIBUTES)) is not None:
        names, rows = _faces(listing, attributes, ATTRIBUTES[0])
        listing.keep(lambda e: _number(e.name) in rows, "not in the table of attributes")
        for column, attribute in enumerate(names):
            try:
                values = [int(rows[_number(e.name)][column]) for e in listing.entries]
            except (ValueError, IndexError) as e:
                raise UserError(f"{listing.path}: the table of attributes is damaged ({e}); fetch it again") from e
            listing.factors[attribute] = [int(v > 0) for v in values]
    if not listing.entries:
        raise UserError(f"{listing.path}: the tables of CelebA name none of the pictures there; fetch the set again")


def _number(name: str) -> str:
    return PurePosixPath(name).stem


def _faces(listing: Listing, text: str, table: str) -> tuple[list[str], dict[str, list[str]]]:
    """Names of the columns, if there are any, and the cells of every picture, by its number."""
    names: list[str] = []
    rows: dict[str, list[str]] = {}
    for line in text.splitlines():
        cells = [c.strip() for c in line.split(",")] if "," in line else line.split()
        if re.search(r"\.\w+$", cells[0]) if cells else False:
            if len(cells) < 2:
                raise UserError(f"{listing.path}: {table} has a line without a value; fetch the set again")
            rows[_number(cells[0])] = cells[1:]
        elif not rows and cells and not line.strip().isdigit():
            # above the pictures: in the authors' tables the names alone, in Kaggle's behind "image_id"
            names = cells[1:] if "," in line else cells
    return names, rows


def folders(listing: Listing) -> None:
    """One class per sub-folder; a split where the folders are `train` and `test`, or a validation part, only.

    Files of labels beside the pictures take the place of the folders' names as classes.
    """
    parts = _parts(listing)
    pictures = [e for e in listing.entries if e.expected]
    used = {e.folder for e in pictures}
    strip = _wrapping([parts[folder] for folder in used])
    wrap: tuple[str, ...] = parts[pictures[0].folder][:strip] if pictures else ()
    rest: dict[str, tuple[str, ...]] = {folder: p[strip:] if p[:strip] == wrap else () for folder, p in parts.items()}

    def tops() -> set[str]:
        return {rest[folder][0] if rest[folder] else "" for folder in used}

    if sides := _sides(tops()):
        listing.keep(lambda e: bool(rest[e.folder]) and rest[e.folder][0] in sides, "in no split's folder")
        for e in listing.entries:
            e.side = sides[rest[e.folder][0]]
        rest = {folder: p[1:] for folder, p in rest.items()}
    if listing.classes:  # a column of the table
        listing.keep(lambda e: e.label >= 0, "no class in the table")
        return
    if labelled(listing):
        _refuse_duplicates(listing.path, list(listing.classes))
        return
    outside = sum(not rest[e.folder] for e in pictures)
    if outside or not pictures:
        if any(rest[e.folder] and PurePosixPath(e.name).suffix for e in pictures):  # a lock, say, has no ending
            listing.notes["in no sub-folder, so that sub-folders are not classes"] += outside
        return
    classes = sorted(tops())
    _refuse_duplicates(listing.path, classes)
    number = {c: i for i, c in enumerate(classes)}
    for e in listing.entries:
        e.label = number.get(rest[e.folder][0], -1) if rest[e.folder] else -1
    listing.keep(lambda e: e.label >= 0, "in no class folder")
    listing.classes = tuple(classes)


def _parts(listing: Listing) -> dict[str, tuple[str, ...]]:
    """The folders that lead to each folder with an entry, and itself: few, where there are millions of entries.

    In a folder of tars or Parquet files a file's own name is no folder of theirs: it stands for a split where each of
    them says one (`train-0000.tar`), else for nothing.
    """
    folders = {e.folder for e in listing.entries}
    parts = {folder: tuple(part for part in folder.split("/") if part not in ("", ".")) for folder in folders}
    if not listing.shards:
        return parts
    at = {
        name: next(i for i, part in enumerate(p) if part.lower().endswith((*TARS, ENDING))) for name, p in parts.items()
    }
    tars = {parts[name][i] for name, i in at.items()}
    kinds = ("train", "test", *VALIDATION)
    splits = {tar: [word for word in re.split(r"[^a-z]+", tar.lower()) if word in kinds] for tar in tars}
    said = all(len(words) == 1 for words in splits.values())
    return {
        name: (*p[: at[name]], *(splits[p[at[name]]] if said else ()), *p[at[name] + 1 :]) for name, p in parts.items()
    }


def _sides(tops: set[str]) -> dict[str, int]:
    """The side of each top folder where they are a split, in any case; else nothing.

    Validation stands for the test side where there is none, else it is in neither, as CelebA's is.
    """
    kinds = {top: "val" if top.lower() in VALIDATION else top.lower() for top in tops}
    found = set(kinds.values())
    if len(found) < len(tops) or found not in ({"train", "test"}, {"train", "val"}, {"train", "val", "test"}):
        return {}
    code = {"train": 0, "test": 1, "val": 2 if "test" in found else 1}
    return {top: code[kind] for top, kind in kinds.items()}


def _wrapping(folders: list[tuple[str, ...]]) -> int:
    """How many leading folders all share."""
    depth = 0
    while folders and all(len(f) > depth for f in folders) and len({f[depth] for f in folders}) == 1:
        depth += 1
    return depth


def _refuse_duplicates(path: Path, classes: list[str]) -> None:
    """Classes that some systems, or people, cannot tell apart."""
    known: dict[str, str] = {}
    for c in classes:
        plain = unicodedata.normalize("NFKC", c).casefold().strip()
        if plain in known:
            raise UserError(f"{path} has two classes of the same name, {known[plain]!r} and {c!r}; rename or merge one")
        known[plain] = c


def _tail(name: str) -> str:
    """What follows the last `images/`."""
    return f"/{name}".rpartition("/images/")[2]


def _table(listing: Listing, name: str) -> dict[str, str]:
    lines = (listing.text(name) or "").splitlines()
    rows = (re.match(r"\s*(\d+)[,\s]\s*(.*?)\s*$", line) for line in lines if line.strip())
    table = {}
    for row in rows:
        if row is None:
            raise UserError(f"{listing.path}: {name} has a line that is not a number and a value; fetch the set again")
        table[row[1]] = row[2]
    return table


def safe_names(classes: tuple[str, ...]) -> list[str]:
    """Folder names for classes: distinct on every system, in the order of the classes when sorted."""
    plain = [re.sub(r"[^\w .-]", "_", c)[:60].strip(" .") or "_" for c in classes]
    plain = [f"{p}_" if RESERVED.fullmatch(p.partition(".")[0]) else p for p in plain]
    folded = [p.casefold() for p in plain]
    if len(set(folded)) == len(plain) and plain == sorted(plain):
        return plain
    width = len(str(max(len(plain) - 1, 0)))
    return [f"{i:0{width}d}-{p}" for i, p in enumerate(plain)]
