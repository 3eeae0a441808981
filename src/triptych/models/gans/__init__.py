"""Networks of GANs: a generator and a critic."""
