"""Compare a compiled model with the plain one. Run by test_compile.py without run-time type checks.

Usage: python compile_check.py CASE BACKEND; CASE: a key of CASES.
"""

import sys

import torch
from tiny_models import GPT2_ALL, ROBERTA_ALL, gpt2, roberta, shake, tokens

import vblora


def step(model, adapter):
    adapter.zero_grad()
    logits = model(tokens()).logits
    logits.exp().sum().backward()
    return [logits.detach(), *(p.grad.clone() for p in adapter.parameters())]


BANK = {"rank": 2, "num_vectors": 6, "vector_length": 16}
CASES = {
    "topk": (roberta, vblora.VBLoRAConfig(**BANK, targets=ROBERTA_ALL)),
    "all": (roberta, vblora.VBLoRAConfig(**BANK, targets=ROBERTA_ALL, selection="all")),
    "gpt2": (gpt2, vblora.VBLoRAConfig(**BANK, targets=GPT2_ALL)),
    "tied_lora": (roberta, vblora.TiedLoRAConfig(rank=2, targets=ROBERTA_ALL)),
    "lora_xs": (roberta, vblora.LoRAXSConfig(rank=2, targets=ROBERTA_ALL)),
}


def main(case: str, backend: str) -> None:
    build, config = CASES[case]
    model = build().train()
    for module in model.modules():  # GPT-2's dropout would draw other numbers when compiled
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    adapter = vblora.attach(model, config)
    shake(adapter)
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    for _ in range(2):
        (logits, *gradients), (plain, *expected) = step(compiled, adapter), step(model, adapter)
        torch.testing.assert_close(logits, plain, atol=1e-5, rtol=1e-4)  # small sums of numbers of about one
        for ours, theirs in zip(gradients, expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=float(2e-5 * theirs.abs().max()), rtol=1e-4)
        shake(adapter, 0.1)  # the compiled model must not have frozen the parameters' values
    model.eval()
    with torch.no_grad():
        for _ in range(2):
            torch.testing.assert_close(
                compiled(tokens()).logits, model(tokens()).logits, atol=1e-5, rtol=1e-4
            )
            shake(adapter, 0.1)
    print("equal")


if __name__ == "__main__":
    main(*sys.argv[1:])
