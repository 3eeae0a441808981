"""Ex-post densities: what the codes of the training examples turned out to be distributed like.

An autoencoder has no prior, and a VAE's aggregate posterior is not its prior: samples decoded from where the codes
lie are often better than samples decoded from N(0, I). The difference is the prior hole. A model that is conditioned on
something has one within each condition, so its codes are fitted given what they belong to.
Sources: Ghosh et al. 2020, "From Variational to Deterministic Autoencoders", section 3; of a mixture given some of its
dimensions Ghahramani & Jordan 1994, "Supervised Learning from Incomplete Data via an EM Approach".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from triptych.errors import TooFew, UserError

LEADING = 64
"""Principal directions of the codes that a mixture models; the rest is Gaussian."""
FEW = 16
"""Dimensions up to which all products of two are kept side by side."""
SHARE = 1e-8
"""Of a component in a code, below which the code does not count for its covariance."""
TINY = 1e-12
"""Standard deviation along an axis below which all codes are taken to lie in a plane."""
SIZES = (1, 2, 4, 8, 16, 32, 64)
"""Numbers of components that `choose` tries."""
OWN = 5
"""Codes for each of the leading dimensions from which on a class has a shape of its own."""
Mixture = tuple[Tensor, Tensor, Tensor]
"""Weights (k,), centres (k, p) and lower triangular factors (k, p, p) of a mixture of Gaussians."""


@dataclass(frozen=True, eq=False)
class CodeDensity:
    """A density of codes z = mean + axes u: u's leading dimensions are a mixture of Gaussians, the others N(0, 1).

    Given classes there is a mixture for each of them, along axes that they share. Given q numbers c it is what a
    mixture of (c, u) says of u where c is known: each component counts by how likely it finds c, and its centre is a
    linear function of c. `y` below are labels (n,), shares of the classes (n, K), or numbers (n, q).
    """

    mean: Tensor
    """(latent,)"""
    axes: Tensor
    """(latent, latent): principal directions, each as long as the codes' standard deviation along it"""
    weights: Tensor
    """(k,); of classes (K, k)"""
    centres: Tensor
    """(k, q + p), the numbers first; of classes (K, k, p)"""
    factors: Tensor
    """(k, q + p, q + p) lower triangular: component j has covariance factors[j] factors[j]ᵀ; of classes (K, k, p, p)"""
    numbers: int = 0
    """q"""
    few: int = 0
    """how many classes had too few codes for a shape of their own"""

    @property
    def classes(self) -> int:
        """K; 0: it is not given any."""
        return len(self.weights) if self.weights.dim() == 2 else 0

    @cached_property
    def roots(self) -> Tensor:
        """(k, q, q): inverses of the factors of the numbers alone."""
        own = self.factors[:, : self.numbers, : self.numbers]
        eye = torch.eye(self.numbers, dtype=own.dtype, device=own.device)
        return torch.linalg.solve_triangular(own, eye.expand_as(own), upper=False)

    @cached_property
    def slopes(self) -> Tensor:
        """(k, p, q): how each component's centre changes with the numbers."""
        return self.factors[:, self.numbers :, : self.numbers] @ self.roots

    def draw(self, n: int, seed: int | torch.Generator = 0, y: Tensor | None = None) -> Tensor:
        """n codes, (n, latent) float32, on the CPU. The same seed gives the same noise whatever y is."""
        g = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
        u = torch.randn(n, len(self.mean), generator=g, dtype=torch.float64)
        if self.classes and y is not None and y.dim() == 2:
            y = torch.multinomial(self.asked(y).double(), 1, generator=g)[:, 0]
        w = self.weights_given(y)
        if w.dim() == 1:
            which = torch.multinomial(w, n, replacement=True, generator=g)
        else:
            which = torch.multinomial(w, 1, generator=g)[:, 0]
        return self.place(u, which, y).float()

    def weights_given(self, y: Tensor | None) -> Tensor:
        """Those of the components, (k,), or where they depend on labels (n,) or numbers (n, k)."""
        if self.classes:
            return self.weights[self.asked(y)]
        return self.log_weights(self.asked(y)).softmax(1) if self.numbers else self.weights

    def asked(self, y: Tensor | None) -> Tensor:
        """What was given; TypeError where it is lacking."""
        if y is None:
            raise TypeError("this density is one given classes or numbers; give y")
        return y.to(self.mean.device)

    def log_weights(self, c: Tensor) -> Tensor:
        """log of weight times density of numbers c (n, q) by each component, (n, k)."""
        white = torch.einsum(
            "kij,nkj->nki", self.roots, c.to(self.mean.dtype)[:, None] - self.centres[:, : self.numbers]
        )
        constant = self.roots.diagonal(dim1=1, dim2=2).log().sum(1) - 0.5 * self.numbers * math.log(2 * math.pi)
        return self.weights.log() + constant - 0.5 * white.square().sum(2)

    def place(self, u: Tensor, which: Tensor, y: Tensor | None = None) -> Tensor:
        """Codes (n, latent) out of noise u (n, latent) and the component of each (n,)."""
        q, of_each = self.numbers, (self.asked(y), which) if self.classes else (which,)
        centre, factor = self.centres[of_each], self.factors[of_each]
        if q:
            moved = self.asked(y).to(self.mean.dtype) - centre[:, :q]
            centre = centre[:, q:] + (self.slopes[which] @ moved[:, :, None])[:, :, 0]
            factor = factor[:, q:, q:]
        p = centre.shape[1]
        leading = centre + torch.einsum("nij,nj->ni", factor, u[:, :p])
        return self.mean + torch.cat([leading, u[:, p:]], 1) @ self.axes.T

    def log_prob(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(z | y) in nats of codes (n, latent), (n,) float64; −inf off a plane that all codes lay in."""
        scale = self.axes.square().sum(0).sqrt().clamp_min(TINY)
        u = (z.double() - self.mean) @ self.axes / scale.square()
        if self.classes:
            log_p = self.within(u, self.asked(y))
        elif self.numbers:
            c = self.asked(y).to(u)
            log_p = mixture_log_prob(torch.cat([c, u], 1), self.weights, self.centres, self.factors)
            log_p = log_p - self.log_weights(c).logsumexp(1)
        else:
            log_p = mixture_log_prob(u, self.weights, self.centres, self.factors)
        return log_p - scale.log().sum()

    def within(self, u: Tensor, y: Tensor) -> Tensor:
        """log density (n,) of u (n, latent) given labels (n,); given shares (n, K) of the classes mixed by them."""
        parts = list(zip(self.weights, self.centres, self.factors, strict=True))
        if y.dim() == 2:
            return (torch.stack([mixture_log_prob(u, *part) for part in parts], 1) + y.to(u).log()).logsumexp(1)
        log_p = u.new_empty(len(u))
        for c in y.unique().tolist():
            log_p[y == c] = mixture_log_prob(u[y == c], *parts[c])
        return log_p


def mixture_log_prob(u: Tensor, weights: Tensor, centres: Tensor, factors: Tensor) -> Tensor:
    """log density (n,) of u (n, d): a mixture (k,), (k, p), (k, p, p) in the first p dimensions, N(0, 1) elsewhere."""
    p = centres.shape[1]
    log_p = torch.logsumexp(component_log_prob(u[:, :p], centres, factors) + weights.log(), 1)
    rest = u[:, p:]
    return log_p - 0.5 * rest.square().sum(1) - 0.5 * rest.shape[1] * math.log(2 * math.pi)


def fit_codes(
    z: Tensor,
    components: int | None = 1,
    seed: int = 0,
    leading: int = LEADING,
    *,
    y: Tensor | None = None,
    classes: int = 0,
    most: int = max(SIZES),
) -> CodeDensity:
    """One Gaussian, or a mixture in the `leading` principal directions, fitted to codes z (n, latent).

    None: as many components as `choose` finds, no more than `most` and than half as many as there are codes. y: labels
    (n,) of so many `classes`, each of which has a mixture of its own, or numbers (n, q) of about unit variance. A class
    of fewer than `OWN` codes for each leading dimension has the shape that codes of all classes have around the mean of
    their class, around its own mean; `few` counts them. `TooFew` codes where there are fewer than twice the components.
    """
    if components is not None and components < 1:
        raise UserError(f"a mixture has at least 1 component, not {components}")
    if len(z) < 2 * (components or 1):
        words = "a Gaussian" if components is None else f"{components} components"
        raise TooFew(f"{len(z)} codes are too few for {words}; give more examples")
    z = z.double().cpu()
    mean = z.mean(0)
    axes, p = principal((z - mean).T @ (z - mean) / len(z), leading)
    if y is None:
        if components == 1:
            return CodeDensity(mean, axes, *one_gaussian(p))
        return CodeDensity(mean, axes, *shaped(whitened(z, mean, axes, p), components, seed, most))
    u, y = whitened(z, mean, axes, p), y.cpu()
    if classes:
        every, few = of_classes(u, y, classes, components, seed, most)
        return CodeDensity(mean, axes, *every, few=few)
    q = y.shape[1]
    return CodeDensity(mean, axes, *shaped(torch.cat([y.double(), u], 1), components, seed, most), numbers=q)


def shaped(u: Tensor, components: int | None, seed: int, most: int) -> Mixture:
    """The mixture of whitened u (n, p), of so many components or as many as `choose` finds."""
    return choose(u, seed, most=most) if components is None else mixture(u, components, seed)[:3]


def of_classes(u: Tensor, y: Tensor, classes: int, components: int | None, seed: int, most: int) -> tuple[Mixture, int]:
    """A mixture for each class, side by side (K, k, ...), of whitened u (n, p) with labels (n,), and how many are few.

    Components that a class does not have weigh nothing.
    """
    counts = torch.bincount(y, minlength=classes)
    means = u.new_zeros(classes, u.shape[1]).index_add_(0, y, u) / counts.clamp_min(1)[:, None]
    few = counts < max(OWN * u.shape[1], 2 * (components or 1))
    around = shaped(u - means[y], components, seed, most) if bool(few.any()) else None
    found: list[Mixture] = []
    for c in range(classes):
        if around is not None and few[c]:
            weights, centres, factors = around
            found.append((weights, centres + means[c], factors))
        else:
            found.append(shaped(u[y == c], components, seed, most))
    k, p = max(len(weights) for weights, _, _ in found), u.shape[1]
    every = u.new_zeros(classes, k), u.new_zeros(classes, k, p), torch.eye(p).to(u).repeat(classes, k, 1, 1)
    for c, own in enumerate(found):
        for whole, part in zip(every, own, strict=True):
            whole[c, : len(part)] = part
    return every, int(few.sum())


def principal(cov: Tensor, leading: int) -> tuple[Tensor, int]:
    """Principal axes of a covariance (d, d), each as long as its standard deviation, the longest first, and p.

    p is `leading`, or fewer where that many directions do not vary.
    """
    values, vectors = torch.linalg.eigh(cov)
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
    return vectors * values.sqrt(), min(leading, int((values > 1e-9 * values[0]).sum())) or 1


def whitened(z: Tensor, mean: Tensor, axes: Tensor, p: int) -> Tensor:
    """u of codes z (n, d) along the first p axes, (n, p)."""
    return (z - mean) @ (axes[:, :p] / axes[:, :p].square().sum(0).clamp_min(1e-30))


def one_gaussian(p: int) -> Mixture:
    """Weights, centres and factors of N(0, I) in p dimensions, as a mixture of one."""
    eye = torch.eye(p, dtype=torch.float64)
    return torch.ones(1, dtype=torch.float64), torch.zeros_like(eye[:1]), eye[None]


def choose(u: Tensor, seed: int = 0, ridge: float = 1e-3, most: int = max(SIZES)) -> Mixture:
    """Weights, centres and factors of the mixture of whitened u (n, p) with the lowest BIC = q ln n − 2 log L.

    q counts free numbers: k (1 + p + p (p + 1) / 2) − 1. All of `SIZES` are tried: of a grid two may be
    no better than one, and 32 far better. Each is fitted to its end: on a grid a fit stands still for many steps and
    rises again. Source: Schwarz 1978, "Estimating the Dimension of a Model".
    """
    n, p = u.shape
    best, lowest = one_gaussian(p), math.inf
    for k in SIZES:
        if 2 * k > n or k > most:
            break
        *found, log_p = mixture(u, k, seed, most=60, tolerance=1e-3, ridge=ridge)
        bic = (k * (1 + p + p * (p + 1) / 2) - 1) * math.log(n) - 2 * log_p.sum().item()
        if bic < lowest:
            best, lowest = (found[0], found[1], found[2]), bic
    return best


def mixture(
    u: Tensor, components: int, seed: int = 0, most: int = 200, tolerance: float = 1e-4, ridge: float = 1e-3
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Expectation-maximisation of a full-covariance mixture of Gaussians on whitened u (n, p), float64.

    Of many dimensions the products over all u are in float32, and a component's covariance is of those alone that have
    a share in it: so far apart do they lie that most have none.

    Returns weights (k,), centres (k, p), lower factors (k, p, p) and the log density of each u (n,). Starts at
    k-means++ centres (Arthur & Vassilvitskii 2007); ends when the mean log-likelihood rises by less than
    `tolerance`. `ridge` is added to each variance, which is 1 in u overall, so no component can close on one point.
    """
    (n, p), g = u.shape, torch.Generator().manual_seed(seed)
    chosen = [int(torch.randint(n, (1,), generator=g))]
    far = (u - u[chosen[0]]).square().sum(1)
    for _ in range(components - 1):
        chosen.append(int(torch.multinomial(far.clamp_min(1e-12), 1, generator=g)))
        far = torch.minimum(far, (u - u[chosen[-1]]).square().sum(1))
    centres = u[chosen].clone()
    weights = torch.full((components,), 1 / components, dtype=u.dtype)
    factors = torch.eye(p, dtype=u.dtype).repeat(components, 1, 1)
    before = -math.inf
    squares = products(u) if p <= FEW else None
    near = u if p <= FEW else u.float()
    for _ in range(most):
        log_joint = component_log_prob(near, centres, factors, squares).double() + weights.log()
        log_p = torch.logsumexp(log_joint, 1)
        if log_p.mean().item() - before < tolerance:
            break
        before = log_p.mean().item()
        share = (log_joint - log_p[:, None]).exp()
        mass = share.sum(0).clamp_min(1e-9)
        weights, centres = mass / mass.sum(), share.T @ u / mass[:, None]
        if squares is not None:
            cov = unfolded(share.T @ squares / mass[:, None], p) - centres[:, :, None] * centres[:, None]
        else:
            cov = torch.stack([scatter(near, s, c) / m for s, c, m in zip(share.T, centres, mass, strict=True)])
        cov.diagonal(dim1=1, dim2=2).add_(ridge)
        factors = torch.linalg.cholesky(cov)
    log_p = torch.logsumexp(component_log_prob(u, centres, factors, squares) + weights.log(), 1)
    return weights, centres, factors, log_p


def scatter(u: Tensor, share: Tensor, centre: Tensor) -> Tensor:
    """Σ_i share_i (u_i − centre)(u_i − centre)ᵀ, (p, p) float64, of those u (n, p) that have a share above `SHARE`."""
    rows = share > SHARE
    away = u[rows] - centre.to(u)
    return ((share[rows].to(u)[:, None] * away).T @ away).double()


def component_log_prob(u: Tensor, centres: Tensor, factors: Tensor, squares: Tensor | None = None) -> Tensor:
    """log N(u; centre, factor factorᵀ) of each component, (n, k). `squares` are `products(u)`, where they are known."""
    p = u.shape[1]
    constant = -factors.diagonal(dim1=1, dim2=2).log().sum(1) - 0.5 * p * math.log(2 * math.pi)
    eye = torch.eye(p).to(factors)
    inverse = torch.linalg.solve_triangular(factors, eye.expand_as(factors), upper=False)
    if p <= FEW and u.dtype == torch.float64:
        precision = inverse.mT @ inverse
        linear = (precision @ centres[:, :, None])[:, :, 0]
        constant = constant - 0.5 * (linear * centres).sum(1)
        squares = products(u) if squares is None else squares
        return u @ linear.T - 0.5 * squares @ folded(precision).T + constant
    pairs = zip(centres.to(u), inverse.to(u), strict=True)
    white = [((u - centre) @ root.T).square().sum(1) for centre, root in pairs]
    return constant.to(u) - 0.5 * torch.stack(white, 1)


def products(u: Tensor) -> Tensor:
    """u_i u_j, i ≤ j, of each row of u (n, p), (n, p (p + 1) / 2): sums over few dimensions are one matrix product."""
    return torch.cat([u[:, i, None] * u[:, i:] for i in range(u.shape[1])], 1)


def folded(a: Tensor) -> Tensor:
    """Symmetric a (k, p, p) as (k, p (p + 1) / 2): its product with `products(u)` is uᵀ a u."""
    i, j = torch.triu_indices(*a.shape[1:], device=a.device)
    return a[:, i, j] * torch.where(i == j, 1, 2)


def unfolded(sums: Tensor, p: int) -> Tensor:
    """Sums (k, p (p + 1) / 2) over rows of `products` as the symmetric matrices (k, p, p) that they are."""
    i, j = torch.triu_indices(p, p, device=sums.device)
    whole = sums.new_empty(len(sums), p, p)
    whole[:, i, j] = whole[:, j, i] = sums
    return whole


def said(few: int, classes: int) -> str:
    """What a person should know of classes with too few codes."""
    own = "has too few codes for a shape of its own" if few == 1 else "have too few codes for shapes of their own"
    return f"{few:,} of {classes:,} classes {own}: the shape of all is taken, around the mean of each"
