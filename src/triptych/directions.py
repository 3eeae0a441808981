"""Which way each metric is better, by its name."""

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
