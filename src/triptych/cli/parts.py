"""`triptych parts`."""

from __future__ import annotations

from rich.table import Table

from triptych.system.console import console


def parts() -> None:
    """Every part by kind: objectives, networks, metrics, data sets and so on, a line each, with where it comes from."""
    from triptych.core import discovery

    table = Table(box=None, show_header=False, pad_edge=False)
    for kind in discovery.KINDS:
        for part in discovery.parts(kind.name).values():
            where = "triptych" if part.plugin is None else f"plug-in {part.plugin.label}"
            table.add_row(kind.name, part.name, where, part.about)
    console().print(table)
