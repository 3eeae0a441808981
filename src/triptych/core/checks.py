"""What a model's public methods ask of the tensors they are given.

Training calls the players themselves, so that none of this runs there. Under a compiler, where values are not known,
only shapes and types are looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from triptych.core.counts import plural
from triptych.errors import UserError

if TYPE_CHECKING:
    from triptych.core.data import Data
    from triptych.core.model import Latent, Model


def check_examples(model: Model, x: Tensor) -> Tensor:
    """x itself, where it is public examples (n, *shape) of the model.

    TypeError for anything but floats of the weights' type; UserError, a ValueError, for another shape or device, for
    pictures outside [0, 1] and for vectors that are not finite.
    """
    _check(model, x, "examples", model.shape)
    if torch.compiler.is_compiling():
        return x
    if len(model.shape) == 3:
        if not bool(((x >= 0) & (x <= 1)).all()):
            raise UserError(f"pictures have values outside [0, 1] ({_extent(x)}); bring them to [0, 1] first")
    elif not bool(x.isfinite().all()):
        raise UserError("examples hold NaN or infinite numbers; remove or repair them first")
    return x


def not_finite(x: Tensor) -> int:
    """How many of the examples (n, *shape) hold NaN or infinite numbers."""
    return int((~torch.isfinite(x.flatten(1))).any(1).sum())


def check_learnable(data: Data, aside: str = "") -> None:
    """UserError for vectors that are no distribution to learn: fewer than two, or always the same.

    They may well be encoded or scored. `aside` says why there are so few.
    """
    if data.is_images:
        return
    if len(data) < 2:
        raise UserError(f"{data.name} has {plural(len(data), 'row')} to train on{aside}; give at least 2")
    if not data.shape[0]:
        raise UserError(f"{data.name}: every column is always the same, so that there is nothing to learn; use others")


def check_codes(model: Latent, z: Tensor) -> Tensor:
    """z itself, where it is codes (n, latent) of the model; errors as of `check_examples`."""
    _check(model, z, "codes", (model.latent,))
    return z


def _check(model: Model, x: Tensor, what: str, shape: tuple[int, ...]) -> None:
    """A tensor (n, *shape) of the type and on the device of the weights."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{what} are a {type(x).__name__}; give a tensor")
    weights = next(model.parameters())
    if x.dtype != weights.dtype:
        how = ".float() / 255" if x.dtype == torch.uint8 else f".to({weights.dtype})"
        raise TypeError(f"{what} are {x.dtype} and the model computes in {weights.dtype}; give x{how}")
    if tuple(x.shape[1:]) != shape or x.dim() != len(shape) + 1:
        last = " (channels come first, then height and width)" if tuple(x.shape[1:]) == (*shape[1:], shape[0]) else ""
        raise UserError(f"{what} have the shape {tuple(x.shape)}; give (n, {', '.join(map(str, shape))}){last}")
    if x.device != weights.device:
        raise UserError(f"{what} are on {x.device} and the model is on {weights.device}; give x.to(model.device)")


def _extent(x: Tensor) -> str:
    """What values there are, in a few words."""
    return "some are NaN" if bool(x.isnan().any()) else f"{x.min().item():.4g} to {x.max().item():.4g}"
