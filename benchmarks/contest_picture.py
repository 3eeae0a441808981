"""Samples of every family of a tuned contest side by side, seed 0 of each, with real examples first."""

from __future__ import annotations

import argparse
from pathlib import Path

from contest import FAMILIES
from matplotlib.figure import Figure
from matplotlib.image import imread

from triptych import data

NAMES = {
    "gan": "GAN",
    "lsgan": "LSGAN",
    "wgan": "WGAN, clipped",
    "wgan-gp": "WGAN-GP",
    "relativistic": "relativistic, R1 + R2",
    "vae": "VAE",
    "realnvp": "flow, affine couplings",
    "spline": "flow, spline couplings",
    "cfm": "flow, continuous",
}
SHOWN = 2_000


def newest(study: Path, recipe: str) -> Path:
    (run,) = study.glob(f"{recipe}-????????-seed0")
    return max((run / "samples").glob("*.png"))


def draw(study: Path, name: str, file: Path) -> None:
    figure = Figure(figsize=(12, 5.1), layout="constrained")
    places = figure.subplots(2, 5).flatten()
    x = data.load(name).x[:SHOWN]
    places[0].scatter(x[:, 0], x[:, 1], s=1, color="0.45")
    places[0].set_aspect("equal")
    places[0].set_title("real examples")
    for axes, family in zip(places[1:], FAMILIES, strict=True):
        axes.imshow(imread(newest(study, f"{family}-{name}-tuned")))
        axes.set_title(NAMES[family])
    for axes in places:
        axes.set_xticks([])
        axes.set_yticks([])
    figure.savefig(file, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, help="the folder of a contest's study")
    parser.add_argument("set", help="the set that it was on")
    parser.add_argument("file", type=Path, help="the picture")
    args = parser.parse_args()
    draw(args.study, args.set, args.file)


if __name__ == "__main__":
    main()
