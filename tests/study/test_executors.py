"""Where the runs of a study are carried out: on other machines, and what is refused."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from triptych.errors import UserError
from triptych.recipes import get
from triptych.study import elsewhere, places
from triptych.study.from_file import read_study
from triptych.study.jobs import Job
from triptych.study.local import Local
from triptych.study.on_ray import check_answers
from triptych.study.on_slurm import OnSlurm, gone_from_queue
from triptych.study.runner import longest_first, run_study
from triptych.study.slurm import Slurm
from triptych.study.study import Study

TINY = tuple(
    replace(recipe, train=replace(recipe.train, images=2560))
    for recipe in (get("gan-8gaussians"), get("realnvp-8gaussians"))
)


def job(path: Path) -> Job:
    return Job(TINY[0], 0, path, judged=False)


def test_of_a_seed_those_begin_first_that_took_longest(tmp_path: Path) -> None:
    jobs = [Job(TINY[0], seed, tmp_path / f"{name}-seed{seed}") for seed in range(3) for name in ("a", "b", "c")]
    took: dict[str, float] = {}
    order = longest_first(jobs, took)
    begun = [next(order).path.name for _ in range(4)]
    assert begun == ["a-seed0", "b-seed0", "c-seed0", "a-seed1"]
    took |= {"a": 5.0, "b": 1.0, "c": 9.0}
    assert [job.path.name for job in order] == ["c-seed1", "b-seed1", "c-seed2", "a-seed2", "b-seed2"]


@pytest.mark.parametrize(
    ("on", "message"),
    [
        ("nowhere", "--on is 'nowhere'; give local, ray, ray://HOST:PORT or slurm"),
        ("ray://nowhere", "'nowhere' is no address of a Ray cluster"),
        ("ray://127.0.0.1:9", r"no Ray cluster answers at 127.0.0.1:9 within 10 s"),
    ],
)
def test_a_place_that_is_not_there_is_refused(tmp_path: Path, on: str, message: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(UserError, match=message), places.executor(on, Slurm(), None, "cpu", tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_no_ray_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself would try to understand it for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(2):
                asked, _ = server.accept()
                with asked:
                    asked.recv(100)
                    asked.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(UserError, match=f"what answers at {address} is no Ray cluster"):
            check_answers(address)
        monkeypatch.setenv("RAY_USE_TLS", "1")  # it begins otherwise
        check_answers(address)


@pytest.mark.parametrize(
    ("sinfo", "message"),
    [
        ("echo 'sinfo: error: fetch_config failed' >&2; echo 'sinfo: fatal: no source' >&2; exit 1", "no source"),
        ("echo cpu; echo gpu", "there is no partition 'fast' in this cluster; it has cpu, gpu"),
    ],
)
def test_a_slurm_that_would_refuse_every_job_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sinfo: str, message: str
) -> None:
    pytest.importorskip("submitit")
    for name, does in (("sinfo", sinfo), ("srun", "true"), ("sbatch", "exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(UserError, match=message) as refused:
        OnSlurm(Slurm(partition="fast"), None, "cpu", tmp_path / "slurm")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "slurm").exists()


@pytest.mark.parametrize(("on", "module"), [("ray", "ray"), ("slurm", "submitit")])
def test_an_extra_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    message = rf"pip install 'triptych\[{on}\]'"
    with pytest.raises(UserError, match=message), places.executor(on, Slurm(), None, "cpu", tmp_path):
        pass


def test_a_run_that_was_made_out_of_sight_is_brought_back(tmp_path: Path) -> None:
    mine = job(tmp_path / "run")
    with elsewhere.order(mine, "cpu") as line:
        hidden = json.loads(line) | {"mark": str(tmp_path / "not seen there")}
        answer = elsewhere.done(json.dumps(hidden))
    assert not mine.path.exists()
    log = tmp_path / "logs" / "run.txt"
    assert elsewhere.taken(answer, mine, log) == ("done", "")
    assert mine.state == "done"
    assert {p.name for p in tmp_path.iterdir()} == {"run", "logs"}
    assert not list((tmp_path / "logs").glob(".*"))


def test_another_version_over_there_is_said(tmp_path: Path) -> None:
    with elsewhere.order(job(tmp_path / "run"), "cpu") as line:
        answer = elsewhere.done(json.dumps(json.loads(line) | {"version": "0"}))
    assert answer["state"] == "failed"
    assert "the study is of 0; install that" in answer["message"]


@pytest.mark.parametrize(
    ("answer", "gone"),
    [
        ("echo RUNNING", False),
        ("true", True),
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", True),
        ("echo 'Unable to contact slurm controller' >&2; exit 1", False),
    ],
)
def test_a_job_that_left_the_queue_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, gone: bool
) -> None:
    squeue = tmp_path / "squeue"
    squeue.write_text(f"#!/bin/sh\n{answer}\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert gone_from_queue("7") is gone
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert not gone_from_queue("7")


# --------------------------------------------------------------------------------------- real clusters


def numbers(folder: Path) -> dict[str, object]:
    """The values of every evaluation under a study's folder, by run."""
    found = {p.parent.name: json.loads(p.read_text()) for p in folder.glob("*/eval.json")}
    return {
        run: {k: v["value"] for k, v in told.items() if isinstance(v, dict) and "value" in v}
        for run, told in found.items()
    }


@pytest.mark.long
def test_jobs_of_slurm_make_what_local_processes_do(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    study = Study("tiny", TINY, seeds=1, samples=200)
    run_study(study, tmp_path / "here", 2, "cpu", progress=False)
    asked = Slurm(cluster="local", minutes=10)
    with places.executor("slurm", asked, 2, "cpu", tmp_path / "there") as place:
        outcomes = run_study(study, tmp_path / "there", progress=False, executor=place)
    assert {o.state for o in outcomes} == {"done"}
    assert numbers(tmp_path / "there") == numbers(tmp_path / "here")


@contextmanager
def nodes(folder: Path, port: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """A cluster of two nodes on this machine, each with one processor. Its processes are ended by their group."""
    ray = Path(sys.executable).with_name("ray")
    program = [str(ray)] if ray.exists() else [sys.executable, "-m", "ray.scripts.scripts"]
    options = "--node-ip-address 127.0.0.1 --num-cpus 1 --object-store-memory 80000000 --disable-usage-stats --block"
    started: list[subprocess.Popen[bytes]] = []
    try:
        for i, role in enumerate((f"--head --port {port} --include-dashboard false", f"--address 127.0.0.1:{port}")):
            words = [*program, "start", *role.split(), *options.split()]
            with (folder / f"node{i}.txt").open("wb") as out:
                started.append(subprocess.Popen(words, stdout=out, stderr=out, start_new_session=True))
            until = time.monotonic() + 120
            while b"Ray runtime started" not in (folder / f"node{i}.txt").read_bytes():
                assert started[-1].poll() is None
                assert time.monotonic() < until
                time.sleep(0.2)
        yield started
    finally:
        for node in started:
            end(node)


def end(node: subprocess.Popen[bytes]) -> None:
    if node.returncode is None:
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()


SEARCH = """
import sys
from dataclasses import replace
from pathlib import Path
from triptych.core.search import Range
from triptych.recipes import get
from triptych.study import places
from triptych.study.slurm import Slurm
from triptych.study.asked import Search
from triptych.study.tune import search

gan, out = get("gan-8gaussians"), Path(sys.argv[2])
gan = replace(gan, train=replace(gan.train, images=2560))
asked = Search((gan,), 4, "sliced_wasserstein", {"train.lr": Range(1e-5, 1e-2, log=True)})
with places.executor(sys.argv[1], Slurm(cluster="local", minutes=10), 2, "cpu", out) as place:
    search(asked, out, progress=False, executor=place)
"""


def searched(on: str, out: Path) -> dict[str, object]:
    """What a small search tried and found, in a process of its own: Ray reads its token once."""
    done = subprocess.run([sys.executable, "-c", SEARCH, on, str(out)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    told = json.loads((out / "tune.json").read_text())["recipes"]["gan-8gaussians"]
    tried = sorted((json.dumps(t["values"]), t["state"], t["value"]) for t in told["tried"])
    return {"tried": tried, "best": told["best"]["values"], "trials": told["trials"]}


@pytest.mark.long
def test_a_search_by_jobs_of_slurm_finds_what_local_processes_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = searched("slurm", tmp_path / "there")
    assert found["trials"] == 4
    assert found == searched("local", tmp_path / "here")


@pytest.mark.long
def test_a_search_on_two_ray_nodes_finds_what_local_processes_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    on_ray(monkeypatch)
    with nodes(tmp_path, 7464):
        found = searched("ray://127.0.0.1:7464", tmp_path / "there")
    assert found == searched("local", tmp_path / "here")


def on_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """One token for all processes of a cluster, which find this package and take a thread each."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(16))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(elsewhere.__file__).parents[2]))


@pytest.mark.long
def test_a_ray_cluster_that_loses_a_node_makes_what_local_processes_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    on_ray(monkeypatch)
    file = tmp_path / "tiny.yaml"
    recipes = [{"recipe": r.name, "train.images": 20480} for r in TINY]
    file.write_text(json.dumps({"name": "tiny", "seeds": 2, "samples": 200, "recipes": recipes}))
    run_study(read_study(str(file)), tmp_path / "here", 2, "cpu", progress=False)
    there, address = tmp_path / "there", "ray://127.0.0.1:7463"
    words = [sys.executable, "-m", "triptych", "study", str(file), "--out", str(there), "--on", address]
    with nodes(tmp_path, 7463) as started:
        # a process of its own: Ray reads the token once
        study = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while not list(there.glob("*/eval.json")):
            assert study.poll() is None, study.stderr and study.stderr.read()
            time.sleep(0.2)
        end(started[1])
        _, said = study.communicate(timeout=300)
    assert study.returncode == 0, said
    assert len(numbers(there)) >= 4  # and the yardsticks
    assert numbers(there) == numbers(tmp_path / "here")


def test_local_processes_are_the_default(tmp_path: Path) -> None:
    with places.executor("local", Slurm(), 3, "cpu", tmp_path) as place:
        assert isinstance(place, Local)
        assert place.at_once == 3
