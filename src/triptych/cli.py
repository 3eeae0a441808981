"""The command line. Each command is a function; its annotations are its options.

Heavy modules are imported inside the commands, so that every `--help` answers at once.
"""

from __future__ import annotations

import ast
import dataclasses
import errno
import inspect
import itertools
import os
import sys
import textwrap
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from rich.table import Table
from tyro.conf import OmitArgPrefixes, Positional, arg

from triptych import commands, data_commands, judge
from triptych.arguments import parse
from triptych.errors import Diverged, UserError, nearest
from triptych.terminal import console, prepare_streams, printable, say

if TYPE_CHECKING:
    from triptych.core import DataSpec, Recipe
    from triptych.run import Run

Device = Annotated[str, arg(help="auto, cpu, cuda or mps")]


def recipes() -> None:
    """Every named recipe, a line each."""
    from triptych.recipes import all_recipes

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, recipe in all_recipes().items():
        table.add_row(name, recipe.about)
    console().print(table)


def train(argv: Sequence[str]) -> None:
    """Train a recipe: `triptych train RECIPE [--data NAME_OR_FOLDER] [options]`."""
    if not argv or argv[0] in ("-h", "--help"):
        print_help("train RECIPE [--data NAME_OR_FOLDER] [--seed N] [--out DIR] [options]", TRAIN_HELP)
        return
    from triptych.recipes import get

    if argv[0].startswith("-"):
        recipe, why = recommended(argv)
        say(f"taking the recommended recipe {why}")
        rest = argv
    else:
        recipe, rest = get(argv[0]), argv[1:]
    chosen, options = parse_recipe(recipe, rest)
    from triptych.trainer import fit

    finished(fit(chosen, options.seed, options.out, options.device, announce=say))


TRAIN_HELP = """\
Train a named recipe (`triptych recipes` lists them) and leave a run folder.
With --data FOLDER and no recipe, the recommended one for those pictures is taken, and said.

  triptych train wgan-gp-25gaussians
  triptych train vae-mnist --seed 1 --train.images 200000 --out runs/mine
  triptych train --data my/pictures --resolution 32

`triptych train RECIPE --help` lists every option of that recipe.
"""


def recommended(argv: Sequence[str]) -> tuple[Recipe, str]:
    """The recipe to take for `--data FOLDER` when none is named, and why."""
    from triptych.core import DataSpec
    from triptych.recipes import recommend

    if not any(a == "--data" or a.startswith("--data=") for a in argv):
        raise UserError("train needs a recipe or --data FOLDER; `triptych recipes` lists the recipes")
    mine = [a for a in argv if a not in ("-h", "--help")]
    chosen, _ = parse(preparation(DataSpec("")), "train RECIPE", mine, return_unknown_args=True)
    return recommend(data_spec(chosen))


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

    return DataSpec(**{("name" if k == "data" else k): v for k, v in vars(options).items()})


def parse_recipe(recipe: Recipe, argv: Sequence[str]) -> tuple[Recipe, Any]:
    """The recipe with the command line's changes, and the options beside it (seed, out, device)."""
    data = preparation(recipe.data)
    run = [
        ("seed", Annotated[int, arg(help="random seed of everything")], 0),
        ("out", Annotated[Path | None, arg(help="run folder to make; default: runs/RECIPE-SEED")], None),
        ("device", Device, "auto"),
        ("preparation", OmitArgPrefixes[data], data()),
        ("train", type(recipe.train), recipe.train),
        ("objective", type(recipe.objective), recipe.objective),
        ("model", type(recipe.model), recipe.model),
    ]
    options_type: Any = dataclasses.make_dataclass("Options", run, frozen=True)
    options_type.__doc__ = recipe.about or f"Train {recipe.name}."
    options = parse(options_type, f"train {recipe.name}", argv)
    changed = dataclasses.replace(
        recipe,
        data=data_spec(options.preparation),
        train=options.train,
        objective=options.objective,
        model=options.model,
    )
    return changed, options


def field_docs(cls: type) -> dict[str, str]:
    """The string under each field of a dataclass, inherited ones included."""
    docs = {}
    for base in (c for c in reversed(cls.__mro__) if dataclasses.is_dataclass(c)):
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in itertools.pairwise(body.body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                docs[field.target.id] = ast.literal_eval(text.value)
    return docs


def resume(
    run: Annotated[Positional[Path], arg(help="folder of a run that was cut off, or is finished")],
    images: Annotated[
        int | None, arg(name="train.images", help="go on until so many images, also where the run is finished")
    ] = None,
    data: commands.Moved = None,
    device: Device | None = None,
) -> None:
    """Continue a run that was cut off, exactly as if it had not been; or one that is finished, for longer."""
    from triptych.run import Run
    from triptych.trainer import resume as go_on

    before = Run(run).status["images"]
    ended = go_on(run, device, images=images, data=data, announce=say)
    if images is None and before >= ended.recipe.train.images:
        say(f"{run} is finished already; nothing to do (--train.images N goes on for longer)")
        return
    finished(ended)


def finished(run: Run) -> None:
    """What a person wants to know when training ends."""
    status = run.status
    out = console()
    out.print(f"done: {run.path}  {status['images']:,} images in {status['seconds']:.0f} s")
    last = {k: v for k, v in run.lines()[-1].items() if isinstance(v, int | float)}
    hidden = {"images", "step", "seconds", "evaluating"}
    out.print("  " + "  ".join(f"{k} {v:.4g}" for k, v in last.items() if k not in hidden))
    for alarm in status["alarms"]:
        out.print(f"  alarm: {alarm}")
    if len(run.shape()) == 3 and "frechet" not in last:
        why = "too few examples" if few(run.env) else f"no extractor yet: `triptych evaluate {run.path}` makes one"
        out.print(f"  frechet and kernel were left out on the way ({why})")
    pictures = sorted((run.path / "samples").glob("*.png"))
    if pictures:
        out.print(f"  samples: {pictures[-1]}")


def few(env: Mapping[str, Any]) -> bool:
    """Whether the log's numbers had too few examples to be made from."""
    from triptych.evaluate import FEWEST

    return ((env.get("test") or env["data"]).get("examples") or FEWEST) < FEWEST


def data(argv: Sequence[str]) -> None:
    """List, describe and prepare data sets: `triptych data list|info|prepare`."""
    known = data_commands.COMMANDS
    if not argv or argv[0] in ("-h", "--help"):
        lines = [f"  {name:<8} {(f.__doc__ or ' ').splitlines()[0]}" for name, f in known.items()]
        print_help("data COMMAND ...", "\n".join(lines))
        return
    if argv[0] not in known:
        raise UserError(f"{argv[0]!r} is not a data command; there are {', '.join(known)}")
    parse(known[argv[0]], f"data {argv[0]}", argv[1:])


# ------------------------------------------------------------------------------------------- frame

COMMANDS: dict[str, Callable[..., Any]] = {
    "recipes": recipes,
    "train": train,
    "resume": resume,
    "evaluate": judge.evaluate,
    "sample": commands.sample,
    "reconstruct": commands.reconstruct,
    "encode": commands.encode,
    "decode": commands.decode,
    "nearest": commands.nearest,
    "flow": commands.flow,
    "interpolate": commands.interpolate,
    "sweep": commands.sweep,
    "study": commands.study,
    "report": commands.report,
    "data": data,
}
OWN_PARSING = {"train", "data"}


def print_help(usage: str, text: str) -> None:
    say(f"usage: triptych {usage}\n\n{text.rstrip()}")


def overview() -> None:
    """The top-level help."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {(f.__doc__ or ' ').split('. ')[0].splitlines()[0]}" for name, f in COMMANDS.items()]
    print_help(
        "COMMAND ...",
        "GANs, VAEs and normalizing flows, side by side: train, judge and contrast them under one protocol.\n\n"
        + "\n".join(lines)
        + "\n\n`triptych COMMAND --help` explains a command; --debug anywhere shows the traceback of an error.",
    )


def run_command(argv: Sequence[str]) -> int:
    """The exit status of a command that does not raise."""
    try:
        dispatch(argv)
    except SystemExit as e:  # the parser's --help, or rich when nobody reads its output
        if isinstance(e.__context__, BrokenPipeError):
            raise e.__context__ from None
        return int(e.code or 0)
    return 0


def dispatch(argv: Sequence[str]) -> None:
    if not argv or argv[0] in ("-h", "--help"):
        overview()
        return
    if argv[0] == "--version":
        from triptych import __version__

        say(f"triptych {__version__}")
        return
    name, rest = argv[0], argv[1:]
    if name not in COMMANDS:
        raise UserError(f"{name!r} is not a command; {nearest(name, COMMANDS, '`triptych --help` lists them')}")
    if name in OWN_PARSING:
        COMMANDS[name](rest)
    else:
        parse(COMMANDS[name], name, rest)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0, 2 for bad input, 3 for a diverged training.

    As a shell has it for programs that a signal ended: 130 when interrupted, 141 when nobody reads the output any more.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    prepare_streams()
    debug = "--debug" in argv
    argv = [a for a in argv if a != "--debug"]
    try:
        status = run_command(argv)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # what is left in the buffer goes nowhere: Python would complain about it at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (UserError, OSError) as e:
        if debug:
            traceback.print_exc()
        say(f"error: {printable(' '.join(in_words(e).split()))}", stderr=True)
        return 3 if isinstance(e, Diverged) else 2
    except KeyboardInterrupt:
        name = argv[0] if argv else ""
        say(f"interrupted; {AFTER.get(name, AGAIN)}", stderr=True)
        return 130


AGAIN = "the same command begins again"
AFTER = {
    "train": "`triptych resume RUN` goes on from the last checkpoint",
    "resume": "`triptych resume RUN` goes on from the last checkpoint",
    "study": "the same command goes on: it skips the runs that are done and resumes those that were cut",
    "data": "the same command goes on with what is done already",
    "evaluate": "runs that were judged keep their eval.json; the same command begins again",
}
"""What a person does after an interrupt, by command."""


def in_words(e: Exception) -> str:
    """An error as a message that says what to do; the system's own names the file and what it refused."""
    if isinstance(e, UserError) or not isinstance(e, OSError) or e.strerror is None:
        return str(e)
    from triptych.data.cache import root

    where = e.filename2 or e.filename
    advice = "check the path, or give another one"
    if e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        advice = "free space, or write to another place"
    elif e.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "make it accessible, or give another place"
    if where and Path(os.fsdecode(where)).absolute().is_relative_to(root().absolute()):
        advice = "set TRIPTYCH_CACHE to a folder that can be written"
    return f"{f'{where}: ' if where else ''}{e.strerror}; {advice}"
