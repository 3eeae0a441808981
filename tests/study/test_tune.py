"""Searches of equal effort: what may be varied, what is refused, and that the trials decide."""

import errno
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from triptych.cli import main
from triptych.core import DataSpec, Recipe, Train
from triptych.core.search import Among, Range
from triptych.errors import UserError
from triptych.models.flows.coupling import RealNVP
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.flow import NLL
from triptych.objectives.gan import WGANGP
from triptych.recipes.space import declared, read_space, space_of
from triptych.study.asked import Search
from triptych.study.claims import Claims
from triptych.study.local import Local
from triptych.study.tune import SEED, _Searched, search

GAN = Recipe(DataSpec("8gaussians"), MLPGAN(width=16), WGANGP(), Train(images=6400, batch=128, lr=1e-3), name="game")
FLOW = Recipe(DataSpec("8gaussians"), RealNVP(layers=2, width=8), NLL(), Train(images=3000, batch=256), name="flow")


def test_ranges_stand_beside_the_fields():
    found = declared(GAN)
    assert found["train.lr"] == Range(1e-5, 1e-2, log=True)
    assert found["objective.gp"] == Range(0.1, 100.0, log=True)
    assert isinstance(found["model.width"], Among)
    assert not any(name.startswith("data") for name in found)
    assert "objective.gp" not in declared(FLOW)


def test_the_rate_of_a_critic_is_varied_where_there_is_one():
    assert "train.critic_lr" in declared(GAN)
    assert "train.critic_lr" not in declared(FLOW)


def test_a_file_says_what_to_vary(tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text("train.lr: {low: 1e-4, high: 1e-3, log: true}\nmodel.width: [64, 128]\n", encoding="utf-8")
    found = read_space(file)
    assert found["train.lr"] == Range(1e-4, 1e-3, log=True)
    assert space_of(GAN, found) == found
    assert read_space(None) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train.lr: {low: 1e-9, high: 1e-3}", "the field allows"),
        ("train.speed: [1, 2]", "is unknown here"),
        ("model.width: [64, 4096]", "the field allows"),
        ("train.lr: {low: 1, high: 0.1}", "is empty"),
        ("train.lr: {low: -1, high: 1, log: true}", "no logarithm"),
        ("train.lr: fast", "no range"),
        ("train.lr: {low: a, high: b}", "no numbers"),
        ("- train.lr", "holds no ranges"),
        ("a: [", "no YAML"),
        ("train.optimizer: [adam, sgd]", "choose adam or"),
    ],
)
def test_a_space_that_cannot_be_is_one_line(tmp_path, text, said):
    file = tmp_path / "space.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=said):
        Search((GAN,), 3, "sliced_wasserstein", read_space(file))


def test_a_number_to_search_by_has_a_direction_and_is_made():
    with pytest.raises(UserError, match="no direction to search by"):
        Search((GAN,), 3, "diversity")
    with pytest.raises(UserError, match=r"no metric is named .wassersteyn.*wasserstein"):
        Search((GAN,), 3, "wassersteyn")
    with pytest.raises(UserError, match="at least 2"):
        Search((GAN,), 1, "modes")
    with pytest.raises(UserError, match="each recipe once"):
        Search((GAN, GAN), 3, "modes")


def test_the_first_trial_is_the_recipe_as_it_is(tmp_path):
    """Also where a search would not propose its values: a width between the choices, a rate of the critic that follows
    the other one, a weight beyond the range. The second is drawn from the space."""
    optuna = pytest.importorskip("optuna")
    recipe = replace(GAN, objective=WGANGP(gp=2_000.0), train=replace(GAN.train, schedule="linear"))
    space = declared(recipe)
    assert recipe.model.width not in space["model.width"].options
    assert recipe.train.critic_lr is None
    asked = Search((recipe,), 2, "modes", space)
    storage = optuna.storages.InMemoryStorage()
    searched = _Searched(optuna, storage, asked, recipe, tmp_path, Local(1, "cpu"))
    first, second = (searched._values(searched.study.ask()) for _ in range(2))
    assert searched._with(first) == recipe
    assert second["model.width"] in space["model.width"].options
    assert second["train.critic_lr"] is not None


@pytest.mark.long
def test_a_search_gives_every_recipe_as_many_trials_and_finds_the_better_rate(tmp_path):
    """The rate 1e-5 cannot learn the plane in this budget, 3e-3 can: of both the search must take the latter."""
    pytest.importorskip("optuna")
    space = {"train.lr": Among(1e-5, 3e-3)}
    flow = replace(FLOW, train=replace(FLOW.train, images=40_000, lr=1e-5))
    found = search(Search((flow,), 6, "kl_data", space), tmp_path / "out", 2, "cpu", progress=False)
    told = json.loads((tmp_path / "out" / "tune.json").read_text(encoding="utf-8"))
    assert found["flow"].train.lr == 3e-3
    mine = told["recipes"]["flow"]
    assert (mine["trials"], sorted(mine["seeds"])) == (6, list(range(SEED, SEED + 6)))
    assert mine["tried"][0]["values"] == {"train.lr": 1e-5}, "the recipe's own values come first"
    assert mine["best"]["value"] == min(t["value"] for t in mine["tried"] if t["state"] == "done")
    assert all((tmp_path / "out" / "trials" / t["run"] / "metrics.jsonl").is_file() for t in mine["tried"])
    again = search(Search((flow,), 6, "kl_data", space), tmp_path / "out", 2, "cpu", progress=False)
    assert again == found, "what has been tried is not tried again"


CUT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.study.test_tune import SLOW
from triptych.study.runner import terminated
from triptych.study.tune import search
with terminated("the same command goes on"):
    search(SLOW, Path(sys.argv[1]), 1, "cpu", progress=False)
"""
SLOW = Search(
    (replace(FLOW, train=replace(FLOW.train, images=60_000, checkpoint=10_000)),),
    5,
    "kl_data",
    {"train.lr": Range(1e-4, 1e-2, log=True), "train.batch": Among(128, 256)},
)


def test_the_command_takes_a_file_and_trains_the_best_of_it(tmp_path, monkeypatch, capsys):
    pytest.importorskip("optuna")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{i % 7}.5,{i % 5}.25\n" for i in range(200)))
    options = ["--data", "rows.csv", "--train.images", "512", "--model.layers", "2", "--model.width", "64"]
    assert main(["train", "realnvp-8gaussians", *options, "--save-recipe", "mine.yaml"]) == 0
    (tmp_path / "space.yaml").write_text("train.lr: {low: 1e-4, high: 1e-3, log: true}\n")
    argv = ["tune", "mine.yaml", "--by", "nll", "--trials", "2", "--space", "space.yaml", "--seeds", "1", "--jobs", "1"]
    assert main([*argv, "--out", "found"]) == 0
    assert (tmp_path / "found" / "tune.json").is_file()
    assert (tmp_path / "found" / "report.html").is_file()
    assert "error" not in capsys.readouterr().err


@pytest.mark.long
def test_a_search_that_was_told_to_end_finds_what_an_uncut_one_finds(tmp_path):
    """It begins no other trial; the one that it cut goes on, with its own values."""
    pytest.importorskip("optuna")
    root = str(Path(__file__).parents[2])
    words = [sys.executable, "-c", CUT, str(tmp_path / "cut"), root]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("cut/trials/*-seed10001/checkpoints/*0000.json")):
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.02)
    process.terminate()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 143, said
    assert not list(tmp_path.glob("cut/trials/*-seed10003"))
    assert not (tmp_path / "cut" / "tune.json").exists()
    found = [search(SLOW, tmp_path / name, 1, "cpu", progress=False) for name in ("cut", "whole")]
    assert found[0] == found[1]
    told = [json.loads((tmp_path / name / "tune.json").read_text())["recipes"]["flow"] for name in ("cut", "whole")]
    tried = [sorted(one["tried"], key=lambda t: t["seed"]) for one in told]
    assert tried[0] == tried[1]
    assert [t["seed"] for t in tried[0]] == list(range(SEED, SEED + 5))
    assert len({json.dumps(t["values"]) for t in tried[0]}) == 5


@pytest.mark.long
def test_several_processes_share_the_trials_of_a_search(tmp_path):
    """Each trains some, one that is killed loses none, and both end with the same answer."""
    pytest.importorskip("optuna")
    root = str(Path(__file__).parents[2])
    words = [sys.executable, "-c", CUT, str(tmp_path / "out"), root]
    first, second = (subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(2))
    runs = tmp_path / "out" / "trials"
    while len({file.parents[1] for file in runs.glob("*/checkpoints/*0000.json")}) < 2:
        assert first.poll() is second.poll() is None
        time.sleep(0.02)
    first.kill()
    first.communicate()
    _, said = second.communicate(timeout=120)
    assert second.returncode == 0, said
    told = json.loads((tmp_path / "out" / "tune.json").read_text(encoding="utf-8"))["recipes"]["flow"]
    assert {t["state"] for t in told["tried"]} <= {"done", "pruned"}
    assert told["seeds"] == list(range(SEED, SEED + 5)), "no trial is lost, and none is made twice"
    assert not list((tmp_path / "out" / "claims").iterdir())


def test_a_search_goes_on_where_files_cannot_be_locked(tmp_path, monkeypatch):
    """A network folder may have no locks: then a search has to be the only one."""
    fcntl = pytest.importorskip("fcntl")

    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    claims = Claims(tmp_path, "flow")
    with claims.deciding():
        assert claims.take(0)
    claims.leave([0])


def test_a_claim_is_of_one_process_and_free_when_it_lets_go(tmp_path):
    one, other, another = (Claims(tmp_path, name) for name in ("flow", "flow", "another"))
    assert one.take(0)
    assert not one.take(0), "not twice"
    assert not other.take(0)
    assert other.take(1)
    assert another.take(0), "another search has trials of its own"
    other.forget(1)
    assert not one.take(1), "what is held is not forgotten"
    one.leave([0])
    assert other.take(0)
    other.leave([0, 1])
    another.leave([0])
    one.forget(0)
    one.forget(0)
    assert sorted(f.name for f in (tmp_path / "claims").iterdir()) == ["another-0.held", "flow-1.held"]
