"""Which plug-ins a run needs, and whether they are here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triptych.core import Recipe, plugins
from triptych.core.discovery import parts
from triptych.core.plugins import Plugin
from triptych.data import find
from triptych.errors import UserError


def used(recipe: Recipe) -> list[Plugin]:
    """The plug-ins that a recipe's objective, network or data come from."""
    active = plugins.active()
    found = {p for p in active if any(p.owns(type(part).__module__) for part in (recipe.objective, recipe.model))}
    if active and any(part.plugin for kind in ("source", "data set") for part in parts(kind).values()):
        named = parts("data set").get(recipe.data.name)
        home = type(find(recipe.data.name)).__module__
        found |= {p for p in active if p.owns(home) or (named is not None and named.plugin == p)}
    return [p for p in active if p in found]


def needed(recipe: Recipe) -> list[dict[str, str]]:
    """What a run remembers of them."""
    return [p.record() for p in used(recipe)]


def check_present(path: Path, asked: Mapping[str, Any]) -> None:
    """UserError where a plug-in that recipe.json names is not here. None is ever imported for its sake."""
    for one in asked.get("plugins", ()):
        if plugins.called(one["name"]) is None:
            if "package" in one:
                what, advice = f"package {one['package']} {one.get('version', '')}", "install it"
            else:
                what, advice = f"sha256 {one.get('sha256', '')[:12]}", f"give --plugin {one.get('file', one['name'])}"
            raise UserError(f"{path} needs the plug-in {one['name']} ({what}), which is not here; {advice}")


def changed(asked: Mapping[str, Any]) -> str:
    """How a plug-in differs from the one that the run was made with, in words; empty where none does."""
    for one in asked.get("plugins", ()):
        plugin = plugins.called(one["name"])
        now = {} if plugin is None else plugin.record()
        for field in ("version", "sha256"):
            if one.get(field) != now.get(field):
                was, is_now = (str(v or "none")[:12] for v in (one.get(field), now.get(field)))
                return f"the plug-in {one['name']} has changed: its {field} was {was} and is {is_now}"
    return ""
