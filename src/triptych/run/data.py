"""A run's own examples, found again: by the place they were read from, and by their fingerprint.

A name or a path says where examples were, not which they were: a folder gets more pictures, a relative path means
another folder elsewhere, `TRIPTYCH_DATA` is pointed at another collection. Every command that needs the data of a run
asks `own` or `own_or_other`, so that none of them shows, evaluates or continues a run on other examples than its own,
unless it is asked to by name, and then says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from triptych import data as data_sets
from triptych.core import Data, DataSpec, Recipe, Split
from triptych.core.columns import Column, Columns
from triptych.data import load_spec
from triptych.data.sources import huggingface
from triptych.data.sources.typed_tables import words_for
from triptych.errors import NoSplit, UserError
from triptych.system.cache import collections, reading_from


class Recorded(Protocol):
    """What is asked of a run: its folder, its recipe, what env.json recorded, shape and types of one example."""

    @property
    def path(self) -> Path: ...
    @property
    def recipe(self) -> Recipe: ...
    @property
    def env(self) -> dict[str, Any]: ...
    def shape(self) -> tuple[int, ...]: ...
    def typed(self) -> Columns | None: ...
    def origin(self) -> tuple[float, ...]: ...
    def names(self) -> tuple[str, ...]: ...
    def given(self) -> tuple[Column, ...]: ...


SHOWN = 12
"""Characters of a fingerprint in a message."""


@dataclass(frozen=True)
class Found:
    """Where the examples are now, and what is trained on there."""

    spec: DataSpec
    train: Data
    """the part that is trained on"""
    collection: Path | None = None
    """the folder of data sets that a named one is read from, where it is not the usual one"""
    test_mark: str = ""
    """fingerprint of the run's held-out part, where it was recorded"""
    other_of: Recorded | None = None
    """of another set, asked for by name, the run whose columns its vectors take"""

    @property
    def own(self) -> bool:
        """Whether they are the run's own."""
        return self.other_of is None

    def load(self, split: Split | None = None) -> Data:
        """A split of the same examples; `NoSplit` where there is none, UserError where a held-out part has changed."""
        if split in (None, self.train.split):
            return self.train
        with reading_from(self.collection):
            found = load_spec(self.spec, split)
        if self.other_of is not None:
            found = as_of(self.other_of, found)
        if self.own and split == "test" and self.test_mark and found.fingerprint != self.test_mark:
            raise UserError(
                f"the held-out part of {self.train.name} has changed (fingerprint {short(found)}, it was "
                f"{self.test_mark[:SHOWN]}); put it back"
            )
        return replace(found, name=self.train.name)

    def test(self) -> Data | None:
        """The held-out part, where the source has one and it is not trained on."""
        if self.train.split == "all":
            return None
        try:
            return self.load("test")
        except NoSplit:
            return None

    def said(self) -> str:
        """That these are not the run's own; empty where they are."""
        if self.own:
            return ""
        return (
            f"these are not the run's own examples but {self.train.name} from {self.spec.name} "
            f"(fingerprint {short(self.train)})"
        )

    def held_out(self) -> Data:
        """The held-out part where there is one, else what is trained on."""
        test = self.test()
        return self.train if test is None else test


def own(run: Recorded, where: str | None = None) -> Found:
    """The data that `run` was trained on, read from `where` or else from where they were.

    UserError, naming both sets, where others are found there.
    """
    return _search(run, where, others=False)


def own_or_other(run: Recorded, where: str | None = None, *, whole: bool = False) -> Found:
    """As `own`; but a set that is named by `where` is taken whatever it holds, prepared as the run's own were.

    With `whole` it is not divided into what is trained on and what is held out: one row of a table has no two sides.
    """
    return _search(run, where, others=where is not None, whole=whole)


def record(spec: DataSpec, data: Data, test: Data | None) -> dict[str, Any]:
    """What env.json keeps of the data: which they are, and the absolute place they came from."""
    kept = {"name": data.name, "split": data.split, "fingerprint": data.fingerprint, "examples": len(data)}
    return {
        "data": kept | {"place": place_of(spec, data)},
        "test": None if test is None else {"examples": len(test), "fingerprint": test.fingerprint},
    }


def place_of(spec: DataSpec, data: Data) -> str | None:
    """Absolute: of a path, itself; of a named set, the folder of data sets it was found in. None: made or fetched."""
    if is_path(spec.name):
        return str(Path(spec.name).expanduser().resolve())
    text = str(data.about.get("source", "")).split(", ")[0]
    if not text or spec.name.startswith(huggingface.PREFIX):
        return None
    source = Path(text).absolute()
    return next((str(p.absolute()) for p in collections() if source.is_relative_to(p.absolute())), None)


def is_path(name: str) -> bool:
    """Whether a data set's name is a path and not one that the program knows."""
    return data_sets.by_name(name) is None and not name.startswith(huggingface.PREFIX)


# -------------------------------------------------------------------------------------------- search


def _search(run: Recorded, where: str | None, *, others: bool, whole: bool = False) -> Found:
    known = run.env.get("data") or {}
    mark = known.get("fingerprint")
    test_mark = (run.env.get("test") or {}).get("fingerprint") or ""
    met: list[tuple[str, Data]] = []
    problems: list[UserError] = []
    for spec, collection in _places(run.recipe.data, known.get("place"), where):
        try:
            with reading_from(collection):
                data = load_spec(spec)
        except UserError as e:
            problems.append(e)
            continue
        if drawn_alike(run, spec, data):
            test_mark = ""
        elif mark and data.fingerprint != mark:
            met.append((str(collection or spec.name), data))
            continue
        return Found(spec, replace(data, name=known.get("name", data.name)), collection, test_mark)
    if others and where is not None:
        spec = replace(run.recipe.data, name=where, **_form(run))
        if (typed := run.typed()) is not None:
            file = Path(where).expanduser()  # else no table, and without types of columns
            known = Columns((*typed.all, *run.given()))
            spec = replace(spec, columns=words_for(file, known, spec.columns) if file.is_file() else ())
        spec = replace(spec, split="all", holdout=0.0) if whole else spec
        return Found(spec, as_of(run, load_spec(spec)), other_of=run)
    was = known.get("place") or run.recipe.data.name
    if where is None and is_path(run.recipe.data.name) and not Path(was).expanduser().exists():
        raise UserError(
            f"the data of {run.path} were at {was} and are not there now; say where they are with --data WHERE"
        )
    if met:
        raise UserError(_changed(run, known, *met[0]))
    raise problems[0]


def as_of(run: Recorded, data: Data) -> Data:
    """Another set with its vectors and conditions as the run's own are: the same columns, found by name where they
    have names."""
    return data.as_in(run.typed(), run.origin(), run.names()).given_as(run.given())


def drawn_alike(run: Recorded, spec: DataSpec, data: Data) -> bool:
    """Whether these are the run's examples because the program draws them from its recipe's own words.

    Their fingerprint says less: the last bit of a coordinate depends on the processor and its number of threads.
    """
    count = (run.env.get("data") or {}).get("examples", len(data))
    return spec == run.recipe.data and data_sets.find(spec.name).drawn and len(data) == count


def _places(spec: DataSpec, place: str | None, where: str | None) -> Iterator[tuple[DataSpec, Path | None]]:
    """Where to look, in turn: a data set's name or path, and a folder of data sets to read a named one from."""
    named = not is_path(spec.name)
    if where is not None:
        yield replace(spec, name=where), None
        if named and Path(where).expanduser().is_dir():
            yield from _in_collections(spec, Path(where).expanduser())
    elif not named:
        yield from ((replace(spec, name=name), None) for name in dict.fromkeys((place or spec.name, spec.name)))
    else:
        before = [*_in_collections(spec, Path(place))] if place is not None and Path(place).is_dir() else []
        if before and data_sets.find(spec.name).state() != "ready":  # rather than fetch it
            yield from before
        else:
            yield spec, None
            yield from before


def _in_collections(spec: DataSpec, folder: Path) -> Iterator[tuple[DataSpec, Path | None]]:
    """A named set in a folder of data sets, or in the folder that is the set."""
    for collection in (folder, folder.absolute().parent):
        with reading_from(collection):
            ready = data_sets.find(spec.name).state() == "ready"
        if ready:
            yield spec, collection


def _form(run: Recorded) -> dict[str, Any]:
    """The side and channels of the run's pictures, for another set to be brought to."""
    shape = run.shape()
    return {"channels": shape[0], "resolution": f"{shape[2]}x{shape[1]}"} if len(shape) == 3 else {}


def _changed(run: Recorded, known: dict[str, Any], where: str, data: Data) -> str:
    return (
        f"{run.path} was trained on {known.get('name')}, {known.get('examples')} examples (fingerprint "
        f"{known['fingerprint'][:SHOWN]}), and {where} holds {len(data)} others (fingerprint {short(data)}); put the "
        "run's own back, or say where they are with --data WHERE"
    )


def short(data: Data) -> str:
    return data.fingerprint[:SHOWN]
