"""Encoded pictures to one array on disk: in parallel, restartable, and with every file accounted for."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import itertools
import json
import os
import shutil
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from triptych.core.preparation import Preparation, sides
from triptych.data.prepare import decode, reshaped, shards, worker
from triptych.data.prepare import prepared as cache
from triptych.data.prepare.entries import Listing
from triptych.data.prepare.layouts import collection
from triptych.data.prepare.listing import contents, stamp, text_of
from triptych.data.prepare.reasons import advice
from triptych.data.prepare.results import Result, Results
from triptych.data.prepare.workers import WorkerPool
from triptych.data.source import digest
from triptych.errors import UserError
from triptych.system.cache import ADVICE, plain, root
from triptych.system.console import printable, say
from triptych.system.files import (
    json_text,
    read_object,
    read_text,
    sweep,
    sync_folder,
    write_bytes,
    write_json,
    write_text,
    writing,
)
from triptych.system.locks import exclusive
from triptych.system.progress import Progress
from triptych.system.refusals import system_errors

VERSION = "2"  # part of the cache key: raise it when the same options make other pixels
LISTING = "2"  # raise it when the same files are listed otherwise: it is looked again, and equal pictures stay equal
NEITHER = "validation, in neither train nor test"
ALONE = "the only picture of its class"
UNREADABLE = 0.5  # share of files that claim to be pictures and are not, above which nothing is made of them


def prepared(path: Path, how: Preparation, name: str, card: Mapping[str, Any]) -> cache.Prepared:
    """The prepared set of a folder, zip or tar, made now or found in the cache.

    A first look goes by names, sizes and times of change; the folder's own name is a digest of the contents, so a
    copied or touched collection of equal content ends up in the same place.
    """
    home = root() / "prepared"
    text, listing = stamp(path)
    mark = digest(text, how.identity(), VERSION, LISTING)[:20]
    pointer = home / "stamps" / mark

    if (asked := shards.asked()) is not None:
        if _known(home, pointer) is not None:
            raise shards.Finished(f"{name}: prepared already, the whole of it")
        shard, workers = asked
        with system_errors(home, ADVICE):
            _make_shard(shard, shard.folder(home, mark), path, listing, how, name, workers or _workers())
    if (folder := _known(home, pointer)) is None:
        with system_errors(home, ADVICE):
            pointer.parent.mkdir(parents=True, exist_ok=True)
            cache.sweep_unfinished(home, but=f".{mark}.partial")
            with exclusive(home / "locks" / mark):
                if (folder := _known(home, pointer)) is None:
                    partial = home / f".{mark}.partial"
                    partial.mkdir(exist_ok=True)
                    sweep(partial)
                    try:
                        shards.gather(home, mark, partial, name)
                        about = _make(partial, path, listing, how, name, card)
                    except (UserError, OSError):  # nothing to go on with: bad input, or a full disk
                        shutil.rmtree(partial, ignore_errors=True)
                        raise
                    folder = home / f"{plain(name)}-{about['fingerprint'][:20]}"
                    if (folder / "about.json").is_file():
                        _refresh(folder, partial)
                        shutil.rmtree(partial)
                    else:
                        shutil.rmtree(folder, ignore_errors=True)
                        partial.rename(folder)
                        sync_folder(home)
                    write_text(pointer, folder.name, ADVICE)
                    shards.clear(home, mark)
                    told(report(about))
    return cache.Prepared(folder)


def _known(home: Path, pointer: Path) -> Path | None:
    """The prepared folder that a pointer file names, if both are there."""
    with contextlib.suppress(OSError, UserError, ValueError):
        name = read_text(pointer, 4096).strip()
        if Path(name).name == name and (home / name / "about.json").is_file():
            return home / name
    return None


def _refresh(folder: Path, partial: Path) -> None:
    """The same pictures were kept; the files left aside may be others than before."""
    for file in (cache.INDEX, "about.json"):
        content = (partial / file).read_bytes()
        if not (folder / file).exists() or (folder / file).read_bytes() != content:
            write_bytes(folder / file, content, ADVICE)


@functools.cache
def told(line: str) -> None:
    """Say a line on standard error, once: a set is prepared in several forms, and its files are the same in each."""
    say(line, stderr=True)


def report(about: Mapping[str, Any]) -> str:
    """What became of the files, in a line."""
    skipped = sum(about["skipped"].values())
    text = f"{about['name']}: {about['count']:,} of {about['count'] + skipped:,} files prepared"
    if skipped:
        text += f", {skipped:,} skipped (" + ", ".join(f"{n:,} {why}" for why, n in about["skipped"].items()) + ")"
    if about["notes"]:
        text += "; " + ", ".join(f"{n:,} {what}" for what, n in about["notes"].items())
    return printable(text)


def _make(
    folder: Path, path: Path, found: Listing | None, how: Preparation, name: str, card: Mapping[str, Any]
) -> dict[str, Any]:
    if (folder / "images.npy").exists() and (folder / "about.json").exists():  # killed after its last step
        return _closed(folder)
    with WorkerPool(_workers()) as pool:  # they start while the listing is made
        listing = collection(path, found)
        return _fill(folder, listing, pool, how, name, card)


def _fill(
    folder: Path, listing: Listing, pool: WorkerPool, how: Preparation, name: str, card: Mapping[str, Any]
) -> dict[str, Any]:
    if not listing.entries:
        if causes := Counter(why for _, why in listing.skipped):
            raise UserError(f"{listing.path} holds no pictures; {advice(causes)}")
        raise UserError(f"{listing.path} holds no pictures; give a folder or archive with some")
    options = how.plain()
    row = _row(listing, options)
    done = _carried_out(folder, listing, pool, options | {"row": row}, name)
    return _finish(folder, listing, done, row, how, name, card)


def _make_shard(
    shard: shards.Shard, folder: Path, path: Path, found: Listing | None, how: Preparation, name: str, workers: int
) -> None:
    """Prepare one stretch of a collection; it ends by `Finished`."""
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / "lock", f"shard {shard.number} of {shard.of} is being prepared by another process"):
        if not (folder / shards.DONE).is_file():
            with WorkerPool(workers) as pool:
                listing = collection(path, found)
                options = how.plain()
                row = _row(listing, options)
                listing.entries = listing.entries[shard.stretch(len(listing.entries))]
                _carried_out(folder, listing, pool, options | {"row": row}, f"{name} {shard.number}/{shard.of}")
                write_json(folder / shards.DONE, {"row": row, "files": len(listing.entries)}, ADVICE)
    files = read_object(folder / shards.DONE)["files"]
    raise shards.Finished(
        f"{name}: {files:,} files of shard {shard.number} of {shard.of} prepared; when all are, "
        "`triptych data merge` puts them together"
    )


def _carried_out(folder: Path, listing: Listing, pool: WorkerPool, options: dict[str, Any], name: str) -> Results:
    """What became of every file; the rows of those that were kept are in `rows.npy`, each at its number."""
    options = options | {"header": cache.HEADER, "out": str(folder / "rows.npy")}
    with (folder / "rows.npy").open("ab") as f:
        if f.tell() == 0:
            f.write(cache.header(len(listing.entries), options["row"]))
    journal = folder / "journal.jsonl"
    done = _journal(journal, len(listing.entries))
    with (
        Progress(f"preparing {name}", len(listing.entries), len(done), unit="pictures") as bar,
        journal.open("a", encoding="utf-8") as log,
    ):
        for part in pool.run(listing, options, done):
            for _, result in part:
                if result.get("skipped", "").startswith("differs in size"):
                    raise UserError(
                        f"the pictures in {listing.path} differ in size; give the size wanted: --resolution 32"
                    )
            done.update(part)
            log.write(json.dumps(part) + "\n")
            log.flush()
            bar.update(len(done))
    return done


def _row(listing: Listing, options: dict[str, Any]) -> list[int]:
    """Shape of one prepared picture (c, h, w); settles the options that were left to the source."""
    options["channels"] = options["channels"] or 3
    if size := sides(options["resolution"]):
        return [options["channels"], size[1], size[0]]
    archives: dict[str, BinaryIO] = {}
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


def _journal(path: Path, n: int) -> Results:
    """What an earlier, killed preparation had finished."""
    done = Results(n)
    if path.is_file():
        with path.open("rb") as lines:
            for line in lines:
                try:
                    done.update((i, r) for i, r in json.loads(line) if i < n)
                except ValueError:  # the kill cut this line
                    break
    return done


def _finish(
    folder: Path,
    listing: Listing,
    done: Results,
    row: list[int],
    how: Preparation,
    name: str,
    card: Mapping[str, Any],
) -> dict[str, Any]:
    """Close the gaps that skipped files left, and write what is known beside the array."""
    entries, results = listing.entries, _InOrder(done)
    # A caption or a table beside the pictures is left aside, but it is no broken picture.
    kept = done.kept
    bad = sum("skipped" in r and e.expected for e, r in zip(entries, results, strict=True))
    causes = Counter(r["skipped"] for e, r in zip(entries, results, strict=True) if "skipped" in r and e.expected)
    if not len(kept):
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
    content = _digest(
        (f"{entries[i].name}\0{results[i]['sha256']}\0{entries[i].label}\0{entries[i].side}\n" for i in kept),
        (f"{entries[i].name}\0{n}\n" for i in kept for n in sorted(decode.CHANGED & set(results[i]["notes"]))),
    )
    np.save(folder / "hashes.npy", done.sha[done.kept, :8].copy().view(">u8").ravel().astype(np.uint64).view(np.int64))
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
        | ({NEITHER: n} if (n := sum(entries[i].side == 2 for i in kept)) else {})
        | ({ALONE: n} if listing.classes and (n := alone(entries[i].label for i in kept)) else {})
        | {note: min(n, len(kept)) for note, n in listing.notes.items()}
        | reshaped.counts(done.size[kept], how),
        "sizes": _sizes(done.size[kept]),
        "fingerprint": digest(content, *listing.classes, how.identity(), VERSION),
    }
    with writing(folder / cache.INDEX, ADVICE) as f:
        sources = ({"name": entries[i].name, "row": at, **results[i]} for at, i in enumerate(kept))
        reasons = ({"name": n, "reason": why} for n, why in skipped)
        total = hashlib.sha256()
        for told in itertools.chain(sources, reasons):
            line = json_text(told).encode() + b"\n"
            total.update(line)
            f.write(line)
        f.write(json_text({cache.SUMS: total.hexdigest()}).encode() + b"\n")
    array = "images.partial" if len(kept) < len(entries) else "rows.npy"
    write_json(folder / "about.json", about, ADVICE)
    (folder / array).replace(folder / "images.npy")
    cache.seal(folder)
    return _closed(folder)


def alone(labels: Iterable[int]) -> int:
    """How many classes have a single example."""
    return sum(n == 1 for n in Counter(labels).values())


def _closed(folder: Path) -> dict[str, Any]:
    """What is written of a set whose array has its last name; the files that a restart would need go."""
    about = read_object(folder / "about.json")
    if "sealed" not in about:
        cache.seal(folder)
    for name in ("rows.npy", "images.partial", "journal.jsonl"):
        (folder / name).unlink(missing_ok=True)
    return read_object(folder / "about.json")


def _gather(folder: Path, kept: np.ndarray, row: list[int]) -> None:
    """`images.partial` with the kept rows only; the rows themselves stay, in case of a kill."""
    size = int(np.prod(row))
    with (folder / "rows.npy").open("rb") as rows, (folder / "images.partial").open("wb") as out:
        out.write(cache.header(len(kept), row))
        for run in np.split(kept, np.flatnonzero(np.diff(kept) != 1) + 1):
            rows.seek(cache.HEADER + int(run[0]) * size)
            left = len(run) * size
            while left:
                part = rows.read(min(left, 8 << 20))
                out.write(part)
                left -= len(part)


def _counted(words: Iterator[str]) -> dict[str, int]:
    """How often each reason occurs, most frequent first; what follows a colon is one file's own matter."""
    return dict(Counter(w.partition(":")[0] for w in words).most_common())


def _sizes(sizes: np.ndarray) -> dict[str, Any]:
    """Of widths and heights (n, 2): least, median, largest of each, and how many pairs there are."""
    sides = [[int(f(side)) for f in (np.min, np.median, np.max)] for side in sizes.T]
    return {"width": sides[0], "height": sides[1], "different": len(np.unique(sizes, axis=0))}


class _InOrder(Sequence[Result]):
    """The results of all pictures as a list that makes each when it is asked for."""

    def __init__(self, done: Results) -> None:
        self.done = done

    def __len__(self) -> int:
        return len(self.done)

    def __getitem__(self, i: Any) -> Any:
        if i >= len(self.done):
            raise IndexError(i)
        return self.done[i]


def _digest(*texts: Iterable[str]) -> str:
    """`digest` of many texts, one at a time."""
    h = hashlib.sha256()
    for text in itertools.chain(*texts):
        h.update(text.encode())
    return h.hexdigest()
