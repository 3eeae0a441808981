"""Models whose decoder says how examples are distributed around what it decodes: the p(x|z) of autoencoders."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from triptych.core import Conditional, Encoder, Model, Sampler, Shape, to_public
from triptych.core.checks import check_codes
from triptych.core.labels import Asked
from triptych.models.layers.soft_clamp import soft_clamp

WITHIN = 4.0
"""How far log σ of a pixel or picture may be from that of the whole set."""
Scale = Literal["set", "pixel", "picture"]
"""What has a learned scale of its own in p(x|z): the whole set, each pixel of each picture, or each picture."""


class Observed(Conditional, Sampler, Encoder):
    """Abstract base: an `encoder` of examples, and a `decoder` from codes (n, latent) to the parameters of p(x|z).

    The noise variance of the likelihoods that learn it is a running estimate, which travels with the weights.
    """

    sampling = ("encoder", "decoder")
    beyond: ClassVar[float | None] = None
    """How far outside [−1, 1] the mean may lie. None: as far as the decoder says.

    Of a logistic cut into grey levels the mean of a black pixel would go far below −1, where nothing is lost; but the
    squared error, and with it the scale of all pixels, would grow without bound.
    """
    noise: Tensor
    seen: Tensor

    def __init__(
        self,
        shape: Shape,
        latent: int,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        logits: bool = False,
        clamped: bool = False,
        scale: Scale = "set",
        classes: int = 0,
    ) -> None:
        """`decoder`: (n, latent) to the mean of p(x|z), or with `logits` to logits.

        With `clamped` the mean of images is softly clamped to their range.

        With a `scale` of p(x|z) for each pixel or picture, the decoder gives it behind the mean: as many channels
        again, or one more.
        """
        super().__init__(shape)
        self.latent = latent
        self.logits = logits
        self.clamped = clamped
        self.scale: Scale = scale
        self.encoder = encoder
        self.decoder = decoder
        self.register_buffer("noise", torch.ones(()))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.use_classes(classes)

    def location(self, y: Tensor) -> Tensor:
        """Decoder output y (n, ...) to what p(x|z) is centred on: itself, or bounded.

        For logits it is σ(y), of images 2 σ(y) − 1.
        """
        if self.scale != "set":
            y = y[:, : self.shape[0]]
        if self.beyond is not None:
            return (1 + self.beyond) * torch.tanh(y)
        if not self.logits:
            return y
        return torch.tanh(y / 2) if len(self.shape) == 3 else torch.sigmoid(y)

    def mean(self, y: Tensor) -> Tensor:
        """Decoder output y (n, ...) to the inner mean of p(x|z): the location, clamped where the model's is."""
        location = self.location(y)
        return soft_clamp(location) if self.clamped and len(self.shape) == 3 else location

    def log_scale(self, y: Tensor) -> Tensor:
        """log σ of p(x|z) for decoder output y, shaped like the mean, or with ones where pixels share it.

        It is that of the set, a running mean of the squared error, and for pixels or pictures e^±4 around that.
        """
        of_set = 0.5 * self.noise.log()
        if self.scale == "set":
            return of_set
        own = y[:, self.shape[0] :]
        if self.scale == "picture":
            own = own.flatten(1).mean(1).view(-1, *(1 for _ in self.shape))
        return of_set + WITHIN * torch.tanh(own / WITHIN)

    def decode(self, z: Tensor, y: Asked = None) -> Tensor:
        check_codes(self, z)
        with self.given(y, z.shape[0]):
            return to_public(self.mean(self.decoder(z)))

    @torch.no_grad()
    def observe_error(self, mse: Tensor) -> Tensor:
        """Update the noise variance, and return the weight of this batch in every running estimate.

        Each is an average over all batches at first, and over about the last hundred later on.
        """
        self.seen += 1
        w = self.seen.to(self.noise.dtype).reciprocal().clamp_min(0.01)  # on a GPU a plain number would be waited for
        self.noise.lerp_(mse.to(self.noise.dtype), w)
        return w


def outputs(shape: Shape, scale: Scale) -> Shape:
    """What a decoder gives for examples of `shape`: the mean, and behind it the scale where it gives one."""
    more = {"set": 0, "pixel": shape[0], "picture": 1}[scale]
    return (shape[0] + more, *shape[1:])


class TwoStages(Model):
    """Codes an example first, and draws codes by something that is trained when the coding is."""

    @abstractmethod
    def reconstruct(self, x: Tensor) -> Tensor:
        """Public images through the autoencoder alone: what samples can reach at best."""


class Inferring(Observed):
    """Abstract base of variational autoencoders: q(z|x) is Gaussian with independent dimensions, or group by group.

    The prior is N(0, I). The dimensions come in `groups`; the posterior of one group may depend on the draws of those
    before it.
    """

    @property
    def groups(self) -> tuple[int, ...]:
        """Dimensions of each group, in their order; of a plain VAE one group of all."""
        return (self.latent,)

    @abstractmethod
    def infer(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Inner examples to a draw of p(x|z)'s parameters, y, and μ and log σ of q(z|x) at that draw, (n, latent)."""

    @abstractmethod
    def observe(self, codes: Tensor, spread: Tensor | float, mse: Tensor) -> None:
        """Update the running estimates: codes (n, latent), their posterior variance `spread` (latent,), and the MSE."""
