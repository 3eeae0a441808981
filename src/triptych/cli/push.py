"""`triptych push`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from triptych.cli.explore import RunFolder, Which
from triptych.system.console import say
from triptych.system.shell import shell

if TYPE_CHECKING:
    from triptych.run.folder import Run


def push(
    run: RunFolder,
    name: Annotated[Positional[str], arg(metavar="OWNER/NAME", help="the model's name on the Hub")],
    folder: Annotated[Path | None, arg(help="write it into this new folder instead, and send nothing")] = None,
    revision: Annotated[str | None, arg(help="branch to push to; default: the main one")] = None,
    license: Annotated[
        str, arg(help="of the weights, as the Hub has it (mit, cc-by-4.0); default: none is stated")
    ] = "",
    which: Which = "last",
    *,
    private: Annotated[bool, arg(help="where the model is new, make it private")] = False,
) -> None:
    """Put a run on the Hugging Face Hub: weights (safetensors), recipe, numbers and a model card with pictures.

    Checkpoints, optimisers and paths of this machine stay here. `triptych.load("hub:OWNER/NAME@REVISION")` loads it.
    """
    from triptych.run import hub, publish
    from triptych.run.folder import Run
    from triptych.system.files import making_folder

    hub.split(hub.PREFIX + name)
    found = Run(run)
    if folder is not None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            from triptych.errors import UserError

            raise UserError(f"{folder} exists already; give --folder another name")
        with making_folder(folder, "give --folder another place") as part:
            publish.write(found, part, name, which, license)
        say(folder)
        without_numbers(found)
        return
    with tempfile.TemporaryDirectory(prefix="triptych-push-") as part:
        publish.write(found, Path(part), name, which, license)
        say(hub.send(Path(part), name, revision, private=private))
    without_numbers(found)


def without_numbers(run: Run) -> None:
    """A remark on a card that has none."""
    if not (run.path / "eval.json").exists():
        say(f"note: the card has no numbers; `{shell('triptych', 'evaluate', str(run.path))}` makes them", stderr=True)
