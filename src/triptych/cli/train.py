"""`triptych recipes`, `train` and `resume`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.table import Table
from tyro.conf import Positional, arg

from triptych.cli import explore
from triptych.cli.arguments import parse
from triptych.cli.options import Device, Track, data_spec, field_docs, given, parse_recipe, preparation, print_help
from triptych.cli.swap import misfit
from triptych.errors import UserError
from triptych.system.console import console, say
from triptych.system.shell import shell

if TYPE_CHECKING:
    from triptych.core import Recipe
    from triptych.run.folder import Run


def recipes() -> None:
    """Every named recipe, a line each, with its time on one core here: by data, the recommended ones first."""
    from triptych.core.statistics import duration
    from triptych.recipes.named import all_recipes
    from triptych.recipes.times import measured, minutes_here

    table = Table(box=None, show_header=False, pad_edge=False)
    found, minutes = all_recipes(), minutes_here()
    order = list(dict.fromkeys(recipe.data.name for recipe in found.values()))
    for name, recipe in sorted(
        found.items(), key=lambda told: (order.index(told[1].data.name), not told[0].startswith("best"))
    ):
        side = f" {recipe.data.resolution} px" if recipe.data.resolution else ""
        took = duration(60 * minutes[name]) if name in minutes else ""
        table.add_row(name, f"{recipe.data.name}{side}", took, recipe.about)
    console().print(table)
    say(
        f"times are of the steps on one core here, by the pace on {measured()['processor']}; evaluations come on top",
        stderr=True,
    )


def train(argv: Sequence[str]) -> None:
    """Train a recipe: `triptych train RECIPE [--data NAME_OR_FOLDER] [options]`."""
    if not argv or argv[0] in ("-h", "--help"):
        print_help("train RECIPE [--data NAME_OR_FOLDER] [--seed N] [--out DIR] [options]", TRAIN_HELP)
        return
    from triptych.recipes.override import with_parts
    from triptych.recipes.recommended import has_own_budget

    argv = [f"--model.{w[2:]}" if w.split("=")[0] == "--codes" else w for w in argv]
    argv = ["--model.classes=0" if w == "--unconditional" else w for w in argv]
    objective, words = taken_out("--objective", argv, PART)
    network, words = taken_out("--model", words, PART)
    like, words = taken_out("--like", words, "run; give the folder of one")
    check_place(words)
    recipe, seed, rest = asked(words) if like is None else as_in(like, words)
    own = like is None and rest is words
    named = recipe.name
    if objective is not None or network is not None:
        recipe = with_parts(recipe, objective, network)
    called = shell("--like", like) if like is not None else as_called(words)
    chosen, options = parse_recipe(recipe, rest, called, seed)
    minutes = options.minutes
    if own and not given("--train.images", words) and not (minutes is None and has_own_budget(recipe)):
        recipe, minutes = fitted(recipe, minutes, options.device, words)
        chosen, options = parse_recipe(recipe, rest, called, seed)
    if options.save_recipe is not None:
        from triptych.run import recipe_file

        if options.minutes is not None:
            raise UserError("a recipe holds no minutes; leave --minutes out, or give --train.images for its budget")
        recipe_file.write(options.save_recipe, chosen, options.seed, field_docs)
        say(f"written: {options.save_recipe}; `{shell('triptych', 'train', str(options.save_recipe))}` trains it")
        return
    from triptych.run.sinks import trackers
    from triptych.trainer.loop import fit

    sinks = trackers.by_name(options.track)
    with nullcontext(chosen) if like is None else same_data(Path(like), chosen, options.device) as chosen:
        try:
            run = fit(chosen, options.seed, options.out, options.device, announce=say, sinks=sinks, minutes=minutes)
        except UserError as e:
            if recipe.name != named and (why := misfit(chosen)):
                raise UserError(why) from e
            raise
    finished(run)


def check_place(words: Sequence[str]) -> None:
    """UserError for an --out that no run can be written to: before data are prepared and steps are timed.

    Not where several processes train together: one of them may have made the folder, or is to go on with it.
    """
    from triptych.run.folder import check_free
    from triptych.system.distributed import asked

    out, _ = taken_out("--out", words, "folder; give one for the run")
    if out is not None and not given("--save-recipe", words) and not {"-h", "--help"} & {*words} and asked().world == 1:
        check_free(Path(out))


PART = "part; `triptych parts` lists them"


def asked(words: Sequence[str]) -> tuple[Recipe, int, Sequence[str]]:
    """The recipe, the seed and the other words of `RECIPE ...`, `FILE ...` or `--data FOLDER ...`."""
    from triptych.run import recipe_file

    if not words or words[0].startswith("-"):
        recipe, why = recommended(words)
        say(f"taking the recommended recipe {why}")
        return recipe, 0, words
    try:
        return *recipe_file.named_or_read(words[0]), words[1:]
    except UserError:
        if recipe_file.is_file_name(words[0]) or not Path(words[0]).exists():
            raise
        there = shell("triptych", "train", "--data", words[0])
        raise UserError(f"no recipe is named {words[0]!r}, and a file or folder is; `{there}` trains on it") from None


def as_called(words: Sequence[str]) -> str:
    """What stands behind `triptych train` for this recipe: its name or file, or the data that it is recommended for."""
    if not words[0].startswith("-"):
        return shell(words[0])
    where, _ = taken_out("--data", words, "data; give a name or a folder")
    return shell("--data", where or "")


def as_in(like: str, words: Sequence[str]) -> tuple[Recipe, int, Sequence[str]]:
    """The recipe and the seed of a run, and the other words."""
    from triptych.run.folder import Run

    if words and not words[0].startswith("-"):
        raise UserError(f"--like {like} says what to train; drop the recipe {words[0]}")
    run = Run(like)
    if run.budgets:
        say(f"{like} was trained for {run.budgets[0]:,} images at first; this training goes to the end at once")
    return run.recipe, run.seed, words


@contextmanager
def same_data(like: Path, chosen: Recipe, device: str) -> Iterator[Recipe]:
    """`chosen` on the very examples of a run, wherever they are now, unless it names others.

    What else may make the numbers differ is said. UserError where the examples have changed.
    """
    from triptych.core import encode
    from triptych.core.codec import differences
    from triptych.run import data as run_data
    from triptych.run.folder import Run
    from triptych.system.cache import reading_from
    from triptych.system.device import describe, pick_device

    run = Run(like)
    collection = None
    if chosen.data == run.recipe.data:
        found = run_data.own(run)
        collection = found.collection
        if Path(found.spec.name).absolute() != Path(chosen.data.name).absolute():
            chosen = replace(chosen, data=found.spec)
    apart = differences(encode(run.recipe), encode(chosen))
    now = describe(pick_device(device))
    apart += [line for k in SAME if k in now for line in differences({k: run.env.get(k)}, {k: now[k]})]
    if apart:
        say(f"as {like}, but {'; '.join(apart)}")
    with reading_from(collection):
        yield chosen


SAME = ("triptych", "torch", "device", "processor")
"""Of what a training ran on: where these are the same, so are its numbers, to the last bit."""


TRAIN_HELP = """\
Train a named recipe (`triptych recipes` lists them), or one from a .json or .yaml file, and leave a run folder.
With --data WHERE and no recipe, the recommended one for those images, or that table, is taken and named.

  triptych train wgan-gp-25gaussians
  triptych train vae-mnist --minutes 10
  triptych train vae-mnist --seed 1 --train.images 200000 --out runs/mine
  triptych train --data my/pictures --resolution 32
  triptych train --data table.csv
  triptych train vae-mnist --model.latent 8 --save-recipe mine.yaml
  triptych train mine.yaml
  triptych train --like runs/mine

`triptych train RECIPE --help` lists every option of that recipe. --objective NAME and --model NAME put another part in
place of the recipe's own, with its own defaults, where the two fit; `triptych parts` lists them. --codes prior,
gaussian, mixture or flow says what an autoencoder is sampled from (short for --model.codes). --unconditional leaves the
classes of a folder aside. --like RUN takes
recipe, seed and examples of a run: on the same machine the same training to the last bit.
"""


def fitted(recipe: Recipe, minutes: float | None, device: str, argv: Sequence[str]) -> tuple[Recipe, float]:
    """A recommended recipe as wide as suits the time and this machine, and the time; both are said.

    The networks for tables are small, and stay as they are.
    """
    from triptych.recipes.recommended import has_own_budget
    from triptych.trainer.rehearsal import check_minutes
    from triptych.trainer.suited import MINUTES, suited

    if minutes is None:
        minutes = MINUTES
        say(f"for {MINUTES:g} minutes, as no budget was given: --minutes 120 takes longer, --train.images N is exact")
    check_minutes(minutes)
    fixed = [word for word in ("--model.width", "--model", "--objective") if given(word, argv)]
    if not fixed and not has_own_budget(recipe):
        recipe, why = suited(recipe, minutes, device)
        say(why)
    return recipe, minutes


def taken_out(option: str, argv: Sequence[str], what: str) -> tuple[str | None, list[str]]:
    """The value of an option, and the words without it."""
    words = list(argv)
    for i, word in enumerate(words):
        if word.startswith(f"{option}="):
            return word.removeprefix(f"{option}="), words[:i] + words[i + 1 :]
        if word == option:
            if i + 1 == len(words) or words[i + 1].startswith("-"):
                raise UserError(f"{option} names no {what}")
            return words[i + 1], words[:i] + words[i + 2 :]
    return None, words


def recommended(argv: Sequence[str]) -> tuple[Recipe, str]:
    """The recipe to take for `--data WHERE` when none is named, and why."""
    from triptych.core import DataSpec
    from triptych.recipes.recommended import recommend

    if not any(a == "--data" or a.startswith("--data=") for a in argv):
        raise UserError("train needs a recipe or --data WHERE; `triptych recipes` lists the recipes")
    mine = [a for a in argv if a not in ("-h", "--help")]
    chosen, _ = parse(preparation(DataSpec("")), "train RECIPE", mine, unknown=True)
    no_labels, all_of_it = given("--model.classes=0", argv), given("--holdout", argv)
    return recommend(data_spec(chosen), crop=not given("--fit", argv), hold=not all_of_it, labels=not no_labels)


def resume(
    run: Annotated[Positional[Path], arg(help="folder of a run that was cut off, or is finished")],
    images: Annotated[
        int | None, arg(name="train.images", help="go on until so many images, also where the run is finished")
    ] = None,
    data: explore.Moved = None,
    device: Device | None = None,
    track: Track = (),
    minutes: Annotated[float | None, arg(help="go on for so long from now, also where the run is finished")] = None,
) -> None:
    """Continue a run that was cut off, exactly as if it had not been; or one that is finished, for longer."""
    from triptych.run.folder import Run
    from triptych.run.sinks import trackers
    from triptych.trainer.loop import resume as go_on

    sinks = trackers.by_name(track)
    before = Run(run)
    nothing = images is None and minutes is None and before.finished
    ended = go_on(run, device, images=images, minutes=minutes, data=data, announce=say, sinks=sinks)
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

    status, lines = run.status, run.lines()
    out = console()
    out.print(f"done: {run.path}  {status['images']:,} images in {status['seconds']:.0f} s")
    last = {k: v for k, v in lines[-1].items() if isinstance(v, int | float)}
    hidden = {"images", "step", "seconds", "evaluating"}
    out.print("  " + "  ".join(f"{k} {v:.4g}" for k, v in last.items() if k not in hidden))
    chosen = run.recipe.train.best.removeprefix("-")
    then = {line["images"]: line[chosen] for line in lines if chosen in line}
    if (best := run.best) in then and best != status["images"]:
        out.print(f"  {chosen} was best at {best:,} images ({then[best]:.4g}): --which best takes that checkpoint")
    if "minutes" in run.env:
        again = shell("triptych", "resume", str(run.path), "--minutes", f"{2 * run.env['minutes']:g}")
        out.print(f"  `{again}` goes on from here")
    for alarm in status["alarms"]:
        out.print(f"  alarm: {alarm}")
    if len(run.shape()) == 3 and not any(name in last for name in of_features()):
        why = "too few examples" if few(run.env) else "it was too short for them"
        later = shell("triptych", "evaluate", str(run.path), "--curve")
        curve = "" if few(run.env) else f"; `{later}` makes them of the checkpoints"
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
