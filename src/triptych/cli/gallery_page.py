"""`docs/gallery.md`: of each study the pictures first, three side by side, then its numbers, folded."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from triptych.cli import gallery_figures, gallery_zoo
from triptych.cli.docs_tables import copy, markdown, verdicts_of
from triptych.core import Recipe, encode
from triptych.core.statistics import format_number
from triptych.figures.charts import panels as panels_of
from triptych.report import effort
from triptych.report.cards import Card, picture_row
from triptych.report.entries import gather, read_study_json
from triptych.report.matrix import leading_few
from triptych.report.pictures import sheets_of
from triptych.report.table import Table, tables
from triptych.study import named
from triptych.study.budgets import CADENCES
from triptych.study.study import Scale
from triptych.system.console import printable
from triptych.system.shell import shell

ABREAST = 3
"""Panels in a row."""
KEPT = "gallery"
"""The folder of the repository that holds studies without their weights."""
HEAD = """\
# Gallery

Pictures from real runs, samples of seed 0, not chosen. Below each: its family, the time it took to train, its
distance from real examples with the floor (what two sets of real examples are apart), and how much of the data it
covers. The numbers of every metric, with what is certain over seeds, are folded away below the pictures.

A study that lies in `gallery/` has its whole page without training anything: `triptych report gallery/NAME`. Of sets
whose terms forbid it no real example is kept there; `python -m triptych.cli.gallery fill gallery/NAME` draws them into
it where the data are. [The figures of the write-ups](writeups.md) are listed on a page of their own.
"""


def write(page: Path, said: str, studies: Sequence[Path], zoo: Path | None = None) -> str:
    """The page's text with a section for each of these studies, and first one for a zoo; other sections stay."""
    kept = sections(page.read_text(encoding="utf-8")) if page.is_file() else {}
    if zoo is not None:
        kept = {gallery_zoo.TITLE: gallery_zoo.section(zoo, page.parent), **without(kept, gallery_zoo.TITLE)}
    for study in studies:
        if (study / "lines.png").is_file():
            copy(study / "lines.png", page.parent / "figures" / "parallel-lines.png")
            kept[named.LINES] = lines_section()
        else:
            kept[title(study)] = section(study, page.parent)
    return "\n".join([said, HEAD, *kept.values()])


def without(parts: Mapping[str, str], title: str) -> dict[str, str]:
    return {k: v for k, v in parts.items() if k != title}


def sections(text: str) -> dict[str, str]:
    """The sections of a page by their headings."""
    found = re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]
    return {part.split("\n", 1)[0].removeprefix("## ").strip(): part.rstrip("\n") + "\n" for part in found}


def title(folder: Path) -> str:
    """What a study is called on the page: one that is kept beside the program by its folder, for its scale."""
    return folder.name if folder.resolve().parent.name == KEPT else read_study_json(folder)["name"]


def lines_section() -> str:
    about = named.listing()[named.LINES]
    picture = "![Divergences and gradients over the offset](figures/parallel-lines.png)"
    return f"## {named.LINES}\n\n{about}\n\n{picture}\n\n    triptych study {named.LINES}\n"


def section(folder: Path, docs: Path) -> str:
    """Markdown of one finished study; its pictures are copied beside the page."""
    told = read_study_json(folder)
    entries, _ = gather([folder])
    made = [effort.with_reach(table) for table in tables(entries)]
    name, kept = title(folder), folder.resolve().parent.name == KEPT
    parts = [f"## {name}", "", told["about"], "", f"    {command(told, made)}"]
    if kept:
        parts += [f"    triptych report {KEPT}/{name}        # its page, without training"]
    note = printable(str(told.get("note", "")))
    parts += ["", *([note, ""] if note else []), *otherwise(told, made, beside(folder, told) if kept else ())]
    for table in made:
        cards = [card for card in picture_row(table, (), []).cards if card.label not in table.yardsticks]
        if not cards:
            continue  # a set that no recipe was trained on
        shown = [(card, file) for card in cards if (file := kept_picture(name, table, card, docs)) is not None]
        labels = [card.label for card in cards]
        parts += [f"### {table.data}", "", *panels(table, shown), *kept_curves(name, table, docs)]
        parts += gallery_figures.over_training(name, table, labels, docs)
        parts += gallery_figures.walks(table, labels, docs) if kept else []
        parts += ["<details><summary>All numbers, and what is certain</summary>", ""]
        parts += [*verdicts_of(table, made), "", markdown(table), "", "</details>", ""]
    return "\n".join(parts)


def command(told: Mapping[str, Any], made: Sequence[Table]) -> str:
    """The command that makes such a study, at the scale whose budgets are most like these."""
    words = ["triptych", "study", told["name"]]
    if told["name"] in named.studies():
        words += ["--scale", scale_of(told, made) or "quick"]
    if contract := told["contract"]:
        words += ["--equal", contract["equal"], "--budget", f"{contract['budget']:g}"]
    return shell(*words, "--seeds", str(told.get("seeds", 3)))


def beside(folder: Path, told: Mapping[str, Any]) -> set[str]:
    """Recipes of other parts of the same study that lie beside it, each a section of its own."""
    own = folder.resolve()
    parts = [read_study_json(p.parent) for p in own.parent.glob("*/study.json") if p.parent != own]
    same = [part for part in parts if part["name"] == told["name"] and part["contract"] == told["contract"]]
    return {row["recipe"] for part in same for row in part["runs"]}


def otherwise(told: Mapping[str, Any], made: Sequence[Table], elsewhere: Collection[str]) -> list[str]:
    """What is said where the named study has other recipes or budgets by now, or more of them.

    Those of `elsewhere` are shown, in another section.
    """
    if told["name"] not in named.studies():
        return []
    scale = scale_of(told, made)
    if scale is None:
        return ["Some budgets of the study are others today.", ""]
    own, recipes = trained(told, made), named.get(told["name"], scale).recipes
    left = [r for r in recipes if key(told, r.name, r.train.images) not in own and r.name not in elsewhere]
    begun = {r.data.name for r in recipes if r not in left}
    missing = sorted({r.name for r in left if r.data.name in begun})
    missing += [f"all of {data}" for data in sorted({r.data.name for r in left} - begun)]
    return [f"Not trained at these budgets: {', '.join(missing)}.", ""] if missing else []


def scale_of(told: Mapping[str, Any], made: Sequence[Table]) -> Scale | None:
    """The scale of the named study that has every recipe of these runs, with its budget; None for none.

    Of several the one whose recipes are most like theirs, then the one whose whole study is the shortest, then the
    fullest of those as short; under a contract, which has budgets of its own, the least of these.
    """
    own, known = trained(told, made), dict[Scale, tuple[int, int]]()
    for scale in get_args(Scale) if told["contract"] else reversed(get_args(Scale)):
        recipes = {r.name: r for r in named.get(told["name"], scale).recipes}
        if own <= {key(told, r.name, r.train.images) for r in recipes.values()}:
            alike = sum(is_of(e.recipe, recipes[e.name]) for t in made for e in t.entries if not e.yardstick)
            known[scale] = (-alike, sum(r.train.images for r in recipes.values()))
    return min(known, key=lambda scale: known[scale], default=None)


def is_of(trained: Mapping[str, Any], recipe: Recipe) -> bool:
    """Whether a run's recipe is this one, whatever budget it was given; fields that it does not name were not there."""
    now = encode(recipe)
    apart = {"images", *CADENCES}
    return all(
        value == now[part].get(field)
        for part in ("model", "objective", "train")
        for field, value in trained[part].items()
        if part != "train" or field not in apart
    )


def trained(told: Mapping[str, Any], made: Sequence[Table]) -> set[tuple[str, int]]:
    """Recipes of a study's runs, with their budgets."""
    return {key(told, e.name, e.recipe["train"]["images"]) for t in made for e in t.entries if not e.yardstick}


def key(told: Mapping[str, Any], name: str, images: int) -> tuple[str, int]:
    """A recipe and its budget; 0 where a contract set it."""
    return name, 0 if told["contract"] else images


def kept_curves(study: str, table: Table, docs: Path) -> list[str]:
    """The chart of quality over minutes of training, drawn beside the page; nothing where too little was logged."""
    name, runs = effort.over_minutes(table)
    if not any(len(curve) > 1 for curves in runs.values() for curve in curves):
        return []
    file = gallery_figures.named_after(study, table, "minutes.png")
    panels_of({name: runs}, docs / "figures" / file, xlabel="minutes of training", powers=[name], log_x=True)
    return [f"![{name} over minutes of training](figures/{file})", ""]


def kept_picture(study: str, table: Table, card: Card, docs: Path) -> str | None:
    """The newest samples of a recipe's first seed, copied; their path from the page. None where there are none."""
    found = sheets_of(table.of(card.label)[0], "samples")
    if not found:
        return None
    name = gallery_figures.named_after(study, table, f"{card.label}{found[-1].suffix}")
    copy(found[-1], docs / "figures" / name)
    return f"figures/{name}"


def panels(table: Table, shown: Sequence[tuple[Card, str]]) -> list[str]:
    """Rows of panels: the best of each family first, then the others by rank."""
    first = {card.family: card.label for card, _ in reversed(shown)}
    ordered = sorted(shown, key=lambda one: one[0].label not in first.values())
    rows = []
    for i in range(0, len(ordered), ABREAST):
        row = ordered[i : i + ABREAST]
        rows += ["| " + " | ".join(f"{card.name} ({card.family})" for card, _ in row) + " |", "|---" * len(row) + "|"]
        rows += ["| " + " | ".join(f"![samples of {card.label}]({file})" for card, file in row) + " |"]
        rows += ["| " + " | ".join(line(table, card) for card, _ in row) + " |", ""]
    return rows


def line(table: Table, card: Card) -> str:
    """The number line of one panel."""
    told = [f"{card.time} on {table.of(card.label)[0].env.get('processor', 'an unknown processor')}"]
    for metric in leading_few(table, ABREAST):
        found, floor = table.estimate(card.label, metric), table.floor(metric)
        if found is not None:
            beside = "" if floor is None else f" (floor {format_number(floor)})"
            told.append(f"{table.quantity(metric).name} {format_number(found.mean)}{beside}")
    return " · ".join(told)
