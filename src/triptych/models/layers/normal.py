"""The normal quantile Φ⁻¹, also where a graph has no operator for it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

CENTRE = (
    (
        *(3.3871328727963666e0, 1.3314166789178438e2, 1.9715909503065514e3, 1.3731693765509461e4),
        *(4.5921953931549871e4, 6.7265770927008701e4, 3.3430575583588128e4, 2.5090809287301227e3),
    ),
    (
        *(1.0, 4.2313330701600911e1, 6.8718700749205791e2, 5.3941960214247511e3),
        *(2.1213794301586596e4, 3.9307895800092711e4, 2.8729085735721943e4, 5.2264952788528546e3),
    ),
)
NEAR = (
    (
        *(1.4234371107496836e0, 4.6303378461565453e0, 5.7694972214606914e0, 3.6478483247632046e0),
        *(1.2704582524523684e0, 2.4178072517745061e-1, 2.2723844989269185e-2, 7.7454501427834141e-4),
    ),
    (
        *(1.0, 2.0531916266377588e0, 1.6763848301838038e0, 6.8976733498510000e-1),
        *(1.4810397642748007e-1, 1.5198666563616457e-2, 5.4759380849953449e-4, 1.0507500716444168e-9),
    ),
)
FAR = (
    (
        *(6.6579046435011038e0, 5.4637849111641144e0, 1.7848265399172913e0, 2.9656057182850489e-1),
        *(2.6532189526576123e-2, 1.2426609473880784e-3, 2.7115555687434876e-5, 2.0103343992922881e-7),
    ),
    (
        *(1.0, 5.9983220655588794e-1, 1.3692988092273581e-1, 1.4875361290850615e-2),
        *(7.8686913114561326e-4, 1.8463183175100547e-5, 1.4215117583164459e-7, 2.0442631033899398e-15),
    ),
)
"""Numerator and denominator, by increasing power: around the median, in the tails, and far in the tails."""


def quantile(p: Tensor) -> Tensor:
    """Φ⁻¹(p) of any shape, 0 < p < 1; in a graph for other programs a quotient of polynomials."""
    return rational(p) if torch.compiler.is_compiling() else torch.special.ndtri(p)


def rational(p: Tensor) -> Tensor:
    """Φ⁻¹(p), to within 1e-15 in float64. Source: Wichura 1988, algorithm AS 241."""
    off = p - 0.5
    centre = off * quotient(CENTRE, 0.180625 - off.square())
    r = (-torch.log(torch.minimum(p, 1 - p))).sqrt()
    tail = torch.where(r <= 5, quotient(NEAR, r - 1.6), quotient(FAR, r - 5))
    return torch.where(off.abs() <= 0.425, centre, torch.where(off < 0, -tail, tail))


def quotient(parts: tuple[Sequence[float], Sequence[float]], x: Tensor) -> Tensor:
    top, bottom = (horner(part, x) for part in parts)
    return top / bottom


def horner(coefficients: Sequence[float], x: Tensor) -> Tensor:
    """Σ_i c_i xⁱ."""
    found = torch.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        found = found * x + c
    return found
