"""The generated pages of `docs/`: `python -m triptych.cli.docs DOCS [STUDY ...]`.

Objectives are found by discovery: a new file in `objectives/` has its row and page with nothing else touched. The
gallery and the advice come from finished studies alone.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from pathlib import Path

from triptych.cli import gallery_page
from triptych.cli.docs_tables import cell, copy, folded, summary, verdicts_of
from triptych.cli.options import field_docs
from triptych.core import Objective, discover
from triptych.core.statistics import duration
from triptych.errors import UserError
from triptych.recipes.named import all_recipes
from triptych.recipes.times import measured
from triptych.report.entries import contract_words, gather, read_study_json
from triptych.report.table import tables
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

    texts = field_docs(cls)
    return {f.name: (f.default, texts.get(f.name, "")) for f in dataclasses.fields(cls)}  # type: ignore[arg-type]


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


def objective_figures(folders: Sequence[Path], docs: Path) -> None:
    """The samples of seed 0 on 2-D data, by objective; the plainest recipe of an objective is taken."""
    entries, _ = gather(folders) if folders else ([], [])
    taken: set[Path] = set()
    for e in sorted(entries, key=lambda e: (len(e.label), e.seed)):
        files = sorted((e.path / "samples").glob("*.png"))
        target = docs / "figures" / f"objective-{e.recipe['objective']['type']}-{e.data[0]}.png"
        if files and e.env.get("shape") == [2] and not e.yardstick and target not in taken:
            copy(files[-1], target)
            taken.add(target)


ADVICE = """\
# Which model should I use?

Answered from this project's own studies, below; every sentence and table on this page is computed from their runs.
A set without a section has had no study yet in which the recipes had equal effort. This makes one on your machine:

    triptych study three-families --equal seconds --budget 60

What the table cannot say, the design of each family does:

- you need **likelihoods** (anomaly scores, compression): a flow (`realnvp-`, `spline-`, `glow-` recipes) is the only
  family here that has exact ones; a VAE gives a lower bound; a GAN gives none;
- you need **codes of real examples** (search, features, editing): an autoencoder or a flow; a GAN has no encoder;
- you need **samples alone**: compare the GAN and flow rows below on data like yours, and read the cost column too.

Which recipe of each family to [begin with](begin.md), for each set of pictures and budget, stands on a page of its own.
What seven models make of [MNIST](gallery.md#three-families-mnist), and seven of
[CIFAR-10](gallery.md#three-families-cifar10), in ten minutes of a core each is in the gallery, with one seed and so
without verdicts.
"""

BEGIN = """\
# What to begin with

One recipe of each family for each set of pictures, the shortest first; behind each the time of its steps on one core of
the slowest kind of processor that was tried ({processor}). A core with bfloat16 instructions takes a quarter to a sixth
of it: some minutes for `-quick`, a first look, and about an hour for the plain name; `-full` is for a GPU. `triptych
recipes` says what they take where you are, and `--minutes 5` fits any of them to the time that you have.

How the GANs were picked stands in [adversarial](adversarial.md), the autoencoders in
[sharp autoencoders](sharp-autoencoders.md), the flows in [flows](flows.md); families had unequal numbers of trials.

| pictures | GAN | autoencoder | flow |
|---|---|---|---|
"""
BEGUN = {
    "drawn glyphs, 20 to 28 px": ("gan-glyphs", "vae-glyphs", "lcfm-glyphs"),
    "MNIST, 28 px": ("best-mnist", "vae-mnist-mixture", "lcfm-mnist"),
    "CIFAR-10, 32 px": ("best-cifar10", "fsq-cifar10", "lcfm-cifar10"),
    "birds, 32 px": ("best-birds", "fsq-birds", "lcfm-birds"),
    "birds, 64 px": ("best-birds64", "fsq-birds64", "lcfm-birds64"),
    "faces, 64 px": ("best-celeba64", "fsq-celeba64", "lcfm-celeba64"),
}


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
    zoo = docs.resolve().parent / "zoo"
    if folders or zoo.is_dir():
        pages[docs / "gallery.md"] = gallery_page.write(
            docs / "gallery.md", SAID, folders, zoo if zoo.is_dir() else None
        )
    if folders:
        pages[docs / "which-model.md"] = advice(docs / "which-model.md", named)
    pages[docs / "begin.md"] = f"{SAID}\n{beginning()}"
    for path, text in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, text)
    return list(pages)


def advice(page: Path, folders: Sequence[Path]) -> str:
    """Verdicts and table of every data set of these studies; those of other sets stay as they are."""
    kept = gallery_page.sections(page.read_text(encoding="utf-8")) if page.is_file() else {}
    for folder in folders:
        contract = contract_words(read_study_json(folder))
        for table in (every := tables(gather([folder])[0])):
            heading = f"On {table.data}"
            verdicts = "\n".join(verdicts_of(table, every))
            kept[heading] = "\n\n".join([f"## {heading}", contract, verdicts, summary(table), folded(table), ""])
    return "\n".join([SAID, ADVICE, *kept.values()])


def beginning() -> str:
    """The table of recipes to begin with, every budget of each with its time."""
    found = measured()
    times = found["minutes"]
    rows = []
    for pictures, names in BEGUN.items():
        every = [[(n, times[n]) for end in ("-quick", "", "-full") if (n := f"{name}{end}") in times] for name in names]
        cells = ["<br>".join(f"`{n}` {duration(60 * m)}" for n, m in budgets) for budgets in every]
        rows.append(f"| {pictures} | {' | '.join(cells)} |\n")
    return BEGIN.format(processor=found["processor"]) + "".join(rows)


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
