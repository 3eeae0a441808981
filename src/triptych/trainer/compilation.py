"""`torch.compile` on a GPU: the players' calls, and the gradient that a penalty needs, once both are checked.

A compiled call has no second derivative, so a penalty cannot differentiate one. What fills the hook of
`objectives/gradients.py` therefore differentiates inside the compiled region, by `torch.func.grad`; what is left
outside is an ordinary first derivative. On a processor compiled convolutions were slower than PyTorch's own, and
nothing is compiled.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from triptych.core import Clock, Model, Objective
from triptych.core.objective import moves_of
from triptych.objectives.gradients import ScoresAndGradient, compiled
from triptych.system.device import exact_float32

TOLERANCE = {"fp32": 2e-2, "bf16": 0.1}
"""Distance of compiled from eager gradients, as a share of the eager ones' norm: reordered sums, and no more.

Float32 is compared without TF32, whose ten bits alone move the gradients of R1 and R2 by 0.03: where a rectifier turns,
its slope jumps. Seen in bfloat16 of penalised critics at 16 pictures: 0.06. A slope that is lost is at 1.
"""


def compile_players(
    model: Model,
    objective: Objective,
    batch: Tensor,
    precision: str,
    backend: str = "inductor",
    labels: Tensor | None = None,
) -> str | None:
    """Compile the players where that leaves the gradients of a step on `batch`, with its labels, what they were.

    None, or why nothing is compiled. Weights, statistics and random numbers are left as they were.
    """
    with exact_float32():
        wanted = gradients(model, objective, batch, labels)
    how: dict[str, Any] = {"backend": backend, "dynamic": False}
    if backend == "inductor":
        from triptych.trainer.graph_rewrites import WeightGradients  # brings the compiler, which takes seconds

        how["options"] = {"post_grad_custom_pre_pass": WeightGradients()}
    for player in model.players.values():
        player.compile(**how)
        # Made from the uncompiled forward, and inside the compiled region: a gradient function built beforehand
        # gives zeros there.
        compiled[player] = torch.compile(_differentiated(player), fullgraph=True, **how)
    try:
        with warnings.catch_warnings(), exact_float32():
            # the compiler looks at every input's .grad, the generator's output included
            warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf")
            # it advises TF32 to whoever multiplies in whole float32, which is on purpose here
            warnings.filterwarnings("ignore", "TensorFloat32 tensor cores")
            found = gradients(model, objective, batch, labels)
    except Exception as e:  # whatever a compiler may raise: training goes on without it
        leave(model)
        return f"it failed ({' '.join(str(e).split())[:200] or type(e).__name__})"
    gap = max(((a - b).norm() / b.norm().clamp_min(1e-12)).item() for a, b in zip(found, wanted, strict=True))
    if not gap <= TOLERANCE[precision]:
        leave(model)
        return f"its gradients are {gap:.2g} away from eager ones"
    return None


def eager(model: Model) -> AbstractContextManager[None]:
    """Inside it calls are eager: evaluation has other batch sizes and modes, each of which would be compiled anew."""
    if any(player in compiled for player in model.players.values()):
        return torch.compiler.set_stance("force_eager")
    return nullcontext()


def leave(model: Model) -> None:
    """Back to eager calls for good."""
    for player in model.players.values():
        player._compiled_call_impl = None
        compiled.pop(player, None)


class Same:
    """One batch, again and again."""

    def __init__(self, x: Tensor, y: Tensor | None) -> None:
        self.x, self.y = x, y

    def __iter__(self) -> Iterator[Tensor]:
        return self

    def __next__(self) -> Tensor:
        return self.x

    @property
    def labelled(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The same, with its labels."""
        assert self.y is not None
        return itertools.repeat((self.x, self.y))


def gradients(model: Model, objective: Objective, batch: Tensor, labels: Tensor | None = None) -> list[Tensor]:
    """Gradient of each move of one step on `batch`, with the same random numbers every time; nothing is updated."""
    before = {k: v.clone() for k, v in model.state_dict().items()}
    devices = [model.device] if model.device.type == "cuda" else []
    found = []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(0)
        for move in moves_of(objective, model, Same(batch, labels), Clock(0, 0, 0.0)):
            weights = [w for name in move.names for w in model.players[name].parameters() if w.requires_grad]
            parts = torch.autograd.grad(move.loss, weights, allow_unused=True)
            found.append(torch.cat([p.flatten().float() for p in parts if p is not None]))
    model.load_state_dict(before)
    return found


def _differentiated(D: nn.Module) -> ScoresAndGradient:
    def scores_and_gradient(x: Tensor) -> tuple[Tensor, Tensor]:
        def total(x: Tensor) -> tuple[Tensor, Any]:
            scores = D.forward(x).flatten()
            return scores.sum(), scores

        gradient, scores = torch.func.grad(total, has_aux=True)(x)
        return scores, gradient

    return scores_and_gradient
