"""What the terms of a data set leave free: what was learned from it, and its pictures."""

from __future__ import annotations

from triptych.data import by_name

UNKNOWN = "your own pictures: your own terms"
FREE = ("drawn by the program", "none stated", "MIT", "Creative Commons Attribution", "CC BY 4.0")
"""How terms begin that do."""


def terms(name: str) -> str:
    """The terms of a named set; of a path, that its owner knows them."""
    source = by_name(name)
    return UNKNOWN if source is None else str(source.card.get("licence") or UNKNOWN)


def free(name: str) -> bool:
    """Whether weights and pictures of a set may be handed on as the program is."""
    return terms(name).startswith(FREE)
