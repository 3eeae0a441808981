"""DINOv2's vision transformer, for its published weights at a given path. Source: Oquab et al. 2024; code apart.

The features are the class token after the last normalisation, as metrics on DINOv2 take them.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.errors import UserError

PATCH, SIDE = 14, 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HEADS = {384: 6, 768: 12, 1024: 16}
"""Heads by width: the small, base and large networks, whose blocks are plain."""
OFFSET = 0.1
"""Added to the number of patches a side before positions are resized, as the authors' code does."""


class Scale(nn.Module):
    """LayerScale: a factor for each channel. Source: Touvron et al. 2021."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).view(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, tokens, width))


class MLP(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Attention, then a perceptron, each normalised before, scaled after and added."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.attn, self.mlp = Attention(width, heads), MLP(width)
        self.ls1, self.ls2 = Scale(width), Scale(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class Patches(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, PATCH)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class DINOv2(nn.Module):
    """Normalised pictures (n, 3, h, w), sides multiples of 14, to (n, width)."""

    def __init__(self, width: int, depth: int, heads: int, positions: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.mask_token = nn.Parameter(torch.zeros(1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, positions, width))
        self.patch_embed = Patches(width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, 1e-6)

    def forward(self, images: Tensor) -> Tensor:
        h, w = images.shape[-2] // PATCH, images.shape[-1] // PATCH
        x = torch.cat([self.cls_token.expand(len(images), -1, -1), self.patch_embed(images)], 1)
        x = x + self.positions(h, w)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 0]

    def positions(self, h: int, w: int) -> Tensor:
        """The learnt positions, (1, 1 + h·w, width), resized from the square that they were learnt on."""
        first, rest = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        side = math.isqrt(rest.shape[1])
        if (h, w) == (side, side):
            return self.pos_embed
        grid = rest.view(1, side, side, -1).permute(0, 3, 1, 2)
        scale = ((h + OFFSET) / side, (w + OFFSET) / side)
        grid = F.interpolate(grid, scale_factor=scale, mode="bicubic")
        return torch.cat([first, grid.permute(0, 2, 3, 1).flatten(1, 2)], 1)


def load(path: Path) -> DINOv2:
    """The network with the weights of a .pth or .safetensors file; never unpickles anything but tensors."""
    try:
        if path.suffix == ".safetensors":
            from triptych.system.tensor_files import unpack

            state = unpack(path.read_bytes())[0]
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        width, positions = state["cls_token"].shape[-1], state["pos_embed"].shape[1]
        depth = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("blocks."))
        net = DINOv2(width, depth, HEADS[width], positions)
        net.load_state_dict(state)
    except Exception as e:
        reason = " ".join(str(e).split())[:200]
        raise UserError(
            f"{path} does not hold DINOv2's weights ({type(e).__name__}: {reason}); give dinov2_vits14_pretrain.pth, "
            "or that of the base or large network, without registers"
        ) from e
    return net.eval()
