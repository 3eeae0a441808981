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
"""Seconds of steps from which on compiling is worth its minute: it was seen to save a third to a half of them."""
TIMED = 5
"""Steps that are timed for it."""


class Faster(Observer):
    """Steps that are recorded once and replayed, and compiled players where the training is long enough for these.

    Which it was stands in the status, and a training that goes on keeps it; why not, on the screen. The first step of
    all is an ordinary one, since some layers take their scale from its examples.
    """

    def __init__(self, run: Run, sink: Sink) -> None:
        super().__init__()
        self.run, self.sink = run, sink
        self.began = self.records = False

    def begin(self, state: State) -> None:
        self.began = state.ranks.world > 1  # each would compile for itself, and wait for the others within a recording
        if state.step:
            self.start(state)

    def stepped(self, state: State) -> None:
        self.start(state)
        if self.records and state.replay is None:  # the training went back, to other memory than was recorded
            self.record(state)

    def start(self, state: State) -> None:
        """Once: record, time, and compile where it is worth it."""
        if self.began or state.finished:
            return
        self.began = True
        self.record(state)
        if device.compiles(state.model.device):
            compiles = self.run.status.get("compiled")
            if compiles is None:
                compiles = recorded.seconds_an_image(state, TIMED) * state.train.images > WORTH
            self.run.set_status(compiled=bool(compiles) and self.compile(state))

    def record(self, state: State) -> None:
        if device.records(state.model.device) and state.train.accumulate == 1:
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
        if self.records:
            self.record(state)
        return why_not is None
