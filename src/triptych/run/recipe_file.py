"""A recipe as a file of its own: the recipe.json of a run, or YAML that a person edits.

YAML has a section for each part of the recipe, with the fields' own names; what is left out keeps its default:

    name: mine
    seed: 0
    data: {name: 8gaussians}
    model: {type: MLPGAN, width: 64}
    objective: {type: WGANGP, gp: 0.1}
    train: {images: 200000}
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from triptych.core import DataSpec, Recipe, Train, encode
from triptych.core.discovery import parts
from triptych.core.kinds import fitted
from triptych.errors import UserError, nearest
from triptych.recipes.named import get
from triptych.run import schema
from triptych.system import files
from triptych.system.yaml_files import Reader

YAML = (".yaml", ".yml")
SUFFIXES = (".json", *YAML)
KEYS = ("name", "about", "seed", "data", "model", "objective", "train")
TYPED = {"model": "network", "objective": "objective"}
PLAIN: dict[str, type] = {"data": DataSpec, "train": Train}


def is_file_name(word: str) -> bool:
    """Whether a word of the command line names a recipe's file and not a recipe."""
    return Path(word).suffix.lower() in SUFFIXES


def read(path: str | Path) -> tuple[Recipe, int]:
    """The recipe and the seed that a file asks for; UserError, with the line in YAML, for a mistake in it."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} is not a file; give a recipe's name, or a .json or .yaml file of a recipe")
    return _Reader(path.name).read(path) if path.suffix.lower() in YAML else schema.read_recipe_file(path)


def named_or_read(word: str, beside: Path | None = None) -> tuple[Recipe, int]:
    """The recipe of that name, and seed 0; or that of a file, and the seed that it asks for.

    A relative file is taken from the folder `beside`, where one is given. UserErrors as of both.
    """
    if not is_file_name(word):
        return get(word), 0
    return read(word if beside is None else beside / word)


def write(path: str | Path, recipe: Recipe, seed: int, about: Callable[[type], Mapping[str, str]]) -> None:
    """Write a recipe as YAML from which `read` makes the same one; `about` gives the line of help of each field."""
    path = Path(path)
    if path.suffix.lower() not in YAML:
        raise UserError(f"{path} does not end in .yaml; give --save-recipe a name that does")
    if path.exists():
        raise UserError(f"{path} exists already; give --save-recipe another name, or remove it")
    lines = [f"# `triptych train {path.name}` trains this recipe; a field that is left out keeps its default."]
    lines += [f"name: {text(recipe.name)}", f"about: {text(recipe.about)}", f"seed: {seed}"]
    for section in ("data", "model", "objective", "train"):
        part = getattr(recipe, section)
        help_of, body = about(type(part)), encode(part)
        lines += ["", f"{section}:"]
        if section in TYPED:
            lines.append(f"  type: {body['type']}")
        for name, value in body.items():
            if name != "type":
                told = " ".join(help_of.get(name, "").split())
                lines.append(f"  {name}: {text(value)}" + (f"  # {told}" if told else ""))
    files.write_text(path, "\n".join(lines) + "\n")


def text(value: Any) -> str:
    """A value as YAML has it on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True).removesuffix("...\n").strip()


class _Reader(Reader):
    """Nodes of a recipe's YAML file to values, errors with their line."""

    def read(self, path: Path) -> tuple[Recipe, int]:
        root = self.root(path, "a recipe")
        top = self.mapping(root, "a recipe", KEYS)
        for section in ("data", "model", "objective"):
            if section not in top:
                raise self.wrong(root, f"there is no `{section}:`; a recipe names its data, model and objective")
        made = {s: self.part(s, top[s]) for s in ("data", "model", "objective")}
        train = self.part("train", top["train"]) if "train" in top else Train()
        seed = self.value(top["seed"]) if "seed" in top else 0
        if type(seed) is not int or seed < 0:
            raise self.wrong(top["seed"], f"seed is {seed!r}; give a whole number of at least 0")
        name, about = (str(self.value(top[key]) or "") if key in top else "" for key in ("name", "about"))
        return Recipe(train=train, name=name or path.stem, about=about, **made), seed

    def part(self, section: str, node: yaml.Node) -> Any:
        """A part of the recipe from its section."""
        entry = self.mapping(node, f"`{section}:`")
        cls = PLAIN.get(section) or self.typed(section, node, entry.pop("type", None))
        hints, given = get_type_hints(cls), {}
        names = [f.name for f in dataclasses.fields(cls)]
        for name, value in entry.items():
            if name not in names:
                raise self.wrong(value, f"{section} has no field {name!r}; {nearest(name, names, ', '.join(names))}")
            try:
                given[name] = fitted(self.value(value), hints[name])
            except TypeError as e:
                raise self.wrong(value, f"{section}.{name} is {self.value(value)!r}; {e}") from e
        if section == "data" and "name" not in given:
            raise self.wrong(node, "`data:` has no name; give a data set's name or a path")
        try:
            return cls(**given)
        except UserError as e:
            raise self.wrong(node, str(e)) from e

    def typed(self, section: str, node: yaml.Node, named: yaml.Node | None) -> type:
        kind = TYPED[section]
        if named is None:
            raise self.wrong(node, f"`{section}:` has no type; give the name of one of the {kind}s of `triptych parts`")
        name, known = str(self.value(named)), parts(kind)
        if name not in known:
            raise self.wrong(
                named, f"no {kind} is named {name!r}; {nearest(name, known, '`triptych parts` lists them')}"
            )
        return known[name].value
