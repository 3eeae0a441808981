"""`evaluate --fake model.onnx`: anybody's generator, with nothing guessed about it."""

import json

import numpy as np
import pytest
from fake_runs import make_run, toy_recipe

from triptych.cli import main
from triptych.data import load

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def foreign(path, *, latent=4, batch="n", low=-1.0, high=1.0, op="Tanh", outputs=(1, 8, 8)):
    """A generator of pictures as strangers export them: no word on noise or range."""
    size = int(np.prod(outputs))
    weight = np.random.default_rng(0).normal(size=(latent, size)).astype(np.float32)
    middle, half = (low + high) / 2, (high - low) / 2
    constants = {"w": weight, "shape": np.array([-1, *outputs]), "half": np.float32(half), "middle": np.float32(middle)}
    nodes = [
        helper.make_node("MatMul", ["noise", "w"], ["a"]),
        helper.make_node(op, ["a"], ["b"]),
        helper.make_node("Mul", ["b", "half"], ["c"]),
        helper.make_node("Add", ["c", "middle"], ["d"]),
        helper.make_node("Reshape", ["d", "shape"], ["picture"]),
    ]
    graph = helper.make_graph(
        nodes,
        "generator",
        [helper.make_tensor_value_info("noise", TensorProto.FLOAT, [batch, latent])],
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [batch, *outputs])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    opset = [helper.make_opsetid("", 20)]
    path.write_bytes(helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString())
    return path


@pytest.fixture
def pictures(tmp_path):
    np.save(tmp_path / "real.npy", np.random.default_rng(1).integers(0, 256, (60, 8, 8), dtype=np.uint8))
    return tmp_path / "real.npy"


def evaluated(capsys, *words):
    status = main(["evaluate", *map(str, words)])
    return status, capsys.readouterr().err


def test_our_own_file_says_all_that_is_needed(tmp_path, capsys):
    run = make_run(tmp_path / "toy", toy_recipe(), points=2, pictures=False)
    assert main(["export", str(run.path), "--part", "decode"]) == 0
    words = ("--real", "25gaussians", "--fake", run.path / "export" / "decode.onnx", "-n", 300)
    assert evaluated(capsys, *words, "--out", tmp_path / "eval.json")[0] == 0
    numbers = json.loads((tmp_path / "eval.json").read_text())
    assert numbers["high_quality"]["n"] == 300
    from triptych.metrics import mode_coverage

    data = load("25gaussians")
    own = mode_coverage(run.load().sample(300, seed=0), data.modes, data.std)
    assert numbers["high_quality"]["value"] == pytest.approx(own["high_quality"], abs=1e-6)


@pytest.mark.parametrize("header", ["height,weight", "height,weight,sex"], ids=["plain", "typed"])
def test_our_file_says_what_columns_its_vectors_stand_for(tmp_path, capsys, header):
    """Counted from an origin, or scaled: as plain numbers they would be compared with metres."""
    rng = np.random.default_rng(0)
    rows = [(f"{a:.2f}", f"{b:.1f}", "fm"[i % 2]) for i, (a, b) in enumerate(rng.normal((4e9, 70), (9, 5), (200, 2)))]
    columns = header.split(",")
    (tmp_path / "t.csv").write_text("\n".join([header, *(",".join(row[: len(columns)]) for row in rows)]) + "\n")
    turned = [",".join(reversed(row[: len(columns)])) for row in rows]
    (tmp_path / "turned.csv").write_text("\n".join([",".join(reversed(columns)), *turned]) + "\n")
    few = ["--train.images", "64", "--model.width", "8", "--model.layers", "2"]
    words = ["train", "realnvp-8gaussians", "--data", str(tmp_path / "t.csv"), *few, "--out", str(tmp_path / "run")]
    assert main(words) == 0
    assert main(["export", str(tmp_path / "run"), "--part", "decode", "--out", str(tmp_path / "ex")]) == 0
    own, by_file = tmp_path / "own.json", tmp_path / "file.json"
    assert main(["evaluate", str(tmp_path / "run"), "-n", "200", "--out", str(own)]) == 0
    capsys.readouterr()
    fake = ("--fake", tmp_path / "ex" / "decode.onnx")
    status, said = evaluated(capsys, "--real", tmp_path / "turned.csv", *fake, "-n", 200, "--out", by_file)
    assert status == 0, said
    a, b = (json.loads(file.read_text())["c2st"]["value"] for file in (own, by_file))
    assert abs(a - b) < 0.25  # other samples; of another origin all would be told apart


def test_a_strangers_generator_is_judged_once_noise_and_range_are_declared(tmp_path, pictures, capsys):
    file = foreign(tmp_path / "g.onnx")
    words = ("--real", pictures, "--fake", file, "-n", 40, "--prior", "uniform", "--output", -1, 1)
    status, err = evaluated(capsys, *words, "--out", tmp_path / "eval.json")
    assert status == 0, err
    assert all(
        v["n"] == 40 for v in json.loads((tmp_path / "eval.json").read_text()).values() if v["value"] is not None
    )


def test_nothing_is_guessed(tmp_path, pictures, capsys):
    def refused(file, *words):
        status, err = evaluated(capsys, "--real", pictures, "--fake", file, "-n", 20, *words)
        assert status == 2
        (line,) = err.strip().splitlines()
        assert line.startswith("error: ")
        return line

    file = foreign(tmp_path / "g.onnx")
    assert "give --prior normal or --prior uniform" in refused(file)
    assert "give --output LOW HIGH" in refused(file, "--prior", "normal")
    assert "beyond 0 to 1" in refused(file, "--prior", "normal", "--output", 0, 1)
    assert "4 latent dimensions, not 5" in refused(file, "--prior", "normal", "--latent", 5)
    assert "is no range" in refused(file, "--prior", "normal", "--output", 1, 1)
    frozen = foreign(tmp_path / "frozen.onnx", batch=16)
    assert "frozen batch of 16" in refused(frozen, "--prior", "normal")
    odd = foreign(tmp_path / "odd.onnx", outputs=(5, 3))
    assert "neither images" in refused(odd, "--prior", "normal", "--output", -1, 1)
    unknown = foreign(tmp_path / "unknown.onnx", op="Frobnicate")
    assert "no ONNX model that can be run" in refused(unknown, "--prior", "normal")
    model = onnx.load(foreign(tmp_path / "elsewhere.onnx"))
    onnx.save(model, tmp_path / "elsewhere.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    assert "its weights are in other files" in refused(tmp_path / "elsewhere.onnx", "--prior", "normal")
    helper.set_model_props(model := onnx.load(file), {"triptych": "0.2", "part": "codes"})
    onnx.save(model, tmp_path / "codes.onnx")
    assert "is the codes of a model and makes no samples" in refused(tmp_path / "codes.onnx", "--prior", "normal")
    (tmp_path / "text.onnx").write_text("not a model")
    assert "no ONNX model that can be run" in refused(tmp_path / "text.onnx")
    assert "does not exist" in refused(tmp_path / "gone.onnx")
    assert "give --fake FILE.onnx" in refused(pictures, "--prior", "normal")
