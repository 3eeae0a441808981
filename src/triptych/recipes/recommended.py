"""The recipe to take for images when none is named."""

from __future__ import annotations

from dataclasses import replace

from triptych.core import Data, DataSpec, Recipe
from triptych.data import load_spec
from triptych.errors import UserError
from triptych.objectives.relativistic import Augmentation, Relativistic
from triptych.recipes.named import get

FEW = 20_000
"""Number of images below which a critic memorises them within the recommended budgets: they are augmented."""


def recommend(spec: DataSpec) -> tuple[Recipe, str]:
    """The recipe to train on images when none is named, and why in a sentence; by their size, colour and number.

    UserError for vectors, for which no family is best unseen.
    """
    spec, data = sized(spec)
    c, h, w = data.shape
    if h == w == 28:
        base = get("best-stackedmnist" if c == 3 else "best-mnist")
    elif h == w == 32:
        base = get("best-birds")
    elif h == w >= 64 and not h & (h - 1):
        base = get("best-celeba64" if c == 3 else "best-mnist64")
    else:
        raise UserError(f"no recommended recipe makes {h}×{w}; choose --resolution 28, 32 or 64")
    few = len(data) < FEW
    policy: tuple[Augmentation, ...] = ("color", "translation", "cutout") if c == 3 else ("translation", "cutout")
    train = replace(
        base.train,
        images=min(base.train.images, max(1_000_000, 100 * len(data))),
        flip=base.train.flip and c == 3,  # grey ones may be characters, which differ from their mirror images
    )
    assert isinstance(base.objective, Relativistic)
    why = f"{base.name}, for {len(data):,} {'grey ' if c == 1 else ''}images at {h}×{w}; " + (
        "so few are memorised by a critic, so they are augmented" if few else "so many need no augmentation"
    )
    objective = replace(base.objective, augment=policy if few else ())
    return Recipe(spec, base.model, objective, train, name="recommended", about=why), why


def sized(spec: DataSpec) -> tuple[DataSpec, Data]:
    """`spec` with the side and channels that its images are best trained at, unless it asks for any, and these.

    64 px where they have as many, 28 where they have just these, else 32; of files the median counts. One channel
    where the three are the same.
    """
    from triptych.data import find

    look = spec
    if spec.resolution is None and find(spec.name).encoded:
        look = replace(spec, resolution=64)  # as they are, they may differ in size, or fill the disk
    data = load_spec(look)
    if not data.is_images:
        raise UserError(f"{spec.name} holds no images; name a recipe: `triptych recipes` lists them")
    chosen = spec
    if spec.resolution is None:
        found = data.about.get("sizes")
        h, w = (found["height"][1], found["width"][1]) if found else data.shape[1:]
        chosen = replace(spec, resolution=64 if min(h, w) >= 64 else 28 if h == w == 28 else 32)
    if spec.channels is None and data.shape[0] == 3:
        some = data.x[:: -(-len(data) // 1000)]
        if bool((some == some[:, :1]).all()):
            chosen = replace(chosen, channels=1)
    width, height = chosen.size or (data.shape[2], data.shape[1])
    wanted = (chosen.channels or data.shape[0], height, width)
    return chosen, data if data.shape == wanted else load_spec(chosen)
