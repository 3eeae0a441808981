"""Samples of a trained model, as images or arrays."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from triptych.core import Model, Sampler
from triptych.errors import UserError
from triptych.explore.output import BatchNorm, check_target, opened, shows_data, train_data, write_examples
from triptych.models import code_density, latent_space
from triptych.models.families import Autoencoder
from triptych.run.folder import Which
from triptych.system.device import check_seed

Codes = Literal["prior", "gaussian", "mixture"]


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
    codes: Codes = "prior",
    components: int | None = None,
    data: str | None = None,
) -> Path:
    """Write n samples; returns the file or folder. The name of `out` says what is written:

    a folder: one PNG per image; `.png`: one grid (2-D points: drawn over the data); `.npy`: the array, float32;
    `.csv`: a row per vector. Default: a grid of images or an `.npy` of vectors, inside the run folder.

    `codes` other than the prior are drawn from a density fitted to the codes of the run's training examples: one
    Gaussian, or a mixture of `components` (10 where not given). `data` says where the run's own examples are, if they
    have moved: for those codes, for the names of columns and for what points are drawn over.
    """
    if n < 1 or batch < 1:
        raise UserError(f"{n} samples in batches of {batch} were asked for; both must be at least 1")
    check_seed(seed)
    if not 0 < temperature < math.inf:
        raise UserError(f"the temperature is {temperature}; it must be above 0")
    if codes != "prior" and temperature != 1:
        raise UserError("--temperature scales draws from the prior; leave it out, or leave --codes at prior")
    if codes != "mixture" and components is not None:
        raise UserError("--components is the size of a mixture; add --codes mixture")
    found, model = opened(run, which, bn=bn, device=device, model=model)
    if not isinstance(model, Sampler):
        raise UserError(f"{found.path} holds {type(model).__name__}, which cannot sample; choose another run")
    pictures = len(model.shape) == 3
    target = Path(out) if out is not None else found.path / f"sample-{n}-seed{seed}{'.png' if pictures else '.npy'}"
    kind = check_target(target, model.shape, pictures=pictures)
    beside = train_data(found, data) if codes != "prior" or shows_data(kind, pictures=pictures) else None
    if codes == "prior":
        x = model.sample(n, seed=seed, temperature=temperature, batch=batch).cpu()
    else:
        if not isinstance(model, Autoencoder):
            raise UserError(f"{type(model).__name__} has no codes of examples to fit; leave --codes at prior")
        assert beside is not None
        z = code_density.codes_of_data(model, beside)
        density = code_density.fit_codes(z, (components or 10) if codes == "mixture" else 1)
        x = latent_space.decode(model, density.draw(n, seed), batch)
    return write_examples(x, found, beside, model, target, kind)
