"""What a number is: which direction is better, and its name for people."""

from __future__ import annotations

LOWER: tuple[str, ...] = (
    "fid",
    "frechet",
    "kid",
    "kernel",
    "cmmd",
    "fld",
    "mmd",
    "wasserstein",
    "sliced",
    "reverse_kl",
    "nll",
    "kl",
    "bits_per_dim",
    "recon",
    "val_recon",
    "mse",
    "inverse_error",
    "path_length",
    "c2st",
    "tv",
    "total_variation",
)
HIGHER: tuple[str, ...] = (
    "modes",
    "high_quality",
    "precision",
    "recall",
    "density",
    "coverage",
    "elbo",
    "iwae",
    "log_prob",
    "psnr",
    "ssim",
    "accuracy",
    "confident",
    "mig",
    "sap",
    "dci",
    "probe",
)


def direction(metric: str) -> int:
    """-1 where lower is better, 1 where higher is, 0 where neither can be said."""
    name = metric.lower()
    for sign, known in ((-1, LOWER), (1, HIGHER)):
        if any(name == k or name.startswith((f"{k}_", f"{k}-", f"{k}@")) for k in known):
            return sign
    return 0


SHOWN = ("val_recon", "nll", "elbo", "modes", "high_quality", "critic_loss", "generator_loss", "loss")


FIRST = ("modes", "high_quality", "reverse_kl", "kl", "nll", "bits_per_dim", "fid", "frechet", "confident")
"""The metrics that say most, in this order."""


def root(metric: str) -> str:
    """The name in `FIRST` that a metric is or is a variant of (`frechet` of `frechet_pixels`), else its own."""
    return next((k for k in FIRST if metric == k or metric.startswith(f"{k}_")), metric)


NAMES = {
    "modes": "Modes found",
    "high_quality": "High-quality samples",
    "reverse_kl": "Evenness over modes (reverse KL)",
    "sliced_wasserstein": "Sliced Wasserstein distance",
    "wasserstein": "Wasserstein distance",
    "nll": "Negative log-likelihood (nats)",
    "kl": "KL(data ‖ model) (nats)",
    "rate": "KL(posterior ‖ prior) (nats)",
    "bits_per_dim": "Bits per dimension",
    "val_recon": "Held-out reconstruction error",
    "elbo": "ELBO (nats)",
    "frechet": "Fréchet distance",
    "fid": "FID",
    "kid": "KID",
    "kernel": "Kernel distance",
    "c2st": "Two-sample test accuracy",
}


def spoken(metric: str) -> str:
    """A metric's name for a person; what follows a known name goes behind a comma."""
    for name, said in NAMES.items():
        if metric == name:
            return said
        if metric.startswith(f"{name}_"):
            return f"{said}, {metric.removeprefix(f'{name}_').replace('_', ' ')}"
    text = metric.replace("_", " ").replace("-", " ")
    return text[:1].upper() + text[1:]
