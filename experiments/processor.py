"""What the CPU can multiply in, and the one line that says so before a run that it would slow down.

bfloat16 is fast where the processor has instructions for it and slow elsewhere, the more so the older its
instructions are. ATEN_CPU_CAPABILITY holds back PyTorch's own loops, not these products, which are oneDNN's:
ONEDNN_MAX_CPU_ISA does.
"""

import os

import torch

from experiments.config import Config

BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")  # x86's and ARM's, as torch.cpu names them
WITHOUT = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI"}
"""Values of ONEDNN_MAX_CPU_ISA that leave the bfloat16 instructions of x86 unused."""


def bfloat16_instructions() -> list[str] | None:
    """The processor's instructions for bfloat16, none if it has none; None where nobody knows."""
    try:
        known = torch.cpu.get_capabilities()
    except (AttributeError, RuntimeError):  # another torch, or a machine that it cannot ask
        return None
    if not any(name in known for name in BFLOAT16):
        return None
    return [name for name in BFLOAT16 if known.get(name)]


def slow_bfloat16(cfg: Config) -> str | None:
    """The line that names what makes a run slow on this machine; None where nothing does, or nobody knows."""
    settings = _in_bfloat16(cfg)
    if not settings or torch.accelerator.is_available() or (why := why_slow()) is None:
        return None
    return f"{why}; {' '.join(settings)} computes in float32, as a row of its own"


def why_slow() -> str | None:
    """What makes bfloat16 slow on this processor, in words; None where nothing does, or nobody knows."""
    if (limit := _limit()) in WITHOUT:
        why = f"ONEDNN_MAX_CPU_ISA={limit} keeps this processor from its bfloat16 instructions"
    elif bfloat16_instructions() == []:
        why = "this processor has no bfloat16 instructions"
    else:
        return None
    return f"{why}: products in bfloat16 are far slower than in float32"


def _limit() -> str:
    return (os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or "").upper()


def _in_bfloat16(cfg: Config) -> list[str]:
    """The words that would take a run's products to float32; none where they are in float32."""
    words = ["optim.precision=float32"] if cfg.optim.precision == "bfloat16" else []
    words += ["model.dtype=float32"] if cfg.model.dtype == "bfloat16" else []
    return words + (["model.quantization=null"] if cfg.model.quantization == "nf4" else [])
