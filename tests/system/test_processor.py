"""What is known of a processor, with faked ones."""

import pytest
import torch

from triptych.system import processor
from triptych.system.processor import arithmetic

CPU = torch.device("cpu")


@pytest.fixture
def x86(monkeypatch):
    """A processor with these of AMX, AVX-512 with bfloat16, AVX-512 and AVX2."""

    def fake(*there: str) -> None:
        monkeypatch.setattr(processor.platform, "machine", lambda: "x86_64")
        for name in ("amx_tile", "avx512_bf16", "avx512", "avx2"):
            monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda name=name: name in there)

    return fake


@pytest.mark.parametrize(
    ("there", "name", "bfloat16"),
    [
        (("amx_tile", "avx512_bf16", "avx512", "avx2"), "amx", True),
        (("avx512_bf16", "avx512", "avx2"), "avx512_bf16", True),
        (("avx512", "avx2"), "avx512", False),
        (("avx2",), "avx2", False),
        ((), "other", None),
    ],
)
def test_the_best_arithmetic_of_an_x86_processor_is_found(x86, there, name, bfloat16):
    x86(*there)
    found = arithmetic(CPU)
    assert (found.name, found.bfloat16) == (name, bfloat16)


@pytest.mark.parametrize(
    ("machine", "system", "features", "name"),
    [
        ("arm64", "darwin", (), "apple"),
        ("aarch64", "linux", ("asimd", "bf16"), "arm_bf16"),
        ("aarch64", "linux", ("asimd",), "arm"),
        ("riscv64", "linux", (), "other"),
    ],
)
def test_other_processors(machine, system, features, name, monkeypatch):
    monkeypatch.setattr(processor.platform, "machine", lambda: machine)
    monkeypatch.setattr(processor.sys, "platform", system)
    monkeypatch.setattr(processor, "features", lambda: frozenset(features))
    assert arithmetic(CPU).name == name


@pytest.mark.parametrize("works", [True, False])
def test_a_gpu_is_asked_itself(works, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: works)
    assert arithmetic(torch.device("cuda")).bfloat16 is works
