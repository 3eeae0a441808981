"""Features and distances against torch-fidelity, clean-fid, torchmetrics and prdc: the same weights and features."""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from common import record

from triptych import data
from triptych.errors import UserError
from triptych.metrics.features.inception import InceptionV3
from triptych.metrics.features.resize import RESIZES
from triptych.metrics.frechet import frechet_from_features
from triptych.metrics.kernel import kernel_distance, kernel_distance_subsets
from triptych.metrics.neighbours import prdc

N = 8


def others():
    """torch-fidelity and clean-fid; torchvision is given the operators that a CPU torch does not have."""
    keep = None
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError, OSError):
        keep = torch.library.Library("torchvision", "DEF")
        keep.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        keep.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from cleanfid import fid as clean_fid
    from cleanfid import inception_pytorch
    from cleanfid.resize import build_resizer
    from torch_fidelity import feature_extractor_inceptionv3 as fidelity
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    return (
        keep,
        clean_fid,
        inception_pytorch,
        build_resizer,
        fidelity,
        fid_features_to_statistics,
        fid_statistics_to_metric,
    )


def random_net() -> InceptionV3:
    torch.manual_seed(0)
    net = InceptionV3("tf1-bilinear")
    for m in net.modules():
        if isinstance(m, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
        if isinstance(m, torch.nn.BatchNorm2d):
            m.weight.data.uniform_(0.8, 1.2)
            m.bias.data.normal_(0, 0.1)
            m.running_mean.normal_(0, 0.1)
            m.running_var.uniform_(0.8, 1.2)
    return net


def image_sets() -> dict[str, torch.Tensor]:
    sets = {"noise": torch.randint(0, 256, (N, 3, 32, 32), dtype=torch.uint8)}
    for name, options in (("mnist", {}), ("cifar10", {}), ("birds", {"resolution": 64})):
        try:
            x = data.load(name, "train" if name != "birds" else "all", **options).x[:N].clone()
            sets[name] = x.expand(-1, 3, -1, -1).contiguous()
        except UserError as e:
            print(f"left out: {e}", file=sys.stderr)
    return sets


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).abs().max() / b.abs().max()).item()


def main() -> None:
    warnings.simplefilter("ignore")
    try:
        _keep, clean_fid, clean_net, build_resizer, fidelity, to_statistics, to_metric = others()
    except (ImportError, RuntimeError, OSError) as e:
        sys.exit(f"torch-fidelity and clean-fid are needed beside the project: {e}")
    net, sets = random_net(), image_sets()
    with tempfile.TemporaryDirectory() as folder:
        torch.save(net.state_dict(), Path(folder) / "w.pth")
        theirs = fidelity.FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(Path(folder) / "w.pth")
        ).eval()
    clean_net.load_state_dict_from_url = lambda *a, **k: net.state_dict()
    pytorch = clean_net.InceptionV3([3], resize_input=False).eval()
    found: dict[str, dict[str, float]] = {}
    for name, x in sets.items():
        clean_input = np.stack([build_resizer("clean")(i.permute(1, 2, 0).numpy()) for i in x])
        clean_input = torch.from_numpy(clean_input).permute(0, 3, 1, 2)
        net.resize = "torch-bilinear"
        bilinear = net(x)["features"]
        want_bilinear = pytorch(RESIZES["torch-bilinear"](x.float(), 299) / 255)[0].flatten(1)
        net.resize = "clean"
        clean = net(x)["features"]
        with torch.no_grad():  # clean-fid normalises as the TorchScript network does: (x - 128) / 128
            want_clean = pytorch(((clean_input - 128) / 128 + 1) / 2)[0].flatten(1)
        net.resize = "tf1-bilinear"
        found[name] = {
            "torch-fidelity": relative(net(x)["features"], theirs(x)[0]),
            "pytorch-fid's net in clean-fid": relative(bilinear, want_bilinear),
            "clean-fid, its Pillow resize": relative(clean, want_clean),
        }
    worst = max(v for row in found.values() for v in row.values())
    record(
        "inception_parity",
        "features equal those of torch-fidelity and clean-fid, the same random weights",
        "largest relative difference ≤ 1e-4 on noise, MNIST, CIFAR-10 and birds",
        f"{worst:.1e} at most, on {', '.join(found)}",
        worst <= 1e-4 and len(found) == 4,
        {"images": N, "differences": found},
        "Random weights; the published ones were not at hand.",
    )

    distances(clean_fid, to_statistics, to_metric)


def distances(clean_fid, to_statistics, to_metric) -> None:
    """FID, KID and PRDC of the same features. Every package gets them in float64: what is compared is arithmetic."""
    import prdc as reference
    from torchmetrics.image.fid import _compute_fid
    from torchmetrics.image.kid import poly_mmd

    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(1500, 64, generator=g).double(), torch.randn(1500, 64, generator=g).double() * 1.1 + 0.1
    fid, kid, ours = frechet_from_features(x, y), kernel_distance(x, y), prdc(x, y)
    theirs = to_metric(to_statistics(x), to_statistics(y), False)["frechet_inception_distance"]
    want = reference.compute_prdc(x.numpy(), y.numpy(), nearest_k=5)
    np.random.seed(0)  # noqa: NPY002  (clean-fid draws its subsets from it)
    subset = clean_fid.kernel_distance(x.numpy(), y.numpy(), num_subsets=1, max_subset_size=len(x))
    by_torch = _compute_fid(x.mean(0), torch.cov(x.T), y.mean(0), torch.cov(y.T)).item()
    differences = {
        "FID, torch-fidelity": abs(fid / theirs - 1),
        "FID, clean-fid": abs(fid / clean_fid.fid_from_feats(x.numpy(), y.numpy()) - 1),
        "FID, torchmetrics": abs(fid / by_torch - 1),
        "KID, clean-fid, one subset of all": abs(kid / subset - 1),
        "KID, torchmetrics": abs(kid / poly_mmd(x, y).item() - 1),
        **{f"{k}, prdc": abs(ours[k] / want[k] - 1) for k in ours},
    }
    differences = {k: float(v) for k, v in differences.items()}
    single = clean_fid.kernel_distance(x.float().numpy(), y.float().numpy(), num_subsets=1, max_subset_size=len(x))
    mean = kernel_distance_subsets(x, y, subsets=20, size=1000)
    worst = max(differences, key=lambda k: differences[k])
    record(
        "distance_parity",
        "FID, KID and PRDC equal torch-fidelity's, clean-fid's, torchmetrics' and prdc's on the same features",
        "relative ≤ 1e-6",
        f"{differences[worst]:.1e} at most ({worst})",
        differences[worst] <= 1e-6,
        {"differences": differences, "kid_subsets": mean, "n": len(x), "d": x.shape[1]},
        f"Features in float64. In float32, as it makes them, clean-fid's KID is off by {abs(single / kid - 1):.1e}: it "
        "computes in the features' own precision.",
    )


if __name__ == "__main__":
    main()
