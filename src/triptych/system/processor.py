"""Which arithmetic a device has: what decides the precision and the kernels of a training, and what env.json says."""

from __future__ import annotations

import functools
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Arithmetic:
    """One kind of device."""

    name: str
    """a word for files and keys"""
    words: str
    """the same for a person"""
    bfloat16: bool | None
    """Whether products of bfloat16 are known to be faster than float32 (True), known to be emulated (False), or have
    to be timed (None)."""


AMX = Arithmetic("amx", "AMX matrix units", True)
AVX512_BF16 = Arithmetic("avx512_bf16", "AVX-512 with bfloat16 instructions, no matrix units", True)
AVX512 = Arithmetic("avx512", "AVX-512 without bfloat16 instructions", False)
AVX2 = Arithmetic("avx2", "AVX2", False)
ARM_BF16 = Arithmetic("arm_bf16", "ARM with bfloat16 instructions", None)
ARM = Arithmetic("arm", "ARM without bfloat16 instructions", False)
APPLE = Arithmetic("apple", "Apple silicon", None)
METAL = Arithmetic("mps", "Apple's GPU", None)
CUDA_BF16 = Arithmetic("cuda_bf16", "an NVIDIA GPU with bfloat16", True)
CUDA = Arithmetic("cuda", "an NVIDIA GPU without bfloat16", False)
OTHER = Arithmetic("other", "a processor of a kind that is not known here", None)


def arithmetic(device: torch.device) -> Arithmetic:
    """The kind of `device`."""
    if device.type == "cuda":
        return CUDA_BF16 if torch.cuda.is_bf16_supported(including_emulation=False) else CUDA
    return METAL if device.type == "mps" else of_processor() if device.type == "cpu" else OTHER


def of_processor() -> Arithmetic:
    """The kind of this machine's processor."""
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        found = {
            AMX: torch.cpu._is_amx_tile_supported,
            AVX512_BF16: torch.cpu._is_avx512_bf16_supported,
            AVX512: torch.cpu._is_avx512_supported,
            AVX2: torch.cpu._is_avx2_supported,
        }
        return next((kind for kind, there in found.items() if there()), OTHER)
    if machine in ("arm64", "aarch64"):
        return APPLE if sys.platform == "darwin" else ARM_BF16 if "bf16" in features() else ARM
    return OTHER


@functools.cache
def features() -> frozenset[str]:
    """The processor's features as Linux lists them; empty elsewhere."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return frozenset()
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
    return frozenset(
        next((line for line in lines if line.lower().startswith("features")), "").partition(":")[2].split()
    )


@functools.cache
def maker() -> str:
    """The processor's maker as it names itself, GenuineIntel or AuthenticAMD; empty where nobody tells."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor().rpartition(" ")[2]  # Windows: a family, a model, and the maker
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line for line in lines if line.startswith("vendor_id")), "").partition(":")[2].strip()


def halves_float32_products() -> bool:
    """Whether PyTorch's float32 matrix products reach about half of this processor's rate, and oneDNN's nearly all.

    PyTorch's are MKL's on x86, which keeps AVX-512 to Intel's processors.
    """
    wide = of_processor() in (AVX512, AVX512_BF16)
    return (
        wide
        and maker() == "AuthenticAMD"
        and torch.backends.mkl.is_available()
        and torch.backends.mkldnn.is_available()
    )


def onednn_takes(dtype: torch.dtype) -> bool:
    """Whether oneDNN's own operators compute in that dtype on this processor."""
    if not torch.backends.mkldnn.is_available():
        return False
    return dtype is torch.float32 or (dtype is torch.bfloat16 and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()))


@dataclass(frozen=True)
class Speed:
    """What one core does in a second of its time: how machines compare."""

    convolutions: float
    """of a fixed size, in bfloat16 where this processor is known to be fast in it, as trainings of wide networks are"""
    steps: float
    """of training a small perceptron in float32, with what PyTorch's calls take"""


@functools.cache
def speed(seconds: float = 0.15) -> Speed:
    """Measured, in so many seconds for each kind of work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return Speed(times_a_second(convolution(), seconds), times_a_second(perceptron_step(), seconds))
    finally:
        torch.set_num_threads(threads)


def times_a_second(work: Callable[[], object], seconds: float) -> float:
    """How often a piece of work is done in a second of processor time."""
    for _ in range(3):
        work()  # the first ones choose kernels
    began, done = time.process_time(), 0
    while (took := time.process_time() - began) < seconds:
        work()
        done += 1
    return done / took


def convolution() -> Callable[[], object]:
    """A convolution of 16 images of 32 channels at 16×16 px with 32 filters of 3×3."""
    kind = torch.bfloat16 if of_processor().bfloat16 else torch.float32
    x = torch.ones(16, 32, 16, 16, dtype=kind).contiguous(memory_format=torch.channels_last)
    w = torch.ones(32, 32, 3, 3, dtype=kind)
    return torch.no_grad()(lambda: torch.conv2d(x, w, padding=1))


def perceptron_step() -> Callable[[], object]:
    """A step of gradient descent on 256 examples through three layers, of 128 units between."""
    layers = [torch.full(side, 0.01, requires_grad=True) for side in ((128, 2), (128, 128), (2, 128))]
    x = torch.ones(256, 2)

    def step() -> None:
        h = x
        for w in layers:
            h = torch.nn.functional.linear(h, w).relu()
        gradients = torch.autograd.grad(h.sum(), layers)
        with torch.no_grad():
            for w, g in zip(layers, gradients, strict=True):
                w.sub_(g, alpha=1e-6)

    return step
