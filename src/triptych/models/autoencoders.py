"""Encoder and decoder pairs: perceptrons, the CIFAR-10 study's convolutional pair, and a residual one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, Any, Literal

from torch import Tensor, nn

from triptych.core import Shape
from triptych.core.model_spec import ConditionalSpec
from triptych.core.search import Among
from triptych.errors import UserError
from triptych.models.code_sampler import Codes
from triptych.models.families import AEModel, Autoencoder, VAEModel
from triptych.models.layers.conditional import appended, width_of
from triptych.models.layers.conv import PlainDown, PlainUp
from triptych.models.layers.data_init import SubtractMean
from triptych.models.layers.linear import Linear
from triptych.models.layers.mlp import Reshape, perceptron
from triptych.models.observed import Scale, outputs
from triptych.models.second_stage import second_stage
from triptych.models.semi import SemiVAEModel

Output = Literal["clamped", "mean", "logit"]
"""What the decoder ends in: the mean of p(x|z), of images softly clamped to their range; as it is; logits."""
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU}


@dataclass(frozen=True)
class AutoencoderSpec(ConditionalSpec):
    """Abstract base of the pairs: the encoder gives a code (n, latent), or its mean and log standard deviation."""

    latent: int
    variational: bool
    output: Output
    scale: Scale
    codes: Codes
    classifier: bool

    def heads(self) -> int:
        """Outputs of the encoder."""
        return self.latent * (2 if self.variational else 1)

    def pair(
        self, shape: Shape, encoder: nn.Module, decoder: nn.Module, classifier: nn.Module | None = None
    ) -> Autoencoder:
        """The model of (n, *shape) to (n, `heads()`) and of (n, latent) to (n, *`outputs(shape, scale)`).

        With a `classifier`, (n, *shape) to logits (n, K), one that tells classes, too.
        """
        second = second_stage(self.codes, self.latent, self.k)
        ends: dict[str, Any] = {"logits": self.output == "logit", "clamped": self.output == "clamped"}
        ends |= {"scale": self.scale, "classes": self.k}
        if classifier is not None:
            return SemiVAEModel(shape, self.latent, encoder, decoder, classifier, **ends)
        kind = VAEModel if self.variational else AEModel
        return kind(shape, self.latent, encoder, decoder, second=second, **ends)

    def check_classifier(self) -> None:
        """UserError where there is a classifier and what it goes with is not."""
        if self.classifier and (self.numbers or not self.k):
            raise UserError("model.classifier tells classes and the network has none; add --model.classes auto")
        if self.classifier and not (self.variational and self.codes == "prior"):
            raise UserError(
                "model.classifier is q(y|x) of a VAE that is sampled from its prior; leave --model.no-variational and "
                "--model.codes out"
            )


@dataclass(frozen=True)
class MLPAutoencoder(AutoencoderSpec):
    """Perceptrons for vectors and flattened images."""

    latent: int = 2
    """latent dimensions"""
    variational: bool = True
    """the encoder gives mean and log standard deviation of z (VAE), or z itself (AE)"""
    width: Annotated[int, Among(64, 128, 256)] = 128
    """units per hidden layer"""
    depth: Annotated[int, Among(2, 3)] = 2
    """hidden layers on each side"""
    activation: Literal["relu", "tanh", "silu"] = "relu"
    """between the layers"""
    output: Output = "clamped"
    """what the decoder ends in; the Bernoulli likelihood needs logits"""
    scale: Scale = field(default="set", metadata={"later": True})
    """a learned scale of p(x|z) for the whole set, or from the decoder for each pixel or each picture"""
    codes: Codes = field(default="prior", metadata={"later": True})
    """samples from the prior (AE: running Gaussian), or from a Gaussian, mixture or flow fitted to codes at the end"""
    classifier: bool = field(default=False, metadata={"later": True})
    """a network that tells classes, q(y|x), beside the pair: for labels of a part of the data (Semi)"""

    def build(self, shape: Shape) -> Autoencoder:
        self.check_classifier()
        d, act, out = math.prod(shape), ACTIVATIONS[self.activation], outputs(shape, self.scale)
        first = [SubtractMean(d)] if len(shape) == 3 else []  # vectors come in any units and origin
        e, label = width_of(self.k), appended(self.k)
        net = perceptron(d + e, self.heads(), self.width, self.depth, act)
        encoder = nn.Sequential(nn.Flatten(), *first, *label, net)
        net = perceptron(self.latent + e, math.prod(out), self.width, self.depth, act)
        decoder = nn.Sequential(*appended(self.k), net, Reshape(out))
        classifier = None
        if self.classifier:
            first = [SubtractMean(d)] if len(shape) == 3 else []
            classifier = nn.Sequential(nn.Flatten(), *first, perceptron(d, self.k, self.width, self.depth, act))
        return self.pair(shape, encoder, decoder, classifier)


@dataclass(frozen=True)
class ConvAutoencoder(AutoencoderSpec):
    """The CIFAR-10 study's pair: a 3x3 convolution, then strided ones that halve the side and double the channels.

    At 32 px and width 32 it is the study's exactly (side 4, 256 channels). The side is halved while it is even and
    above 4: 28 px ends at 7, 64 px at 4. No normalisation; the decoder ends without a non-linearity.
    """

    latent: int = 1024
    """latent dimensions"""
    variational: bool = True
    """the encoder gives mean and log standard deviation of z (VAE), or z itself (AE)"""
    width: int = 32
    """channels at full resolution"""
    head: Literal["direct", "coded"] = "direct"
    """direct: one linear layer to (mean, log sigma); coded: the write-up's extra linear bottleneck before it"""
    output: Output = "clamped"
    """what the decoder ends in; the Bernoulli likelihood needs logits"""
    scale: Scale = field(default="set", metadata={"later": True})
    """a learned scale of p(x|z) for the whole set, or from the decoder for each pixel or each picture"""
    codes: Codes = field(default="prior", metadata={"later": True})
    """samples from the prior (AE: running Gaussian), or from a Gaussian, mixture or flow fitted to codes at the end"""
    classifier: bool = field(default=False, metadata={"later": True})
    """a network that tells classes, q(y|x), beside the pair: for labels of a part of the data (Semi)"""

    def build(self, shape: Shape) -> Autoencoder:
        self.check_classifier()
        heads, e = self.heads(), width_of(self.k)
        image, halvings = square_side(shape)
        side, widths = image // 2**halvings, [self.width * 2**i for i in range(halvings + 1)]
        features = widths[-1] * side * side

        def pyramid() -> list[nn.Module]:
            layers: list[nn.Module] = [nn.Conv2d(shape[0], widths[0], 3, padding=1)]
            for a, b in pairwise(widths):
                layers += [nn.ReLU(), PlainDown(a, b)]
            return layers

        down = pyramid()
        if self.head == "coded":
            # Two linear maps in a row: the write-up's code has no non-linearity between them.
            down += [
                nn.Flatten(),
                *appended(self.k),
                Linear(features + e, self.latent),
                Linear(self.latent, heads),
            ]
        else:
            down += [nn.Flatten(), *appended(self.k), Linear(features + e, heads)]
        up: list[nn.Module] = [
            *appended(self.k),
            Linear(self.latent + e, features),
            Reshape((widths[-1], side, side)),
            nn.ReLU(),
        ]
        for a, b in pairwise(widths[::-1]):
            up += [PlainUp(a, b), nn.ReLU()]
        up += [nn.Conv2d(widths[0], outputs(shape, self.scale)[0], 3, padding=1)]
        classifier = None
        if self.classifier:
            classifier = nn.Sequential(*pyramid(), nn.ReLU(), nn.Flatten(), Linear(features, self.k))
        return self.pair(shape, nn.Sequential(*down), nn.Sequential(*up), classifier)


class Residual(nn.Module):
    """x + conv(act(conv(act(x)))), 3x3, (n, c, h, w) to the same; the last convolution is initialised to 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        last = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(last.weight)
        self.branch = nn.Sequential(nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1), nn.SiLU(), last)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


@dataclass(frozen=True)
class ResidualAutoencoder(AutoencoderSpec):
    """The same pyramid with residual blocks at every resolution, for 32 and 64 px. No normalisation."""

    latent: int = 128
    """latent dimensions"""
    variational: bool = True
    """the encoder gives mean and log standard deviation of z (VAE), or z itself (AE)"""
    width: int = 32
    """channels at full resolution; they double with every halving, up to eight times"""
    blocks: int = 1
    """residual blocks at each resolution, on each side"""
    output: Output = "clamped"
    """what the decoder ends in; the Bernoulli likelihood needs logits"""
    scale: Scale = field(default="set", metadata={"later": True})
    """a learned scale of p(x|z) for the whole set, or from the decoder for each pixel or each picture"""
    codes: Codes = field(default="prior", metadata={"later": True})
    """samples from the prior (AE: running Gaussian), or from a Gaussian, mixture or flow fitted to codes at the end"""
    classifier: bool = field(default=False, metadata={"later": True})
    """a network that tells classes, q(y|x), beside the pair: for labels of a part of the data (Semi)"""

    def build(self, shape: Shape) -> Autoencoder:
        self.check_classifier()
        heads, e = self.heads(), width_of(self.k)
        image, halvings = square_side(shape)
        side, widths = image // 2**halvings, [self.width * min(2**i, 8) for i in range(halvings + 1)]
        features = widths[-1] * side * side

        def stack(channels: int) -> list[nn.Module]:
            return [Residual(channels) for _ in range(self.blocks)]

        down: list[nn.Module] = [nn.Conv2d(shape[0], widths[0], 3, padding=1), *stack(widths[0])]
        up: list[nn.Module] = [
            *appended(self.k),
            Linear(self.latent + e, features),
            Reshape((widths[-1], side, side)),
        ]
        for a, b in pairwise(widths):
            down += [PlainDown(a, b), *stack(b)]
        for a, b in pairwise(widths[::-1]):
            up += [*stack(a), PlainUp(a, b)]
        down += [nn.SiLU(), nn.Flatten(), *appended(self.k), Linear(features + e, heads)]
        up += [*stack(widths[0]), nn.SiLU(), nn.Conv2d(widths[0], outputs(shape, self.scale)[0], 3, padding=1)]
        classifier = None
        if self.classifier:
            layers: list[nn.Module] = [nn.Conv2d(shape[0], widths[0], 3, padding=1), *stack(widths[0])]
            for a, b in pairwise(widths):
                layers += [PlainDown(a, b), *stack(b)]
            classifier = nn.Sequential(*layers, nn.SiLU(), nn.Flatten(), Linear(features, self.k))
        return self.pair(shape, nn.Sequential(*down), nn.Sequential(*up), classifier)


def square_side(shape: Shape) -> tuple[int, int]:
    """Side of a square image, and how often it can be halved; UserError for other shapes."""
    if len(shape) != 3 or shape[1] != shape[2]:
        raise UserError(
            f"a convolutional autoencoder needs square images and got shape {tuple(shape)}; "
            "give --resolution 32 or 64, or use a recipe with perceptrons for vectors"
        )
    side, halvings = shape[1], 0
    while side % 2 == 0 and side > 4:
        side, halvings = side // 2, halvings + 1
    if halvings < 2:
        raise UserError(f"images of {shape[1]} px cannot be halved twice; give --resolution 32 (or 28, 64)")
    return shape[1], halvings
