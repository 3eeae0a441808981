"""Two stages in one model: a convolutional autoencoder, and a continuous flow on its codes, spatial ones or vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core import Shape, to_inner, to_public
from triptych.core.checks import check_examples
from triptych.core.share import mean
from triptych.errors import UserError
from triptych.models.autoencoders import ConvAutoencoder, Residual
from triptych.models.flows.continuous import Carried, Integration
from triptych.models.flows.velocity import Attention, Block, Form, Times, form_of, norm, once
from triptych.models.layers.conv import PlainDown, PlainUp
from triptych.models.layers.conv_kernels import channels_last
from triptych.models.layers.inference import Network, Packed, Preparable, activated
from triptych.models.layers.linear import Linear
from triptych.models.layers.soft_clamp import SoftClamp
from triptych.models.observed import TwoStages


def spread(codes: Tensor) -> Tensor:
    """The standard deviation of each number of codes (n, k) over the whole batch, (k,), differentiable."""
    return mean((codes - mean(codes)).square()).clamp_min(1e-12).sqrt()


class LatentFlow(Carried, TwoStages):
    """`encoder` maps inner images to codes, (n, k, s, s) or (n, k), `decoder` back; `flow` moves noise to scaled codes.

    Samples are noise, moved and decoded; `encode` gives the noise that belongs to the code of an image. The density is
    one of codes, not of images, so there is no `log_prob`. What the autoencoder loses no flow brings back: its own
    round trip, `reconstruct`, bounds what samples can reach.
    """

    sampling = ("encoder", "decoder", "flow")
    seen: Tensor

    def __init__(
        self, shape: Shape, encoder: nn.Module, decoder: nn.Module, flow: nn.Module, codes: Shape, settings: Integration
    ) -> None:
        super().__init__(shape, flow, settings, codes)
        self.encoder = encoder
        self.decoder = decoder
        self.scale.fill_(1.0)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def observe(self, codes: Tensor) -> None:
        """Update the codes' running mean and deviation: all batches count at first, about the last hundred later."""
        w = max(1 / (int(self.seen) + 1), 0.01)
        self.seen += 1
        self.centre.lerp_(mean(codes), w)
        self.scale.lerp_(spread(codes), w)

    def scaled(self, x: Tensor) -> Tensor:
        return (self.encoder(x).flatten(1) - self.centre) / self.scale

    def unscaled(self, x: Tensor) -> Tensor:
        return to_public(self.decoder((x * self.scale + self.centre).reshape(-1, *self.moved)))

    def reconstruct(self, x: Tensor) -> Tensor:
        return to_public(self.decoder(self.encoder(to_inner(check_examples(self, x)))))


class CodeNet(Preparable):
    """Residual blocks with attention at one resolution, for spatial codes; (n, k, s, s) to the same."""

    def __init__(self, channels: int, width: int, depth: int, classes: int = 0) -> None:
        super().__init__()
        self.times = Times(second=False, classes=classes)
        e = 2 * width
        self.embed = nn.Sequential(Linear(self.times.outputs, e), nn.SiLU(), Linear(e, e), nn.SiLU())
        self.enter = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(Block(width, width, e) for _ in range(depth))
        self.attentions = nn.ModuleList(Attention(width) for _ in range(depth))
        last = nn.Conv2d(width, channels, 3, padding=1)
        nn.init.zeros_(last.weight)
        assert last.bias is not None
        nn.init.zeros_(last.bias)
        self.leave = nn.Sequential(norm(width), nn.SiLU(), last)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        e, h = self.embed(self.times(t)), self.enter(x)
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            h = attention(block(h, e))
        return self.leave(h)

    def prepared(self, dtype: torch.dtype) -> Network:
        enter, last = Packed(self.enter, dtype), Packed(self.leave[2], dtype)
        pairs = zip(self.blocks, self.attentions, strict=True)
        forms: list[Form] = [form_of(layer, dtype) for pair in pairs for layer in pair]

        def call(x: Tensor, t: Tensor) -> Tensor:
            e, h = once(self.embed(self.times(t))), enter(channels_last(x.to(dtype)))
            for form in forms:
                h = form(h, e)
            return last(activated(self.leave[0], h))

        return call


class CodePerceptron(nn.Module):
    """Residual blocks of two linear layers, for codes that are vectors; (n, k) to the same.

    The time scales and shifts what each block sees. Its last layers start at 0.
    """

    def __init__(self, codes: int, width: int, depth: int, classes: int = 0) -> None:
        super().__init__()
        self.times = Times(second=False, classes=classes)
        e = max(width // 4, 1)
        self.embed = nn.Sequential(Linear(self.times.outputs, e), nn.SiLU(), Linear(e, e), nn.SiLU())
        self.enter = Linear(codes, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(depth))
        self.scales = nn.ModuleList(Linear(e, 2 * width) for _ in range(depth))
        self.first = nn.ModuleList(Linear(width, width) for _ in range(depth))
        self.last = nn.ModuleList(Linear(width, width) for _ in range(depth))
        self.leave = Linear(width, codes)
        for layer in (*self.scales, *self.last, self.leave):
            assert isinstance(layer, nn.Linear)
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        e, h = self.embed(self.times(t)), self.enter(x)
        for even, scales, first, last in zip(self.norms, self.scales, self.first, self.last, strict=True):
            scale, shift = scales(e).chunk(2, dim=1)
            h = h + last(F.silu(first(even(h) * (1 + scale) + shift)))
        return self.leave(F.silu(h))


@dataclass(frozen=True)
class LatentUNet(Integration):
    """An autoencoder with spatial codes for images of 16 px or more, and a flow on the codes."""

    codes: int = 8
    """channels of a code"""
    side: int = 4
    """side of a code: images are halved until they are this small"""
    width: int = 32
    """channels of the autoencoder at full resolution; they double with every halving, up to eight times"""
    flow_width: int = 128
    """channels of the flow's network"""
    flow_depth: int = 4
    """residual blocks of the flow's network, each with attention"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.flow_width % 4:
            raise UserError(f"model.flow_width is {self.flow_width}; four heads share it: give a multiple of 4")

    def build(self, shape: Shape) -> LatentFlow:
        if len(shape) != 3 or shape[1] != shape[2]:
            raise UserError(f"LatentUNet needs square images and got shape {tuple(shape)}; give --resolution 32 or 64")
        c, image = shape[0], shape[1]
        halvings = round(math.log2(image / self.side)) if image >= 2 * self.side else 0
        if not halvings or image != self.side * 2**halvings:
            raise UserError(
                f"{image} px cannot be halved to codes of side {self.side}; choose another --model.side, or a "
                f"--resolution of {self.side} times a power of 2"
            )
        size = self.codes * self.side**2
        if size >= math.prod(shape):
            raise UserError(
                f"codes of {size} numbers are no smaller than the images' {math.prod(shape)}; lower --model.codes or "
                "--model.side"
            )
        widths = [self.width * min(2**i, 8) for i in range(halvings + 1)]
        down: list[nn.Module] = [nn.Conv2d(c, widths[0], 3, padding=1)]
        for a, b in pairwise(widths):
            down += [PlainDown(a, b), Residual(b)]
        down += [nn.SiLU(), nn.Conv2d(widths[-1], self.codes, 3, padding=1)]
        up: list[nn.Module] = [nn.Conv2d(self.codes, widths[-1], 3, padding=1)]
        for a, b in pairwise(widths[::-1]):
            up += [Residual(a), PlainUp(a, b)]
        up += [Residual(widths[0]), nn.SiLU(), nn.Conv2d(widths[0], c, 3, padding=1)]
        flow = CodeNet(self.codes, self.flow_width, self.flow_depth, self.k)
        return LatentFlow(
            shape, nn.Sequential(*down), nn.Sequential(*up), flow, (self.codes, self.side, self.side), self
        )


@dataclass(frozen=True)
class LatentMLP(Integration):
    """An autoencoder whose codes are vectors, `ConvAutoencoder`'s pair, and a flow on these."""

    codes: int = 32
    """numbers of a code"""
    width: int = 16
    """channels of the autoencoder at full resolution; they double with every halving"""
    flow_width: int = 512
    """units of the flow's network"""
    flow_depth: int = 4
    """residual blocks of the flow's network"""

    def build(self, shape: Shape) -> LatentFlow:
        if self.codes >= math.prod(shape):
            raise UserError(
                f"codes of {self.codes} numbers are no smaller than the images' {math.prod(shape)}; lower --model.codes"
            )
        pair = ConvAutoencoder(latent=self.codes, variational=False, width=self.width).build(shape)
        flow = CodePerceptron(self.codes, self.flow_width, self.flow_depth, self.k)
        return LatentFlow(shape, pair.encoder, nn.Sequential(pair.decoder, SoftClamp()), flow, (self.codes,), self)
