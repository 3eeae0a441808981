"""Every hand-made convolution path against PyTorch's own, by layer and precision, on the processor at hand.

Per layer of the reference networks: the matrix products over patches of `conv_kernels.py` (im2col forwards, col2im,
the gradient of the weights) beside oneDNN's kernels on the same channels-last operands. Then, for a critic under a
gradient penalty, the hand-written double backward and the layout beside PyTorch's. Processor time of one thread, in
turns, medians: a machine with other work can tell that much.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from unittest import mock

import torch
from adversarial_speed import plain_resnet
from common import in_turns, record
from torch import Tensor

from triptych.models.layers import conv_kernels as kernels
from triptych.objectives.gan import WGANGP
from triptych.recipes import get
from triptych.system.processor import of_processor

LAYERS = {
    # name: batch, channels in, channels out, side in, kernel side
    "dcgan 128→256": (64, 128, 256, 32, 4),
    "dcgan 256→512": (64, 256, 512, 16, 4),
    "dcgan 512→1024": (64, 512, 1024, 8, 4),
    "narrow 32→64": (64, 32, 64, 32, 4),
    "narrow 64→128": (64, 64, 128, 16, 4),
    "narrow 128→256": (64, 128, 256, 8, 4),
    "digits 48→96": (64, 48, 96, 14, 4),
    "vae 128→256": (64, 128, 256, 16, 3),
    "vae 256→512": (64, 256, 512, 8, 3),
    "vae 512→1024": (64, 512, 1024, 4, 3),
    "grey edge 1→64": (64, 1, 64, 28, 4),
    "colour edge 3→64": (64, 3, 64, 32, 4),
    "square 512→512": (64, 512, 512, 8, 4),
    "wide 256→512": (64, 256, 512, 8, 4),
}
KINDS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def paths(layer: str, kind: torch.dtype) -> dict[str, dict[str, Callable[[], Tensor]]]:
    """For each operation, PyTorch's way and ours."""
    n, c, o, side, k = LAYERS[layer]
    x = kernels.channels_last(torch.randn(n, c, side, side, dtype=kind))
    w = kernels.channels_last(torch.randn(o, c, k, k, dtype=kind))
    y = kernels.channels_last(torch.randn(n, o, *kernels.halved(x, k), dtype=kind))
    both = (2, 2), (1, 1), (1, 1), False, (0, 0), 1, (False, True, False)
    found = {
        "forward": {
            "oneDNN": lambda: torch.conv2d(x, w, None, 2, 1),
            "product": lambda: kernels.im2col_product(x, w, None),
        },
        "weights": {
            "oneDNN": lambda: torch.ops.aten.convolution_backward(y, x, w, None, *both)[1],
            "product": lambda: kernels.weight_gradient_product(x, y, k),
        },
    }
    if k == 4:
        found["transposed"] = {
            "oneDNN": lambda: torch.conv_transpose2d(y, w, None, 2, 1),
            "product": lambda: kernels.col2im_product(y, w, None),
        }
    return found


def critics(kind: str, batch: int, channels: int) -> dict[str, Callable[[], object]]:
    """A critic step with penalty: PyTorch's layers, then ours in either layout and with either double backward."""

    def stepping(D: torch.nn.Module, layout: torch.memory_format, *, own: bool) -> Callable[[], object]:
        D = D.to(memory_format=layout)  # pyright: ignore[reportCallIssue]
        real, fake = (torch.rand(batch, 3, 32, 32).to(memory_format=layout) * 2 - 1 for _ in range(2))
        forward = D.forward

        def cast(x: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=kind == "bf16"):
                return forward(x).float()

        D.forward = cast  # type: ignore[method-assign]

        def step() -> None:
            with mock.patch.object(kernels, "has_own_derivatives", return_value=own):
                WGANGP().critic(D, real, fake).backward(inputs=list(D.parameters()))
            for p in D.parameters():
                p.grad = None

        return step

    def critic() -> torch.nn.Module:
        model = get("wgan-gp-birds").model
        return type(model)(**{**vars(model), "width": channels}).build((3, 32, 32)).players["critic"]

    last, first = torch.channels_last, torch.contiguous_format
    return {
        "PyTorch's layers, NCHW": stepping(plain_resnet(channels)[1], first, own=False),
        "ours, NCHW, PyTorch's double backward": stepping(critic(), first, own=False),
        "ours, channels_last, PyTorch's double backward": stepping(critic(), last, own=False),
        "ours, channels_last, own double backward": stepping(critic(), last, own=True),
    }


def summary(gains: dict[str, float]) -> str:
    """Where products win, and what layout and double backward give."""
    won = [f"{name} {gain:.1f}×" for name, gain in gains.items() if "critic" not in name and gain >= 1.1]
    critics = [f"{name} {gain:.2f}×" for name, gain in gains.items() if "critic" in name]
    return f"products win at {', '.join(won)}, and lose or draw elsewhere; {'; '.join(critics)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--channels", type=int, default=128, help="of the penalised critic")
    parser.add_argument("--batch", type=int, default=16, help="of the penalised critic")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows, gains = {}, {}
    machine = of_processor()
    for kind, dtype in KINDS.items():
        if kind == "bf16" and machine.bfloat16 is False:
            continue  # emulated here: no path makes it worth while
        for layer in LAYERS:
            for operation, ways in paths(layer, dtype).items():
                times = in_turns(ways, args.rounds, 1, time.process_time)  # type: ignore[arg-type]
                rows[f"{layer}, {operation}, {kind}"] = {k: statistics.median(v) for k, v in times.items()}
                gain = statistics.median(times["oneDNN"]) / statistics.median(times["product"])
                gains[f"{layer}, {operation}, {kind}"] = gain
                print(f"{kind} {layer:16} {operation:10} product {gain:.2f} times as fast", flush=True)
        times = in_turns(critics(kind, args.batch, args.channels), 2, 1, time.process_time)
        slow = statistics.median(next(iter(times.values())))
        for name, seconds in times.items():
            gains[f"penalised critic, {name}, {kind}"] = slow / statistics.median(seconds)
            print(f"{kind} penalised critic: {name}: {slow / statistics.median(seconds):.2f}", flush=True)
    record(
        f"conv_paths_{machine.name}",
        f"hand-made convolution paths against oneDNN's, {machine.words}",
        "each path is taken where it is faster",
        summary(gains),
        None,
        {"seconds": rows, "gain": gains, "clock": "processor time of one thread"},
    )


if __name__ == "__main__":
    main()
