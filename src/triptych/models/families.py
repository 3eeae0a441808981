"""The three families as models: players bound to the capabilities they give."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from triptych.core import Density, Encoder, Model, ModelSpec, Sampler, Shape, to_inner, to_public
from triptych.core.checks import check_codes, check_examples
from triptych.core.share import draw, uniform_like
from triptych.errors import UserError
from triptych.models.layers.bijections import Convolutions, Transform

PARAMETERS, TENSORS = 2**30, 10_000
"""Most parameters of a model (4 GiB in float32), and most tensors that hold them."""
ORDINARY = 2**26
"""Product of a network's sizes, the largest of them squared, up to which it is built without counting first."""


def build(spec: ModelSpec, shape: Shape) -> Model:
    """A freshly initialised model. UserError for one of an absurd size, before it takes memory.

    Beyond ordinary sizes it is built without memory first, to be counted.
    """
    sizes = [v for v in vars(spec).values() if isinstance(v, int) and v > 0]
    if math.prod(sizes) * max(sizes, default=1) > ORDINARY or math.prod(shape) > ORDINARY // 16:
        with counted():
            try:
                with torch.random.fork_rng(devices=[]), torch.device("meta"):
                    spec.build(shape)
            except UserError:
                raise
            except Exception:  # a network whose making looks at values: it is counted below
                pass
    with counted():
        return spec.build(shape)


@contextmanager
def counted() -> Iterator[None]:
    """Counts the parameters of the models built inside; UserError as soon as they are too many."""
    total = tensors = 0

    def count(module: nn.Module, name: str, w: nn.Parameter | None) -> None:
        nonlocal total, tensors
        total, tensors = total + (w.numel() if w is not None else 0), tensors + 1
        if total > PARAMETERS or tensors > TENSORS:
            raise UserError(
                f"the model has more than {PARAMETERS:,} parameters, or more than {TENSORS:,} layers' worth of them; "
                "lower --model.width, or --model.depth where the recipe has it"
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


class GANModel(Sampler):
    """A `generator` from z (n, latent) to inner examples, and a `critic` from inner examples to scores."""

    sampling = ("generator",)
    adversary = "critic"

    def __init__(self, shape: Shape, latent: int, generator: nn.Module, critic: nn.Module) -> None:
        super().__init__(shape)
        self.latent = latent
        self.generator = generator
        self.critic = critic

    def decode(self, z: Tensor) -> Tensor:
        return to_public(self.generator(check_codes(self, z)))


class FlowModel(Sampler, Encoder, Density):
    """A bijection `flow` from inner examples to z ~ N(0, I) of the same number of dimensions.

    `flow(x)` gives z (n, d) and log |det ∂z/∂x|, `flow.inverse(z)` the inverse. Images may have a second player
    `dequantizer`, which draws the noise u in k + u from a learned q(u | k); without it u is uniform.
    """

    sampling = ("flow", "dequantizer")

    def __init__(self, shape: Shape, flow: Transform, dequantizer: nn.Module | None = None) -> None:
        super().__init__(shape)
        self.latent = math.prod(shape)
        self.flow = flow
        if dequantizer is not None:
            self.dequantizer = dequantizer

    def autocast_modules(self) -> list[nn.Module]:
        """The convolutions that decide scales and shifts; z and log-determinants stay float32.

        Flows of vectors have none: bfloat16 moves the log density of 2-D data by hundredths of a nat.
        """
        return [m for m in self.modules() if isinstance(m, Convolutions)]

    def encode(self, x: Tensor) -> Tensor:
        return self.flow(to_inner(check_examples(self, x)))[0]

    def decode(self, z: Tensor) -> Tensor:
        return to_public(self.flow.inverse(check_codes(self, z)))

    def log_prob(self, x: Tensor) -> Tensor:
        """Nats per example: the density at the given x, in the data's units (images: on [0, 1]^d)."""
        log_p = self.log_density(to_inner(check_examples(self, x)))
        return log_p + self.latent * math.log(2) if x.dim() == 4 else log_p

    def log_density(self, x: Tensor) -> Tensor:
        """log N(f(x); 0, I) + log |det ∂f/∂x| of inner examples, (n,)."""
        z, log_det = self.flow(x)
        return -0.5 * (z.square().sum(1) + self.latent * math.log(2 * math.pi)) + log_det

    def dequantise(self, x: Tensor, levels: int = 256) -> tuple[Tensor, Tensor]:
        """Inner images (n, c, h, w) of whole grey levels k to (k + u) / levels on [-1, 1], and log q(u | k), (n,).

        Vectors are returned as they are, with 0. Source: Theis et al. 2016, section 3.1; Ho et al. 2019, eq. 7.
        """
        if x.dim() != 4:
            return x, x.new_zeros(len(x))
        k = ((x + 1) * ((levels - 1) / 2)).round()
        if "dequantizer" in self.players:
            u, log_q = self.dequantizer(x)
        else:
            u, log_q = uniform_like(x), x.new_zeros(len(x))
        # In float32 255 + u rounds up to 256 for u > 1 − 2⁻¹⁶: the noise must not leave its bin.
        return (k + u.clamp(0, 1 - 2**-16)) * (2 / levels) - 1, log_q


class Autoencoder(Sampler, Encoder):
    """Abstract base of `AEModel` and `VAEModel`: an `encoder` to codes and a `decoder` from codes (n, latent).

    Three running estimates travel with the weights as buffers: the mean and covariance of the codes, which is all
    that an autoencoder needs to be sampled from (an ex-post Gaussian: Ghosh et al. 2020, "From Variational to
    Deterministic Autoencoders"), and the noise variance of the likelihoods that learn it.
    """

    sampling = ("encoder", "decoder")
    code_mean: Tensor
    code_cov: Tensor
    noise: Tensor
    seen: Tensor

    def __init__(
        self, shape: Shape, latent: int, encoder: nn.Module, decoder: nn.Module, *, logits: bool = False
    ) -> None:
        """`encoder`: (n, *shape) to codes; `decoder`: (n, latent) to the mean of p(x|z), or with `logits` to logits."""
        super().__init__(shape)
        self.latent = latent
        self.logits = logits
        self.encoder = encoder
        self.decoder = decoder
        self.register_buffer("code_mean", torch.zeros(latent))
        self.register_buffer("code_cov", torch.eye(latent))
        self.register_buffer("noise", torch.ones(()))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def mean(self, y: Tensor) -> Tensor:
        """Decoder output y (n, *shape) to the inner mean of p(x|z): itself; for logits σ(y), of images 2 σ(y) − 1."""
        if not self.logits:
            return y
        return torch.tanh(y / 2) if len(self.shape) == 3 else torch.sigmoid(y)

    def decode(self, z: Tensor) -> Tensor:
        return to_public(self.mean(self.decoder(check_codes(self, z))))

    @torch.no_grad()
    def observe(self, codes: Tensor, spread: Tensor | float, mse: Tensor) -> None:
        """Update the running estimates: codes (n, latent), their posterior variance `spread` (latent,), and the MSE.

        Each is an average over all batches at first, and over about the last hundred later on.
        """
        n, w = len(codes), max(1 / (int(self.seen) + 1), 0.01)
        self.seen += 1
        batch_mean = codes.mean(0)
        # (1 − w) Σ + w (batch covariance + (1 − w) δ δᵀ) as one product: δ is one more row of the centred codes
        shift = (batch_mean - self.code_mean) * (n * (1 - w)) ** 0.5
        centred = torch.cat([codes - batch_mean, shift[None]])
        self.code_cov.addmm_(centred.T, centred, beta=1 - w, alpha=w / n)
        self.code_cov.diagonal().add_(w * spread)
        self.code_mean.lerp_(batch_mean, w)
        self.noise.lerp_(mse.to(self.noise.dtype), w)

    def before_pooling(self) -> None:
        self.code_cov += torch.outer(self.code_mean, self.code_mean)

    def after_pooling(self) -> None:
        self.code_cov -= torch.outer(self.code_mean, self.code_mean)

    def codes(self, n: int, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        """n draws from the Gaussian of the codes' running mean and covariance, (n, latent), on the model's device."""
        where = self.device if generator is None else generator.device
        noise = draw(lambda n: torch.randn(n, self.latent, generator=generator, device=where), n).to(self.code_cov)
        values, vectors = torch.linalg.eigh(self.code_cov.double())
        root = (vectors * values.clamp_min(0).sqrt()).to(noise)
        return self.code_mean + temperature * noise @ root.T


class AEModel(Autoencoder):
    """A deterministic autoencoder. It has no prior: it is sampled from the Gaussian fitted to its codes."""

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(to_inner(check_examples(self, x)))

    def prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n draws from the ex-post Gaussian of the codes, (n, latent)."""
        return self.codes(n, generator)

    def prior_moments(self) -> tuple[Tensor, Tensor]:
        """Those of the codes."""
        return self.code_mean.cpu(), self.code_cov.diagonal().clamp_min(0).sqrt().cpu()

    def sample(self, n: int, seed: int = 0, temperature: float = 1.0, batch: int = 256) -> Tensor:
        """n new public examples, (n, *shape); `temperature` scales the spread of the codes around their mean."""
        z = self.codes(n, torch.Generator().manual_seed(seed), temperature)
        with torch.no_grad():
            return torch.cat([self.decode(part) for part in z.split(batch)])


class VAEModel(Autoencoder):
    """q(z|x) = N(μ, diag σ²): the encoder returns μ and log σ side by side, (n, 2 latent). The prior is N(0, I)."""

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """μ and log σ of q(z|x) for inner examples, each (n, latent)."""
        mu, log_sigma = self.encoder(x).chunk(2, dim=1)
        return mu, log_sigma

    def encode(self, x: Tensor) -> Tensor:
        return self.posterior(to_inner(check_examples(self, x)))[0]
