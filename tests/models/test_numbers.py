"""Models conditioned on numbers: densities given them, what they change, and a run that learns a known table."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from triptych.cli import main
from triptych.core import Conditional, Data, DataSpec, Recipe, Train
from triptych.core.columns import Column, Columns
from triptych.core.conditions import from_names, names_of
from triptych.core.model_spec import ConditionalSpec
from triptych.data import load, load_spec
from triptych.errors import UserError
from triptych.explore.codes import write_reconstructions
from triptych.explore.samples import write_samples
from triptych.models.autoencoders import ConvAutoencoder, MLPAutoencoder
from triptych.models.flows.autoregressive import MAF
from triptych.models.flows.continuous import choose_guidance
from triptych.models.flows.coupling import NSF, RealNVP
from triptych.models.flows.multiscale import Glow
from triptych.models.flows.velocity import VelocityMLP, VelocityUNet
from triptych.models.gans.mlp import MLPGAN
from triptych.models.gans.small_conv import ConvGAN
from triptych.objectives.autoencoder import VAE
from triptych.objectives.flow import NLL
from triptych.objectives.flow_matching import FlowMatching
from triptych.objectives.gan import GAN
from triptych.run import data as run_data
from triptych.run.folder import Run
from triptych.trainer.classes import told, with_classes
from triptych.trainer.loop import fit, resume

FLOWS: dict[str, tuple[ConditionalSpec, tuple[int, ...]]] = {
    "affine": (RealNVP(layers=3, width=16, numbers=2), (2,)),
    "spline": (NSF(layers=2, width=16, bins=6, numbers=2), (2,)),
    "autoregressive": (MAF(layers=2, width=16, numbers=2), (1,)),
    "continuous": (VelocityMLP(width=16, octaves=1, numbers=2, solver="dopri5"), (1,)),
}
OTHERS: dict[str, tuple[ConditionalSpec, tuple[int, ...]]] = {
    "gan": (MLPGAN(width=16, numbers=2), (2,)),
    "vae": (MLPAutoencoder(width=16, numbers=2), (2,)),
    "one pass": (VelocityMLP(width=16, octaves=1, numbers=2, one_pass=True), (2,)),
    "gan 28": (ConvGAN(latent=8, width=4, numbers=2), (1, 8, 8)),
    "conv vae": (ConvAutoencoder(latent=4, width=4, numbers=2), (1, 16, 16)),
    "glow": (Glow(width=4, levels=1, steps=1, numbers=2), (1, 8, 8)),
    "unet": (VelocityUNet(width=4, numbers=2, steps=2), (1, 8, 8)),
}
C = torch.tensor([[10.0, 300.0], [12.0, 500.0], [14.0, 100.0], [16.0, 900.0]])
ROWS = Data(
    "rows", torch.zeros(4, 2), conditions=C, condition_columns=(Column("age", "number"), Column("dose", "number"))
)


def made(spec: ConditionalSpec, shape: tuple[int, ...]) -> Any:
    """The model with every weight away from where it starts, so that no layer is the identity."""
    torch.manual_seed(0)
    model = spec.build(shape)
    assert isinstance(model, Conditional)
    model.know_classes(ROWS)
    with torch.no_grad():
        for w in model.parameters():
            w += 0.05 * torch.randn_like(w)
    return model.eval()


@pytest.mark.parametrize("name", FLOWS)
def test_the_density_given_any_numbers_integrates_to_1(name: str) -> None:
    model = made(*FLOWS[name])
    line = torch.linspace(-9, 9, 721)
    x = torch.cartesian_prod(line, line) if model.shape == (2,) else line[:, None]
    found = []
    for c in C[:3]:
        with torch.no_grad():
            found.append(torch.cat([model.log_prob(part, y=c) for part in x.split(20_000)]).double())
        width = (line[1] - line[0]).item() ** model.shape[0]
        assert found[-1].exp().sum().item() * width == pytest.approx(1, abs=4e-3)
    assert not torch.allclose(found[0], found[1], atol=1e-2)
    with pytest.raises(UserError, match="a density given age, dose; say which"):
        model.log_prob(x[:4])


@pytest.mark.parametrize("name", [*FLOWS, *OTHERS])
def test_numbers_change_samples_and_only_their_own(name: str) -> None:
    model = made(*{**FLOWS, **OTHERS}[name])
    y = C.clone()
    with torch.no_grad():
        a = model.sample(4, seed=1, y=y)
        y[2, 1] = 700.0
        b = model.sample(4, seed=1, y=y)
    changed = [not torch.allclose(i, j, atol=1e-6) for i, j in zip(a, b, strict=True)]
    assert changed == [False, False, True, False]
    with torch.no_grad():
        assert torch.allclose(model.sample(3, seed=1, y=C[0]), model.sample(3, seed=1, y=C[:1].expand(3, 2)))
        assert torch.equal(model.sample(3, seed=1), model.sample(3, seed=1, y=model.labels(None, 3, 1)))
    rows = {tuple(row) for row in model.labels(None, 200, 0).tolist()}
    assert rows == {tuple(row) for row in C.tolist()}, "what is drawn are rows of the training data"


def test_guidance_by_numbers() -> None:
    model = made(VelocityMLP(width=16, octaves=1, numbers=2), (2,))
    z = torch.randn(4, 2)

    def at(weight: float, y: torch.Tensor) -> torch.Tensor:
        choose_guidance(model, weight)
        with torch.no_grad():
            return model.decode(z, y=y)

    assert torch.allclose(at(0.0, C), at(0.0, C.flip(0)), atol=1e-5), "weight 0 is no numbers"
    assert not torch.allclose(at(2.0, C), at(1.0, C), atol=1e-4)


@pytest.mark.parametrize(
    "y",
    [3, "robin", C[:3], torch.zeros(3), [1.0], torch.tensor([math.nan, 1.0]), torch.tensor([True, False]), ["a", "b"]],
)
def test_what_is_no_row_of_numbers(y: Any) -> None:
    with pytest.raises(UserError, match=r"age, dose"):
        made(MLPGAN(width=8, numbers=2), (2,)).sample(4, y=y)


# ----------------------------------------------------------------------------------------------- data


def test_a_column_becomes_a_condition() -> None:
    data = Data(
        "t", torch.arange(12.0).view(4, 3), columns=("a", "b", "c"), origin=(0.0, 100.0, 0.0), fingerprint="f" * 16
    )
    found = data.conditioned_on(("b",))
    assert found.x.tolist() == data.x[:, [0, 2]].tolist()
    assert found.columns == ("a", "c")
    assert found.origin == (0.0, 0.0)
    assert found.conditions is not None
    assert found.conditions.tolist() == [[101.0], [104.0], [107.0], [110.0]]
    assert names_of(found.condition_columns) == ("b",)
    assert found.fingerprint != data.fingerprint
    assert data.conditioned_on(()) is data
    for names, said in (
        (("d",), "has no column or known factor 'd'"),
        (("a", "a"), "has a twice"),
        (("a", "b", "c"), "takes every column"),
    ):
        with pytest.raises(UserError, match=said):
            data.conditioned_on(names)


def test_a_typed_column_becomes_a_condition() -> None:
    columns = Columns(
        (
            Column("age", "number", centre=40.0, scale=10.0, decimals=0),
            Column("kind", "category", values=("a", "b", "c")),
        )
    )

    x = columns.encode([np.array([30.0, 50.0]), np.array([2.0, 0.0])])
    data = Data("t", x, typed=columns, columns=columns.places)
    by_age, by_kind = data.conditioned_on(("age",)), data.conditioned_on(("kind",))
    assert by_age.conditions is not None
    assert by_kind.conditions is not None
    assert by_age.conditions.tolist() == [[30.0], [50.0]]
    assert by_age.typed is not None
    assert by_age.typed.names == ("kind",)
    assert by_age.columns == by_age.typed.places
    assert names_of(by_kind.condition_columns) == ("kind=a", "kind=b", "kind=c")
    assert by_kind.conditions.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert by_kind.x.shape == (2, 1)


def test_a_known_factor_becomes_a_condition() -> None:
    pictures = Data("p", torch.zeros(3, 1, 4, 4).byte(), factors={"turn": torch.tensor([0.0, 1.0, 2.0])})
    found = pictures.conditioned_on(("turn",))
    assert found.x is pictures.x
    assert found.conditions is not None
    assert found.conditions.tolist() == [[0.0], [1.0], [2.0]]
    with pytest.raises(UserError, match="turn"):
        pictures.conditioned_on(("turm",))


def test_what_a_training_says_of_numbers() -> None:
    recipe = Recipe(DataSpec("swissroll", given=("x",)), MAF(width=8), NLL(), Train())
    data = load_spec(recipe.data)
    assert data.shape == (1,)
    assert with_classes(recipe, data).model == replace(recipe.model, numbers=1)  # type: ignore[type-var]
    with pytest.raises(UserError, match=r"add --model\.classes 0"):
        with_classes(replace(recipe, model=MAF(classes=3)), data)
    with pytest.raises(UserError, match="say which columns or factors"):
        with_classes(replace(recipe, model=MAF(numbers=1)), load("swissroll"))
    with pytest.raises(UserError, match="on classes or on numbers"):
        MAF(classes=2, numbers=1)


# ----------------------------------------------------------------------------------------------- runs


def table(path: Path, n: int = 4_000) -> Path:
    """y = 3 − 2 dose + ε/2 with dose uniform on 100 to 102, age beside them."""
    g = torch.Generator().manual_seed(0)
    dose, age = 100 + 2 * torch.rand(n, generator=g), 20 + 5 * torch.randn(n, generator=g)
    y = 3 - 2 * (dose - 100) + 0.5 * torch.randn(n, generator=g)
    rows = torch.stack([y, dose, age], 1).tolist()
    path.write_text("y,dose,age\n" + "\n".join(",".join(f"{v:.5f}" for v in row) for row in rows) + "\n")
    return path


SHORT = Train(images=25_600, batch=128, lr=5e-3, checkpoint=12_800, evaluate=25_600, sample=25_600, log=25_600)


def test_the_conditional_mean_of_a_known_table_is_learned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """E[y | dose] = 3 − 2 (dose − 100): of 2,000 samples within 0.12 of it, five standard errors of the mean and as
    much again for what 200 steps leave."""
    spec = DataSpec(str(table(tmp_path / "t.csv")), holdout=0.2, given=("dose",))
    run = fit(Recipe(spec, MAF(layers=3, width=16), NLL(), SHORT, name="t"), 0, tmp_path / "run", "cpu", progress=False)
    model = run.load(device="cpu")
    assert isinstance(model, Conditional)
    assert model.number_names == ("dose",)
    for dose in (100.3, 101.0, 101.7):
        y = model.sample(2_000, seed=0, y=torch.tensor([dose]))[:, 0]
        assert y.mean().item() == pytest.approx(3 - 2 * (dose - 100), abs=0.12)
    file = tmp_path / "s.csv"
    assert main(["sample", str(run.path), "-n", "5", "--given", "dose=101", "--out", str(file)]) == 0
    lines = file.read_text().splitlines()
    assert lines[0] == "y,age,dose"
    assert {line.split(",")[2] for line in lines[1:]} == {"101"}
    capsys.readouterr()
    for words, said in (
        (["dose"], "--given dose has no value"),
        (["does=1"], "not conditioned on 'does'"),
        (["dose=much"], "'much' is not a finite number"),
        (["dose=inf"], "'inf' is not a finite number"),
        (["dose="], "'' is not a finite number"),
        (["dose=1", "dose"], "--given dose has no value"),
    ):
        assert main(["sample", str(run.path), "--given", *words]) == 2
        assert said in capsys.readouterr().err
    assert main(["evaluate", str(run.path), "-n", "500", "--device", "cpu"]) == 0
    values = json.loads((run.path / "eval.json").read_text())
    entropy_y = 0.5 * math.log(2 * math.pi * math.e * 0.25)
    entropy_age = 0.5 * math.log(2 * math.pi * math.e * 25)
    assert values["nll"]["value"] == pytest.approx(entropy_y + entropy_age, abs=0.15)


def test_rows_say_what_they_were_made_to(tmp_path: Path) -> None:
    """Drawn conditions would be lost otherwise: which row was made to which, nobody could tell."""
    rng = np.random.default_rng(0)
    dose, sex = rng.uniform(0, 1, 64).round(2), rng.choice(["f", "m"], 64)
    lines = [f"{d},{s},{d + rng.normal():.3f},{rng.normal():.3f}" for d, s in zip(dose, sex, strict=True)]
    file = tmp_path / "t.csv"
    file.write_text("dose,sex,x,y\n" + "\n".join(lines) + "\n")
    recipe = Recipe(DataSpec(str(file), given=("dose", "sex")), RealNVP(layers=2, width=8), NLL(), Train(images=64))
    run = fit(replace(recipe, name="t"), 0, tmp_path / "run", "cpu", progress=False)
    again = tmp_path / "again.csv"
    write_reconstructions(run.path, 3, again, device="cpu")
    assert again.read_text().splitlines()[0] == "x,y,dose,sex"
    own = [tuple(line.split(",")[:2]) for line in lines]
    assert [tuple(line.split(",")[2:]) for line in again.read_text().splitlines()[1:]] == own[:3]
    drawn = write_samples(run.path, 20, out=tmp_path / "s.csv", device="cpu").read_text().splitlines()[1:]
    made_to = [tuple(line.split(",")[2:]) for line in drawn]
    assert len(set(made_to)) > 1
    assert set(made_to) <= set(own)
    file = write_samples(run.path, 2, out=tmp_path / "m.csv", given=["dose=0.25", "sex=m"], device="cpu")
    assert [line.split(",")[2:] for line in file.read_text().splitlines()[1:]] == [["0.25", "m"]] * 2
    with pytest.raises(UserError, match="--given sex=d: sex is one of f, m"):
        write_samples(run.path, 2, out=tmp_path / "no.csv", given=["dose=0.25", "sex=d"], device="cpu")
    asked = ["dose=0.25", "sex=f=0.5", "sex=m=0.5"]
    file = write_samples(run.path, 2, out=tmp_path / "half.csv", given=asked, device="cpu")
    assert file.read_text().splitlines()[0] == "x,y,dose,sex=f,sex=m"  # no category that there is
    assert file.read_text().splitlines()[1].endswith(",0.25,0.5,0.5")


def test_conditions_have_the_types_of_the_runs_own_table(tmp_path: Path) -> None:
    """Two new rows have fewer categories, and a date that could be read in two ways."""
    rng = np.random.default_rng(0)
    days = [f"{1 + i % 28:02d}.{1 + i % 12:02d}.2021" for i in range(96)]
    rows = [f"{rng.normal():.2f},{rng.normal():.2f},{rng.choice(['f', 'm', 'x'])},{day}" for day in days]
    head = "height,weight,sex,joined\n"
    (tmp_path / "t.csv").write_text(head + "\n".join(rows) + "\n")
    given = ("sex", "joined")
    recipe = Recipe(DataSpec(str(tmp_path / "t.csv"), given=given), RealNVP(layers=2, width=8), NLL(), Train(images=64))
    run = fit(replace(recipe, name="t"), 0, tmp_path / "run", "cpu", progress=False)
    assert told(recipe, run.data()) == ["conditioned on sex (f, m, x), joined (01.01.2021 to 28.12.2021)"]
    words = ["sex=m", "joined=03.02.2021"]
    file = write_samples(run.path, 2, out=tmp_path / "s.csv", given=words, device="cpu")
    assert [line.split(",")[2:] for line in file.read_text().splitlines()[1:]] == [["m", "03.02.2021"]] * 2
    for day, said in (("soon", "'soon' is not a date as %d.%m.%Y"), ("", "'' is not a date")):
        with pytest.raises(UserError, match=said):
            write_samples(run.path, 2, out=tmp_path / "no.csv", given=["sex=m", f"joined={day}"], device="cpu")
    new = tmp_path / "new.csv"
    new.write_text(head + "\n".join([rows[3], "0.1,0.2,x,03.02.2021"]) + "\n")
    own, other = run_data.own(run), run_data.own_or_other(run, str(new), whole=True)
    assert own.train.conditions is not None
    assert other.train.conditions is not None
    assert torch.equal(other.train.conditions[0], own.train.conditions[3])
    assert other.train.conditions[1, :3].tolist() == [0, 0, 1]
    new.write_text(head + "0.1,0.2,y,03.02.2021\n")
    with pytest.raises(UserError, match="sex is 'y' in row 1, and should be one of f, m, x"):
        run_data.own_or_other(run, str(new), whole=True)


def test_a_run_that_recorded_names_alone() -> None:
    names = ("dose", "sex=f", "sex=m", "note=a", "day")
    columns = from_names(names)
    assert [(c.name, c.kind) for c in columns] == [
        ("dose", "number"),
        ("sex", "category"),
        ("note=a", "number"),
        ("day", "number"),
    ]
    assert names_of(columns) == names


PARTS: dict[str, tuple[Any, Any]] = {
    "gan": (GAN(), MLPGAN(width=16)),
    "vae": (VAE(), MLPAutoencoder(width=16)),
    "flow": (NLL(), MAF(layers=2, width=16)),
    "continuous": (FlowMatching(), VelocityMLP(width=16, octaves=2, steps=2)),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_resumed_run_is_the_same_to_the_last_bit(name: str, tmp_path: Path) -> None:
    objective, network = PARTS[name]
    train = Train(images=640, batch=64, checkpoint=320, evaluate=640, sample=640)
    recipe = Recipe(DataSpec("swissroll", given=("x",)), network, objective, train, name=name)
    whole = fit(recipe, 3, tmp_path / "whole", "cpu", progress=False)
    half = fit(replace(recipe, train=replace(train, images=320)), 3, tmp_path / "half", "cpu", progress=False)
    resume(half.path, progress=False, images=640)
    a, b = (run.load(device="cpu").state_dict() for run in (whole, Run(half.path)))
    assert all(torch.equal(a[k], b[k]) for k in a)
