"""`evaluate --explain`: the same pictures by each resize, count and reference, and what each number is most like."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from triptych.cli import main
from triptych.core import Data
from triptych.evaluate import explain
from triptych.metrics.features import extractor
from triptych.metrics.features.inception import InceptionV3
from triptych.metrics.features.resize import RESIZES
from triptych.metrics.frechet import frechet_from_features


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(0)
    net = InceptionV3()
    for m in net.modules():
        if isinstance(m, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
    return net.state_dict()


@pytest.fixture
def folders(tmp_path):
    g = np.random.default_rng(0)
    for side, low in (("real", 0), ("fake", 60)):
        (tmp_path / side).mkdir()
        for i in range(12):
            array = g.integers(low, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(array).resize((24, 24)).save(tmp_path / side / f"{i}.png")
    return tmp_path / "real", tmp_path / "fake"


SOME = 32
"""Features that are compared: the distance itself is tested elsewhere."""


def part(inception):
    return replace(inception, net=lambda x: {"features": inception(x)["features"][:, :SOME]})


@pytest.mark.long
def test_each_cell_is_the_distance_by_that_resize_count_and_reference(weights):
    """Written out again with the plain network, whose features are those of the other projects' on these weights."""
    g = torch.Generator().manual_seed(0)
    real, fake = (torch.randint(low, 256, (10, 3, 24, 24), generator=g, dtype=torch.uint8) for low in (0, 60))
    nets = []
    for resize in RESIZES:
        net = InceptionV3(resize)
        net.load_state_dict(weights)
        nets.append(net)
    references = {"train": Data("train", real), "test": Data("test", real[:6])}
    cells = explain.explained(references, Data("fake", fake), [part(extractor.from_net(net, "0" * 12)) for net in nets])
    assert len(cells) == 3 * 2 * 2
    for net in nets:
        x, y = net(real)["features"][:, :SOME], net(fake)["features"][:, :SOME]
        for name, n_real in (("train", 10), ("test", 6)):
            for n in (10, 2):
                (cell,) = [c for c in cells if (c.resize, c.reference, c.n) == (net.resize, name, n)]
                assert cell.n_real == n_real
                assert cell.fid == pytest.approx(frechet_from_features(x[:n_real], y[:n]), rel=1e-3)


def test_the_table(folders, capsys, monkeypatch):
    class Cheap(extractor.Inception):
        def __call__(self, examples):
            return {"features": examples.float().flatten(1)[:, ::97]}

    def load(path, resize, precision, device):
        return Cheap(lambda x: {}, f"cheap-{resize}", resize)

    monkeypatch.setattr(extractor, "find_inception", lambda *a, **k: None)
    monkeypatch.setattr(extractor, "load_inception", load)
    real, fake = map(str, folders)
    assert main(["evaluate", "--real", real, "--fake", fake, "--explain", "--published", "1"]) == 0
    out = capsys.readouterr().out
    for text in ("clean-fid", "pytorch-fid", "torch-bilinear", "nearest to 1 is", "the same pictures:", "a half (6)"):
        assert text in out


def test_most_like():
    assert explain.most_like("clean", 50_000, "train") == "clean-fid"
    assert explain.most_like("clean", 10_000, "test") == "clean-fid (with 50,000 samples, against train)"
    assert explain.most_like("torch-bilinear", 10_000, "test") == "pytorch-fid on 10,000 samples"
    assert explain.most_like("tf1-bilinear", 50_000, "train").startswith("torch-fidelity")


def test_what_cannot_be_explained_is_one_line(folders, capsys, tmp_path):
    real, fake = map(str, folders)
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32))
    vectors = str(tmp_path / "v.npy")
    for argv, said in (
        (["--real", vectors, "--fake", vectors], "the examples are vectors"),
        (["--real", real, "--fake", fake, "--inception", "nowhere.pth"], "which is no file"),
    ):
        assert main(["evaluate", *argv, "--explain"]) == 2
        err = capsys.readouterr().err
        assert said in err
        assert err.splitlines()[-1].startswith("error: ")
