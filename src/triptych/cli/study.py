"""`triptych study`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from triptych.cli.options import Track
from triptych.core.contract import Resource
from triptych.study.slurm import ON, Slurm

if TYPE_CHECKING:
    from triptych.core.contract import Contract
    from triptych.study.jobs import Job, Outcome
    from triptych.study.study import Scale


def study(
    name: Annotated[Positional[str], arg(metavar="NAME_OR_FILE", help="a named study, or a .yaml or .py file")],
    out: Annotated[Path | None, arg(help="folder of the runs and the report; default: runs/NAME-SCALE")] = None,
    seeds: Annotated[int | None, arg(help="trainings of each recipe; default: the study's own number")] = None,
    scale: Annotated[
        Literal["quick", "plain", "full"] | None,
        arg(help="of a named study: minutes on two cores (default), the budgets of plain names, or the original ones"),
    ] = None,
    jobs: Annotated[int | None, arg(help="trainings at once; default: one per core, one on a GPU")] = None,
    device: Annotated[str, arg(help="auto, cpu, cuda or mps")] = "auto",
    track: Track = (),
    minutes: Annotated[
        float | None, arg(help="time of all trainings together, instead of the recipes' own budgets")
    ] = None,
    equal: Annotated[
        Resource | None, arg(help="what every training gets the same of: seconds of processor time, images, or minutes")
    ] = None,
    budget: Annotated[float | None, arg(help="how much of it")] = None,
    on: Annotated[str, arg(metavar=ON, help="where the trainings are carried out")] = "local",
    slurm: Slurm = Slurm(),  # noqa: B008 - a frozen value
    head_start: Annotated[
        Literal["all", "none"] | None,
        arg(help="none: no network begins with statistics of the data; default: each with those of its design"),
    ] = None,
    *,
    trust: Annotated[bool, arg(help="leave out the line that says which .py file is run")] = False,
) -> None:
    """Train recipes over several seeds, evaluate them, and write one report.

    Asking again skips the runs that are done and finishes those that were cut. Named studies:
    """

    asked = {"seeds": seeds, "minutes": minutes, "contract": contract(equal, budget)}
    place = (on, slurm)
    contrast(name, out, scale, jobs, device, asked, place, track, head_start=head_start, trust=trust)


def contract(equal: Resource | None, budget: float | None) -> Contract | None:
    """What --equal and --budget say together; UserError for one without the other."""
    from triptych.core.contract import Contract
    from triptych.errors import UserError

    if equal is None and budget is None:
        return None
    if equal is None or budget is None:
        raise UserError("--equal and --budget make one contract; give both, such as --equal seconds --budget 60")
    return Contract(equal, budget)


def named_studies() -> str:
    """What the help ends with: every named study and what it asks."""
    from triptych.study import named

    return "\n\n".join(f"{name}: {about}" for name, about in named.listing().items())


def contrast(
    name: str,
    out: Path | None,
    asked_scale: Scale | None,
    jobs: int | None,
    device: str = "auto",
    asked: Mapping[str, Any] | None = None,
    place: tuple[str, Slurm] = ("local", Slurm()),
    track: Sequence[str] = (),
    *,
    head_start: Literal["all", "none"] | None = None,
    trust: bool = False,
) -> list[Outcome[Job]]:
    """`triptych study`: find the study, carry it out, write its report and say where it is.

    `asked` are fields of the study that are to be others, where they are not None. A .py file is a program: that it is
    run is said before, unless `trust`.
    """
    from triptych.cli import parallel_lines
    from triptych.errors import UserError
    from triptych.recipes.override import with_field
    from triptych.report import terminal
    from triptych.report.page import check_places, write_report
    from triptych.run import follow
    from triptych.run.folder import Run
    from triptych.run.sinks import trackers
    from triptych.study import named
    from triptych.study.from_file import read_study
    from triptych.study.places import executor
    from triptych.study.runner import run_study, terminated
    from triptych.system import names
    from triptych.system.console import say

    trackers.by_name(track)  # one that is not here is said before any work
    given = {k: v for k, v in (asked or {}).items() if v is not None}
    from_file = name.endswith((".yaml", ".yml", ".py"))
    if from_file and asked_scale is not None:
        raise UserError("--scale is of named studies, and a file has its own recipes; leave it out")
    scale = asked_scale or "quick"
    if name == named.LINES:
        if given.keys() - {"seeds"} or head_start:
            raise UserError(f"{name} trains no generator; of a study's settings it takes --seeds alone")
        parallel_lines.carry_out(out or Path("runs") / f"{name}-{scale}", given.get("seeds"), scale)
        return []
    if name.endswith(".py") and not trust and Path(name).is_file():
        say(f"running {Path(name).absolute()}: a .py study is a program; --trust leaves this line out", stderr=True)
    study = read_study(name) if from_file else named.get(name, scale)
    if given.keys() & {"minutes", "contract"}:  # what the file says of budgets is replaced
        study = replace(study, minutes=None, contract=None)
    study = replace(study, **given)
    if head_start is not None:
        own = "own" if head_start == "all" else "none"
        study = replace(study, recipes=tuple(with_field(r, "train.head_start", own) for r in study.recipes))
    folder = out or Path("runs") / (study.name if from_file else f"{name}-{scale}")
    names.encodable(folder)
    check_places(folder / "report.html")
    told = f"what is done is kept in {folder}; the same command goes on with the rest"
    with terminated(told), executor(*place, jobs, device, folder) as found:
        outcomes = run_study(study, folder, jobs, executor=found, track=track)
        if track:
            follow.summarise(
                [Run(o.job.path) for o in outcomes if o.state == "done"],
                trackers.by_name(track),
                lambda text: say(text, stderr=True),
            )
    page = write_report([folder], folder / "report.html")
    for outcome in outcomes:
        if outcome.state != "done":
            say(f"{outcome.job.path.name}: {outcome.state}: {outcome.message}", stderr=True)
    terminal.show(folder)
    say(f"report: {page}", f"numbers: {page.with_suffix('.csv')}")
    if outcomes and not any(outcome.state == "done" for outcome in outcomes):
        raise UserError(f"no run of {study.name} ended well; {folder} and the report say why")
    return outcomes
