"""How long `--help` takes, as a whole process."""

from __future__ import annotations

import statistics
import subprocess
import sys

from common import in_turns, record


def call(*argv: str) -> None:
    subprocess.run([sys.executable, "-m", "triptych", *argv], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    ways = {
        "--help": lambda: call("--help"),
        "train --help": lambda: call("train", "--help"),
        "resume --help": lambda: call("resume", "--help"),
        "evaluate --help": lambda: call("evaluate", "--help"),
        "train wgan-gp-25gaussians --help": lambda: call("train", "wgan-gp-25gaussians", "--help"),
    }
    times = in_turns(ways, rounds=9)
    median = {k: statistics.median(v) for k, v in times.items()}
    slowest = max(v for k, v in median.items() if "25gaussians" not in k)
    recipe = median["train wgan-gp-25gaussians --help"]
    record(
        "startup",
        "`triptych --help` and `COMMAND --help`; `train RECIPE --help`",
        "< 0.4 s; < 2 s",
        f"slowest {slowest:.2f} s; {recipe:.2f} s (medians of 9)",
        slowest < 0.4 and recipe < 2,
        {"seconds": times},
    )


if __name__ == "__main__":
    main()
