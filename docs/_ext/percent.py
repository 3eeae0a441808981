"""Tutorials: percent scripts, shown as pages and offered as notebooks.

A cell begins with a line `# %%`; one that begins with `# %% [markdown]` is text, in comments.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def cells(text: str) -> list[tuple[str, str]]:
    """(`markdown` or `code`, text) of every cell of a percent script."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("# %%"):
            found.append(("markdown" if "[markdown]" in line else "code", []))
        elif found:
            kind, lines = found[-1]
            lines.append(line.removeprefix("#").removeprefix(" ") if kind == "markdown" else line)
    return [(kind, body) for kind, lines in found if (body := "\n".join(lines).strip())]


def page(text: str, name: str) -> str:
    """The script as Markdown, with the notebook to take along."""
    parts = [body if kind == "markdown" else f"```python\n{body}\n```" for kind, body in cells(text)]
    take = f'<p>Take it along: <a href="../notebooks/{name}.ipynb" download>{name}.ipynb</a></p>'
    return "\n\n".join([parts[0], take, *parts[1:]]) + "\n"


def notebook(text: str) -> dict[str, Any]:
    """The script as a notebook, nbformat 4."""
    made = []
    for i, (kind, body) in enumerate(cells(text)):
        cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{i}", "metadata": {}, "source": body}
        made.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def as_page(app: Any, name: str, source: list[str]) -> None:
    """A tutorial's text becomes the page that it is."""
    if name.startswith("tutorials/"):
        source[0] = page(source[0], Path(name).name)


def write_notebooks(app: Any) -> None:
    """Before the build: a notebook of every tutorial."""
    home = Path(app.srcdir) / "_made" / "extra" / "notebooks"
    home.mkdir(parents=True, exist_ok=True)
    for script in sorted((Path(app.srcdir) / "tutorials").glob("*.py")):
        made = notebook(script.read_text(encoding="utf-8"))
        (home / f"{script.stem}.ipynb").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    app.connect("source-read", as_page, priority=400)
    app.connect("builder-inited", write_notebooks)
    return {"parallel_read_safe": True}
