"""Paths through a latent space: interpolations, latent traversals, 2-D grids.

Codes are tensors (n, latent); what is decoded from them is public (images (n, c, h, w) in [0, 1], vectors in the
data's units). Nothing here draws from the global random state.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from triptych.core import Conditional, Data, Encoder, Latent, Model, to_inner, to_public
from triptych.core.labels import Asked
from triptych.core.model import class_count, conditions_of, decoded, given_to
from triptych.errors import UserError
from triptych.models.families import Autoencoder

How = Literal["linear", "spherical"]
Held = int | Tensor | None
"""One class, or a row of numbers (k,), that all examples are made to."""


@dataclass(frozen=True)
class Codes:
    """Where the codes of a prior lie: what a step of 1 means along each axis."""

    mean: Tensor
    """(latent,)"""
    sd: Tensor
    """(latent,)"""


def codes_of(model: Latent) -> Codes:
    """Mean and standard deviation of a model's prior."""
    return Codes(*model.prior_moments())


def latent_of(model: Model) -> Latent:
    """The model as one with a latent space; UserError where it has none."""
    if not isinstance(model, Latent):
        raise UserError(f"{type(model).__name__} has no latent space; choose a run of a model that has one")
    return model


@torch.no_grad()
def draw(model: Latent, n: int, seed: int, y: Asked = None) -> Tensor:
    """n codes from the prior, (n, latent), on the CPU: those behind `model.sample(n, seed, y=y)`."""
    with given_to(model, y, n, seed):
        return model.prior(n, torch.Generator().manual_seed(seed)).cpu()


def public(data: Data, indices: Sequence[int] | range) -> Tensor:
    """Examples of `data` in public space, (n, *shape); UserError for an index it does not have."""
    return to_public(to_inner(data.x[places_of(data, indices)]))


def places_of(data: Data, indices: Sequence[int] | range) -> Tensor:
    """Indices of examples, int64 (n,); UserError for one that the data do not have, negative ones too."""
    for i in indices:
        if not 0 <= i < len(data):
            raise UserError(f"{data.name} has no example {i}; it has 0 to {len(data) - 1}")
    return torch.tensor(list(indices), dtype=torch.int64)


@torch.no_grad()
def decode(model: Latent, z: Tensor, batch: int = 256, y: Asked = None) -> Tensor:
    """Public examples of codes z (n, latent), on the CPU; of a model with classes given y, else drawn ones."""
    return decoded(model, z.to(model.device), model.labels(y, len(z)), batch).cpu()


@torch.no_grad()
def encode(model: Model, x: Tensor, batch: int = 256, y: Asked = None) -> Tensor:
    """Codes of public examples x, (n, latent), on the CPU; UserError where the model cannot.

    `y` of a model with classes: the labels of x, else drawn ones.
    """
    if not isinstance(model, Encoder):
        raise UserError(f"{type(model).__name__} cannot encode examples; choose a run of an autoencoder or a flow")
    return encoded(model, x, model.labels(y, len(x)), batch)


def encoded(model: Model, x: Tensor, y: Tensor | None, batch: int) -> Tensor:
    """Codes of public examples x given labels y (n,) of a model with classes, on the CPU, a batch at a time."""
    if y is None or not isinstance(model, Conditional):
        return torch.cat([model.encode(part.to(model.device)).cpu() for part in x.split(batch)])
    pairs = zip(x.split(batch), y.split(batch), strict=True)
    return torch.cat([model.encode(part.to(model.device), own).cpu() for part, own in pairs])


def labels_for(model: Model, data: Data, rows: Sequence[int] | range) -> Tensor | None:
    """What a model is conditioned on, labels (n,) or numbers (n, k), of some examples; None where that is nothing.

    UserError for an index that the data do not have.
    """
    known, places = conditions_of(model, data), places_of(data, rows)
    return None if known is None else known[places]


def use_batch_statistics(model: Model) -> None:
    """Let batch normalisation use the statistics of the batch at hand, as a network never put in eval mode does.

    What a code decodes to then depends on the codes beside it. The running statistics stay as they are: `model.eval()`
    returns to them.
    """
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train()
            module.track_running_stats = False


@contextmanager
def without_second_stage(model: Model) -> Iterator[None]:
    """Inside the block an autoencoder's samples come from its prior, whatever is fitted to its codes."""
    if not isinstance(model, Autoencoder):
        yield
        return
    second, model.second = model.second, None
    try:
        yield
    finally:
        model.second = second


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Spherical interpolation from a (t = 0) to b (t = 1) with lengths changing linearly; all (n, latent), t (n, 1).

    Parallel and opposite codes have no great arc and are interpolated linearly.
    Source: Shoemake 1985, "Animating Rotation with Quaternion Curves".
    """
    length_a, length_b = a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True)
    u, v = a / length_a, b / length_b
    angle = torch.arccos((u * v).sum(1, keepdim=True).clamp(-1, 1))
    arc = (((1 - t) * angle).sin() * u + (t * angle).sin() * v) / angle.sin()
    arc = arc * torch.lerp(length_a, length_b, t)
    return torch.where(angle.sin() > 1e-4, arc, torch.lerp(a, b, t))


def between(a: Tensor, b: Tensor, t: Tensor, how: How = "linear") -> Tensor:
    """Interpolated codes from a to b (latent,) at the fractions t (k,), shape (k, latent): linear, or `slerp`."""
    t = t[:, None]
    return slerp(a[None], b[None], t) if how == "spherical" else (1 - t) * a + t * b


def path(codes: Tensor, steps: int = 11, how: How = "linear") -> Tensor:
    """The interpolation path through codes (k ≥ 2, latent) in turn, `steps` codes a segment with both of its ends.

    Shape ((k − 1)(steps − 1) + 1, latent).
    """
    if len(codes) < 2 or steps < 2:
        raise UserError("an interpolation needs at least two codes and two steps")
    t = torch.linspace(0, 1, steps)
    segments = [between(a, b, t, how)[:-1] for a, b in itertools.pairwise(codes)]
    return torch.cat([*segments, codes[-1:]])


def square(base: Tensor, codes: Codes, side: int = 10, extent: float = 1.0, axes: tuple[int, int] = (0, 1)) -> Tensor:
    """A 2-D traversal, (side², latent): z[axes[0]] grows down the rows, z[axes[1]] along the columns.

    Both go from −extent to extent standard deviations of the codes; the other dimensions stay as in `base` (latent,).
    Source: the birds study's 10 × 10 grid over z[0] × z[1] in [−1, 1].
    """
    check_axes(axes, len(base))
    value = torch.linspace(-extent, extent, side)
    z = base.repeat(side, side, 1)
    z[:, :, axes[0]] = (codes.mean[axes[0]] + codes.sd[axes[0]] * value)[:, None]
    z[:, :, axes[1]] = (codes.mean[axes[1]] + codes.sd[axes[1]] * value)[None, :]
    return z.flatten(0, 1)


def sweep(base: Tensor, codes: Codes, axes: Sequence[int], columns: int = 11, extent: float = 2.5) -> Tensor:
    """A latent traversal, (len(axes) · columns, latent): row j changes z[axes[j]] alone and leaves the rest of `base`.

    It goes from −extent to extent standard deviations around the mean of the codes.
    """
    check_axes(axes, len(base))
    value = torch.linspace(-extent, extent, columns)
    z = base.repeat(len(axes), columns, 1)
    for row, j in enumerate(axes):
        z[row, :, j] = codes.mean[j] + codes.sd[j] * value
    return z.flatten(0, 1)


def check_axes(axes: Sequence[int], latent: int) -> None:
    """UserError for a latent dimension that is not there."""
    for j in axes:
        if not 0 <= j < latent:
            raise UserError(f"there is no latent dimension {j}; this model has 0 to {latent - 1}")


def one_class(model: Model, y: Held = None) -> Held:
    """What walks through a latent space hold: what is asked for, else the first class, or the mean of each number.

    None of a model that is conditioned on nothing.
    """
    if y is None and isinstance(model, Conditional) and model.numbers:
        return model.centre_of_numbers
    return 0 if y is None and class_count(model) else y


def effects(model: Latent, base: Tensor, codes: Codes, extent: float = 2.5, y: Held = None) -> Tensor:
    """How much each latent dimension changes the output, (latent,), in public units.

    The root mean square difference between neighbours in a traversal of five, the median of its four steps: a
    dimension that only flips the output at one place scores little.
    """
    z = sweep(base, codes, range(len(base)), 5, extent)
    out = decode(model, z, y=one_class(model, y)).flatten(1).unflatten(0, (len(base), 5))
    return out.diff(dim=1).square().mean(dim=2).sqrt().median(dim=1).values


def slopes(model: Latent, base: Tensor, codes: Codes, probes: int = 32, y: Held = None) -> Tensor:
    """How fast each latent dimension changes the output around `base` (latent,), per standard deviation, (latent,).

    The norms of the columns of the Jacobian, each estimated by random projections: E (vᵀJ)ⱼ² = ‖Jⱼ‖² for v ~ N(0, I).
    A probe costs one gradient, however many dimensions there are.
    """
    g = torch.Generator().manual_seed(0)
    z = base.to(model.device).repeat(probes, 1).requires_grad_()
    with torch.enable_grad():
        x = decoded_with_gradient(model, z, model.labels(one_class(model, y), probes))
        v = torch.randn(x.shape, generator=g).to(x)
        (gradient,) = torch.autograd.grad((x * v).sum(), z)
    return gradient.square().mean(0).sqrt().cpu() * codes.sd


def decoded_with_gradient(model: Model, z: Tensor, y: Tensor | None) -> Tensor:
    """`decode` of z, given labels y (n,) of a model with classes."""
    return model.decode(z, y) if isinstance(model, Conditional) else model.decode(z)


def influence(model: Latent, base: Tensor, codes: Codes, most: int = 256, y: Held = None) -> Tensor:
    """`effects` of up to `most` dimensions, `slopes` of more, (latent,)."""
    return effects(model, base, codes, y=y) if len(base) <= most else slopes(model, base, codes, y=y)


def strongest(model: Latent, base: Tensor, codes: Codes, rows: int, y: Held = None) -> list[int]:
    """The `rows` dimensions with most influence around `base` (latent,), strongest first; all, in order, if few."""
    latent = len(base)
    if latent <= rows:
        return list(range(latent))
    return influence(model, base, codes, y=y).argsort(descending=True)[:rows].tolist()
