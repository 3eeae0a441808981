"""Run folders that were spoilt, by a disk or a stranger: nothing acts, nothing is lost in silence."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from spoilt_runs import (
    copied,
    ends_alike,
    flip,
    forge,
    resume,
    tensors_of,
    trained,
    unfinish,
)

from triptych.cli import main
from triptych.errors import UserError
from triptych.run import Run, checkpoint, load
from triptych.system import files

__all__ = ["copied", "trained"]  # fixtures


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
