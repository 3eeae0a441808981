"""Files for other programs: every network as ONNX, checked against the model, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import warnings

import numpy as np
import pytest
import torch
from fake_runs import make_run, picture_recipe, toy_recipe
from safetensors.torch import load_file

from triptych.cli import main
from triptych.core import Data, DataSpec, Latent, ModelSpec, Recipe, Train, discover
from triptych.core.columns import Column
from triptych.core.model_spec import ConditionalSpec
from triptych.errors import UserError
from triptych.export import formats, graphs, write_export
from triptych.models import latent_space, second_stage
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows import multiscale
from triptych.models.flows.continuous import ContinuousFlow
from triptych.models.flows.multiscale import Glow
from triptych.models.layers import normal
from triptych.models.layers.bijections import LULinear
from triptych.models.yardsticks import Mean
from triptych.objectives import AE
from triptych.objectives.closed_form import ClosedForm
from triptych.recipes.yardsticks import ONCE
from triptych.trainer import fit

SMALL = {"width": 8, "layers": 2, "steps": 2, "couplings": 1, "blocks": 1, "transforms": 1, "bins": 4, "levels": 2}
SMALL |= {"prior_width": 8, "prior_depth": 1, "groups": 1}
NETWORKS = {name: spec for name, spec in discover("models", ModelSpec).items() if name != "Zuko"}
"""Zuko's flows are another library's: those that cannot be traced say so."""


TRAINED = [name for name, spec in NETWORKS.items() if spec.__module__ != Mean.__module__]
"""Networks that are trained; those fitted in closed form have nothing to export."""


SLOW = {"VelocityUNet", "LatentUNet", "TransformerFlow", "LatentMLP", "NSF"}
"""Networks whose graph PyTorch is tens of seconds over."""


def slow(*values: str, among: set[str]) -> list[object]:
    """Parameters of a test, those `among` them for the long suite."""
    return [pytest.param(v, marks=pytest.mark.long) if v in among else v for v in values]


ROWS = Data(
    "rows",
    torch.zeros(2, 2),
    conditions=torch.tensor([[1.0, 30.0], [2.0, 50.0]]),
    condition_columns=(Column("age", "number"), Column("dose", "number")),
)
"""What models conditioned on numbers know."""


def small(spec: type[ModelSpec], **more) -> Latent:
    """A narrow model of this kind, for the first of these shapes that it makes, away from its plain start."""
    fields = {f.name for f in dataclasses.fields(spec)}
    network = spec(**{k: v for k, v in SMALL.items() if k in fields} | more)
    for shape in ((2,), (1, 16, 16), (3, 32, 32)):
        try:
            model = network.build(shape)
        except UserError:
            continue
        with torch.no_grad():
            for w in model.parameters():
                w.add_(0.05 * torch.randn_like(w))
        assert isinstance(model, Latent)
        return model.eval()
    pytest.fail(f"{spec} makes none of the shapes")


def exported(model: Latent, name: str) -> tuple[bytes, dict]:
    (graph,) = graphs.graphs_of(model, name)
    content = formats.to_onnx(graph).SerializeToString()
    return content, formats.check(graph, formats.run_onnx(content))


@pytest.mark.parametrize("name", slow(*TRAINED, among=SLOW))
def test_every_network_decodes_alike_as_onnx_at_every_batch(name):
    _, checked = exported(small(NETWORKS[name]), "decode")
    assert checked["batches"] == [1, 3, 64]
    assert checked["largest_difference"] <= 1e-4


def test_what_is_fitted_in_closed_form_is_not_exported(tmp_path):
    recipe = Recipe(DataSpec("8gaussians"), Mean(), ClosedForm(), ONCE, "mean")
    run = fit(recipe, 0, tmp_path / "m", "cpu", progress=False)
    with pytest.raises(UserError, match="fitted in closed form; export a network"):
        write_export(run.path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.long
@pytest.mark.parametrize("name", TRAINED)
def test_all_that_every_network_can_do_is_alike_as_onnx(name, capsys):
    model = small(NETWORKS[name])
    for graph in graphs.graphs_of(model):
        if graph.name == "log_prob" and isinstance(model, ContinuousFlow):  # its solver chooses its steps as it goes
            with pytest.raises(formats.NotExportable, match="decides by values"):
                exported(model, graph.name)
            assert capsys.readouterr().err == ""
            continue
        _, checked = exported(model, graph.name)
        assert checked["largest_difference"] <= 1e-4, graph.name


@pytest.mark.long
@pytest.mark.parametrize("more", [{"classes": 3}, {"numbers": 2}], ids=str)
@pytest.mark.parametrize("name", [name for name in TRAINED if issubclass(NETWORKS[name], ConditionalSpec)])
def test_every_network_is_alike_as_onnx_given_classes_or_numbers(name, more):
    model = small(NETWORKS[name], **more)
    if "numbers" in more:
        model.know_classes(ROWS)
    _, checked = exported(model, "decode")
    assert checked["largest_difference"] <= 1e-4


@pytest.mark.long
@pytest.mark.parametrize("preprocess", ["logit", "quantiles"])
def test_image_flows_are_alike_both_ways_whatever_comes_first(preprocess):
    model = small(Glow, preprocess=preprocess)
    for name in ("decode", "encode", "log_prob"):
        _, checked = exported(model, name)
        assert checked["largest_difference"] <= 1e-4, name


def test_a_frozen_batch_is_found():
    class Frozen(graphs.Graph):
        def forward(self, given):
            return super().forward(given.reshape(3, -1))

    frozen = Frozen(small(NETWORKS["MLPGAN"]), "decode")
    with pytest.raises(formats.NotExportable, match="decode cannot be traced"):
        formats.to_onnx(frozen)


def test_another_function_is_found():
    (graph,) = graphs.graphs_of(small(NETWORKS["MLPGAN"]), "decode")
    with pytest.raises(formats.NotExportable, match="differs from the model by"):
        formats.check(graph, lambda z: graph(z) + 0.1)


def test_halved_weights_move_no_pixel_by_a_grey_level():
    model = small(NETWORKS["ConvGAN"])
    (graph,) = graphs.graphs_of(model, "decode")
    whole = formats.to_onnx(graph)
    half = formats.halve(whole).SerializeToString()
    assert len(half) < 0.75 * len(whole.SerializeToString())
    assert formats.check(graph, formats.run_onnx(half))["within_a_grey_level"] >= 0.999


def test_a_frozen_linear_map_inverts_as_the_solves_do():
    layer = LULinear(24)
    with torch.no_grad():
        for w in layer.parameters():
            w.add_(0.1 * torch.randn_like(w))
    z = torch.randn(5, 3, 24)
    before = layer.inverse(z)
    layer.freeze()
    torch.testing.assert_close(layer.inverse(z), before, atol=1e-4, rtol=1e-4)


def test_what_stands_for_functions_that_graphs_lack_is_those_functions(monkeypatch):
    p = torch.cat([torch.linspace(1e-7, 1 - 1e-7, 100_001, dtype=torch.float64), torch.tensor([0.075, 0.925])])
    levels = multiscale.Quantiles(3)
    levels.fit(torch.rand(50, 3, 8, 8) ** 3 * 2 - 1)
    share = torch.rand(7, 4, 4, 3)
    plain = torch.special.ndtri(p), levels._levels(share)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(normal.quantile(p), plain[0], atol=1e-6, rtol=2e-7)
    assert torch.equal(levels._levels(share), plain[1])


def test_a_graph_draws_discrete_codes_one_after_another():
    model = small(NETWORKS["FSQTransformer"], codes=2, levels=3)
    content, checked = exported(model, "codes")
    assert checked["chosen_otherwise"] <= 2
    noise = torch.randn(50, model.latent, generator=torch.Generator().manual_seed(5))
    alike = (formats.run_onnx(content)(noise) == latent_space.draw(model, 50, seed=5)).all(1)
    assert alike.float().mean() > 0.9


def test_another_draw_of_discrete_codes_is_found():
    (graph,) = graphs.graphs_of(small(NETWORKS["FSQTransformer"], codes=2, levels=3), "codes")
    with pytest.raises(formats.NotExportable, match="makes another example of"):
        formats.check(graph, lambda noise: graph(noise.flip(1)))


@pytest.fixture
def digits(tmp_path):
    return make_run(tmp_path / "digits", picture_recipe(), points=2, pictures=False).path


def test_a_run_is_exported_with_what_other_programs_must_know(digits, capsys):
    assert main(["export", str(digits)]) == 0
    folder = digits / "export"
    assert sorted(f.name for f in folder.iterdir()) == ["critic.onnx", "decode.onnx", "export.json"]
    told = json.loads((folder / "export.json").read_text())
    decode = told["parts"]["decode"]
    assert (told["latent"], told["prior"], told["shape"], told["images"]) == (4, "normal", [1, 28, 28], 10_000)
    assert decode["input"] == {"name": "z", "shape": [4], "range": None}
    assert decode["output"] == {"name": "x", "shape": [1, 28, 28], "range": [0, 1]}
    assert decode["largest_difference"] <= 1e-4
    assert (folder / "decode.onnx").stat().st_size == decode["bytes"]
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "decode.onnx", providers=["CPUExecutionProvider"])
    said = session.get_modelmeta().custom_metadata_map
    assert (said["part"], said["latent"], json.loads(said["recipe"])["name"]) == ("decode", "4", "gan-mnist")
    (x,) = session.run(["x"], {"z": np.zeros((5, 4), np.float32)})
    assert x.shape == (5, 1, 28, 28)
    assert 0 <= x.min() <= x.max() <= 1


def test_an_autoencoder_has_a_graph_from_noise_to_samples(tmp_path):
    recipe = Recipe(DataSpec("8gaussians"), MLPAutoencoder(latent=2, variational=False, width=8), AE(), Train(), "ae")
    run = make_run(tmp_path / "ae", recipe, points=2, pictures=False)
    write_export(run.path, tmp_path / "out", part="sample")
    model = run.load()
    noise = torch.randn(6, 2)
    made = formats.run_onnx((tmp_path / "out" / "sample.onnx").read_bytes())(noise)
    torch.testing.assert_close(made, model.decode(model.transport().codes(noise, None)), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("codes", "part"),
    [("gaussian", "sample"), ("mixture", "codes"), pytest.param("flow", "codes", marks=pytest.mark.long)],
)
def test_what_is_fitted_to_codes_is_in_the_graphs_that_take_noise(tmp_path, monkeypatch, codes, part):
    monkeypatch.setattr(second_stage, "STEPS", 20)
    network = MLPAutoencoder(latent=2, variational=False, width=8, codes=codes)
    recipe = Recipe(DataSpec("8gaussians"), network, AE(), Train(images=2560), "ae")
    run = fit(recipe, 0, tmp_path / "ae", "cpu", progress=False)
    model, out = run.load(), tmp_path / "out"
    assert write_export(run.path, out, part=part).notes == ()
    told = json.loads((out / "export.json").read_text())
    assert told["prior"] == "fitted"
    (takes,) = told["parts"][part]["input"]["shape"]
    noise = torch.randn(300, takes, generator=torch.Generator().manual_seed(5))
    made = formats.run_onnx((out / f"{part}.onnx").read_bytes())(noise)
    # a seed's noise is that of the command
    want = model.sample(300, seed=5) if part == "sample" else latent_space.draw(model, 300, seed=5)
    torch.testing.assert_close(made, want, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("codes", slow("gaussian", "mixture", "flow", among={"flow"}))
def test_what_is_fitted_within_classes_is_in_the_graph_of_samples(tmp_path, monkeypatch, codes):
    import onnxruntime

    monkeypatch.setattr(second_stage, "STEPS", 20)
    network = MLPAutoencoder(latent=2, variational=False, width=8, codes=codes, classes=8)
    recipe = Recipe(DataSpec("8gaussians"), network, AE(), Train(images=2560), "ae")
    run = fit(recipe, 0, tmp_path / "ae", "cpu", progress=False)
    assert write_export(run.path, tmp_path / "out", part="sample").notes == ()
    session = onnxruntime.InferenceSession(tmp_path / "out" / "sample.onnx", providers=["CPUExecutionProvider"])
    takes = session.get_inputs()[0].shape[1]
    noise = torch.randn(200, takes, generator=torch.Generator().manual_seed(5))
    model = run.load()
    for k in (1, 6):  # a seed's noise is that of the command
        (made,) = session.run(None, {"noise": noise.numpy(), "y": np.full(200, k)})
        torch.testing.assert_close(torch.from_numpy(made), model.sample(200, seed=5, y=k), atol=1e-4, rtol=1e-4)


def test_numbers_that_a_model_is_given_go_in_and_are_told(tmp_path):
    recipe = Recipe(DataSpec("8gaussians"), MLPAutoencoder(latent=2, width=8, numbers=2), AE(), Train(), "cvae")
    run = make_run(tmp_path / "run", recipe, points=2, pictures=False, given=ROWS)
    assert write_export(run.path, tmp_path / "out", part="decode").notes == ()
    told = json.loads((tmp_path / "out" / "export.json").read_text())
    assert told["given"] == [
        {"name": "age", "range": [1.0, 2.0], "mean": 1.5},
        {"name": "dose", "range": [30.0, 50.0], "mean": 40.0},
    ]
    assert told["parts"]["decode"]["labels"] == {"name": "y", "shape": [2], "range": None}
    z, y = torch.randn(5, 2), torch.tensor([1.2, 44.0]).expand(5, -1)
    made = formats.run_onnx((tmp_path / "out" / "decode.onnx").read_bytes())(z, y)
    torch.testing.assert_close(made, run.load().decode(z, y), atol=1e-5, rtol=1e-5)


def test_categories_and_dates_that_a_model_is_given_are_told(tmp_path):
    columns = (Column("sex", "category", values=("f", "m")), Column("joined", "date", form="%d.%m.%Y"))
    rows = Data(
        "rows",
        torch.zeros(2, 2),
        conditions=torch.tensor([[1.0, 0, 18_661], [0, 1, 18_700]]),
        condition_columns=columns,
    )
    recipe = Recipe(DataSpec("8gaussians"), MLPAutoencoder(latent=2, width=8, numbers=3), AE(), Train(), "cvae")
    run = make_run(tmp_path / "run", recipe, points=2, pictures=False, given=rows)
    write_export(run.path, tmp_path / "out", part="decode")
    told = json.loads((tmp_path / "out" / "export.json").read_text())["given"]
    assert [number.get("category") for number in told] == ["f", "m", None]
    assert {number.get("column") for number in told} == {"sex", None}
    assert told[2]["seconds"] == 86_400


def test_weights_that_float16_would_spoil_stay_whole_and_it_is_said(digits, tmp_path, monkeypatch):
    def spoilt(model):
        half = formats.strip(type(model).FromString(model.SerializeToString()))
        first = half.graph.initializer[0]
        first.raw_data = bytes(len(first.raw_data))
        return half

    monkeypatch.setattr(formats, "halve", spoilt)
    result = write_export(digits, tmp_path / "out", part="decode", precision="fp16")
    assert result.notes == ("decode keeps its weights in float32: in float16 it would be another function",)
    told = json.loads((tmp_path / "out" / "export.json").read_text())
    assert told["parts"]["decode"]["precision"] == "fp32"
    assert told["parts"]["decode"]["largest_difference"] <= 1e-4


def test_weights_and_pytorchs_programs_are_written_too(digits, tmp_path):
    write_export(digits, tmp_path / "w", format="safetensors", precision="fp16")
    state = load_file(tmp_path / "w" / "model.safetensors")
    assert {v.dtype for v in state.values() if v.is_floating_point()} == {torch.float16}
    write_export(digits, tmp_path / "p", format="torch-export", part="decode")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.export.load(tmp_path / "p" / "decode.pt2").module()
    assert module(torch.zeros(5, 4)).shape == (5, 1, 28, 28)


def test_what_cannot_be_exported_is_one_line(digits, tmp_path, capsys, monkeypatch):
    def refused(*words):
        assert main(["export", *map(str, words)]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        return line

    assert "it has decode, critic" in refused(digits, "--part", "encode")
    assert "leave it out" in refused(digits, "--format", "torch-export", "--precision", "fp16")
    assert "leave --part out" in refused(digits, "--format", "safetensors", "--part", "decode")
    assert "is not a run" in refused(tmp_path)
    (tmp_path / "file").write_text("mine")
    assert "is a file" in refused(digits, "--out", tmp_path / "file")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'triptych[onnx]'" in refused(digits)
    assert not (digits / "export").exists()


def test_a_part_that_cannot_be_written_is_left_out_and_named(tmp_path, monkeypatch):
    run = make_run(tmp_path / "toy", toy_recipe(), points=2, pictures=False)
    real = formats.to_onnx

    def fails(graph):
        if graph.name == "critic":
            raise formats.NotExportable("critic has no ONNX form (no such thing)")
        return real(graph)

    monkeypatch.setattr(formats, "to_onnx", fails)
    result = write_export(run.path, tmp_path / "out")
    assert result.notes == ("left out: critic has no ONNX form (no such thing)",)
    assert json.loads((tmp_path / "out" / "export.json").read_text())["left_out"] == list(result.notes)
