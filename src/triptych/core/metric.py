"""Metrics, and values that say what they are."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from triptych.core.model import Sampler
from triptych.core.quantity import Better, Quantity


@dataclass(frozen=True)
class Value:
    """One number and what it takes to trust it. `eval.json` stores exactly these fields."""

    value: float | None
    """None: not defined, `note` says why"""
    n: int
    """generated examples"""
    n_real: int | None = None
    """real examples"""
    reference: str = ""
    """the real side: name, split and fingerprint"""
    extractor: str | None = None
    resize: str | None = None
    seed: int | None = None
    dtype: str = "float64"
    floor: float | None = None
    """the same metric between two independent sets of real examples"""
    floor_n: int | None = None
    """real examples on the smaller side of the floor: n, unless there are too few"""
    se: float | None = None
    """standard error where the estimator has one"""
    how: str = ""
    """what was unlike a plain evaluation of a run: the best checkpoint's weights, statistics of batches"""
    note: str = ""
    card: Mapping[str, Any] | None = None
    """of a likelihood: what it is a likelihood of"""
    quantity: str = ""
    """which of its metric's declared quantities it is; empty: the one of its own name"""
    variant: str = ""
    """which one of these it is: of which features, by which bound, of which checkpoint"""
    title: str = ""
    """from here on what the metric declares of it, as `Quantity` has it"""
    better: Better = ""
    neither: str = ""
    unit: str = ""
    comparable: str = ""
    rank: int = 50


class Metric(ABC):
    """Abstract base of the frozen dataclasses in `metrics/`.

    A metric is called with a `triptych.metrics.comparison.Case`, which makes samples and features once for all metrics.
    """

    needs: ClassVar[type] = Sampler
    """Capability a model must have."""
    quantities: ClassVar[Mapping[str, Quantity]] = {}
    """What it makes, by name. Of a number whose name depends on the features (`coverage_inception`) the name before
    that is enough; where the variant has a name of its own among people (`fid`), that may be declared too."""

    @abstractmethod
    def applies(self, case: Any) -> str:
        """Empty when the metric is defined for this case, else the reason why not."""

    @abstractmethod
    def __call__(self, case: Any) -> dict[str, Value]:
        """Named numbers."""

    def evaluated(self, case: Any) -> dict[str, Value]:
        """Named numbers, each with what is declared of it: what evaluations run."""
        return described(self(case), self.quantities)

    def along(self, case: Any) -> dict[str, float]:
        """Numbers for a line of the log while training: cheap ones, without floors. Default: none.

        Each is declared with the data it is `logged` on. What takes more examples than there are is left out, by
        `Comparison.number`.
        """
        return {}


def described(values: Mapping[str, Value], quantities: Mapping[str, Quantity]) -> dict[str, Value]:
    """Values with what is declared of them; TypeError for one of which nothing is."""
    found = {}
    for name, value in values.items():
        # a name that people know needs no variant behind it: fid, not fid of Inception's features
        known = quantities.get(name)
        if known is None:
            if value.quantity not in quantities:
                raise TypeError(f"{name!r} is not declared; add it to the `quantities` of its metric")
            known = quantities[value.quantity].as_variant(value.variant)
        elif value.quantity not in ("", name) and value.quantity not in quantities:
            raise TypeError(f"{value.quantity!r} is not declared; add it to the `quantities` of its metric")
        found[name] = dataclasses.replace(value, quantity=value.quantity or name, **known.told())
    return found
