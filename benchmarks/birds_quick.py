"""The birds study at `--scale quick`: the kernel distance (KID) of three losses and of the recommended recipe.

Reads a finished and judged study: `triptych study birds --scale quick --seeds 3`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from common import record

from triptych.core.statistics import welch
from triptych.report.entries import gather
from triptych.report.table import tables

BEST = "best-birds-quick"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, help="folder made by `triptych study birds --scale quick`")
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    entries, _ = gather([args.study])
    (table,) = tables(entries)
    kernel = "kernel_v1" if "kernel_v1" in table.metrics else "kernel"
    shown = [m for m in table.metrics if m.split("_")[0] in ("kernel", "frechet", "precision", "recall", "coverage")]
    values = {label: {m: table.numbers(label, m) for m in shown} for label in table.labels}
    best = values[BEST][kernel]
    p = {label: welch(best, v[kernel]) for label, v in values.items() if label != BEST}
    said = []
    for label in table.labels:
        found = table.estimate(label, kernel)
        assert found is not None
        text = f"{label} {found.mean:.4f} ± {found.half_width:.4f}"
        said.append(text + (f" (p = {p[label]:.2g})" if label in p else ""))
    lower = all(sum(best) / len(best) < sum(values[k][kernel]) / len(values[k][kernel]) for k in p)
    seconds = {e.path.name: e.status["seconds"] for e in entries}
    record(
        "birds-quick",
        f"birds at quick scale, {len(best)} seeds: KID by the offline extractor, mean ± 95 % interval",
        f"mean of {BEST} lower than all three's; p by Welch says how sure that is",
        f"{'; '.join(said)}; floor {table.floor(kernel):.4f}; slowest run {max(seconds.values()):.0f} s",
        lower,
        {"metrics": values, "p": p, "seconds": seconds, "extractor": entries[0].values[kernel]["extractor"]},
        args.note,
    )


if __name__ == "__main__":
    main()
