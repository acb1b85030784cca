"""Serve an adapter as a plain LoRA: `save_lora` writes the checkpoint that LoRA servers load.

Run:    python examples/serve_as_lora.py
Prints: what the base model, the adapter, and the LoRA checkpoint in PEFT write behind the letter "d"; for two
        types of the checkpoint how far its outputs are from the adapter's, and for scale how far the base
        model's are; and its bytes beside those of the adapter's own file.

The model is small and random; its adapter learns the order of the alphabet, with a behind z. PEFT stands for
the server here. vLLM loads the same folder onto the same base model, and others beside it:

    vllm serve meta-llama/Llama-3.2-1B --enable-lora --lora-modules alphabet=path/to/lora

A request with "model": "alphabet" is answered with the adapter. A rank above 16 needs --max-lora-rank. No
head (`also_train`) is taken by vLLM, nor by llama.cpp.
"""

import string
import tempfile
from pathlib import Path

import peft
import torch
import transformers

import vblora

LETTERS = string.ascii_lowercase


def base_model():
    """Yours: AutoModelForCausalLM.from_pretrained("meta-llama/Llama-3.2-1B")."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # faster than two, for a model of this size
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.LlamaConfig(vocab_size=26, initializer_range=0.2, eos_token_id=None, **sizes)
    return transformers.LlamaForCausalLM(config).eval()


def alphabets(first):
    """Ten letters from each of the first ones on, as numbers."""
    return (first[:, None] + torch.arange(10)) % len(LETTERS)


def written(model):
    """What a model writes behind "d"."""
    start = torch.tensor([[LETTERS.index("d")]])
    found = model.generate(input_ids=start, max_new_tokens=9, do_sample=False, pad_token_id=0)
    return "".join(LETTERS[number] for number in found[0])


@torch.no_grad()
def difference(first, second):
    """The largest difference of two models' outputs."""
    rows = alphabets(torch.arange(len(LETTERS)))
    return (first(input_ids=rows).logits - second(input_ids=rows).logits).abs().max().item()


model = base_model()
layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
adapter = vblora.attach(model, vblora.VBLoRAConfig(rank=4, num_vectors=30, vector_length=32, targets=layers))
# Without arguments: 1e-3 and 1e-2 as in the paper. A small random model needs more.
optimizer = torch.optim.AdamW(adapter.param_groups(bank_lr=1e-2, logits_lr=5e-2))
model.train()
for _ in range(200):
    rows = alphabets(torch.randint(len(LETTERS), (16,)))
    model(rows, labels=rows).loss.backward()
    optimizer.step()
    optimizer.zero_grad()
model.eval()
print("base:", written(base_model()))
print("adapter:", written(model))

with tempfile.TemporaryDirectory() as out:
    own_bytes = vblora.save(model, out, "topk").stat().st_size
    for dtype in (torch.float32, torch.bfloat16):  # bfloat16 as most servers compute in
        folder = vblora.save_lora(model, Path(out) / "lora", dtype=dtype)
        lora = peft.PeftModel.from_pretrained(base_model(), folder)
        num_bytes = (folder / "adapter_model.safetensors").stat().st_size
        print(f"LoRA, {dtype}:", written(lora))
        print(f"  off by {difference(model, lora):.1e} of {difference(model, base_model()):.1f}")
        print(f"  {num_bytes} bytes, the adapter's own file {own_bytes}")
