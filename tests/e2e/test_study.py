"""`triptych study` as a user meets it: runs, report, a kill in the middle, a run that fails."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from triptych.cli import main
from triptych.recipes import get
from triptych.study import Study
from triptych.study.runner import run_study

FILE = """\
name: tiny
seeds: 2
yardsticks: false
samples: 64
recipes:
  - {recipe: gan-25gaussians, train.images: 2048, model.width: 16}
  - {recipe: wgan-gp-25gaussians, train.images: 4096, model.width: 16}
"""


def command(*words):
    return [sys.executable, "-m", "triptych", *map(str, words)]


def states(out):
    return [r["state"] for r in json.loads((out / "study.json").read_text())["runs"]]


def finished(out):
    return {f.parent for f in out.glob("*/status.json") if json.loads(f.read_text())["state"] == "done"}


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for left-over processes in /proc")
def test_a_killed_study_goes_on_with_what_is_missing(tmp_path):
    file, out = tmp_path / "tiny.yaml", tmp_path / "out"
    file.write_text(FILE)
    process = subprocess.Popen(command("study", file, "--out", out, "--jobs", "1"), stderr=subprocess.DEVNULL)
    until = time.monotonic() + 240
    while len(finished(out)) < 2 and time.monotonic() < until and process.poll() is None:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    while workers_of(out) and time.monotonic() < until:
        time.sleep(0.05)
    assert not workers_of(out), "workers end with the study"
    done = finished(out)
    assert 2 <= len(done) < 4
    before = {p: (p / "metrics.jsonl").stat().st_mtime_ns for p in done}
    again = subprocess.run(command("study", file, "--out", out, "--jobs", "2"), capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert states(out) == ["done"] * 4
    assert {p: (p / "metrics.jsonl").stat().st_mtime_ns for p in done} == before
    assert len([p for p in out.iterdir() if (p / "recipe.json").exists()]) == 4
    assert "tiny" in (out / "report.html").read_text()
    assert (out / "report.csv").read_text().startswith("data,")
    assert all((p / "interpolation" / "linear.png").is_file() for p in done)


def workers_of(out):
    """Processes whose working files are under `out`: a worker holds its log open."""
    found = []
    for fd in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = str(fd.readlink())
        except OSError:
            continue
        if target.startswith(str(out / "logs")):
            found.append(fd.parts[2])
    return found


def test_a_failed_run_does_not_stop_the_others(tmp_path, capsys):
    file, out = tmp_path / "mixed.yaml", tmp_path / "out"
    file.write_text(
        "name: mixed\nseeds: 1\nyardsticks: false\nsamples: 64\nrecipes:\n"
        "  - {recipe: gan-25gaussians, train.images: 512, model.width: 8, train.lr: 1.0e+30}\n"
        "  - {recipe: vae-25gaussians, train.images: 512, train.batch: -1}\n"
        "  - {recipe: lsgan-25gaussians, train.images: 512, model.width: 8}\n"
    )
    assert main(["study", str(file), "--out", str(out), "--jobs", "1"]) == 0
    assert states(out) == ["diverged", "failed", "done"]
    told = capsys.readouterr().err
    assert "train.batch" in told
    page = (out / "report.html").read_text()
    assert "diverged" in page
    assert "never began" in page
    assert "nothing can be tested" in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["study", "toyz"], "did you mean toys"),
        (["study", "nothing.yaml"], "not a file"),
        (["study", "toys", "--seeds", "0"], "at least 1"),
        (["study", "toys", "--jobs", "0"], "at least 1"),
        (["report"], "report"),
        (["report", "nowhere"], "does not exist"),
        (["report", "."], "not a run"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert not list(tmp_path.iterdir())


def test_another_number_of_samples_judges_again(tmp_path):
    recipe = get("gan-25gaussians")
    recipe = replace(recipe, model=replace(recipe.model, width=8), train=replace(recipe.train, images=256))
    study = Study("tiny", (recipe,), seeds=1, samples=100, yardsticks=False)
    (outcome,) = run_study(study, tmp_path, 1, "cpu", progress=False)
    run = outcome.job.path
    trained = (run / "metrics.jsonl").read_bytes()

    def judged():
        return json.loads((run / "eval.json").read_text())["modes"]["n"]

    assert judged() == 100
    run_study(replace(study, samples=200), tmp_path, 1, "cpu", progress=False)
    assert judged() == 200
    assert (run / "metrics.jsonl").read_bytes() == trained
