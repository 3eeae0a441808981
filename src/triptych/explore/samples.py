"""Samples of a trained model, as images or arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from triptych.core import Model, Sampler
from triptych.core.counts import check_count
from triptych.core.model import choose_steps
from triptych.errors import UserError
from triptych.explore.classes import labels_asked, numbers_given, rows_of_numbers
from triptych.explore.output import BatchNorm, check_target, opened, shows_data, train_data, usual, write_examples
from triptych.models import code_density, latent_space
from triptych.models.code_sampler import Codes
from triptych.models.families import Autoencoder, codes_of_data
from triptych.models.flows.continuous import choose_guidance
from triptych.models.second_stage import FlowOfCodes
from triptych.run.folder import Which
from triptych.system.device import check_seed


def write_samples(
    run: str | Path,
    n: int = 64,
    seed: int = 0,
    out: str | Path | None = None,
    *,
    temperature: float = 1.0,
    bn: BatchNorm = "eval",
    which: Which = "last",
    batch: int = 256,
    device: str = "auto",
    model: Model | None = None,
    codes: Codes | None = None,
    components: int | None = None,
    solver: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    classes: Sequence[str] = (),
    given: Sequence[str] = (),
    data: str | None = None,
    announce: Callable[[str], None] | None = None,
) -> Path:
    """Write n samples; returns the file or folder. The name of `out` says what is written:

    a folder: one PNG per image; `.png`: one grid (2-D points: drawn over the data); `.npy`: the array, float32;
    `.csv`: a row per vector, of a typed table with cells of its types, and the numbers that it was made to. Default,
    inside the run folder: a grid of images, a `.csv` of a typed table, else an `.npy`.

    `codes` of an autoencoder come from what its recipe says, unless another is named: the prior (of an AE the running
    Gaussian of its codes), or a density that is fitted to the codes of the run's training examples now: one Gaussian,
    or a mixture of `components` (where not given, as many as the BIC chooses); of a model with classes one for each of
    them, and how many have few codes is announced. A flow is there where the run trained one. `solver`, `steps` and
    `guidance` are of models that make samples in steps. `classes` are numbers or names of classes, of several as many
    samples each, one class after the other; none: drawn at the data's frequencies. `given` are NAME=VALUE words for
    the numbers that a model is conditioned on; none: rows of the training data. `data` says where the run's own
    examples are, if they have moved: for those codes, for the names of columns and for what points are drawn over.
    """
    check_count(n, "samples")
    check_count(batch, "samples at once")
    check_seed(seed)
    if not 0 < temperature < math.inf:
        raise UserError(f"the temperature is {temperature}; it must be above 0")
    fits = codes in ("gaussian", "mixture")
    if fits and temperature != 1:
        raise UserError("--temperature scales draws of the run's own; leave it out, or leave --codes out")
    if codes != "mixture" and components is not None:
        raise UserError("--components is the size of a mixture; add --codes mixture")
    found, model = opened(run, which, bn=bn, device=device, model=model)
    choose_steps(model, solver, steps)
    choose_guidance(model, guidance)
    y = labels_asked(model, classes, n) if classes else numbers_given(model, given, n)
    if not isinstance(model, Sampler):
        raise UserError(f"{found.path} holds {type(model).__name__}, which cannot sample; choose another run")
    pictures = len(model.shape) == 3
    target = Path(out) if out is not None else found.path / f"sample-{n}-seed{seed}{usual(found, pictures=pictures)}"
    kind = check_target(target, model.shape, found.typed(), pictures=pictures)
    beside = train_data(found, data) if fits or shows_data(kind, found.typed(), pictures=pictures) else None
    if codes not in (None, "prior") and not isinstance(model, Autoencoder):
        raise UserError(f"{type(model).__name__} has no codes of examples to fit; leave --codes out")
    if codes == "flow" and not (isinstance(model, Autoencoder) and isinstance(model.second, FlowOfCodes)):
        raise UserError(f"{found.path} has no flow of codes; train one with --codes flow, or take mixture")
    if fits:
        assert beside is not None
        assert isinstance(model, Autoencoder)
        z, own = codes_of_data(model, beside)
        size, of_each = (components if codes == "mixture" else 1), model.labels(y, n, seed)
        density = code_density.fit_codes(z, size, y=model.inner(own), classes=model.classes)
        if density.few and announce is not None:
            announce(code_density.said(density.few, density.classes))
        x = latent_space.decode(model, density.draw(n, seed, model.inner(of_each)), batch, of_each)
    else:
        with latent_space.without_second_stage(model) if codes == "prior" else nullcontext():
            of_class = {} if y is None else {"y": y}  # a stranger's model need not know of classes
            x = model.sample(n, seed=seed, temperature=temperature, batch=batch, **of_class).cpu()
    several = 1 if y is None or y.dim() == 2 else len(y.unique())
    across = n // several if several > 1 else None
    return write_examples(x, found, beside, model, target, kind, across, rows_of_numbers(model, y, n, seed))
