"""The Inception-v3 of the FID paper: not torchvision's.

Differences that change features: average pools that do not count the padding, a maximum pool in the last block, a
1008-way head, no auxiliary head. Module names follow the layout of `pt_inception-2015-12-05-6726825d.pth`.
Source of the architecture: Szegedy et al. 2015 (Rethinking the Inception Architecture), as in the graph
`classify_image_graph_def.pb` of 2015-12-05 that Heusel et al. 2017 use.
"""

from __future__ import annotations

import copy
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core.features import grey_levels
from triptych.errors import UserError
from triptych.metrics.features.resize import RESIZES, resized
from triptych.system.device import exact_float32
from triptych.system.processor import onednn_takes

SIDE = 299
DIMENSIONS = 2048
AT_ONCE = 16
"""Images that the fast path takes at once on a processor: what its first layers make stays near the caches."""


class Conv(nn.Module):
    """Convolution without bias, batch normalisation (ε = 1e-3), ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1) -> None:
        super().__init__()
        size = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (0, 0) if stride == 2 else (size[0] // 2, size[1] // 2)
        self.conv = nn.Conv2d(inputs, outputs, size, stride, padding, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(outputs, eps=1e-3)
        self.folded = False

    def forward(self, x: Tensor) -> Tensor:
        c = self.conv
        if self.folded and x.device.type == "cpu" and onednn_takes(x.dtype):
            # oneDNN applies the ReLU while it writes the result: the same bits, a pass over memory less
            return torch.ops.mkldnn._convolution_pointwise(
                x, c.weight, c.bias, c.padding, c.stride, c.dilation, 1, "relu", [], ""
            )
        return F.relu(self.bn(c(x)), inplace=True)

    def pooled(self, x: Tensor) -> Tensor:
        """The average of 3 × 3 neighbours, then this 1 × 1 block.

        Folded, in the other order: both are linear, and there is less to average behind the convolution.
        """
        if self.folded:
            return F.relu(average_pool(self.conv(x)), inplace=True)
        return self(average_pool(x))


INTEGERS = {torch.float32: torch.int32, torch.bfloat16: torch.int16}


def max_pool(x: Tensor) -> Tensor:
    """3 × 3, stride 2, of numbers ≥ 0, by rows and then columns: what `F.max_pool2d` gives, whose CPU kernel is slower.

    Floats ≥ 0 are ordered as the integers of the same bits, which are compared faster.
    """
    if x.device.type != "cpu" or x.dtype not in INTEGERS:
        return F.max_pool2d(x, 3, 2)
    h, w = (x.shape[2] - 1) // 2 * 2, (x.shape[3] - 1) // 2 * 2
    y = x.view(INTEGERS[x.dtype])
    y = torch.maximum(y[:, :, 0:h:2], y[:, :, 1 : h + 1 : 2]).clamp_min_(y[:, :, 2 : h + 1 : 2])
    y = torch.maximum(y[..., 0:w:2], y[..., 1 : w + 1 : 2]).clamp_min_(y[..., 2 : w + 1 : 2])
    return y.view(x.dtype)


def average_pool(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class BlockA(nn.Module):
    def __init__(self, inputs: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(inputs, 64, 1)
        self.branch5x5_1 = Conv(inputs, 48, 1)
        self.branch5x5_2 = Conv(48, 64, 5)
        self.branch3x3dbl_1 = Conv(inputs, 64, 1)
        self.branch3x3dbl_2 = Conv(64, 96, 3)
        self.branch3x3dbl_3 = Conv(96, 96, 3)
        self.branch_pool = Conv(inputs, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        five = self.branch5x5_2(self.branch5x5_1(x))
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, three, self.branch_pool.pooled(x)], 1)


class BlockB(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3 = Conv(inputs, 384, 3, stride=2)
        self.branch3x3dbl_1 = Conv(inputs, 64, 1)
        self.branch3x3dbl_2 = Conv(64, 96, 3)
        self.branch3x3dbl_3 = Conv(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), three, max_pool(x)], 1)


class BlockC(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(inputs, 192, 1)
        self.branch7x7_1 = Conv(inputs, width, 1)
        self.branch7x7_2 = Conv(width, width, (1, 7))
        self.branch7x7_3 = Conv(width, 192, (7, 1))
        self.branch7x7dbl_1 = Conv(inputs, width, 1)
        self.branch7x7dbl_2 = Conv(width, width, (7, 1))
        self.branch7x7dbl_3 = Conv(width, width, (1, 7))
        self.branch7x7dbl_4 = Conv(width, width, (7, 1))
        self.branch7x7dbl_5 = Conv(width, 192, (1, 7))
        self.branch_pool = Conv(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool.pooled(x)], 1)


class BlockD(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3_1 = Conv(inputs, 192, 1)
        self.branch3x3_2 = Conv(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Conv(inputs, 192, 1)
        self.branch7x7x3_2 = Conv(192, 192, (1, 7))
        self.branch7x7x3_3 = Conv(192, 192, (7, 1))
        self.branch7x7x3_4 = Conv(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3_2(self.branch3x3_1(x))
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([three, seven, max_pool(x)], 1)


class BlockE(nn.Module):
    def __init__(self, inputs: int, pool: Literal["average", "maximum"]) -> None:
        super().__init__()
        self.pool = pool
        self.branch1x1 = Conv(inputs, 320, 1)
        self.branch3x3_1 = Conv(inputs, 384, 1)
        self.branch3x3_2a = Conv(384, 384, (1, 3))
        self.branch3x3_2b = Conv(384, 384, (3, 1))
        self.branch3x3dbl_1 = Conv(inputs, 448, 1)
        self.branch3x3dbl_2 = Conv(448, 384, 3)
        self.branch3x3dbl_3a = Conv(384, 384, (1, 3))
        self.branch3x3dbl_3b = Conv(384, 384, (3, 1))
        self.branch_pool = Conv(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        branches = [
            self.branch1x1(x),
            self.branch3x3_2a(three),
            self.branch3x3_2b(three),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool.pooled(x) if self.pool == "average" else self.branch_pool(F.max_pool2d(x, 3, 1, 1)),
        ]
        return torch.cat(branches, 1)


class InceptionV3(nn.Module):
    """Called on uint8 (or floats in [0, 1]) images (n, 1 or 3, h, w); grey is tiled to three channels.

    Returns `features` (n, 2048), `logits` (n, 1008), `logits_unbiased` (without the head's bias: what Inception
    scores use) and `spatial` (n, 2023), the first seven maps of an inner convolution (sFID, Nash et al. 2021).
    `resize` names one of `RESIZES`. Built with random weights, in eval mode; the published state dict fits unchanged.
    """

    def __init__(self, resize: str = "clean") -> None:
        super().__init__()
        if resize not in RESIZES:
            raise UserError(f"unknown resize {resize!r}; choose one of {', '.join(RESIZES)}")
        self.resize = resize
        self.at_once = 0
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3)
        self.Conv2d_2a_3x3.conv.padding = (0, 0)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3)
        self.Conv2d_3b_1x1 = Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3)
        self.Conv2d_4a_3x3.conv.padding = (0, 0)
        self.Mixed_5b = BlockA(192, 32)
        self.Mixed_5c = BlockA(256, 64)
        self.Mixed_5d = BlockA(288, 64)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b = BlockC(768, 128)
        self.Mixed_6c = BlockC(768, 160)
        self.Mixed_6d = BlockC(768, 160)
        self.Mixed_6e = BlockC(768, 192)
        self.Mixed_7a = BlockD(768)
        self.Mixed_7b = BlockE(1280, "average")
        self.Mixed_7c = BlockE(2048, "maximum")
        self.fc = nn.Linear(DIMENSIONS, 1008)
        self.spatial: Tensor | None
        self.register_buffer("spatial", None, persistent=False)  # its unfolded filters, where the others are folded
        self.eval().requires_grad_(False)

    def preprocess(self, images: Tensor) -> Tensor:
        """To (n, 3, 299, 299), normalised as the named resize's home does it."""
        if images.dim() != 4 or images.shape[1] not in (1, 3):
            raise UserError(f"Inception takes images (n, 1 or 3, h, w), not {tuple(images.shape)}")
        x = resized(self.resize, grey_levels(images.to(self.fc.weight.device)), SIDE)
        half = 127.5 if self.resize == "torch-bilinear" else 128
        x = x.sub_(half).div_(half)
        return x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x

    @torch.no_grad()
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        if self.at_once and len(images) > self.at_once:
            parts = [self.features(part) for part in images.split(self.at_once)]
            return {k: torch.cat([part[k] for part in parts]) for k in parts[0]}
        return self.features(images)

    def features(self, images: Tensor) -> dict[str, Tensor]:
        weight = self.Conv2d_1a_3x3.conv.weight
        x = self.preprocess(images).to(weight.dtype)
        if weight.is_contiguous(memory_format=torch.channels_last):
            x = x.contiguous(memory_format=torch.channels_last)
        with exact_float32():
            x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
            x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(max_pool(x)))
            x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(max_pool(x))))
            x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))
            filters = self.Mixed_6d.branch1x1.conv.weight[:7] if self.spatial is None else self.spatial
            spatial = F.conv2d(x, filters)
            x = self.Mixed_7a(self.Mixed_6e(self.Mixed_6d(x)))
            x = self.Mixed_7c(self.Mixed_7b(x)).float().mean((2, 3))
            unbiased = x @ self.fc.weight.float().T
        return {
            "features": x,
            "logits": unbiased + self.fc.bias.float(),
            "logits_unbiased": unbiased,
            "spatial": spatial.float().flatten(1),
        }

    def optimised(self, dtype: torch.dtype = torch.float32) -> InceptionV3:
        """A copy for evaluation only: batch normalisation folded into the convolutions, channels last.

        float32 gives the same features to about 1e-6; bfloat16 is several times faster where the processor has it,
        off by about 1e-2, and to be marked.
        """
        net = copy.deepcopy(self)
        net.at_once = AT_ONCE if self.fc.weight.device.type == "cpu" else 0
        net.spatial = net.Mixed_6d.branch1x1.conv.weight[:7].clone().to(dtype)
        for module in net.modules():
            if isinstance(module, Conv) and isinstance(module.bn, nn.BatchNorm2d):
                fold(module, module.bn)
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                module.to(dtype)
        return net


def fold(block: Conv, bn: nn.BatchNorm2d) -> None:
    """Put the normalisation's scale and shift into the convolution (in float64)."""
    assert bn.running_var is not None
    assert bn.running_mean is not None
    scale = bn.weight.double() / (bn.running_var.double() + bn.eps).sqrt()
    shift = bn.bias.double() - bn.running_mean.double() * scale
    weight = block.conv.weight
    block.conv.weight = nn.Parameter((weight.double() * scale.view(-1, 1, 1, 1)).to(weight.dtype), requires_grad=False)
    block.conv.bias = nn.Parameter(shift.to(weight.dtype), requires_grad=False)
    block.bn, block.folded = nn.Identity(), True
