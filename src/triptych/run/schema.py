"""What the JSON files of a run folder hold: one reader for each, which checks the type of every field that is used.

Fields that are not named here pass: a later version, or a person, may have added them. What a reader returns can be
used without a second look; anything else is a UserError that names the file and the field.
"""

from __future__ import annotations

import functools
import os
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from triptych.core import decode
from triptych.core.columns import KINDS, Column
from triptych.core.quantity import AXES
from triptych.errors import UserError
from triptych.run.json_types import (
    LIMIT,
    Check,
    both,
    having,
    is_count,
    is_number,
    is_object,
    is_shape,
    is_text,
    listed,
    mapped,
    optional,
    read,
    record,
)
from triptych.system import console, files

FORMAT = 2
"""Of recipe.json and of checkpoints. Version 0.1 wrote no number; it counts as 1."""
FILES = (
    "recipe.json",
    "env.json",
    "status.json",
    "metrics.jsonl",
    "eval.json",
    "eval-old.json",
    "sampling.json",
    "curve.json",
    "curve.png",
    "model.safetensors",
    ".lock",
)
FOLDERS = (
    "checkpoints",
    "samples",
    "interpolation",
    "sweep",
    "reconstructions",
    "cooled",
    "neighbours",
    "flow",
    "export",
)


@functools.cache
def note(text: str) -> None:
    """A line on standard error, once in a process."""
    console.note(f"note: {text}")


def check_places(folder: Path) -> None:
    """UserError where a link, a pipe or a device lies in the place of a file or a folder of ours: it may be a trap."""
    for name in (*FILES, *FOLDERS):
        path = folder / name
        if path.is_symlink():
            _refuse(path, "is a link")
        if path.exists() and not (path.is_dir() if name in FOLDERS else path.is_file()):
            _refuse(path, "is no folder" if name in FOLDERS else "is no ordinary file")
    for path in (folder / name for name in FOLDERS if (folder / name).is_dir()):
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_symlink():
                    _refuse(Path(entry.path), "is a link")
                if not entry.is_file() and not entry.is_dir():
                    _refuse(Path(entry.path), "is no ordinary file")


def refuse_own(file: Path) -> None:
    """UserError for a place to write to that is a file which a run is made of: the run could not be read any more."""
    parts = ("recipe.json", "env.json", "status.json", "metrics.jsonl")
    if file.name in parts and (file.parent / "recipe.json").exists():
        raise UserError(f"{file} is a part of the run in {file.parent}; write to another place")


def _refuse(path: Path, what: str) -> None:
    raise UserError(f"{path} {what}, which a run folder does not have in this place; remove it, or put a copy there")


def read_asked(folder: Path) -> dict[str, Any]:
    """recipe.json: `recipe`, still as JSON, and `seed`."""
    return read_asked_file(folder / "recipe.json")


def read_asked_file(path: Path) -> dict[str, Any]:
    """`read_asked` for a recipe.json that may have another name and lie anywhere."""
    before = listed(record(images=is_count, at=is_count))
    fields = {"format": is_count, "recipe": RECIPE, "seed": is_count, "continued": before, "plugins": PLUGINS}
    asked = read(path, fields, ("recipe", "seed"))
    if asked.get("format", 1) > FORMAT:
        raise UserError(newer(path, asked["format"]))
    return asked


RECIPE = record(
    data=record(name=is_text),
    model=record(type=is_text),
    objective=record(type=is_text),
    train=record(images=is_count),
    name=is_text,
)


PLUGINS = listed(both(record(name=is_text), having(**dict.fromkeys(("file", "sha256", "package", "version"), is_text))))


def read_recipe(folder: Path) -> tuple[Any, int]:
    """The recipe and the seed of recipe.json."""
    return read_recipe_file(folder / "recipe.json")


def read_recipe_file(path: Path) -> tuple[Any, int]:
    """`read_recipe` for a recipe.json that may have another name and lie anywhere."""
    from triptych.core import Recipe
    from triptych.run.plugins import check_present

    asked = read_asked_file(path)
    check_present(path, asked)
    try:
        recipe = decode(asked["recipe"])
    except UserError as e:
        raise UserError(f"{path}: {e}") from e
    if not isinstance(recipe, Recipe):
        raise UserError(f"{path} holds no recipe; restore it from a copy")
    return recipe, asked["seed"]


def newer(path: Path, number: int) -> str:
    return (
        f"{path} was written by a newer triptych (format {number}; this one knows formats up to {FORMAT}); "
        "install the newer version"
    )


QUANTITY: dict[str, Check] = {
    **dict.fromkeys(("title", "neither", "unit", "comparable", "variant", "companion"), is_text),
    "better": lambda v: v in ("lower", "higher", ""),
    "axis": lambda v: v == "" or (is_text(v) and v in AXES),
    "rank": is_count,
    "average": lambda v: isinstance(v, bool),
}
"""What a number is, beside its value or for the lines of the log."""
COLUMN = both(
    record(name=is_text, kind=lambda v: v in KINDS),
    having(
        **dict.fromkeys(("centre", "scale"), is_number),
        decimals=lambda v: is_count(v) and v <= 15,
        form=is_text,
        values=listed(is_text),
        missing=lambda v: isinstance(v, bool),
    ),
)
"""A typed column, as `core.columns` tells it."""
COLUMNS = listed(lambda v: COLUMN(v) and not set(v) - set(Column.__dataclass_fields__))
DATA = both(
    record(name=is_text, split=is_text, fingerprint=is_text, examples=is_count),
    having(
        place=optional(is_text),
        origin=listed(is_number),
        names=listed(is_text),
        columns=COLUMNS,
        given=COLUMNS,
    ),
)
TEST = both(record(examples=is_count), having(fingerprint=is_text))
ENV: dict[str, Check] = {
    "shape": is_shape,
    "precision": lambda v: v in ("fp32", "bf16"),
    "arithmetic": both(is_object, having(kind=is_text, grounds=is_text, seconds=mapped(is_number))),
    "minutes": is_number,
    "threads": lambda v: is_count(v) and 0 < v <= 4096,
    "device": is_text,
    "data": DATA,
    "test": optional(TEST),
    "parameters": mapped(is_count),
    "seed": is_count,
    "command": is_text,
    "head_start": listed(is_text),
    "classes": listed(is_text),
    "given": listed(is_text),
    "quantities": mapped(both(record(title=is_text), having(**QUANTITY))),
    "extractors": listed(is_text),
    **dict.fromkeys(("triptych", "python", "torch", "numpy", "platform", "processor"), is_text),
}


def read_env(
    folder: Path, needed: tuple[str, ...] = ("shape", "precision", "threads", "device", "data")
) -> dict[str, Any]:
    """env.json: on what a run was trained."""
    return read(folder / "env.json", ENV, needed)


STATUS: dict[str, Check] = {
    "state": lambda v: v in ("running", "done", "diverged", "failed"),
    "images": is_count,
    "budget": is_count,
    "end": is_count,
    "seconds": is_number,
    "alarms": listed(is_text),
    "message": is_text,
    "note": is_text,
    "compiled": lambda v: isinstance(v, bool),
    "recorded": lambda v: isinstance(v, bool),
}


def read_status(folder: Path) -> dict[str, Any]:
    """status.json: how far a run is, how it ended. UserError where it is gone or wrong; `run.read_status` mends it."""
    return read(folder / "status.json", STATUS, ("state", "images", "alarms"))


def is_line(line: Mapping[str, Any]) -> bool:
    """A line of the log: how many images, and numbers, or lists of numbers; null is a number that was not finite."""
    number = optional(is_number)
    return is_count(line.get("images")) and all(number(v) or listed(number)(v) for v in line.values())


def read_log(folder: Path) -> tuple[list[dict[str, Any]], int]:
    """The whole lines of metrics.jsonl, increasing in `images`, and how many others there were.

    A torn last line is what a kill leaves and does not count. Of lines out of order as few as possible are left out.
    """
    lines, bad = files.read_lines(folder / "metrics.jsonl", LIMIT)
    good = [line for line in lines if is_line(line)]
    ends: list[int] = []  # the longest increasing subsequence: the smallest end of one of each length, and where it is
    at: list[int] = []
    before: list[int] = []
    for i, line in enumerate(good):
        k = bisect_left(ends, line["images"])
        ends[k : k + 1], at[k : k + 1] = [line["images"]], [i]
        before.append(at[k - 1] if k else -1)
    kept, i = [], at[-1] if at else -1
    while i >= 0:
        kept.append(good[i])
        i = before[i]
    return kept[::-1], bad + len(lines) - len(kept)


VALUE: dict[str, Check] = {
    "value": optional(is_number),
    **dict.fromkeys(("n", "n_real", "seed", "floor_n"), optional(is_count)),
    **dict.fromkeys(("floor", "se"), optional(is_number)),
    **dict.fromkeys(("extractor", "resize", "dtype", "reference", "how", "note"), optional(is_text)),
    **QUANTITY,
    "quantity": is_text,
    "beyond": is_text,
    "controls": optional(
        both(
            record(n=is_count, values=mapped(optional(is_number))),
            having(
                floor=optional(is_number), samples=optional(is_number), above=listed(is_text), within=listed(is_text)
            ),
        )
    ),
    "parts": optional(
        mapped(record(value=optional(is_number), n=is_count, n_real=is_count, floor=optional(is_number)))
    ),
    "card": optional(mapped(lambda v: v is None or isinstance(v, bool | str) or is_number(v) or listed(is_number)(v))),
}


def read_evaluation(folder: Path) -> dict[str, dict[str, Any]]:
    """eval.json: every number with what it takes to trust it."""
    path, advice = folder / "eval.json", "remove it, and `triptych evaluate` makes it anew"
    values = read(path, {}, (), advice)
    for name, value in values.items():
        if not isinstance(value, dict) or "value" not in value:
            raise UserError(f"{path} has no value under {name!r}; {advice}")
        for field, check in VALUE.items():
            if field in value and not check(value[field]):
                raise UserError(
                    f"{path} has a value that cannot be right in the field {name + '.' + field!r}; {advice}"
                )
    return values


CURVE: dict[str, Check] = {
    "extractors": listed(is_text),
    "lines": listed(both(record(images=is_count), mapped(is_number))),
}


def read_curve(folder: Path) -> dict[str, Any]:
    """curve.json: `lines`, the numbers of checkpoints, by the `extractors` of these ids; none where it is not there."""
    path = folder / "curve.json"
    if not path.exists():
        return {"extractors": [], "lines": []}
    return read(path, CURVE, ("extractors", "lines"), "remove it, and `triptych evaluate RUN --curve` makes it anew")


def with_curve(lines: Sequence[Mapping[str, Any]], made: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Lines of a log, by increasing images; where a number is missing, as it was made of the checkpoint there."""
    found = {line["images"]: line for line in made}
    found |= {line["images"]: {**found.get(line["images"], {}), **line} for line in lines}
    return [found[images] for images in sorted(found)]


def read_sampling(folder: Path) -> dict[str, Any]:
    """sampling.json: the pace of sampling."""
    fields: dict[str, Check] = {
        "examples_per_second": is_number,
        "n": is_count,
        "device": is_text,
        "threads": is_count,
    }
    return read(folder / "sampling.json", fields, (), "remove it, and `triptych evaluate` makes it anew")


NOTE: dict[str, Check] = {
    "images": is_count,
    "bytes": is_count,
    "sha256": is_text,
    "asked": record(recipe=is_object, seed=is_count),
    "step": is_count,
    "seconds": is_number,
    "slowed": lambda v: is_number(v) and 0 < v <= 1,
    "batches": record(drawn=is_count),
    "alarms": listed(is_text),
    "best": optional(record(images=is_count, metric=is_text, value=is_number)),
    "passing": lambda v: isinstance(v, bool),
    "counts": mapped(lambda v: is_count(v) and v > 0),
    "end": is_count,
}
"""The note beside the tensors of a checkpoint."""
