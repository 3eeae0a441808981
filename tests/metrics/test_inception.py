"""The Inception-v3 of the FID paper, against other people's code with the same weights, and its resizes."""

import functools

import numpy as np
import pytest
import torch
from PIL import Image

from triptych.errors import UserError
from triptych.metrics.features import extractor
from triptych.metrics.features.inception import AT_ONCE, InceptionV3, max_pool
from triptych.metrics.features.resize import RESIZES, resized
from triptych.system.processor import AVX2


@pytest.fixture(scope="module")
def net():
    """Random weights that keep activations alive, with batch statistics that matter."""
    torch.manual_seed(0)
    net = InceptionV3()
    for m in net.modules():
        if isinstance(m, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
        if isinstance(m, torch.nn.BatchNorm2d):
            m.weight.uniform_(0.8, 1.2)
            m.bias.normal_(0, 0.1)
            m.running_mean.normal_(0, 0.1)
            m.running_var.uniform_(0.8, 1.2)
    return net


@pytest.fixture(scope="module")
def images():
    g = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 3, 32, 32), generator=g, dtype=torch.uint8)


def relative(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def test_shapes_and_grey(net, images):
    out = net(images)
    assert {k: tuple(v.shape) for k, v in out.items()} == {
        "features": (2, 2048),
        "logits": (2, 1008),
        "logits_unbiased": (2, 1008),
        "spatial": (2, 2023),
    }
    grey = images[:, :1]
    assert torch.equal(net(grey)["features"], net(grey.expand(-1, 3, -1, -1))["features"])
    assert relative(net(images.float() / 255)["features"], out["features"]) < 1e-5
    assert not net.training


def test_fast_path_is_exact(net, images):
    out, fast = net(images), net.optimised()(images)
    for k, v in out.items():
        assert relative(fast[k], v) < 2e-6, k


def test_bf16_is_close(net, images):
    assert 0 < relative(net.optimised(torch.bfloat16)(images)["features"], net(images)["features"]) < 0.05


def test_state_dict_has_the_published_layout(net):
    state = net.state_dict()
    assert len([k for k in state if not k.endswith("num_batches_tracked")]) == 94 * 5 + 2
    assert state["Mixed_6b.branch7x7dbl_5.bn.running_var"].shape == (192,)
    assert state["fc.weight"].shape == (1008, 2048)
    # the published count for 1000 classes without the auxiliary head, and eight classes more
    assert sum(p.numel() for p in net.parameters()) == 23_834_568 + 8 * 2049


@pytest.mark.parametrize("bad", [torch.full((1, 3, 8, 8), 2.0), torch.full((1, 3, 8, 8), torch.nan)])
def test_floats_outside_the_unit_interval_are_refused(net, bad):
    with pytest.raises(UserError, match=r"\[0, 1\]"):
        net(bad)
    with pytest.raises(UserError, match="1 or 3"):
        net(torch.zeros(1, 2, 8, 8, dtype=torch.uint8))


@functools.cache
def stand_in_operators():
    """torchvision's wheel may lack its operators beside a CPU torch: define the two that its import asks for, once."""
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def torch_fidelity():
    """torch-fidelity imports torchvision."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError, OSError):
        stand_in_operators()
    try:
        from torch_fidelity import feature_extractor_inceptionv3 as module
        from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x as resize
    except (ImportError, RuntimeError, OSError) as e:
        pytest.skip(f"torch-fidelity cannot be imported here: {e}")
    return module, resize


@pytest.mark.filterwarnings("ignore")
def test_features_equal_torch_fidelity(net, images, tmp_path):
    module, resize = torch_fidelity()
    file = tmp_path / "weights.pth"
    torch.save(net.state_dict(), file)
    theirs = module.FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased", "logits"], feature_extractor_weights_path=str(file)
    ).eval()
    ours = InceptionV3("tf1-bilinear")
    ours.load_state_dict(theirs.state_dict())
    want, got = theirs(images), ours(images)
    for a, b in zip(("features", "logits_unbiased", "logits"), want, strict=True):
        assert relative(got[a], b) < 1e-5
    big = torch.randint(0, 256, (1, 3, 400, 350)).float()
    for x in (images.float(), big):
        assert (RESIZES["tf1-bilinear"](x, 299) - resize(x, (299, 299), align_corners=False)).abs().max() < 1e-3


@pytest.mark.filterwarnings("ignore")
def test_features_equal_clean_fids_pytorch_net(net, images, monkeypatch):
    torch_fidelity()
    try:
        from cleanfid import inception_pytorch as module
    except (ImportError, RuntimeError, OSError) as e:
        pytest.skip(f"clean-fid cannot be imported here: {e}")
    monkeypatch.setattr(module, "load_state_dict_from_url", lambda *a, **k: net.state_dict())
    theirs = module.InceptionV3([3], resize_input=False).eval()
    ours = InceptionV3("torch-bilinear")
    ours.load_state_dict(net.state_dict())
    want = theirs(RESIZES["torch-bilinear"](images.float(), 299) / 255)[0].flatten(1)
    assert relative(ours(images)["features"], want) < 1e-5


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (512, 512), (20, 45)])
def test_clean_resize_is_pillows(size):
    x = np.random.default_rng(0).integers(0, 256, (1, *size)).astype(np.float32)
    want = np.asarray(Image.fromarray(x[0]).resize((299, 299), Image.Resampling.BICUBIC)).clip(0, 255)
    got = RESIZES["clean"](torch.from_numpy(x)[None], 299)[0, 0].numpy()
    assert np.abs(got - want).max() < 3e-3


@pytest.mark.parametrize("name", RESIZES)
@pytest.mark.parametrize("size", [(32, 32), (64, 28), (128, 100), (7, 9)])
def test_resizing_by_matrices_changes_nothing(name, size):
    x = torch.randint(0, 256, (2, 3, *size)).float()
    assert (resized(name, x, 299) - RESIZES[name](x, 299)).abs().max() < 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("size", [147, 71, 8, 3])
def test_pooling_by_slices_is_max_pooling(size, dtype):
    x = torch.randn(2, 5, size, size, dtype=dtype).relu()
    x[0, 0, 0, 0] = torch.inf
    for layout in (torch.contiguous_format, torch.channels_last):
        y = x.contiguous(memory_format=layout)
        assert torch.equal(max_pool(y), torch.nn.functional.max_pool2d(x, 3, 2))


def test_many_images_are_taken_in_parts(net):
    x = torch.randint(0, 256, (AT_ONCE + 3, 1, 9, 9), dtype=torch.uint8)
    fast = net.optimised()
    whole, parts = fast(x), [fast(x[:AT_ONCE]), fast(x[AT_ONCE:])]
    for k, v in whole.items():
        assert torch.equal(v, torch.cat([part[k] for part in parts])), k


def test_bfloat16_that_is_emulated_is_refused_before_anything_is_read(monkeypatch, tmp_path):
    monkeypatch.setattr(extractor, "arithmetic", lambda device: AVX2)
    with pytest.raises(UserError, match="bfloat16 is only emulated here"):
        extractor.load_inception(tmp_path / "weights.pth", precision="bf16")
