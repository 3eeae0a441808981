"""Every command that README and docs give is one: its name, its options and their values are taken by the parser."""

import functools
import re
import shlex
from pathlib import Path

import pytest

from triptych.cli import commands, main
from triptych.cli.arguments import parse
from triptych.trainer import loop

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "tutorials").glob("*.py")),
]
PLACEHOLDER = re.compile(r"^[A-Z][A-Z_.]*$|[A-Z]+_[A-Z]+|\.\.\.|…|\|")


def commands_of(text: str) -> list[str]:
    """Commands in blocks and between backticks, without comments.

    Those that name a placeholder are forms, and one word between backticks, or an option at the end, is a mention.
    """
    found = re.findall(r"^(?:    )?(triptych .*)$", text, re.MULTILINE) + re.findall(
        r"`(triptych \S+ [^`]*[^`\s])`", text
    )
    split = [
        part
        for line in found
        for part in re.split(r"\s{2,}(?=triptych )", " ".join(line.split("#")[0].rstrip().split("\n")))
    ]
    return [
        c.strip()
        for c in split
        if not c.split()[-1].startswith("--") and not any(PLACEHOLDER.search(w) for w in words_of(c) if w not in NAMED)
    ]


NAMED = ("NLL", "GAN", "WGANGP", "LSGAN", "VAE", "NSF", "RealNVP", "Mine")


def words_of(command: str) -> list[str]:
    return re.split(r"\s{2,}", command)[0].split()


class Asked(Exception):
    """The command was understood."""


WRITTEN = sorted({c for page in PAGES for c in commands_of(page.read_text(encoding="utf-8"))})


def test_there_are_commands_to_try():
    assert len(WRITTEN) > 30
    assert commands_of("`triptych sample RUN -n 4`, `triptych sweep`\n    triptych recipes") == ["triptych recipes"]


@pytest.mark.parametrize("command", WRITTEN)
def test_a_written_command_is_taken(command, monkeypatch, capsys):
    def stop(*_, **__):
        raise Asked

    def only_parse(function, name, argv, **more):
        return parse(functools.wraps(function)(lambda *_, **__: None), name, argv, **more)

    monkeypatch.setattr(commands, "parse", only_parse)
    monkeypatch.setattr("triptych.cli.zoo.parse", only_parse)
    monkeypatch.setattr(loop, "fit", stop)
    monkeypatch.setattr("triptych.cli.data.prepare", stop, raising=False)
    words = shlex.split(re.split(r"\s{2,}", command)[0])[1:]
    files = any(w.endswith((".yaml", ".json", ".py")) for w in words[:2])
    if (
        words[:1] == ["data"]
        or files
        or {">", "--like"} & set(words)
        or "--plugin" in words
        or "types.yaml" in words
        or words[:2] == ["train", "--data"]
    ):
        pytest.skip("reads what is not there")
    try:
        status = main(words)
    except Asked:
        return
    assert status == 0, capsys.readouterr().err
