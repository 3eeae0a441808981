"""The command line. Each command is a function; its annotations are its options.

Heavy modules are imported inside the commands, so that every `--help` answers at once.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from triptych.cli import evaluate, explore, report, study
from triptych.cli.arguments import parse
from triptych.cli.data import data
from triptych.cli.options import print_help
from triptych.cli.train import recipes, resume, train
from triptych.errors import Diverged, UserError, nearest
from triptych.system.console import prepare_streams, printable, say

COMMANDS: dict[str, Callable[..., Any]] = {
    "recipes": recipes,
    "train": train,
    "resume": resume,
    "evaluate": evaluate.evaluate,
    "sample": explore.sample,
    "reconstruct": explore.reconstruct,
    "encode": explore.encode,
    "decode": explore.decode,
    "nearest": explore.nearest,
    "flow": explore.flow,
    "interpolate": explore.interpolate,
    "sweep": explore.sweep,
    "study": study.study,
    "report": report.report,
    "data": data,
}
OWN_PARSING = {"train", "data"}


def overview() -> None:
    """The top-level help."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {(f.__doc__ or ' ').split('. ')[0].splitlines()[0]}" for name, f in COMMANDS.items()]
    print_help(
        "COMMAND ...",
        "GANs, VAEs and normalizing flows, side by side: train, evaluate and compare them under one protocol.\n\n"
        + "\n".join(lines)
        + "\n\n`triptych COMMAND --help` explains a command; --debug anywhere shows the traceback of an error.",
    )


def run_command(argv: Sequence[str]) -> int:
    """The exit status of a command that does not raise."""
    try:
        dispatch(argv)
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
    if name in OWN_PARSING:
        COMMANDS[name](rest)
    else:
        parse(COMMANDS[name], name, rest)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0, 2 for bad input, 3 for a diverged training.

    As a shell has it for programs that a signal ended: 130 when interrupted, 141 when nobody reads the output any more.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    prepare_streams()
    debug = "--debug" in argv
    argv = [a for a in argv if a != "--debug"]
    try:
        status = run_command(argv)
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
    except KeyboardInterrupt:
        name = argv[0] if argv else ""
        say(f"interrupted; {AFTER.get(name, AGAIN)}", stderr=True)
        return 130


AGAIN = "the same command begins again"
AFTER = {
    "train": "`triptych resume RUN` goes on from the last checkpoint",
    "resume": "`triptych resume RUN` goes on from the last checkpoint",
    "study": "the same command goes on: it skips the runs that are done and resumes those that were cut",
    "data": "the same command goes on with what is done already",
    "evaluate": "runs that were evaluated keep their eval.json; the same command begins again",
}
"""What a person does after an interrupt, by command."""


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
