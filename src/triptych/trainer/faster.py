"""What makes steps faster on a GPU and leaves what they compute: recorded steps, and compiled players."""

from __future__ import annotations

from triptych.core.objective import examples
from triptych.data.batches import InOrder
from triptych.run.folder import Run
from triptych.run.sinks import Sink
from triptych.system import device
from triptych.trainer import compilation, recorded
from triptych.trainer.observer import Observer
from triptych.trainer.state import State

WORTH = 240.0
"""Seconds of steps from which on compiling is worth its minute: its kernels take two fifths less."""
TIMED = 5
"""Steps that are timed for it."""


class Faster(Observer):
    """Steps that are recorded once and replayed, and compiled players where the training is long enough for these.

    Which it was stands in the status, and a training that goes on keeps it; why not, on the screen. The first step of
    all, and of each stage, is an ordinary one, since some layers take their scale from its examples.
    """

    def __init__(self, run: Run, sink: Sink) -> None:
        super().__init__()
        self.run, self.sink = run, sink
        self.began = self.possible = self.records = False
        self.stage = 0

    def begin(self, state: State) -> None:
        self.began = state.ranks.world > 1  # each would compile for itself
        self.possible = self.records = recorded.possible(state)
        if state.step:
            self.start(state)

    def stepped(self, state: State) -> None:
        if not self.began:
            self.start(state)
        elif state.stage != self.stage:
            self.stage, state.replay, self.records = state.stage, None, self.possible
        elif self.records and state.replay is None:  # a new stage, or the training went back to other memory
            self.record(state)

    def start(self, state: State) -> None:
        """Record, time, and compile where it is worth it."""
        if state.finished:
            return
        self.began, self.stage = True, state.stage
        self.record(state)
        if device.compiles(state.model.device):
            compiles = self.run.status.get("compiled")
            if compiles is None:
                compiles = recorded.seconds_an_image(state, TIMED) * state.train.images > WORTH
            self.run.set_status(compiled=bool(compiles) and self.compile(state))

    def record(self, state: State) -> None:
        if self.records:
            why_not = recorded.record(state)
            self.records = why_not is None
            self.run.set_status(recorded=self.records)
            if why_not is not None:
                self.sink.text(f"steps are not recorded as a CUDA graph: {why_not}")

    def compile(self, state: State) -> bool:
        first = InOrder(state.data, state.train.batch, state.model.device)
        batch, labels = next(examples(state.model, first))
        state.replay = None
        precision = self.run.env["precision"]
        why_not = compilation.compile_players(state.model, state.objective, batch, precision, labels=labels)
        if why_not is not None:
            self.sink.text(f"torch.compile is left out, training is eager: {why_not}")
        self.record(state)
        return why_not is None
