"""Flows of transformers over the patches of an image, with an exact likelihood in one pass.

Inside, an image is tokens (n, T, c), a patch each, in the order of reading.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch._higher_order_ops.scan import scan  # where the oldest torch that we take has it, too

from triptych.core import Shape
from triptych.errors import UserError
from triptych.models.families import FlowModel
from triptych.models.flows.coupling import AffineCoupling
from triptych.models.flows.multiscale import ImageFlowSpec, image_size
from triptych.models.layers.bijections import Affine, Permutation, Transform, per_example
from triptych.models.layers.transformer import Cache, TokenTransformer


class Patches(Transform):
    """(n, h, w, c) to tokens (n, h w / p², p² c), in the order of reading."""

    def __init__(self, size: tuple[int, int, int], p: int) -> None:
        """`size` is (h, w, c)."""
        super().__init__()
        self.size, self.p = size, p

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h, w, c = self.size
        p = self.p
        z = x.reshape(-1, h // p, p, w // p, p, c).transpose(2, 3).reshape(-1, h * w // p**2, p * p * c)
        return z, x.new_zeros(x.shape[0])

    def inverse(self, z: Tensor) -> Tensor:
        h, w, c = self.size
        p = self.p
        return z.reshape(-1, h // p, w // p, p, p, c).transpose(2, 3).reshape(-1, h, w, c)


class Flat(Transform):
    """Tokens (n, T, c) to (n, T c)."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.tokens = tokens

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.flatten(1), x.new_zeros(x.shape[0])

    def inverse(self, z: Tensor) -> Tensor:
        return z.reshape(z.shape[0], self.tokens, -1)


class Backwards(Transform):
    """The tokens in the opposite order."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.flip(1), x.new_zeros(x.shape[0])

    def inverse(self, z: Tensor) -> Tensor:
        return z.flip(1)


class CausalPatches(Affine):
    """zᵢ = xᵢ exp(sᵢ) + tᵢ with sᵢ, tᵢ functions of the patches x₁ … xᵢ₋₁: one pass forward, patch by patch back.

    Back, the keys and values of the patches that are known are kept, so that all patches together cost about one pass.
    Source: Zhai et al. 2025, "Normalizing Flows are Capable Generative Models", section 2.
    """

    net: TokenTransformer

    def __init__(self, net: TokenTransformer) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        before = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)
        s, t = self.scale_and_shift(before)
        return x * s.exp() + t, per_example(s)

    def inverse(self, z: Tensor) -> Tensor:
        if torch.compiler.is_compiling() and self.net.of_class is None:  # a loop's body may ask for no labels
            return self.scanned(z)
        cache: Cache = []
        found = [torch.zeros_like(z[:, :1])]
        for i in range(z.shape[1]):
            out, cache = self.net.after(self.clipped(found[-1]), i, cache)
            s, t = self.halves(out.to(z.dtype))
            found.append((z[:, i : i + 1] - t) * (-s).exp())
        return torch.cat(found[1:], 1)

    def scanned(self, z: Tensor) -> Tensor:
        """`inverse` in a graph for other programs: one patch as the body of a loop, whose cache has room for all."""
        now = torch.eye(z.shape[1], dtype=torch.bool, device=z.device)

        def one(carry: list[Tensor], at: list[Tensor]) -> tuple[list[Tensor], Tensor]:
            out, keys, values = self.net.among(self.clipped(carry[0]), at[1], at[2], at[3], carry[1], carry[2])
            s, t = self.halves(out.to(z.dtype))
            x = (at[0] - t) * (-s).exp()
            return [x, keys, values], x.clone()

        empty = self.net.room(z.shape[0], z.shape[1])
        every = [z.transpose(0, 1)[:, :, None], self.net.positions, now, torch.ones_like(now).tril()]
        found = scan(one, [torch.zeros_like(z[:, :1]), empty, empty.clone()], every)[1]
        return found[:, :, 0].transpose(0, 1)


@dataclass(frozen=True)
class TransformerSpec(ImageFlowSpec):
    """Abstract base of the flows over patches."""

    patch: int = 4
    """side of a patch in pixels"""
    layers: int = 8
    """transforms"""
    width: int = 128
    """channels of each transform's transformer"""
    depth: int = 2
    """blocks of each transform's transformer"""
    heads: int = 4
    """attention heads"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads:
            raise UserError(f"model.width is {self.width} and cannot be shared by {self.heads} heads; give a multiple")

    @abstractmethod
    def transforms(self, tokens: int, channels: int) -> list[Transform]:
        """The transforms of tokens (n, T, c)."""

    def build(self, shape: Shape) -> FlowModel:
        size = image_size(shape, 0, type(self).__name__)
        h, w, c = size
        p = self.patch
        if h % p or w % p:
            raise UserError(
                f"{h}×{w} images cannot be cut into patches of {p}×{p}; choose another --model.patch or --resolution"
            )
        tokens, channels = h * w // p**2, p * p * c
        return self.model(shape, [Patches(size, p), *self.transforms(tokens, channels), Flat(tokens)])


@dataclass(frozen=True)
class JetFlow(TransformerSpec):
    """Couplings whose scales and shifts come from a transformer over patches: half of each patch's channels stay.

    Source: Kolesnikov et al. 2024, "Jet: A Modern Transformer-Based Normalizing Flow".
    """

    layers: int = 16
    """couplings"""

    def transforms(self, tokens: int, channels: int) -> list[Transform]:
        if channels < 2:
            raise UserError("patches of one number cannot be halved; give --model.patch 2 or more")
        g, keep = torch.Generator().manual_seed(channels), channels // 2
        parts: list[Transform] = []
        for _ in range(self.layers):
            net = TokenTransformer(
                keep, 2 * (channels - keep), tokens, self.width, self.depth, self.heads, causal=False, classes=self.k
            )
            parts += [Permutation(torch.randperm(channels, generator=g)), AffineCoupling(keep, net)]
        return parts


@dataclass(frozen=True)
class TransformerFlow(TransformerSpec):
    """Autoregressive transforms over patches by causal transformers, in alternating order (TarFlow).

    Source: Zhai et al. 2025, "Normalizing Flows are Capable Generative Models".
    """

    layers: int = 6
    """autoregressive transforms; every other one reads backwards"""

    def transforms(self, tokens: int, channels: int) -> list[Transform]:
        parts: list[Transform] = []
        for _ in range(self.layers):
            net = TokenTransformer(
                channels, 2 * channels, tokens, self.width, self.depth, self.heads, causal=True, classes=self.k
            )
            parts += [CausalPatches(net), Backwards()]
        return parts
