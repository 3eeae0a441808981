"""`triptych tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from triptych.study.slurm import ON, Slurm


def tune(
    recipes: Annotated[
        Positional[tuple[str, ...]],
        arg(metavar="RECIPE...", help="names, or files of recipes; each gets as many trials"),
    ],
    by: Annotated[str, arg(metavar="METRIC", help="the number that decides, of the log or of eval.json")],
    trials: Annotated[int, arg(help="trainings of each recipe")] = 20,
    out: Annotated[Path | None, arg(help="folder of runs, tune.json and report; default: runs/tune-METRIC")] = None,
    space: Annotated[Path | None, arg(help=".yaml file of what to vary; default: what the fields declare")] = None,
    minutes_each: Annotated[float | None, arg(help="time of each trial; default: the recipe's own budget")] = None,
    seeds: Annotated[int, arg(help="trainings of the best of each recipe, from fresh seeds; 0: none")] = 3,
    jobs: Annotated[int | None, arg(help="trials at once; default: one per core, one on a GPU")] = None,
    device: Annotated[str, arg(help="auto, cpu, cuda or mps")] = "auto",
    on: Annotated[str, arg(metavar=ON, help="where the trainings are carried out")] = "local",
    slurm: Slurm = Slurm(),  # noqa: B008 - a frozen value
) -> None:
    """Search the settings of recipes with equal effort, then train the best of each anew over fresh seeds.

    Asking again goes on with what is missing; asked on several machines that share the folder, they share the trials.
    It needs Optuna: pip install 'triptych[search]'.
    """
    from triptych.errors import UserError
    from triptych.recipes.space import read_space
    from triptych.report import terminal
    from triptych.report.page import check_places, write_report
    from triptych.run.recipe_file import named_or_read
    from triptych.study.asked import Search
    from triptych.study.places import executor
    from triptych.study.runner import run_study, terminated
    from triptych.study.study import Study
    from triptych.study.tune import search
    from triptych.system import names
    from triptych.system.console import say
    from triptych.system.locks import hold

    if seeds < 0:
        raise UserError(f"--seeds is {seeds}; give 0 or more (3 or more to compare)")
    if not recipes:
        raise UserError("name at least one recipe; `triptych recipes` lists them")
    folder = out or Path("runs") / f"tune-{by}"
    names.encodable(folder)
    check_places(folder / "report.html")
    asked = Search(tuple(named_or_read(word)[0] for word in recipes), trials, by, read_space(space), minutes_each)
    told = f"what is done is kept in {folder}; the same command goes on with the rest"
    with terminated(told), executor(on, slurm, jobs, device, folder) as place:
        best = search(asked, folder, executor=place)
        if seeds:
            if (held := hold(folder / "best.held")) is None:
                say(f"another process trains the best anew; it writes {folder / 'report.html'}")
                return
            about = f"The best of {trials} trials each by {by}, trained anew over seeds that no trial had."
            with held:
                run_study(Study("tuned", tuple(best.values()), seeds, about), folder, jobs, executor=place)
    say(f"all trials: {folder / 'tune.json'}")
    if seeds:
        page = write_report([folder], folder / "report.html")
        terminal.show(folder)
        say(f"report: {page}")
