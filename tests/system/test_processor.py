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


@pytest.mark.parametrize(
    ("there", "maker", "mkl", "onednn", "want"),
    [
        (("avx512_bf16", "avx512", "avx2"), "AuthenticAMD", True, True, True),
        (("avx512", "avx2"), "AuthenticAMD", True, True, True),
        (("avx2",), "AuthenticAMD", True, True, False),
        (("amx_tile", "avx512_bf16", "avx512", "avx2"), "GenuineIntel", True, True, False),
        (("avx512_bf16", "avx512", "avx2"), "GenuineIntel", True, True, False),
        (("avx512", "avx2"), "", True, True, False),
        (("avx512", "avx2"), "AuthenticAMD", False, True, False),
        (("avx512", "avx2"), "AuthenticAMD", True, False, False),
    ],
)
def test_where_float32_products_run_at_half_the_rate(x86, monkeypatch, there, maker, mkl, onednn, want):
    x86(*there)
    monkeypatch.setattr(processor, "maker", lambda: maker)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: mkl)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: onednn)
    assert processor.halves_float32_products() is want


@pytest.mark.parametrize(
    ("text", "other", "want"),
    [
        ("processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 26\n", "", "AuthenticAMD"),
        ("processor\t: 0\nBogoMIPS\t: 50.00\n", "aarch64", ""),
        (None, "AMD64 Family 25 Model 97 Stepping 2, AuthenticAMD", "AuthenticAMD"),
        (None, "Intel64 Family 6 Model 143 Stepping 8, GenuineIntel", "GenuineIntel"),
        (None, "arm", "arm"),
        (None, "", ""),
    ],
)
def test_who_made_a_processor(monkeypatch, tmp_path, text, other, want):
    file = tmp_path / "cpuinfo"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(processor, "Path", lambda _: file)
    monkeypatch.setattr(processor.platform, "processor", lambda: other)
    processor.maker.cache_clear()
    assert processor.maker() == want
    processor.maker.cache_clear()
