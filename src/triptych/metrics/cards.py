"""The card of a likelihood: what the number is, and which two numbers may be ranked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

from triptych.errors import UserError

KINDS: Mapping[str, Literal["exact", "bound", "estimate"]] = {
    "exact": "exact",
    "ELBO": "bound",
    "IWAE": "bound",
    "ODE": "estimate",
}
"""The kind of likelihood that an estimator gives."""


@dataclass(frozen=True)
class Card:
    """What a likelihood is a likelihood of. Two numbers may be ranked only where their cards agree.

    Its `kind` says how far a number may be from the truth: `exact` but for rounding; a `bound`, whose gap is not known;
    an `estimate`, which has errors of its own on either side. Numbers of different kinds never share a name.
    """

    space: str
    """what the density is over: the data's units, the vectors of a typed table's rows, [0, 1]^D, or grey levels"""
    dequantisation: Literal["none", "uniform", "learned"]
    estimator: Literal["exact", "ELBO", "IWAE", "ODE"]
    draws: int
    """K: draws of noise or codes per example"""
    bound: Literal["exact", "lower bound"]
    """of the log-likelihood"""
    examples: int
    non_finite: int = 0
    _: KW_ONLY
    kind: Literal["exact", "bound", "estimate", ""] = ""
    """filled in from the estimator"""
    classes: int | None = None
    """K of log Σ_c p(c) p(x | c), which is summed over all of them; None where the model has none"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", KINDS[self.estimator])

    def told(self) -> dict[str, Any]:
        """As eval.json has it: what does not apply is left out."""
        return {k: v for k, v in dataclasses.asdict(self).items() if v is not None}

    @property
    def ranked(self) -> Card:
        """What two cards must share for their numbers to be ranked."""
        return Card(self.space, self.dequantisation, self.estimator, self.draws, self.bound, 0)

    def __str__(self) -> str:
        text = f"{self.bound} of log p over {self.space}: {self.estimator}, K = {self.draws}"
        if self.dequantisation != "none":
            text += f", {self.dequantisation} dequantisation"
        if self.classes is not None:
            text += f", summed over all {self.classes} classes"
        return text + (f"; {self.non_finite} of {self.examples} not finite" if self.non_finite else "")


@dataclass(frozen=True)
class EstimateCard(Card):
    """The card of a likelihood that a solver found: how, and whether more effort would have changed it."""

    solver: str = "dopri5"
    tolerance: float = 0.0
    steps: float = 0.0
    """mean number of steps per example, those tried again counted"""
    probes: int = 0
    """random vectors of the estimate of the divergence; 0: the exact trace"""
    se: float = 0.0
    """standard error of the mean in nats, over examples and probes"""
    value_at_doubled_steps: float = 0.0
    """mean negative log-likelihood of the first `checked` examples in twice the steps, in nats"""
    value_at_steps: float = 0.0
    """of the same examples, as they were"""
    checked: int = 0
    converged: bool = False
    """whether the two differ by less than `AGREE` nats per dimension"""

    def __str__(self) -> str:
        trace = f"{self.probes} probe{'s' * (self.probes > 1)}" if self.probes else "exact trace"
        moved = abs(self.value_at_doubled_steps - self.value_at_steps)
        verdict = f"{'converged' if self.converged else 'NOT converged'}: twice the steps move it by {moved:.2g} nats"
        return f"{super().__str__()}; {self.solver} at {self.tolerance:g}, {self.steps:.0f} steps, {trace}; {verdict}"


def rank(values: Mapping[str, tuple[float, Card]]) -> list[str]:
    """Names from the highest log-likelihood to the lowest; UserError where the cards forbid a comparison.

    An ELBO below another model's exact value shows nothing: the bound's own gap may be larger than the difference.
    """
    cards = {name: card.ranked for name, (_, card) in values.items()}
    if cards:
        first, *rest = cards.items()
        for name, card in rest:
            if card != first[1]:
                raise UserError(
                    f"{first[0]} ({first[1]}) and {name} ({card}) cannot be ranked; compare likelihoods of one kind"
                )
    if broken := [name for name, (_, card) in values.items() if card.non_finite]:
        raise UserError(f"{broken[0]} has non-finite likelihoods; there is no mean to rank")
    return sorted(values, key=lambda name: -values[name][0])
