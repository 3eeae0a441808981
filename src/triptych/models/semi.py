"""A variational autoencoder that tells classes itself: for data of which only a part has labels."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from triptych.core import Data, Shape, to_inner
from triptych.core.checks import check_examples
from triptych.core.labels import Asked
from triptych.core.model import Classifier
from triptych.models.families import VAEModel


class SemiVAEModel(VAEModel, Classifier):
    """p(x|y, z) p(y) p(z) with q(z|x, y) and, as a third player, a `classifier` q(y|x) of logits (n, K).

    The model M2 of Kingma et al. 2014, "Semi-supervised Learning with Deep Generative Models", eq. 2 and 4. Without a
    label an example is encoded as of its most probable class.
    """

    sampling = ("encoder", "decoder", "classifier")

    def __init__(
        self, shape: Shape, latent: int, encoder: nn.Module, decoder: nn.Module, classifier: nn.Module, **more: Any
    ) -> None:
        """`classifier`: inner examples (n, *shape) to logits (n, K); the others, and `more`, as of a `VAEModel`."""
        super().__init__(shape, latent, encoder, decoder, **more)
        self.classifier = classifier
        self.class_sizes: list[int] = []
        """training examples of each class; empty until `know_classes`"""

    def know_classes(self, data: Data) -> None:
        super().know_classes(data)
        if data.labels is not None:
            self.class_sizes = data.labels.bincount(minlength=self.classes).tolist()

    @property
    def players(self) -> dict[str, nn.Module]:
        """Encoder, decoder and classifier."""
        return {**super().players, "classifier": self.classifier}

    def told(self, x: Tensor) -> Tensor:
        """log q(y|x) of inner examples for every class, (n, K)."""
        return self.classifier(x).log_softmax(1)

    def log_classes(self, x: Tensor) -> Tensor:
        check_examples(self, x)
        return self.told(to_inner(x))

    def encode(self, x: Tensor, y: Asked = None) -> Tensor:
        """Posterior means (n, latent) given y; of None given the class that the classifier finds most probable."""
        return super().encode(x, self.log_classes(x).argmax(1) if y is None else y)
