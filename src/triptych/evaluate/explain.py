"""Why one FID differs from another: the same pictures under each usual resize, two counts and two references."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from triptych.core import Data
from triptych.errors import UserError
from triptych.metrics.comparison import subset
from triptych.metrics.features.extractor import Inception, extract
from triptych.metrics.frechet import frechet_from_features
from triptych.system.progress import Count

PARTS = 5
"""The smaller count is this part of the larger: 10,000 of the usual 50,000."""
FEWEST = 2


@dataclass(frozen=True)
class Protocol:
    """How numbers are published: what a table cell may be most like."""

    name: str
    resize: str
    n: int
    reference: str
    """which real examples: `train` or `test`"""


PROTOCOLS = (
    Protocol("clean-fid", "clean", 50_000, "train"),
    Protocol("torch-fidelity, as most GAN papers since 2020", "tf1-bilinear", 50_000, "train"),
    Protocol("the original TensorFlow code, StyleGAN's fid50k_full", "tf1-bilinear", 50_000, "train"),
    Protocol("pytorch-fid", "torch-bilinear", 50_000, "train"),
    Protocol("pytorch-fid on 10,000 samples", "torch-bilinear", 10_000, "test"),
    Protocol("the 10,000 samples of early GAN papers", "tf1-bilinear", 10_000, "test"),
)


@dataclass(frozen=True)
class Cell:
    """One FID and what it depends on."""

    resize: str
    n: int
    reference: str
    n_real: int
    fid: float
    like: str
    """the published protocol with the most of this in common"""


def explained(
    references: Mapping[str, Data],
    fake: Data,
    inceptions: Sequence[Inception],
    progress: Callable[[str], Count] | None = None,
) -> list[Cell]:
    """The FID of `fake` by every resize, for all and for a part of the samples, against each reference.

    UserError for fewer than 10 samples. Features are made once for each resize.
    """
    counts = (len(fake), len(fake) // PARTS)
    if counts[1] < FEWEST:
        raise UserError(f"{len(fake)} samples cannot be divided; give at least {FEWEST * PARTS} (-n)")
    found = []
    for inception in inceptions:
        bar = progress and progress(f"{inception.resize}: samples")
        samples = extract(inception, fake, progress=bar)["features"]
        for name, real in references.items():
            bar = progress and progress(f"{inception.resize}: {name}")
            features = extract(inception, real, progress=bar)["features"]
            for n in counts:
                fid = frechet_from_features(features, samples[:n])
                found.append(Cell(inception.resize, n, name, len(real), fid, most_like(inception.resize, n, name)))
    return found


def most_like(resize: str, n: int, reference: str) -> str:
    """The published protocol of that resize with the nearest count and, of two, the same reference."""
    same = [p for p in PROTOCOLS if p.resize == resize]

    def apart(p: Protocol) -> tuple[float, bool]:
        return abs(p.n - n) / max(p.n, n), p.reference != reference

    best = min(same, key=apart)
    missing = []
    if best.n != n:
        missing.append(f"with {best.n:,} samples")
    if best.reference != reference:
        missing.append(f"against {best.reference}")
    return best.name + (f" ({', '.join(missing)})" if missing else "")


def two_references(train: Data, test: Data | None, most: int | None = None, seed: int = 0) -> dict[str, Data]:
    """The training examples and the held-out ones; where none are held out, all of them and one half."""
    found = (
        {"train": train, "test": test}
        if test is not None
        else {"all": train, "a half": subset(train, len(train) // 2, seed)}
    )
    return {k: v if most is None else subset(v, most, seed) for k, v in found.items() if v is not None}


def nearest(cells: Sequence[Cell], published: float) -> Cell:
    """The cell whose number is nearest to a published one."""
    return min(cells, key=lambda cell: abs(cell.fid - published))
