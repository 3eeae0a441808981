"""Recipes as options of the command line, and its parser's errors as one line."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import itertools
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from tyro.conf import OmitArgPrefixes, arg

from triptych.cli.arguments import parse
from triptych.errors import UserError
from triptych.system.console import say

if TYPE_CHECKING:
    from triptych.core import DataSpec, Recipe

Device = Annotated[str, arg(help="auto, cpu, cuda or mps")]
Minutes = Annotated[
    float | None,
    arg(help="budget as time here, evaluations counted: turned into images by the pace of the first steps"),
]


Track = Annotated[
    tuple[str, ...],
    arg(metavar="NAME ...", help="also show it in: tensorboard, wandb, mlflow, trackio, or your own sink"),
]
SAVE = "write the recipe to this file instead of training it: `triptych train FILE.yaml` trains it"
SWAP = "--objective NAME and --model NAME take another part, with its own options; `triptych parts` lists them."


def preparation(spec: DataSpec) -> Any:
    """A dataclass of the options that say which data, prepared how; the defaults are `spec`'s."""
    from triptych.core import DataSpec

    hints, docs = get_type_hints(DataSpec), field_docs(DataSpec)
    fields = [
        (
            "data" if f.name == "name" else f.name,
            Annotated[hints[f.name], arg(help=docs[f.name])],
            getattr(spec, f.name),
        )
        for f in dataclasses.fields(DataSpec)
    ]
    options = dataclasses.make_dataclass("Preparation", fields, frozen=True)
    options.__doc__ = "Which data, prepared how."
    return options


def data_spec(options: Any) -> DataSpec:
    from triptych.core import DataSpec

    fields = {("name" if k == "data" else k): v for k, v in vars(options).items()}
    if any(word != "auto" for word in fields["columns"]):  # a recipe holds what a file of them says, not its name
        from triptych.data.sources.column_types import words_of

        fields["columns"] = words_of(fields["columns"])
    return DataSpec(**fields)


def parse_recipe(recipe: Recipe, argv: Sequence[str], named: str = "", seed: int = 0) -> tuple[Recipe, Any]:
    """The recipe with the command line's changes, and the options beside it (seed, out, device, track, save_recipe).

    `named` is what the person called it: a name or a file, or `--data WHERE` where it was recommended.
    """
    data = preparation(recipe.data)
    run = [
        ("seed", Annotated[int, arg(help="random seed of everything")], seed),
        ("out", Annotated[Path | None, arg(help="run folder to make; default: runs/RECIPE-SEED")], None),
        ("device", Device, "auto"),
        ("track", Track, ()),
        ("save_recipe", Annotated[Path | None, arg(metavar="FILE.yaml", help=SAVE)], None),
        ("minutes", Minutes, None),
        ("preparation", OmitArgPrefixes[data], data()),
        ("train", type(recipe.train), recipe.train),
        ("objective", type(recipe.objective), recipe.objective),
        ("model", type(recipe.model), recipe.model),
    ]
    options_type: Any = dataclasses.make_dataclass("Options", run, frozen=True)
    options_type.__doc__ = recipe.about or f"Train {recipe.name}."
    options = parse(options_type, f"train {named or recipe.name}", argv, more=lambda: SWAP)
    if options.minutes is not None and given("--train.images", argv):
        raise UserError("--minutes and --train.images both say how long to train; give one of them")
    changed = dataclasses.replace(
        recipe,
        data=data_spec(options.preparation),
        train=options.train,
        objective=options.objective,
        model=options.model,
    )
    return changed, options


def given(option: str, argv: Sequence[str]) -> bool:
    """Whether a person wrote this option, whatever its value."""
    return any(word == option or word.startswith(f"{option}=") for word in argv)


@functools.cache
def field_docs(cls: type) -> Mapping[str, str]:
    """The string under each field of a dataclass, inherited ones included; its source is read once."""
    docs = {}
    for base in (c for c in reversed(cls.__mro__) if dataclasses.is_dataclass(c)):
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in itertools.pairwise(body.body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                docs[field.target.id] = ast.literal_eval(text.value)
    return docs


def print_help(usage: str, text: str) -> None:
    say(f"usage: triptych {usage}\n\n{text.rstrip()}")
