"""`evaluate --explain` against torch-fidelity and clean-fid, by their own reading, resizes and distances.

    python benchmarks/explain_parity.py

Needs torch-fidelity and clean-fid (installed without their dependencies, beside triptych's). Where torchvision has no
build for this torch, the few names that the two import of it are made here: what they use of it is turning a picture
into a tensor. The weights are random: nothing is fetched. clean-fid's network is a TorchScript file from the web; in
its place stands torch-fidelity's, which has the same layers, behind clean-fid's own resizes and normalisations.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import record
from metrics_parity import random_net
from PIL import Image

LIMIT = 1e-3
SIZE = (48, 40)


def stand_in() -> bool:
    """torchvision's names that the two packages import; False where torchvision is there."""
    try:
        import torchvision  # noqa: F401  # pyright: ignore[reportMissingImports]
    except (ImportError, RuntimeError, OSError):
        pass
    else:
        return False

    class Named(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (torch.nn.Module,), {})

    def to_tensor(picture: Any) -> torch.Tensor:
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1)

    class ToTensor:
        """Bytes to [0, 1], floats as they are."""

        def __call__(self, x: np.ndarray) -> torch.Tensor:
            found = torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)))
            return found.float() / 255 if x.dtype == np.uint8 else found

    class Compose:
        def __init__(self, steps: list[Any]) -> None:
            self.steps = steps

        def __call__(self, x: Any) -> Any:
            for step in self.steps:
                x = step(x)
            return x

    names = ("", ".datasets", ".transforms", ".transforms.functional", ".models", ".models.inception")
    made = {f"torchvision{name}": Named(f"torchvision{name}") for name in names}
    made["torchvision"].__version__ = "0.0"
    made["torchvision.transforms.functional"].pil_to_tensor = to_tensor
    made["torchvision.transforms"].ToTensor = ToTensor
    made["torchvision.transforms"].Compose = Compose
    for name, module in made.items():
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(made[parent], child, module)
    sys.modules |= made
    return True


def pictures(folder: Path, n: int, seed: int, blur: int) -> None:
    """Smooth colourful pictures, the coarser the larger `blur`."""
    g = np.random.default_rng(seed)
    folder.mkdir()
    for i in range(n):
        coarse = Image.fromarray(g.integers(0, 256, (blur, blur, 3), dtype=np.uint8))
        coarse.resize(SIZE, Image.Resampling.BICUBIC).save(folder / f"{i:04d}.png")


def theirs(a: Path, b: Path, weights: Path) -> dict[str, float]:
    """FID by the peers, by the names of our resizes; and torch-fidelity's own under its name."""
    import scipy.linalg
    from cleanfid import fid as clean_fid
    from torch_fidelity import calculate_metrics
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    whole = scipy.linalg.sqrtm
    if not accepts_disp(whole):  # newer SciPy has no such argument, and returns the root alone
        scipy.linalg.sqrtm = lambda x, disp=True: whole(x) if disp else (whole(x), 0.0)
    found = calculate_metrics(
        input1=str(a),
        input2=str(b),
        fid=True,
        cuda=False,
        feature_extractor_weights_path=str(weights),
        verbose=False,
        cache=False,
        batch_size=32,
        save_cpu_ram=True,
    )
    numbers = {"torch-fidelity": float(found["frechet_inception_distance"])}
    net = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights))

    def features(x: torch.Tensor, half: float) -> torch.Tensor:
        # what the network subtracts and divides by is undone, so that clean-fid's own normalisation is left
        y = (x - half) / half * 128 + 128
        return torch.cat([body(net, part) for part in y.split(16)])

    for mode, name, half in (("clean", "clean", 128.0), ("legacy_pytorch", "torch-bilinear", 127.5)):
        numbers[name] = float(
            clean_fid.compare_folders(
                str(a),
                str(b),
                lambda x, half=half: features(x, half),
                mode,
                num_workers=0,
                batch_size=32,
                device=torch.device("cpu"),
                verbose=False,
            )
        )
    # clean-fid's legacy_tensorflow leaves the resize to the network, as torch-fidelity does
    numbers["tf1-bilinear"] = float(
        clean_fid.compare_folders(
            str(a),
            str(b),
            lambda x: torch.cat([net(part.round().to(torch.uint8))[0] for part in x.split(16)]),
            "legacy_tensorflow",
            num_workers=0,
            batch_size=32,
            device=torch.device("cpu"),
            verbose=False,
        )
    )
    return numbers


def accepts_disp(f: Any) -> bool:
    import inspect

    return "disp" in inspect.signature(f).parameters


def body(net: Any, x: torch.Tensor) -> torch.Tensor:
    """The peer's network on floats of 299 pixels: its own check asks for bytes, and its resize is then none."""
    from torch_fidelity import feature_extractor_inceptionv3 as home

    check, home.vassert = home.vassert, lambda truth, text: None
    try:
        return net(x)[0]
    finally:
        home.vassert = check


def ours(a: Path, b: Path, weights: Path) -> dict[str, float]:
    """FID by `explained`, by resize, of all pictures against all."""
    from triptych.cli.explain import of_sets
    from triptych.evaluate.explain import explained
    from triptych.evaluate.options import Features, Samples
    from triptych.evaluate.protocol import load_inception
    from triptych.metrics.features import extractor
    from triptych.metrics.features.resize import RESIZES

    extractor.SHA256 = extractor.sha256(weights)  # these weights, not the published ones

    _, fake = of_sets(str(a), str(b), Samples(), {})
    references, _ = of_sets(str(a), str(a), Samples(), {})
    nets = [load_inception(Features(inception=str(weights), resize=r), images=True, device="cpu") for r in RESIZES]
    cells = explained({"all": references["all"]}, fake, [n for n in nets if n is not None])
    return {c.resize: c.fid for c in cells if c.n == len(fake)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=64, help="on each side")
    options = parser.parse_args()
    missing = stand_in()
    with tempfile.TemporaryDirectory() as place:
        a, b, weights = (Path(place) / name for name in ("a", "b", "weights.pth"))
        pictures(a, options.pictures, 1, 6)
        pictures(b, options.pictures, 2, 8)
        torch.save(random_net().state_dict(), weights)
        mine, peers = ours(a, b, weights), theirs(a, b, weights)
    against = {name: peers[name] for name in mine} | {"torch-fidelity": peers["torch-fidelity"]}
    off = {name: abs(mine.get(name, mine["tf1-bilinear"]) - v) / v for name, v in against.items()}
    told = "; ".join(
        f"{name} {mine.get(name, mine['tf1-bilinear']):.4f} against {v:.4f}" for name, v in against.items()
    )
    record(
        "explain-parity",
        "evaluate --explain gives what torch-fidelity and clean-fid give, each in its own protocol",
        f"within {LIMIT:g} relative",
        f"{told}: at most {max(off.values()):.1e} relative",
        max(off.values()) <= LIMIT,
        {"ours": mine, "theirs": peers, "relative": off, "pictures": options.pictures, "torchvision stood in": missing},
        "clean-fid's resizes, normalisations and distance on torch-fidelity's network, as its own is a file of the web",
    )


if __name__ == "__main__":
    main()
