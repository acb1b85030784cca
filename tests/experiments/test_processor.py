"""Tests of experiments/processor.py with processors that this machine need not have."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from small_world import make, overrides

from experiments import circumstances, processor, progress, records, run
from experiments.composing import load

OLD: Mapping[str, object] = {"architecture": "x86_64", "avx2": True, "avx512_bf16": False, "amx_bf16": False}
NEW = {**OLD, "avx512_bf16": True}
ARM: Mapping[str, object] = {"architecture": "arm64", "neon": True, "bf16": False, "sve_bf16": False}
UNKNOWN: Mapping[str, object] = {"architecture": "ppc64le"}


@pytest.fixture(autouse=True)
def _cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(progress.display, "notices", [])
    monkeypatch.setattr(progress.display, "outcomes", [])


def pretend(monkeypatch: pytest.MonkeyPatch, capabilities: Mapping[str, object]) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        (OLD, []),
        (NEW, ["avx512_bf16"]),
        ({**NEW, "amx_bf16": True}, ["avx512_bf16", "amx_bf16"]),
        (ARM, []),
        ({**ARM, "bf16": True}, ["bf16"]),
        (UNKNOWN, None),
    ],
)
def test_instructions_are_named_and_told_from_what_nobody_knows(
    capabilities: Mapping[str, object], expected: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, capabilities)
    assert processor.bfloat16_instructions() == expected
    assert (processor.why_slow() is not None) == (expected == [])


def test_a_machine_that_cannot_be_asked_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RuntimeError("failed to initialize cpuinfo")

    monkeypatch.setattr(torch.cpu, "get_capabilities", refuse)
    assert processor.bfloat16_instructions() is None and processor.why_slow() is None


@pytest.mark.parametrize(
    ("limit", "slow"), [("AVX2", True), ("avx512_core", True), ("AVX512_CORE_BF16", False), ("", False)]
)
def test_a_limit_on_onednn_counts(limit: str, slow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, NEW)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert (processor.why_slow() is not None) == slow


def test_the_record_names_the_processors_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {**NEW, "amx_bf16": True})
    circumstances._constant.cache_clear()
    try:
        found = circumstances.here()
    finally:
        circumstances._constant.cache_clear()
    assert found["cpu_bfloat16"] == ["avx512_bf16", "amx_bf16"]
    assert found["cpu_capability"] == torch.backends.cpu.get_cpu_capability()


LLAMA = ["scale=instruct/paper", "data.root=/tmp", "row=vblora_all"]


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["scale=minilm"], "optim.precision=float32 computes in float32"),
        (
            ["scale=e2e/small", "model.path=/tmp", "data.root=/tmp", "row=vblora_all"],
            "optim.precision=float32",
        ),
        (["scale=math/paper", "row=vblora_all"], "optim.precision=float32"),
        (LLAMA, "model.dtype=float32 model.quantization=null"),
        (["scale=minilm", "optim.precision=float32"], None),
        ([], None),
    ],
)
def test_every_setting_in_bfloat16_is_named_with_its_float32(
    words: list[str], remedy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, OLD)
    line = processor.slow_bfloat16(load(words))
    assert line is None if remedy is None else line is not None and remedy in line and "\n" not in line
    pretend(monkeypatch, NEW)
    assert processor.slow_bfloat16(load(words)) is None
    pretend(monkeypatch, OLD)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert processor.slow_bfloat16(load(words)) is None


# Fails if each run of a sweep prints it, or if it is counted as the end of one.
def test_a_sweep_says_it_once_and_runs_in_bfloat16_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch, OLD)
    monkeypatch.chdir(tmp_path)
    sweep = overrides(make(tmp_path / "world"), tmp_path, "head", "none", "seed=0,1")
    monkeypatch.setattr(sys, "argv", ["run.py", "-m", *sweep])
    with pytest.raises(SystemExit) as ended:
        run.main()
    out = capsys.readouterr().out
    assert ended.value.code == 0, out
    assert out.count("this processor has no bfloat16 instructions") == 1 and "2 runs: 2 success" in out
    assert out.index("no bfloat16") < out.index("success")
    found = records.find([tmp_path / "runs"], "minilm").records
    assert [record.config["optim"]["precision"] for record in found] == ["bfloat16"] * 2
