"""Which statements of a contest survive: the same recipes under several conditions, their clear verdicts compared.

`python benchmarks/rankings.py --title budget half=FOLDER plain=FOLDER double=FOLDER` reads finished studies: at half
and double budget (`triptych study FILE.yaml --equal seconds --budget N`), on the plane as it stands and turned, or
judged by extractors of other seeds. A statement is one recipe that is clearly better than another on one axis of one
data set; an angle in the set's and the recipe's names is left out, so that a turned set is compared with the straight
one. It survives where every condition makes it, and is reversed where one makes its opposite.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from common import record

from triptych.report.axes import judge_axes
from triptych.report.entries import gather
from triptych.report.matrix import ranked
from triptych.report.table import Table, tables
from triptych.report.turned import plain

Statement = tuple[str, str, str, str]
"""Set, axis, the better recipe, the worse."""


def statements(table: Table) -> set[Statement]:
    return {
        (plain(table.data), verdict.axis, plain(pair.better), plain(pair.worse))
        for verdict in judge_axes(table)
        for pair in verdict.pairs
        if pair.grade == "clear"
    }


def reverse(statement: Statement) -> Statement:
    data, axis, better, worse = statement
    return data, axis, worse, better


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="+", metavar="CONDITION=FOLDER")
    parser.add_argument("--title", required=True, help="what differs: budget, turn, extractor")
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    conditions: dict[str, set[Statement]] = {}
    ranks: dict[str, dict[str, list[str]]] = {}
    for words in args.studies:
        name, _, folder = words.partition("=")
        for table in tables(gather([Path(folder)])[0]):
            # a study of both orientations is two conditions
            condition = name + (" turned" if plain(table.data) != table.data else "")
            conditions.setdefault(condition, set()).update(statements(table))
            ranks.setdefault(plain(table.data), {})[condition] = [plain(label) for label in ranked(table)]
    every = set().union(*conditions.values())
    kept = set.intersection(*conditions.values())
    reversed_ = {s for s in every if reverse(s) in every}
    axes = sorted({axis for _, axis, _, _ in every})
    record(
        f"rankings-{args.title}",
        f"clear statements of one contest, {args.title}: {len(conditions)} conditions ({', '.join(conditions)})",
        "recorded: which survive",
        f"{len(kept)} of {len(every)} statements stand under every condition, {len(reversed_) // 2} are reversed; "
        + ", ".join(f"{axis} {sum(s[1] == axis for s in kept)} of {sum(s[1] == axis for s in every)}" for axis in axes),
        None,
        {
            "ranks": ranks,
            "survive": sorted(map(list, kept)),
            "reversed": sorted(map(list, reversed_)),
            "made": {name: sorted(map(list, found)) for name, found in conditions.items()},
        },
        args.note,
    )


if __name__ == "__main__":
    main()
