# %% [markdown]
# # What a likelihood says, and what it does not
#
# A flow has an exact density, a VAE a bound, a GAN none. A high likelihood is no promise of good samples, and a model
# may find other data more likely than its own.

# %%
import os

import torch

import triptych

SHARE = float(os.environ.get("TRIPTYCH_SHARE", "1"))
run = triptych.train("spline-8gaussians", out="runs/likelihood/spline", images=int(200_000 * SHARE))
flow = run.load()

# %% [markdown]
# ## Exact, and checkable
#
# The truth is known here, so that the distance from it is: KL(data ‖ model) = E log p(x) − E log q(x), in nats.

# %%
data = triptych.data.load("8gaussians")
x = data.sample(5_000, seed=1)
kl = (data.distribution.log_prob(x) - flow.log_prob(x)).mean().item()
print(f"KL(data || model) = {kl:.2f} nats")

# %% [markdown]
# ## It weighs what it covers, not what it adds
#
# Mix the flow with a model that is nonsense: with probability 0.01 a good sample, else uniform noise. The density is at
# least a hundredth of the flow's, so that the log-likelihood falls by at most log 100 = 4.6 nats, while 99 of 100
# samples are worthless. In the plane 4.6 nats is much; for a picture of 3,072 numbers it is 0.002 bits per dimension,
# which no table would show.

# %%
loss_per_dim = torch.log(torch.tensor(100.0)) / (3_072 * torch.log(torch.tensor(2.0)))
print(f"{loss_per_dim:.4f} bits per dimension at most")

# %% [markdown]
# ## And the other way round
#
# A model that repeats one training example forever has perfect samples by eye, and gives held-out examples no density
# at all. That is why reports put likelihood and sample quality on axes of their own, and why a GAN's empty cell says
# "not defined": there is no number to be bad.
#
# ## Other data may be more likely
#
# Where a density is high, few samples may fall, if there is little room. The centre of a Gaussian in many dimensions is
# its most likely point, and no sample is near it.

# %%
for d in (2, 100, 3_072):
    z = torch.randn(1_000, d)
    print(d, "distance of samples from the most likely point:", round(z.norm(dim=1).mean().item(), 1))

# %% [markdown]
# A flow trained on digits finds a plain black picture far more likely than any digit: 0.05 bits per dimension against
# 1.13, fewer being more likely ([benchmarks](../../benchmarks/README.md) has the numbers). To compare models of one family by likelihood on the same
# data is sound; to detect odd data by it is not.
