"""Encoded pictures to one array on disk: in parallel, restartable, and with every file accounted for."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from triptych.data import cache, decode, worker
from triptych.data.crew import Crew, Result
from triptych.data.layouts import collection
from triptych.data.listing import Listing, contents, stamp, text_of
from triptych.data.reasons import advice
from triptych.data.source import Preparation, digest
from triptych.errors import UserError
from triptych.preparation import sides
from triptych.progress import Progress
from triptych.system.files import exclusive

VERSION = "2"  # part of the cache key: raise it when the same options make other pixels
NEITHER = "validation, in neither train nor test"
UNREADABLE = 0.5  # share of files that claim to be pictures and are not, above which nothing is made of them


def prepared(path: Path, how: Preparation, name: str, card: Mapping[str, Any]) -> cache.Prepared:
    """The prepared set of a folder, zip or tar, made now or found in the cache.

    A first look goes by names, sizes and times of change; the folder's own name is a digest of the contents, so a
    copied or touched collection of equal content ends up in the same place.
    """
    home = cache.root() / "prepared"
    text, listing = stamp(path)
    mark = digest(text, how.identity(), VERSION)[:20]
    pointer = home / "stamps" / mark

    def known() -> Path | None:
        found = home / pointer.read_text() if pointer.is_file() else None
        return found if found is not None and (found / "about.json").is_file() else None

    if (folder := known()) is None:
        with cache.writing(home):
            pointer.parent.mkdir(parents=True, exist_ok=True)
            with exclusive(home / "locks" / mark):
                if (folder := known()) is None:
                    partial = home / f".{mark}.partial"
                    partial.mkdir(exist_ok=True)
                    try:
                        about = _make(partial, path, listing, how, name, card)
                    except (UserError, OSError):  # nothing to go on with: bad input, or a full disk
                        shutil.rmtree(partial, ignore_errors=True)
                        raise
                    folder = home / f"{cache.plain(name)}-{about['fingerprint'][:20]}"
                    if (folder / "about.json").is_file():
                        _refresh(folder, partial)
                        shutil.rmtree(partial)
                    else:
                        shutil.rmtree(folder, ignore_errors=True)
                        partial.rename(folder)
                    pointer.write_text(folder.name)
                    sys.stderr.write(report(about) + "\n")
    return cache.Prepared(folder)


def _refresh(folder: Path, partial: Path) -> None:
    """The same pictures were kept; the files left aside may be others than before."""
    if (folder / "index.json").read_bytes() != (partial / "index.json").read_bytes():
        for file in ("index.json", "about.json"):
            (partial / file).replace(folder / file)


def report(about: Mapping[str, Any]) -> str:
    """What became of the files, in a line."""
    skipped = sum(about["skipped"].values())
    text = f"{about['name']}: {about['count']:,} of {about['count'] + skipped:,} files prepared"
    if skipped:
        text += f", {skipped:,} skipped (" + ", ".join(f"{n:,} {why}" for why, n in about["skipped"].items()) + ")"
    if about["notes"]:
        text += "; " + ", ".join(f"{n:,} {what}" for what, n in about["notes"].items())
    return text


def _make(
    folder: Path, path: Path, found: Listing | None, how: Preparation, name: str, card: Mapping[str, Any]
) -> dict[str, Any]:
    if (folder / "images.npy").exists():  # killed after its last step
        return json.loads((folder / "about.json").read_text(encoding="utf-8"))
    with Crew(_workers()) as crew:  # they start while the listing is made
        listing = collection(path, found)
        return _fill(folder, listing, crew, how, name, card)


def _fill(
    folder: Path, listing: Listing, crew: Crew, how: Preparation, name: str, card: Mapping[str, Any]
) -> dict[str, Any]:
    if not listing.entries:
        if causes := Counter(why for _, why in listing.skipped):
            raise UserError(f"{listing.path} holds no pictures; {advice(causes)}")
        raise UserError(f"{listing.path} holds no pictures; give a folder or archive with some")
    options = how.plain()
    row = _row(listing, options)
    options |= {"row": row, "header": cache.HEADER, "out": str(folder / "rows.npy")}
    with (folder / "rows.npy").open("ab") as f:
        if f.tell() == 0:
            f.write(cache.header(len(listing.entries), row))
    journal = folder / "journal.jsonl"
    done = _journal(journal, len(listing.entries))
    with (
        Progress(f"preparing {name}", len(listing.entries), len(done), unit="pictures") as bar,
        journal.open("a", encoding="utf-8") as log,
    ):
        for part in crew.run(listing, options, done):
            for _, result in part:
                if result.get("skipped", "").startswith("differs in size"):
                    raise UserError(
                        f"the pictures in {listing.path} differ in size; give the size wanted: --resolution 32"
                    )
            done.update(part)
            log.write(json.dumps(part) + "\n")
            log.flush()
            bar.update(len(done))
    about = _finish(folder, listing, [done[i] for i in range(len(listing.entries))], row, how, name, card)
    journal.unlink(missing_ok=True)
    return about


def _row(listing: Listing, options: dict[str, Any]) -> list[int]:
    """Shape of one prepared picture (c, h, w); settles the options that were left to the source."""
    options["channels"] = options["channels"] or 3
    if size := sides(options["resolution"]):
        return [options["channels"], size[1], size[0]]
    archives: dict[str, zipfile.ZipFile] = {}
    causes: Counter[str] = Counter()
    with warnings.catch_warnings(), contextlib.ExitStack() as opened:
        warnings.simplefilter("ignore")  # what a picture lacks is said in the index
        for i, sent in contents(listing, lambda i: True):
            where = listing.entries[i].where
            try:
                data = sent if where is None else worker.read(where, io.BytesIO(), archives)
                im = decode.shape(decode.decode(data or b"", options.get("range"))[0], options)
            except decode.Unusable as e:
                causes[str(e)] += 1
                continue
            finally:
                for archive in archives.values():
                    opened.enter_context(archive)
            return [options["channels"], im.height, im.width]
    raise UserError(f"{listing.path} holds no readable picture among {causes.total():,} files; {advice(causes)}")


def _workers() -> int:
    """One for every processor that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _journal(path: Path, n: int) -> dict[int, Result]:
    """What an earlier, killed preparation had finished."""
    done: dict[int, Result] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                done.update((i, r) for i, r in json.loads(line) if i < n)
            except ValueError:  # the kill cut this line
                break
    return done


def _finish(
    folder: Path,
    listing: Listing,
    results: list[Result],
    row: list[int],
    how: Preparation,
    name: str,
    card: Mapping[str, Any],
) -> dict[str, Any]:
    """Close the gaps that skipped files left, and write what is known beside the array."""
    entries = listing.entries
    # A caption or a table beside the pictures is left aside, but it is no broken picture.
    kept = [i for i, r in enumerate(results) if "skipped" not in r]
    bad = sum("skipped" in r and e.expected for e, r in zip(entries, results, strict=True))
    causes = Counter(r["skipped"] for e, r in zip(entries, results, strict=True) if "skipped" in r and e.expected)
    if not kept:
        causes = causes or Counter(r["skipped"] for r in results)
        raise UserError(f"{listing.path} holds no readable picture among {len(entries):,} files; {advice(causes)}")
    if bad > UNREADABLE * (bad + len(kept)):
        first = next(e.name for e, r in zip(entries, results, strict=True) if "skipped" in r and e.expected)
        raise UserError(
            f"{bad:,} of {bad + len(kept):,} pictures in {listing.path} are unreadable, {first} the first; "
            + advice(causes)
        )
    if len(kept) < len(entries):
        _gather(folder, kept, row)
    content = digest(
        *(f"{entries[i].name}\0{results[i]['sha256']}\0{entries[i].label}\0{entries[i].side}\n" for i in kept),
        *(f"{entries[i].name}\0{n}\n" for i in kept for n in sorted(decode.CHANGED & set(results[i]["notes"]))),
    )
    hashes = np.array([int(results[i]["sha256"][:16], 16) for i in kept], np.uint64)
    np.save(folder / "hashes.npy", hashes.view(np.int64))
    if listing.classes:
        np.save(folder / "labels.npy", np.array([entries[i].label for i in kept], np.int64))
    if any(entries[i].side is not None for i in kept):
        np.save(folder / "sides.npy", np.array([entries[i].side for i in kept], np.uint8))
    if listing.factors:
        columns: dict[str, Any] = {k: np.array([v[i] for i in kept], np.int64) for k, v in listing.factors.items()}
        np.savez(folder / "factors.npz", **columns)
        content = digest(content, *(f"{k}\0{v.tolist()}\n" for k, v in columns.items()))
    skipped = [(e.name, r["skipped"]) for e, r in zip(entries, results, strict=True) if "skipped" in r]
    skipped += listing.skipped
    about = {
        **card,
        "name": name,
        "source": text_of(str(listing.path)),
        "count": len(kept),
        "shape": row,
        "classes": list(listing.classes),
        "preparation": how.plain(),
        "background": "white",
        "skipped": _counted(why for _, why in skipped),
        "notes": _counted(note for i in kept for note in results[i]["notes"])
        | ({NEITHER: n} if (n := sum(entries[i].side == 2 for i in kept)) else {}),
        "sizes": _sizes([results[i]["size"] for i in kept]),
        "fingerprint": digest(content, *listing.classes, how.identity(), VERSION),
    }
    with (folder / "index.json").open("w", encoding="utf-8") as f:
        text = json.JSONEncoder(ensure_ascii=False).encode
        f.write('{"sources": [\n')
        f.write(",\n".join(text({"name": entries[i].name, "row": at, **results[i]}) for at, i in enumerate(kept)))
        f.write('\n], "skipped": [\n')
        f.write(",\n".join(text({"name": n, "reason": why}) for n, why in skipped))
        f.write("\n]}\n")
    cache.write_json(folder / "about.json", about)
    if len(kept) < len(entries):
        (folder / "images.partial").rename(folder / "images.npy")
        (folder / "rows.npy").unlink()
    else:
        (folder / "rows.npy").rename(folder / "images.npy")
    return about


def _gather(folder: Path, kept: list[int], row: list[int]) -> None:
    """`images.partial` with the kept rows only; the rows themselves stay, in case of a kill."""
    size = int(np.prod(row))
    with (folder / "rows.npy").open("rb") as rows, (folder / "images.partial").open("wb") as out:
        out.write(cache.header(len(kept), row))
        for run in np.split(np.array(kept), np.flatnonzero(np.diff(kept) != 1) + 1):
            rows.seek(cache.HEADER + int(run[0]) * size)
            left = len(run) * size
            while left:
                part = rows.read(min(left, 8 << 20))
                out.write(part)
                left -= len(part)


def _counted(words: Iterator[str]) -> dict[str, int]:
    """How often each reason occurs, most frequent first; what follows a colon is one file's own matter."""
    return dict(Counter(w.partition(":")[0] for w in words).most_common())


def _sizes(sizes: list[list[int]]) -> dict[str, Any]:
    w, h = zip(*sizes, strict=True)
    return {
        "width": [min(w), int(np.median(w)), max(w)],
        "height": [min(h), int(np.median(h)), max(h)],
        "different": len(set(map(tuple, sizes))),
    }
