"""Figures of a study in `gallery/` for the pages: samples over training, and what its models make along a line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from triptych.figures import tiles
from triptych.figures.canvas import open_picture, save_picture
from triptych.report.entries import Entry
from triptych.report.pictures import corner, epoch, moment, sheets_of, spread
from triptych.report.table import Table, short_names

MOMENTS = 6
"""Of training, in one row."""
SIDE = 3
"""Pictures of a side of one moment's cell."""
WALKS = {
    "reconstructions": "Held-out examples, each beside its reconstruction",
    "linear": "Straight lines between codes, one in each row",
    "sweep": "One latent dimension at a time, one in each row",
}
"""Sheets shown, by their folder or the name of the file, in this order."""


def over_training(study: str, table: Table, labels: Sequence[str], docs: Path) -> list[str]:
    """One picture of the samples of all recipes over training, a row for each; nothing where no run kept three."""
    rows, named, heads, names = [], [], list[str](), short_names(table)
    for label in labels:
        entry = table.of(label)[0]
        kept = [(at, file) for file in sheets_of(entry, "samples") if (at := moment(file)) is not None]
        if len(entry.env.get("shape", ())) != 3 or len(kept) < 3:
            continue
        last, shown = kept[-1][0], spread([file for _, file in kept], MOMENTS)
        rows.append([corner(open_picture(file).convert("RGB"), entry, SIDE) for file in shown])
        if len(shown) > len(heads):
            heads = [f"{at / last:.0%} of the training" if at else "start" for at, file in kept if file in shown]
        named.append(f"{names[label]}\nto epoch {epoch(entry, last)}" if epoch(entry, last) else names[label])
    if not rows:
        return []
    file = named_after(study, table, "training.webp")
    save_picture(tiles.board(rows, named, heads), docs / "figures" / file, quality=85)
    return [f"![samples over training](figures/{file})", ""]


def named_after(study: str, table: Table, what: str) -> str:
    """The file of a figure of a study's data set."""
    return f"{study}-{table.data}-{what}".replace(" ", "").replace("/", "-")


def walks(table: Table, labels: Sequence[str], docs: Path) -> list[str]:
    """What the first run of each recipe makes along lines and of held-out examples, folded; nothing where none did."""
    parts = []
    names = short_names(table)
    for kind, about in WALKS.items():
        found = [(names[label], file) for label in labels if (file := sheet(table.of(label)[0], kind)) is not None]
        if found:
            parts += [f"<details><summary>{about}</summary>", ""]
            parts += [
                f"{name}:\n\n![{name}: {about}]({os.path.relpath(file.resolve(), docs.resolve())})\n"
                for name, file in found
            ]
            parts += ["</details>", ""]
    return parts


def sheet(entry: Entry, kind: str) -> Path | None:
    """The newest sheet of that kind; of points and tables none."""
    if len(entry.env.get("shape", ())) != 3:
        return None
    found = sheets_of(entry, kind)
    if kind == "linear":
        found = [file for file in sheets_of(entry, "interpolation") if file.stem == kind]
    return found[-1] if found else None
