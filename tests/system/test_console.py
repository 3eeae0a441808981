"""What reaches a terminal: nothing is markup, nothing acts, nothing fails for want of a character."""

import ast
import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.progress import Progress as RichProgress
from rich.table import Table

import triptych
from triptych.system import console as terminal
from triptych.system import notices
from triptych.system.console import console, printable, say
from triptych.system.progress import Progress


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain − größe\tx\n", "plain − größe\tx\n"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b31m", "\\x9b31m"),
        ("a\rb\x07\x7f\x00", "a\\x0db\\x07\\x7f\\x00"),
        ("gnp.\u202eexe\u2066", "gnp.\\u202eexe\\u2066"),
        ("caf\udce9", "caf\\xe9"),
        ("\ud800", "\\ud800"),
        ("line\u2028end\x85", "line\\u2028end\\x85"),
        ("no-break\u00a0 and 👩\u200d💻", "no-break\u00a0 and 👩\u200d💻"),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown
    shown.encode()


@pytest.mark.parametrize("name", ["runs/[lr=0.1]", "[/x]", "[bold]a[/bold]", ":smile:", "\x1b[31mred", "[link=x]y"])
def test_names_are_no_markup(capsys, name):
    out = console()
    out.print(f"done: {name}")
    table = Table(title=name, box=None, show_header=True)
    table.add_column(name)
    table.add_row(name)
    out.print(table)
    say(name)
    printed = capsys.readouterr().out
    assert printed.count(printable(name)) == 5
    assert "\x1b" not in printed


def test_titles_and_lines_of_bars_are_no_markup(capsys):
    with Progress("[/x]", 2) as bar:
        bar.say("at 1: [/y]")
    assert "at 1: [/y]" in capsys.readouterr().err
    shown = RichProgress(*bar._bar.columns, console=terminal.PlainConsole(file=io.StringIO()))
    shown.add_task("[/x]", total=2, completed=0, note="[/z]", unit="[b]")
    for row in shown.get_renderables():
        shown.console.print(row)
    text = shown.console.file.getvalue()  # type: ignore[attr-defined]
    assert all(part in text for part in ("[/x]", "[/z]", "[b]"))


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "cp1252", "utf-8"])
def test_streams_replace_what_they_cannot_hold(encoding):
    code = (
        "from triptych.system import console as terminal; from rich.table import Table; terminal.prepare_streams();"
        "t = Table(); t.add_column('−1 → 1'); t.add_row('größe 日本 ' + 'x' * 400);"
        "terminal.console().print(t); terminal.say('± caf\\udce9'); print('− \\udce9 日')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={"PYTHONIOENCODING": encoding, "PATH": ""}
    )
    assert done.returncode == 0, done.stderr.decode()
    text = done.stdout.decode(encoding)
    assert "caf\\xe9" in text
    if encoding == "ascii":
        assert "-1 -> 1" in text
        assert "+- caf" in text
        assert "- \\xe9 ?" in text


SOURCE = Path(triptych.__file__).parent


def test_nothing_is_printed_past_the_door():
    """Neither print(), nor a console of one's own, nor a stream written to."""
    past = []
    for file in SOURCE.rglob("*.py"):
        if file == Path(terminal.__file__):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "print", "Console", "sys.stderr.write", "sys.stdout.write",
            ):  # fmt: skip
                past.append((file.name, node.lineno))
    assert past == []


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_notice_goes_through_the_door(monkeypatch, encoding):
    """From a notebook, too, where no command has prepared the streams."""
    held = io.BytesIO()
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(held, encoding=encoding))
    notices.say(f"header of {encoding}: \x1b[31mred, \udce9, →")
    shown = held.getvalue().decode(encoding)
    assert shown.startswith(f"header of {encoding}: \\x1b[31mred, \\xe9, ")
    assert shown.endswith(("→\n", "->\n"))
