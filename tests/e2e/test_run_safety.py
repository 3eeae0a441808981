"""Run folders that were spoilt, by a kill, a disk or a stranger: nothing acts, nothing is lost in silence."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from triptych import trainer
from triptych.cli import main
from triptych.core import DataSpec, Recipe, Train
from triptych.errors import Diverged, UserError
from triptych.models.autoencoders import MLPAutoencoder
from triptych.models.flows.coupling import RealNVP
from triptych.models.gans.mlp import MLPGAN
from triptych.objectives.autoencoder import VAE
from triptych.objectives.flow import NLL
from triptych.objectives.gan import GAN
from triptych.run import Run, checkpoint, load, schema
from triptych.system import files
from triptych.trainer import loop
from triptych.trainer.state import State

TRAIN = Train(images=640, batch=32, ema=0.9, log=64, evaluate=640, sample=640, checkpoint=160, best="critic_loss")
GAN_RECIPE = Recipe(DataSpec("8gaussians"), MLPGAN(width=8, depth=1), GAN(), TRAIN, name="small")


def fit(path: Path, recipe: Recipe = GAN_RECIPE, **changes: Any) -> Run:
    return trainer.fit(replace(recipe, train=replace(recipe.train, **changes)), 3, path, "cpu", progress=False)


def resume(path: Path) -> Run:
    return trainer.resume(path, progress=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fit(tmp_path_factory.mktemp("safety") / "whole")


@pytest.fixture
def run(whole: Run, tmp_path: Path) -> Run:
    """A copy of the finished run, to be spoilt."""
    schema.note.cache_clear()
    return Run(shutil.copytree(whole.path, tmp_path / "run"))


def unfinish(run: Run) -> None:
    run.set_status(state="running")


def log(run: Run) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k not in ("seconds", "evaluating")} for line in run.lines()]


def ends_alike(a: Run, b: Run) -> None:
    assert a.checkpoints() == b.checkpoints()
    assert a.best == b.best
    assert log(a) == log(b)
    for n in a.checkpoints():
        x, y = a.read(n)[0], b.read(n)[0]
        assert x.keys() == y.keys()
        assert all(torch.equal(x[k], y[k]) for k in x)


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= 4
    path.write_bytes(content)


def tensors_of(run: Run, images: int) -> Path:
    return checkpoint.tensors_file(run.folder, images)


def forge(run: Run, change: Any) -> None:
    """Change the tensors of every checkpoint and put the checksums right, as a stranger can."""
    for images in run.checkpoints():
        tensors, note = load_file(tensors_of(run, images)), checkpoint.read_note(run.folder, images)
        tensors = {k: v.clone() for k, v in tensors.items()}
        change(tensors)
        content = save(tensors)
        tensors_of(run, images).write_bytes(content)
        note |= {"bytes": len(content), "sha256": checkpoint.hashlib.sha256(content).hexdigest()}
        files.write_json(checkpoint.note_file(run.folder, images), checkpoint.sealed(note))


# ----------------------------------------------------------------------------------- damaged checkpoints


@pytest.mark.parametrize("at", [100, -1, 12_345])
def test_a_flipped_bit_is_found_and_the_checkpoint_before_is_taken(
    run: Run, whole: Run, capsys: pytest.CaptureFixture[str], at: int
) -> None:
    flip(tensors_of(run, 640), at)
    before = load(run.path, "cpu").state_dict()
    assert torch.equal(before["generator.0.weight"], run.read(480)[0]["ema/generator.0.weight"])
    said = capsys.readouterr().err
    assert "the checkpoint at 640 images is damaged" in said
    assert "the one at 480 is taken" in said
    with pytest.raises(UserError, match=r"640 images of .* is damaged \(.*checksum.*restore"):
        run.read(640)
    ends_alike(resume(run.path), whole)  # of a finished run, too


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda run: tensors_of(run, 640).write_bytes(b""), "has 0 bytes"),
        (lambda run: (run.folder / "000000640.json").write_text("{"), "not valid JSON"),
        (lambda run: (run.folder / "000000640.json").write_text("[]"), "no JSON object"),
        (lambda run: (run.folder / "000000640.json").write_text('{"images": "640"}'), "no field"),
        (lambda run: shutil.copy(run.folder / "000000480.json", run.folder / "000000640.json"), "at 480 images"),
    ],
)
def test_other_damage_is_named_and_healed(
    run: Run, whole: Run, capsys: pytest.CaptureFixture[str], spoil: Any, word: str
) -> None:
    unfinish(run)
    spoil(run)
    ends_alike(resume(run.path), whole)
    assert word in capsys.readouterr().err


def test_without_a_sound_checkpoint_there_is_one_line(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for images in run.checkpoints():
        flip(tensors_of(run, images), 5_000)
    before = (run.path / "metrics.jsonl").read_bytes()
    for command in ("resume", "evaluate"):
        assert main([command, str(run.path)]) == 2
        said = capsys.readouterr().err.strip().splitlines()
        assert len(said) == 1
        assert said[0].startswith("error: no checkpoint of")
    assert (run.path / "metrics.jsonl").read_bytes() == before


def test_a_newer_format_is_refused(run: Run) -> None:
    note = files.read_object(run.folder / "000000640.json")
    files.write_json(run.folder / "000000640.json", checkpoint.sealed(note | {"format": 3}))
    with pytest.raises(UserError, match="a newer triptych"):
        load(run.path, "cpu")
    asked = files.read_object(run.path / "recipe.json")
    files.write_json(run.path / "recipe.json", asked | {"format": 9})
    with pytest.raises(UserError, match="a newer triptych"):
        Run(run.path)


@pytest.mark.parametrize("name", ["²", "12", "0000000001", "latest", "٣٣٣٣٣٣٣٣٣"])
def test_other_names_are_no_checkpoints(run: Run, whole: Run, name: str) -> None:
    for suffix in (".safetensors", ".json"):
        (run.folder / f"{name}{suffix}").write_text("{}")
    assert run.checkpoints() == whole.checkpoints()


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_a_bit_flipped_anywhere_is_found(run: Run, suffix: str) -> None:
    path, places = tensors_of(run, 640).with_suffix(suffix), np.random.default_rng(0)
    content = path.read_bytes()
    for at, bit in zip(places.integers(0, len(content), 100), places.integers(0, 8, 100), strict=True):
        spoilt = bytearray(content)
        spoilt[at] ^= 1 << int(bit)
        path.write_bytes(spoilt)
        with pytest.raises(UserError):
            checkpoint.read(run.folder, 640)
    path.write_bytes(content)
    checkpoint.read(run.folder, 640)


# ------------------------------------------------------------------------------ tensors of a stranger


def one_number(tensors: dict[str, Any]) -> None:
    tensors["optimizer/generator/0/exp_avg"] = torch.zeros(1)


def doubles(tensors: dict[str, Any]) -> None:
    tensors["optimizer/generator/0/exp_avg_sq"] = tensors["optimizer/generator/0/exp_avg_sq"].double()


def no_step(tensors: dict[str, Any]) -> None:
    del tensors["optimizer/critic/1/step"]


def long_step(tensors: dict[str, Any]) -> None:
    tensors["optimizer/critic/1/step"] = torch.zeros(3)


def a_third_player(tensors: dict[str, Any]) -> None:
    tensors["optimizer/other/0/step"] = torch.zeros(())


def no_average(tensors: dict[str, Any]) -> None:
    del tensors["ema/generator.0.weight"]


def halves(tensors: dict[str, Any]) -> None:
    tensors["model/generator.0.weight"] = tensors["model/generator.0.weight"].half()


def short_random_state(tensors: dict[str, Any]) -> None:
    tensors["rng/cpu"] = tensors["rng/cpu"][:16].clone()


def no_random_state(tensors: dict[str, Any]) -> None:
    tensors["rng/batches"] = torch.full_like(tensors["rng/batches"], 255)


FORGED = [one_number, doubles, no_step, long_step, a_third_player, no_average, halves]


@pytest.mark.parametrize("change", [*FORGED, short_random_state, no_random_state], ids=lambda f: f.__name__)
def test_tensors_that_do_not_fit_are_refused_before_they_are_used(run: Run, change: Any) -> None:
    unfinish(run)
    forge(run, change)
    before = (run.path / "metrics.jsonl").read_bytes()
    with pytest.raises(UserError, match=r"the checkpoint at 640 images (does not fit|holds no state)"):
        resume(run.path)
    assert (run.path / "metrics.jsonl").read_bytes() == before


def test_weights_that_are_not_finite_are_said(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    forge(run, lambda tensors: tensors["ema/generator.0.weight"].fill_(float("nan")))
    for command in (
        ["evaluate", str(run.path)],
        ["sample", str(run.path), "-n", "4", "--out", str(run.path / "s.npy")],
    ):
        assert main(command) == 2
        assert "weights of the generator" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------- links


@pytest.mark.parametrize("name", ["status.json", "metrics.jsonl", "eval.json", ".lock", "recipe.json", "samples/x.png"])
def test_links_in_the_place_of_our_files_are_refused(run: Run, tmp_path: Path, name: str) -> None:
    target, path = tmp_path / "outside", run.path / name
    if path.exists():
        path.rename(target)
    path.symlink_to(target)
    with pytest.raises(UserError, match=r"is a link.*; remove it"):
        resume(run.path)


@pytest.mark.parametrize("name", ["checkpoints", "samples", "interpolation", "flow"])
def test_links_in_the_place_of_our_folders_are_refused(run: Run, tmp_path: Path, name: str) -> None:
    shutil.rmtree(run.path / name, ignore_errors=True)
    (tmp_path / "outside").mkdir()
    (run.path / name).symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match="is a link"):
        load(run.path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system here")
@pytest.mark.parametrize("name", ["metrics.jsonl", "samples/000000640.png", "checkpoints/000000640.json"])
def test_a_pipe_is_refused_and_nobody_waits_for_it(run: Run, name: str) -> None:
    (run.path / name).unlink()
    os.mkfifo(run.path / name)
    with pytest.raises(UserError, match="no ordinary file"):
        Run(run.path)


def test_part_names_of_old_are_not_written_through(run: Run, tmp_path: Path) -> None:
    """`.metrics.jsonl.part` as a link made `resume` write outside."""
    unfinish(run)
    (tmp_path / "profile").write_text("mine")
    for name in (".metrics.jsonl.part", ".status.json.part", "checkpoints/.000000640.json.part"):
        (run.path / name).symlink_to(tmp_path / "profile")
    try:
        resume(run.path)
    except UserError as e:
        assert "is a link" in str(e)  # noqa: PT017
    assert (tmp_path / "profile").read_text() == "mine"


# ------------------------------------------------------------------------------------------ wrong types


@pytest.mark.parametrize("value", ["x", None, {}, [[]], 1e400, True], ids=str)
@pytest.mark.parametrize("field", ["state", "images", "alarms", "seconds"])
def test_a_wrong_status_is_rebuilt_from_the_log(
    run: Run, capsys: pytest.CaptureFixture[str], field: str, value: Any
) -> None:
    status = run.status | {field: value}
    (run.path / "status.json").write_text(json.dumps(status))
    assert Run(run.path).status["state"] == "done"
    assert Run(run.path).status["images"] == 640
    assert "taken from the log instead" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000], ids=lambda v: str(v)[:8])
def test_a_status_that_is_gone_or_no_json_is_rebuilt(run: Run, content: bytes | None) -> None:
    (run.path / "status.json").unlink()
    if content is not None:
        (run.path / "status.json").write_bytes(content)
    assert main(["resume", str(run.path)]) == 0
    assert main(["report", str(run.path), "--out", str(run.path / "r.html")]) == 0


WRONG = [None, "x", -5, 1e400, [], {}, [[]], True, {"type": "Train"}, {"type": []}, 10**30]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda v: str(v)[:12])
def test_wrong_types_in_any_file_are_one_line(run: Run, capsys: pytest.CaptureFixture[str], wrong: Any) -> None:
    """Every field of every file in turn; each command ends with a line, or does not care."""
    count = 0
    files.write_json(run.path / "eval.json", {"modes": {"value": 8.0, "n": 10, "card": {"kind": "exact"}}})
    for file in [
        run.path / "recipe.json",
        run.path / "env.json",
        run.path / "eval.json",
        run.folder / "000000640.json",
    ]:
        text = file.read_text()
        for place in places(json.loads(text)):
            value = json.loads(text)
            put(value, place, wrong)
            file.write_text(json.dumps(value))
            for call in (open_run, report_run):
                try:
                    call(run.path)
                except UserError as e:
                    assert "\n" not in str(e)  # noqa: PT017
                count += 1
        file.write_text(text)
    assert count > 100


def open_run(path: Path) -> None:
    run = Run(path)
    _ = run.env, run.status, run.best, run.lines()
    run.notes()


def report_run(path: Path) -> None:
    from triptych.report.entries import gather

    for entry in gather([path])[0]:
        _ = entry.state, entry.training, entry.data, entry.name


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [p for k in keys for p in [(*at, k), *places(value[k], (*at, k))]]


def put(value: Any, place: tuple[Any, ...], new: Any) -> None:
    for key in place[:-1]:
        value = value[key]
    value[place[-1]] = new


def test_a_recipe_nested_without_end_is_one_line(run: Run) -> None:
    for depth in (200, 900, 100_000):
        (run.path / "recipe.json").write_text('{"seed": 1, "recipe": ' + "[" * depth + "]" * depth + "}")
        with pytest.raises(UserError, match=r"recipe\.json"):
            Run(run.path)


# ------------------------------------------------------------------------------------------------- log


def test_a_spoilt_line_in_the_middle_loses_that_line_alone(
    run: Run, whole: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    unfinish(run)
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    at = json.loads(lines[5])["images"]
    lines[3], lines[5], lines[6] = "{broken", lines[5].replace(f'"images": {at}', '"images": 99999'), '{"images": "x"}'
    (run.path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    resume(run.path)
    kept = [line["images"] for line in whole.lines()]
    assert [line["images"] for line in run.lines()] == [n for i, n in enumerate(kept) if i not in (3, 5, 6)]
    assert f"3 of {len(kept)} lines were spoilt" in capsys.readouterr().err


def test_the_log_is_on_the_disk_before_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, order = fit(tmp_path / "run", images=32), []
    monkeypatch.setattr(files, "sync", lambda path: order.append(Path(path).name))
    write = files.write_bytes
    monkeypatch.setattr(files, "write_bytes", lambda path, *given: (order.append(Path(path).name), write(path, *given)))
    run.save(64, {"model/x": torch.zeros(1)}, {"asked": {"recipe": {}, "seed": 0}})
    assert order == ["metrics.jsonl", "000000064.safetensors", "000000064.json"]


# ------------------------------------------------------------------------------------------------- best


@pytest.mark.parametrize("best", ["critic_loss", "-generator_loss"])
def test_a_kill_right_after_any_checkpoint_leaves_the_same_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: str
) -> None:
    uncut = fit(tmp_path / "uncut", best=best)
    write, at = checkpoint.write, 0
    for at in (160, 320, 480, 640):

        def killed(folder: Path, images: int, *given: Any, at: int = at) -> None:
            write(folder, images, *given)
            if images >= at:
                raise KeyboardInterrupt

        monkeypatch.setattr("triptych.run.checkpoint.write", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / str(at), best=best)
        monkeypatch.undo()
        ends_alike(resume(tmp_path / str(at)), uncut)


def test_the_best_that_is_damaged_falls_back_to_the_best_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = fit(tmp_path / "run", best="-step")  # the last is always the best
    assert run.best == 640
    flip(tensors_of(run, 640), 5_000)
    assert torch.equal(run.load("best", "cpu").generator[0].weight, run.read(480)[0]["ema/generator.0.weight"])  # pyright: ignore
    assert "the checkpoint at 640 images is damaged" in capsys.readouterr().err


# -------------------------------------------------------------------------------------------- strays


def test_strays_are_swept_when_training_goes_on(run: Run, whole: Run) -> None:
    unfinish(run)
    strays = [
        run.path / ".status.json.part",
        run.path / f".eval.json.{'0' * 16}.part",
        run.folder / ".tmpAb3dE9",
        run.folder / f".000000640.safetensors.{'a' * 16}.part",
        run.folder / "000000320.safetensors",  # half of a checkpoint
        run.folder / "000000800.json",
        run.path / "samples" / f".000000640.png.{'f' * 16}.part",
    ]
    for stray in strays:
        stray.write_text("")
    ends_alike(resume(run.path), whole)
    assert not [s for s in strays if s.exists()]


def test_a_kill_while_the_folder_is_made_leaves_nothing_for_long(tmp_path: Path) -> None:
    code = (
        "import os, sys; from triptych.system import files\n"
        "with files.making_folder(sys.argv[1]) as part: (part / 'x').touch(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=False)
    (tmp_path / f".b.{'0' * 16}.part").mkdir()  # killed before it had a lock
    assert len(list(tmp_path.iterdir())) == 2
    with files.making_folder(tmp_path / "c"), files.making_folder(tmp_path / "d"):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c", "d"]


@pytest.mark.parametrize("at", ["files.sync_folder", "files.Path.rename", "files.shutil.rmtree", "files.Path.unlink"])
def test_a_kill_at_the_last_step_of_a_folder_or_while_it_is_removed_leaves_nothing(tmp_path: Path, at: str) -> None:
    fails = "1 / 0" if "rm" in at or "unlink" in at else "pass"
    code = (
        "import os, sys; from triptych.system import files\n"
        "with files.making_folder(sys.argv[1]) as part:\n"
        "    (part / 'in').mkdir(); (part / 'x').touch(); (part / 'in' / 'y').touch()\n"
        f"    {at} = lambda *_, **__: os._exit(9)\n"
        f"    {fails}"
    )
    status = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=False).returncode
    assert status == 9
    assert len(list(tmp_path.iterdir())) == 1
    assert files.sweep(tmp_path) == 1
    assert not list(tmp_path.iterdir())


def test_folders_that_version_0_1_left_unfinished_are_swept(tmp_path: Path) -> None:
    """They had no lock: only those that nobody can be at work on any more."""
    for name, hours in ((".run.4711.part", 2), (".run.4712.part", 0), (".other.4711.part", 2)):
        (tmp_path / name / "samples").mkdir(parents=True)
        os.utime(tmp_path / name, (time.time() - 3600 * hours,) * 2)
    fit(tmp_path / "run", images=32)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".other.4711.part", ".run.4712.part", "run"]


def test_checkpoints_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        run = fit(tmp_path / "run", images=32)
    finally:
        os.umask(before)
    assert {f.stat().st_mode & 0o777 for f in run.folder.iterdir()} == {0o664}


# ------------------------------------------------------------------------------------------- divergence


def test_an_infinite_gradient_norm_is_divergence(tmp_path: Path) -> None:
    """Clipped by it all gradients are 0, so that training stood still and ended well."""
    flow = Recipe(DataSpec("8gaussians"), RealNVP(layers=2, width=8), NLL(), replace(TRAIN, best="", clip=1.0, ema=0.0))
    with pytest.raises(Diverged, match="not finite"):
        fit(tmp_path / "run", flow, lr=1e10)
    assert Run(tmp_path / "run").status["state"] == "diverged"


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_norm_that_is_not_finite_stops_before_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *a, **k: torch.tensor(value))
    with pytest.raises(Diverged, match="loss or its gradient of the critic is not finite at 32 images"):
        fit(tmp_path / "run", clip=1.0)


# ---------------------------------------------------------------------------------------------- SIGTERM


@pytest.mark.parametrize("steps", [1, 7, 10, 13])
def test_sigterm_saves_between_two_steps_and_nothing_changes(
    whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    original, done = loop.step, 0

    def step(state: State) -> None:
        nonlocal done
        original(state)
        done += 1
        if done == steps:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(loop, "step", step)
    with pytest.raises(SystemExit) as ended:
        fit(tmp_path / "run")
    monkeypatch.undo()
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    run = Run(tmp_path / "run")
    assert run.status["state"] == "running"
    assert run.status["note"] == "interrupted"
    assert run.checkpoints()[-1] == 32 * steps
    ends_alike(resume(run.path), whole)


@pytest.mark.skipif(os.name == "nt", reason="signals end a process at once there")
def test_sigterm_from_outside_is_answered(tmp_path: Path) -> None:
    command = [
        "train",
        "gan-8gaussians",
        "--train.images",
        "100000000",
        "--train.checkpoint",
        "640",
        "--out",
        str(tmp_path / "run"),
    ]
    child = subprocess.Popen([sys.executable, "-m", "triptych", *command], stderr=subprocess.PIPE, text=True)
    while not list((tmp_path / "run" / "checkpoints").glob("*.json")) and child.poll() is None:
        time.sleep(0.01)
    time.sleep(0.2)
    child.terminate()
    _, said = child.communicate(timeout=60)
    assert child.returncode == 143
    assert "goes on from there" in " ".join(said.split())
    assert Run(tmp_path / "run").checkpoints()[-1] > 0


def test_a_handler_of_the_person_stays(tmp_path: Path) -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        mine = signal.getsignal(signal.SIGTERM)
        fit(tmp_path / "run", images=32)
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


# ------------------------------------------------------------------------------------------------ sizes


@pytest.mark.parametrize(
    ("model", "word"),
    [
        ({"width": 10**7}, r"model\.width is 10000000"),
        ({"depth": 10**7}, r"model\.depth is 10000000"),
        ({"latent": 2**62}, r"model\.latent"),
        ({"depth": 100_000, "width": 64}, "more than"),
        ({"depth": 2_000, "width": 4_096}, "more than"),
        ({"width": 1_000_000}, "more than"),
    ],
)
def test_absurd_sizes_are_refused_before_the_memory_is_taken(tmp_path: Path, model: dict[str, int], word: str) -> None:
    began = time.monotonic()
    with pytest.raises(UserError, match=word):
        fit(tmp_path / "run", replace(GAN_RECIPE, model=MLPGAN(**model)))
    assert time.monotonic() - began < 30
    assert not (tmp_path / "run").exists()


def test_an_absurd_size_in_a_run_folder_is_refused(run: Run) -> None:
    env = files.read_object(run.path / "env.json")
    for shape in ([10**9], [3, 20_000, 20_000], [0], [], ["2"], [2, 2, 2, 2]):
        files.write_json(run.path / "env.json", env | {"shape": shape})
        with pytest.raises(UserError, match="shape"):
            load(run.path)


# ------------------------------------------------------------------------------------------ small things


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("vae", [False, True])
def test_sets_of_a_few_pictures_train_to_their_end(tmp_path: Path, n: int, vae: bool) -> None:
    """What cannot be computed from so few is left out by name."""
    np.save(tmp_path / "few.npy", np.random.default_rng(n).integers(0, 255, (n, 16, 16, 1), np.uint8))
    data = DataSpec(str(tmp_path / "few.npy"))
    model, objective = (MLPAutoencoder(width=8), VAE()) if vae else (MLPGAN(width=8, depth=1), GAN())
    train = Train(images=32, batch=8, evaluate=16)
    told: list[str] = []
    run = trainer.fit(Recipe(data, model, objective, train), 0, tmp_path / "run", "cpu", announce=told.append)
    assert run.status["state"] == "done"
    (left_out,) = (text for text in told if "left out" in text)
    assert all(name in left_out for name in ("frechet", "kernel", "coverage"))


@pytest.mark.parametrize("command", ["--help", "data --help"])
def test_without_docstrings_and_asserts(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-OO", "-m", "triptych", *command.split()], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_numbers_that_are_not_finite_are_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"objective\.free_bits is inf"):
        trainer.fit(
            Recipe(DataSpec("8gaussians"), MLPAutoencoder(width=8), VAE(free_bits=float("inf")), Train(images=64)),
            out=tmp_path / "run",
            device="cpu",
        )
    assert not list(tmp_path.iterdir())


def test_a_run_whose_name_is_no_utf8_works_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(tmp_path / os.fsdecode(b"run\xe9"))
    asked = ["train", "gan-8gaussians", "--train.images", "512", "--out", run, "--device", "cpu"]
    out = str(tmp_path / "r.html")
    for argv in (asked, ["sample", run, "-n", "4"], ["resume", run], ["evaluate", run, "-n", "100"]):
        assert main(argv) == 0, capsys.readouterr().err
    assert main(["report", run, "--out", out]) == 0
