"""The explorer's page in Chromium: how large it is, when its first pictures are there, and how fast they follow.

python benchmarks/explore_page.py demo/explore.html [--name quickstart] [--note TEXT]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
from pathlib import Path

from common import record
from playwright.sync_api import Page, sync_playwright

FIRST, MOVE, ALL, SIZE = 1.5, 50, 300, 12
MOVES = 40
SEEDS = 5


def wait(page: Page, condition: str) -> None:
    """Until a condition holds in the page, whose policy forbids it to be asked in the usual way."""
    page.evaluate(
        f"new Promise(done => {{ const look = () => ({condition}) ? done() : setTimeout(look, 5); look(); }})"
    )


def opened(file: Path, rounds: int) -> dict[str, list[float]]:
    """Milliseconds: to the first pictures of all models, of each slider's move, and of 64 samples of all."""
    found: dict[str, list[float]] = {"first": [], "moves": [], "samples": []}
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for _ in range(rounds):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(file.absolute().as_uri())
            wait(page, "window.triptych")
            page.evaluate("triptych.ready")
            found["first"].append(page.evaluate("triptych.times.first"))
            slider = page.locator("#controls fieldset:nth-of-type(2) input[type=range]").first
            for _ in range(MOVES):
                done = page.evaluate("triptych.times.moves.length")
                slider.press("ArrowRight" if page.evaluate("triptych.times.moves.length % 2") else "ArrowLeft")
                wait(page, f"triptych.times.moves.length > {done}")
            for _ in range(SEEDS):
                done = page.evaluate("triptych.times.samples.length")
                page.get_by_role("button", name="Next seed").click()
                wait(page, f"triptych.times.samples.length > {done}")
            found["moves"] += page.evaluate("triptych.times.moves")[-MOVES - SEEDS : -SEEDS]
            found["samples"] += page.evaluate("triptych.times.samples")[-SEEDS:]
            page.close()
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("--name", default="quickstart")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--note", default="")
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    found = opened(asked.page, asked.rounds)
    megabytes = asked.page.stat().st_size / 2**20
    first, move, samples = (statistics.median(found[k]) for k in ("first", "moves", "samples"))
    met = megabytes <= SIZE and first <= 1000 * FIRST and move <= MOVE and samples <= ALL
    record(
        f"explore-page-{asked.name}",
        f"the explorer's page of the {asked.name} models in Chromium",
        f"≤ {SIZE} MB; pictures in ≤ {FIRST} s; a slider's move ≤ {MOVE} ms; 64 of each ≤ {ALL} ms, flows apart",
        f"{megabytes:.1f} MB; {first / 1000:.2f} s; {move:.0f} ms; {samples:.0f} ms with the image flow "
        f"(medians; load of the machine {load:.0f})",
        met,
        found | {"bytes": asked.page.stat().st_size, "load": load},
        asked.note,
    )


if __name__ == "__main__":
    main()
