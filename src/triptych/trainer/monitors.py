"""What goes wrong silently in training, in plain words.

The trainer asks at every evaluation; what is found goes to status.json and the screen, once per kind. A non-finite
loss or gradient is the trainer's own alarm: it stops the run or rolls it back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from triptych.core import Data, Model, Recipe, Sampler
from triptych.core.model import affordable

SEPARATION = 6.0
"""Standard deviations between the mean scores of real and fake at which a critic teaches its generator nothing."""
SPREAD = 0.25
"""Share of the data's mean pairwise distance below which samples count as all alike."""
FALL = 0.5
"""Fall of that share, or of the data's coverage, from its best at which samples count as growing alike."""
COVERAGE = 0.1
"""Best coverage below which a fall says nothing: hardly anything was covered."""
NAMED = 5
"""Collapsed classes that an alarm names beside the first."""
WARM_UP, FIRST_STEPS = 0.1, 50
"""Share of the budget and steps before which nothing is evaluated: every generator begins with one sample for all z."""
MEMORISED, MEMORISED_PASSES = (64, 256), 2_048
"""Least and most samples that are looked at for copies and for what is not finite, and the passes they may take."""
COPIES = 0.25
"""Share of samples much closer to training than to held-out examples that counts as memorised."""
BLOCK = 2_000_000
"""Numbers of the examples that samples are compared with at a time: 8 MB, so that a look takes little more memory than
the steps did, which is what was announced."""


def check(
    recipe: Recipe, model: Model, line: dict[str, Any], data: Data, test: Data | None, history: Sequence[dict[str, Any]]
) -> list[str]:
    """Alarms of this moment, each `kind: what is wrong; what to do`.

    `line` is the newest line of the log, `history` the lines before it. Draws samples: call it beside training.
    """
    if line["images"] < WARM_UP * recipe.train.images or line["step"] < FIRST_STEPS:
        return []
    history = [{k: v for k, v in h.items() if isinstance(v, int | float)} for h in history]
    found = [
        critic_saturated(line, history),
        collapsed(line, history, data),
        class_collapsed(line, data),
        latent_collapsed(line),
    ]
    if isinstance(model, Sampler):
        few = affordable(MEMORISED[1], model.cost.sample, MEMORISED_PASSES, MEMORISED[0])
        samples = model.sample(few, seed=1).cpu()
        broken = ~torch.isfinite(samples.flatten(1)).all(1)
        found.append(not_finite(int(broken.sum()), few))
        if test is not None and data.distribution is None and not broken.all():
            found.append(memorised(samples[~broken], data, test))
    return [alarm for alarm in found if alarm]


def not_finite(count: int, n: int) -> str:
    """Samples with NaN or infinite numbers."""
    if not count:
        return ""
    return f"samples not finite: {count} of {n} hold NaN or infinite numbers; lower --train.lr, or set --train.clip 1"


def critic_saturated(line: dict[str, Any], history: Sequence[dict[str, Any]]) -> str:
    """Two evaluations in a row with real and fake scores apart by many times their spread."""
    gaps = [h["d_gap"] for h in (*history, line) if h.get("d_gap") is not None][-2:]
    if len(gaps) < 2 or min(gaps) < SEPARATION:
        return ""
    return (
        f"critic saturated: real and fake scores lie {gaps[-1]:.0f} standard deviations apart, and the generator "
        "learns next to nothing; lower --train.critic-lr, or take an objective with a gradient penalty"
    )


def collapsed(line: dict[str, Any], history: Sequence[dict[str, Any]], data: Data) -> str:
    """Samples are too alike, have grown so, cover less of the data than they did, or miss most modes that are known."""
    if "d_gap" in line:
        hint = "lower --train.lr, or take wgan-gp or the recommended recipe"
    elif "recon" in line or "val_recon" in line:
        hint = "its codes may say nothing (lower --objective.beta), or lie where samples do not; or train for longer"
    else:
        hint = "lower --train.lr, or train for longer"
    # Samples that are still nowhere near the modes reach few of them without having collapsed.
    if "modes" in line and line["high_quality"] >= 0.5 and line["modes"] <= len(data.modes) / 2:
        return f"collapse: samples reach {line['modes']:.0f} of {len(data.modes)} modes; {hint}"
    now, best = now_and_best("diversity", line, history)
    if now < SPREAD:
        return f"collapse: samples differ by {now:.0%} of what the data do; {hint}"
    if now < FALL * min(best, 1.0):
        return f"collapse: samples differ by {now:.0%} of what the data do, down from {best:.0%}; {hint}"
    now, best = now_and_best("coverage", line, history)
    if now < FALL * best and best >= COVERAGE:
        return f"collapse: samples cover {now:.0%} of the data, down from {best:.0%}; {hint}"
    return ""


def class_collapsed(line: dict[str, Any], data: Data) -> str:
    """Samples of a class are all alike, whatever those of other classes are."""
    told = [(share, c) for c, share in enumerate(line.get("class_diversity") or ()) if share is not None]
    alike = sorted((share, c) for share, c in told if share < SPREAD)
    if not alike:
        return ""
    names = [data.classes[c] if c < len(data.classes) else str(c) for _, c in alike]
    more = f", and so do {len(names) - 1} more of {len(told)} ({listing(names[1:])})" if len(names) > 1 else ""
    return (
        f"collapse within classes: samples of {names[0]} differ by {alike[0][0]:.0%} of what its examples do{more}; "
        "lower --train.lr, take wgan-gp, or train without classes where they have few examples"
    )


def listing(names: Sequence[str]) -> str:
    """The first few of many names."""
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")


def now_and_best(name: str, line: dict[str, Any], history: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """The newest and the highest value of a number of the log; infinite where the newest line has none."""
    if (now := line.get(name)) is None:
        return math.inf, 0.0
    return now, max([h[name] for h in history if h.get(name) is not None], default=now)


def latent_collapsed(line: dict[str, Any]) -> str:
    """An autoencoder whose codes say nothing about the example: no unit is active, or a VAE's KL is near 0."""
    if "active_units" not in line:
        return ""
    variational = "beta_eff" in line
    if line["active_units"] > 0 and not (variational and line["kl"] <= 0.01):
        return ""
    fix = "lower --objective.beta, or raise it gradually" if variational else "lower --train.lr"
    return f"latent collapse: no latent dimension depends on the example; {fix}"


def memorised(samples: Tensor, data: Data, test: Data) -> str:
    """Samples that are copies: far closer to a training example than to any held-out one.

    Distances of pixels, or of the vectors' numbers. A blurred sample is close to everything, so to both. In few
    dimensions a new example is often far closer to one of many training examples than to one of few held-out ones:
    how often is seen on these, each against the others.
    """
    x = samples.flatten(1)
    share = (nearest(x, data.x) < 0.5 * nearest(x, test.x)).float().mean().item()
    if share <= COPIES:
        return ""
    new = public(test.x[torch.arange(min(len(x), len(test))) * len(test) // min(len(x), len(test))])
    usual = (nearest(new, data.x) < 0.5 * nearest(new, test.x, 1)).float().mean().item() if len(test) > 1 else 0.0
    if share <= COPIES + usual:
        return ""
    beside = f", and {usual:.0%} of held-out ones" if usual else ""
    more = " (--train.flip doubles pictures)" if data.is_images else ""
    return (
        f"memorisation: {share:.0%} of samples are less than half as far from a training example as from any "
        f"held-out one{beside}; stop earlier, or use more data{more}"
    )


def nearest(x: Tensor, among: Tensor, beyond: int = 0) -> Tensor:
    """Distance of each public vector of x (n, d) to the nearest of the examples `among`, a slice of them at a time.

    With `beyond` 1, for x that are themselves among them, to the next one.
    """
    found = x.new_empty(len(x), 0)
    for part in among.split(max(1, BLOCK // among[0].numel())):
        both = torch.cat([found, torch.cdist(x, public(part))], 1)
        found = both.topk(min(beyond + 1, both.shape[1]), largest=False).values
    return found[:, beyond]


def public(x: Tensor) -> Tensor:
    """Examples as public vectors (n, d)."""
    return (x.float() / 255 if x.dtype == torch.uint8 else x).flatten(1)
