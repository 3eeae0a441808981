"""The example of docs/metrics.md, as it stands there."""

import json
import re
import shlex
from pathlib import Path

from triptych.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```(sh|python)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert [kind for kind, _ in blocks].count("sh") == 2
    names: dict[str, object] = {}
    for kind, text in blocks:
        if kind == "python":
            exec(text, names)
            continue
        for line in text.strip().splitlines():
            program, *argv = shlex.split(line)
            assert program == "triptych"
            assert main(argv) == 0, line
    said = capsys.readouterr().out
    assert re.search(r"high_quality: 0\.\d+ \(n = 1000, floor 0\.9\d+, against 8gaussians", said)
    assert "GANModel has no density" in said
    noise = json.loads((tmp_path / "noise.json").read_text())
    assert abs(noise["kernel"]["value"] - noise["kernel"]["floor"]) < 10 * noise["kernel"]["se"]


def test_every_name_that_evaluation_gives_is_in_the_table(tmp_path, monkeypatch):
    """Of the runs and sets above: names in eval.json are found in the page's table."""
    table = PAGE.read_text()
    known = set(re.findall(r"`([a-z0-9_]+)(?:_\*)?`", table))
    families = tuple(re.findall(r"`([a-z0-9_]+_)\*`", table))
    monkeypatch.chdir(tmp_path)
    assert main(["train", "vae-8gaussians", "--train.images", "512", "--out", "run"]) == 0
    assert main(["evaluate", "run", "-n", "60"]) == 0
    values = json.loads((tmp_path / "run" / "eval.json").read_text())
    assert {name for name in values if name not in known and not name.startswith(families)} == set()
