"""What is refused before a run folder is made, and what is refused of one that is to go on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from triptych.core import Data, Model, Recipe, Train
from triptych.core.checks import check_learnable
from triptych.core.counts import counted
from triptych.core.data import LARGEST
from triptych.core.model_spec import ConditionalSpec
from triptych.data import find, load_spec
from triptych.errors import NoSplit, UserError
from triptych.models.build import build, build_for
from triptych.run.folder import Run
from triptych.system import device
from triptych.trainer.classes import undecided, with_classes
from triptych.trainer.quantities import logged


@dataclass
class Plan:
    """A training that is asked for. What is costly to know is made when a check, or the training, first needs it."""

    recipe: Recipe
    seed: int
    device: str

    @cached_property
    def target(self) -> torch.device:
        """UserError for a device that is not there."""
        return device.pick_device(self.device)

    @cached_property
    def examples(self) -> tuple[Data, Data | None]:
        """What is trained on, and the held-out part where the source has one. It may prepare files for hours."""
        data = load_spec(self.recipe.data)
        if data.split == "all":
            return data, None
        try:
            return data, load_spec(self.recipe.data, "test")
        except NoSplit:
            return data, None

    @cached_property
    def model(self) -> Model:
        """The untrained model; it sets the global generator to the seed, from which training then goes on."""
        torch.manual_seed(self.seed)
        return build_for(self.recipe.model, self.examples[0])


def numbers(plan: Plan) -> None:
    """Settings that no training can run with."""
    check_train(plan.recipe.train)


def best(plan: Plan) -> None:
    """A sign that keeps the worst checkpoint for the best."""
    train, known = plan.recipe.train, logged(plan.recipe.objective)
    name = train.best.removeprefix("-")
    sign = known[name].sign if name in known else 0
    right = f"-{name}" if sign > 0 else name
    if sign and train.best != right:
        raise UserError(
            f"train.best is {train.best}, which keeps the {'lowest' if sign > 0 else 'highest'} {name}, and that is "
            f"the worst; write --train.best={right}"
        )


def seed(plan: Plan) -> None:
    """A seed that not every generator takes."""
    device.check_seed(plan.seed)


def target(plan: Plan) -> None:
    """A device that is not there."""
    _ = plan.target


def side(plan: Plan) -> None:
    """Networks that cannot make pictures of the size asked for: before so many files are prepared."""
    spec = plan.recipe.data
    if spec.size is not None and find(spec.name).encoded:
        width, height = spec.size
        model = plan.recipe.model
        if undecided(plan.recipe):
            assert isinstance(model, ConditionalSpec)
            model = replace(model, classes=0)
        build(model, (spec.channels or 3, height, width))


def flip(plan: Plan) -> None:
    """Mirroring what is no picture."""
    data, _ = plan.examples
    if plan.recipe.train.flip and not data.is_images:
        raise UserError(f"train.flip mirrors pictures, and {data.name} holds none; leave it out")


def enough(plan: Plan) -> None:
    """Rows of a table that are no distribution to learn."""
    data, test = plan.examples
    held = ""
    if (share := plan.recipe.data.holdout) and test is not None:
        held = f", as --holdout {share:g} sets {len(test)} of {len(data) + len(test)} aside (--holdout 0 sets none)"
    check_learnable(data, held)


def classes(plan: Plan) -> None:
    """Classes that the data do not have. From here on the recipe has their number."""
    plan.recipe = with_classes(plan.recipe, plan.examples[0])


def objective(plan: Plan) -> None:
    """An objective that cannot train this model on these data in so many steps."""
    train = plan.recipe.train
    plan.recipe.objective.check(plan.model, plan.examples[0], math.ceil(train.images / train.batch))


def critic_rate(plan: Plan) -> None:
    """A learning rate for a critic where there is none."""
    if plan.recipe.train.critic_lr is not None and plan.model.adversary not in plan.model.players:
        raise UserError(
            f"train.critic_lr is the learning rate of a critic, and {type(plan.model).__name__} has none; leave it out"
        )


def parts(plan: Plan) -> None:
    """A batch that is to be computed in parts, for a loss that needs the whole of it."""
    from triptych.trainer.rehearsal import one_step, rehearsing

    train = plan.recipe.train
    if train.accumulate > 1:
        with rehearsing(plan.target), enough_memory():
            one_step(plan.recipe, plan.examples[0], plan.target, "fp32", 2 * train.accumulate)()


CHECKS: tuple[Callable[[Plan], None], ...] = (
    numbers,
    best,
    seed,
    target,
    side,
    flip,
    enough,
    classes,
    objective,
    critic_rate,
    parts,
)
"""Each raises UserError where a plan cannot be trained. They go from cheap to costly: nobody shall wait for data to be
prepared, or a network to be built, to hear of a wrong number."""


def check(plan: Plan) -> None:
    """UserError from the first of `CHECKS` that refuses the plan."""
    for refuse in CHECKS:
        refuse(plan)


def check_checkpoints(run: Run) -> None:
    """UserError where checkpoints were written and none is left: going on would begin again and lose the log."""
    images = run.status["images"]  # above 0 from the second checkpoint on: the first is written at 0
    if images and not run.checkpoints():
        raise UserError(
            f"{run.path} was trained on {images} images and its checkpoints are gone; put them back into "
            f"{run.path / 'checkpoints'}, or start a new run with `triptych train`"
        )


MOST_IMAGES = 10**15
"""Of a budget: no training comes to so many."""


def check_train(train: Train) -> None:
    """UserError for settings no training can run with."""
    for name in ("images", "batch", "lr", "critic_lr"):
        value = getattr(train, name)
        if value is not None and not 0 < value < math.inf:
            raise UserError(f"train.{name} is {value}; it must be a finite number above 0")
    if train.images > MOST_IMAGES:
        raise UserError(f"train.images is {counted(train.images)}; it must be at most {MOST_IMAGES:,}")
    if train.batch > LARGEST:
        raise UserError(f"train.batch is {train.batch}; it must be at most {LARGEST:,}")
    check_divides(train)
    for name in ("log", "evaluate", "sample", "checkpoint", "patience", "warmup", "clip", "weight_decay"):
        if not 0 <= getattr(train, name) < math.inf:
            raise UserError(f"train.{name} is {getattr(train, name)}; it must be a finite number, 0 or more")
    if train.patience and not train.best:
        raise UserError(
            f"train.patience is {train.patience}, and no metric is named that it waits for; add --train.best NAME"
        )
    if train.keep != "all" and train.keep < 1:
        raise UserError(f"train.keep is {train.keep}; it must be all, or at least 1")
    for name, rates in (("ema", (train.ema,)), ("betas", train.betas)):
        if not all(0 <= rate < 1 for rate in rates):
            raise UserError(f"train.{name} is {getattr(train, name)}; a decay must be at least 0 and below 1")


def check_divides(train: Train, world: int = 1) -> None:
    """UserError unless a batch can be cut into the parts in which so many ranks compute it."""
    if train.accumulate < 1:
        raise UserError(f"train.accumulate is {train.accumulate}; a batch is computed in 1 part or more")
    shares = world * train.accumulate
    if train.batch % shares == 0:
        return
    below = train.batch // shares * shares
    sizes = [str(n) for n in (below, below + shares) if n]
    among = f"{world} ranks" if world > 1 else ""
    parts = f"{train.accumulate} parts" if train.accumulate > 1 else ""
    raise UserError(
        f"a batch of {train.batch} cannot be shared by {' of '.join(filter(None, (among, parts)))}; "
        f"the nearest that can: --train.batch {' or '.join(sizes)}"
    )


@contextmanager
def enough_memory() -> Iterator[None]:
    """Running out of memory, as an error that names the option that helps."""
    try:
        yield
    except (MemoryError, RuntimeError) as e:
        if not device.memory_ran_out(e):
            raise
        raise UserError("memory ran out; lower --train.batch, or --model.width where the recipe has it") from e
