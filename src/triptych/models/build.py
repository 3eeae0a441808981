"""A model from its recipe's part: built for a shape or for data, and never of an absurd size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from triptych.core import Conditional, Data, Latent, Model, ModelSpec, Shape
from triptych.errors import UserError

PARAMETERS, TENSORS = 2**30, 10_000
"""Most parameters of a model (4 GiB in float32), and most tensors that hold them."""
ORDINARY = 2**26
"""Product of a network's sizes, the largest of them squared, up to which it is built without counting first."""


def build(spec: ModelSpec, shape: Shape) -> Model:
    """A freshly initialised model. UserError for one of an absurd size, before it takes memory.

    Beyond ordinary sizes it is built without memory first, to be counted.
    """
    sizes = [v for v in vars(spec).values() if isinstance(v, int) and v > 0]
    if math.prod(sizes) * max(sizes, default=1) > ORDINARY or math.prod(shape) > ORDINARY // 16:
        with counted():
            try:
                with torch.random.fork_rng(devices=[]), torch.device("meta"):
                    spec.build(shape)
            except UserError:
                raise
            except Exception:  # a network whose making looks at values: it is counted below
                pass
    with counted():
        found = spec.build(shape)
    if not isinstance(found, Model):
        raise UserError(
            f"{type(spec).__name__}.build gives a {type(found).__name__}, which is no triptych.core.Model; give one"
        )
    if isinstance(found, Latent) and found.players and not found.players.keys() & set(found.sampling):
        raise UserError(
            f"{type(found).__name__} names none of its players ({', '.join(found.players)}) in `sampling`; name those "
            "that make samples: their weights are averaged"
        )
    return found


def outline(spec: ModelSpec, shape: Shape) -> Model:
    """A model to look at: without memory, if its making does not look at values; random numbers stay as they are."""
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return build(spec, shape)
        except UserError:
            raise
        except Exception:  # whatever a network makes of tensors without values; what is wrong with values, too, is said
            return build(spec, shape)


def build_for(spec: ModelSpec, data: Data) -> Model:
    """A freshly initialised model for these training data, which knows the frequencies and names of their classes."""
    model = build(spec, data.shape)
    if isinstance(model, Conditional):
        model.know_classes(data)
    return model


@contextmanager
def counted() -> Iterator[None]:
    """Counts the parameters of the models built inside; UserError as soon as they are too many."""
    total = tensors = 0

    def count(module: nn.Module, name: str, w: nn.Parameter | None) -> None:
        nonlocal total, tensors
        total, tensors = total + (w.numel() if w is not None else 0), tensors + 1
        if total > PARAMETERS or tensors > TENSORS:
            raise UserError(
                f"the model has more than {PARAMETERS:,} parameters, or more than {TENSORS:,} layers' worth of them; "
                "lower --model.width, or --model.depth where the recipe has it"
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
