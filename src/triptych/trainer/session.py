"""What is around the loop: sinks and observers, and the status that says how the training ended."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from triptych.core import quantity
from triptych.errors import Diverged, UserError
from triptych.run.folder import Run
from triptych.run.sending import Sinks
from triptych.run.sinks import JSONLines, PictureFiles, Sink, Terminal
from triptych.system import device
from triptych.system.progress import Progress
from triptych.system.shell import shell
from triptych.trainer import compilation
from triptych.trainer.checks import enough_memory
from triptych.trainer.observe import Bar, standard
from triptych.trainer.observer import Observer
from triptych.trainer.quantities import logged
from triptych.trainer.rehearsal import rehearse_stages
from triptych.trainer.state import State


@contextmanager
def session(
    run: Run,
    state: State,
    sinks: Sequence[Callable[[Run], Sink]] = (),
    observers: Sequence[Observer] = (),
    *,
    progress: bool,
) -> Iterator[tuple[list[Observer], list[int]]]:
    """The observers of a training, and the list of the signals that ask it to end after the step at hand.

    Afterwards status.json says how it ended, every sink is closed, and SIGTERM ends the process with status 143, Ctrl-C
    raises KeyboardInterrupt.
    On another rank than the first nobody watches and nothing is written.
    """
    if not state.ranks.first:
        with device.deferred_signals() as came, enough_memory():
            state.model.train()
            yield [], came
        return
    live = quantity.live(logged(state.objective))
    bar = Progress(run.recipe.name or run.name, state.train.images, state.images, shown=progress, live=live)
    with device.deferred_signals() as came:
        run.set_status(state="running", images=state.images, end=None, note=None, message=None)
        out = Sinks([JSONLines(run), PictureFiles(run), Terminal(bar)], sinks, run)
        state.model.train()
        try:
            with bar, enough_memory():
                watching = [*standard(run, state.train, out), *observers]
                paces = rehearse_stages(state, run.env["precision"]) if progress else [(0.0, 1.0)]
                yield [*watching, Bar(bar, watching, paces)], came
                if not state.finished:
                    run.set_status(images=state.images, seconds=state.seconds, note="interrupted")
                if not state.finished and signal.SIGTERM in came:
                    place = f"terminated at {state.images} images"
                    out.text(f"{place}; `{shell('triptych', 'resume', str(run.path))}` goes on from there")
        except KeyboardInterrupt:
            _last_status(run, state, note="interrupted")
            raise
        except Diverged as e:
            _last_status(run, state, state="diverged", message=str(e), alarms=[*state.alarms, str(e)])
            raise
        except Exception as e:
            _last_status(run, state, state="failed", message=str(e))
            raise
        finally:
            compilation.leave(state.model)
            out.close()
        if state.finished:
            run.set_status(state="done", images=state.images, seconds=state.seconds, alarms=state.alarms)


def _last_status(run: Run, state: State, /, **fields: Any) -> None:
    """How it ended, where that can be written: on a full disk this must not hide the reason."""
    with suppress(UserError, OSError):
        run.set_status(images=state.images, seconds=state.seconds, **fields)
