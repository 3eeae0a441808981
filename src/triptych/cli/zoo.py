"""`triptych zoo`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from rich.table import Table
from tyro.conf import Positional, arg

from triptych.cli.arguments import parse
from triptych.cli.explore import RunFolder, Which
from triptych.cli.options import print_help
from triptych.errors import UserError, nearest
from triptych.system.console import console, printable, say


def list_entries() -> None:
    """Every trained run of the zoo, with its numbers; `sample zoo:NAME` and every other command on runs opens it."""
    from triptych.core.statistics import duration
    from triptych.run import zoo

    place = zoo.home()
    entries = zoo.index(place)
    table = Table(box=None, pad_edge=False)
    for title in ("name", "family", "data", "trained in", "numbers (floor)", "MB", "use of the weights"):
        table.add_column(title, justify="right" if title in ("trained in", "MB") else "left")
    total = 0
    for name, entry in entries.items():
        size = sum(told["bytes"] for told in entry["files"].values())
        total += size
        cells = [name, entry["family"], entry["data"], duration(entry["seconds"])]
        told = [*map(number, entry["numbers"]), *filter(None, [entry.get("remark")])]
        cells += ["\n".join(told), f"{size / 1e6:.2f}", entry["licence"]]
        table.add_row(*map(printable_lines, cells))
    out = console()
    out.print(table)
    many = "1 entry" if len(entries) == 1 else f"{len(entries)} entries"
    out.print(f"\n{many}, {total / 1e6:.1f} MB, of {printable(str(place))}", markup=False)


def printable_lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))


def number(told: Mapping[str, Any]) -> str:
    """A number of an entry: its name, value ± half of its 95 % interval, and floor."""
    from triptych.core.statistics import format_number

    title = ", ".join(filter(None, [told["title"], str(told.get("variant", ""))]))
    spread = f" ± {format_number(1.96 * told['se'])}" if told.get("se") else ""
    floor = f" ({format_number(told['floor'])})" if told.get("floor") is not None else ""
    return f"{title} {format_number(told['value'])}{spread}{floor}"


def add(
    run: RunFolder,
    name: Annotated[Positional[str], arg(metavar="NAME", help="of the entry: zoo:NAME opens it from then on")],
    which: Which = "last",
    remark: Annotated[str, arg(help="a line on it, for its card and the list")] = "",
) -> None:
    """Write a finished run as an entry of the zoo: weights in half precision, recipe, numbers and a card.

    The zoo is the folder that $TRIPTYCH_ZOO names, else zoo/ of the repository. Only the players that sample go
    into it; a critic stays out.
    """
    from triptych.run import zoo_entry

    folder, how = zoo_entry.add(run, name, which, remark)
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    say(folder, f"{size / 1e6:.2f} MB; weights {how}")


def remove(
    name: Annotated[Positional[str], arg(metavar="NAME", help="of the entry")],
) -> None:
    """Take an entry out of the zoo, and its files with it; the run that it was made of stays."""
    from triptych.run import zoo_entry

    say(zoo_entry.remove(name), "removed")


COMMANDS = {"list": list_entries, "add": add, "remove": remove}


def zoo(argv: Sequence[str]) -> None:
    """List trained runs, and add to them: `triptych zoo [list|add RUN NAME|remove NAME]`."""
    if argv and argv[0] in ("-h", "--help"):
        lines = [f"  {name:<8} {(f.__doc__ or ' ').splitlines()[0]}" for name, f in COMMANDS.items()]
        print_help("zoo [COMMAND ...]", "\n".join(lines))
        return
    command, rest = (argv[0], argv[1:]) if argv else ("list", [])
    if command not in COMMANDS:
        hint = nearest(command, COMMANDS, f"there are {', '.join(COMMANDS)}")
        raise UserError(f"{command!r} is not a zoo command; {hint}")
    parse(COMMANDS[command], f"zoo {command}", rest)
