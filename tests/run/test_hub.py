"""Runs given away: a folder without checkpoints, and the Hub, as a server on the loopback address plays it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fake_runs import make_run, picture_recipe, toy_recipe
from hub_server import serving

import triptych
from triptych.cli import main
from triptych.run import Run

pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
VALUES = {
    "frechet": {"value": 0.5, "floor": 0.1, "se": 0.01, "better": "lower", "title": "Fréchet distance", "rank": 1}
}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "cache"))
    with serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        yield server


def test_pushed_and_loaded_it_is_the_same_to_the_last_bit(hub, tmp_path, capsys):
    run = make_run(tmp_path / "r", picture_recipe(), values=VALUES)
    assert main(["push", str(run.path), "me/digits"]) == 0
    address = capsys.readouterr().out.strip()
    assert address.startswith("hub:me/digits@")
    assert hub.tokens == {"Bearer hf_secret"}
    files = hub.repos["me/digits"]["commits"][address.split("@")[1]]
    assert {"model.safetensors", "recipe.json", "eval.json", "README.md"} <= set(files)
    assert not [f for f in files if f.endswith((".pkl", ".pt", ".pth", ".bin", ".py")) or f.startswith("checkpoints")]
    assert str(tmp_path).encode() not in b"".join(files.values())
    own = triptych.load(run.path)
    for where in (address, "hub:me/digits"):
        model = triptych.load(where)
        assert model.state_dict().keys() == own.state_dict().keys()
        assert all(torch.equal(v, model.state_dict()[k]) for k, v in own.state_dict().items())
        assert torch.equal(model.sample(5, seed=3), own.sample(5, seed=3))
    hub.repos["me/digits"]["branches"]["main"] = "0" * 40  # it moved on; the commit is still what it was
    assert main(["sample", address, "-n", "3", "--out", str(tmp_path / "s.npy")]) == 0
    assert np.array_equal(np.load(tmp_path / "s.npy"), own.sample(3, seed=0).numpy())


def test_a_folder_is_the_same_without_a_server(tmp_path, capsys):
    run = make_run(tmp_path / "r", toy_recipe(), values=VALUES)
    assert main(["push", str(run.path), "me/toy", "--folder", str(tmp_path / "out"), "--license", "mit"]) == 0
    a, b = triptych.load(run.path), triptych.load(tmp_path / "out")
    assert all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())
    assert Run(tmp_path / "out").env["data"]["examples"] == 60_000
    card = (tmp_path / "out" / "README.md").read_text()
    for text in (
        "license: mit",
        "| Fréchet distance ↓ | 0.500 ± 0.0196 | 0.100 |",
        "25gaussians",
        "triptych.load(",
        "Terms:",
    ):
        assert text in card
    assert main(["push", str(run.path), "me/toy", "--folder", str(tmp_path / "out")]) == 2
    assert "exists already" in capsys.readouterr().err


def test_paths_of_the_maker_stay_at_home(tmp_path):
    import json
    from dataclasses import replace

    from triptych.core import DataSpec

    np.save(tmp_path / "secret-place.npy", np.random.default_rng(0).normal(size=(50, 2)))
    recipe = replace(toy_recipe(), data=DataSpec(str(tmp_path / "secret-place.npy")))
    run = make_run(tmp_path / "r", recipe, pictures=False)
    assert main(["push", str(run.path), "me/own", "--folder", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "recipe.json").read_text())["recipe"]["data"]["name"] == "secret-place.npy"
    assert not [f for f in (tmp_path / "out").rglob("*") if f.is_file() and str(tmp_path).encode() in f.read_bytes()]


@pytest.mark.parametrize(
    ("argv", "broken", "token", "told"),
    [
        (["push", "RUN", "me/digits"], 0, "", "there is no account to push with; `hf auth login`"),
        (["push", "RUN", "me/digits"], 403, "x", "the Hub refused me/digits"),
        (["push", "RUN", "digits"], 0, "x", "'hub:digits' is no place on the Hub"),
        (["sample", "hub:me/nothing"], 0, "x", "me/nothing is not on the Hub"),
        (["sample", "hub:me/there@v9"], 0, "x", "me/there has no revision 'v9'"),
        (["sample", "hub:me/there"], 0, "x", "is no run: it has no recipe.json"),
        (["sample", "hub:me/there"], 500, "x", "the Hub refused me/there"),
        (["sample", "hub:me/there"], -1, "x", "the Hub could not be reached"),
    ],
)
def test_what_the_hub_refuses_is_one_line_and_loses_nothing(
    argv, broken, token, told, hub, tmp_path, monkeypatch, capsys
):
    run = make_run(tmp_path / "r", toy_recipe(), pictures=False)
    before = {f: f.read_bytes() for f in run.path.rglob("*") if f.is_file()}
    hub.repos["me/there"] = {"branches": {"main": "a" * 40}, "commits": {"a" * 40: {"README.md": b"hello"}}}
    hub.broken = max(broken, 0)
    if broken < 0:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    if not token:
        monkeypatch.delenv("HF_TOKEN")
        monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    status = main([str(run.path) if word == "RUN" else word for word in argv])
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1
    assert {f: f.read_bytes() for f in run.path.rglob("*") if f.is_file()} == before
    assert not list((tmp_path / "cache" / "hub").glob("*"))


def test_a_damaged_file_of_weights_is_one_line(tmp_path, capsys):
    run = make_run(tmp_path / "r", toy_recipe(), pictures=False)
    assert main(["push", str(run.path), "me/toy", "--folder", str(tmp_path / "out")]) == 0
    whole = (tmp_path / "out" / "model.safetensors").read_bytes()
    (tmp_path / "out" / "model.safetensors").write_bytes(whole[:-100])
    assert main(["sample", str(tmp_path / "out")]) == 2
    assert "model.safetensors is damaged" in capsys.readouterr().err
