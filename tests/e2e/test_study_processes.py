"""The processes of a study: what strangers put in their way, what chatters, what dies, what is told to end."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from triptych.cli import main
from triptych.recipes import get
from triptych.study import Study
from triptych.study.local import understood
from triptych.study.runner import run_study

ACTS = "import os; open(os.environ['ACTED'], 'a').write(__file__)\nraise SystemExit(7)\n"
TINY = (
    "name: tiny\nseeds: 1\nyardsticks: false\nsamples: 64\nrecipes:\n"
    "  - {recipe: gan-25gaussians, train.images: 256, model.width: 8}\n"
)


def tiny(*lr):
    recipe = get("gan-25gaussians")
    recipes = [
        replace(recipe, model=replace(recipe.model, width=8), train=replace(recipe.train, images=256, lr=each))
        for each in lr or (1e-3,)
    ]
    return Study("tiny", tuple(recipes), seeds=1, samples=64, yardsticks=False)


@pytest.fixture
def customize(tmp_path, monkeypatch):
    """Code that Python runs at the start of every process from here on."""

    def write(code):
        folder = tmp_path / "custom"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(
            f"import sys\nif 'triptych.study.worker' in sys.orig_argv:\n    import os\n    {code}\n", encoding="utf-8"
        )
        monkeypatch.setenv("PYTHONPATH", str(folder))

    return write


@pytest.mark.parametrize("way", [["-P", "-m", "triptych"], ["-m", "triptych"]])
def test_what_lies_in_the_current_folder_is_not_run(tmp_path, way):
    """Workers of studies and of `data prepare`; with `python -m` Python itself takes a `triptych` from there."""
    here, kept = tmp_path / "here", tmp_path / "kept"
    (here / "pics").mkdir(parents=True)
    kept.mkdir()
    for i in range(3):
        Image.new("RGB", (16, 16), (i, 0, 0)).save(here / "pics" / f"{i}.png")
    hostile = ["torch", "queue", "numpy", "PIL", "subprocess", "runpy", *(["triptych"] if "-P" in way else [])]
    for name in hostile:
        (here / f"{name}.py").write_text(ACTS, encoding="utf-8")
    for name in ("torch", "PIL", *hostile[6:]):
        (here / name).mkdir()
        (here / name / "__init__.py").write_text(ACTS, encoding="utf-8")
    (here / "tiny.yaml").write_text(TINY, encoding="utf-8")
    (kept / "sitecustomize.py").write_text("import os; os.environ['KEPT'] = '1'\n", encoding="utf-8")
    env = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    env |= {"PYTHONPATH": str(kept), "ACTED": str(tmp_path / "acted"), "TRIPTYCH_CACHE": str(tmp_path / "cache")}
    for argv in (["data", "prepare", "pics"], ["study", "tiny.yaml", "--out", "out", "--jobs", "1"]):
        if "-P" not in way:
            (here / "runpy.py").unlink(missing_ok=True)  # Python's own -m imports it before anything of ours
        done = subprocess.run([sys.executable, *way, *argv], cwd=here, env=env, capture_output=True, text=True)
        assert not (tmp_path / "acted").exists(), (tmp_path / "acted").read_text(encoding="utf-8")
        assert done.returncode == 0, done.stderr
    assert (here / "out" / "report.html").is_file()


def test_chatter_on_standard_output_goes_to_the_log(tmp_path, customize):
    customize(
        """
    import threading, time
    os.write(1, b'no line end')
    def chatter():
        while True:
            os.write(1, b'chatter\\n{"run": 3}\\n[1]\\n')
            time.sleep(0.01)
    threading.Thread(target=chatter, daemon=True).start()""".strip()
    )
    outcomes = run_study(tiny(1e-3, 2e-3), tmp_path / "out", 1, "cpu", progress=False)
    assert [o.state for o in outcomes] == ["done", "done"], outcomes
    for outcome in outcomes:
        log = tmp_path / "out" / "logs" / f"{outcome.job.path.name}.txt"
        assert b'chatter\n{"run": 3}' in log.read_bytes()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('the reason', file=sys.stderr); sys.stderr.flush(); os._exit(3)", "status 3"),
        ("os.kill(os.getpid(), 9)", "SIGKILL (out of memory?)"),
        # the output stays open in another process
        ("import subprocess; subprocess.Popen(['sleep', '20'], stdin=subprocess.DEVNULL); os._exit(4)", "status 4"),
        ("sys.modules['torch'] = None", "ModuleNotFoundError"),
    ],
)
def test_a_process_that_dies_costs_its_run_and_says_why(tmp_path, customize, code, said):
    customize(code)
    began = time.monotonic()
    outcomes = run_study(tiny(1e-3, 2e-3), tmp_path / "out", 2, "cpu", progress=False)
    assert time.monotonic() - began < 15
    assert [o.state for o in outcomes] == ["failed", "failed"]
    assert all(said in o.message and "logs" in o.message for o in outcomes), outcomes
    assert "reason" not in code or "the reason" in outcomes[0].message
    told = json.loads((tmp_path / "out" / "study.json").read_bytes())
    assert [r["state"] for r in told["runs"]] == ["failed", "failed"]


def test_a_process_that_cannot_be_started_is_a_failed_run(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    (outcome,) = run_study(tiny(), tmp_path / "out", 1, "cpu", progress=False)
    assert outcome.state == "failed"
    assert "no process could work on it" in outcome.message


def test_what_a_kill_left_of_a_study_is_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    (tmp_path / "out").mkdir()
    for name in ("study.json", "report.html", "report.csv"):
        (tmp_path / "out" / f".{name}.{'0' * 16}.part").touch()
    run_study(tiny(), tmp_path / "out", 1, "cpu", progress=False)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["logs", "study.json"]


def test_logs_are_not_written_through_links(tmp_path):
    study, out = tiny(), tmp_path / "out"
    (job,) = study.jobs(out)
    (out / "logs").mkdir(parents=True)
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    (out / "logs" / f"{job.path.name}.txt").symlink_to(tmp_path / "mine")
    (outcome,) = run_study(study, out, 1, "cpu", progress=False)
    assert outcome.state == "failed"
    assert "is a link" in outcome.message
    assert (tmp_path / "mine").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    "line", ["", "text", "[]", "3", "{}", '{"run": 1}', '{"run": "a", "state": "odd", "message": ""}', "[" * 100_000]
)
def test_what_is_no_answer(line):
    assert understood(line) is None


@pytest.mark.skipif(os.name == "nt", reason="no signals there")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_study_and_the_same_command_goes_on(tmp_path, number, status):
    text = TINY.replace("seeds: 1", "seeds: 2").replace("256", "400_000")
    (tmp_path / "tiny.yaml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "triptych", "study", "tiny.yaml", "--out", "out", "--jobs", "1"]
    # of a shell's background job interrupts are ignored, also in its children
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    until = time.monotonic() + 60
    while not list(tmp_path.glob("out/*/checkpoints/*.safetensors")) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert number == signal.SIGINT or "the same command goes on" in err
    assert "Traceback" not in err
    (run,) = tmp_path.glob("out/gan-*")
    assert not workers_below(tmp_path / "out")
    assert json.loads((run / "status.json").read_bytes())["state"] == "running"
    assert [r["state"] for r in json.loads((tmp_path / "out" / "study.json").read_bytes())["runs"]] == ["waiting"] * 2


def workers_below(out):
    """Processes that hold a log of the study open."""
    found = []
    for fd in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            found += [fd] if str(fd.readlink()).startswith(str(out)) else []
        except OSError:
            continue
    return found


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_study_in_a_folder_of_any_name(tmp_path, capfd):
    out = tmp_path / os.fsdecode(b"caf\xe9 [/x]\n'q' \x1b[31m")
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY, encoding="utf-8")
    assert main(["study", str(file), "--out", str(out), "--jobs", "1", "--device", "cpu"]) == 0
    said, err = capfd.readouterr()
    assert "\x1b" not in said + err
    assert "caf\\xe9 [/x]" in said
    assert [r["state"] for r in json.loads((out / "study.json").read_bytes())["runs"]] == ["done"]
    page = (out / "report.html").read_bytes().decode()
    assert r"caf\xe9 [/x]\x0a\&#39;q\&#39; \x1b[31m/gan" in page
    assert "caf\\xe9 [/x]" in (out / "report.csv").read_bytes().decode()
