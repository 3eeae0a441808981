"""Make README.md from the records in results/."""

from __future__ import annotations

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEAD = """# Benchmarks

Every claim has a script here and a record in `results/` (command, commit, versions, processor, seeds, every value).
Peers run in the same session, in turns with ours. This table is made by `make bench-table`; nothing in it is typed in.

| claim | target | measured | | command | commit | processor |
|---|---|---|---|---|---|---|
"""
MARK = {True: "met", False: "**missed**", None: "recorded"}


def main() -> None:
    rows, notes = [], []
    for file in sorted((HERE / "results").glob("*.json")):
        r = json.loads(file.read_text(encoding="utf-8"))
        if "claim" not in r:
            continue
        where = f"{r['processor']}, {r['cores']} cores" if r["cores"] else r["processor"]
        cells = [r["claim"], r["target"], r["measured"], MARK[r["met"]], f"`{r['command']}`", r["commit"], where]
        rows.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
        if r["notes"]:
            notes.append(f"- **{r['claim']}**: {r['notes']}")
    text = HEAD + "\n".join(rows) + "\n"
    if notes:
        text += "\n## What fell short, and what was tried\n\n" + "\n".join(notes) + "\n"
    (HERE / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
