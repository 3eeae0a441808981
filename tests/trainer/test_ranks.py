"""One training on several ranks, and a batch in several parts: the numbers of one process with the whole batch."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.picture_files import png
from tests.trials import ranks
from triptych.core import Recipe
from triptych.core.share import Parted
from triptych.recipes import get
from triptych.trainer import fit, resume

SCRIPT = str(Path(ranks.__file__))
IN_PARTS = ("gan", "vae-fixed", "spline", "ae", "iwae", "hinge")
WHOLE = ("dcgan", "vae", "glow", "transport")


def close(found: dict[str, float], wanted: dict[str, float], where: str) -> None:
    assert found.keys() == wanted.keys(), where
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-5, abs=1e-9), f"{where}: {name}"


def compare(steps: int, cases: list[str]) -> None:
    processes = ranks.launched([SCRIPT, str(steps), *cases], 2)
    told = [p.communicate(timeout=300) for p in processes]
    assert [p.returncode for p in processes] == [0, 0], told
    found = [json.loads(line) for line in told[0][0].splitlines()]
    assert [f["case"] for f in found] == cases
    for f in found:
        lines, state = ranks.trained(f["case"].rstrip("+").partition("/")[0], steps)
        for i, (a, b) in enumerate(zip(f["lines"], lines, strict=True)):
            close(a, b, f"{f['case']}, step {i}")
        close(f["summary"], ranks.summary(state), f["case"])


def test_two_ranks_train_as_one_process_would() -> None:
    """In parts, too; and with gradients sent while others are computed, second derivatives among them."""
    compare(5, [*ranks.CASES, "gan/2", "wgan-gp+", "dcgan+", "gan/2+"])


@pytest.mark.long
@pytest.mark.parametrize("sent", ["", "+"])
def test_two_ranks_train_as_one_process_would_for_fifty_steps(sent: str) -> None:
    compare(50, [case + sent for case in ("gan", "wgan-gp", "dcgan", "vae", "spline", "glow")])


@pytest.mark.parametrize("case", IN_PARTS)
def test_a_batch_in_parts_is_the_whole_batch(case: str) -> None:
    wanted, whole = ranks.trained(case, 3)
    found, parts = ranks.trained(case, 3, accumulate=4)
    for i, (a, b) in enumerate(zip(found, wanted, strict=True)):
        close(a, b, f"{case}, step {i}")
    close(ranks.summary(parts), ranks.summary(whole), case)


@pytest.mark.parametrize("case", WHOLE)
def test_a_loss_that_needs_the_whole_batch_is_refused_in_parts(case: str) -> None:
    with pytest.raises(Parted, match="needs the whole batch at once"):
        ranks.trained(case, 1, accumulate=2)


# ------------------------------------------------------------------------------- the command, on two ranks

TRAIN = ("-m", "triptych", "train", "gan-8gaussians")


def command(*words: str, **env: str) -> list[tuple[int, str]]:
    """Exit status and standard error of each of two ranks."""
    processes = ranks.launched(list(words), 2, **env)
    told = [p.communicate(timeout=300)[1] for p in processes]
    return [(p.returncode, text) for p, text in zip(processes, told, strict=True)]


def status(run: Path) -> dict[str, object]:
    return json.loads((run / "status.json").read_text())


def weights(run: Path) -> bytes:
    return max((run / "checkpoints").glob("*.safetensors")).read_bytes()


def test_a_run_of_two_ranks_goes_on_alone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    first, second = command(*TRAIN, "--train.images", "2560", "--out", str(run))
    assert (first[0], second[0]) == (0, 0), (first, second)
    assert second[1] == ""
    assert status(run)["state"] == "done"
    assert json.loads((run / "env.json").read_text())["ranks"] == 2
    said: list[str] = []
    resume(run, images=5120, progress=False, announce=said.append)
    assert any("was on 2 ranks and goes on on 1" in line for line in said)
    assert status(run)["images"] == 5120


@pytest.mark.long
def test_a_run_of_one_process_goes_on_on_two_ranks(tmp_path: Path) -> None:
    """The stream of examples goes on: the logged losses are those of one process, up to rounding."""
    for name in ("moved", "whole"):
        fit(small_gan(), 0, tmp_path / name, "cpu", progress=False)
    resume(tmp_path / "whole", images=5120, progress=False)
    words = ["-m", "triptych", "resume", str(tmp_path / "moved"), "--train.images", "5120"]
    processes = ranks.launched(words, 2)
    told = [p.communicate(timeout=300) for p in processes]
    assert [p.returncode for p in processes] == [0, 0], told
    assert "was on 1 rank and goes on on 2" in "".join(told[0])
    assert json.loads((tmp_path / "moved" / "env.json").read_text())["ranks"] == 2
    texts = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("moved", "whole")]
    logs = [[json.loads(line) for line in text.splitlines()] for text in texts]
    assert [line["images"] for line in logs[0]] == [line["images"] for line in logs[1]]
    for moved, whole in zip(*logs, strict=True):
        for name in ("critic_loss", "generator_loss"):
            if name in whole:
                assert moved[name] == pytest.approx(whole[name], rel=1e-3, abs=1e-5)


def small_gan() -> Recipe:
    recipe = get("gan-8gaussians")
    return replace(recipe, train=replace(recipe.train, images=2560))


@pytest.mark.long
def test_ranks_refuse_in_one_line_what_they_cannot_train(tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    first, second = command(*TRAIN, "--train.batch", "255", "--out", run)
    refused = "a batch of 255 cannot be shared by 2 ranks; the nearest that can: --train.batch 254 or 256"
    assert first == (2, f"error: {refused}\n")
    assert second == (2, "")
    first, second = command(*TRAIN, "--minutes", "1", "--out", run)
    assert first[0] == second[0] == 2
    assert "measures the pace of one process" in first[1]
    assert not Path(run).exists()


@pytest.mark.long
def test_ranks_that_were_asked_for_different_things_refuse(tmp_path: Path) -> None:
    common = ["--train.images", "2560", "--out", str(tmp_path / "run")]
    processes = ranks.launched([[*TRAIN, *common], [*TRAIN, "--seed", "1", *common]], 2)
    told = [p.communicate(timeout=300)[1] for p in processes]
    assert [p.returncode for p in processes] == [2, 2]
    assert told[0].startswith("error: rank 1 has another recipe or seed than rank 0; ")
    assert told[1] == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("there", "said"), [(40, "rank 1 has another data set than rank 0"), (0, "no data set is named")]
)
def test_ranks_that_have_different_data_refuse_and_write_nothing(tmp_path: Path, there: int, said: str) -> None:
    words = ["train", "wgan-gp-birds", "--data", "pics", "--resolution", "8", "--train.images", "64", "--out", "run"]
    places = [tmp_path / "first", tmp_path / "second"]
    for start, (place, n) in enumerate(zip(places, (40, there), strict=True)):
        (place / "pics").mkdir(parents=True)
        for i in range(n):
            (place / "pics" / f"{i}.png").write_bytes(png(start + i))
        if not n:
            (place / "pics").rmdir()
    code = "import os, sys; os.chdir({!r}); from triptych.cli import main; sys.exit(main({!r}))"
    processes = ranks.launched([["-c", code.format(str(place), words)] for place in places], 2)
    told = [p.communicate(timeout=300)[1] for p in processes]
    assert [p.returncode for p in processes] == [2, 2], told
    assert said in told[0].splitlines()[-1]
    assert told[0].splitlines()[-1].startswith("error: rank 1")
    assert "error" not in told[1]
    assert not (places[0] / "run").exists()


@pytest.mark.long
def test_a_rank_that_dies_ends_the_run_and_it_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    """Five times, the kill at another moment each."""
    options = ["--train.images", "40000", "--train.checkpoint", "4000"]
    assert [code for code, _ in command(*TRAIN, *options, "--out", str(tmp_path / "whole"))] == [0, 0]
    for trial in range(5):
        run = tmp_path / f"cut{trial}"
        processes = ranks.launched([*TRAIN, *options, "--out", str(run)], 2)
        while len(list(run.glob("checkpoints/*.json"))) < 2:
            assert processes[0].poll() is None
            time.sleep(0.05)
        time.sleep(0.2 * trial)
        processes[1].kill()
        began = time.monotonic()
        _, error = processes[0].communicate(timeout=60)
        assert time.monotonic() - began < 60
        processes[1].communicate()
        assert processes[0].returncode == 2
        assert error.splitlines()[-1].startswith("error: another rank of this training has ended")
        assert status(run)["state"] == "failed"
        assert [code for code, _ in command("-m", "triptych", "resume", str(run))] == [0, 0]
        assert weights(run) == weights(tmp_path / "whole"), f"trial {trial}"
