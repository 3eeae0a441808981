"""The explorer's page in Chromium: how large it is, when its first pictures are there, and how fast they follow.

    python benchmarks/explore_page.py demo/explore.html [--name quickstart] [--rounds 3] [--note TEXT] [--dry]

Models whose latent space is as large as a picture are image flows; their 64 samples are drawn as they come, and their
time is told apart. A page of models of 64 px has another target for a slider's move. `--dry` records nothing.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import statistics
from pathlib import Path
from typing import Any

from common import record
from playwright.sync_api import Page, sync_playwright

FIRST, ALL, SIZE = 1.5, 300, 12
MOVE, MOVE_64 = 50, 100
MOVES = 40
SEEDS = 5


def wait(page: Page, condition: str) -> None:
    """Until a condition holds in the page, whose policy forbids it to be asked in the usual way."""
    page.evaluate(
        f"new Promise(done => {{ const look = () => ({condition}) ? done() : setTimeout(look, 5); look(); }})"
    )


def opened(file: Path, rounds: int) -> dict[str, Any]:
    """Milliseconds: to the first picture, to all models', of a slider's moves, and of 64 samples of each model."""
    found: dict[str, Any] = {"first": [], "all": [], "moves": [], "samples": []}
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for _ in range(rounds):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(file.absolute().as_uri())
            wait(page, "window.triptych")
            page.evaluate("triptych.ready")
            found["models"] = page.evaluate("triptych.models.map(({name, shape, latent}) => ({name, shape, latent}))")
            found["first"].append(page.evaluate("triptych.times.first"))
            found["all"].append(page.evaluate("triptych.times.all"))
            slider = page.locator("#controls > fieldset:nth-of-type(2) input[type=range]").first
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


def is_image_flow(model: dict[str, Any]) -> bool:
    return len(model["shape"]) == 3 and math.prod(model["shape"]) == model["latent"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--name", default="quickstart")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--note", default="")
    parser.add_argument("--dry", action="store_true")
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    found = opened(asked.page, asked.rounds)
    models = found["models"]
    flows = [i for i, model in enumerate(models) if is_image_flow(model)]
    others = [i for i in range(len(models)) if i not in flows]
    megabytes = asked.page.stat().st_size / 2**20
    first, every, move = (statistics.median(found[k]) for k in ("first", "all", "moves"))
    quick, slow = (
        statistics.median(max((s["each"][i] for i in which), default=0.0) for s in found["samples"])
        for which in (others, flows)
    )
    most = MOVE_64 if max(model["shape"][-1] for model in models) >= 64 else MOVE
    met = megabytes <= SIZE and first <= 1000 * FIRST and move <= most and quick <= ALL
    measured = (
        f"{megabytes:.1f} MB; first picture {first / 1000:.2f} s, of all {len(models)} models {every / 1000:.2f} s; "
        f"{move:.0f} ms; {quick:.0f} ms{f', image flows {slow:.0f} ms' if flows else ''} "
        f"(medians; load of the machine {load:.0f})"
    )
    if asked.dry:
        print(measured, found["first"], found["all"])
        return
    record(
        f"explore-page-{asked.name}",
        f"the explorer's page of the {asked.name} models in Chromium",
        f"≤ {SIZE} MB; first picture ≤ {FIRST} s; a move ≤ {most} ms; 64 of each ≤ {ALL} ms, image flows apart",
        measured,
        met,
        found | {"bytes": asked.page.stat().st_size, "load": load},
        asked.note,
    )


if __name__ == "__main__":
    main()
