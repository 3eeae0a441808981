"""Which arithmetic a device has: what decides the precision and the kernels of a training, and what env.json says."""

from __future__ import annotations

import functools
import platform
import sys
import time
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


@functools.cache
def speed(seconds: float = 0.15) -> float:
    """Convolutions of a fixed size that one core makes in a second of its time: how machines compare.

    In bfloat16 where this processor is known to be fast at it, as trainings of wide networks are.
    """
    kind = torch.bfloat16 if of_processor().bfloat16 else torch.float32
    x = torch.ones(16, 32, 16, 16, dtype=kind).contiguous(memory_format=torch.channels_last)
    w = torch.ones(32, 32, 3, 3, dtype=kind)
    threads, done = torch.get_num_threads(), 0
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            torch.conv2d(x, w, padding=1)  # the first one chooses its kernel
            began = time.process_time()
            while (took := time.process_time() - began) < seconds:
                torch.conv2d(x, w, padding=1)
                done += 1
    finally:
        torch.set_num_threads(threads)
    return done / took
