"""A user's own study, from YAML or Python.

YAML:

    name: my-study
    seeds: 3
    minutes: 30  # optional: of all trainings together; instead of the recipes' budgets
    contract: {equal: seconds, budget: 60}  # optional: what every training gets; images and minutes are the others
    yardsticks: true  # optional: models fitted in closed form, to measure the others against
    plugins: [mine]  # optional: each must be installed, or given by --plugin; a file imports nothing
    recipes:
      - recipe: wgan-gp-25gaussians
        train.images: 200_000
      - {recipe: gan-25gaussians, objective.label_smoothing: [0.7, 0.9]}
      - {recipe: gan-25gaussians, objective: Hinge}  # or a model, by name
      - mine.yaml  # a recipe's file, beside this one

Python: a file that sets `study = Study(...)`.
"""

from __future__ import annotations

import runpy
import traceback
from pathlib import Path
from typing import Any

import yaml

from triptych.core import Recipe, plugins
from triptych.core.contract import Contract
from triptych.errors import UserError, nearest
from triptych.recipes.override import with_field, with_parts
from triptych.run.recipe_file import named_or_read
from triptych.study.study import TWICE, Study, repeated
from triptych.system.yaml_files import Reader

KEYS = ("name", "seeds", "about", "samples", "minutes", "contract", "yardsticks", "plugins", "recipes")
PARTS = ("objective", "model")
"""What a recipe may have another of, by name: options of `triptych train`."""


def read_study(path: str | Path) -> Study:
    """The study in a .yaml, .yml or .py file; UserError with the line of what is wrong."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} is not a file; give a study's name, or a .yaml or .py file")
    if path.suffix in (".yaml", ".yml"):
        return from_yaml(path)
    if path.suffix == ".py":
        return from_python(path)
    raise UserError(f"{path.name} is no study; give a name, or a file that ends in .yaml or .py")


def from_python(path: Path) -> Study:
    """The `study` that a .py file sets; runs the file."""
    try:
        found = runpy.run_path(str(path)).get("study")
    except UserError as e:
        raise UserError(f"{path.name}: {e}") from e
    except SyntaxError as e:
        raise UserError(f"{path.name} line {e.lineno}: {e.msg}; correct it") from e
    except (Exception, SystemExit) as e:
        lines = [f.lineno for f in traceback.extract_tb(e.__traceback__) if f.filename == str(path)]
        where = f" line {lines[-1]}" if lines else ""
        raise UserError(f"{path.name}{where}: {type(e).__name__}: {e}; correct it") from e
    if not isinstance(found, Study):
        raise UserError(f"{path.name} sets no `study`; end it with study = Study(name, recipes, seeds)")
    return found


def from_yaml(path: Path) -> Study:
    """The study that a .yaml file describes; UserError with the line for a mistake."""
    reader = _Reader(path.name)
    root = reader.root(path, "a study")
    top = reader.mapping(root, "a study", KEYS)
    if "recipes" not in top:
        raise reader.wrong(root, "there is no `recipes:`; list at least one")
    entries = top["recipes"]
    if not isinstance(entries, yaml.SequenceNode) or not entries.value:
        raise reader.wrong(entries, "`recipes:` is not a list of recipes; begin each with a dash")
    plain = {key: reader.value(node) for key, node in top.items() if key != "recipes"}
    reader.check_plugins(top.get("plugins"), plain.pop("plugins", []))
    for key in ("seeds", "samples"):
        given = plain.get(key, 1)
        if type(given) is not int or given < 1:
            raise reader.wrong(top[key], f"{key} is {given!r}; give a whole number of at least 1")
    time = plain.get("minutes")
    if time is not None and (isinstance(time, bool) or not isinstance(time, int | float)):
        raise reader.wrong(top["minutes"], f"minutes is {time!r}; give the minutes of all trainings together")
    beside = plain.get("yardsticks", True)
    if type(beside) is not bool:
        raise reader.wrong(top["yardsticks"], f"yardsticks is {beside!r}; give true or false")
    recipes = tuple(reader.recipe(node, path.parent) for node in entries.value)
    if (second := repeated(recipes)) is not None:
        raise reader.wrong(entries.value[second], f"{recipes[second].name} {TWICE}")
    contract = reader.contract(top["contract"]) if "contract" in top else None
    for key in ("minutes", "contract"):
        if key in top:
            reader.no_images_beside(key, entries)
    name, about = str(plain.get("name", path.stem)), str(plain.get("about", ""))
    try:
        return Study(name, recipes, plain.get("seeds", 3), about, plain.get("samples"), time, contract, beside)
    except UserError as e:
        raise UserError(f"{path.name}: {e}") from e


class _Reader(Reader):
    """Nodes of a study's YAML file to values, errors with their line."""

    def check_plugins(self, node: Any, named: Any) -> None:
        """UserError where a plug-in that the study requires is neither installed nor given."""
        if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
            raise self.wrong(node, "`plugins:` is not a list of names; write plugins: [NAME]")
        for name in named:
            if plugins.called(name) is None:
                advice = nearest(
                    name, [p.name for p in plugins.active()], "install it, or give --plugin its file or module"
                )
                raise self.wrong(node, f"the plug-in {name} is not here; {advice}")

    def contract(self, node: Any) -> Contract:
        """What `contract:` says."""
        told = {key: self.value(value) for key, value in self.mapping(node, "a contract", ("equal", "budget")).items()}
        if set(told) != {"equal", "budget"}:
            raise self.wrong(node, "a contract says what is equal and how much; write {equal: seconds, budget: 60}")
        try:
            return Contract(**told)
        except UserError as e:
            raise self.wrong(node, str(e)) from e

    def no_images_beside(self, what: str, entries: yaml.SequenceNode) -> None:
        """UserError where a recipe has a budget of its own in a study that sets it."""
        for node in entries.value:
            for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
                if key.value == "train.images":
                    raise self.wrong(key, f"`{what}:` and train.images both say how long to train; give one of them")

    def recipe(self, node: Any, beside: Path) -> Recipe:
        """What one entry says; files of recipes lie beside the study's."""
        entry = {"recipe": node} if isinstance(node, yaml.ScalarNode) else self.mapping(node, "a recipe")
        if "recipe" not in entry:
            raise self.wrong(node, "this entry names no recipe; add `recipe: NAME`")
        try:
            recipe, _ = named_or_read(str(self.value(entry["recipe"])), beside)
        except UserError as e:
            raise self.wrong(entry["recipe"], str(e)) from e
        parts = {key: str(self.value(entry.pop(key))) for key in PARTS if key in entry}
        if parts:
            try:
                recipe = with_parts(recipe, parts.get("objective"), parts.get("model"))
            except UserError as e:
                raise self.wrong(node, str(e)) from e
        for key, value in entry.items():
            if key != "recipe":
                try:
                    recipe = with_field(recipe, key, self.value(value))
                except UserError as e:
                    raise self.wrong(value, str(e)) from e
        return recipe
