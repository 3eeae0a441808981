"""The reference pages: the API from docstrings, the command line from its parser, recipes and metrics."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOMS = (
    "core",
    "data",
    "models",
    "objectives",
    "metrics",
    "recipes",
    "figures",
    "run",
    "evaluate",
    "trainer",
    "explore",
)
MANY = ("study", "report", "errors")


def prose(text: str) -> str:
    """A docstring as Markdown: indented algorithms stay as they are, and nothing is taken for HTML."""
    return text.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_") if "`" not in text else escaped(text)


def escaped(text: str) -> str:
    """Text outside backticks without markup of its own."""
    parts = re.split(r"(`+[^`]*`+)", text)
    return "".join(p if p.startswith("`") else re.sub(r"([*_<\[\]$])", r"\\\1", p) for p in parts)


def entry(dotted: str, thing: Any) -> str:
    """Markdown of one public name: signature, docstring, fields with their lines, methods with their first sentence."""
    try:
        signature = str(inspect.signature(thing)) if callable(thing) else ""
    except (TypeError, ValueError):
        signature = ""
    signature = re.sub(r"<[^>]*>", "...", signature)
    kind = "class " if inspect.isclass(thing) else ""
    doc = inspect.cleandoc(thing.__doc__ or "") if callable(thing) or inspect.ismodule(thing) else ""
    parts = [f"### {dotted.rsplit('.', 1)[1]}", f"```python\n{kind}{dotted}{signature}\n```", prose(doc)]
    if inspect.isclass(thing):
        parts += members(thing)
    return "\n\n".join(p for p in parts if p)


def members(cls: type) -> list[str]:
    """Fields and public methods of a class."""
    from triptych.cli.options import field_docs

    rows = []
    if dataclasses.is_dataclass(cls):
        texts: dict[str, str] = {}
        for base in reversed(cls.__mro__):
            if dataclasses.is_dataclass(base):
                texts |= field_docs(base)
        for field in dataclasses.fields(cls):
            told = " ".join(texts.get(field.name, "").split())
            rows.append(f"- `{field.name}`" + (f": {prose(told)}" if told else ""))
    for name, value in vars(cls).items():
        shown = value.fget if isinstance(value, property) else value
        if name.startswith("_") or not inspect.isfunction(shown) or not shown.__doc__:
            continue
        arguments = "" if isinstance(value, property) else "()"
        rows.append(f"- `{name}{arguments}`: {prose(' '.join(inspect.cleandoc(shown.__doc__).split()))}")
    return ["\n".join(rows)] if rows else []


def api() -> dict[str, str]:
    """A page for each room, of every name that it hands on, and one for the top."""
    pages = {"top": room("triptych")}
    for name in (*ROOMS, *MANY):
        pages[name] = room(f"triptych.{name}")
    return pages


def room(dotted: str) -> str:
    module = importlib.import_module(dotted)
    names = getattr(module, "__all__", [n for n, v in vars(module).items() if getattr(v, "__module__", "") == dotted])
    parts = [f"# {dotted}", prose(inspect.cleandoc(module.__doc__ or ""))]
    for name in sorted(names, key=str.lower):
        value = getattr(module, name)
        if inspect.ismodule(value):
            parts.append(f"### {name}\n\nThe room [{name}]({name}.md).")
        else:
            parts.append(entry(f"{dotted}.{name}", value))
    return "\n\n".join(parts) + "\n"


def command_line() -> str:
    """`--help` of everything, as the parser gives it."""
    from triptych.cli.dispatch import COMMANDS

    parts = ["# The command line", "`triptych --help` lists the commands; each explains itself, as here."]
    for words in ([], *([name] for name in COMMANDS), ["train", "wgan-gp-25gaussians"], ["data", "prepare"]):
        env = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
        run = subprocess.run(
            [sys.executable, "-m", "triptych", *words, "--help"], capture_output=True, encoding="utf-8", env=env
        )
        if run.returncode:
            raise RuntimeError(f"triptych {' '.join(words)} --help: {run.stderr}")
        parts += [f"## triptych {' '.join(words)}".strip(), f"```text\n{run.stdout.strip()}\n```"]
    return "\n\n".join(parts) + "\n"


def cell(text: object) -> str:
    return escaped(str(text)).replace("|", "\\|")


def recipes() -> str:
    """Every named recipe by its data, the recommended ones first."""
    from triptych.recipes.named import all_recipes

    groups: dict[str, list[tuple[str, Any]]] = {}
    for name, recipe in all_recipes().items():
        groups.setdefault(recipe.data.name, []).append((name, recipe))
    parts = ["# Recipes", "`triptych train NAME`. Those that begin with `best` are recommended, and stand first."]
    for data, found in groups.items():
        parts += [f"## {data}", "| recipe | objective | network | images | what it is |\n|---|---|---|---|---|"]
        for name, recipe in sorted(found, key=lambda told: (not told[0].startswith("best"), told[0])):
            of = type(recipe.objective).__name__
            link, network = f"[{of}](../../objectives/{of}.md)", type(recipe.model).__name__
            row = f"| `{name}` | {link} | `{network}` | {recipe.train.images:,} | {cell(recipe.about)} |"
            parts[-1] += f"\n{row}"
    return "\n\n".join(parts) + "\n"


def metrics() -> str:
    """Every number that a metric makes."""
    from triptych.core import Metric, discover

    parts = ["# Metrics", "How they are made and read: [metrics](../../metrics.md)."]
    for name, metric in discover("metrics", Metric).items():
        parts += [f"## {name}", prose(inspect.cleandoc(metric.__doc__ or ""))]
        rows = "| name | shown as | better | axis | what it is |\n|---|---|---|---|---|"
        for key, q in metric.quantities.items():
            rows += f"\n| `{key}` | {cell(q.name)} | {q.better or cell(q.neither)} | {q.axis} | {cell(q.about)} |"
        parts.append(rows)
    return "\n\n".join(parts) + "\n"


def write_pages(app: Any) -> None:
    """Before the build: the pages, each only where it changed."""
    home = Path(app.srcdir) / "_made" / "reference"
    pages = {f"api/{name}": text for name, text in api().items()}
    pages |= {"commands": command_line(), "recipes": recipes(), "metrics": metrics()}
    for name, text in pages.items():
        path = home / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}
