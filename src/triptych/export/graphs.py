"""What a model can do, as graphs: each takes one tensor, with classes also the labels y (n,), and gives one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from triptych.core import Conditional, Density, Encoder, Latent, Model, to_inner
from triptych.core.model import given_to
from triptych.errors import UserError
from triptych.models.layers.bijections import Transform

PartName = Literal["decode", "encode", "log_prob", "critic", "codes", "sample"]


@dataclass(frozen=True)
class Wanted:
    """One thing a model may do: names and kinds of what goes in and comes out."""

    input: str
    output: str
    able: Callable[[Model], bool]
    call: Callable[[Model, Tensor, Tensor | None], Tensor]


def score(model: Model, x: Tensor, y: Tensor | None) -> Tensor:
    """What the critic says of public examples, (n,)."""
    assert model.adversary is not None
    with given_to(model, y, x.shape[0]):
        return getattr(model, model.adversary)(to_inner(x)).reshape(x.shape[0])


def decode(model: Model, z: Tensor, y: Tensor | None) -> Tensor:
    return model.decode(z, y) if isinstance(model, Conditional) else model.decode(z)


def encode(model: Model, x: Tensor, y: Tensor | None) -> Tensor:
    return model.encode(x, y) if isinstance(model, Conditional) else model.encode(x)


def log_prob(model: Model, x: Tensor, y: Tensor | None) -> Tensor:
    return model.log_prob(x, y) if isinstance(model, Conditional) else model.log_prob(x)


def drawn(model: Model) -> bool:
    """Whether samples are decoded from other codes than noise itself."""
    return isinstance(model, Latent) and model.transport() is not None


PARTS: dict[PartName, Wanted] = {
    "decode": Wanted("z", "x", lambda m: isinstance(m, Latent), decode),
    "encode": Wanted("x", "z", lambda m: isinstance(m, Encoder), encode),
    "log_prob": Wanted("x", "log_prob", lambda m: isinstance(m, Density), log_prob),
    "critic": Wanted("x", "score", lambda m: m.adversary in m.players, score),
    "codes": Wanted("noise", "z", drawn, lambda model, z, y: z),
    "sample": Wanted("noise", "x", drawn, decode),
}
"""Every graph there may be; `codes` and `sample` only where decoding draws of N(0, I) would not sample."""


class Graph(nn.Module):
    """One part of a model as a module of one tensor, or of one and labels."""

    def __init__(self, model: Model, name: PartName) -> None:
        super().__init__()
        self.model = model
        self.name: PartName = name
        self.part = PARTS[name]
        assert isinstance(model, Latent)
        self.transport = model.transport() if self.part.input == "noise" else None

    @property
    def inputs(self) -> list[str]:
        """Names of what goes in."""
        return [self.part.input, "y"] if self.labelled else [self.part.input]

    @property
    def labelled(self) -> bool:
        """Whether labels, or numbers, go in."""
        return isinstance(self.model, Conditional) and self.model.conditioned

    def forward(self, given: Tensor, y: Tensor | None = None) -> Tensor:
        if self.transport is not None:
            given = self.transport.codes(given, y)
        return self.part.call(self.model, given, y)

    def all_examples(self, n: int, seed: int) -> tuple[Tensor, ...]:
        """`examples`, and with classes n labels beside them."""
        y = self.model.labels(None, n, seed) if self.labelled else None
        return (self.examples(n, seed),) if y is None else (self.examples(n, seed), y)

    @torch.no_grad()
    def examples(self, n: int, seed: int) -> Tensor:
        """n inputs as they are met: codes of the prior, noise, or the model's own samples (n, ...)."""
        model, g = self.model, torch.Generator().manual_seed(seed)
        assert isinstance(model, Latent)
        if self.transport is not None:
            return torch.randn(n, self.transport.takes, generator=g)
        with given_to(model, None, n, seed):
            z = model.prior(n, g)
        return z if self.part.input == "z" else decode(model, z, model.labels(None, n, seed))


def graphs_of(model: Model, only: PartName | None = None) -> list[Graph]:
    """The graphs of all that a model can do, or the one asked for; UserError where it cannot.

    They share a copy of the model, on the CPU, in eval mode, whose transforms are frozen.
    """
    able: list[PartName] = [name for name, part in PARTS.items() if part.able(model)]
    if only is not None and only not in able:
        if only == "critic" and model.adversary is not None:
            getattr(model, model.adversary)  # says why it is missing
        kind = type(model).__name__
        raise UserError(f"{kind} cannot {only.replace('critic', 'judge: it has no critic')}; it has {', '.join(able)}")
    frozen = copy.deepcopy(model).cpu().eval()
    for module in frozen.modules():
        if isinstance(module, Transform):
            module.freeze()
    for weights in frozen.parameters():
        weights.requires_grad_(False)
    return [Graph(frozen, name) for name in able if only in (None, name)]
