"""A collection in shards, and what they make together: what one process would have made."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from tests.picture_files import png
from triptych import data
from triptych.cli import main
from triptych.core.preparation import Preparation
from triptych.data.prepare.results import Results
from triptych.data.prepare.shards import Shard
from triptych.errors import UserError
from triptych.study import elsewhere
from triptych.study.executor import Executor, Worker
from triptych.study.in_shards import make_shards
from triptych.study.jobs import Work


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of two classes; the first and the last of all are broken, and one in between."""
    here = tmp_path / "pictures"
    for kind in ("cat", "dog"):
        (here / kind).mkdir(parents=True)
        for i in range(5):
            (here / kind / f"{i}.png").write_bytes(png(i))
    for broken in ("cat/0.png", "cat/3.png", "dog/4.png"):
        (here / broken).write_bytes(b"\x89PNG broken")
    (here / "note.txt").write_text("not a picture")
    return here


def contents(folder: str) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in Path(folder).iterdir()}


def prepare(folder: Path, *words: str) -> int:
    return main(["data", "prepare", str(folder), "--resolution", "4", *words])


@pytest.mark.parametrize("n", [1, 3, 11])
def test_shards_make_the_same_set(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], n: int
) -> None:
    whole = data.load(folder, resolution=4)
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "other"))
    for i in range(n, 0, -1):
        assert prepare(folder, "--shard", f"{i}/{n}") == 0
        assert f"of shard {i} of {n} prepared" in capsys.readouterr().out
    assert prepare(folder, "--shard", f"1/{n}") == 0  # again: it is there already
    assert main(["data", "merge", str(folder), "--resolution", "4"]) == 0
    merged = data.load(folder, resolution=4)
    assert merged.fingerprint == whole.fingerprint
    assert Path(merged.about["folder"]).is_relative_to(tmp_path / "other")
    assert contents(merged.about["folder"]) == contents(whole.about["folder"])
    assert not list((tmp_path / "other" / "prepared" / "shards").iterdir())


def test_a_shard_that_is_missing_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    merge = ["data", "merge", str(folder), "--resolution", "4"]
    assert main(merge) == 2
    assert "has no shards in" in capsys.readouterr().err
    assert prepare(folder, "--shard", "1/2") == 0
    assert main(merge) == 2
    assert "shard 2 of 2 of pictures is not prepared; run `triptych data prepare" in capsys.readouterr().err
    assert prepare(folder, "--shard", "2/2") == 0
    assert main(merge) == 0


def test_what_is_no_collection_has_no_shards(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "prepare", "8gaussians", "--shard", "1/2"]) == 2
    assert "8gaussians is no collection of encoded pictures; prepare it without shards" in capsys.readouterr().err


class Elsewhere(Executor):
    """Carries orders out in this process, as another machine would; `blind` to the folders of this one."""

    def __init__(self, *, blind: bool = False) -> None:
        super().__init__(2, "cpu", 1)
        self.blind = blind

    def worker(self, log: Path, at_once: int) -> Worker:
        return Machine(self.blind)


class Machine(Worker):
    gone = False
    lock = threading.Lock()

    def __init__(self, blind: bool) -> None:
        self.blind = blind

    def ask(self, job: Work, log: Path) -> tuple[str, str]:
        with elsewhere.order(job, "cpu") as line, self.lock:
            told = json.loads(line) | ({"mark": str(log / "not seen there")} if self.blind else {})
            return elsewhere.taken(elsewhere.done(json.dumps(told)), job, log)

    def end(self) -> None:
        pass


def test_an_executor_makes_shards_that_are_put_together(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = data.load(folder, resolution=4)
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "other"))
    make_shards(str(folder), Preparation(resolution=4), 3, Elsewhere())
    assert "pictures: 3 files of shard 1 of 3 prepared" in capsys.readouterr().err
    assert main(["data", "merge", str(folder), "--resolution", "4"]) == 0
    merged = data.load(folder, resolution=4)
    assert contents(merged.about["folder"]) == contents(whole.about["folder"])
    assert not list((tmp_path / "other" / "prepared" / "shards").iterdir())
    make_shards(str(folder), Preparation(resolution=4), None, Elsewhere())
    assert "prepared already" in capsys.readouterr().err


def test_a_machine_without_the_cache_makes_no_shard(folder: Path) -> None:
    with pytest.raises(UserError, match=r"2 of 2 shards were not made; number \d: .* does not see .*prepared/shards"):
        make_shards(str(folder), Preparation(resolution=4), 2, Elsewhere(blind=True))


@pytest.mark.long
@pytest.mark.parametrize("on", [["--shards", "2"], ["--on", "slurm", "--slurm.cluster", "local", "--shards", "2"]])
def test_places_make_the_same_set(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on: list[str]) -> None:
    pytest.importorskip("submitit")
    whole = data.load(folder, resolution=4)
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "other"))
    assert prepare(folder, *on) == 0
    assert contents(data.load(folder, resolution=4).about["folder"]) == contents(whole.about["folder"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["8gaussians", "--shards", "2"], "8gaussians is no collection of encoded pictures; leave --on and --shards"),
        (["pictures", "--shards", "0"], "--shards is 0; give 1 to 10,000"),
        (["pictures", "--on", "nowhere"], "--on is 'nowhere'; give local, ray"),
        (["pictures", "--on", "ray", "--shard", "1/2"], "--shard prepares one part, here"),
        (["nothing", "--on", "ray"], "no data set is named 'nothing'"),
    ],
)
def test_what_cannot_be_prepared_elsewhere_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    monkeypatch.chdir(folder.parent)
    assert main(["data", "prepare", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("text", ["2", "0/2", "3/2", "a/b", "1/", "-1/2"])
def test_a_number_that_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="give its number and how many there are"):
        Shard.read(text)


def test_results_are_kept_as_they_are() -> None:
    told = [
        {"sha256": "ab" * 32, "size": [7, 5], "notes": ["grey made RGB"]},
        {"skipped": "unreadable: x"},
        {"sha256": "00" * 32, "skipped": "too large"},
    ]
    results = Results(5)
    results.update(enumerate(told))
    assert [results[i] for i in results] == told
    assert len(results) == 3
    assert 3 not in results
    assert results.kept.tolist() == [0]
