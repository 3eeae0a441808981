"""A zoo: runs given away with checksums, from a folder and from an address on the loopback."""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
import threading
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_runs import make_run, picture_recipe, toy_recipe
from networks import variants

import triptych
from triptych import core
from triptych.cli import main
from triptych.core import DataSpec, ModelSpec, Recipe, Sampler, Train
from triptych.models.autoencoders import MLPAutoencoder
from triptych.objectives.autoencoder import VAE
from triptych.run import Run, zoo, zoo_entry

VALUES = {
    "frechet": {"value": 0.5, "floor": 0.1, "se": 0.01, "better": "lower", "title": "Fréchet distance", "rank": 1}
}
REPOSITORY = Path(__file__).parents[2] / "zoo"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRIPTYCH_ZOO", str(tmp_path / "zoo"))
    return tmp_path / "zoo"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with the run `r` and the zoo `zoo` that holds it as `digits`."""
    folder = tmp_path_factory.mktemp("made")
    make_run(folder / "r", picture_recipe(), values=VALUES, pictures=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIPTYCH_ZOO", str(folder / "zoo"))
        zoo_entry.add(folder / "r", "digits")
    return folder


@pytest.fixture
def digits(made, place, tmp_path) -> Run:
    """A run of pictures that is in the zoo as `digits`."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return Run(tmp_path / "r")


@contextmanager
def serving(folder: Path):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def refused(argv: list[str], capsys) -> str:
    """The one line that a command ends with."""
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    return err


def test_an_entry_samples_as_the_run_does_in_half_the_bytes(digits, place, tmp_path, capsys):
    own, model = triptych.load(digits.path), triptych.load("zoo:digits")
    close = ((own.sample(64, seed=1) - model.sample(64, seed=1)).abs() <= 1 / 255).float().mean()
    assert close >= 0.999
    of_generator = sum(v.numel() * v.element_size() for v in own.generator.state_dict().values())
    assert (place / "digits" / "model.safetensors").stat().st_size < 0.5 * of_generator + 4096
    assert {p.name for p in (place / "digits").iterdir()} >= {"recipe.json", "eval.json", "card.md"}
    text = (place / "digits" / "card.md").read_text()
    for words in ("zoo:digits", "The generator, in half precision", "under the MIT licence", "0.500 ± 0.0196"):
        assert words in text
    assert str(tmp_path).encode() not in b"".join(p.read_bytes() for p in place.rglob("*") if p.is_file())
    assert main(["zoo"]) == 0
    listed = capsys.readouterr().out
    for words in ("digits", "gan", "mnist", "Fréchet distance 0.500 ± 0.0196 (0.100)", "1 entry, "):
        assert words in listed
    before = {p: p.read_bytes() for p in place.rglob("*") if p.is_file()}
    assert main(["sample", "zoo:digits", "-n", "4"]) == 0
    assert {p: p.read_bytes() for p in place.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    "argv",
    [
        ["sample", "zoo:digits", "-n", "3", "--out", "OUT/s.npy"],
        ["interpolate", "zoo:digits", "--rows", "2", "--out", "OUT/i"],
        ["sweep", "zoo:digits", "--rows", "2", "--out", "OUT/w"],
        ["export", "zoo:digits", "--format", "safetensors", "--out", "OUT/e"],
        ["report", "zoo:digits", "--out", "OUT/r.html"],
        ["push", "zoo:digits", "me/digits", "--folder", "OUT/p"],
        ["zoo", "add", "zoo:digits", "again"],
    ],
)
def test_every_command_on_runs_takes_an_entry(argv, digits, tmp_path):
    assert main([word.replace("OUT", str(tmp_path)) for word in argv]) == 0


def test_what_is_pushed_from_an_entry_says_what_it_lacks(digits, tmp_path):
    assert main(["push", "zoo:digits", "me/digits", "--folder", str(tmp_path / "p")]) == 0
    assert torch.equal(triptych.load(tmp_path / "p").sample(3), triptych.load("zoo:digits").sample(3))
    with pytest.raises(triptych.UserError, match="without its critic"):
        _ = triptych.load(tmp_path / "p").critic


def test_the_critic_is_missed_in_one_line(digits, tmp_path, capsys):
    model = triptych.load("zoo:digits")
    assert set(model.players) == {"generator"}
    assert not hasattr(model, "critic")
    with pytest.raises(triptych.UserError, match="digits was given away without its critic"):
        _ = model.critic
    pytest.importorskip("onnxscript")
    told = refused(["export", "zoo:digits", "--part", "critic", "--out", str(tmp_path / "e")], capsys)
    assert "without its critic" in told


def test_planes_are_drawn_without_a_critic(place, tmp_path):
    pytest.importorskip("onnxscript")
    run = make_run(tmp_path / "r", toy_recipe(), pictures=False)
    zoo_entry.add(run.path, "toy")
    assert main(["sample", "zoo:toy", "--out", str(tmp_path / "s.png")]) == 0
    assert main(["explore", "zoo:toy", "--out", str(tmp_path / "x.html")]) == 0


def test_no_training_goes_on_with_an_entry(digits, capsys):
    assert "`triptych train --like zoo:digits` begins a new one" in refused(["resume", "zoo:digits"], capsys)


def test_running_statistics_and_fitted_codes_travel(place, tmp_path):
    spec = MLPAutoencoder(latent=3, width=16, codes="gaussian")
    recipe = Recipe(DataSpec("mnist"), spec, VAE(), Train(images=1000), name="vae-mnist")
    run = make_run(tmp_path / "r", recipe, pictures=False)
    model = run.load(device="cpu")
    model.second.fit(torch.randn(400, 3), 0)
    model.code_mean.fill_(0.25)
    run.save(1000, {f"model/{k}": v for k, v in model.state_dict().items()}, {"asked": {"recipe": {}, "seed": 0}})
    zoo_entry.add(run.path, "codes")
    again = triptych.load("zoo:codes")
    assert bool(again.second.fitted)
    assert again.code_mean.tolist() == [0.25] * 3
    assert (again.sample(16) - triptych.load(run.path).sample(16)).abs().max() < 2 / 255


def test_what_half_precision_spoils_is_kept_in_single(place, tmp_path):
    run = make_run(tmp_path / "r", toy_recipe(), pictures=False)
    model = run.load(device="cpu")
    first, second = [m for m in model.generator.modules() if isinstance(m, torch.nn.Linear)][:2]
    with torch.no_grad():  # the same function, by weights that half precision rounds coarsely
        first.weight *= 1e-6
        first.bias *= 1e-6
        second.weight *= 1e6
    run.save(20_000, {f"model/{k}": v for k, v in model.state_dict().items()}, {"asked": {"recipe": {}, "seed": 0}})
    _, how = zoo_entry.add(run.path, "toy")
    assert how.startswith("in half precision, generator.0 in single: 100.00 %")
    assert (triptych.load("zoo:toy").sample(8) - model.sample(8)).abs().max() < 0.01
    assert zoo_entry.halved(torch.tensor([1e5])).dtype == torch.float32


SPECS = {name: next(variants(cls)) for name, cls in core.discover("models", ModelSpec).items()}


@pytest.mark.parametrize("name", SPECS)
def test_every_network_that_samples_can_be_stored(name, monkeypatch):
    """Whatever is left out or halved, what is loaded again samples what the stored weights do."""
    if name == "Zuko":
        pytest.importorskip("zuko")
    monkeypatch.setattr(zoo_entry, "SAMPLES", 4)
    torch.manual_seed(0)
    for shape in ((2,), (1, 16, 16), (3, 32, 32)):
        with contextlib.suppress(triptych.UserError):
            model = SPECS[name].build(shape).eval()
            break
    else:
        pytest.fail(f"{name} accepts no small shape")
    if not isinstance(model, Sampler) or not model.players:
        pytest.skip("it makes no samples, or was fitted in closed form")
    if model.adversary in model.players:
        model.leave_out(model.adversary, "not here")
    tensors, how = zoo_entry.smallest(SPECS[name], model)
    again = SPECS[name].build(model.shape).eval()
    for player in model.missing:
        again.leave_out(player, "not here")
    again.load_state_dict({k: v.to(again.state_dict()[k].dtype) for k, v in tensors.items()})
    halves = sum(v.dtype == torch.float16 for v in tensors.values())
    assert (halves == 0) == how.startswith("in single")
    assert zoo_entry.alike(model.sample(4, seed=0), again) >= zoo_entry.SHARE


def test_a_flow_that_samples_in_bfloat16_is_stored_by_what_its_weights_make():
    """Its arithmetic is the machine's that samples, and no reason to keep them in single precision."""
    torch.manual_seed(0)
    spec = core.discover("models", ModelSpec)["LatentMLP"](codes=4, width=8, flow_width=64, flow_depth=2)
    model = spec.build((1, 28, 28)).eval()
    with torch.no_grad():
        for w in model.parameters():
            w += 0.15 * torch.randn_like(w)
    model.brief = True
    coarse = model.sample(64, seed=0)
    model.brief = False
    assert ((coarse - model.sample(64, seed=0)).abs() <= zoo_entry.CLOSE).float().mean() < zoo_entry.SHARE
    model.brief = True
    assert zoo_entry.smallest(spec, model)[1].startswith("in half precision: ")


def test_an_address_serves_what_the_folder_does(digits, place, tmp_path, monkeypatch, capsys):
    own = triptych.load("zoo:digits").sample(5, seed=3)
    with serving(place) as address:
        monkeypatch.setenv("TRIPTYCH_ZOO", address + "/")
        monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "other"))
        assert torch.equal(triptych.load("zoo:digits").sample(5, seed=3), own)
        assert "cannot" not in refused(["sample", "zoo:digit"], capsys)
    assert main(["sample", "zoo:digits", "-n", "5", "--seed", "3", "--out", str(tmp_path / "s.npy")]) == 0
    assert np.array_equal(np.load(tmp_path / "s.npy"), own.numpy())  # it is in the cache; the server is gone
    assert "the zoo's index of the last time is taken" in capsys.readouterr().err
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "empty"))
    assert "check the network" in refused(["sample", "zoo:digits"], capsys)
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "other"))
    monkeypatch.delenv("TRIPTYCH_ZOO")
    monkeypatch.setattr(zoo, "own_places", lambda: [tmp_path / "nowhere"])
    assert torch.equal(triptych.load("zoo:digits").sample(5, seed=3), own)


def test_a_file_that_comes_otherwise_is_refused(digits, place, tmp_path, monkeypatch, capsys):
    weights = place / "digits" / "model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(bytes(raw))
    with serving(place) as address:
        monkeypatch.setenv("TRIPTYCH_ZOO", address)
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        assert "checksum" in refused(["sample", "zoo:digits"], capsys)
    assert not list((tmp_path / "cache").rglob("model.safetensors"))


def spoil_weights(place: Path) -> None:
    raw = bytearray((place / "digits" / "model.safetensors").read_bytes())
    raw[-1] ^= 1
    (place / "digits" / "model.safetensors").write_bytes(bytes(raw))


def cut_weights(place: Path) -> None:
    file = place / "digits" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])


def swap(place: Path) -> None:
    (place / "digits" / "recipe.json").write_text("{}")


def lose(place: Path) -> None:
    (place / "digits" / "model.safetensors").unlink()


def edit(place: Path, **fields: object) -> None:
    told = json.loads((place / "index.json").read_text())
    told["entries"]["digits"] |= fields
    (place / "index.json").write_text(json.dumps(told))


def escape(place: Path) -> None:
    edit(place, files={"../../x": {"bytes": 1, "sha256": "0"}})


@pytest.mark.parametrize(
    ("spoil", "name", "told"),
    [
        (lambda place: None, "digit", "no entry of the zoo is named 'digit'; did you mean digits?"),
        (spoil_weights, "digits", "is damaged, or another file: its checksum is not that of index.json"),
        (cut_weights, "digits", "is damaged, or another file"),
        (swap, "digits", "recipe.json is damaged, or another file"),
        (lose, "digits", "is not here, get it again"),
        (lambda place: edit(place, format=99), "digits", "zoo:digits was written by a newer triptych (format 99"),
        (lambda place: (place / "index.json").write_text('{"format": 99, "entries": {}}'), "digits", "newer triptych"),
        (lambda place: (place / "index.json").write_text("{"), "digits", "is not valid JSON"),
        (lambda place: (place / "index.json").write_text("[]"), "digits", "no JSON object"),
        (lambda place: (place / "index.json").unlink(), "digits", "there is no zoo at"),
        (escape, "digits", "what cannot be right"),
    ],
)
def test_bad_entries_are_one_line_and_nothing_is_written(spoil, name, told, digits, place, tmp_path, capsys):
    spoil(place)
    assert told in refused(["sample", f"zoo:{name}"], capsys)
    assert not list((tmp_path / "cache").rglob("*.*"))


def test_a_full_disk_is_one_line(digits, tmp_path, monkeypatch, capsys):
    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "cache"))

    monkeypatch.setattr("os.fsync", full)
    assert "No space left on device" in refused(["sample", "zoo:digits"], capsys)
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_a_copy_that_was_changed_is_refused(digits, tmp_path, capsys):
    folder = Run("zoo:digits").path
    (folder / "recipe.json").write_text((folder / "recipe.json").read_text() + " ")
    assert "is not what it was when it came" in refused(["sample", "zoo:digits"], capsys)


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["zoo", "add", "RUN", "Digits/.."], "is no name for an entry"),
        (["zoo", "add", "RUN", "digits"], "exists already"),
        (["zoo", "ad"], "'ad' is not a zoo command; did you mean add"),
        (["zoo", "add", "NOWHERE", "x"], "does not exist"),
    ],
)
def test_what_cannot_be_added_is_one_line(argv, told, digits, place, tmp_path, capsys):
    before = {p: p.read_bytes() for p in place.rglob("*") if p.is_file()}
    words = {"RUN": str(digits.path), "NOWHERE": str(tmp_path / "nowhere")}
    assert told in refused([words.get(word, word) for word in argv], capsys)
    assert {p: p.read_bytes() for p in place.rglob("*") if p.is_file()} == before


def test_what_a_kill_left_is_written_anew_and_what_is_no_entry_stays(digits, place, capsys):
    shutil.copytree(place / "digits", place / "again")
    (place / "again" / "card.md").unlink()
    assert main(["zoo", "add", str(digits.path), "again"]) == 0
    assert (place / "again" / "card.md").is_file()
    capsys.readouterr()
    (place / "mine").mkdir()
    (place / "mine" / "thesis.txt").write_text("precious")
    assert "exists already" in refused(["zoo", "add", str(digits.path), "mine"], capsys)
    assert (place / "mine" / "thesis.txt").read_text() == "precious"


def test_an_entry_that_is_removed_is_gone_and_its_run_stays(digits, place, capsys):
    assert main(["zoo", "add", str(digits.path), "second"]) == 0
    assert main(["zoo", "remove", "digits"]) == 0
    assert list(zoo.index(place)) == ["second"]
    assert not (place / "digits").exists()
    assert digits.status["state"] == "done"
    capsys.readouterr()
    assert "has no entry 'digits'" in refused(["zoo", "remove", "digits"], capsys)
    assert main(["zoo", "add", str(digits.path), "digits"]) == 0


def test_where_there_is_no_zoo_nothing_is_removed_or_written(place, capsys):
    assert "there is no zoo in" in refused(["zoo", "remove", "digits"], capsys)
    assert not place.exists()


def test_files_of_others_are_not_removed_with_an_entry(digits, place, capsys):
    (place / "digits" / "thesis.txt").write_text("precious")
    assert "no part of the entry" in refused(["zoo", "remove", "digits"], capsys)
    assert (place / "digits" / "thesis.txt").read_text() == "precious"
    assert list(zoo.index(place)) == ["digits"]


def test_a_run_that_is_not_done_is_not_added(place, tmp_path, capsys):
    run = make_run(tmp_path / "r", toy_recipe(), state="running", pictures=False)
    assert "is running" in refused(["zoo", "add", str(run.path), "toy"], capsys)
    assert not (place / "toy").exists()


def test_weights_of_sets_with_terms_are_for_research(place, tmp_path):
    recipe = replace(picture_recipe("gan-birds"), data=DataSpec("birds"))
    run = make_run(tmp_path / "r", recipe, pictures=False, fingerprint="b" * 64, shape=(3, 32, 32))
    folder, _ = zoo_entry.add(run.path, "birds")
    text = (folder / "card.md").read_text()
    assert "For non-commercial research alone, and not under the MIT licence" in text
    assert "non-commercial research and teaching only" in text
    assert zoo.index()["birds"]["licence"] == "non-commercial research"


ENTRIES = sorted(p.parent.name for p in REPOSITORY.glob("*/recipe.json"))


@pytest.mark.parametrize("name", ENTRIES or [pytest.param("", marks=pytest.mark.skip("the zoo has no entries yet"))])
def test_each_entry_of_ours_samples_offline(name, tmp_path, monkeypatch):
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRIPTYCH_ZOO", str(REPOSITORY))
    model = triptych.load(f"zoo:{name}", device="cpu")
    x = model.sample(4, seed=0)
    assert x.shape == (4, *model.shape)
    assert bool(x.isfinite().all())
    entry, text = zoo.index()[name], (REPOSITORY / name / "card.md").read_text()
    assert entry["terms"]
    assert ("non-commercial research" in text) == (entry["licence"] == "non-commercial research")


def test_ours_is_small_and_whole():
    if not ENTRIES:
        pytest.skip("the zoo has no entries yet")
    entries = zoo.read_index(REPOSITORY / "index.json")
    assert sorted(entries) == ENTRIES
    assert sum(f["bytes"] for e in entries.values() for f in e["files"].values()) <= 40_000_000
    for name, entry in entries.items():
        assert not [file for file, facts in entry["files"].items() if zoo.wrong(REPOSITORY / name / file, facts)]
