"""Extractors of one's own: what they declare is what the network is given, and a wrong one is refused in one line."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from triptych.cli import main
from triptych.errors import UserError
from triptych.metrics.features import dinov2, foreign

IMAGES = torch.randint(0, 256, (3, 3, 20, 20), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
MODULE = """
import torch
from torch import nn


class Net(nn.Module):
    size, range, mean, std = 8, (-1, 1), (0.1, 0.2, 0.3), (0.5, 0.5, 2.0)

    def __init__(self):
        super().__init__()
        self.seen = []
        self.head = nn.Linear(192, 5)
        nn.init.constant_(self.head.weight, WEIGHT)

    def forward(self, x):
        self.seen.append(x)
        return self.head(x.flatten(1))


net = Net()
undeclared = nn.Linear(1, 1)
number = 3
"""


def write_module(path, weight=0.5):
    path.write_text(MODULE.replace("WEIGHT", str(weight)))
    return path


def write_onnx(path, told=None, side=8, channels=3):
    import onnx
    from onnx import TensorProto, helper

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", channels, side, side])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    nodes = [helper.make_node("GlobalAveragePool", ["x"], ["p"]), helper.make_node("Flatten", ["p"], ["y"])]
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    helper.set_model_props(model, {k: json.dumps(v) for k, v in (told or {}).items()})
    onnx.save(model, path)
    return path


def test_a_python_network_is_given_what_it_declares(tmp_path):
    extractor = foreign.load(f"{write_module(tmp_path / 'mine.py')}:net")
    found = extractor(IMAGES)["features"]
    seen = extractor.input(IMAGES)
    assert found.shape == (3, 5)
    assert (extractor.resize, extractor.name("frechet")) == ("clean-8", "frechet_net")
    whole = torch.full((1, 3, 20, 20), 255, dtype=torch.uint8)
    top = extractor.input(whole)[0, :, 0, 0]
    assert torch.allclose(top, (1 - torch.tensor([0.1, 0.2, 0.3])) / torch.tensor([0.5, 0.5, 2.0]))
    assert seen.shape == (3, 3, 8, 8)
    assert torch.equal(extractor.input(IMAGES[:, :1])[:, 1], extractor.input(IMAGES[:, :1].expand(-1, 3, -1, -1))[:, 1])


def test_the_id_changes_with_the_weights(tmp_path):
    a = foreign.load(f"{write_module(tmp_path / 'a.py')}:net")
    b = foreign.load(f"{write_module(tmp_path / 'b.py', 0.25)}:net")
    assert a.id.split(":")[0] == b.id.split(":")[0] == "net"
    assert a.id != b.id


def test_an_onnx_file_declares_in_itself_or_beside_it(tmp_path):
    pytest.importorskip("onnxruntime")
    inside = foreign.load(str(write_onnx(tmp_path / "a.onnx", {"size": 8, "range": [0, 1]})))
    write_onnx(tmp_path / "b.onnx")
    (tmp_path / "b.onnx.json").write_text(json.dumps({"size": 8, "range": [0, 1]}))
    beside = foreign.load(str(tmp_path / "b.onnx"))
    wanted = inside.input(IMAGES).mean((2, 3))
    for extractor in (inside, beside):
        assert torch.allclose(extractor(IMAGES)["features"], wanted, atol=1e-6)
    (tmp_path / "b.onnx.json").write_text(json.dumps({"size": 8, "range": [0, 255]}))
    assert foreign.load(str(tmp_path / "b.onnx")).id != beside.id


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda p: write_onnx(p / "x.onnx"), "does not declare its size and its range"),
        (lambda p: write_onnx(p / "x.onnx", {"size": 8}), "does not declare its range"),
        (lambda p: write_onnx(p / "x.onnx", {"size": 16, "range": [0, 1]}), "declares size 16; an extractor takes one"),
        (lambda p: write_onnx(p / "x.onnx", {"size": 8, "range": [1, 0]}), "a range that rises"),
        (lambda p: write_onnx(p / "x.onnx", {"size": 8, "range": 3}), "declares its input wrongly"),
        (lambda p: write_onnx(p / "x.onnx", {"size": 8, "range": [0, 1]}, channels=1), "an extractor takes one float"),
        (lambda p: (p / "x.onnx").write_bytes(b"no graph") and p / "x.onnx", "is no ONNX graph"),
        (lambda p: p / "absent.onnx", "is no file"),
        (lambda p: f"{write_module(p / 'm.py')}:undeclared", "does not declare its size"),
        (lambda p: f"{write_module(p / 'm.py')}:number", "has no number that can be called"),
        (lambda p: p / "absent.py", "is no extractor"),
        (lambda p: "dinov2:nowhere.pth", "is no file"),
    ],
)
def test_what_is_not_declared_or_does_not_fit_is_refused(made, told, tmp_path):
    pytest.importorskip("onnxruntime")
    with pytest.raises(UserError) as e:
        foreign.load(str(made(tmp_path)))
    assert told in str(e.value)
    assert "; " in str(e.value)


def test_evaluate_with_features_of_ones_own(tmp_path, capsys, monkeypatch):
    write_module(tmp_path / "mine.py")
    g = np.random.default_rng(0)
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
        for i in range(24):
            Image.fromarray(g.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(tmp_path / side / f"{i}.png")
    argv = ["evaluate", "--real", str(tmp_path / "a"), "--fake", str(tmp_path / "b"), "--resolution", "16"]
    argv += ["--out", str(tmp_path / "o.json")]
    assert main([*argv, "--extractor", f"{tmp_path / 'mine.py'}:net"]) == 0
    found = json.loads((tmp_path / "o.json").read_text())["frechet_net"]
    assert found["extractor"].startswith("net:")
    assert found["resize"] == "clean-8"
    assert found["floor"] is not None
    capsys.readouterr()
    text = MODULE.replace("WEIGHT", "1").replace("8, (-1", "9, (-1")
    (tmp_path / "wrong.py").write_text(text)
    assert main([*argv, "--extractor", f"{tmp_path / 'wrong.py'}:net"]) == 2
    err = capsys.readouterr().err
    assert "cannot take pictures of (3, 16, 16) as it declares" in err.splitlines()[-1]


def test_dinov2_is_the_transformer_that_torch_has(tmp_path):
    """With all scales at 1 a block is torch's own encoder layer, normalised first, with GELU."""
    torch.manual_seed(0)
    net = dinov2.DINOv2(384, 2, 6, 1 + 16 * 16)
    for p in net.parameters():
        nn.init.normal_(p, std=0.05)
    for block in net.blocks:
        nn.init.ones_(block.ls1.gamma)
        nn.init.ones_(block.ls2.gamma)
    torch.save(net.state_dict(), tmp_path / "dinov2_vits14_pretrain.pth")
    extractor = foreign.load(f"dinov2:{tmp_path / 'dinov2_vits14_pretrain.pth'}")
    x = extractor.input(IMAGES)
    assert x.shape == (3, 3, 224, 224)
    tokens = torch.cat([net.cls_token.expand(3, -1, -1), net.patch_embed(x)], 1) + net.pos_embed
    for block in net.blocks:
        layer = nn.TransformerEncoderLayer(384, 6, 1536, 0.0, "gelu", 1e-6, batch_first=True, norm_first=True)
        own = {
            "self_attn.in_proj_weight": block.attn.qkv.weight,
            "self_attn.in_proj_bias": block.attn.qkv.bias,
            "self_attn.out_proj.weight": block.attn.proj.weight,
            "self_attn.out_proj.bias": block.attn.proj.bias,
            "linear1.weight": block.mlp.fc1.weight,
            "linear1.bias": block.mlp.fc1.bias,
            "linear2.weight": block.mlp.fc2.weight,
            "linear2.bias": block.mlp.fc2.bias,
            **{f"{n}.{k}": getattr(getattr(block, n), k) for n in ("norm1", "norm2") for k in ("weight", "bias")},
        }
        layer.load_state_dict(own)
        tokens = layer.eval()(tokens)
    wanted = net.norm(tokens)[:, 0]
    assert torch.allclose(extractor(IMAGES)["features"], wanted, atol=1e-4)
    assert extractor.id.startswith("dinov2:")
    assert net.positions(8, 8).shape == (1, 65, 384)
