"""Networks that say a velocity: a perceptron for vectors and a U-Net for images.

They are called with x_t / r of variance 1, the time t (n, 1), and of a mean velocity also the time s at which it ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core import Shape
from triptych.errors import UserError
from triptych.models.flows.continuous import Velocity
from triptych.models.flows.path import NEAREST, Scaled, column_of, radius
from triptych.models.layers.conditional import ClassEmbedding, width_of
from triptych.models.layers.conv import nearest_up
from triptych.models.layers.conv_kernels import channels_last
from triptych.models.layers.inference import Network, Packed, PackedUp, Preparable, activated, normalised
from triptych.models.layers.linear import Linear, transformed

FREQUENCIES = (0.25, 0.5, 1.0, 2.0)
"""Of the sines of the log of noise over signal, which lies within ±6."""


class Times(nn.Module):
    """What networks see of times: `column_of` t; of a mean velocity smooth waves of both ends of its interval.

    A mean velocity is differentiated by t while it is trained, and the log of noise over signal has poles at both ends.
    Where there are classes, the embedding of the label at hand is behind it, one of which stands for no label.
    """

    frequencies: Tensor

    def __init__(self, *, second: bool, classes: int = 0) -> None:
        super().__init__()
        self.second = second
        self.register_buffer("frequencies", torch.tensor(FREQUENCIES), persistent=False)
        self.embedding = ClassEmbedding(classes + 1) if classes else None
        self.outputs = (2 if second else 1) * (1 + 2 * len(FREQUENCIES))
        if classes:
            self.outputs += width_of(classes + 1)

    def forward(self, t: Tensor, s: Tensor | None = None) -> Tensor:
        e = self.waves(t, s)
        return e if self.embedding is None else torch.cat([e, self.embedding.of_rows(t.shape[0]).to(e)], 1)

    def waves(self, t: Tensor, s: Tensor | None) -> Tensor:
        """Of the times alone."""
        if not self.second:
            return column_of(t, FREQUENCIES)
        both = torch.stack([t, (t if s is None else s) - t], 2)
        angles = both * (2 * math.pi * self.frequencies.to(both)[:, None])
        return torch.cat([both, angles.sin(), angles.cos()], 1).flatten(1)


def two_bases(d: int) -> Tensor:
    """Unit vectors (d, 2 d): the axes and the basis of the discrete cosine transform; (1, 1) for d = 1."""
    if d == 1:
        return torch.ones(1, 1)
    at = torch.arange(d, dtype=torch.float64)
    cosines = torch.cos(math.pi / d * (at[:, None] + 0.5) * at)
    return torch.cat([torch.eye(d), (cosines / cosines.norm(dim=0)).float()], 1)


class WavePerceptron(nn.Module):
    """x_t / r (n, d) and several octaves of waves through a perceptron, whose units the time scales.

    The waves are sines and cosines of y = x_t / t, which is data plus noise of deviation σ = (1 − t) / t, each times
    exp(−ω² σ² / 2): what the noise leaves of them in the mean. In y the modes stay where they are at all times. Without
    waves a smooth network takes weights that training does not reach in a minute to tell narrow modes apart. They run
    along the axes and along a second basis, in the plane the diagonals, so that none is a favourite. The last layer
    starts at 0.
    """

    waves: Tensor
    directions: Tensor

    def __init__(self, d: int, width: int, depth: int, octaves: int, *, second: bool, classes: int = 0) -> None:
        super().__init__()
        self.register_buffer("waves", math.pi / 2 * 2.0 ** torch.arange(octaves), persistent=False)
        self.register_buffer("directions", two_bases(d), persistent=False)
        self.times = Times(second=second, classes=classes)
        e = self.times.outputs
        self.enter = Linear(d + 2 * octaves * self.directions.shape[1] + e, width)
        self.hidden = nn.ModuleList(Linear(width, width) for _ in range(depth - 1))
        self.scales = nn.ModuleList(Linear(e, width) for _ in range(depth - 1))
        self.leave = Linear(width, d)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor, t: Tensor, s: Tensor | None = None) -> Tensor:
        e, some = self.times(t, s), t.clamp_min(NEAREST)
        if self.times.second:  # smooth in t, as its features of time are
            left, y = torch.ones_like(t)[:, None], x
        else:
            left, y = torch.exp(-0.5 * ((1 - t) / some * self.waves).square())[:, None], x * (radius(t) / some)
        angles = (y @ self.directions)[:, :, None] * self.waves
        seen = [x, (angles.sin() * left).flatten(1), (angles.cos() * left).flatten(1), e]
        h = F.silu(self.enter(torch.cat(seen, 1)))
        for layer, scale in zip(self.hidden, self.scales, strict=True):
            h = F.silu(layer(h) * (1 + scale(e)))
        return self.leave(h)


@dataclass(frozen=True)
class VelocityMLP(Velocity):
    """A continuous flow for vectors: a perceptron on sines of x and of the log of noise over signal."""

    width: int = 128
    """units per hidden layer"""
    depth: int = 3
    """hidden layers"""
    octaves: int = 5
    """octaves of sines of each column, from half a wave within ±2 standard deviations on"""

    def build(self, shape: Shape) -> Scaled:
        if len(shape) != 1:
            raise UserError(
                f"VelocityMLP is a flow for vectors and the data are {'×'.join(map(str, shape))} images; "
                "use VelocityUNet"
            )
        net = WavePerceptron(shape[0], self.width, self.depth, self.octaves, second=self.one_pass, classes=self.k)
        return self.model(shape, net)


Form = Callable[[Tensor, Tensor], Tensor]
"""A layer for samples: x (n, c, h, w) and in float32 the embedded times, (n, e) or (1, e), to x of another shape."""


class Block(nn.Module):
    """Two 3×3 convolutions around a residual; scale and shift after the second normalisation come from the time.

    (n, a, h, w) and (n, e) to (n, b, h, w). The last convolution starts at 0.
    """

    def __init__(self, inputs: int, outputs: int, embedding: int) -> None:
        super().__init__()
        self.first = nn.Sequential(norm(inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1))
        self.second = norm(outputs)
        self.modulate = Linear(embedding, 2 * outputs)
        self.last = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        for weights in (self.modulate, self.last):
            nn.init.zeros_(weights.weight)
            assert weights.bias is not None
            nn.init.zeros_(weights.bias)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        scale, shift = self.modulate(e)[:, :, None, None].chunk(2, dim=1)
        h = self.second(self.first(x)) * (1 + scale) + shift
        return self.skip(x) + self.last(F.silu(h))

    def prepared(self, dtype: torch.dtype) -> Form:
        """`forward` for samples.

        The second normalisation's weights and what the time makes of them are one affine map of e.
        """
        first, last = Packed(self.first[2], dtype), Packed(self.last, dtype)
        skip = Packed(self.skip, dtype) if isinstance(self.skip, nn.Conv2d) else None
        gain, offset = self.second.weight.detach(), self.second.bias.detach()
        scale, shift = torch.cat([self.modulate.weight, self.modulate.bias[:, None]], 1).detach().chunk(2)
        scale[:, -1] += 1
        both = torch.cat([gain[:, None] * scale, torch.addcmul(shift, offset[:, None], scale)])
        w, b = both[:, :-1].contiguous(), both[:, -1].contiguous()

        def call(x: Tensor, e: Tensor) -> Tensor:
            h = first(activated(self.first[0], x))
            h = activated(self.second, h, *F.linear(e, w, b).chunk(2, dim=1))
            return last(h, onto=x if skip is None else skip(x))

        return call


class Attention(nn.Module):
    """x plus self-attention over its pixels, (n, c, h, w) to the same; the projection starts at 0.

    Written out, since the fused kernels have no derivative forward, which a mean velocity needs.
    """

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)
        assert self.out.bias is not None
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        c, h, w = x.shape[1:]
        q, k, v = self.qkv(self.norm(x)).reshape(-1, 3 * self.heads, c // self.heads, h * w).chunk(3, dim=1)
        weights = (q.transpose(2, 3) @ k * (c // self.heads) ** -0.5).softmax(-1)
        return x + self.out((v @ weights.transpose(2, 3)).reshape(-1, c, h, w))

    def prepared(self, dtype: torch.dtype) -> Form:
        """`forward` for samples."""
        qkv, out = Packed(self.qkv, dtype), Packed(self.out, dtype)

        def call(x: Tensor, _: Tensor) -> Tensor:
            n, c, h, w = x.shape
            # a row for each pixel: q, k and v, each of every head
            rows = qkv(normalised(self.norm, x)).permute(0, 2, 3, 1).reshape(n, h * w, 3, self.heads, c // self.heads)
            q, k, v = rows.permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(q, k, v)
            return out(mixed.transpose(1, 2).reshape(n, h, w, c).permute(0, 3, 1, 2), onto=x)

        return call


class GroupNorm(nn.GroupNorm):
    """Group normalisation in float32 at least, of bfloat16 too, where a processor takes four times as long for it."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.float() if x.dtype is torch.bfloat16 else x
        # PyTorch's forward derivative of it views the channels of an image as one row, which channels_last has apart
        return super().forward(x.contiguous() if transformed() else x)


def norm(channels: int) -> GroupNorm:
    """Group normalisation in groups of at least 4 channels."""
    groups = next(g for g in (8, 4, 2, 1) if channels % g == 0 and (channels // g >= 4 or g == 1))
    return GroupNorm(groups, channels)


def form_of(layer: nn.Module, dtype: torch.dtype) -> Form:
    """A block or an attention for samples."""
    assert isinstance(layer, Block | Attention)
    return layer.prepared(dtype)


def once(e: Tensor) -> Tensor:
    """Embedded times (n, e), as (1, e) where all are equal: with fixed steps and no labels."""
    return e[:1] if bool((e == e[:1]).all()) else e


class UNet(Preparable):
    """Down to a quarter of the side and up again, attention at the lowest size; (n, c, h, w) to the same."""

    def __init__(self, channels: int, width: int, blocks: int, *, second: bool, classes: int = 0) -> None:
        super().__init__()
        self.times = Times(second=second, classes=classes)
        e = 4 * width
        self.embed = nn.Sequential(Linear(self.times.outputs, e), nn.SiLU(), Linear(e, e), nn.SiLU())
        widths = [width, 2 * width, 2 * width]
        self.enter = nn.Conv2d(channels, width, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        kept, c = list[int](), width
        for level, w in enumerate(widths):
            if level:
                self.down.append(nn.Conv2d(c, c, 3, 2, 1))
            for _ in range(blocks):
                self.down.append(Block(c, w, e))
                kept.append(w)
                c = w
        self.middle = nn.ModuleList([Block(c, c, e), Attention(c), Block(c, c, e)])
        for level, w in reversed(list(enumerate(widths))):
            for _ in range(blocks):
                self.up.append(Block(c + kept.pop(), w, e))
                c = w
            if level:
                self.up.append(nn.Conv2d(c, c, 3, padding=1))
        last = nn.Conv2d(c, channels, 3, padding=1)
        nn.init.zeros_(last.weight)
        assert last.bias is not None
        nn.init.zeros_(last.bias)
        self.leave = nn.Sequential(norm(c), nn.SiLU(), last)

    def forward(self, x: Tensor, t: Tensor, s: Tensor | None = None) -> Tensor:
        e = self.embed(self.times(t, s))
        h = self.enter(x)
        kept: list[Tensor] = []
        for layer in self.down:
            if isinstance(layer, Block):
                h = layer(h, e)
                kept.append(h)
            else:
                h = layer(h)
        for layer in self.middle:
            h = layer(h, e) if isinstance(layer, Block) else layer(h)
        for layer in self.up:
            h = layer(torch.cat([h, kept.pop()], 1), e) if isinstance(layer, Block) else layer(nearest_up(h))
        return self.leave(h)

    def prepared(self, dtype: torch.dtype) -> Network:
        enter, last = Packed(self.enter, dtype), Packed(self.leave[2], dtype)
        down = [form_of(layer, dtype) if isinstance(layer, Block) else Packed(layer, dtype) for layer in self.down]
        middle = [form_of(layer, dtype) for layer in self.middle]
        up = [form_of(layer, dtype) if isinstance(layer, Block) else PackedUp(layer, dtype) for layer in self.up]

        def call(x: Tensor, t: Tensor, s: Tensor | None = None) -> Tensor:
            e = once(self.embed(self.times(t, s)))
            h, kept = enter(channels_last(x.to(dtype))), list[Tensor]()
            for form in down:
                if isinstance(form, Packed):
                    h = form(h)
                else:
                    h = form(h, e)
                    kept.append(h)
            for form in middle:
                h = form(h, e)
            for form in up:
                h = form(h) if isinstance(form, PackedUp) else form(torch.cat([h, kept.pop()], 1), e)
            return last(activated(self.leave[0], h))

        return call


@dataclass(frozen=True)
class VelocityUNet(Velocity):
    """A continuous flow for images: a U-Net of three resolutions, whose sides are divisible by 4."""

    width: int = 32
    """channels at full resolution; twice as many below"""
    blocks: int = 1
    """residual blocks at each resolution, on the way down and on the way up"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % 4:
            raise UserError(
                f"model.width is {self.width}; four heads share twice as many channels: give a multiple of 4"
            )

    def build(self, shape: Shape) -> Scaled:
        if len(shape) != 3:
            raise UserError("VelocityUNet is a flow for images and the data are vectors; use VelocityMLP")
        c, h, w = shape
        if h % 4 or w % 4:
            raise UserError(
                f"VelocityUNet halves the sides twice and {h}×{w} images do not allow it; "
                "choose a --resolution divisible by 4"
            )
        return self.model(shape, UNet(c, self.width, self.blocks, second=self.one_pass, classes=self.k))
