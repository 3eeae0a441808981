"""`triptych recipes`, `train` and `resume`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.table import Table
from tyro.conf import Positional, arg

from triptych.cli import explore
from triptych.cli.arguments import parse
from triptych.cli.options import Device, data_spec, given, parse_recipe, preparation, print_help
from triptych.cli.swap import misfit
from triptych.errors import UserError
from triptych.system.console import console, say

if TYPE_CHECKING:
    from triptych.core import Recipe
    from triptych.run.folder import Run


def recipes() -> None:
    """Every named recipe, a line each."""
    from triptych.recipes.named import all_recipes

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, recipe in all_recipes().items():
        table.add_row(name, recipe.about)
    console().print(table)


def train(argv: Sequence[str]) -> None:
    """Train a recipe: `triptych train RECIPE [--data NAME_OR_FOLDER] [options]`."""
    if not argv or argv[0] in ("-h", "--help"):
        print_help("train RECIPE [--data NAME_OR_FOLDER] [--seed N] [--out DIR] [options]", TRAIN_HELP)
        return
    from triptych.recipes.named import get
    from triptych.recipes.override import with_parts

    objective, words = taken_out("--objective", argv)
    network, words = taken_out("--model", words)
    own = False
    words = [f"--model.{w[2:]}" if w.split("=")[0] == "--codes" else w for w in words]
    if not words or words[0].startswith("-"):
        recipe, why = recommended(words)
        say(f"taking the recommended recipe {why}")
        rest, own = words, True
    else:
        recipe, rest = get(words[0]), words[1:]
    named = recipe.name
    if objective is not None or network is not None:
        recipe = with_parts(recipe, objective, network)
    chosen, options = parse_recipe(recipe, rest, named)
    minutes = options.minutes
    if own and not given("--train.images", words):
        recipe, minutes = fitted(recipe, minutes, options.device, words)
        chosen, options = parse_recipe(recipe, rest, named)
    from triptych.trainer.loop import fit

    try:
        run = fit(chosen, options.seed, options.out, options.device, announce=say, minutes=minutes)
    except UserError as e:
        if recipe.name != named and (why := misfit(chosen)):
            raise UserError(why) from e
        raise
    finished(run)


TRAIN_HELP = """\
Train a named recipe (`triptych recipes` lists them) and leave a run folder.
With --data FOLDER and no recipe, the recommended one for those images is taken and named.

  triptych train wgan-gp-25gaussians
  triptych train vae-mnist --minutes 10
  triptych train vae-mnist --seed 1 --train.images 200000 --out runs/mine
  triptych train --data my/pictures --resolution 32

`triptych train RECIPE --help` lists every option of that recipe. --objective NAME and --model NAME put another part in
place of the recipe's own, with its own defaults, where the two fit; `triptych parts` lists them. --codes prior,
gaussian, mixture or flow says what an autoencoder is sampled from (short for --model.codes).
"""


def fitted(recipe: Recipe, minutes: float | None, device: str, argv: Sequence[str]) -> tuple[Recipe, float]:
    """A recommended recipe as wide as suits the time and this machine, and the time; both are said."""
    from triptych.trainer.rehearsal import check_minutes
    from triptych.trainer.suited import MINUTES, suited

    if minutes is None:
        minutes = MINUTES
        say(f"for {MINUTES:g} minutes, as no budget was given: --minutes 120 takes longer, --train.images N is exact")
    check_minutes(minutes)
    fixed = [word for word in ("--model.width", "--model", "--objective") if given(word, argv)]
    if not fixed:
        recipe, why = suited(recipe, minutes, device)
        say(why)
    return recipe, minutes


def taken_out(option: str, argv: Sequence[str]) -> tuple[str | None, list[str]]:
    """The value of an option, and the words without it."""
    words = list(argv)
    for i, word in enumerate(words):
        if word.startswith(f"{option}="):
            return word.removeprefix(f"{option}="), words[:i] + words[i + 1 :]
        if word == option:
            if i + 1 == len(words) or words[i + 1].startswith("-"):
                raise UserError(f"{option} names no part; `triptych parts` lists them")
            return words[i + 1], words[:i] + words[i + 2 :]
    return None, words


def recommended(argv: Sequence[str]) -> tuple[Recipe, str]:
    """The recipe to take for `--data FOLDER` when none is named, and why."""
    from triptych.core import DataSpec
    from triptych.recipes.recommended import recommend

    if not any(a == "--data" or a.startswith("--data=") for a in argv):
        raise UserError("train needs a recipe or --data FOLDER; `triptych recipes` lists the recipes")
    mine = [a for a in argv if a not in ("-h", "--help")]
    chosen, _ = parse(preparation(DataSpec("")), "train RECIPE", mine, unknown=True)
    return recommend(data_spec(chosen), crop=not given("--fit", argv))


def resume(
    run: Annotated[Positional[Path], arg(help="folder of a run that was cut off, or is finished")],
    images: Annotated[
        int | None, arg(name="train.images", help="go on until so many images, also where the run is finished")
    ] = None,
    data: explore.Moved = None,
    device: Device | None = None,
    minutes: Annotated[float | None, arg(help="go on for so long from now, also where the run is finished")] = None,
) -> None:
    """Continue a run that was cut off, exactly as if it had not been; or one that is finished, for longer."""
    from triptych.run.folder import Run
    from triptych.trainer.loop import resume as go_on

    before = Run(run)
    nothing = (
        images is None and minutes is None and before.finished and before.status["images"] >= before.recipe.train.images
    )
    ended = go_on(run, device, images=images, minutes=minutes, data=data, announce=say)
    if nothing:
        say(f"{run} is finished already; nothing to do (--minutes M or --train.images N goes on for longer)")
        return
    finished(ended)


def finished(run: Run) -> None:
    """What a person wants to know when training ends; of several ranks the first tells it."""
    from triptych.system.distributed import asked

    if not asked().first:
        return
    from triptych.evaluate.while_training import of_features

    status = run.status
    out = console()
    out.print(f"done: {run.path}  {status['images']:,} images in {status['seconds']:.0f} s")
    last = {k: v for k, v in run.lines()[-1].items() if isinstance(v, int | float)}
    hidden = {"images", "step", "seconds", "evaluating"}
    out.print("  " + "  ".join(f"{k} {v:.4g}" for k, v in last.items() if k not in hidden))
    if "minutes" in run.env:
        out.print(f"  `triptych resume {run.path} --minutes {2 * run.env['minutes']:g}` goes on from here")
    for alarm in status["alarms"]:
        out.print(f"  alarm: {alarm}")
    if len(run.shape()) == 3 and not any(name in last for name in of_features()):
        why = "too few examples" if few(run.env) else "it was too short for them"
        curve = "" if few(run.env) else f"; `triptych evaluate {run.path} --curve` makes them of the checkpoints"
        out.print(f"  {', '.join(of_features())} were left out on the way ({why}){curve}")
    if (run.path / "curve.png").is_file():
        out.print(f"  curve: {run.path / 'curve.png'}")
    pictures = sorted((run.path / "samples").glob("*.png"))
    if pictures:
        out.print(f"  samples: {pictures[-1]}")


def few(env: Mapping[str, Any]) -> bool:
    """Whether the log's numbers had too few examples to be made from."""
    from triptych.evaluate.while_training import FEWEST

    return ((env.get("test") or env["data"]).get("examples") or FEWEST) < FEWEST
