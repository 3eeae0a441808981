"""What is chosen for a device, and why."""

import pytest
import torch

from triptych.nets.conv import ConvGAN
from triptych.nets.mlp import MLPGAN
from triptych.runtime import pick_precision

WIDE, NARROW = ConvGAN(latent=2, width=32).build((1, 8, 8)), ConvGAN(latent=2, width=4).build((1, 8, 8))
VECTORS = MLPGAN(width=64).build((2,))


@pytest.mark.parametrize(
    ("model", "units", "device", "picked"),
    [
        (WIDE, True, "cpu", "bf16"),
        (WIDE, False, "cpu", "fp32"),  # wherever bfloat16 is only emulated
        (NARROW, True, "cpu", "fp32"),
        (VECTORS, True, "cpu", "fp32"),
        (WIDE, True, "mps", "fp32"),
    ],
)
def test_auto_is_bfloat16_for_wide_convolutions_on_matrix_units(model, units, device, picked, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: units)
    assert pick_precision("auto", model, torch.device(device)) == picked


@pytest.mark.parametrize("works", [True, False])
def test_a_gpu_is_asked_itself(works, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: works)
    assert pick_precision("auto", WIDE, torch.device("cuda")) == ("bf16" if works else "fp32")
    assert pick_precision("auto", NARROW, torch.device("cuda")) == "fp32"


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_what_is_asked_for_is_taken(asked):
    assert pick_precision(asked, VECTORS, torch.device("cpu")) == asked
