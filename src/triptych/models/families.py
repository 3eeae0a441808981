"""The three families as models: players bound to the capabilities they give."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from triptych.core import Conditional, Data, Density, Encoder, Sampler, Shape, to_inner, to_public
from triptych.core.checks import check_codes, check_examples
from triptych.core.counts import check_draw
from triptych.core.labels import Asked, given, is_given
from triptych.core.model import Cost, conditions_of, decoded
from triptych.core.share import draw, normal_like, uniform_like
from triptych.core.transport import Transport, affine
from triptych.models.code_sampler import CodeSampler
from triptych.models.layers.bijections import Convolutions, Transform
from triptych.models.layers.transformer import TokenTransformer
from triptych.models.observed import Inferring, Observed, Scale

CODES = 20_000, 5_000
"""Training examples whose codes a second stage is fitted to, and held-out ones that it is judged on."""


class GANModel(Conditional, Sampler):
    """A `generator` from z (n, latent) to inner examples, and a `critic` from inner examples to scores.

    With classes both are conditioned on the labels they are given.
    """

    sampling = ("generator",)
    adversary = "critic"

    def __init__(self, shape: Shape, latent: int, generator: nn.Module, critic: nn.Module, classes: int = 0) -> None:
        super().__init__(shape)
        self.latent = latent
        self.generator = generator
        self.critic = critic
        self.use_classes(classes)

    def decode(self, z: Tensor, y: Asked = None) -> Tensor:
        check_codes(self, z)
        with self.given(y, z.shape[0]):
            return to_public(self.generator(z))


class FlowModel(Conditional, Sampler, Encoder, Density):
    """A bijection `flow` from inner examples to z ~ N(0, I) of the same number of dimensions.

    `flow(x)` gives z (n, d) and log |det ∂z/∂x|, `flow.inverse(z)` the inverse. Images may have a second player
    `dequantizer`, which draws the noise u in k + u from a learned q(u | k); without it u is uniform.

    With classes `flow` is a bijection for each label y, and `log_prob(x)` without one is log Σ_y p(y) p(x | y).
    """

    sampling = ("flow", "dequantizer")
    cooler = 0.7

    def __init__(self, shape: Shape, flow: Transform, dequantizer: nn.Module | None = None, classes: int = 0) -> None:
        super().__init__(shape)
        self.latent = math.prod(shape)
        self.flow = flow
        if dequantizer is not None:
            self.dequantizer = dequantizer
        self.use_classes(classes)

    def autocast_modules(self) -> list[nn.Module]:
        """The convolutions and transformers that decide scales and shifts; z and log-determinants stay float32.

        Flows of vectors have none: bfloat16 moves the log density of 2-D data by hundredths of a nat.
        """
        return [m for m in self.modules() if isinstance(m, Convolutions | TokenTransformer)]

    @property
    def cost(self) -> Cost:
        return Cost(sample=self.flow.passes_back, likelihood=float(max(self.classes, 1)))

    def encode(self, x: Tensor, y: Asked = None) -> Tensor:
        check_examples(self, x)
        with self.given(y, x.shape[0]):
            return self.flow(to_inner(x))[0]

    def decode(self, z: Tensor, y: Asked = None) -> Tensor:
        check_codes(self, z)
        with self.given(y, z.shape[0]):
            return to_public(self.flow.inverse(z))

    def log_prob(self, x: Tensor, y: Asked = None) -> Tensor:
        """Nats per example: the density at the given x, in the data's units (images: on [0, 1]^d).

        Of a model with classes that of x given y, or without y that of x whatever its class.
        """
        check_examples(self, x)
        self.check_given(y)
        if self.classes and y is None:
            log_p = self.log_marginal(to_inner(x))
        else:
            with self.given(y, x.shape[0]):
                log_p = self.log_density(to_inner(x))
        return log_p + self.latent * math.log(2) if x.dim() == 4 else log_p

    def log_density(self, x: Tensor) -> Tensor:
        """log N(f(x); 0, I) + log |det ∂f/∂x| of inner examples, (n,)."""
        z, log_det = self.flow(x)
        return -0.5 * (z.square().sum(1) + self.latent * math.log(2 * math.pi)) + log_det

    def log_marginal(self, x: Tensor) -> Tensor:
        """log Σ_c p(c) p(x | c) of inner examples, (n,); `log_density` of a flow without classes."""
        return over_classes(self, lambda: self.log_density(x))

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


def over_classes(model: Conditional, log_p: Callable[[], Tensor]) -> Tensor:
    """log Σ_c p(c) exp log_p (n,), where log_p is what a call gives given each class; of no classes the call's own."""
    return joint(model, log_p).logsumexp(1) if model.classes else log_p()


def joint(model: Conditional, log_p: Callable[[], Tensor]) -> Tensor:
    """log p(c) + log_p given c for each of the classes, (n, K); what is drawn on the way is the same for all."""
    parts, devices = [], [model.device] if model.device.type == "cuda" else []
    for c in range(model.classes):
        again = torch.random.fork_rng(devices) if c + 1 < model.classes else nullcontext()
        with again, given(torch.full((1,), c, device=model.device)):
            parts.append(log_p())
    found = torch.stack(parts, 1)
    return found + model.frequencies.log().to(found)


class Autoencoder(Observed):
    """Abstract base of `AEModel` and `VAEModel`: an `encoder` to codes and a `decoder` from codes (n, latent).

    Beside the noise variance two running estimates travel with the weights as buffers: the mean and covariance of the
    codes, which is all that an autoencoder needs to be sampled from (an ex-post Gaussian: Ghosh et al. 2020, "From
    Variational to Deterministic Autoencoders").
    """

    code_mean: Tensor
    code_cov: Tensor

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
        second: CodeSampler | None = None,
        classes: int = 0,
    ) -> None:
        """`encoder`: (n, *shape) to codes; `decoder`, `logits`, `clamped`, `scale`: as of `Observed`.

        `second` is what codes are drawn from once it is fitted.
        """
        super().__init__(shape, latent, encoder, decoder, logits=logits, clamped=clamped, scale=scale, classes=classes)
        self.second = second
        self.register_buffer("code_mean", torch.zeros(latent))
        self.register_buffer("code_cov", torch.eye(latent))

    @property
    def players(self) -> dict[str, nn.Module]:
        """Encoder and decoder. What is fitted to their codes is no player: no objective moves it."""
        return {"encoder": self.encoder, "decoder": self.decoder}

    def autocast_modules(self) -> list[nn.Module]:
        return list(self.players.values())

    @torch.no_grad()
    def observe(self, codes: Tensor, spread: Tensor | float, mse: Tensor) -> None:
        """Update the running estimates: codes (n, latent), their posterior variance `spread` (latent,), and the MSE."""
        if self.second is not None:
            self.second.fitted.fill_(False)  # to codes as they were
        n, w = len(codes), self.observe_error(mse)
        batch_mean = codes.mean(0)
        # (1 − w) Σ + w (batch covariance + (1 − w) δ δᵀ) as one product: δ is one more row of the centred codes
        shift = (batch_mean - self.code_mean) * (n * (1 - w)).sqrt()
        centred = torch.cat([codes - batch_mean, shift[None]])
        self.code_cov.mul_(1 - w).addmm_(centred.T, centred * (w / n))
        self.code_cov.diagonal().add_(w * spread)
        self.code_mean.lerp_(batch_mean, w)

    def before_pooling(self) -> None:
        self.code_cov += torch.outer(self.code_mean, self.code_mean)

    def after_pooling(self) -> None:
        self.code_cov -= torch.outer(self.code_mean, self.code_mean)

    def finish(self, data: Data, held_out: Data, seed: int) -> dict[str, float]:
        """The second stage, fitted to codes of training examples: what it took, and how likely held-out codes are."""
        if self.second is None or len(data) < 2:
            return {}
        began = time.perf_counter()
        z, y = codes_of_data(self, data, CODES[0], seed)
        with self.given(y, len(z)):
            self.second.fit(z, seed)
        seconds = time.perf_counter() - began
        z, y = codes_of_data(self, held_out, CODES[1], seed)
        with self.given(y, len(z)):
            log_p = self.second.log_prob(z.to(self.device))
        told = {"codes_nll": -log_p.mean().item(), "codes_seconds": round(seconds, 3)}
        return told | ({"codes_few": float(self.second.few)} if self.second.few else {})

    @torch.no_grad()
    def from_second(self, n: int, generator: torch.Generator | None) -> Tensor | None:
        """n codes from the second stage, (n, latent); None where there is none, or where it is not fitted yet.

        Of a model that is conditioned they belong to what is `given`, or to what is drawn where nothing is.
        """
        if self.second is None or not bool(self.second.fitted):
            return None
        if generator is None:
            generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        with nullcontext() if is_given() or not self.conditioned else self.given(None, n):
            return self.second.draw(n, generator).to(self.code_mean)

    def carried(self) -> Transport | None:
        """How noise becomes codes of the second stage; None where there is none, or where it is not fitted yet."""
        if self.second is None or not bool(self.second.fitted):
            return None
        how = self.second.transport()

        def codes(noise: Tensor, y: Tensor | None) -> Tensor:
            with nullcontext() if y is None and is_given() else self.given(y, noise.shape[0]):
                return how.codes(noise, y)

        return Transport(how.takes, codes)

    def around_mean(self, z: Tensor, temperature: float) -> Tensor:
        """Codes (n, latent) brought nearer to their mean, or further from it."""
        return z if temperature == 1.0 else self.code_mean + temperature * (z - self.code_mean)

    def codes(self, n: int, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        """n draws from the Gaussian of the codes' running mean and covariance, (n, latent), on the model's device."""
        where = self.device if generator is None else generator.device
        noise = draw(lambda n: torch.randn(n, self.latent, generator=generator, device=where), n).to(self.code_cov)
        return self.code_mean + temperature * noise @ self.code_root().to(noise).T

    def code_root(self) -> Tensor:
        """R with R Rᵀ the covariance of the codes, (latent, latent), float64."""
        values, vectors = torch.linalg.eigh(self.code_cov.double())
        return vectors * values.clamp_min(0).sqrt()


class AEModel(Autoencoder):
    """A deterministic autoencoder. It has no prior: it is sampled from a density fitted to its codes.

    That is its second stage where it has one that is fitted, else the Gaussian of their running mean and covariance.
    """

    spherical = False

    def encode(self, x: Tensor, y: Asked = None) -> Tensor:
        check_examples(self, x)
        with self.given(y, x.shape[0]):
            return self.encoder(to_inner(x))

    def prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n draws from the density of the codes, (n, latent)."""
        z = self.from_second(n, generator)
        return self.codes(n, generator) if z is None else z

    def prior_moments(self) -> tuple[Tensor, Tensor]:
        """Those of the codes."""
        return self.code_mean.cpu(), self.code_cov.diagonal().clamp_min(0).sqrt().cpu()

    def transport(self) -> Transport:
        return self.carried() or affine(self.code_mean, self.code_root().to(self.code_mean))

    def sample(self, n: int, seed: int = 0, temperature: float = 1.0, batch: int = 256, y: Asked = None) -> Tensor:
        """n new public examples, (n, *shape); `temperature` scales the spread of the codes around their mean."""
        seed = check_draw(n, seed, temperature)
        g, y = torch.Generator().manual_seed(seed), self.labels(y, n, seed)
        with self.given(y, n):
            z = self.from_second(n, g)
        z = self.codes(n, g, temperature) if z is None else self.around_mean(z, temperature)
        return decoded(self, z, y, batch)


class VAEModel(Autoencoder, Inferring):
    """q(z|x) = N(μ, diag σ²): the encoder returns μ and log σ side by side, (n, 2 latent). The prior is N(0, I).

    Where it has a second stage that is fitted, samples are decoded from that, and from the prior no more.
    """

    def prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n draws of what samples are decoded from, (n, latent)."""
        z = self.from_second(n, generator)
        return super().prior(n, generator) if z is None else z

    def prior_moments(self) -> tuple[Tensor, Tensor]:
        """Those of the codes where samples are decoded from a density of these, else of N(0, I)."""
        if self.second is None or not bool(self.second.fitted):
            return super().prior_moments()
        return self.code_mean.cpu(), self.code_cov.diagonal().clamp_min(0).sqrt().cpu()

    def transport(self) -> Transport | None:
        return self.carried()

    def sample(self, n: int, seed: int = 0, temperature: float = 1.0, batch: int = 256, y: Asked = None) -> Tensor:
        """n new public examples, (n, *shape); `temperature` multiplies z, or its distance from the codes' mean."""
        seed = check_draw(n, seed, temperature)
        y = self.labels(y, n, seed)
        with self.given(y, n):
            z = self.from_second(n, torch.Generator().manual_seed(seed))
        if z is None:
            return super().sample(n, seed, temperature, batch, y)
        return decoded(self, self.around_mean(z, temperature), y, batch)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """μ and log σ of q(z|x) for inner examples, each (n, latent)."""
        mu, log_sigma = self.encoder(x).chunk(2, dim=1)
        return mu, log_sigma

    def infer(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_sigma = self.posterior(x)
        return self.decoder(mu + log_sigma.exp() * normal_like(mu)), mu, log_sigma

    def encode(self, x: Tensor, y: Asked = None) -> Tensor:
        check_examples(self, x)
        with self.given(y, x.shape[0]):
            return self.posterior(to_inner(x))[0]


@torch.no_grad()
def codes_of_data(
    model: Autoencoder, data: Data, most: int = 20_000, seed: int = 0, batch: int = 256
) -> tuple[Tensor, Tensor | None]:
    """Codes of at most `most` examples, (n, latent), one draw of q(z|x) each for a VAE, on the CPU.

    Beside them what the examples are given, labels (n,) or numbers (n, k): None of a model that is conditioned on none.
    """
    g = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(data), generator=g)[:most]
    known = conditions_of(model, data)
    y = model.labels(None if known is None else known[rows], len(rows))
    found = []
    for i in range(0, len(rows), batch):
        x = to_inner(data.x[rows[i : i + batch]]).to(model.device)
        with model.given(None if y is None else y[i : i + batch], len(x)):
            if isinstance(model, VAEModel):
                mu, log_sigma = model.posterior(x)
                found.append((mu + log_sigma.exp() * torch.randn(mu.shape, generator=g).to(mu)).cpu())
            else:
                found.append(model.encoder(x).cpu())
    return torch.cat(found), None if y is None else y.cpu()
