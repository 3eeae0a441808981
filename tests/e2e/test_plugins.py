"""Parts in a stranger's own files and packages: listed, trained, resumed, evaluated and reported without our help."""

from __future__ import annotations

import csv
import html
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import strangers
from fake_runs import make_run, toy_recipe

from triptych.cli import main
from triptych.core import plugins
from triptych.run import Run

TINY = ["--train.images", "512", "--train.batch", "64", "--train.lr", "0.01", "--device", "cpu"]
SWAPPED = ["train", "gan-8gaussians", "--objective", "Moments", "--model", "Affine", *TINY]


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The one line that a person gets for bad input."""
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1, err
    assert "; " in err, "says what to do"
    assert not plugins.given(), "nothing stays behind"
    return err


@pytest.fixture
def own(tmp_path: Path) -> list[str]:
    """The plug-in options of a file of each kind in a folder of the stranger's."""
    return strangers.write(tmp_path / "own")


@pytest.fixture
def run(tmp_path: Path, own: list[str], capsys: pytest.CaptureFixture[str]) -> Path:
    """A run of the stranger's objective and network on the stranger's data."""
    path = tmp_path / "run"
    assert main([*own, *SWAPPED, "--data", "noise", "--out", str(path)]) == 0, capsys.readouterr().err
    capsys.readouterr()
    return path


def test_a_strangers_parts_from_listing_to_report(
    tmp_path: Path, own: list[str], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["parts", *own]) == 0
    listed = {tuple(line.split()[:2]): line for line in capsys.readouterr().out.splitlines()}
    for kind, name, file in (
        ("objective", "Moments", "moments"),
        ("network", "Affine", "affine"),
        ("metric", "MeanError", "mean_error"),
        ("source", "Noise", "noise"),
        ("sink", "Lines", "lines"),
    ):
        assert f"plug-in {file} " in listed[kind, name]
    assert "‖cov of x − cov of G(z)‖²" in listed["objective", "Moments"]
    assert "of mine" in listed["recipe", "gan-mine"]
    assert "Is one better than itself?" in listed["study", "small"]
    assert "triptych " in listed["objective", "WGANGP"]

    asked = json.loads((run / "recipe.json").read_text())
    assert [p["name"] for p in asked["plugins"]] == ["moments", "affine", "noise"], "only those that it needs"
    assert main(["resume", *own, str(run), "--train.images", "768"]) == 0
    assert json.loads((run / "recipe.json").read_text())["plugins"] == asked["plugins"]
    assert main(["evaluate", *own, str(run), "-n", "200"]) == 0
    assert json.loads((run / "eval.json").read_text())["mean_error"]["value"] is not None
    assert main(["report", str(run), "--out", str(tmp_path / "report.html"), *own]) == 0
    assert "mean_error" in (tmp_path / "report.csv").read_text()
    second = ["--out", str(tmp_path / "second"), "--device", "cpu", "--track", "lines"]
    assert main(["train", "gan-mine", *own, *second]) == 0
    assert Run(tmp_path / "second").recipe.name == "gan-mine"
    told = (tmp_path / "trackers" / "second.jsonl").read_text().splitlines()
    logged = [line["images"] for line in Run(tmp_path / "second").lines()]
    assert [json.loads(line)["images"] for line in told] == logged


def test_the_tracker_of_the_docs_is_the_one_that_is_tried() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sharing.md").read_text(encoding="utf-8")
    code = strangers.TRACKER.partition("\n\n")[2].strip()
    assert textwrap.indent(code, "    ", lambda line: bool(line.strip())) in page


def test_a_strangers_metric_is_judged(tmp_path: Path, own: list[str], run: Path) -> None:
    """By its own direction, also where a report is written without the plug-in: eval.json says what the number is."""
    assert main(["evaluate", *own, str(run), "-n", "200"]) == 0
    told = json.loads((run / "eval.json").read_text())["mean_error"]
    assert told["better"] == "lower"
    runs = [
        make_run(tmp_path / f"{name}-{seed}", toy_recipe(name), seed, values={"mean_error": {**told, "value": v}})
        for name, values in (("far", (3.0, 3.1, 3.2)), ("near", (1.0, 1.1, 1.2)))
        for seed, v in enumerate(values)
    ]
    page = tmp_path / "report.html"
    assert main(["report", *(str(r.path) for r in runs), "--out", str(page)]) == 0
    assert "near is best" in page.read_text()
    assert "clearly better than far (p &lt; 0.001)" in page.read_text()
    rows = list(csv.DictReader(io.StringIO(page.with_suffix(".csv").read_text())))
    assert {(r["label"], r["value"]) for r in rows if r["metric"] == "mean_error"} >= {("near", "1.0"), ("far", "3.2")}


def test_the_command_in_a_report_does_the_run_again(
    tmp_path: Path, own: list[str], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = json.loads((run / "env.json").read_text())["command"]
    words = shlex.split(command)
    assert words[:7] == ["triptych", "train", "gan-8gaussians", "--objective", "Moments", "--model", "Affine"]
    assert [Path(w).stem for w in words if w.endswith(".py")] == ["moments", "affine", "noise"], "those that it needs"
    assert main(["report", str(run), "--out", str(tmp_path / "report.html")]) == 0
    assert html.escape(command) in (tmp_path / "report.html").read_text()
    again = tmp_path / "again"
    assert main([*words[1:], "--device", "cpu", "--out", str(again)]) == 0, capsys.readouterr().err
    assert (again / "recipe.json").read_bytes() == (run / "recipe.json").read_bytes()
    assert json.loads((again / "env.json").read_text())["command"] == command
    (before,), (after,) = ([*(r / "checkpoints").glob("*512.safetensors")] for r in (run, again))
    assert before.read_bytes() == after.read_bytes()


def test_a_named_recipe_of_a_plugin_is_trained_again_with_it(tmp_path: Path, own: list[str]) -> None:
    mine = own[2 * list(strangers.FILES).index("recipe") :][:2]
    assert main(["train", "gan-mine", *mine, "--out", str(tmp_path / "run"), "--device", "cpu"]) == 0
    command = json.loads((tmp_path / "run" / "env.json").read_text())["command"]
    assert shlex.split(command) == ["triptych", "train", "gan-mine", *mine]


def test_help_lists_the_options_of_a_strangers_part(own: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "gan-8gaussians", "--objective", "Moments", "--help", *own]) == 0
    out = capsys.readouterr().out
    assert "--objective.weight" in out
    assert "of the second moment" in out
    assert "--objective.n-critic" not in out


def test_a_recipe_takes_another_part_where_it_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--objective", "WGANGP", "--objective.gp", "0.5", "--model.width", "8", *TINY]
    assert main(["train", "gan-8gaussians", *words, "--out", str(tmp_path / "r")]) == 0
    recipe = Run(tmp_path / "r").recipe
    assert (type(recipe.objective).__name__, recipe.objective.gp, recipe.model.width) == ("WGANGP", 0.5, 8)
    assert recipe.objective.n_critic == type(recipe.objective)().n_critic, "the class's own default"
    capsys.readouterr()
    before = sorted(tmp_path.rglob("*"))
    for words, said in (
        (["--objective", "NLL"], "objectives that can: GAN, "),
        (["--model", "RealNVP"], "objectives that can: NLL"),
        (["--model", "MLPAutoencoder"], "objectives that can: IWAE, VAE"),
        (["--objective", "Hing"], "did you mean Hinge"),
        (["--model", "MLPGN"], "did you mean MLPGAN"),
        (["--objective", "--seed", "1"], "names no part"),
    ):
        assert said in refused(capsys, "train", "gan-8gaussians", *words, "--out", str(tmp_path / "new"))
    assert sorted(tmp_path.rglob("*")) == before


UNDECORATED = '''
from triptych.objectives.gan import GAN


class Undecorated(GAN):
    """Its own field would be no setting."""

    weight: float = 1.0
    """of the loss"""
'''

BAD = {
    "import": ("import no_such_module_of_anybody\n", "ModuleNotFoundError at line 1"),
    "syntax": ("x = 1\ndef f(:\n", "SyntaxError at line 2"),
    "raise": ("x = 1\n\nraise RuntimeError('a\\nb')\n", "RuntimeError at line 3: a b"),
    "exit": ("raise SystemExit(0)\n", "SystemExit at line 1"),
    "shadow": (strangers.OBJECTIVE.replace("Moments", "WGANGP"), "two objectives are named WGANGP"),
    "shadow-network": (strangers.NETWORK.replace("Affine", "MLPGAN"), "two networks are named MLPGAN"),
    "shadow-metric": (strangers.METRIC.replace("MeanError", "RoundTrip"), "two metrics are named RoundTrip"),
    "shadow-data": (strangers.SOURCE.replace('"noise"', '"mnist"'), "two data sets are named mnist"),
    "shadow-recipe": (strangers.RECIPE.replace('"gan-mine":', '"gan-mnist":'), "two recipes are named gan-mnist"),
    "shadow-study": (strangers.RECIPE.replace('"small"', '"toys"'), "two studies are named toys"),
    "shadow-lines": (strangers.RECIPE.replace('"small"', '"parallel-lines"'), "two studies are named parallel-lines"),
    "across": (strangers.NETWORK.replace("Affine", "WGANGP"), "an objective and a network are both named WGANGP"),
    "recipe's own": (strangers.NETWORK.replace("Affine", "Train"), "a part of every recipe and a network are both"),
    "twice": (strangers.NETWORK + strangers.OBJECTIVE.replace("Moments", "Affine"), "named Affine (lines "),
    "twice in a mapping": (strangers.SOURCE.replace("Noise()}", 'Noise(), "noise": Noise(8)}'), "are named noise"),
    "undecorated": (UNDECORATED, "Undecorated of "),
    "undecorated, of the base": (
        strangers.OBJECTIVE.replace("@dataclass(frozen=True)\n", ""),
        "write @dataclass(frozen",
    ),
    "not frozen": (strangers.OBJECTIVE.replace("(frozen=True)", ""), "is not frozen"),
    "no step": (strangers.OBJECTIVE.replace("def step", "def stpe"), "has no step; write it"),
    "network": (strangers.NETWORK.replace("@dataclass(frozen=True)\n", ""), "a network, Affine of "),
    "metric": (strangers.METRIC.replace("(frozen=True)", ""), "a metric, MeanError of "),
    "source": (strangers.SOURCE.replace("(frozen=True)", ""), "a source, Noise of "),
    "sink": ("from triptych.run.sinks import Sink\n\nclass Mine(Sink):\n    run = 0\n", "write @dataclass above"),
    "no mapping": ("RECIPES = 3\n", "RECIPES of"),
    "no recipe": ("RECIPES = {'x': 3}\n", "holds int under 'x'"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_plugin_is_one_line(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, said = BAD[kind]
    (tmp_path / "mine.py").write_text(text)
    words = ["--plugin", str(tmp_path / "mine.py"), "train", "gan-8gaussians", *TINY, "--out", str(tmp_path / "run")]
    err = refused(capsys, *words)
    assert said in err
    assert str(tmp_path / "mine.py") in err
    assert [p.name for p in tmp_path.iterdir()] == ["mine.py"]


def test_plugins_that_are_not_there_or_no_plugins(
    tmp_path: Path, own: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tmp_path / "own", tmp_path / "two")
    for words, said in (
        (["--plugin", str(tmp_path / "none.py")], "there is no plug-in"),
        (["--plugin", str(tmp_path)], "is no plug-in"),
        (["--plugin", "no_such_module_of_anybody"], "there is no module"),
        (["--plugin"], "names no plug-in"),
        (["--plugin="], "is no plug-in"),
        (["--plugin", "--debugging"], "names no plug-in"),
        ([*own[:2], "--plugin", str(tmp_path / "two" / "moments.py")], "two plug-ins are named moments"),
    ):
        assert said in refused(capsys, "recipes", *words)
    assert main(["recipes", *own, *own]) == 0, "one that is named twice is one"


def test_a_run_says_which_plugin_it_lacks(
    tmp_path: Path, own: list[str], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """None is imported for a run's sake, even where it lies in the current folder under the name the run gives."""
    for argv in (["sample", str(run), "--out", str(tmp_path / "x.npy")], ["resume", str(run)], ["evaluate", str(run)]):
        err = refused(capsys, *argv)
        assert "needs the plug-in moments (sha256 " in err
        assert "give --plugin moments.py" in err
        assert "affine" in refused(capsys, *argv, *own[:2])
    assert not (tmp_path / "x.npy").exists()
    asked = json.loads((run / "recipe.json").read_text())
    for wrong in (3, [3], [{"name": 3}], [{"name": "moments", "sha256": 3}]):
        (run / "recipe.json").write_text(json.dumps({**asked, "plugins": wrong}))
        assert "'plugins'" in refused(capsys, "sample", str(run), "--out", str(tmp_path / "x.npy"), *own)


def test_a_plugin_that_changed_may_sample_but_not_go_on(
    tmp_path: Path, own: list[str], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "own" / "moments.py"
    file.write_text(file.read_text() + "\n# changed\n")
    assert main(["sample", str(run), *own, "--out", str(tmp_path / "x.npy")]) == 0
    err = capsys.readouterr().err
    assert err.startswith("note: ")
    assert err.count("\n") == 1
    assert "the plug-in moments has changed: its sha256 was " in err
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    err = refused(capsys, "resume", str(run), *own, "--train.images", "1024")
    assert "the plug-in moments has changed" in err
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before


def test_a_study_requires_plugins_by_name(tmp_path: Path, own: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Its processes get the same ones."""
    study = tmp_path / "mine.yaml"
    study.write_text("plugins: [recipe]\nseeds: 1\nyardsticks: false\nsamples: 200\nrecipes:\n  - gan-mine\n")
    asked = ["study", str(study), "--out", str(tmp_path / "out"), "--jobs", "1", "--device", "cpu"]
    err = refused(capsys, *asked)
    assert "mine.yaml line 1: the plug-in recipe is not here" in err
    study.write_text("plugins: [recipe.py]\nseeds: 1\nrecipes:\n  - gan-mine\n")
    assert "the plug-in recipe.py is not here; did you mean recipe?" in refused(capsys, *asked, *own)
    study.write_text("seeds: 1\nplugins: recipe\nrecipes:\n  - gan-mine\n")
    assert "line 2: `plugins:` is not a list" in refused(capsys, *asked)
    assert not (tmp_path / "out").exists()
    study.write_text(
        "plugins: [recipe]\nseeds: 1\nyardsticks: false\nsamples: 200\nrecipes:\n  - {recipe: gan-mine, data: noise}\n"
    )
    assert main([*asked, *own]) == 0, capsys.readouterr().err
    (done,) = (tmp_path / "out").glob("*/eval.json")
    assert "mean_error" in json.loads(done.read_text()), "a process of the study knows the stranger's metric"


def test_a_network_whose_making_looks_at_values_is_trained(
    tmp_path: Path, own: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The forecast counts its weights without memory where it can: `linspace(...).tolist()` knows none there."""
    network = tmp_path / "own" / "affine.py"
    looks = strangers.NETWORK.replace("nn.Linear(self.latent,", "nn.Linear(int(torch.tensor(self.latent)),")
    network.write_text(looks.replace("from torch import nn", "import torch\nfrom torch import nn"))
    assert main([*own, *SWAPPED, "--out", str(tmp_path / "looks")]) == 0, capsys.readouterr().err
    network.write_text(strangers.NETWORK)
    assert main([*own, *SWAPPED, "--out", str(tmp_path / "plain")]) == 0, capsys.readouterr().err
    weights = [next((tmp_path / name / "checkpoints").glob("*.safetensors")) for name in ("looks", "plain")]
    assert weights[0].read_bytes() == weights[1].read_bytes(), "the forecast takes no random number of the training's"


def as_package(folder: Path, value: str = "strange_parts", text: str | None = None) -> dict[str, str]:
    """The environment of a process that has an installed package with these parts."""
    strangers.write(folder / "strange_parts")
    (folder / "strange_parts" / "__init__.py").write_text('"""Parts of a package."""\n' if text is None else text)
    info = folder / "strange-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[triptych.parts]\nodd = {value}\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


def child(env: dict[str, str], *argv: str) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-m", "triptych", *argv], env=env, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_an_installed_package_brings_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env = as_package(tmp_path / "site")
    run = tmp_path / "run"
    status, _, err = child(env, *SWAPPED, "--data", "noise", "--out", str(run))
    assert (status, err) == (0, "")
    asked = json.loads((run / "recipe.json").read_text())
    assert asked["plugins"] == [{"name": "strange_parts", "package": "strange", "version": "1.5"}]
    assert "needs the plug-in strange_parts (package strange 1.5)" in refused(capsys, "resume", str(run))
    info = tmp_path / "site" / "strange-1.5.dist-info" / "METADATA"
    info.write_text(info.read_text().replace("1.5", "1.6"))
    status, _, err = child(env, "resume", str(run), "--train.images", "1024")
    assert status == 2
    assert err.count("\n") == 1
    assert "its version was 1.5 and is 1.6" in err


@pytest.mark.parametrize(
    ("value", "text", "said"),
    [
        ("strange_parts", "import no_such_module_of_anybody\n", "the plug-in odd of the installed package strange 1.5"),
        ("strange_parts:parts", None, "and a plug-in is a module"),
        ("strange_parts", strangers.METRIC.replace("MeanError", "RoundTrip"), "two metrics are named RoundTrip"),
    ],
)
def test_a_bad_installed_package_is_one_line(tmp_path: Path, value: str, text: str | None, said: str) -> None:
    env = as_package(tmp_path / "site", value, text)
    status, out, err = child(env, "train", "gan-8gaussians", *TINY, "--out", str(tmp_path / "run"))
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert not (tmp_path / "run").exists()


FAILING = '''
from dataclasses import dataclass

from triptych.core import Metric, Quantity


@dataclass(frozen=True)
class Fails(Metric):
    """Raises."""

    quantities = {"fails": Quantity("What fails", "lower")}

    def applies(self, comparison):
        return ""

    def __call__(self, comparison):
        raise RuntimeError("my\\nbug")

    def along(self, comparison):
        return {"fails": 1 / 0}


@dataclass(frozen=True)
class Bare(Metric):
    """A number that is no Value."""

    quantities = {"bare": Quantity("A bare number", "lower")}

    def applies(self, comparison):
        return ""

    def __call__(self, comparison):
        return {"bare": 1.0}
'''


def test_a_metric_that_fails_loses_its_own_numbers_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(FAILING)
    words = ["--plugin", str(tmp_path / "mine.py")]
    assert main(["train", "gan-8gaussians", *TINY, "--out", str(tmp_path / "run"), *words]) == 0
    out, err = capsys.readouterr()
    failed = f"the metric Fails of {tmp_path / 'mine.py'} failed: "
    assert (out + err).count(f"{failed}ZeroDivisionError: division by zero (mine.py:20)") == 1, "while training, once"
    assert main(["evaluate", str(tmp_path / "run"), "-n", "200", *words]) == 0
    err = capsys.readouterr().err
    assert f"warning: {failed}RuntimeError: my bug (mine.py:17)\n" in err
    assert f"warning: the metric Bare of {tmp_path / 'mine.py'} failed: TypeError: it returns float as 'bare'; " in err
    found = json.loads((tmp_path / "run" / "eval.json").read_text())
    assert found["fails"]["value"] is None
    assert "RuntimeError: my bug" in found["fails"]["note"]
    assert found["bare"]["value"] is None
    assert found["sliced_wasserstein"]["value"] is not None
