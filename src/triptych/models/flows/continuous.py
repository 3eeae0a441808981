"""Continuous flows: noise is carried to data along an ordinary differential equation, whose velocity is a network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from triptych.core import Density, Encoder, Model, Shape, to_inner
from triptych.core.checks import check_codes, check_examples
from triptych.core.labels import Asked, given, labels_at_hand
from triptych.core.model import Cost
from triptych.core.model_spec import ConditionalSpec
from triptych.core.share import draw
from triptych.errors import UserError
from triptych.models.flows import ode
from triptych.models.flows.ode import Solver
from triptych.models.flows.path import NEAREST, Scaled, radius

EXACT = 64
"""Dimensions up to which the divergence is computed exactly; beyond, it is estimated."""
USUAL = 130.0
"""Evaluations of the velocity that an adaptive solution takes, about: the price of a likelihood depends on nothing that
was asked before, so that a resumed training looks at as many examples."""
EARLY = 1.25
"""Exponent of the times of a picture's steps. On pixels eight of Heun's are as good as 32 with it, and the kernel
distance is less than half of that with the times of vectors; on codes it is two thirds."""
ROUGH = 1e-3
"""Tolerance of likelihoods that are only looked at: maps of the plane."""


class Carried(Scaled, Encoder):
    """Abstract base of the flows in continuous time: z at t = 0 is carried to x at t = 1 by dx/dt = v(x, t).

    `decode` integrates forward and `encode` back by the chosen solver; both hold guesses to the range of the data.
    """

    solvers: ClassVar[tuple[str, ...]] = ode.SOLVERS

    def __init__(self, shape: Shape, flow: nn.Module, settings: Integration, moved: Shape | None = None) -> None:
        super().__init__(shape, flow, moved, settings.k)
        self.solver, self.steps, self.tolerance = str(settings.solver), settings.steps, settings.tolerance
        self.guidance = settings.guidance
        self.evaluations: dict[str, float] = {}
        """of the velocity, by the last adaptive solutions: `sample`, `likelihood`"""

    @property
    def cost(self) -> Cost:
        passes = 1 if self.guidance == 1 else 2
        if self.solver == "dopri5":
            return Cost(passes * self.evaluations.get("sample", USUAL))
        return Cost(float(passes * self.steps * ode.TABLEAUS[self.solver].stages))

    def velocity(self, t: Tensor, x: Tensor) -> Tensor:
        """v of scaled, flat x (n, d) at times t (n, 1)."""
        r = radius(t)
        return ((2 * t - 1) / r * x + self.guided(x / r, t)) / r

    def guided(self, seen: Tensor, t: Tensor) -> Tensor:
        """F without a label, and w times the way from there to F with it; w = 1 is F with the label.

        Source: Ho and Salimans 2022, "Classifier-Free Diffusion Guidance", eq. 6, with w counted from 0.
        """
        known = self.network(seen, t)
        if self.guidance == 1:
            return known
        nothing = self.classes or self.numbers  # the row of the table that stands for no label
        with given(torch.full((seen.shape[0],), nothing, device=seen.device)):
            return torch.lerp(self.network(seen, t), known, self.guidance)

    def beside(self, *columns: Tensor) -> Tensor:
        """What a solver carries beside each row: these columns, and what the row is conditioned on."""
        if not self.conditioned:
            return torch.cat(columns, 1)
        y = labels_at_hand(columns[0].shape[0])
        return torch.cat([*columns, (y if y.dim() == 2 else y[:, None]).to(columns[0])], 1)

    def parted(self, beside: Tensor, columns: int) -> tuple[Tensor, Tensor | None]:
        """The inverse of `beside`: so many columns, and labels (n,), shares of classes (n, K) or numbers (n, k)."""
        if not self.conditioned:
            return beside, None
        y = beside[:, columns:]
        return beside[:, :columns], y[:, 0].long() if y.shape[1] == 1 and not self.numbers else y

    def held(self, t: Tensor, x: Tensor, beside: Tensor) -> Tensor:
        """The velocity towards the guess held to limits, the lowest and highest values (n, 2 d) in `beside`."""
        limits, y = self.parted(beside, 2 * x.shape[1])
        with given(y):
            v, left = self.velocity(t, x), 1 - t
        low, high = limits.chunk(2, dim=1)
        guess = x + left * v
        inside = torch.minimum(torch.maximum(guess, low), high)
        return torch.where(left > NEAREST, v + (inside - guess) / left.clamp_min(NEAREST), v)

    def times(self) -> list[float]:
        """`steps` + 1 times from 0 to 1: of vectors denser towards 1, where narrow modes are decided.

        Of pictures and of spatial codes a little denser towards 0: how bright and how colourful a picture is as a whole
        stands out from the noise of thousands of pixels early, and with few steps there all samples come out pale.
        """
        even = [i / self.steps for i in range(self.steps + 1)]
        return [s**EARLY for s in even] if len(self.moved) == 3 else [1 - (1 - s) ** 2 for s in even]

    def adapted(self, field: ode.Field, x: Tensor, beside: Tensor, *, back: bool) -> tuple[Tensor, float]:
        """`ode.adaptive` from one end of time to the other; its steps are in s, where t = 1 − (1 − s)², as of vectors.

        A fifth fewer evaluations for the same error than with steps in t.
        """

        def slowed(s: Tensor, x: Tensor, beside: Tensor) -> Tensor:
            left = 1 - s
            return 2 * left * field(1 - left.square(), x, beside)

        ends = (1.0, 0.0) if back else (0.0, 1.0)
        return ode.adaptive(slowed, x, *ends, self.tolerance, beside)

    def carry(self, x: Tensor, limits: Tensor, *, back: bool = False) -> Tensor:
        """Scaled x (n, d) from one end of time to the other, by the chosen solver."""
        if self.solver == "dopri5":
            x, self.evaluations["sample"] = self.adapted(self.held, x, limits, back=back)
            return x
        times = self.times()[::-1] if back else self.times()
        # what a model is conditioned on is at hand, and not handed on
        return ode.fixed(self.held, x, times, self.solver, limits, loop=not self.conditioned)

    def path(self, z: Tensor, steps: int, y: Asked = None) -> Iterator[Tensor]:
        x = check_codes(self, z)
        with self.given(y, z.shape[0]):
            limits = self.beside(self.low.expand_as(z), self.high.expand_as(z))
        solver = "heun" if self.solver == "dopri5" else self.solver
        yield self.unscaled(x)
        for i in range(steps):
            x = ode.fixed(self.held, x, [i / steps, (i + 1) / steps], solver, limits)
            yield self.unscaled(x)

    def decode(self, z: Tensor, y: Asked = None) -> Tensor:
        z = check_codes(self, z)
        with self.given(y, z.shape[0]):
            limits = self.beside(self.low.expand_as(z), self.high.expand_as(z))
        return self.unscaled(self.carry(z, limits))

    def encode(self, x: Tensor, y: Asked = None) -> Tensor:
        at = self.scaled(to_inner(check_examples(self, x)))
        # an example beyond the range of the training data is not pulled into it
        limits = torch.minimum(self.low, at.detach()), torch.maximum(self.high, at.detach())
        with self.given(y, x.shape[0]):
            return self.carry(at, self.beside(*limits), back=True)


class ContinuousFlow(Carried, Density):
    """A flow in continuous time with its likelihood.

    `log_prob` integrates the divergence along the same path by dopri5 within `tolerance`:

        log p(x) = log N(z; 0, I) − ∫₀¹ ∇·v(x_t, t) dt

    with the exact trace of the Jacobian up to 64 dimensions, and beyond them Hutchinson's estimate εᵀ J ε with `probes`
    vectors ε of random signs, fixed along the path. Sources: Chen et al. 2018, "Neural Ordinary Differential
    Equations", theorem 1; Grathwohl et al. 2019, "FFJORD", eq. 7.
    """

    def __init__(self, shape: Shape, flow: nn.Module, settings: Integration) -> None:
        super().__init__(shape, flow, settings)
        self.probes = settings.probes

    @property
    def cost(self) -> Cost:
        traces = self.latent if self.exact_trace else self.probes
        return Cost(super().cost.sample, USUAL * (1 + 2 * traces) * max(self.classes, 1))

    @property
    def exact_trace(self) -> bool:
        return self.latent <= EXACT

    def log_prob(self, x: Tensor, y: Asked = None) -> Tensor:
        """Nats per example, in the data's units (images: on [0, 1]^d); each call draws probes where it needs them.

        Of a model with classes that of x given y, or without y that of x whatever its class. UserError where samples
        are guided: these are of another distribution, whose density is no p(x | y) of the model.
        """
        inner = to_inner(check_examples(self, x))
        if self.guidance != 1:
            raise UserError(
                f"samples guided with weight {self.guidance:g} are drawn from no p(x | y) and have no density; "
                "give --guidance 1 for likelihoods"
            )
        self.check_given(y)
        if self.classes and y is None:
            return self.log_joint(x).logsumexp(1)
        with self.given(y, x.shape[0]):
            log_p = self.log_density(self.scaled(inner)) - self.log_scale
        return log_p + self.latent * math.log(2) if x.dim() == 4 else log_p

    def log_prob_to_look_at(self, x: Tensor) -> Tensor:
        with self.at_tolerance(max(self.tolerance, ROUGH)):
            return self.log_prob(x)

    @property
    def log_scale(self) -> Tensor:
        """log |det| of `unscaled` on inner examples."""
        return self.scale.log().sum() * (self.latent // self.scale.shape[0])

    def log_density(self, x: Tensor) -> Tensor:
        """log p of scaled, flat x (n, d), (n,)."""
        n, d = x.shape
        graph = torch.is_grad_enabled()
        signs = x.new_zeros(n, 0)
        if not self.exact_trace:
            signs = draw(lambda n: torch.randint(0, 2, (n, self.probes * d), device=x.device), n).to(x) * 2 - 1

        def field(t: Tensor, state: Tensor, beside: Tensor) -> Tensor:
            signs, label = self.parted(beside, 0 if self.exact_trace else self.probes * d)
            with torch.enable_grad(), given(label):
                y = state[:, :d]
                y = y if y.requires_grad else y.detach().requires_grad_()
                v = self.velocity(t, y)
                rate = torch.cat([v, self.divergence(y, v, signs, graph=graph)[:, None]], 1)
            return rate if graph else rate.detach()

        state = torch.cat([x, x.new_zeros(n, 1)], 1)
        state, self.evaluations["likelihood"] = self.adapted(field, state, self.beside(signs), back=True)
        z = state[:, :d]
        return -0.5 * (z.square().sum(1) + d * math.log(2 * math.pi)) + state[:, d]

    def divergence(self, x: Tensor, v: Tensor, signs: Tensor, *, graph: bool) -> Tensor:
        """∇·v per row, (n,): the trace of ∂v/∂x, exact without `signs`, else its estimate with these probes."""

        def product(u: Tensor, *, keep: bool) -> Tensor:
            return torch.autograd.grad(v, x, u, create_graph=graph, retain_graph=graph or keep)[0]

        d = x.shape[1]
        if not signs.shape[1]:
            unit = torch.eye(d, dtype=x.dtype, device=x.device)
            return sum_of(product(unit[i].expand_as(v), keep=i + 1 < d)[:, i] for i in range(d))
        probes = signs.split(d, 1)
        found = sum_of((product(e, keep=i + 1 < len(probes)) * e).sum(1) for i, e in enumerate(probes))
        return found / len(probes)

    @contextmanager
    def at_tolerance(self, tolerance: float) -> Iterator[None]:
        """Another tolerance inside the block."""
        before, self.tolerance = self.tolerance, tolerance
        try:
            yield
        finally:
            self.tolerance = before


class OnePassFlow(Scaled):
    """Learns the mean velocity u(x_t, t, s) = (x_s − x_t) / (s − t) of a flow: from noise to data in one pass.

    With `steps` above 1 the way is cut into as many equal parts, a pass each. It is no solution of an equation, so
    that it has neither a likelihood nor a way back.
    """

    def __init__(self, shape: Shape, flow: nn.Module, classes: int = 0) -> None:
        super().__init__(shape, flow, classes=classes)
        self.solver, self.steps = "", 1

    @property
    def cost(self) -> Cost:
        return Cost(sample=float(self.steps))

    def mean_velocity(self, x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """u of scaled, flat x (n, d) between the times t and s (n, 1); at s = t the velocity itself."""
        r = radius(t)
        return ((2 * t - 1) / r * x + self.network(x / r, t, s)) / r

    def path(self, z: Tensor, steps: int, y: Asked = None) -> Iterator[Tensor]:
        x, column, label = check_codes(self, z), torch.ones_like(z[:, :1]), self.labels(y, z.shape[0])
        yield self.unscaled(x)
        for i in range(steps):
            t, s = i / steps, (i + 1) / steps
            with given(self.inner(label)):
                x = x + (s - t) * self.mean_velocity(x, column * t, column * s)
            yield self.unscaled(torch.minimum(torch.maximum(x, self.low), self.high) if i + 1 == steps else x)

    def decode(self, z: Tensor, y: Asked = None) -> Tensor:
        *_, last = self.path(z, self.steps, y)
        return last

    def log_prob(self, x: Tensor, y: Asked = None) -> Tensor:
        raise TypeError(
            "OnePassFlow has no likelihood: a mean velocity solves no equation; train the same network by FlowMatching"
        )


def sum_of(parts: Iterator[Tensor]) -> Tensor:
    """The sum of equally shaped tensors, at least one."""
    total = next(parts)
    for part in parts:
        total = total + part
    return total


@dataclass(frozen=True)
class Integration(ConditionalSpec):
    """Abstract base of the networks that say a velocity: how it is integrated."""

    solver: Solver = "heun"
    """how samples are made and examples encoded: dopri5 chooses its steps, the others take `steps`"""
    steps: int = 8
    """steps of a solver with fixed ones"""
    tolerance: float = 1e-5
    """error that dopri5 may make, in likelihoods too"""
    probes: int = 1
    """random vectors that estimate the divergence beyond 64 dimensions"""
    guidance: float = field(default=1.0, metadata={"later": True})
    """with classes: weight of the label in samples; above 1 they are clearer and less diverse, and have no density"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.tolerance > 0:
            raise UserError(f"model.tolerance is {self.tolerance:g}; it must be above 0")
        ode.check_tolerance(self.tolerance)
        if self.classes != "auto":
            check_guidance(self.guidance, self.classes or self.numbers)


def choose_guidance(model: Model, weight: float | None) -> None:
    """Samples guided with that weight from now on; None leaves it. UserError for a model that cannot be guided."""
    if weight is None:
        return
    if not isinstance(model, Carried) or not model.conditioned:
        raise UserError(
            f"this {type(model).__name__} cannot be guided; --guidance is for continuous flows with classes"
        )
    check_guidance(weight, model.classes or model.numbers)
    model.guidance = weight


def check_guidance(weight: float, classes: int) -> None:
    """UserError for a weight that cannot guide, or where there is no label to guide by."""
    if weight != 1 and not classes:
        raise UserError("guidance is by a label, and this model has no classes; leave --guidance out")
    if not 0 <= weight <= 100:
        raise UserError(f"a guidance of {weight:g} is too much or too little; give 0 (no label) to 100, usually 1 to 4")


@dataclass(frozen=True)
class Velocity(Integration):
    """Abstract base of the networks that move examples themselves."""

    one_pass: bool = False
    """predict the mean velocity between two times, for the objective MeanFlow: samples in one pass, no likelihood"""

    def model(self, shape: Shape, flow: nn.Module) -> Scaled:
        """The family that the network belongs to."""
        return OnePassFlow(shape, flow, self.k) if self.one_pass else ContinuousFlow(shape, flow, self)
