"""What can be chosen about an evaluation. No tensors here: the command line's help reads these classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from triptych.core.seeds import check_seed


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What is drawn from a model."""

    n: int | None = None
    """samples (of --real and --fake: examples a side)"""
    seed: int = 0
    """seed of the samples and of everything random in the metrics"""
    which: Literal["last", "best"] = "last"
    """checkpoint to evaluate"""
    bn: Literal["eval", "train"] = "eval"
    """batch normalisation: eval, averages kept while training; train, statistics of the batch at hand"""
    solver: str | None = None
    """continuous flows: euler, midpoint, heun, rk4 or dopri5; default: the recipe's"""
    steps: int | None = None
    """continuous and mean flows: steps of a sample; default: the recipe's"""

    sorted: bool = False
    """also sort the samples by what the set's classifier tells: numbers within classes of a model without any"""

    def __post_init__(self) -> None:
        check_seed(self.seed)

    @property
    def how(self) -> str:
        """What of it is unlike a plain evaluation, as options; empty where nothing is."""
        unlike = {
            f"--which {self.which}": self.which != "last",
            f"--bn {self.bn}": self.bn != "eval",
            f"--solver {self.solver}": self.solver is not None,
            f"--steps {self.steps}": self.steps is not None,
        }
        return ", ".join(k for k, v in unlike.items() if v)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What samples are compared with."""

    split: Literal["train", "test", "all"] | None = None
    """reference; default: the test split where there is one"""
    data: str | None = None
    """where a run's data are now, or another set to compare it with, prepared alike"""


@dataclass(frozen=True, kw_only=True)
class Generator:
    """What a generator given as an ONNX file (--fake FILE.onnx) takes and makes, where the file does not say it."""

    latent: int | None = None
    """latent dimensions"""
    prior: Literal["normal", "uniform"] | None = None
    """noise: N(0, 1), or uniform on [-1, 1]; default: as the file says, which ours do"""
    output: tuple[float, float] | None = None
    """pixel values of black and white, as -1 1 or 0 255; default: as the file says, or whole bytes"""

    @property
    def asked(self) -> bool:
        return not (self.latent is None and self.prior is None and self.output is None)


@dataclass(frozen=True, kw_only=True)
class Features:
    """What images are compared by beside the set's own extractor: Inception."""

    inception: str | None = None
    """weights for FID, or `download`; default: used where they are found"""
    resize: Literal["clean", "tf1-bilinear", "torch-bilinear"] = "clean"
    """resize before Inception: as clean-fid, as torch-fidelity, as pytorch-fid"""
    precision: Literal["fp32", "bf16"] = "fp32"
    """of Inception; bf16 is several times faster, and no reference number"""
    extractor: str | None = None
    """features of your own as well: FILE.onnx, module:attr, FILE.py:attr, or dinov2:WEIGHTS"""
    stats: Path | None = None
    """clean-fid .npz (mu, sigma) as the real side of FID"""
    save_stats: Path | None = None
    """write the real side's Inception statistics as such a file"""

    @property
    def needed(self) -> bool:
        """Whether something was asked for that takes Inception's weights."""
        return not (self.inception is None and self.stats is None and self.save_stats is None)
