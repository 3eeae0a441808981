"""Trackers: every number of the log is read back by the tracker's own reader, and none of them stops a training.

mlflow and trackio want environments of their own; `nox -s trackers` makes them, elsewhere their tests are skipped.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_runs import make_run, picture_recipe, toy_recipe

from triptych.cli import main
from triptych.run import Run, follow
from triptych.run.sinks import trackers

Found = tuple[dict[tuple[str, int], float], int]
"""Values by name and images, and how many pictures there are."""


def needed(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed here")


def from_tensorboard(run: Run) -> Found:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = next((run.path.parent / "trackers" / "tensorboard").glob(f"*/{run.name}"))
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0}).Reload()
    values = {(tag, e.step): e.value for tag in events.Tags()["scalars"] for e in events.Scalars(tag)}
    return values, sum(len(events.Images(tag)) for tag in events.Tags()["images"])


def from_wandb(run: Run) -> Found:
    """From the file that `wandb sync` sends: its own messages, in blocks of 32 KiB as LevelDB's logs are."""
    code = """
import json, struct, sys
from wandb.proto.wandb_internal_pb2 import Record
content, at, rows, record = open(sys.argv[1], "rb").read(), 7, [], b""
while at + 7 <= len(content):
    if 32768 - at % 32768 < 7:
        at += 32768 - at % 32768
        continue
    length, kind = struct.unpack("<HB", content[at + 4 : at + 7])
    record += content[at + 7 : at + 7 + length]
    at += 7 + length
    if kind in (1, 4):
        message = Record()
        message.ParseFromString(record)
        record = b""
        if message.WhichOneof("record_type") == "history":
            rows.append({i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in message.history.item})
print(json.dumps(rows))
"""
    file = next((run.path.parent / "trackers" / "wandb").glob(f"offline-run-*/run-{trackers.shown(run).id}.wandb"))
    command = [sys.executable, "-W", "ignore", "-c", code, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    values, pictures = {}, 0
    for row in json.loads(done.stdout):
        for key, value in row.items():
            if key == "samples/_type":
                pictures += 1
            elif not key.startswith(("_", "samples/")) and key != "images":
                values[key, row["images"]] = math.nan if value == "NaN" else float(value)
    return values, pictures


def from_mlflow(run: Run) -> Found:
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{run.path.parent / 'trackers' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("triptych").experiment_id
    (found,) = client.search_runs([experiment], f"tags.`mlflow.runName` = '{run.name}'")
    keys, one = found.data.metrics, found.info.run_id
    values = {(k, m.step): m.value for k in keys for m in client.get_metric_history(one, k)}
    pictures = [f.path for f in client.list_artifacts(one, "images") if f.path.endswith(".png")]
    return values, len(pictures)


def from_trackio(run: Run) -> Found:
    from trackio.sqlite_storage import SQLiteStorage

    values, pictures = {}, 0
    for row in SQLiteStorage.get_logs("triptych", f"{run.name}-{trackers.shown(run).id[:6]}"):
        for key, value in row.items():
            if isinstance(value, dict):
                pictures += 1
            elif key not in ("timestamp", "step"):
                values[key, row["step"]] = float("nan" if value is None else value)
    return values, pictures


READERS = {"tensorboard": from_tensorboard, "wandb": from_wandb, "mlflow": from_mlflow, "trackio": from_trackio}


@pytest.fixture
def quiet(monkeypatch, tmp_path):
    """Nothing of the person's own settings, and no server asked."""
    for name in list(os.environ):
        if name.startswith(("WANDB", "MLFLOW", "TRACKIO")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.setenv("HOME", str(tmp_path))


def two_runs(folder: Path) -> list[Run]:
    """Two seeds whose logs have everything a log may have: lists, and numbers that were not finite."""
    runs = []
    for seed in (0, 1):
        run = make_run(folder / f"seed{seed}", picture_recipe(), seed, points=6)
        run.append({"images": 12_000, "step": 47, "seconds": 7.0, "critic_loss": None, "kl_per_dim": [0.5, 1e-9, 3.0]})
        runs.append(run)
    return runs


def logged(run: Run) -> dict[tuple[str, int], float]:
    found: dict[tuple[str, int], float] = {}
    for line in run.lines():
        for key, value in line.items():
            for i, one in enumerate(value if isinstance(value, list) else [value]):
                name = f"{key}/{i}" if isinstance(value, list) else key
                found[name, line["images"]] = math.nan if one is None else float(one)
    return {(k, i): v for (k, i), v in found.items() if k != "images"}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.filterwarnings("ignore")
def test_all_numbers_are_read_back_by_the_trackers_own_reader(name, quiet, tmp_path):
    needed(name)
    runs = two_runs(tmp_path / "runs")
    said: list[str] = []
    assert follow.follow(runs, trackers.by_name([name]), said.append) == 14
    assert said == []
    for run in runs:
        values, pictures = READERS[name](run)
        wanted = logged(run)
        if name == "trackio":  # the step is its own axis there
            wanted = {(k, i): v for (k, i), v in wanted.items() if k != "step"}
        assert set(values) >= set(wanted)
        kept = np.float32 if name == "tensorboard" else float
        for key, value in wanted.items():
            assert kept(values[key]) == kept(value) or (math.isnan(value) and math.isnan(values[key])), key
        assert pictures == len(list((run.path / "samples").glob("*.png")))


@pytest.mark.filterwarnings("ignore")
def test_seeds_have_a_row_for_their_mean_and_interval(quiet, tmp_path):
    needed("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    runs = two_runs(tmp_path / "runs")
    follow.follow(runs, trackers.by_name(["TensorBoard"]), print)
    (group,) = (tmp_path / "runs" / "trackers" / "tensorboard").iterdir()
    assert sorted(p.name for p in group.iterdir()) == ["mean of 2 seeds", "seed0", "seed1"]
    events = EventAccumulator(str(group / "mean of 2 seeds")).Reload()
    a, b = (run.lines()[2]["critic_loss"] for run in runs)
    mean, low, high = (events.Scalars(f"critic_loss{end}")[2].value for end in ("", "/low", "/high"))
    assert mean == pytest.approx((a + b) / 2)
    assert high - mean == pytest.approx(12.7062 * abs(a - b) / 2, rel=1e-4)  # Student's t of one degree of freedom
    assert mean - low == pytest.approx(high - mean, rel=1e-4)


TINY = ["--train.images", "640", "--train.batch", "64", "--model.width", "8", "--device", "cpu"]


@pytest.mark.filterwarnings("ignore")
def test_a_tracker_that_dies_in_the_middle_stops_no_training(quiet, tmp_path, capsys, monkeypatch):
    needed("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    real, calls = SummaryWriter.add_scalar, []

    def dying(self, *args, **options):
        calls.append(args)
        if len(calls) > 20:
            raise OSError(28, "No space left on device")
        real(self, *args, **options)

    monkeypatch.setattr(SummaryWriter, "add_scalar", dying)
    assert main(["train", "gan-8gaussians", *TINY, "--track", "tensorboard", "--out", str(tmp_path / "r")]) == 0
    assert Run(tmp_path / "r").finished
    out, err = capsys.readouterr()
    assert (out + err).count("TensorBoard failed") == 1


@pytest.mark.filterwarnings("ignore")
def test_a_run_that_is_followed_while_it_is_trained(quiet, tmp_path):
    """The follower begins before the training does, and ends after it."""
    needed("tensorboard")
    run = make_run(tmp_path / "r", toy_recipe(), state="running", points=2)
    code = f"""
import sys, time
from triptych.run import Run
from triptych.system.locks import exclusive
run = Run({str(run.path)!r})
with exclusive(run.path / ".lock"):
    print("held", flush=True)
    sys.stdin.readline()
    run.append({{"images": 20000, "step": 99, "seconds": 9.0}})
    run.set_status(state="done")
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout.readline() == "held\n"

        def say(text: str) -> None:
            assert "following" in text
            training.stdin.write("go\n")
            training.stdin.flush()

        assert follow.follow([run], trackers.by_name(["tensorboard"]), say) == 3
    assert from_tensorboard(run)[0]["step", 20000] == 99


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["track", "r", "--to", "tensorbord"], "no tracker is named 'tensorbord'; did you mean tensorboard?"),
        (["track", "nowhere", "--to", "tensorboard"], "nowhere does not exist"),
        (["train", "gan-8gaussians", *TINY, "--track", "absent", "--out", "x"], "no tracker is named 'absent'"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(argv, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "r", toy_recipe(), pictures=False)
    before = sorted(tmp_path.rglob("*"))
    assert main(argv) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_tracker_that_is_not_installed_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert main(["train", "gan-8gaussians", "--track", "mlflow"]) == 2
    assert "pip install mlflow" in capsys.readouterr().err


OWN = '''
from dataclasses import dataclass

from triptych.run.sinks.trackers import Tracker


@dataclass
class Plain(Tracker):
    """A text file of its own, which needs no library."""

    digits: int = 3

    def start(self):
        self.file = (self.shown.folder.parent / f"{self.shown.name}.txt").open("w")

    def scalars(self, images, step, values):
        self.file.write(f"{images} {step:.{self.digits}f}\\n")

    def close(self):
        self.file.close()


@dataclass(eq=False, init=False)
class Fails(Tracker):
    """Nobody listens."""

    def start(self):
        raise OSError("nobody listens")

    def scalars(self, images, step, values):
        pass


@dataclass
class Late(Tracker):
    """Fails at the last moment."""

    def scalars(self, images, step, values):
        pass

    def close(self):
        raise OSError("line cut")
'''


@pytest.fixture
def own(tmp_path) -> list[str]:
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    return ["--plugin", str(tmp_path / "own.py")]


def test_a_tracker_of_ones_own_is_a_plain_dataclass_without_a_library(own, tmp_path, capsys):
    run = make_run(tmp_path / "r", toy_recipe(), pictures=False)
    assert main([*own, "track", str(run.path), "--to", "plain"]) == 0
    assert len((tmp_path / "r.txt").read_text().splitlines()) == len(run.lines())
    out, err = capsys.readouterr()
    assert f"{len(run.lines())} lines of 1 run: plain" in out
    assert err == ""
    assert main([*own, "train", "gan-8gaussians", *TINY, "--track", "plain", "--out", str(tmp_path / "s")]) == 0
    assert len((tmp_path / "s.txt").read_text().splitlines()) == len(Run(tmp_path / "s").lines())


@pytest.mark.parametrize(("name", "reason"), [("fails", "Fails (nobody listens)"), ("late", "Late (line cut)")])
def test_a_tracker_that_failed_is_an_error_after_the_others(name, reason, own, tmp_path, capsys):
    run = make_run(tmp_path / "r", toy_recipe(), pictures=False)
    assert main([*own, "track", str(run.path), "--to", "plain", name]) == 2
    out, err = capsys.readouterr()
    assert "lines of" not in out
    assert err.splitlines()[-1].startswith(f"error: not everything was sent: {reason} failed; ")
    assert len((tmp_path / "r.txt").read_text().splitlines()) == len(run.lines())
