"""Zoos from a stranger: an index of wrong types, files that are other ones, names that lead elsewhere."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import torch
from safetensors.torch import save

from hostile.place import FIXTURES, Hostile, Place
from hostile.runs import WRONG, paths_of, replaced

NAMES = ("recipe.json", "env.json", "status.json")


def contents() -> dict[str, bytes]:
    """The files of an entry: a run of version 0.1, its weights too few."""
    found = {name: (FIXTURES / "gan" / name).read_bytes() for name in NAMES}
    return found | {"model.safetensors": save({"generator.x": torch.zeros(3)}, {"left_out": "critic"})}


def index() -> dict[str, Any]:
    """What an index says of it."""
    told = {k: {"bytes": len(v), "sha256": hashlib.sha256(v).hexdigest()} for k, v in contents().items()}
    number = {"title": "Modes found", "value": 8.0, "floor": 8.0, "better": "higher"}
    words = dict.fromkeys(("about", "data", "family", "licence", "terms", "remark"), "x")
    return {"format": 1, "entries": {"toy": {**words, "format": 2, "seconds": 3.0, "numbers": [number], "files": told}}}


def commands(place: Place) -> tuple[list[str], ...]:
    return ["zoo", "list"], ["sample", "zoo:toy", "-n", "2", "--out", str(place.out / "x.npy")]


def make(place: Place, text: str) -> None:
    folder = place.here / "zoo" / "toy"
    folder.mkdir(parents=True)
    for name, raw in contents().items():
        (folder / name).write_bytes(raw)
    (place.here / "zoo" / "index.json").write_text(text)


def wrong_index() -> list[Hostile]:
    """Each field of an index of another type, and listed or opened in turns."""
    found, turn = [], 0
    for path in paths_of(index()):
        for _ in range(len(WRONG) if not path else 2):
            turn += 1
            what = list(WRONG)[turn * 4 % len(WRONG)] if path else list(WRONG)[turn % len(WRONG)]
            where = ".".join(map(str, path)) or "the whole"
            found.append(Hostile("index of a zoo", f"{where}: {what}, {turn % 2}", trial(path, what, turn % 2)))
    return found


def trial(path: tuple[Any, ...], what: str, command: int) -> Callable[[Place], Sequence[str]]:
    def build(place: Place) -> Sequence[str]:
        make(place, replaced(index(), path, WRONG[what]))
        return commands(place)[command]

    return build


def swapped() -> list[Hostile]:
    """Files of an entry that are not the ones in the index, links to what is precious, and names outside."""

    def link(place: Place) -> Sequence[str]:
        make(place, json.dumps(index()))
        (place.here / "zoo" / "toy" / "recipe.json").unlink()
        (place.here / "zoo" / "toy" / "recipe.json").symlink_to(place.precious)
        return commands(place)[1]

    def whole_link(place: Place) -> Sequence[str]:
        make(place, json.dumps(index()))
        shutil.rmtree(place.here / "zoo" / "toy")
        (place.here / "zoo" / "toy").symlink_to(place.outside)
        return commands(place)[1]

    def outside(place: Place) -> Sequence[str]:
        told = index()
        told["entries"]["../../outside"] = told["entries"]["toy"]
        make(place, json.dumps(told))
        return ["sample", "zoo:../../outside", "-n", "2"]

    def other(place: Place) -> Sequence[str]:
        make(place, json.dumps(index()))
        (place.here / "zoo" / "toy" / "model.safetensors").write_bytes(save({"x": torch.zeros(9)}))
        return commands(place)[1]

    tried = {"a link": link, "a folder that is a link": whole_link, "a name outside": outside, "other weights": other}
    return [Hostile("files of a zoo", name, build) for name, build in tried.items()]
