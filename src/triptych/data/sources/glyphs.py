"""Digits and letters drawn by the program: real pictures' stand-in where there is no network, with known factors.

Every glyph is a few pen strokes on a grid 4 wide and 6 high. A picture is the distance of each pixel to the nearest
stroke, cut at the pen's half width; the edge is one pixel wide, so nothing is jagged at any size.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from triptych.core import Data, Split
from triptych.core.preparation import Preparation
from triptych.data.prepare import prepared
from triptych.data.source import Source, digest
from triptych.errors import UserError

# A point is "x,y", y pointing down; "~x,y" is the control point of a quadratic curve to the next; "/" lifts the pen.
OVAL = "2,0 ~4,0 4,3 ~4,6 2,6 ~0,6 0,3 ~0,0 2,0"
BOWL = "0,6 0,0 2.2,0 ~4,0 4,1.6 ~4,3.2 2.2,3.2 0,3.2"
STROKES = {
    "0": f"{OVAL} / 3,1.6 1,4.4",
    "1": "0.8,1.4 2,0 2,6 / 0.8,6 3.2,6",
    "2": "0,1.6 ~0,0 2,0 ~4,0 4,1.7 ~4,2.8 2.4,4 0,6 4,6",
    "3": "0,0.9 ~0.6,0 2,0 ~3.8,0 3.8,1.5 ~3.8,2.9 1.8,2.9 ~4,2.9 4,4.4 ~4,6 2,6 ~0.5,6 0,5",
    "4": "3,6 3,0 0,4.2 4,4.2",
    "5": "3.7,0 0.5,0 0.3,2.7 ~1,2.2 2,2.2 ~4,2.2 4,4.1 ~4,6 2,6 ~0.5,6 0,5.1",
    "6": "3.6,0.6 ~3,0 2.2,0 ~0,0 0,4.2 ~0,6 2,6 ~4,6 4,4.2 ~4,2.5 2,2.5 ~0,2.5 0,4.2",
    "7": "0,0 4,0 1.5,6",
    "8": "2,2.8 ~0.3,2.8 0.3,1.4 ~0.3,0 2,0 ~3.7,0 3.7,1.4 ~3.7,2.8 2,2.8 "
    "~4,2.8 4,4.4 ~4,6 2,6 ~0,6 0,4.4 ~0,2.8 2,2.8",
    "9": "0.4,5.4 ~1,6 1.8,6 ~4,6 4,1.8 ~4,0 2,0 ~0,0 0,1.8 ~0,3.5 2,3.5 ~4,3.5 4,1.8",
    "A": "0,6 2,0 4,6 / 0.8,3.8 3.2,3.8",
    "B": "0,0 0,6 2.2,6 ~4,6 4,4.4 ~4,2.9 2,2.9 0,2.9 / 2,2.9 ~3.6,2.9 3.6,1.4 ~3.6,0 2,0 0,0",
    "C": "4,1.2 ~3.5,0 2.1,0 ~0,0 0,3 ~0,6 2.1,6 ~3.5,6 4,4.8",
    "D": "0,0 0,6 1.6,6 ~4,6 4,3 ~4,0 1.6,0 0,0",
    "E": "4,0 0,0 0,6 4,6 / 0,2.9 3,2.9",
    "F": "4,0 0,0 0,6 / 0,2.9 3,2.9",
    "G": "4,1.2 ~3.5,0 2.1,0 ~0,0 0,3 ~0,6 2.1,6 ~4,6 4,4.4 4,3.2 2.4,3.2",
    "H": "0,0 0,6 / 4,0 4,6 / 0,3 4,3",
    "I": "0.8,0 3.2,0 / 2,0 2,6 / 0.8,6 3.2,6",
    "J": "1.5,0 3.6,0 3.6,4.2 ~3.6,6 1.9,6 ~0.2,6 0.2,4.4",
    "K": "0,0 0,6 / 4,0 0,3.6 / 1.3,2.6 4,6",
    "L": "0,0 0,6 3.8,6",
    "M": "0,6 0,0 2,3.4 4,0 4,6",
    "N": "0,6 0,0 4,6 4,0",
    "O": OVAL,
    "P": BOWL,
    "Q": f"{OVAL} / 2.4,4.2 4,6.2",
    "R": f"{BOWL} / 2,3.2 4,6",
    "S": "3.8,1.1 ~3.3,0 2,0 ~0.2,0 0.2,1.5 ~0.2,2.7 2,3 ~4,3.3 4,4.6 ~4,6 2,6 ~0.5,6 0,4.8",
    "T": "0,0 4,0 / 2,0 2,6",
    "U": "0,0 0,4 ~0,6 2,6 ~4,6 4,4 4,0",
    "V": "0,0 2,6 4,0",
    "W": "0,0 1,6 2,2 3,6 4,0",
    "X": "0,0 4,6 / 4,0 0,6",
    "Y": "0,0 2,3 4,0 / 2,3 2,6",
    "Z": "0,0 4,0 0,6 4,6",
}
CLASSES = tuple(STROKES)
BENDS = 4  # straight pieces per curve
VERSION = "1"  # part of the cache key: raise it when the pictures change

RANGES = {
    "x": (-0.1, 0.1),  # shift of the centre, as a share of the side
    "y": (-0.1, 0.1),
    "scale": (0.45, 0.7),  # height of the glyph, as a share of the side
    "rotation": (-20.0, 20.0),  # degrees, clockwise
    "shear": (-0.25, 0.25),  # sideways slant per unit of height
    "thickness": (0.05, 0.1),  # width of the pen, as a share of the side
    "colour": (0.0, 0.8),  # hue of the glyph; short of a full turn, so that near values look alike
    "background": (0.0, 0.8),  # hue of the ground, which is darker and paler
}


def segments(strokes: str) -> Tensor:
    """(s, 2, 2): end points of the straight pieces of a glyph, centred, of height 1."""
    pieces, pen, control = [], None, None
    for word in strokes.split():
        if word == "/":
            pen = None
            continue
        point = torch.tensor([float(v) for v in word.strip("~").split(",")])
        if word.startswith("~"):
            control = point
            continue
        if pen is not None and control is None:
            pieces.append(torch.stack([pen, point]))
        elif pen is not None and control is not None:
            t = torch.linspace(0, 1, BENDS + 1)[:, None]
            curve = (1 - t) ** 2 * pen + 2 * t * (1 - t) * control + t**2 * point
            pieces += [torch.stack(ends) for ends in itertools.pairwise(curve)]
        pen, control = point, None
    return (torch.stack(pieces) - torch.tensor([2.0, 3.0])) / 6


def draw_factors(n: int, generator: torch.Generator) -> dict[str, Tensor]:
    """n independent draws: `class` uniform over `CLASSES`, the rest uniform over `RANGES`; (n,) each."""
    factors = {"class": torch.randint(len(CLASSES), (n,), generator=generator)}
    for name, (low, high) in RANGES.items():
        factors[name] = low + (high - low) * torch.rand(n, generator=generator)
    return factors


def _hue(h: Tensor, saturation: float, value: float) -> Tensor:
    """(n, 3) RGB in [0, 1] of hues h (n,)."""
    k = (torch.tensor([5.0, 3.0, 1.0]) + 6 * h[:, None]) % 6
    return value * (1 - saturation * torch.minimum(k, 4 - k).clamp(0, 1))


def render(factors: Mapping[str, Tensor], size: int, channels: int = 3) -> Tensor:
    """Draw one picture per factor row: uint8 (n, channels, size, size).

    With one channel the glyph is white on black and the two hues are not used.
    """
    n = len(factors["class"])
    ink = torch.empty(n, size * size)
    side = torch.arange(size) + 0.5
    pixels = torch.cartesian_prod(side, side).flip(1)  # row by row, as (x, y)
    for c in factors["class"].unique().tolist():
        pieces = segments(STROKES[CLASSES[c]])
        rows = torch.nonzero(factors["class"] == c).flatten()
        # A block's distances stay near the cache: 2^19 numbers.
        for part in rows.split(max(1, 2**19 // (len(pieces) * len(pixels)))):
            ink[part] = _ink(pieces, {k: v[part] for k, v in factors.items()}, pixels, size)
    ink = ink.view(n, 1, size, size)
    if channels == 1:
        return ink.mul_(255).round_().to(torch.uint8)
    front = _hue(factors["colour"], 0.75, 1.0)[:, :, None, None]
    back = _hue(factors["background"], 0.5, 0.35)[:, :, None, None]
    out = torch.empty(n, 3, size, size, dtype=torch.uint8)
    for part in torch.arange(n).split(1024):
        out[part] = torch.lerp(back[part], front[part], ink[part]).mul_(255).round_().to(torch.uint8)
    return out


def _ink(pieces: Tensor, f: Mapping[str, Tensor], pixels: Tensor, size: int) -> Tensor:
    """Share of each pixel under the pen, (m, pixels)."""
    angle = f["rotation"] * math.pi / 180
    c, s = angle.cos(), angle.sin()
    lean = torch.stack([torch.ones_like(c), -f["shear"], torch.zeros_like(c), torch.ones_like(c)], 1).view(-1, 2, 2)
    turn = torch.stack([c, -s, s, c], 1).view(-1, 2, 2)
    centre = size * (0.5 + torch.stack([f["x"], f["y"]], 1))
    ends = (turn @ lean) * (size * f["scale"])[:, None, None]
    ends = torch.einsum("nij,skj->nski", ends, pieces) + centre[:, None, None]
    a, d = ends[:, :, 0], ends[:, :, 1] - ends[:, :, 0]  # (m, s, 2)
    # |p − a − t d|² = |p − a|² − 2 t w + t² |d|², w = (p − a)·d; the nearest t is w / |d|², kept in [0, 1].
    square = d.square().sum(-1)[..., None]
    w = d @ pixels.T - (a * d).sum(-1)[..., None]
    near = (w / square).clamp_(0, 1)
    far = pixels.square().sum(1) - 2 * (a @ pixels.T) + a.square().sum(-1)[..., None]
    distance = (far - near * (2 * w - near * square)).amin(1).clamp_(min=0).sqrt_()
    return (f["thickness"][:, None] * size / 2 + 0.5 - distance).clamp_(0, 1)


@dataclass(frozen=True)
class Glyphs(Source):
    """Fixed train and test pictures; `render(draw_factors(...))` makes more."""

    sets_aside: ClassVar[bool] = True
    drawn = True

    train: int = 20_000
    test: int = 4_000
    seed: int = 8_001

    @property
    def summary(self) -> str:
        return "digits and letters drawn by the program, with known factors"

    @property
    def card(self) -> Mapping[str, Any]:
        return {"title": "Glyphs", "licence": "drawn by the program; no terms"}

    def load(self, name: str, split: Split, how: Preparation) -> Data:
        size, channels = how.resolution or 32, how.channels or 3
        if isinstance(size, str):
            raise UserError(f"{name} are drawn as squares, not {size}; give one side: --resolution 32")
        if how != Preparation(resolution=how.resolution, channels=how.channels):
            raise UserError(
                f"{name} are drawn at the wanted size and have a test split; give only --resolution, --channels"
            )

        def make(folder: Any) -> None:
            n = self.train + self.test
            factors = draw_factors(n, torch.Generator().manual_seed(self.seed))
            x = render(factors, size, channels)
            if channels == 1:
                del factors["colour"], factors["background"]
            sides = torch.arange(n) >= self.train
            prepared.write_images(folder, x, labels=factors["class"], sides=sides, factors=factors)
            about = {"name": name, "summary": self.summary, "count": n, "classes": CLASSES, "fingerprint": digest(x)}
            prepared.write_json(folder / "about.json", {**about, **self.card, "ranges": RANGES})

        key = digest(f"glyphs {VERSION} {self} {size} {channels}")
        return prepared.Prepared(prepared.build(name, key, make)).load(name, split)


SOURCES: dict[str, Source] = {"glyphs": Glyphs()}
