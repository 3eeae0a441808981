"""An autoencoder with discrete codes, and a causal transformer that knows how likely each of them is.

Sources: van den Oord et al. 2017, "Neural Discrete Representation Learning", for the two stages; Mentzer et al. 2023,
"Finite Scalar Quantization: VQ-VAE Made Simple", for the codes: each number of a code is rounded to a few levels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan  # where the oldest torch that we take has it, too

from triptych.core import ModelSpec, Shape, to_inner
from triptych.core.checks import check_examples
from triptych.core.counts import check_draw
from triptych.core.labels import Asked
from triptych.core.model import decoded
from triptych.core.share import draw
from triptych.core.transport import Transport
from triptych.errors import UserError
from triptych.models.autoencoders import Residual
from triptych.models.flows.autoregressive import MaskedLinear
from triptych.models.hierarchical import to_pixels
from triptych.models.layers.conv import PlainDown, PlainUp
from triptych.models.layers.mlp import Reshape
from triptych.models.layers.transformer import Cache, TokenTransformer
from triptych.models.observed import Observed, Scale, TwoStages, outputs

UNITS = 32
"""Hidden units behind the distribution of each number of a code."""
CHUNK = 256
"""Codes drawn at once, whatever the batch: so that they are the same to the last bit."""
NEAR = ((0, -2), (-1, -1), (-1, 0), (-1, 1), (-2, 0))
"""Rows and columns from a place of the grid to those near it that come before."""


def entering(side: int, near: Sequence[tuple[int, int]] = ()) -> Tensor:
    """Of each of the T places of a square grid, (T, m): the places whose codes enter there; T stands for none.

    They are the place before, in the order of reading, and those that are `near`.
    """
    tokens = side * side
    rows = []
    for i in range(tokens):
        around = [(i // side + down, i % side + right) for down, right in near]
        rows.append(
            [i - 1 if i else tokens, *(r * side + c if r >= 0 and 0 <= c < side else tokens for r, c in around)]
        )
    return torch.tensor(rows)


class CodePredictor(nn.Module):
    """p(k) of codes k (n, T, d) of `levels` values: place by place, and at a place number by number.

    A causal transformer tells of the places before, whose codes enter it as the table `enters` (T, m) says; in its
    output every number of a place has units of its own, which also see the numbers before it (a perceptron masked as in
    Germain et al. 2015). What is drawn leaves out values less likely than `min_p` times the likeliest; log p does not.
    """

    enters: Tensor

    def __init__(
        self,
        enters: Tensor,
        numbers: int,
        levels: int,
        width: int,
        depth: int,
        heads: int,
        dropout: float = 0.0,
        min_p: float = 0.0,
    ) -> None:
        super().__init__()
        self.numbers, self.levels, self.min_p = numbers, levels, min_p
        tokens, m = enters.shape
        self.register_buffer("enters", enters, persistent=False)
        self.trunk = TokenTransformer(
            m * numbers * levels, numbers * UNITS, tokens, width, depth, heads, causal=True, dropout=dropout
        )
        seen = torch.arange(numbers).repeat_interleave(levels) + 1
        self.own = MaskedLinear(seen, torch.arange(numbers).repeat_interleave(UNITS))
        self.leave = nn.Parameter(torch.randn(numbers, UNITS, levels) / math.sqrt(UNITS))

    def one_hot(self, k: Tensor) -> Tensor:
        """Codes (n, T, d) to (n, T, d · levels), in the type of the weights."""
        return F.one_hot(k, self.levels).flatten(2).to(self.leave.dtype)

    def forward(self, k: Tensor) -> Tensor:
        """log p of every value of every number, given all before it, (n, T, d, levels)."""
        seen = self.one_hot(k)
        before = F.pad(seen, (0, 0, 0, 1))[:, self.enters].flatten(2)
        h = F.silu(self.trunk(before) + self.own(seen)).unflatten(-1, (self.numbers, UNITS))
        return torch.einsum("ntdu,dul->ntdl", h, self.leave).float().log_softmax(-1)

    def generate(self, u: Tensor, temperature: float = 1.0) -> Tensor:
        """Codes (n, T, d) for uniform numbers u of that shape, by the inverse of each distribution function."""
        if torch.compiler.is_compiling():
            return self.scanned(u, temperature)
        cache: Cache = []
        seen, rows = self.nothing(u), []
        for i in range(u.shape[1]):
            h, cache = self.trunk.after(seen[:, self.enters[i]].flatten(1)[:, None], i, cache)
            seen[:, i], k = self.place(h[:, 0], u[:, i], temperature)
            rows.append(k)
        return torch.stack(rows, 1)

    def nothing(self, u: Tensor) -> Tensor:
        """Room for the one-hot codes of every place, and for those of none, which stay 0: (n, T + 1, d · levels)."""
        return u.new_zeros(u.shape[0], u.shape[1] + 1, self.numbers * self.levels, dtype=self.leave.dtype)

    def place(self, h: Tensor, u: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        """One place: its codes one-hot (n, d · levels) and as they are (n, d), for the trunk's (n, d · units) of it."""
        seen, row = h.new_zeros(h.shape[0], 0), []
        for j in range(self.numbers):
            units = slice(j * UNITS, (j + 1) * UNITS)
            weight, bias = self.own.weight[units, : j * self.levels], self.own.bias[units]
            own = F.linear(seen, weight, bias) if j else bias
            logits = F.silu(h[:, units] + own) @ self.leave[j] / temperature
            p = logits.float().softmax(-1)
            if self.min_p:
                p = torch.where(p >= self.min_p * p.amax(-1, keepdim=True), p, 0.0)
                p = p / p.sum(-1, keepdim=True)
            reached = p.cumsum(-1)[:, :-1]
            k = (u[:, j, None] >= reached).sum(-1)
            seen = torch.cat([seen, F.one_hot(k, self.levels).to(seen.dtype)], 1)
            row.append(k)
        return seen, torch.stack(row, 1)

    def scanned(self, u: Tensor, temperature: float) -> Tensor:
        """`generate` in a graph for other programs: one place as the body of a loop, whose cache has room for all."""
        tokens, now = u.shape[1], torch.eye(u.shape[1], dtype=torch.bool, device=u.device)
        until = torch.ones_like(now).tril()

        def one(carry: list[Tensor], at: list[Tensor]) -> tuple[list[Tensor], Tensor]:
            seen, keys, values = carry
            token = seen[:, at[4]].flatten(1)[:, None]
            h, keys, values = self.trunk.among(token, at[1], at[2], at[3], keys, values)
            new, k = self.place(h[:, 0], at[0], temperature)
            seen = torch.where(F.pad(at[2], (0, 1))[:, None], new[:, None], seen)
            return [seen, keys, values], k

        empty = self.trunk.room(u.shape[0], tokens)
        every = [u.transpose(0, 1), self.trunk.positions, now, until, self.enters]
        return scan(one, [self.nothing(u), empty, empty.clone()], every)[1].transpose(0, 1)


def spread(codes: int) -> nn.GroupNorm:
    """Numbers over the whole picture to a deviation that reaches most levels, at first.

    As they come from a fresh network all would be rounded to the level in the middle, and the decoder would learn to
    do without them.
    """
    norm = nn.GroupNorm(1, codes)
    nn.init.constant_(norm.weight, 2.0)
    return norm


class DiscreteAutoencoder(Observed, TwoStages):
    """z (n, latent) are the codes, on a lattice of `levels` values in [−1, 1]; samples decode draws of the predictor.

    `encode` gives codes on the lattice, with the gradient of the numbers that were rounded. `decode` takes any z:
    between the codes it is the decoder's interpolation.
    """

    sampling = ("encoder", "decoder", "predictor")
    spherical = False
    beyond = 0.1
    predictor: CodePredictor
    code_mean: Tensor
    code_var: Tensor

    def __init__(
        self,
        shape: Shape,
        grid: Shape,
        levels: int,
        encoder: nn.Module,
        decoder: nn.Module,
        predictor: CodePredictor,
        scale: Scale,
    ) -> None:
        """`encoder`: (n, *shape) to numbers of any size (n, d · s · s); `grid` is (d, s, s)."""
        super().__init__(shape, math.prod(grid), encoder, decoder, scale=scale)
        self.grid, self.levels = grid, levels
        self.predictor = predictor
        self.register_buffer("code_mean", torch.zeros(self.latent))
        self.register_buffer("code_var", torch.ones(self.latent))

    def codes(self, x: Tensor) -> Tensor:
        """Codes of inner examples on the lattice, (n, latent), with a straight-through gradient.

        Source: Mentzer et al. 2023, section 3.1; here the levels go from −1 to 1, of any number.
        """
        top = self.levels - 1
        v = top * torch.sigmoid(self.encoder(x))
        return 2 / top * (v + (v.round() - v).detach()) - 1

    def values(self, z: Tensor) -> Tensor:
        """Codes z (n, latent) as whole numbers from 0, (n, T, d): place by place, in the order of reading."""
        k = ((z.detach() + 1) * ((self.levels - 1) / 2)).round().long()
        return k.reshape(-1, self.grid[0], self.grid[1] * self.grid[2]).transpose(1, 2)

    def log_prior(self, z: Tensor) -> Tensor:
        """log p of codes on the lattice, in nats, (n,)."""
        k = self.values(z)
        return self.predictor(k).gather(-1, k[..., None]).flatten(1).sum(1)

    @torch.no_grad()
    def observe(self, codes: Tensor, mse: Tensor) -> None:
        """Update the running estimates by a batch: the codes' mean and variance, and the noise of p(x|z)."""
        w = self.observe_error(mse)
        self.code_mean.lerp_(codes.mean(0), w)
        self.code_var.lerp_((codes - self.code_mean).square().mean(0), w)

    def prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n codes drawn from the predictor, (n, latent)."""
        return self.drawn(n, generator, 1.0)

    @torch.no_grad()
    def drawn(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        """`prior`, with logits divided by the temperature."""
        where = self.device if generator is None else generator.device
        noise = draw(lambda n: torch.randn(n, self.latent, generator=generator, device=where), n).to(self.device)
        return torch.cat([self.chosen(part, temperature) for part in noise.split(CHUNK)])

    def chosen(self, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """Codes (n, latent) that noise (n, latent) ~ N(0, I) chooses: place by place, each number by its share Φ."""
        u = torch.special.ndtr(noise).unflatten(1, (self.grid[1] * self.grid[2], self.grid[0]))
        k = self.predictor.generate(u, temperature)
        return (k.transpose(1, 2).flatten(1) * (2 / (self.levels - 1)) - 1).to(self.code_mean.dtype)

    def prior_moments(self) -> tuple[Tensor, Tensor]:
        """Those of the training examples' codes."""
        return self.code_mean.cpu(), self.code_var.sqrt().cpu()

    def transport(self) -> Transport:
        return Transport(self.latent, lambda noise, y: self.chosen(noise), chooses=True)

    def sample(self, n: int, seed: int = 0, temperature: float = 1.0, batch: int = 256, y: Asked = None) -> Tensor:
        """n new public examples, (n, *shape); `temperature` divides the predictor's logits."""
        seed = check_draw(n, seed, temperature)
        if temperature == 0:
            raise UserError(
                "discrete codes are drawn at a temperature above 0; give a small one for the likeliest codes"
            )
        z = self.drawn(n, torch.Generator().manual_seed(seed), temperature)
        return decoded(self, z, self.labels(y, n, seed), batch)

    def encode(self, x: Tensor, y: Asked = None) -> Tensor:
        check_examples(self, x)
        with self.given(y, x.shape[0]):
            return self.codes(to_inner(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


@dataclass(frozen=True)
class FSQTransformer(ModelSpec):
    """Convolutions to a grid of codes of a few levels and back, and a transformer over the grid, for square images."""

    side: int = 8
    """side of the grid of codes: images are halved until they are this small"""
    codes: int = 6
    """numbers at a place of the grid"""
    levels: int = 5
    """values that each number can have"""
    width: int = 64
    """channels of the autoencoder at half the resolution; twice as many below"""
    prior_width: int = 128
    """channels of the transformer"""
    prior_depth: int = 4
    """blocks of the transformer, of four heads"""
    near: bool = False
    """codes enter the transformer with those near them, above and to the left, not with the last one alone"""
    dropout: float = 0.0
    """part of what the transformer's blocks add that is left out while it trains"""
    min_p: float = 0.0
    """samples leave out values of a number less likely than this share of its likeliest (min-p sampling)"""
    scale: Scale = "set"
    """a learned scale of p(x|z) for the whole set, or from the decoder for each pixel or each picture"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.levels < 2:
            raise UserError("model.levels is 1: such codes say nothing; give 2 or more")
        if not 0 <= self.dropout < 1:
            raise UserError(f"model.dropout is {self.dropout:g}; give a share from 0 to below 1")
        if not 0 <= self.min_p < 1:
            raise UserError(f"model.min_p is {self.min_p:g}; give a share from 0 to below 1")
        if self.prior_width % 4:
            raise UserError(f"model.prior_width is {self.prior_width}; four heads share it: give a multiple of 4")

    def build(self, shape: Shape) -> DiscreteAutoencoder:
        if len(shape) != 3 or shape[1] != shape[2]:
            raise UserError(f"FSQTransformer needs square images and got shape {tuple(shape)}; give --resolution 32")
        c, image = shape[0], shape[1]
        halvings = round(math.log2(image / self.side)) if image >= 2 * self.side else 0
        if not halvings or image != self.side * 2**halvings:
            raise UserError(
                f"{image} px cannot be halved to codes of side {self.side}; choose another --model.side, or a "
                f"--resolution of {self.side} times a power of 2"
            )
        widths = [self.width * min(2**i, 2) for i in range(halvings)]
        down: list[nn.Module] = [
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * c, widths[0], 3, padding=1),
            Residual(widths[0]),
        ]
        for a, b in pairwise(widths):
            down += [PlainDown(a, b), Residual(b)]
        down += [nn.SiLU(), nn.Conv2d(widths[-1], self.codes, 1), spread(self.codes), nn.Flatten()]
        grid = (self.codes, self.side, self.side)
        up: list[nn.Module] = [Reshape(grid), nn.Conv2d(self.codes, widths[-1], 3, padding=1), Residual(widths[-1])]
        for a, b in pairwise(widths[::-1]):
            up += [PlainUp(a, b), Residual(b)]
        up += [*to_pixels(widths[0], 2, outputs(shape, self.scale)[0])]
        enters = entering(self.side, NEAR if self.near else ())
        predictor = CodePredictor(
            enters, self.codes, self.levels, self.prior_width, self.prior_depth, 4, self.dropout, self.min_p
        )
        return DiscreteAutoencoder(
            shape, grid, self.levels, nn.Sequential(*down), nn.Sequential(*up), predictor, self.scale
        )
