"""Solvers of ordinary differential equations dx/dt = f(t, x): explicit Runge-Kutta methods.

States are x (n, k), a row an example. f takes the times (n, 1), x, and what goes beside each row unchanged, (n, m). No
row depends on another, not even in the choice of steps: what is solved for an example is the same in every batch.
Everything is differentiable, step sizes excepted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor
from torch._higher_order_ops.scan import scan  # where the oldest torch that we take has it, too

from triptych.errors import UserError

Field = Callable[[Tensor, Tensor, Tensor], Tensor]
Solver = Literal["euler", "midpoint", "heun", "rk4", "dopri5"]

MOST = 2_000
"""Steps, tried ones counted, after which an adaptive solution is given up."""
LEAST = {torch.float32: 1e-7, torch.float64: 1e-12}
"""Smallest tolerance that rounding lets a solver keep."""
LARGEST = 0.01
"""Largest tolerance: beyond it the steps grow however large the error is."""


@dataclass(frozen=True)
class Tableau:
    """An explicit Runge-Kutta method: stage i looks at t + cᵢ h and x + h Σⱼ aᵢⱼ kⱼ, the step is h Σ bᵢ kᵢ."""

    order: int
    c: tuple[float, ...]
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    lower: tuple[float, ...] = ()
    """b of the embedded method of lower order, whose distance is the estimate of the error"""

    @property
    def stages(self) -> int:
        return len(self.c)


TABLEAUS: dict[str, Tableau] = {
    "euler": Tableau(1, (0,), ((),), (1,)),
    "midpoint": Tableau(2, (0, 1 / 2), ((), (1 / 2,)), (0, 1)),
    "heun": Tableau(2, (0, 1), ((), (1,)), (1 / 2, 1 / 2)),
    "rk4": Tableau(4, (0, 1 / 2, 1 / 2, 1), ((), (1 / 2,), (0, 1 / 2), (0, 0, 1)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
    # Dormand and Prince 1980, "A family of embedded Runge-Kutta formulae", table 2
    "dopri5": Tableau(
        5,
        (0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1),
        (
            (),
            (1 / 5,),
            (3 / 40, 9 / 40),
            (44 / 45, -56 / 15, 32 / 9),
            (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
            (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
            (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
        ),
        (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0),
        (5179 / 57600, 0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40),
    ),
}
SOLVERS: tuple[str, ...] = tuple(TABLEAUS)


def stages(f: Field, t: Tensor, h: Tensor, x: Tensor, beside: Tensor, tableau: Tableau, first: Tensor) -> list[Tensor]:
    """k₁ … kₛ of one step from t (n, 1) over h (n, 1); k₁ is `first`, f at t."""
    k = [first]
    for c, a in zip(tableau.c[1:], tableau.a[1:], strict=True):
        k.append(f(t + c * h, x + h * combined(a, k), beside))
    return k


def combined(weights: Sequence[float], k: Sequence[Tensor]) -> Tensor:
    """Σ wᵢ kᵢ; weights of 0 cost nothing."""
    total = None
    for w, one in zip(weights, k, strict=True):
        if w:
            total = w * one if total is None else total + w * one
    assert total is not None
    return total


def fixed(f: Field, x: Tensor, times: Sequence[float], solver: str, beside: Tensor, *, loop: bool = False) -> Tensor:
    """x at the last of `times`, from x at the first, a step between each two of them.

    With `loop` a graph for other programs has the step once, as the body of a loop; f may then ask for nothing that is
    not handed to it.
    """
    tableau, column = TABLEAUS[solver], torch.ones_like(x[:, :1])

    def step(x: Tensor, start: Tensor | float, length: Tensor | float) -> Tensor:
        t, h = column * start, column * length
        return x + h * combined(tableau.b, stages(f, t, h, x, beside, tableau, f(t, x, beside)))

    spans = [(start, end - start) for start, end in pairwise(times)]
    if loop and torch.compiler.is_compiling() and len(spans) > 1:
        each = torch.stack([torch.stack([x.new_full((), number) for number in span]) for span in spans])
        return scan(lambda x, span: (step(x, span[0], span[1]), span.clone()), x, each)[0]
    for start, length in spans:
        x = step(x, start, length)
    return x


def check_tolerance(tolerance: float, dtype: torch.dtype = torch.float32) -> None:
    """UserError for a tolerance that rounding does not let a solver keep."""
    least = LEAST.get(dtype, LEAST[torch.float32])
    if not least <= tolerance <= LARGEST:
        raise UserError(f"a tolerance of {tolerance:g} cannot be kept; give {least:g} to {LARGEST:g}")


def adaptive(f: Field, x: Tensor, start: float, end: float, tolerance: float, beside: Tensor) -> tuple[Tensor, float]:
    """x at `end` by dopri5, and the mean number of evaluations of f a row; each row takes steps of its own.

    A step is kept where the root mean square of error / (1 + |x|) is at most `tolerance`. UserError where steps
    become too small or too many for that. Source: Hairer, Nørsett and Wanner 1993, section II.4.
    """
    check_tolerance(tolerance, x.dtype)
    tableau, n, way = TABLEAUS["dopri5"], x.shape[0], math.copysign(1.0, end - start)
    error_weights = [b - low for b, low in zip(tableau.b, tableau.lower, strict=True)]
    t, h = x.new_full((n, 1), start), x.new_full((n, 1), 0.05 * (end - start))
    k, evaluations = f(t, x, beside), n
    open_rows, tries = torch.arange(n, device=x.device), 0
    while len(open_rows):
        tries += 1
        row = open_rows
        at, left = t[row], end - t[row]
        step = torch.where(h[row].abs() < left.abs(), h[row], left)
        if tries > MOST or bool((step.abs() < 1e-7 * left.abs().clamp_max(1).clamp_min(1e-3)).any()):
            raise UserError(
                f"a tolerance of {tolerance:g} cannot be kept: the solver's steps become too small or too many; raise "
                "--model.tolerance, or take a solver with fixed steps"
            )
        some = x[row]
        ks = stages(f, at, step, some, beside[row], tableau, k[row])
        evaluations += (tableau.stages - 1) * len(row)
        y = some + step * combined(tableau.b, ks)
        with torch.no_grad():
            wrong = step * combined(error_weights, ks) / (tolerance * (1 + torch.maximum(some.abs(), y.abs())))
            error = wrong.square().mean(1, keepdim=True).sqrt().nan_to_num(nan=math.inf, posinf=math.inf)
            kept = error <= 1
            grown = step * (0.9 * error.clamp_min(1e-8) ** -0.2).clamp(0.2, 5.0)
            h = h.index_copy(0, row, torch.where(kept & (step != left), grown, torch.where(kept, step, grown)))
            later = torch.where(kept, torch.where(step == left, torch.full_like(at, end), at + step), at)
            t = t.index_copy(0, row, later)
        x = x.index_copy(0, row, torch.where(kept, y, some))
        # the last stage stands at the new point: it is the first of the next step
        k = k.index_copy(0, row, torch.where(kept, ks[-1], ks[0]))
        open_rows = row[((end - later) * way > 0)[:, 0]]
    return x, evaluations / max(n, 1)
