"""`triptych recipes`, `train` and `resume`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.table import Table
from tyro.conf import Positional, arg

from triptych.cli import explore
from triptych.cli.arguments import parse
from triptych.cli.options import Device, data_spec, parse_recipe, preparation, print_help
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

    if argv[0].startswith("-"):
        recipe, why = recommended(argv)
        say(f"taking the recommended recipe {why}")
        rest = argv
    else:
        recipe, rest = get(argv[0]), argv[1:]
    chosen, options = parse_recipe(recipe, rest)
    from triptych.trainer.loop import fit

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
    from triptych.recipes.recommended import recommend

    if not any(a == "--data" or a.startswith("--data=") for a in argv):
        raise UserError("train needs a recipe or --data FOLDER; `triptych recipes` lists the recipes")
    mine = [a for a in argv if a not in ("-h", "--help")]
    chosen, _ = parse(preparation(DataSpec("")), "train RECIPE", mine, return_unknown_args=True)
    return recommend(data_spec(chosen))


def resume(
    run: Annotated[Positional[Path], arg(help="folder of a run that was cut off, or is finished")],
    images: Annotated[
        int | None, arg(name="train.images", help="go on until so many images, also where the run is finished")
    ] = None,
    data: explore.Moved = None,
    device: Device | None = None,
) -> None:
    """Continue a run that was cut off, exactly as if it had not been; or one that is finished, for longer."""
    from triptych.run.folder import Run
    from triptych.trainer.loop import resume as go_on

    before = Run(run)
    nothing = images is None and before.finished and before.status["images"] >= before.recipe.train.images
    ended = go_on(run, device, images=images, data=data, announce=say)
    if nothing:
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
    from triptych.evaluate.while_training import FEWEST

    return ((env.get("test") or env["data"]).get("examples") or FEWEST) < FEWEST
