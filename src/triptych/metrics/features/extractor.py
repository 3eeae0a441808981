"""From images to features, once: extractors, their cache, and where the Inception weights are."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from triptych.core import Data, Extractor
from triptych.core.features import grey_levels
from triptych.errors import UserError
from triptych.metrics.features.inception import InceptionV3
from triptych.metrics.features.resize import RESIZES
from triptych.system.cache import ADVICE, root
from triptych.system.device import keep_freed_memory
from triptych.system.download import Remote, download
from triptych.system.files import sweep_legacy, writing
from triptych.system.locks import exclusive
from triptych.system.processor import arithmetic
from triptych.system.progress import Count as Progress
from triptych.system.refusals import system_errors
from triptych.system.tensor_files import unpack

WEIGHTS = ("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth")
SHA256 = "6726825d"
PATIENCE = 20.0
"""Seconds without a byte before a server is given up."""
ADDRESSES = (
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
)


@dataclass(frozen=True, eq=False)
class Identity(Extractor):
    """Vectors are their own features."""

    id: str = "data"
    resize: str = "none"
    dtype: str = "float32"
    note: str = ""

    def __call__(self, examples: Tensor) -> Mapping[str, Tensor]:
        return {"features": examples.float().flatten(1)}


@dataclass(frozen=True, eq=False)
class Inception(Extractor):
    """The Inception-v3 of the FID paper, on the exact fast path (or in bfloat16, marked)."""

    net: Callable[[Tensor], Mapping[str, Tensor]] = field(repr=False)
    id: str
    resize: str = "clean"
    dtype: str = "float32"
    note: str = ""
    costly: ClassVar[bool] = True

    @property
    def label(self) -> str:
        return "Inception"

    def __call__(self, examples: Tensor) -> Mapping[str, Tensor]:
        return {k: v for k, v in self.net(examples).items() if k in ("features", "logits", "logits_unbiased")}

    def name(self, base: str) -> str:
        known = {"frechet": "fid", "frechet_infinity": "fid_infinity", "kernel": "kid", "kernel_subsets": "kid_subsets"}
        return base if base == "inception_score" else known.get(base, f"{base}_inception")


# -------------------------------------------------------------------------------------------- cache


def place(extractor: Extractor, fingerprint: str, n: int) -> Path:
    """Where the features of a set of images are kept."""
    key = "|".join([fingerprint, str(n), extractor.id, extractor.resize, extractor.dtype])
    return root() / "features" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"


def kept(extractor: Extractor, fingerprint: str, n: int) -> dict[str, Tensor] | None:
    """Features of a set of n images in the cache; None where they are not there, or damaged, which is said."""
    from safetensors import SafetensorError

    if not fingerprint or not (file := place(extractor, fingerprint, n)).exists():
        return None
    try:
        return unpack(file.read_bytes())[0]
    except (SafetensorError, OSError) as e:
        warnings.warn(f"cached features {file} cannot be read ({e}); made anew", stacklevel=3)
        return None


def extract(extractor: Extractor, data: Data, batch: int = 64, progress: Progress | None = None) -> dict[str, Tensor]:
    """Features of every example, float32 on the CPU: from the cache where the data has a fingerprint."""
    from safetensors.torch import save

    if data.is_images and (known := kept(extractor, data.fingerprint, len(data))) is not None:
        return known
    file = place(extractor, data.fingerprint, len(data)) if data.fingerprint and data.is_images else None
    parts: dict[str, list[Tensor]] = {}
    x = data.x if len(data) else data.x.new_zeros(1, *data.shape)  # no examples have features, too: none of that width
    for i in range(0, len(x), batch):
        for k, v in extractor(x[i : i + batch]).items():
            parts.setdefault(k, []).append(v.detach().float().cpu())
        if progress is not None:
            progress(min(i + batch, len(x)), len(x))
    found = {k: torch.cat(v)[: len(data)] for k, v in parts.items()}
    if file is not None:
        with system_errors(file, ADVICE):
            file.parent.mkdir(parents=True, exist_ok=True)
            sweep_legacy(file.parent)
        with writing(file, ADVICE) as f:
            f.write(save({k: v.contiguous() for k, v in found.items()}))
    return found


# ---------------------------------------------------------------------------------- Inception weights


def sha256(file: Path) -> str:
    with file.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def find_inception(path: str | Path | None = None, *, may_download: bool = True) -> Path:
    """The weights file: `path` → $TRIPTYCH_INCEPTION → cache → torch hub's cache → download, if it `may_download`.

    One UserError that lists every place looked in when there is none.
    """
    for given, origin in ((path, "--inception"), (os.environ.get("TRIPTYCH_INCEPTION"), "TRIPTYCH_INCEPTION")):
        if given:
            if not Path(given).expanduser().is_file():
                raise UserError(f"{origin} is {str(given)!r}, which is no file; give the path of {WEIGHTS[0]}")
            return Path(given).expanduser()
    folders = (root() / "inception", Path(torch.hub.get_dir()) / "checkpoints")
    for folder in folders:
        for name in WEIGHTS:
            if (folder / name).is_file():
                return folder / name
    tried = "; ".join(str(f) for f in folders)
    if may_download:
        try:
            return fetch(folders[0] / WEIGHTS[0])
        except UserError as e:
            tried += f"; {e}"
    raise UserError(
        f"the Inception weights for FID were found nowhere: not by --inception PATH, not in TRIPTYCH_INCEPTION, not "
        f"as {' or '.join(WEIGHTS)} in {tried}; get the file (a .pth of that name, or TorchScript) and give it by "
        "--inception PATH, let --inception download fetch it, or use the metrics that need no download: frechet, "
        "kernel, precision, recall, density, coverage from an extractor trained on the data"
    )


def fetch(target: Path) -> Path:
    """Download the weights: to a part beside `target`, which takes the name when its hash is right.

    Every address has the same bytes, so the next one goes on where the last broke off. UserError with each address
    and its reason.
    """
    reasons = []
    with system_errors(target, ADVICE), exclusive(target.with_suffix(".lock")):
        for address in ADDRESSES:
            if target.is_file():  # another process was first
                break
            try:
                download(Remote(address, f"sha256:{SHA256}"), target, PATIENCE, pause=0.5, tries=2)
            except UserError as e:
                reasons.append(str(e).split("; ")[0])
    if target.is_file():
        return target
    raise UserError("; ".join(reasons))


def check_hash(file: Path) -> str:
    """The file's SHA-256; UserError when it is not the published one."""
    found = sha256(file)
    if not found.startswith(SHA256):
        raise UserError(
            f"{file} is not the published Inception-v3: its SHA-256 is {found}, and should begin with {SHA256}; "
            f"get {WEIGHTS[0]} again"
        )
    return found


def load_inception(
    path: str | Path | None = None,
    resize: str = "clean",
    precision: Literal["fp32", "bf16"] = "fp32",
    device: str | torch.device = "cpu",
) -> Inception:
    """The extractor behind FID, weights checked; never unpickles anything but tensors."""
    kind = arithmetic(torch.device(device))
    if precision == "bf16" and kind.bfloat16 is False:
        raise UserError(f"bfloat16 is only emulated here ({kind.words}), slower than float32; leave --precision out")
    file = find_inception(path)
    if resize not in RESIZES:
        raise UserError(f"unknown resize {resize!r}; choose one of {', '.join(RESIZES)}")
    # a script is a program: one under the weights' own name in a cache is not run
    if file.name not in WEIGHTS and is_torchscript(file):
        return load_torchscript(file, resize, device)
    mark = check_hash(file)
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        net = InceptionV3(resize)
        net.load_state_dict(state)
    except Exception as e:
        raise UserError(f"{file} does not hold the weights of Inception-v3 ({e}); get {WEIGHTS[0]} again") from e
    return from_net(net, mark, precision, device)


def from_net(
    net: InceptionV3, mark: str, precision: Literal["fp32", "bf16"] = "fp32", device: str | torch.device = "cpu"
) -> Inception:
    """An extractor around a loaded net, on its fast path."""
    if torch.device(device).type == "cpu":
        keep_freed_memory()
    fast = net.optimised(torch.bfloat16 if precision == "bf16" else torch.float32).to(device)
    note = "" if precision == "fp32" else "bfloat16: a fast estimate, not a reference number"
    return Inception(
        fast, f"inception-v3:{mark[:12]}", net.resize, "float32" if precision == "fp32" else "bfloat16", note
    )


def is_torchscript(file: Path) -> bool:
    import zipfile

    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as z:
        return any(name.endswith("constants.pkl") for name in z.namelist())


def load_torchscript(file: Path, resize: str, device: str | torch.device) -> Inception:
    """The scripted network that clean-fid and StyleGAN use: takes 0–255 images, returns the features only.

    A script is a program; it is run only when its path was given, and its hash is in the number's extractor id.
    """
    mark = sha256(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            layers: Any = torch.jit.load(str(file), map_location=device).eval().layers
    except (RuntimeError, AttributeError) as e:
        reason = str(e).splitlines()[0]
        raise UserError(f"{file} is not the TorchScript Inception-v3 ({reason}); give {WEIGHTS[0]}") from e

    @torch.no_grad()
    def call(images: Tensor) -> Mapping[str, Tensor]:
        x = (RESIZES[resize](grey_levels(images.to(device)), 299) - 128) / 128
        return {"features": layers.forward(x.expand(-1, 3, -1, -1)).flatten(1)}

    return Inception(call, f"inception-script:{mark[:12]}", resize)


# --------------------------------------------------------------------------------- reference statistics


def read_statistics(file: str | Path) -> tuple[Tensor, Tensor]:
    """(mu, sigma) of a clean-fid `.npz`, float64; nothing in it is unpickled."""
    from zipfile import BadZipFile

    import numpy as np

    try:
        with Path(file).open("rb") as f, np.load(f, allow_pickle=False) as z:
            mu, sigma = torch.from_numpy(z["mu"]).double(), torch.from_numpy(z["sigma"]).double()
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as e:
        raise UserError(
            f"{file} holds no Fréchet statistics ({e}); it needs the arrays mu (d,) and sigma (d, d)"
        ) from e
    if mu.dim() != 1 or sigma.shape != (len(mu), len(mu)) or not (mu.isfinite().all() and sigma.isfinite().all()):
        raise UserError(f"{file} has mu {tuple(mu.shape)} and sigma {tuple(sigma.shape)}; it needs finite (d,), (d, d)")
    return mu, sigma


def write_statistics(file: str | Path, mu: Tensor, sigma: Tensor) -> None:
    """Write (mu, sigma) as clean-fid does, whole or not at all."""
    import numpy as np

    with writing(file) as f:
        np.savez(f, mu=mu.double().numpy(), sigma=sigma.double().numpy())
