"""Whose data are these: a run on its own examples, moved, changed, or another set that is asked for by name."""

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_runs import make_run, toy_recipe

from triptych import evaluate, trainer
from triptych.cli import main
from triptych.core import DataSpec, Recipe, Train
from triptych.data import load_spec
from triptych.errors import UserError
from triptych.evaluate import Samples
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.coupling import RealNVP
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.autoencoder import AE, VAE
from triptych.objectives.flow import NLL
from triptych.objectives.gan import GAN
from triptych.run import Run, load
from triptych.run import data as run_data
from triptych.system.files import read_json, write_json
from triptych.trainer import loop

TRAIN = Train(images=64, batch=8)
CODER = Recipe(DataSpec("set.npy"), MLPAutoencoder(latent=2, width=8), VAE(likelihood="gaussian"), TRAIN, name="coder")


def save(path, n=24, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.random.default_rng(seed).integers(0, 255, (n, 1, 8, 8), dtype=np.uint8))
    return path


def fit(recipe, out, **train):
    recipe = replace(recipe, train=replace(recipe.train, **train))
    return trainer.fit(recipe, out=out, device="cpu", progress=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A run on `set.npy`, named relative to the folder that it was trained from."""
    home = tmp_path_factory.mktemp("home")
    save(home / "here" / "set.npy")
    with pytest.MonkeyPatch.context() as m:
        m.chdir(home / "here")
        fit(CODER, home / "run")
    return home


@pytest.fixture
def copy(home, tmp_path, monkeypatch):
    """The same, moved as a whole: the recorded place is gone."""
    shutil.copytree(home / "run", tmp_path / "run")
    env = json.loads((tmp_path / "run" / "env.json").read_text())
    env["data"]["place"] = str(tmp_path / "gone" / "set.npy")
    (tmp_path / "run" / "env.json").write_text(json.dumps(env))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run"


OPENING = (
    ["nearest", "RUN", "-n", "4"],
    ["evaluate", "RUN", "-n", "8"],
    ["reconstruct", "RUN", "-n", "4"],
    ["encode", "RUN", "--out", "z.npy"],
    ["interpolate", "RUN", "--real", "0", "1"],
    ["sweep", "RUN", "--real", "0"],
    ["sample", "RUN", "-n", "2", "--codes", "gaussian"],
    ["resume", "RUN", "--train.images", "80"],
)
EITHER = ("evaluate", "encode", "reconstruct")


def argv(command, run):
    return [str(run) if word == "RUN" else word for word in command]


def content(folder):
    return {f: f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file() and f.name != ".lock"}


@pytest.mark.parametrize("command", OPENING, ids=lambda c: c[0])
def test_a_relative_path_means_the_place_it_meant(home, tmp_path, monkeypatch, command):
    """Whatever lies under that name where one stands now."""
    shutil.copytree(home / "run", tmp_path / "run")
    save(tmp_path / "elsewhere" / "set.npy", seed=1)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(argv(command, tmp_path / "run")) == 0


@pytest.mark.parametrize("command", OPENING, ids=lambda c: c[0])
def test_other_examples_under_the_words_typed_are_refused(copy, tmp_path, capsys, command):
    save(tmp_path / "set.npy", seed=1)
    before = content(tmp_path)
    assert main(argv(command, copy)) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert str(tmp_path / "gone" / "set.npy") in said
    assert "--data WHERE" in said
    assert content(tmp_path) == before


@pytest.mark.parametrize("command", OPENING, ids=lambda c: c[0])
def test_a_moved_set_is_the_same_set(copy, tmp_path, capsys, command):
    moved = save(tmp_path / "moved" / "other-name.npy")
    assert main([*argv(command, copy), "--data", str(moved)]) == 0
    assert "not the run's own" not in capsys.readouterr().err


@pytest.mark.parametrize("command", OPENING, ids=lambda c: c[0])
def test_a_changed_set_is_taken_only_to_judge_another(copy, tmp_path, capsys, command):
    """Named by --data: refused where the run's own are meant, said where another set may be."""
    more = save(tmp_path / "more.npy", n=48)
    before = content(copy)
    status = main([*argv(command, copy), "--data", str(more)])
    told = capsys.readouterr()
    if command[0] in EITHER:
        assert status == 0
        assert "not the run's own examples but more" in told.err + told.out
    else:
        assert status == 2
        assert "24 examples (fingerprint " in told.err
        assert "48 others (fingerprint " in told.err
        assert content(copy) == before


def test_numbers_on_another_set_carry_its_fingerprint(copy, tmp_path):
    own, other = save(tmp_path / "own.npy"), save(tmp_path / "other.npy", seed=3)
    marks = []
    for k, where in enumerate((own, other)):
        assert main(["evaluate", str(copy), "-n", "8", "--data", str(where), "--out", f"{k}.json"]) == 0
        marks.append(json.loads((tmp_path / f"{k}.json").read_text())["frechet"]["reference"].split()[-1])
    assert Run(copy).env["data"]["fingerprint"].startswith(marks[0])
    assert marks[0] != marks[1]


def test_numbers_on_another_set_do_not_replace_the_runs_own(copy, tmp_path, capsys):
    own, other = (["--data", str(save(tmp_path / f"{k}.npy", seed=k))] for k in range(2))
    few, now, before = ["-n", "8"], copy / "eval.json", copy / "eval-old.json"
    assert main(["evaluate", str(copy), *few, *own]) == 0
    assert main(["evaluate", str(copy), *few, *own]) == 0
    assert not before.exists()  # of the same real side: a newer one of the same
    mine = now.read_bytes()
    capsys.readouterr()
    assert main(["evaluate", str(copy), *few, *other]) == 0
    assert "is now eval-old.json" in capsys.readouterr().out
    assert before.read_bytes() == mine != now.read_bytes()
    now.write_text("{", encoding="utf-8")
    assert main(["evaluate", str(copy), *few, *other]) == 0  # a spoilt one is made anew
    assert before.read_bytes() == mine


@pytest.mark.parametrize("typed", [False, True], ids=["plain", "typed"])
def test_a_table_with_its_columns_in_another_order_has_the_same_numbers(tmp_path, capsys, typed):
    """Columns are found by their names; by their place weight would be judged as height, and nothing would say so."""
    rng = np.random.default_rng(0)
    drawn = rng.normal((170, 7), (9, 2), (40, 2))
    rows = [(f"{a:.2f}", f"{b:.2f}", "fm"[i % 2]) for i, (a, b) in enumerate(drawn)]
    header = ("height", "weight", "sex")[: 2 + typed]

    def write(name, order, some):
        lines = [",".join(one[j] for j in order) for one in (header, *some)]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
        return str(tmp_path / name)

    spec = DataSpec(write("train.csv", range(len(header)), rows), holdout=0.2)
    run = loop.fit(Recipe(spec, RealNVP(layers=1, width=8), NLL(), TRAIN, name="t"), 0, tmp_path / "run", "cpu")
    found = []
    for name, order in (("a.csv", range(len(header))), ("b.csv", reversed(range(len(header))))):
        where = write(name, list(order), rows[:20])
        argv = ["evaluate", str(run.path), "-n", "20", "--data", where, "--split", "all", "--device", "cpu"]
        assert main([*argv, "--out", str(tmp_path / "e.json")]) == 0
        found.append({k: v["value"] for k, v in json.loads((tmp_path / "e.json").read_text()).items()})
    assert found[0]["nll"] == pytest.approx(found[1]["nll"], rel=1e-4)
    assert found[0]["frechet"] == pytest.approx(found[1]["frechet"], rel=1e-3)
    write("one.csv", range(len(header)), rows[:1])
    capsys.readouterr()
    argv = ["evaluate", str(run.path), "-n", "20", "--data", str(tmp_path / "one.csv"), "--split", "all"]
    assert main([*argv, "--device", "cpu", "--out", str(tmp_path / "e.json")]) == 0
    assert "degrees of freedom" not in capsys.readouterr().err  # one example has no standard error
    assert json.loads((tmp_path / "e.json").read_text())["nll"].get("se") is None


def test_resume_remembers_where_the_data_are_now(copy, tmp_path):
    moved = save(tmp_path / "moved.npy")
    trainer.resume(copy, images=80, data=str(moved), progress=False)
    assert Run(copy).env["data"]["place"] == str(moved)
    assert len(Run(copy).data()) == 24


def test_a_run_from_before_places_were_kept(copy, tmp_path, capsys):
    env = json.loads((copy / "env.json").read_text())
    del env["data"]["place"]
    (copy / "env.json").write_text(json.dumps(env))
    save(tmp_path / "set.npy")
    assert main(["nearest", str(copy), "-n", "4"]) == 0
    save(tmp_path / "set.npy", seed=1)
    assert main(["nearest", str(copy), "-n", "4"]) == 2
    assert "24 others" in capsys.readouterr().err
    with pytest.raises(UserError, match="fingerprint"):
        Run(copy).data()


def test_a_held_out_part_that_changed_is_refused(tmp_path, capsys):
    """Also where what is trained on is as it was."""
    recipe = replace(CODER, data=DataSpec(str(save(tmp_path / "set.npy")), holdout=0.2))
    run = fit(recipe, tmp_path / "run")
    env = run.env
    env["test"]["fingerprint"] = "0" * 64
    (run.path / "env.json").write_text(json.dumps(env))
    assert main(["encode", str(run.path), "--out", str(tmp_path / "z.npy")]) == 2
    assert "held-out part of set has changed" in capsys.readouterr().err


def idx(folder, seed):
    """MNIST's four files, of 30 + 10 pictures."""
    r = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for stem, n in (("train", 30), ("t10k", 10)):
        x, y = r.integers(0, 255, (n, 28, 28), dtype=np.uint8), r.integers(0, 10, n, dtype=np.uint8)
        for kind, a in (("images-idx3", x), ("labels-idx1", y)):
            head = bytes([0, 0, 8, a.ndim]) + b"".join(d.to_bytes(4, "big") for d in a.shape)
            (folder / f"{stem}-{kind}-ubyte").write_bytes(head + a.tobytes())


def test_a_named_set_is_looked_for_where_it_was(tmp_path, monkeypatch, capsys):
    for name, seed in (("a", 0), ("b", 1)):
        idx(tmp_path / name / "mnist", seed)
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path / "a"))
    run = fit(replace(CODER, data=DataSpec("mnist")), tmp_path / "run")
    assert run.env["data"]["place"] == str(tmp_path / "a")
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path / "b"))
    assert main(["nearest", str(run.path), "-n", "4"]) == 0
    (tmp_path / "a").rename(tmp_path / "c")
    assert main(["nearest", str(run.path), "-n", "4"]) == 2
    assert "was trained on mnist, 30 examples" in capsys.readouterr().err
    for where in ("c", "c/mnist"):
        assert main(["nearest", str(run.path), "-n", "4", "--data", str(tmp_path / where)]) == 0


def test_a_table_gives_its_columns_only_to_its_own_run(tmp_path, capsys):
    """The header of samples, and the points that others are drawn over."""
    table = tmp_path / "t.csv"
    r = np.random.default_rng(0)

    def write(names):
        rows = "\n".join(",".join(f"{v:.9g}" for v in row) for row in 2e7 + r.normal(size=(40, 2)) * 1e3)
        table.write_text(f"{names}\n{rows}\n")

    write('"a, b",c')
    run = fit(
        replace(CODER, data=DataSpec(str(table)), model=RealNVP(layers=2, width=8), objective=NLL()), tmp_path / "r"
    )
    out = tmp_path / "s.csv"
    assert main(["sample", str(run.path), "-n", "3", "--out", str(out)]) == 0
    head, *rows = out.read_text().splitlines()
    assert head == '"a, b",c'
    x = load(run.path).sample(3, seed=0).numpy()
    assert np.array_equal(np.array([row.split(",") for row in rows], np.float32), x)
    write("d,e")
    for command in (["sample", "--out", str(out)], ["sample", "--out", str(tmp_path / "s.png")], ["flow"], ["sweep"]):
        assert main([command[0], str(run.path), *command[1:]]) == 2
    assert out.read_text().startswith('"a, b"')


# --------------------------------------------------------------------------------- for longer


STEADY = Recipe(
    DataSpec("8gaussians"),
    MLPGAN(width=8),
    GAN(),
    Train(images=1_280, batch=64, ema=0.9, checkpoint=640, evaluate=640, sample=640, log=320),
    name="steady",
)


def test_a_run_that_goes_on_equals_one_in_one_go(tmp_path, capsys):
    whole = fit(STEADY, tmp_path / "whole", images=2_560)
    run = fit(STEADY, tmp_path / "run")
    assert main(["resume", str(run.path), "--train.images", "2560"]) == 0
    assert "goes on from 1,280 to 2,560 images" in capsys.readouterr().out
    a, b = whole.read(2_560)[0], Run(run.path).read(2_560)[0]
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)
    clock = {"seconds", "evaluating"}
    lines = [[{k: v for k, v in line.items() if k not in clock} for line in r.lines()] for r in (whole, run)]
    assert lines[0] == lines[1]
    asked = json.loads((run.path / "recipe.json").read_text())
    assert asked["continued"] == [{"images": 1_280, "at": 1_280}]
    assert Run(run.path).status["budget"] == 2_560
    assert main(["resume", str(run.path)]) == 0
    assert "finished already" in capsys.readouterr().out
    assert main(["resume", str(run.path), "--train.images", "2560"]) == 2
    assert "2,560 images already" in capsys.readouterr().err
    with pytest.raises(UserError, match="whole number"):
        trainer.resume(run.path, images=1e4)


def test_a_rate_that_had_decayed_is_said_to_start_again(tmp_path, capsys):
    run = fit(STEADY, tmp_path / "run", schedule="linear")
    assert main(["resume", str(run.path), "--train.images", "2.56e3"]) == 0
    assert "was at 0 of its full value" in (said := capsys.readouterr().out)
    assert "goes on at 0.5" in said


def test_a_run_cut_while_it_went_on_goes_on(tmp_path, monkeypatch):
    run = fit(STEADY, tmp_path / "run")

    def cut(state):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "step", cut)
    with pytest.raises(KeyboardInterrupt):
        trainer.resume(run.path, images=1_920, progress=False)
    monkeypatch.undo()
    run.set_status(state="done")  # as a kill leaves it between the two files
    assert trainer.resume(run.path, progress=False).status["images"] == 1_920


def test_an_edited_budget_is_still_refused(tmp_path):
    run = fit(STEADY, tmp_path / "run")
    asked = json.loads((run.path / "recipe.json").read_text())
    asked["recipe"]["train"]["images"] = 5_120
    (run.path / "recipe.json").write_text(json.dumps(asked))
    for images in (None, 2_560):
        with pytest.raises(UserError, match=r"train\.images: 1280 became 5120"):
            trainer.resume(run.path, images=images, progress=False)


# ------------------------------------------------------------------------------- a few examples


FAMILIES = {
    "gan": (MLPGAN(width=8), GAN()),
    "vae": (MLPAutoencoder(latent=2, width=8), VAE(likelihood="gaussian")),
    "ae": (MLPAutoencoder(latent=2, width=8, variational=False), AE()),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_so_few_pictures_are_trained_on(tmp_path, capsys, family, n):
    model, objective = FAMILIES[family]
    said = []
    recipe = Recipe(DataSpec(str(save(tmp_path / "few.npy", n=n))), model, objective, replace(TRAIN, best="frechet"))
    run = trainer.fit(recipe, out=tmp_path / "run", device="cpu", progress=False, announce=said.append)
    assert run.status["state"] == "done"
    assert any("fid, frechet, kid, kernel, coverage are left out on the way" in line for line in said)
    assert evaluate.evaluate_run(run.path, device="cpu")["sliced_wasserstein"].value is not None


def test_a_held_out_part_of_one(tmp_path, capsys):
    """The distances are left out on the way and by `evaluate`, by name; both end well."""
    x = save(tmp_path / "set.npy", n=30)
    for share in (0.02, 0.04, 0.06, 0.1):
        recipe = replace(CODER, data=DataSpec(str(x), holdout=share))
        try:
            count = len(load_spec(recipe.data, "test"))
        except UserError:
            continue
        if count <= 3:
            break
    else:
        pytest.fail("no share sets so few aside")
    run = fit(recipe, tmp_path / "run")
    assert run.env["test"]["examples"] == count
    assert main(["evaluate", str(run.path)]) == 0
    assert "Neighbours is left out" in capsys.readouterr().err


# -------------------------------------------------------------------------------------- at once


def test_four_evaluations_at_once(home):
    """Each ends well, and who reads meets whole numbers: those of the last."""
    bad, done = [], threading.Event()
    file = home / "run" / "eval.json"
    evaluate.evaluate_run(home / "run", samples=Samples(n=8), device="cpu")

    def judge(seed):
        try:
            evaluate.evaluate_run(home / "run", samples=Samples(n=8, seed=seed), device="cpu")
        except Exception as e:
            bad.append(e)

    def read():
        while not done.is_set():
            json.loads(file.read_text())

    reader = threading.Thread(target=read)
    judges = [threading.Thread(target=judge, args=(seed,)) for seed in range(4)]
    for t in (reader, *judges):
        t.start()
    for t in judges:
        t.join()
    done.set()
    reader.join()
    assert not bad
    assert not list((home / "run").glob(".*.part"))


def test_a_set_that_the_program_draws_is_the_runs_own_whatever_the_last_bit(tmp_path: Path) -> None:
    """Rounding differs between processors and numbers of threads; the words of the recipe do not."""
    run = make_run(tmp_path / "run", toy_recipe(), 0, fingerprint="another processor's")
    env = read_json(run.path / "env.json")
    write_json(run.path / "env.json", env | {"data": env["data"] | {"examples": 100_000}})
    assert run_data.own(Run(run.path)).own
    write_json(run.path / "env.json", env | {"data": env["data"] | {"examples": 7}})
    with pytest.raises(UserError, match="was trained on"):
        run_data.own(Run(run.path))
