"""Transformers over the tokens of an image, (n, T, c)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core.labels import labels_at_hand, look_up
from triptych.models.layers.linear import Linear

Cache = list[tuple[Tensor, Tensor]]
"""Keys and values (n, heads, tokens so far, c) of each block."""


class SelfAttention(nn.Module):
    """Multi-head attention of tokens to each other; causal: to themselves and those before."""

    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv = Linear(width, 3 * width)
        self.out = Linear(width, width)

    def parts(self, x: Tensor) -> list[Tensor]:
        """Queries, keys and values, (n, heads, T, c) each."""
        each = self.qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(2)
        return [one.transpose(1, 2) for one in each]

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.parts(x)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(y.transpose(1, 2).flatten(2))

    def after(self, x: Tensor, seen: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One more token x (n, 1, c) behind those whose keys and values were `seen`; and these with its own."""
        q, k, v = self.parts(x)
        if seen is not None:
            k, v = torch.cat([seen[0], k], 2), torch.cat([seen[1], v], 2)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).flatten(2)), (k, v)

    def among(
        self, x: Tensor, now: Tensor, until: Tensor, seen: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """`after` of the place that `now` (T,) marks, in keys and values that have room for all, (n, heads, T, c).

        `until` (T,) marks the places that are known then. For graphs, in which nothing grows.
        """
        q, k, v = self.parts(x)
        k, v = (torch.where(now[:, None], new, old) for new, old in zip((k, v), seen, strict=True))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=until[None])
        return self.out(y.transpose(1, 2).flatten(2)), (k, v)


class TransformerBlock(nn.Module):
    """Attention and a perceptron four times as wide, each added to its normalised input.

    While it trains, a share `dropout` of what is added is left out.
    """

    def __init__(self, width: int, heads: int, *, causal: bool, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, causal=causal)
        self.mlp = nn.Sequential(nn.LayerNorm(width), Linear(width, 4 * width), nn.GELU(), Linear(4 * width, width))
        # none at 0, which would draw random numbers all the same
        self.dropped = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropped(self.attention(self.norm(x)))
        return x + self.dropped(self.mlp(x))

    def after(self, x: Tensor, seen: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """`forward` for one more token."""
        y, kept = self.attention.after(self.norm(x), seen)
        x = x + y
        return x + self.mlp(x), kept

    def among(
        self, x: Tensor, now: Tensor, until: Tensor, seen: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """`forward` for one token among room for all."""
        y, kept = self.attention.among(self.norm(x), now, until, seen)
        x = x + y
        return x + self.mlp(x), kept


class TokenTransformer(nn.Module):
    """Tokens (n, T, inputs) to (n, T, outputs), with learned positions and classes; the last layer starts at 0."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        tokens: int,
        width: int,
        depth: int,
        heads: int,
        *,
        causal: bool,
        classes: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.enter = Linear(inputs, width)
        self.positions = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, causal=causal, dropout=dropout) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.leave = Linear(width, outputs)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        self.of_class = nn.Embedding(classes, width) if classes else None

    def entered(self, x: Tensor, positions: Tensor) -> Tensor:
        """What the blocks begin with, (n, T, width): the label at hand is added to every token."""
        h = self.enter(x) + positions
        if self.of_class is None:
            return h
        return h + look_up(self.of_class, labels_at_hand(x.shape[0]))[:, None].to(h.dtype)

    def forward(self, x: Tensor) -> Tensor:
        h = self.entered(x, self.positions)
        for block in self.blocks:
            h = block(h)
        return self.leave(self.norm(h))

    def after(self, x: Tensor, at: int, cache: Cache) -> tuple[Tensor, Cache]:
        """Row `at` of the output, (n, 1, outputs), for token `at`, x (n, 1, inputs), behind those in the cache."""
        h, kept = self.entered(x, self.positions[at]), []
        for i, block in enumerate(self.blocks):
            assert isinstance(block, TransformerBlock)
            h, one = block.after(h, cache[i] if cache else None)
            kept.append(one)
        return self.leave(self.norm(h)), kept

    def room(self, n: int, tokens: int) -> Tensor:
        """Keys or values of all blocks for n rows of so many tokens, none of them known: (blocks, n, heads, T, c)."""
        first = self.blocks[0]
        assert isinstance(first, TransformerBlock)
        heads = first.attention.heads
        return self.positions.new_zeros(len(self.blocks), n, heads, tokens, self.positions.shape[1] // heads)

    def among(
        self, x: Tensor, position: Tensor, now: Tensor, until: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`after` for the place that `now` (T,) marks and `position` (width,) is of; keys and values as of `room`."""
        h, kept = self.entered(x, position), []
        for block, seen in zip(self.blocks, zip(keys, values, strict=True), strict=True):
            assert isinstance(block, TransformerBlock)
            h, one = block.among(h, now, until, seen)
            kept.append(one)
        k, v = (torch.stack(each) for each in zip(*kept, strict=True))
        return self.leave(self.norm(h)), k, v
