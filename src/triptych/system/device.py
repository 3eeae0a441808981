"""Where and how tensors are computed: device, precision, layout, and seeds."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from triptych import __version__
from triptych.core import Model
from triptych.core.model import Stepwise
from triptych.core.seeds import check_seed as check_seed
from triptych.errors import UserError


def pick_device(name: str = "auto") -> torch.device:
    """`auto` is CUDA, else MPS, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as e:
        raise UserError(f"device {name!r} cannot be used here; choose auto, cpu, cuda or mps") from e
    return device


def place(model: Model, device: torch.device, precision: str) -> Model:
    """Move to the device, convolutions in channels_last, and let players compute in `precision`.

    Under bf16 each call of a player runs in autocast and returns float32, so losses and penalties are float32.
    """
    if device.type == "cpu":
        keep_freed_memory()
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True  # else a resumed run would not repeat its sums in their order
    model.to(device)
    if any(isinstance(m, nn.Conv2d | nn.ConvTranspose2d) for m in model.modules()) and device.type != "mps":
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if precision == "bf16":
        if isinstance(model, Stepwise):
            model.brief = True
        for module in model.autocast_modules():
            module.forward = _in_bfloat16(module.forward, device.type)
    return model


@contextmanager
def exact_float32() -> Iterator[None]:
    """No TF32: numbers to be compared with those of another machine are of whole float32."""
    if not torch.cuda.is_available():
        yield
        return
    matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        # what is not named here would be set to its default, and cuDNN's is off
        with cudnn.flags(cudnn.enabled, cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = matmul


def compiles(device: torch.device) -> bool:
    """Where `torch.compile` is tried: on a GPU. `TORCH_COMPILE_DISABLE=1` turns it off, as everywhere."""
    return device.type == "cuda" and os.environ.get("TORCH_COMPILE_DISABLE") != "1"


def records(device: torch.device) -> bool:
    """Where steps are recorded: on a GPU of CUDA. `TRIPTYCH_CUDA_GRAPHS=0` turns it off."""
    return device.type == "cuda" and os.environ.get("TRIPTYCH_CUDA_GRAPHS") != "0"


def keep_freed_memory() -> None:
    """Let the C library keep what is freed, on Linux.

    glibc returns every block of 32 MiB or more, and every 64 MiB at the top of its heap, to the kernel, which then
    has to clear the pages again at the next allocation: a third of the time of a training step with big tensors.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # malloc.h
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 64 << 20)


def _in_bfloat16(forward: Any, device: str) -> Any:
    @functools.wraps(forward)
    def call(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast(device, torch.bfloat16):
            out = forward(*args, **kwargs)
        return tuple(o.float() for o in out) if isinstance(out, tuple) else out.float()

    return call


def memory_ran_out(e: BaseException) -> bool:
    """Whether an error says that there was not enough memory, on a processor or a GPU."""
    return isinstance(e, MemoryError | torch.OutOfMemoryError) or (
        isinstance(e, RuntimeError) and "can't allocate" in str(e)
    )


@contextmanager
def evaluation_mode(model: Model, seed: int) -> Iterator[None]:
    """Evaluation beside training: eval mode, no gradients, its own random numbers; afterwards nothing has changed."""
    training = {m: m.training for m in model.modules()}
    state = random_state(model.device)
    with torch.no_grad():
        try:
            torch.manual_seed(seed)
            model.eval()
            yield
        finally:
            set_random_state(state, model.device)
            for module, mode in training.items():
                module.training = mode


def pick_threads(model: Model, device: torch.device) -> int:
    """Small perceptrons are faster on one thread: two spend longer waiting for each other than computing."""
    small = sum(w.numel() for w in model.parameters()) < 300_000
    convolves = any(isinstance(m, nn.Conv2d | nn.ConvTranspose2d) for m in model.modules())
    return 1 if device.type == "cpu" and small and not convolves else torch.get_num_threads()


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Compute with n threads inside the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


WAIT = b"\nCtrl-C: this step is being finished and saved; press it again to leave at once\n"


@contextmanager
def deferred_signals() -> Iterator[list[int]]:
    """Inside the context SIGTERM and a first Ctrl-C only go into the list that it gives, so that a step can be finished
    and saved; a second Ctrl-C interrupts at once.

    Afterwards what came has its effect: SystemExit with status 143, as a shell has it, or KeyboardInterrupt. In the
    main thread alone, where signals arrive, and of each signal where nobody else handles it.
    """
    came: list[int] = []

    def note(number: int, frame: Any) -> None:
        if number == signal.SIGINT:
            if number in came:
                raise KeyboardInterrupt
            os.write(2, WAIT)  # not by a stream, which the signal may have found at work
        came.append(number)

    alone = threading.current_thread() is threading.main_thread()
    usual = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    ours = {number: how for number, how in usual.items() if alone and signal.getsignal(number) is how}
    for number in ours:
        signal.signal(number, note)
    try:
        yield came
    finally:
        for number, how in ours.items():
            signal.signal(number, how)
        if signal.SIGTERM in came:
            raise SystemExit(128 + signal.SIGTERM)
    if came:
        raise KeyboardInterrupt


def random_state(device: torch.device) -> dict[str, Tensor]:
    """States of the generators that training draws from."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    return state


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    if device.type == "mps":
        torch.mps.synchronize()


def peak_memory(device: torch.device) -> int | None:
    """Most bytes that this process has held so far: on a GPU there, else in memory; None where nobody counts them."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def set_random_state(state: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
    if device.type == "mps" and "mps" in state:
        torch.mps.set_rng_state(state["mps"])


def describe(device: torch.device) -> dict[str, Any]:
    """Versions and hardware, for env.json."""
    from importlib.metadata import version

    return {
        "triptych": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "platform": platform.platform(),
        "device": str(device),
        "processor": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "threads": torch.get_num_threads(),
    }


def processor() -> str:
    """The processor's own name where the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
