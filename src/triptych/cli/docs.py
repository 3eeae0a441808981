"""The generated pages of `docs/`: `python -m triptych.cli.docs DOCS [STUDY ...]`.

Objectives are found by discovery: a new file in `objectives/` has its row and page with nothing else touched. The
gallery and the advice come from finished studies alone.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from triptych.cli.options import field_docs
from triptych.core import Objective, discover
from triptych.core.statistics import format_number
from triptych.errors import UserError
from triptych.recipes.named import all_recipes
from triptych.report.axes import gate, judge_axes
from triptych.report.entries import Entry, gather, read_study_json
from triptych.report.table import Table, tables
from triptych.report.wording import axis_sentence, headline
from triptych.study.named import listing
from triptych.system import files
from triptych.system.console import say

SAID = "<!-- written by python -m triptych.cli.docs -->"


# ----------------------------------------------------------------------------------------- objectives


def objectives() -> dict[str, type[Objective]]:
    """Every objective by name."""
    return discover("objectives", Objective)


def first_sentence(cls: type) -> str:
    text = inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0]
    return " ".join(text.split())


def recipes_of(name: str) -> list[str]:
    """Named recipes that train with an objective."""
    return [k for k, recipe in all_recipes().items() if type(recipe.objective).__name__ == name]


def table_of_objectives() -> str:
    """Markdown: one row per objective with what it is, its hyper-parameters and a recipe to try."""
    rows = ["| objective | what it minimises | hyper-parameters | try |", "|---|---|---|---|"]
    for name, cls in objectives().items():
        known = recipes_of(name)
        fields = ", ".join(f"`{k}`" for k in hyper(cls)) or "none"
        try_it = f"`triptych train {known[0]}`" if known else ""
        rows.append(f"| [{name}](objectives/{name}.md) | {cell(first_sentence(cls))} | {fields} | {try_it} |")
    return "\n".join(rows)


def hyper(cls: type[Objective]) -> dict[str, tuple[object, str]]:
    """Hyper-parameters by name: default, and the text below the field, wherever in the class's ancestry it stands."""
    import dataclasses

    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if dataclasses.is_dataclass(base):
            texts |= field_docs(base)
    return {f.name: (f.default, texts.get(f.name, "")) for f in dataclasses.fields(cls)}  # type: ignore[arg-type]


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def page_of_objective(name: str, cls: type[Objective], pictures: Path) -> str:
    """Markdown: equation and source (the docstring), hyper-parameters, the code, a figure where a study made one."""
    doc = inspect.cleandoc(cls.__doc__ or "")
    parts = [SAID, f"# {name}", "```text", doc, "```"]
    fields = hyper(cls)
    if fields:
        parts += ["## Hyper-parameters", "", "| field | default | meaning |", "|---|---|---|"]
        parts += [f"| `{k}` | `{default}` | {cell(' '.join(text.split()))} |" for k, (default, text) in fields.items()]
    figures = sorted(pictures.glob(f"objective-{name}-*.png")) if pictures.is_dir() else []
    if figures:
        parts += ["", "## Seen", ""]
        parts += [f"![{name} on {f.stem.split('-')[-1]}](../figures/{f.name})" for f in figures]
        parts += ["", "Samples (orange) over the data (grey) at the end of the study's budget, seed 0."]
    source = inspect.getsource(cls)
    module = Path(inspect.getsourcefile(cls) or "").name
    parts += ["", f"## The code (`objectives/{module}`)", "", "```python", source.rstrip(), "```"]
    known = recipes_of(name)
    if known:
        parts += ["", "## Recipes", "", ", ".join(f"`{k}`" for k in known)]
    return "\n".join(parts) + "\n"


# -------------------------------------------------------------------------------------------- studies


def study_section(folder: Path, docs: Path) -> str:
    """Markdown of one finished study: its question, verdicts, table and pictures, copied beside the page."""
    told = read_study_json(folder)
    parts = [f"## {told['name']}", "", told["about"], ""]
    entries, _ = gather([folder])
    for table in tables(entries):
        parts += [f"### {table.data}", "", *verdicts_of(table), "", markdown(table), ""]
        shown = []
        for label in table.labels:
            files = sorted((table.of(label)[0].path / "samples").glob("*.png"))
            if files:
                name = f"{told['name']}-{table.data}-{label}.png".replace(" ", "").replace("/", "-")
                copy(files[-1], docs / "figures" / name)
                shown.append((label, f"figures/{name}"))
        if shown:
            parts += ["| " + " | ".join(k for k, _ in shown) + " |", "|" + "---|" * len(shown)]
            parts += ["| " + " | ".join(f"![{k}]({f})" for k, f in shown) + " |", ""]
    return "\n".join(parts)


def verdicts_of(table: Table) -> list[str]:
    axes = judge_axes(table)
    shown = sorted({e.status.get("images", 0) for e in table.entries})
    budget = f"{shown[0]:,}" if shown[0] == shown[-1] else f"{shown[0]:,} to {shown[-1]:,}"
    told = f"After {budget} images a run; another budget may tell another story."
    return [f"**{headline(table, axes, gate(table))}**", "", told, "", *(f"- {axis_sentence(v, table)}" for v in axes)]


def markdown(table: Table) -> str:
    """The comparison table: a metric with a direction a row, a recipe a column, mean ± 95 % interval over seeds."""
    rows = ["| | " + " | ".join(table.labels) + " | floor: real against real |", "|---" * (len(table.labels) + 2) + "|"]
    for metric, quantity in ((m, q) for m in table.metrics if (q := table.quantity(m)).sign):
        found = [table.estimate(label, metric) for label in table.labels]
        if not any(found):
            continue
        cells = [
            table.missing(label, metric) if e is None else str(e) for label, e in zip(table.labels, found, strict=True)
        ]
        floor = table.floor(metric)
        cells.append("" if floor is None else format_number(floor))
        rows.append(f"| {quantity.name} {quantity.arrow} | " + " | ".join(map(cell, cells)) + " |")
    costs: dict[str, Callable[[Entry], float | None]] = {
        "training, s": lambda e: e.status.get("seconds"),
        "images shown": lambda e: e.status.get("images"),
        "samples / s": lambda e: e.sampling.get("examples_per_second"),
    }
    for name, told in costs.items():
        means = [[v for e in table.of(label) if (v := told(e)) is not None] for label in table.labels]
        rows.append(f"| {name} | " + " | ".join(f"{sum(v) / len(v):,.0f}" if v else "" for v in means) + " | |")
    rows.append("| seeds | " + " | ".join(str(len(table.of(label))) for label in table.labels) + " | |")
    return "\n".join(rows)


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    files.write_bytes(target, files.read_bytes(source))


def objective_figures(folders: Sequence[Path], docs: Path) -> None:
    """The samples of seed 0 on 2-D data, by objective; the plainest recipe of an objective is taken."""
    entries, _ = gather(folders) if folders else ([], [])
    taken: set[Path] = set()
    for e in sorted(entries, key=lambda e: (len(e.label), e.seed)):
        files = sorted((e.path / "samples").glob("*.png"))
        target = docs / "figures" / f"objective-{e.recipe['objective']['type']}-{e.data[0]}.png"
        if files and e.env.get("shape") == [2] and target not in taken:
            copy(files[-1], target)
            taken.add(target)


ADVICE = """\
# Which model should I use?

Answered from this project's own studies, below; every sentence and table on this page is computed from their runs.
What the table cannot say, the design of each family does:

- you need **likelihoods** (anomaly scores, compression): a flow (`realnvp-`, `spline-`, `glow-` recipes) is the only
  family here that has exact ones; a VAE gives a lower bound; a GAN gives none;
- you need **codes of real examples** (search, features, editing): an autoencoder or a flow; a GAN has no encoder;
- you need **samples alone**: compare the GAN and flow rows below on data like yours, and read the cost column too.
"""


def build(docs: Path, folders: Sequence[Path]) -> list[Path]:
    """Write every generated page; returns them."""
    for folder in folders:
        if not (folder / "study.json").is_file() and not (folder / "lines.json").is_file():
            raise UserError(f"{folder} holds no study; give folders made by `triptych study`")
    pages: dict[Path, str] = {}
    named = [f for f in folders if (f / "study.json").is_file()]
    objective_figures(named, docs)
    pages[docs / "objectives.md"] = f"{SAID}\n# Objectives\n\n{table_of_objectives()}\n"
    for name, cls in objectives().items():
        pages[docs / "objectives" / f"{name}.md"] = page_of_objective(name, cls, docs / "figures")
    questions = [f"- `triptych study {name}`: {about}" for name, about in listing().items()]
    pages[docs / "studies.md"] = "\n".join([SAID, "# Named studies", "", *questions, ""])
    if folders:
        sections = [study_section(folder, docs) for folder in named]
        for folder in folders:
            if (folder / "lines.png").is_file():
                copy(folder / "lines.png", docs / "figures" / "parallel-lines.png")
                sections.append("## parallel-lines\n\n![Parallel lines](figures/parallel-lines.png)\n")
        pages[docs / "gallery.md"] = "\n".join([SAID, "# Gallery", "", *sections])
        pages[docs / "which-model.md"] = "\n".join(
            [SAID, ADVICE, *(part for folder in named for part in advice_from(folder))]
        )
    for path, text in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, text)
    return list(pages)


def advice_from(folder: Path) -> list[str]:
    """Verdicts and table of every data set of a study."""
    entries, _ = gather([folder])
    parts = []
    for table in tables(entries):
        parts += [f"## On {table.data}", "", *verdicts_of(table), "", markdown(table), ""]
    return parts


def main(argv: Sequence[str]) -> int:
    if not argv or argv[0].startswith("-"):
        say("usage: python -m triptych.cli.docs DOCS [STUDY ...]")
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    try:
        say(*build(Path(argv[0]), [Path(a) for a in argv[1:]]))
    except UserError as e:
        say(f"error: {e}", stderr=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
