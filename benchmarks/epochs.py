"""One shuffled epoch as normalised float batches on the device, against torch's DataLoader.

Three ways to read each set: ours; a DataLoader with two workers over the same array in memory; and for pictures a
DataLoader with two workers over JPEG (birds) or PNG (CIFAR-10) files. The slow ones read an epoch of a part of the
set, with their workers already running, and rates are compared. Freed memory is kept as in a training, for all alike.
MNIST is compared with the one-process DataLoader over a TensorDataset that most scripts use.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common import here, in_turns, ratio, record
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from triptych.core import Data
from triptych.data import load
from triptych.data.batches import Batches
from triptych.data.export import export
from triptych.system.device import keep_freed_memory

BATCH = 256


class Files(Dataset):
    """Pictures decoded when they are asked for, as ordinary scripts do."""

    def __init__(self, files: list[Path], size: int) -> None:
        self.files, self.size = files, size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> Tensor:
        with Image.open(self.files[i]) as im:
            a = np.asarray(im.convert("RGB").resize((self.size, self.size), Image.Resampling.BICUBIC))
        return torch.from_numpy(a.transpose(2, 0, 1).astype(np.float32) / 127.5 - 1)


class Array(Dataset):
    """The prepared array, normalised example by example."""

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> Tensor:
        return self.x[i].float() / 127.5 - 1


def ours(data: Data, batches: int) -> Callable[[], object]:
    stream = Batches(data, BATCH, seed=0, device=torch.device("cpu"))

    def epochs() -> None:
        for _ in range(batches):
            next(stream)

    return epochs


def theirs(dataset: Dataset, workers: int, batches: int) -> Callable[[], object]:
    """A whole epoch of the first so many batches: nothing is read ahead before it, and nobody works on after it."""
    part = Subset(dataset, range(batches * BATCH))
    loader = DataLoader(part, BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0)

    def epoch() -> None:
        for _ in loader:
            pass

    return epoch


def rates(name: str, data: Data, rivals: dict[str, tuple[Dataset, int, int]]) -> tuple[dict, dict]:
    """Pictures a second of ours and every rival, and our advantage over each."""
    batches = max(len(data), 50_000) // BATCH  # nine epochs of the birds: one is over in 4 ms, too short to time
    ways = {"triptych": ours(data, batches)} | {k: theirs(*v) for k, v in rivals.items()}
    shown = {"triptych": batches * BATCH} | {k: v[2] * BATCH for k, v in rivals.items()}
    times = in_turns(ways, rounds=7, warmup=2)
    per_picture = {k: [t / shown[k] for t in v] for k, v in times.items()}
    speed = {k: 1 / statistics.median(v) for k, v in per_picture.items()}
    return speed, {k: ratio(per_picture[k], per_picture["triptych"]) for k in rivals}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--note", default="", help="kept with the records of birds and CIFAR-10")
    note = options.parse_args().note
    keep_freed_memory()  # as every training does
    mnist = load("mnist")
    plain = mnist.x.float() / 127.5 - 1
    speed, ahead = rates("mnist", mnist, {"DataLoader(TensorDataset)": (TensorDataset(plain), 0, 60)})
    best = ahead["DataLoader(TensorDataset)"]
    record(
        here("epoch_mnist"),
        "a shuffled epoch of MNIST as normalised batches of 256",
        "at least 5 times as fast as DataLoader(TensorDataset), which starts from floats",
        f"{best['median']:.1f} times ({speed['triptych']:,.0f} pictures/s)",
        best["median"] >= 5,
        {"pictures_per_second": speed, "ratio": ahead},
    )
    for name, resolution in (("birds", 32), ("cifar10", None)):
        data = load(name, "all" if name == "birds" else "train", resolution=resolution)
        with tempfile.TemporaryDirectory() as tmp:
            if name == "birds":
                import tarfile

                from triptych.data.sources.image_folders import BIRDS

                with tarfile.open(BIRDS.home()) as t:
                    t.extractall(tmp, filter="data")
                files, kind = sorted(Path(tmp).rglob("*.jpg")), "JPEG"
            else:
                part = Data(name, data.x[:12_800])
                export({"train": part}, Path(tmp) / "png")
                files, kind = sorted(Path(tmp).rglob("*.png")), "PNG"
            rivals: dict[str, tuple[Dataset, int, int]] = {
                f"DataLoader(2 workers), {kind} files": (Files(files, 32), 2, 8),
                "DataLoader(2 workers), the same array": (Array(data.x), 2, 20),
            }
            speed, ahead = rates(name, data, rivals)
        least = min(a["median"] for a in ahead.values())
        record(
            here(f"epoch_{name}"),
            f"an epoch of prepared {name} as normalised float batches of 256",
            "at least 20 times a DataLoader with 2 workers over files, and over the same array",
            " and ".join(f"{a['median']:.0f} times {k}" for k, a in ahead.items())
            + f" ({speed['triptych']:,.0f} pictures/s)",
            least >= 20,
            {"pictures_per_second": speed, "ratio": ahead},
            note,
        )


if __name__ == "__main__":
    main()
