"""Named recipes: plain Python values. Each module here has a `RECIPES` mapping from name to `Recipe`."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace

from triptych.core import DataSpec, Recipe
from triptych.errors import UserError, nearest

FEW = 20_000
"""Pictures below which a critic learns them by heart within the recommended budgets: it sees them augmented."""


def all_recipes() -> dict[str, Recipe]:
    """Every named recipe, sorted by name."""
    found: dict[str, Recipe] = {}
    for info in pkgutil.iter_modules(__path__):
        for name, recipe in importlib.import_module(f"{__name__}.{info.name}").RECIPES.items():
            if name in found:
                raise TypeError(f"two recipes are named {name}")
            found[name] = replace(recipe, name=name)
    return dict(sorted(found.items()))


def get(name: str) -> Recipe:
    """The recipe of that name; UserError with the nearest names otherwise."""
    known = all_recipes()
    if name in known:
        return known[name]
    raise UserError(f"no recipe is named {name!r}; {nearest(name, known, '`triptych recipes` lists them all')}")


def recommend(spec: DataSpec) -> tuple[Recipe, str]:
    """The recipe to train on pictures when none is named, and why in a sentence; by their size and number.

    UserError for vectors, for which no family is best unseen.
    """
    from triptych.nets.dcgan import DCGAN
    from triptych.nets.resnet import ResNetGAN
    from triptych.objectives.relativistic import Relativistic

    data = spec.load()
    if not data.is_images:
        raise UserError(f"{spec.name} holds no pictures; name a recipe: `triptych recipes` lists them")
    c, h, w = data.shape
    side = next((s for s in (128, 64, 32) if min(h, w) >= s), 28 if min(h, w) == 28 else 32)
    if h == w == side:
        prepared = replace(spec, resolution=spec.resolution or side)
    elif spec.resolution is None:
        prepared = replace(spec, resolution=side)
    else:
        raise UserError(f"no recommended network makes {h}×{w}; choose --resolution 32, 64 or 128")
    if side == 28:
        base, nets = get("best-stackedmnist"), get("best-stackedmnist").model
    elif side == 32:
        base, nets = get("best-birds"), ResNetGAN()
    else:
        base, nets = get("best-celeba64"), DCGAN(latent=64, norm="generator")
    few = len(data) < FEW
    policy = ("color", "translation", "cutout") if c == 3 else ("translation", "cutout")
    objective = Relativistic(augment=policy if few else ())
    train = replace(base.train, images=min(base.train.images, max(1_000_000, 100 * len(data))))
    why = f"{len(data):,} pictures of {h}×{w}, trained at {side} px: {type(nets).__name__} is made for that size; " + (
        "so few are learned by heart, so the critic sees them augmented" if few else "so many need no augmentation"
    )
    return Recipe(prepared, nets, objective, train, name="recommended", about=why), why
