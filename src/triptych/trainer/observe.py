"""The observers of every training, in the order of `standard`: numbers are made, then written, judged, and saved."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from statistics import fmean
from typing import Any

from triptych.core import Clock, Density, Encoder, Sampler, Train, Undefined, quantity
from triptych.core.model import class_count
from triptych.data.batches import InOrder
from triptych.errors import Diverged, UserError
from triptych.evaluate.curve import draw_curve
from triptych.evaluate.while_training import (
    class_diversity,
    during_training,
    left_out_along,
    of_features,
    samples_along,
)
from triptych.figures import classes, columns, planes, tiles
from triptych.figures.canvas import FILM
from triptych.metrics.comparison import mixed
from triptych.models import code_density, latent_space
from triptych.run.best import better
from triptych.run.folder import Run
from triptych.run.sinks import Sink
from triptych.system import device
from triptych.system.progress import Progress
from triptych.trainer import compilation, monitors
from triptych.trainer.faster import Faster
from triptych.trainer.observer import Observer
from triptych.trainer.promises import Promises, check_declared
from triptych.trainer.state import State

VALIDATED = 10_000
"""Most held-out examples a validation looks at."""
ROLLBACKS = 5
"""How often a run may go back; each time halves the rate."""


def standard(run: Run, train: Train, sink: Sink) -> list[Observer]:
    """The observers of every training. A cadence of 0 is a hundredth of the budget for the log, else a tenth."""

    def cadence(asked: int, share: int = 10) -> int:
        return asked or max(train.images // share, 1)

    evaluate, save = cadence(train.evaluate), cadence(train.checkpoint)
    draw, log = cadence(train.sample or train.checkpoint), cadence(train.log, 100)
    any_of = {evaluate, save, draw, log}
    return [
        Promises(*any_of),
        Faster(run, sink),
        Finite(*any_of, weights=False),
        Finite(evaluate, save, weights=True),
        Finish(train.images, sink=sink),
        Evaluate(evaluate, sink=sink),
        Draw(draw, sink=sink),
        Log(*any_of, sink=sink),
        CheckBest(*any_of, run=run, sink=sink),
        Alarms(evaluate, run=run, sink=sink),
        Checkpoint(save, run=run, sink=sink),
        Film(run),
        Curve(run),
    ]


class Bar(Observer):
    """Keeps the progress bar moving, and knows the time that is left: of the steps, and of the looks beside them."""

    def __init__(
        self, bar: Progress, observers: Sequence[Observer], paces: Sequence[tuple[float, float]] = ((0.0, 1.0),)
    ) -> None:
        """`paces` are of the objective's stages: the fraction of the budget where each begins, and what an image costs
        in it, in any unit."""
        super().__init__()
        self.bar, self.observers, self.paces = bar, observers, paces

    def begin(self, state: State) -> None:
        self.since, self.began = state.images, time.perf_counter()

    def stepped(self, state: State) -> None:
        if self.bar.due:
            self.bar.update(state.images, self.left(state))

    def left(self, state: State) -> float:
        """Seconds to the end, by the steps and looks of this process so far.

        The first call of an observer is slower than those after it, and counts only where there is no other.
        """
        looked = sum(map(sum, state.looks.values()))
        stepping = time.perf_counter() - self.began - looked
        budget = state.train.images
        left = stepping * self.price(state.images, budget, budget) / self.price(self.since, state.images, budget)
        for observer in self.observers:
            if spent := state.looks.get(id(observer)):
                each = fmean(spent[1:] or spent)
                left += each * observer.calls(state.images, state.train.images, state.train.batch)
        return left

    def price(self, first: int, last: int, budget: int) -> float:
        """What the images from one count to another cost, by the stages that they are in; of one at least."""
        ends = [*(begin for begin, _ in self.paces[1:]), 1.0]
        spans = [
            (max(min(last, end * budget) - max(first, begin * budget), 0.0), pace)
            for (begin, pace), end in zip(self.paces, ends, strict=True)
        ]
        return sum(n * pace for n, pace in spans) or self.paces[0][1]


class Finite(Observer):
    """Diverged where a loss or norm was not finite since the last line, or with `weights` one of these is not."""

    def __init__(self, *every: int, weights: bool) -> None:
        super().__init__(*every)
        self.weights = weights

    def __call__(self, state: State, line: dict[str, Any]) -> None:
        state.check(weights=self.weights)


class Finish(Observer):
    """At the end: what the model makes of the training examples with its final weights, before anybody looks."""

    def __init__(self, *every: int, sink: Sink) -> None:
        super().__init__(*every)
        self.sink = sink

    def __call__(self, state: State, line: dict[str, Any]) -> None:
        if state.finished:
            with device.evaluation_mode(state.model, state.seed), state.averages.applied():
                found = state.model.finish(state.data, state.held_out, state.seed)
            if few := found.get("codes_few"):
                self.sink.text(code_density.said(int(few), class_count(state.model)))
            line |= found


class Evaluate(Observer):
    """The objective's own validation, and the metrics that apply; each that has too few examples is named once."""

    def __init__(self, *every: int, sink: Sink) -> None:
        super().__init__(*every)
        self.sink, self.said = sink, set[str]()

    def __call__(self, state: State, line: dict[str, Any]) -> None:
        train, model = state.train, state.model
        clock = Clock(state.step, state.images, min(state.images / train.images, 1.0))
        batches = InOrder(mixed(state.held_out, VALIDATED), max(train.batch, 256), model.device, VALIDATED)
        with device.evaluation_mode(model, state.seed), compilation.eager(model):
            with state.averages.applied() if state.objective.validates_averages else nullcontext():
                found = state.objective.validate(model, batches, clock)
            if state.fresh:
                check_declared(state.objective, found)
            for name, value in found.items():
                if isinstance(value, Undefined):
                    self.say_once(f"{name} is not defined: {value.why}")
                else:
                    line[name] = value
            if isinstance(model, Sampler):
                graphics = model.device.type == "cuda"
                with state.averages.applied():
                    found = during_training(
                        model,
                        state.data,
                        state.test,
                        samples_along(state.data, train.images, graphics=graphics),
                        state.seed,
                        state.extractors,
                        inception=graphics,
                        tell=self.say_once,
                    )
                    if class_count(model):
                        line["class_diversity"] = class_diversity(model, state.data, state.seed)
                line |= {k: v for k, v in found.items() if k not in line}  # a game tells diversity by its own batch

    def say_once(self, text: str) -> None:
        if text not in self.said:
            self.said.add(text)
            self.sink.text(text)


class Draw(Observer):
    """Pictures on the same noise every time, of a model with classes a row for each; reconstructions of the first
    held-out pictures; at 0 images real ones.

    At the end also samples beside the same noise at the family's cooler temperature, where it has one.
    """

    def __init__(self, *every: int, sink: Sink) -> None:
        super().__init__(*every)
        self.sink = sink

    def __call__(self, state: State, line: dict[str, Any]) -> None:
        model, data, sink = state.model, state.data, self.sink
        if data.is_images and state.images == 0:
            shown = mixed(state.held_out, 64)  # of a folder with classes as sub-folders the first are of one class
            sink.images("real", 0, tiles.tile(latent_space.public(shown, range(min(64, len(shown))))))
        with device.evaluation_mode(model, state.seed), compilation.eager(model), state.averages.applied():
            if class_count(model) and data.is_images:
                if state.images == 0 and (left_out := classes.said(class_count(model))):
                    sink.text(left_out)
                sink.images("samples", state.images, classes.by_class(model, data.classes))
            elif isinstance(model, Sampler) and data.is_images:
                sink.images("samples", state.images, tiles.tile(model.sample(64, seed=0)))
                if state.finished and model.cooler is not None:
                    both = tiles.pairs(model.sample(36, seed=0), model.sample(36, seed=0, temperature=model.cooler))
                    sink.images("cooled", state.images, tiles.tile(both, columns=12))
            elif isinstance(model, Sampler) and data.shape == (2,) and data.typed is None:
                sink.images("samples", state.images, planes.plane_of(model, data))
            elif isinstance(model, Sampler) and data.typed is not None:
                sink.images("samples", state.images, columns.sheet_image(model.sample(2_000, seed=0), state.held_out))
            if isinstance(model, Encoder) and not isinstance(model, Density) and data.is_images:
                shown = mixed(state.held_out, 36)
                rows = range(min(36, len(shown)))
                x, y = latent_space.public(shown, rows), latent_space.labels_for(model, shown, rows)
                pairs = tiles.pairs(x, latent_space.decode(model, latent_space.encode(model, x, y=y), y=y))
                sink.images("reconstructions", state.images, tiles.tile(pairs, columns=12))


class Log(Observer):
    """The finished line, to every sink."""

    def __init__(self, *every: int, sink: Sink) -> None:
        super().__init__(*every)
        self.sink = sink

    def __call__(self, state: State, line: dict[str, Any]) -> None:
        line["evaluating"] = round(time.perf_counter() - state.paused, 3)
        self.sink.scalars(line["images"], line["step"], {k: v for k, v in line.items() if k not in ("images", "step")})


class CheckBest(Observer):
    """Once there is a line beside that of image 0: the metric that chooses the best has to be in one of them."""

    def __init__(self, *every: int, run: Run, sink: Sink) -> None:
        super().__init__(*every)
        self.run, self.sink, self.checked = run, sink, False

    def __call__(self, state: State, line: dict[str, Any]) -> None:
        name = state.train.best.removeprefix("-")
        if self.checked or not (name and state.images):
            return
        self.checked = True
        found = {k for known in self.run.lines() for k, v in known.items() if v is None or isinstance(v, int | float)}
        if name in found:
            return
        if name in of_features() and (why := left_out_along(state.data, state.test, state.train.images)):
            self.sink.text(f"{name} is left out ({why}), so that no checkpoint is kept as best")
            return
        known = sorted(found - set(quantity.BOOKKEEPING))
        raise UserError(f"train.best names {name!r}, which is not in the log; choose one of {', '.join(known)}")


class Alarms(Observer):
    """Asks the monitors about the newest line; a kind that is new goes to status.json and the sinks."""

    def __init__(self, *every: int, run: Run, sink: Sink) -> None:
        super().__init__(*every)
        self.run, self.sink = run, sink

    def __call__(self, state: State, line: dict[str, Any]) -> None:
        model, history = state.model, self.run.lines()[:-1]
        with device.evaluation_mode(model, state.seed), compilation.eager(model), state.averages.applied():
            found = monitors.check(state.recipe, model, line, state.data, state.test, history)
        raised = {alarm.split(" images: ", 1)[-1].split(":")[0] for alarm in state.alarms}
        for alarm in found:
            if alarm.split(":")[0] not in raised:
                state.alarms.append(f"at {state.images} images: {alarm}")
                self.sink.text(state.alarms[-1])
                self.run.set_status(alarms=state.alarms)


class Checkpoint(Observer):
    """Saves, chooses the best, and goes back to the last checkpoint after a divergence where the recipe says so."""

    def __init__(self, *every: int, run: Run, sink: Sink) -> None:
        super().__init__(*every)
        self.run, self.sink = run, sink

    def __call__(self, state: State, line: dict[str, Any]) -> None:
        self.save(state, line)

    def save(self, state: State, line: dict[str, Any], *, passing: bool = False) -> None:
        """A checkpoint from which training goes on exactly; `passing`: one that the cadence does not ask for."""
        if self.run.archive_evaluation():
            self.sink.text(
                "eval.json was of earlier weights and is now eval-old.json; `triptych evaluate` makes a new one"
            )
        state.best = better(self.run.recipe.train.best, state.best, state.images, line)
        if not (passing or state.finished) and patience_over(state, line):
            state.end = state.images + 1  # the next step is the last, so that everybody who looks at the end does
        state.averages.reestimate()
        self.run.save(state.images, state.contents().pack(), state.note() | {"passing": passing})
        self.run.set_status(images=state.images, seconds=state.seconds, alarms=state.alarms)

    def recovers(self, state: State, error: Diverged) -> bool:
        if state.train.on_divergence != "rollback" or state.slowed <= 0.5**ROLLBACKS:
            return False
        slowed, alarms = state.slowed / 2, state.alarms
        go_back(state, self.run)
        state.slowed = slowed
        went = f"went back to {state.images} images with {slowed:g} times the learning rate"
        state.alarms = [*alarms, f"{error}; {went}"]
        self.run.set_status(alarms=state.alarms)
        return True

    def end(self, state: State) -> None:
        """Where a signal came: save between two log lines, so that training can go on from this very step."""
        if state.finished and state.end is not None and state.best is not None:
            since = state.images - state.best["images"]
            self.run.set_status(end=state.end)
            self.sink.text(f"ended before its budget: {state.best['metric']} came no better for {since:,} images")
        if not state.finished and self.run.checkpoints()[-1:] != [state.images]:
            state.check(weights=True)
            self.save(state, {}, passing=True)


class Film(Observer):
    """At the end, the pictures over training as one animation."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run

    def end(self, state: State) -> None:
        pictures = sorted((self.run.path / "samples").glob("*.png"))
        if state.finished and len(pictures) > 1:
            tiles.animate(pictures, self.run.path / "samples" / FILM)


class Curve(Observer):
    """At the end, distance against images shown as one figure."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run

    def end(self, state: State) -> None:
        if state.finished:
            draw_curve(self.run)


def patience_over(state: State, line: Mapping[str, Any]) -> bool:
    """Whether the best checkpoint is as old as the recipe has patience; unknown without its metric in `line`."""
    patience, best = state.train.patience, state.best
    if not patience or best is None or best["metric"] not in line:
        return False
    return state.images - best["images"] >= patience


def go_back(state: State, run: Run) -> None:
    """Everything as it was when the last sound checkpoint of the run was written; its log is cut there."""
    images, tensors, note = run.newest()
    state.restore(images, tensors, note)
    state.best = run.best_at(images, note)
    run.truncate(images)
    run.prune(images, state.best, later=True)
