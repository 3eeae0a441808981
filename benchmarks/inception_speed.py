"""Inception throughput: as torch-fidelity runs it, on the exact fast path, in bfloat16; what bfloat16 does to FID.

Each way has a process of its own, since how freed memory is kept is a setting of the whole process. `unfolded` is the
plain network in the same setting as the fast path: what of the gain is the network's.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from common import here, in_turns, ratio, record
from metrics_parity import others, random_net
from torch import Tensor

from triptych.metrics.features.extractor import from_net
from triptych.metrics.frechet import frechet_from_features
from triptych.system.device import keep_freed_memory
from triptych.system.processor import AMX, of_processor

BATCH = 64
ROUNDS = 1 if "--quick" in sys.argv else 5
PACKAGE = "torch-fidelity"


def way(name: str) -> Callable[[Tensor], Tensor]:
    """uint8 images to features, with the random weights that all share."""
    net = random_net()
    if name == PACKAGE:
        keep, *_, fidelity, _, _ = others()
        with tempfile.TemporaryDirectory() as folder:
            torch.save(net.state_dict(), Path(folder) / "w.pth")
            theirs = fidelity.FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(Path(folder) / "w.pth")
            ).eval()
        return lambda x, _keep=keep: theirs(x)[0]
    if name == "unfolded":
        keep_freed_memory()
        return lambda x: net(x)["features"]
    extractor = from_net(net, "random", "bf16" if name == "bf16" else "fp32")
    return lambda x: extractor(x)["features"]


def work(name: str) -> None:
    """A worker: one batch for every line of the standard input."""
    call = way(name)
    x = torch.randint(0, 256, (BATCH, 3, 32, 32), dtype=torch.uint8)
    for _ in sys.stdin:
        with torch.no_grad():
            call(x)
        print("done", flush=True)


def ask(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    assert worker.stdout is not None
    print("go", file=worker.stdin, flush=True)
    if not worker.stdout.readline():
        sys.exit("a worker died; is torch-fidelity installed beside the project?")


def main() -> None:
    warnings.simplefilter("ignore")
    if "--way" in sys.argv:
        work(sys.argv[2])
        return
    names = [PACKAGE, "fp32", "bf16", "unfolded"]
    argv = [sys.executable, __file__, "--way"]
    workers = {
        n: subprocess.Popen([*argv, n], stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, text=True, encoding="utf-8")
        for n in names
    }
    times = in_turns({n: lambda w=w: ask(w) for n, w in workers.items()}, rounds=ROUNDS)
    for w in workers.values():
        w.communicate()
    speed = {k: BATCH / statistics.median(v) for k, v in times.items()}
    ratios = {n: ratio(times[PACKAGE], times[n]) for n in names[1:]}
    alone = {n: ratio(times["unfolded"], times[n])["median"] for n in names[1:3]}
    g = torch.Generator().manual_seed(1)
    smooth = torch.nn.functional.interpolate(torch.rand(2, 96, 3, 8, 8, generator=g).flatten(0, 1), 32, mode="bicubic")
    smooth = smooth.mul(255).clamp(0, 255).byte()
    smooth[96:] = smooth[96:] // 2 + 40
    features = {n: torch.cat([way(n)(part) for part in smooth.split(32)]) for n in names[1:3]}
    want = way(PACKAGE)(smooth[:32])
    off = {n: ((f[:32] - want).abs().max() / want.abs().max()).item() for n, f in features.items()}
    fids = {n: frechet_from_features(f[:96], f[96:]) for n, f in features.items()}
    drift = fids["bf16"] / fids["fp32"] - 1
    exact, fast = (3.0, 13.0) if of_processor() is AMX else (2.5, 5.0)
    by = {n: r["median"] for n, r in ratios.items()}
    record(
        here("inception_speed"),
        "Inception features faster than the packages make them",
        f"fp32 ≥ {exact:g}× with the same values to 1e-6; bf16 ≥ {fast:g}×, its drift recorded",
        f"fp32 {by['fp32']:.2f}× ({speed['fp32']:.1f} images/s for {speed[PACKAGE]:.1f}, off by {off['fp32']:.0e}), "
        f"bf16 {by['bf16']:.2f}× ({speed['bf16']:.1f} images/s, FID off by {drift:+.1%})",
        by["fp32"] >= exact and off["fp32"] <= 1e-6 and by["bf16"] >= fast,
        {
            "seconds": times,
            "ratios": ratios,
            "ratios_to_unfolded": alone,
            "images_per_second": speed,
            "relative_difference": off,
            "fid": fids,
            "batch": BATCH,
        },
        f"Against {PACKAGE} {version(PACKAGE)} at its own batch of {BATCH}, the same random weights and resize; "
        "32-pixel inputs, the resize included; FID drift on 2 × 96 smooth pictures. Part of the gain is that freed "
        "memory is kept: beside the same network unfolded with that setting it is "
        f"{alone['fp32']:.2f}× and {alone['bf16']:.2f}×.",
    )


if __name__ == "__main__":
    main()
