"""A search of equal effort: every recipe gets as many trials, on seeds that no report uses, by one number.

Trials are ordinary runs. They are proposed by Optuna's tree-structured Parzen estimator, the recipe's own values first,
and pruned at the median of the trials before, both from `metrics.jsonl` and with no server: what was tried stands in a
journal file in the folder, and asking again goes on. Several processes, on several machines, may ask at once: they
share the trials. The best of each recipe is then trained anew over fresh seeds, so that the luck of a search is not
reported.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from triptych.core import Recipe
from triptych.core.contract import Contract
from triptych.core.search import Among
from triptych.errors import UserError
from triptych.recipes.override import with_field
from triptych.recipes.space import space_of
from triptych.run import schema
from triptych.study.asked import Search, Trial
from triptych.study.claims import Claims
from triptych.study.executor import Executor, Worker, log_of
from triptych.study.jobs import Job, run_id
from triptych.study.local import Local
from triptych.system import files
from triptych.system.children import Ended, side_by_side
from triptych.system.console import say

SEED = 10_000
"""Seed of the first trial, from which on they count: a study's own seeds count from 0 and end below it."""
LOOK = 0.5
"""Seconds between two looks at the logs of the trials at work."""
IMAGES = "images"
"""Name in the journal of the budget that was measured for a trial, so that one that was cut goes on with the same."""
OWN = "own"
"""Mark of the trial of the recipe's own values."""
FIRST, BEFORE = 4, 0.25
"""Trials that are never pruned, and the share of the budget before which none is."""


def search(
    asked: Search,
    out: str | Path,
    jobs: int | None = None,
    device: str = "auto",
    *,
    progress: bool = True,
    executor: Executor | None = None,
) -> dict[str, Recipe]:
    """Carry out a search under `out`; the best recipe found for each name. `out`/tune.json says all that was tried.

    UserError where Optuna is not installed, and where no trial of a recipe ended well.
    """
    optuna = imported()
    out = Path(out)
    (out / "trials").mkdir(parents=True, exist_ok=True)
    executor = executor or Local(jobs, device)
    backend = optuna.storages.journal.JournalFileBackend(str(out / "journal.log"))
    storage = optuna.storages.JournalStorage(backend)
    best: dict[str, Recipe] = {}
    told: dict[str, Any] = {}
    for recipe in asked.recipes:
        found = _Searched(optuna, storage, asked, recipe, out, executor)
        found.run(progress=progress)
        told[recipe.name] = found.told()
        files.write_json(
            out / "tune.json",
            {
                "by": asked.by,
                "better": asked.quantity(recipe).better,
                "trials": asked.trials,
                "minutes_each": asked.minutes_each,
                "recipes": told,
            },
        )
        best[recipe.name] = found.best()
    return best


def imported() -> Any:
    """Optuna, told to be quiet; UserError where it is not installed."""
    try:
        import optuna
    except ImportError:
        raise UserError("a search needs Optuna; install it with: pip install 'triptych[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


class _Searched:
    """The search of one recipe: Optuna proposes, worker processes train, their logs decide."""

    def __init__(self, optuna: Any, storage: Any, asked: Search, recipe: Recipe, out: Path, executor: Executor) -> None:
        self.optuna, self.asked, self.recipe, self.out, self.executor = optuna, asked, recipe, out, executor
        self.space = space_of(recipe, asked.space)
        self.sign = asked.quantity(recipe).sign
        self.lock = threading.Lock()
        self.over = False
        # another space or budget is another search, under the same roof
        varied = sorted((k, str(v)) for k, v in self.space.items())
        each = "" if asked.minutes_each is None else f" {asked.minutes_each:g} min"
        name = f"{run_id(recipe, SEED)} {asked.by} {varied}{each}"
        # trials count from 0 in each search, so a claim is one of this search and not of the recipe
        self.claims = Claims(out, f"{recipe.name}-{hashlib.sha256(name.encode()).hexdigest()[:8]}")
        with self.claims.deciding():
            self.study = optuna.create_study(
                storage=storage,
                study_name=name,
                direction="maximize" if self.sign > 0 else "minimize",
                pruner=optuna.pruners.MedianPruner(n_startup_trials=FIRST),
                load_if_exists=True,
            )
            if not self.study.get_trials(deepcopy=False):
                own = {k: self._plain(k, self._own(k)) for k in self.space if self._proposable(k)}
                self.study.enqueue_trial(own, user_attrs={OWN: True})

    @property
    def trials(self) -> list[Trial]:
        """Those that have ended, whoever trained them."""
        return [known for t in self.study.get_trials(deepcopy=False) if (known := self._known(t))]

    def _own(self, name: str) -> Any:
        """The recipe's own value of a field."""
        section, _, key = name.replace("-", "_").rpartition(".")
        return getattr(getattr(self.recipe, section), key)

    def _proposable(self, name: str) -> bool:
        """Whether that is one that the search may propose."""
        value, space = self._own(name), self.space[name]
        if isinstance(space, Among):
            return value in space.options
        return value is not None and space.low <= value <= space.high

    def _plain(self, name: str, value: Any) -> Any:
        """As Optuna keeps it: a choice by its place."""
        space = self.space[name]
        return space.options.index(value) if isinstance(space, Among) else value

    def _values(self, trial: Any) -> dict[str, Any]:
        """The next values to try; at first the recipe's own, whether or not the search would propose them."""
        found = {}
        for name, space in self.space.items():
            if trial.user_attrs.get(OWN) and not self._proposable(name):
                found[name] = self._own(name)
            elif isinstance(space, Among):
                found[name] = space.options[trial.suggest_categorical(name, list(range(len(space.options))))]
            elif isinstance(self._own(name), int):
                found[name] = trial.suggest_int(name, int(space.low), int(space.high), log=space.log)
            else:
                found[name] = trial.suggest_float(name, space.low, space.high, log=space.log)
        return found

    def _known(self, frozen: Any) -> Trial | None:
        """A trial that has ended."""
        told = frozen.user_attrs.get("trial")
        if told is None or not frozen.state.is_finished():
            return None
        recipe = self._with({k: tuple(v) if isinstance(v, list) else v for k, v in told["values"].items()})
        recipe = replace(recipe, train=replace(recipe.train, images=told["images"]))
        values = {k: v for k, v in told.items() if k not in ("run", "images")}
        return Trial(recipe, self.out / "trials" / told["run"], **values)

    def _with(self, values: dict[str, Any]) -> Recipe:
        recipe = self.recipe
        for name, value in values.items():
            recipe = with_field(recipe, name, value)
        return recipe

    def run(self, *, progress: bool) -> None:
        """Trials until there are as many as were asked for, by all processes that search here."""
        workers, done = self.executor.at_once, len(self.trials)
        if progress:
            already = f", {done} done already" if done else ""
            varied = "; ".join(f"{k} in {v}" for k, v in self.space.items())
            say(f"{self.recipe.name}: {self.asked.trials} trials{already}, {workers} at a time; {varied}", stderr=True)
        told = False
        while (left := self.asked.trials - len(self.trials)) > 0:
            self._train_some(min(workers, left), progress=progress)
            if running := self._running():
                if progress and not told:
                    say(f"{self.recipe.name}: {len(running)} trials are at work elsewhere", stderr=True)
                told = True
                time.sleep(LOOK)
        for trial in self.study.get_trials(deepcopy=False):
            self.claims.forget(trial.number)

    def _train_some(self, workers: int, *, progress: bool) -> None:
        """Trials as long as any is free."""
        started: list[Worker] = []

        def serve(mine: Iterator[Any]) -> Iterator[Trial]:
            worker: Worker | None = None
            for proposed in mine:
                trial = self._begun(proposed)
                log = log_of(trial.path)
                log.parent.mkdir(parents=True, exist_ok=True)
                if worker is None or worker.gone:
                    worker = self.executor.worker(log, workers)
                    started.append(worker)
                try:
                    self._train(trial, proposed, worker, log)
                except Ended as e:
                    if self.over:  # it goes on when the search does
                        return
                    trial.state, trial.message = "failed", str(e)
                with self.lock:
                    self._tell(proposed, trial)
                    self.claims.leave([proposed.number])
                yield trial

        def end() -> None:
            self.over = True
            for worker in started:
                worker.ask_to_end()
            for worker in started:
                worker.end()

        try:
            with closing(side_by_side(iter(self._next, None), serve, workers, end)) as ended:
                for trial in ended:
                    if progress:
                        value = "" if trial.value is None else f": {self.asked.by} {trial.value:.4g}"
                        done = f"[{len(self.trials)}/{self.asked.trials}]"
                        say(f"{done} {self.recipe.name} {trial.state}{value}", stderr=True)
        finally:
            self.claims.leave(list(self.claims.held))

    def _running(self) -> list[Any]:
        """Trials that are begun and not ended: at work, here or elsewhere, or cut."""
        return self.study.get_trials(deepcopy=False, states=[self.optuna.trial.TrialState.RUNNING])

    def _next(self) -> Any:
        """The next trial for this process, None where none is left: those that were cut come first."""
        with self.lock, self.claims.deciding():
            running = self._running()
            for cut in running:
                if self.claims.take(cut.number):
                    return self.optuna.trial.Trial(self.study, cut._trial_id)
            if len(self.trials) + len(running) >= self.asked.trials:
                return None
            proposed = self.study.ask()
            self.claims.take(proposed.number)
            return proposed

    def _begun(self, proposed: Any) -> Trial:
        """What is to be trained: a trial that was cut has its values already, and its budget if that was measured."""
        seed = SEED + proposed.number
        with self.lock:
            # random numbers of its own, so that a search that was cut proposes what it would have without
            self.study.sampler = self.optuna.samplers.TPESampler(
                seed=seed, n_startup_trials=max(4, self.asked.trials // 3), constant_liar=True
            )
            values = self._values(proposed)
        recipe = self._with(values)
        return Trial(recipe, self.out / "trials" / run_id(recipe, seed), seed, values)

    def _train(self, trial: Trial, proposed: Any, worker: Worker, log: Path) -> None:
        if self.asked.minutes_each is not None:
            if IMAGES not in proposed.user_attrs:
                pace = Job(trial.recipe, trial.seed, trial.path, pace=Contract("minutes", self.asked.minutes_each))
                trial.state, trial.message = worker.ask(pace, log)
                if trial.state != "done":
                    return
                proposed.set_user_attr(IMAGES, int(trial.message))
                trial.message = ""
            train = replace(trial.recipe.train, images=proposed.user_attrs[IMAGES])
            trial.recipe = replace(trial.recipe, train=train)
        logged = self.asked.logged(self.recipe)
        job = Job(trial.recipe, trial.seed, trial.path, judged=not logged)
        ended: list[tuple[str, str] | Ended] = []

        def ask() -> None:
            try:
                ended.append(worker.ask(job, log))
            except Ended as e:
                ended.append(e)

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        pruned = False
        while asking.is_alive():
            asking.join(LOOK)
            if logged and not pruned and asking.is_alive() and self._hopeless(trial, proposed):
                pruned = True
                worker.end()
        answer = ended[0]
        trial.value = last(self._curve(trial)) if logged else self._evaluated(trial)
        if pruned:
            trial.state, trial.message = "pruned", "at the median of the trials before"
        elif isinstance(answer, Ended):
            raise answer
        else:
            trial.state, trial.message = answer
            if trial.state == "done" and trial.value is None:
                trial.state, trial.message = (
                    "failed",
                    f"it has no {self.asked.by}" + (f": {answer[1]}" if answer[1] else ""),
                )

    def _curve(self, trial: Trial) -> list[tuple[int, float]]:
        """The number over images, as far as the log has it."""
        try:
            lines, _ = schema.read_log(trial.path)
        except (UserError, OSError):
            return []
        found = [(int(line["images"]), line.get(self.asked.by)) for line in lines]
        return [(at, float(v)) for at, v in found if isinstance(v, int | float) and math.isfinite(v)]

    def _hopeless(self, trial: Trial, proposed: Any) -> bool:
        """Whether the trials before were better at this share of their budgets, by their median."""
        reported = False
        for at, value in self._curve(trial):
            share = round(100 * at / trial.recipe.train.images)
            if share >= 100 * BEFORE and share < 100:
                with self.lock:
                    if share not in proposed.storage.get_trial(proposed._trial_id).intermediate_values:
                        proposed.report(value, share)
                reported = True
        with self.lock:
            return reported and bool(proposed.should_prune())

    def _evaluated(self, trial: Trial) -> float | None:
        """The number in the trial's eval.json."""
        try:
            value = schema.read_evaluation(trial.path).get(self.asked.by, {}).get("value")
        except (UserError, OSError):
            return None
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None

    def _tell(self, proposed: Any, trial: Trial) -> None:
        states = self.optuna.trial.TrialState
        proposed.set_user_attr("trial", trial.told())
        if trial.state == "done":
            self.study.tell(proposed, trial.value)
        else:
            self.study.tell(proposed, state=states.PRUNED if trial.state == "pruned" else states.FAIL)
        self.trials.append(trial)

    def _ended(self) -> list[Trial]:
        """Trials that ended well, the best first."""
        done = [t for t in self.trials if t.state == "done" and t.value is not None]
        return sorted(done, key=lambda t: -self.sign * (t.value or 0.0))

    def best(self) -> Recipe:
        """The recipe with the best values; UserError where no trial ended well."""
        if not (ended := self._ended()):
            why = next((f": {t.message}" for t in self.trials if t.message), "")
            raise UserError(
                f"no trial of {self.recipe.name} ended with a {self.asked.by}{why}; {self.out} has the runs"
            )
        found = ended[0].recipe
        return replace(
            found, name=f"{self.recipe.name}-tuned", about=f"{self.recipe.name} after {self.asked.trials} trials"
        )

    def told(self) -> dict[str, Any]:
        """What tune.json says of it."""
        ended = self._ended()
        return {
            "trials": len(self.trials),
            "seeds": [t.seed for t in self.trials],
            "space": {k: str(v) for k, v in self.space.items()},
            "tried": [t.told() for t in self.trials],
            "best": ended[0].told() if ended else None,
        }


def last(curve: Sequence[tuple[int, float]]) -> float | None:
    return curve[-1][1] if curve else None
