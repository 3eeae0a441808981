"""The one loop that trains every family."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from typing import Any

import torch
from torch import Tensor, nn

from triptych.core import Clock, Data, Density, Encoder, Model, Move, Sampler, encode, quantity
from triptych.data.batches import Batches, in_order
from triptych.errors import Diverged, UserError
from triptych.figures import tiles
from triptych.models import latent_space
from triptych.run.checkpoint import check_fit, pack_optimizers, part, unpack_optimizers
from triptych.run.folder import Run
from triptych.system import device, distributed
from triptych.system.progress import Progress
from triptych.trainer import compilation
from triptych.trainer.checks import enough_memory
from triptych.trainer.ema import Averages
from triptych.trainer.optimizers import learning_rate, make_optimizer
from triptych.trainer.quantities import logged

VALIDATED = 10_000
"""Most held-out examples a validation looks at."""
SAMPLES = (2_500, 10_000)
"""Samples behind the metrics of an evaluation: on a processor; on a GPU, which also makes FID where its weights are."""
ROLLBACKS = 5
"""How often a run may go back; each time halves the rate."""


class Training:
    """One run in memory: the players, their optimisers and averages, the stream of data and the clock."""

    def __init__(self, run: Run, model: Model, data: Data, test: Data | None) -> None:
        self.run, self.model, self.data, self.test = run, model, data, test
        self.recipe, self.train = run.recipe, run.recipe.train
        self.batches = Batches(data, self.train.batch, run.seed, model.device, self.train.flip)
        self.parameters = {k: [w for w in p.parameters() if w.requires_grad] for k, p in model.players.items()}
        self.optimizers = {k: make_optimizer(self.train, k, ws) for k, ws in self.parameters.items() if ws}
        self.rates = {k: o.param_groups[0]["lr"] for k, o in self.optimizers.items()}
        self.averages = Averages(model, self.train.ema)
        self.step, self.seconds, self.slowed, self.fresh = 0, 0.0, 1.0, True
        self.chooses = bool(self.train.best)
        self.best: dict[str, Any] | None = None  # images, metric and value of the best checkpoint so far
        self.said: set[str] = set()
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.alarms: list[str] = list(run.status.get("alarms", []))
        self.check_each = model.device.type == "cpu"
        self.sane = torch.ones((), device=model.device)

    @property
    def images(self) -> int:
        return self.batches.drawn

    # ------------------------------------------------------------------------------ the loop

    def go(self, progress: bool) -> Run:
        """Train to the end of the budget, whatever was done before.

        SIGTERM ends it between two steps, with a checkpoint, and the process with status 143.
        """
        with device.deferred_termination() as terminated:
            return self.run_budget(progress, terminated)

    def run_budget(self, progress: bool, terminated: list[int]) -> Run:
        run, budget = self.run, self.train.images
        run.set_status(state="running", images=self.images, note=None, message=None)
        live = quantity.live(logged(self.recipe.objective))
        bar = Progress(run.recipe.name or run.name, budget, self.images, shown=progress, live=live)
        self.model.train()
        began = time.perf_counter() - self.seconds
        try:
            with bar, enough_memory():
                if self.fresh:
                    self.recipe.objective.prepare(self.model, self.data)
                if device.compiles(self.model.device):
                    self.compile(bar)
                if self.fresh:
                    self.at_cadence(0, bar)
                while self.images < budget:
                    before = self.images
                    try:
                        self.one_step()
                        self.seconds = time.perf_counter() - began
                        self.at_cadence(before, bar)
                    except Diverged as e:
                        self.roll_back(e)
                    bar.update(self.images)
                    if terminated and self.images < budget:
                        return self.leave(bar)
        except KeyboardInterrupt:
            self.set_last_status(note="interrupted")
            raise
        except Diverged as e:
            self.set_last_status(state="diverged", message=str(e), alarms=[*self.alarms, str(e)])
            raise
        except Exception as e:
            self.set_last_status(state="failed", message=str(e))
            raise
        finally:
            compilation.leave(self.model)
        pictures = sorted((run.path / "samples").glob("*.png"))
        if len(pictures) > 1:
            from triptych.figures import tiles

            tiles.animate(pictures, run.path / "samples" / "animation.webp")
        run.set_status(state="done", images=self.images, seconds=self.seconds, alarms=self.alarms)
        return run

    def set_last_status(self, **fields: Any) -> None:
        """How it ended, where that can be written: on a full disk this must not hide the reason."""
        with suppress(UserError, OSError):
            self.run.set_status(images=self.images, **fields)

    def leave(self, bar: Progress) -> Run:
        """Save between two log lines, so that training can go on from this very step."""
        if self.run.checkpoints()[-1:] != [self.images]:
            self.check_finite(weights=True)
            self.set_numbers_aside(bar)
            self.save({}, passing=True)
        self.run.set_status(images=self.images, seconds=self.seconds, note="interrupted")
        bar.say(f"terminated at {self.images} images; `triptych resume {self.run.path}` goes on from there")
        return self.run

    def compile(self, bar: Progress) -> None:
        """Compiled players where that changes no gradient; the status says which it was, the screen why not."""
        batch = next(in_order(self.data, self.train.batch, self.model.device))
        precision = self.run.env["precision"]
        why_not = compilation.compile_players(self.model, self.recipe.objective, batch, precision)
        self.run.set_status(compiled=why_not is None)
        if why_not is not None:
            bar.say(f"torch.compile is left out, training is eager: {why_not}")

    def one_step(self) -> None:
        """Drive `objective.step` to its end: backward and optimiser step for each move."""
        factor = learning_rate(self.train, self.images) * self.slowed
        for k, optimizer in self.optimizers.items():
            optimizer.param_groups[0]["lr"] = self.rates[k] * factor
        images = self.images
        steps = math.ceil(self.train.images * self.step / images) if images else 0
        clock = Clock(self.step, images, min(images / self.train.images, 1.0), steps)
        for move in self.recipe.objective.step(self.model, self.batches, clock):
            self.take(move)
        self.step += 1
        self.averages.follow(self.step)

    def take(self, move: Move) -> None:
        """Minimise the move's loss over its players' parameters, and nobody else's."""
        parameters = [w for name in move.names for w in self.parameters[name]]
        self.finite(move.loss, move)
        for w in parameters:
            w.grad = None
        move.loss.backward(inputs=parameters)
        for name in move.names:
            if all(w.grad is None for w in self.parameters[name]):
                raise RuntimeError(f"the loss of a move reaches no parameter of its player {name!r}")
        distributed.average_gradients(parameters)
        if self.train.clip:
            norm = nn.utils.clip_grad_norm_(parameters, self.train.clip, foreach=True)
            self.finite(norm, move)  # clipped by an infinite norm, gradients are 0: nothing would move any more
            self.note("grad_norm", norm)
        for name in move.names:
            self.optimizers[name].step()
        for k, v in move.logs.items():
            self.note(k, v)

    def finite(self, value: Tensor, move: Move) -> None:
        """A loss or norm that is not finite stops training: at once on the CPU, else at the next log line (no sync)."""
        if not self.check_each:
            self.sane *= torch.isfinite(value.detach())
        elif not math.isfinite(value.item()):
            self.diverge(move.names)

    def check_finite(self, weights: bool) -> None:
        """Diverged where a loss or norm was not finite since the last log line, or with `weights` one of these is."""
        if not (self.sane and (not weights or self.weights_finite())):
            self.diverge(list(self.optimizers))

    def diverge(self, players: Sequence[str]) -> None:
        """Stop, for the weights that are not finite, or where all are for the loss or gradient of these players."""
        spoilt = [k for k, ws in self.parameters.items() if not all(bool(torch.isfinite(w).all()) for w in ws)]
        names = " and ".join(spoilt or players)
        what = f"weights of the {names} are" if spoilt else f"loss or its gradient of the {names} is"
        raise Diverged(
            f"the {what} not finite at {self.images} images; lower --train.lr, or start again "
            "with --train.on-divergence rollback, which goes back to the last good checkpoint"
        )

    def note(self, name: str, value: Tensor | float) -> None:
        value = value.detach() if isinstance(value, Tensor) else torch.tensor(float(value))
        self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.counts[name] = self.counts.get(name, 0) + 1

    def roll_back(self, e: Diverged) -> None:
        """Back to the last good checkpoint with half the rate, where the recipe says so; else raise."""
        if self.train.on_divergence != "rollback" or self.slowed <= 0.5**ROLLBACKS:
            raise e
        slowed, alarms = self.slowed / 2, self.alarms
        self.restore()
        self.slowed = slowed
        self.alarms = [*alarms, f"{e}; went back to {self.images} images with {slowed:g} times the learning rate"]
        self.run.set_status(alarms=self.alarms)

    # ------------------------------------------------------------------------------ what is left behind

    def at_cadence(self, before: int, bar: Progress) -> None:
        """Log, evaluate, draw and save whatever is due between `before` and now; everything at 0 and at the end."""
        t, now = self.train, self.images
        ends = now == 0 or now >= t.images

        def due(every: int, share: int) -> bool:
            every = every or max(t.images // share, 1)
            return ends or before // every < now // every

        evaluate, sample, save = due(t.evaluate, 10), due(t.sample or t.checkpoint, 10), due(t.checkpoint, 10)
        if not (evaluate or sample or save or due(t.log, 100)):
            return
        paused = time.perf_counter()
        line: dict[str, Any] = {"images": now, "step": self.step, "seconds": round(self.seconds, 3)}
        line |= {k: (v / self.counts[k]).item() for k, v in self.sums.items()}
        self.sums, self.counts = {}, {}
        self.check_finite(weights=save or evaluate)
        if evaluate or sample:
            with device.aside(self.model, self.run.seed), compilation.eager(self.model):
                if evaluate:
                    line |= self.evaluate(now, bar)
                if sample:
                    with self.averages.in_use():
                        self.draw(now)
        line["evaluating"] = round(time.perf_counter() - paused, 3)
        self.run.append(line)
        bar.show(line)
        if self.chooses and now:
            self.check_best(bar)
        if evaluate:
            self.raise_alarms(line, bar)
        if save:
            self.set_numbers_aside(bar)
            self.save(line)

    def set_numbers_aside(self, bar: Progress) -> None:
        if self.run.set_numbers_aside():
            bar.say("eval.json judged earlier weights and is now eval-old.json; `triptych evaluate` judges again")

    def check_best(self, bar: Progress) -> None:
        """Once there is a line of training beside that of image 0: the metric that chooses has to be in one of them."""
        from triptych.evaluate.while_training import left_out_along, of_features

        self.chooses, name = False, self.train.best.removeprefix("-")
        found = {k for line in self.run.lines() for k, v in line.items() if v is None or isinstance(v, int | float)}
        if name in found:
            return
        if name in of_features() and (why := left_out_along(self.data, self.test, self.train.images)):
            bar.say(f"{name} is left out ({why}), so that no checkpoint is kept as best")
            return
        known = sorted(found - set(quantity.BOOKKEEPING))
        raise UserError(f"train.best names {name!r}, which is not in the log; choose one of {', '.join(known)}")

    def weights_finite(self) -> bool:
        return all(bool(torch.isfinite(w).all()) for ws in self.parameters.values() for w in ws)

    def evaluate(self, images: int, bar: Progress) -> dict[str, float]:
        """The objective's own validation, and the metrics that apply; each that has too few examples is named once."""
        from triptych.evaluate.while_training import during_training

        held_out = self.test if self.test is not None else self.data
        clock = Clock(self.step, images, min(images / self.train.images, 1.0))
        batches = in_order(held_out, max(self.train.batch, 256), self.model.device, VALIDATED)
        # a critic is judged against the generator it plays with, everybody else with the weights that will be loaded
        with nullcontext() if "critic" in self.model.players else self.averages.in_use():
            found = dict(self.recipe.objective.validate(self.model, batches, clock))
        if isinstance(self.model, Sampler):
            graphics = self.model.device.type == "cuda"
            n = SAMPLES[graphics]
            with self.averages.in_use():
                found |= during_training(
                    self.model,
                    self.data,
                    self.test,
                    n,
                    self.run.seed,
                    self.train.images,
                    inception=graphics,
                    tell=lambda text: self.say_once(text, bar),
                )
        return found

    def say_once(self, text: str, bar: Progress) -> None:
        if text not in self.said:
            self.said.add(text)
            bar.say(text)

    def draw(self, images: int) -> None:
        """Pictures on the same noise every time; reconstructions of the first held-out pictures."""
        from triptych.figures import planes

        model, name = self.model, f"{images:09d}.png"
        if isinstance(model, Sampler):
            if self.data.is_images:
                tiles.grid(model.sample(64, seed=0), self.run.path / "samples" / name)
            elif self.data.shape == (2,):
                planes.plane(model.sample(2_000, seed=0), self.data, self.run.path / "samples" / name, model=model)
        if isinstance(model, Encoder) and not isinstance(model, Density) and self.data.is_images:
            held_out = self.test if self.test is not None else self.data
            x = latent_space.public(held_out, range(min(36, len(held_out))))
            pairs = tiles.pairs(x, latent_space.decode(model, latent_space.encode(model, x)))
            (self.run.path / "reconstructions").mkdir(exist_ok=True)
            tiles.grid(pairs, self.run.path / "reconstructions" / name, columns=12)

    def raise_alarms(self, line: dict[str, Any], bar: Progress) -> None:
        """Ask the alarms about the newest line; a kind that is new goes to status.json and the screen."""
        from triptych.trainer import monitors

        history = self.run.lines()[:-1]
        with device.aside(self.model, self.run.seed), compilation.eager(self.model), self.averages.in_use():
            found = monitors.check(self.recipe, self.model, line, self.data, self.test, history)
        raised = {alarm.split(" images: ", 1)[-1].split(":")[0] for alarm in self.alarms}
        for alarm in found:
            if alarm.split(":")[0] not in raised:
                self.alarms.append(f"at {self.images} images: {alarm}")
                bar.say(self.alarms[-1])
                self.run.set_status(alarms=self.alarms)

    def save(self, line: dict[str, Any], passing: bool = False) -> None:
        """A checkpoint from which training continues exactly; `passing`: one that the cadence does not ask for."""
        self.best = self.run.better(self.best, self.images, line)
        tensors = {f"model/{k}": v for k, v in self.model.state_dict().items()}
        tensors |= self.averages.tensors()
        tensors |= pack_optimizers(self.optimizers, self.parameters)
        tensors |= {f"rng/{k}": v for k, v in device.random_state(self.model.device).items()}
        tensors |= {f"log/{k}": v for k, v in self.sums.items()}
        stream = self.batches.state_dict()
        tensors["rng/batches"] = stream.pop("generator")
        note = {
            "asked": {"recipe": encode(self.recipe), "seed": self.run.seed},
            "step": self.step,
            "seconds": self.seconds,
            "slowed": self.slowed,
            "batches": stream,
            "alarms": self.alarms,
            "best": self.best,
            "counts": self.counts,
            "passing": passing,
        }
        self.run.save(self.images, tensors, note)
        self.run.set_status(images=self.images, seconds=self.seconds, alarms=self.alarms)

    def restore(self) -> None:
        """Everything as it was when the last sound checkpoint was written; UserError, before anything is changed,
        where it is not one of this model, these optimisers and generators."""
        images, tensors, note = self.run.newest()
        place = f"the checkpoint at {images} images"
        missing = {"step", "seconds", "slowed", "batches", "alarms"} - note.keys()
        if missing or note["batches"]["drawn"] != images:
            raise UserError(f"{place} cannot be gone on with: its note is incomplete; restore it from a copy")
        check_fit(part(tensors, "model"), self.model.state_dict(), images, "the model of recipe.json")
        self.averages.check(tensors, images)
        sums, counts = part(tensors, "log"), note.get("counts", {})
        check_fit(sums, {k: sums.get(k, torch.zeros(())).new_zeros(()) for k in counts}, images, "its own note")
        generators = {**device.random_state(self.model.device), "batches": self.batches.state_dict()["generator"]}
        saved = part(tensors, "rng")
        check_fit({k: saved[k] for k in generators if k in saved}, generators, images, "the random generators")
        states = unpack_optimizers(tensors, self.optimizers, self.parameters, images)
        try:
            torch.Generator().set_state(saved["cpu"])
            torch.Generator().set_state(saved["batches"])
        except RuntimeError as e:
            raise UserError(f"{place} holds no state of a random generator ({e}); restore it from a copy") from e
        self.model.load_state_dict(part(tensors, "model"))
        self.averages.load(tensors)
        for player, optimizer in self.optimizers.items():
            optimizer.state.clear()
            optimizer.state.update(states[player])
        device.set_random_state(saved, self.model.device)
        self.batches.load_state_dict({**note["batches"], "generator": saved["batches"]})
        self.step, self.seconds, self.slowed = note["step"], note["seconds"], note["slowed"]
        self.alarms, self.best = list(note["alarms"]), self.run.best_at(images, note)
        self.sums, self.counts = {k: v.to(self.model.device) for k, v in sums.items()}, dict(counts)
        self.fresh = False
        self.sane.fill_(1)
        self.run.truncate(images)
        self.run.prune(images, self.best, later=True)
