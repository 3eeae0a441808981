"""Bits per dimension over time of a picture flow's run folder: the curve, and where it stood when."""

from __future__ import annotations

import argparse

from common import record

from triptych.run.folder import Run

TARGETS = {"mnist": (1.25, 60), "cifar10": (3.9, 90)}
ASKED = (10, 30, 60, 90)
"""Minutes at which the last curve point is quoted."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="run folder of a picture flow")
    args = parser.parse_args()
    run = Run(args.run)
    curve = [
        {k: line[k] for k in ("images", "seconds", "bits_per_dim", "round_trip", "nonfinite")}
        for line in run.lines()
        if "bits_per_dim" in line
    ]
    name = run.recipe.data.name
    bits, minutes = TARGETS[name]
    reached = [p for p in curve if p["bits_per_dim"] <= bits and p["seconds"] <= 60 * minutes]
    last = curve[-1]
    when = f"; {bits} reached by {reached[0]['seconds'] / 60:.1f} min" if reached else ""
    stood = {m: [p["bits_per_dim"] for p in curve if p["seconds"] <= 60 * m][-1] for m in ASKED if m <= minutes}
    at = ", ".join(f"{b:.3f} at {m}" for m, b in stood.items() if 60 * m <= last["seconds"])
    record(
        f"flows-{name}",
        f"{run.recipe.name}: bits per dimension on {min(run.env['test']['examples'], 10_000):,} test pictures, 8 bit",
        f"≤ {bits} within {minutes} min",
        f"{last['bits_per_dim']:.3f} after {last['seconds'] / 60:.1f} min, {last['images']:,} images{when}"
        + (f"; stood at {at} min" if at else ""),
        bool(reached),
        {"curve": curve, "recipe": run.asked, "threads": run.env["threads"]},
        f"the run was {last['seconds'] / 60:.1f} of {minutes} min long, on {run.env['threads']} thread(s)",
    )


if __name__ == "__main__":
    main()
