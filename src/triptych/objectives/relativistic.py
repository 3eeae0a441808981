"""Stronger adversarial objectives at the same cost: hinge, and relativistic with both zero-centred penalties.

Both may augment what the critic sees, real and fake alike, so that it cannot memorise a small data set.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from triptych.core import Data
from triptych.core.search import Range
from triptych.core.share import draw
from triptych.errors import UserError
from triptych.objectives.gan import Adversarial, Critic, at_least_0, critic_scores, refuse_batch_norm
from triptych.objectives.gradients import scores_and_gradient

Augmentation = Literal["color", "translation", "cutout"]


@dataclass(frozen=True)
class Augmenting(Adversarial):
    """A game whose critic sees every picture changed at random, real and fake alike."""

    _: KW_ONLY
    augment: tuple[Augmentation, ...] = ()
    """random changes of every picture the critic sees, after DiffAugment"""

    def seen(self, x: Tensor) -> Tensor:
        """x as the critic sees it."""
        return augmented(x, self.augment)

    def check(self, model: Any, data: Data, steps: int = 0) -> None:
        super().check(model, data, steps)
        if self.augment and not data.is_images:
            raise UserError(f"objective.augment changes images, and {data.name} holds none; leave it empty")


@dataclass(frozen=True)
class Hinge(Augmenting):
    """Hinge loss; meant for a critic under spectral normalisation.

    critic:     E max(0, 1 − D(x)) + E max(0, 1 + D(G(z)))
    generator:  −E D(G(z))

    Sources: Lim and Ye 2017, "Geometric GAN"; Miyato et al. 2018, eq. 16 and 17.
    """

    def critic(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        d_real, d_fake = critic_scores(D, self.seen(real), self.seen(fake))
        return F.relu(1 - d_real).mean() + F.relu(1 + d_fake).mean()

    def generator(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        return -D(self.seen(fake)).mean()


@dataclass(frozen=True)
class Relativistic(Augmenting):
    """Pairs of a real and a fake example, with R1 + R2: gradient penalties towards 0 at both.

    critic:     E softplus(D(G(z)) − D(x)) + γ/2 E ‖∇D(x)‖² + γ/2 E ‖∇D(G(z))‖²
    generator:  E softplus(D(x) − D(G(z)))

    Sources: Jolicoeur-Martineau 2019, "The relativistic discriminator"; Mescheder et al. 2018, eq. 9 and 10; their
    sum in Huang et al. 2024, "The GAN is dead; long live the GAN!", which shows that it converges locally.
    """

    gamma: Annotated[float, Range(0.01, 10.0, log=True)] = 1.0
    """γ, the weight of both penalties"""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_0("gamma", self.gamma)

    def critic(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        refuse_batch_norm(D, "Relativistic")
        scores, gradient = scores_and_gradient(D, torch.cat([self.seen(real), self.seen(fake)]))
        d_real, d_fake = scores.split([len(real), len(fake)])
        # One mean over both halves of the batch is half of each penalty's own mean: γ/2 (R1 + R2).
        return F.softplus(d_fake - d_real).mean() + self.gamma * gradient.flatten(1).square().sum(1).mean()

    def generator(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        d_real, d_fake = critic_scores(D, self.seen(real), self.seen(fake))
        return F.softplus(d_real - d_fake).mean()

    def check(self, model: Any, data: Data, steps: int = 0) -> None:
        super().check(model, data, steps)
        refuse_batch_norm(model.players["critic"], "Relativistic")


def augmented(x: Tensor, policy: tuple[Augmentation, ...]) -> Tensor:
    """Inner images (n, c, h, w), each changed at random on its own, differentiably; the device's global generator.

    color: brightness ± 0.5, then saturation × [0, 2], then contrast × [0.5, 1.5]. translation: up to an eighth of
    the side each way, the border repeated. cutout: a square of half the side set to mid grey.

    Source: Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training". There the picture moves
    over grey; repeating the border keeps digits on black.
    """
    if not policy:
        return x
    n, _, h, w = x.shape

    def uniform(low: float, high: float) -> Tensor:
        return draw(lambda n: torch.empty(n, 1, 1, 1, device=x.device, dtype=x.dtype).uniform_(low, high), n)

    def whole(high: int) -> Tensor:
        return draw(lambda n: torch.randint(high, (n, 1, 1), device=x.device), n)

    if "color" in policy:
        x = x + uniform(-0.5, 0.5)
        grey = x.mean(1, keepdim=True)
        x = grey + (x - grey) * uniform(0, 2)
        mean = x.mean((1, 2, 3), keepdim=True)
        x = mean + (x - mean) * uniform(0.5, 1.5)
    down, right = torch.arange(h, device=x.device).view(1, h, 1), torch.arange(w, device=x.device).view(1, 1, w)
    if "translation" in policy:
        reach_down, reach_right = h // 8, w // 8
        row = (down + whole(2 * reach_down + 1) - reach_down).clamp(0, h - 1)
        column = (right + whole(2 * reach_right + 1) - reach_right).clamp(0, w - 1)
        each = torch.arange(n, device=x.device).view(n, 1, 1)
        x = x.permute(0, 2, 3, 1)[each, row, column].permute(0, 3, 1, 2)
    if "cutout" in policy:
        top, left = whole(h + 1) - h // 4, whole(w + 1) - w // 4
        hole = (down >= top) & (down < top + h // 2) & (right >= left) & (right < left + w // 2)
        x = x * ~hole.unsqueeze(1)
    return x
