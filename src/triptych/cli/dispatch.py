"""The command line: which command is meant, and how every error ends.

Heavy modules are imported inside the commands, so that every `--help` answers at once.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from triptych.cli import evaluate, explore, export, push, report, study, track, tune
from triptych.cli.commands import Command, from_function
from triptych.cli.data import data
from triptych.cli.options import print_help
from triptych.cli.parts import parts
from triptych.cli.train import recipes, resume, train
from triptych.cli.zoo import zoo
from triptych.core.discovery import plugged
from triptych.errors import Diverged, UserError, nearest
from triptych.system.console import close_displays, prepare_streams, printable, say


def completion(
    shell: Annotated[Positional[Literal["bash", "zsh", "fish"]], arg(help="bash, zsh or fish")],
) -> None:
    """Print what makes a shell complete triptych's commands, options, recipes, data sets and parts.

    bash: `triptych completion bash > ~/.local/share/bash-completion/completions/triptych`;
    zsh: `triptych completion zsh > ~/.zfunc/_triptych`, with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc;
    fish: `triptych completion fish > ~/.config/fish/completions/triptych.fish`. Print it anew after an update.
    """
    from triptych.cli.completion import script

    say(script(shell, COMMANDS))


COMMANDS = {
    "recipes": from_function("recipes", recipes),
    "parts": from_function("parts", parts),
    "train": Command("Train a recipe: `triptych train RECIPE [--data NAME_OR_FOLDER] [options]`.", train),
    "resume": from_function("resume", resume),
    "evaluate": from_function("evaluate", evaluate.evaluate),
    "sample": from_function("sample", explore.sample),
    "reconstruct": from_function("reconstruct", explore.reconstruct),
    "encode": from_function("encode", explore.encode),
    "decode": from_function("decode", explore.decode),
    "nearest": from_function("nearest", explore.nearest),
    "copies": from_function("copies", explore.copies),
    "score": from_function("score", explore.score),
    "flow": from_function("flow", explore.flow),
    "interpolate": from_function("interpolate", explore.interpolate),
    "sweep": from_function("sweep", explore.sweep),
    "export": from_function("export", export.export),
    "explore": from_function("explore", export.explore),
    "study": from_function("study", study.study, study.named_studies),
    "tune": from_function("tune", tune.tune),
    "report": from_function("report", report.report),
    "push": from_function("push", push.push),
    "track": from_function("track", track.track),
    "zoo": Command("List trained runs, and add to them: `triptych zoo [list|add RUN NAME|remove NAME]`.", zoo),
    "completion": from_function("completion", completion),
    "data": Command("List, describe and prepare data sets: `triptych data list|info|prepare|merge`.", data),
}


def overview() -> None:
    """The top-level help."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.about}" for name, command in COMMANDS.items()]
    print_help(
        "COMMAND ...",
        "GANs, VAEs and normalizing flows, side by side: train, evaluate and compare them under one protocol.\n\n"
        + "\n".join(lines)
        + "\n\n`triptych COMMAND --help` explains a command. Everywhere, --plugin MODULE_OR_FILE takes the parts of a\n"
        "module or .py file as if they were ours (several times for several), and --debug shows an error's traceback.",
    )


def without_plugins(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words of a command line without its `--plugin X`, and these X."""
    rest, named, words = [], [], iter(argv)
    for word in words:
        if word == "--plugin":
            where = next(words, "")
            if not where or where.startswith("--"):
                raise UserError("--plugin names no plug-in; give it a .py file or the name of a module")
            named.append(where)
        elif word.startswith("--plugin="):
            named.append(word.removeprefix("--plugin="))
        else:
            rest.append(word)
    return rest, named


def run_command(argv: Sequence[str]) -> int:
    """The exit status of a command that does not raise."""
    words, named = without_plugins(argv)
    try:
        with plugged(named):
            dispatch(words)
    except SystemExit as e:  # the parser's --help, or rich when nobody reads its output
        if isinstance(e.__context__, BrokenPipeError):
            raise e.__context__ from None
        return int(e.code or 0)
    return 0


def dispatch(argv: Sequence[str]) -> None:
    if not argv or argv[0] in ("-h", "--help"):
        overview()
        return
    if argv[0] == "--version":
        from triptych import __version__

        say(f"triptych {__version__}")
        return
    name, rest = argv[0], argv[1:]
    if name not in COMMANDS:
        raise UserError(f"{name!r} is not a command; {nearest(name, COMMANDS, '`triptych --help` lists them')}")
    COMMANDS[name].run(rest)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0, 2 for bad input, 3 for a diverged training.

    As a shell has it for programs that a signal ended: 130 when interrupted, 141 when nobody reads the output any more.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    prepare_streams()
    if not gc.get_freeze_count():
        gc.freeze()  # what is loaded stays: no collection looks through it again
    debug = "--debug" in argv
    argv = [a for a in argv if a != "--debug"]
    try:
        try:
            status = run_command(argv)
        finally:
            close_displays()
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # what is left in the buffer goes nowhere: Python would complain about it at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (UserError, OSError) as e:
        if debug:
            traceback.print_exc()
        say(f"error: {printable(' '.join(in_words(e).split()))}", stderr=True)
        return 3 if isinstance(e, Diverged) else 2
    except KeyboardInterrupt as e:
        name = next((word for word in argv if word in COMMANDS), "")
        say(f"interrupted; {AFTER.get(name) or str(e) or BEFORE.get(name, AGAIN)}", stderr=True)
        return 130


AGAIN = "the same command begins again"
AFTER = {
    "study": "the same command goes on: it skips the runs that are done and resumes those that were cut",
    "tune": "the same command goes on: it keeps the trials that have ended",
    "data": "the same command goes on with what is done already",
    "evaluate": "runs that were evaluated keep their eval.json; the same command begins again",
}
"""What a person does after an interrupt, by command, whatever it was in the middle of."""
BEFORE = {
    "train": "no run folder was written; the same command begins again",
    "resume": "the run is as it was; the same command begins again",
}
"""The same where no training had begun; a training that had says itself how it goes on."""


def in_words(e: Exception) -> str:
    """An error as a message that says what to do; the system's own names the file and what it refused."""
    if isinstance(e, UserError) or not isinstance(e, OSError) or e.strerror is None:
        return str(e)
    from triptych.system.cache import root

    where = e.filename2 or e.filename
    advice = "check the path, or give another one"
    if e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        advice = "free space, or write to another place"
    elif e.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "make it accessible, or give another place"
    if where and Path(os.fsdecode(where)).absolute().is_relative_to(root().absolute()):
        advice = "set TRIPTYCH_CACHE to a folder that can be written"
    return f"{f'{where}: ' if where else ''}{e.strerror}; {advice}"
