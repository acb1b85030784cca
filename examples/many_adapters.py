"""Many adapters on one bank: it is trained once, each further adapter learns and stores its selections alone.

Run:    python examples/many_adapters.py
Prints: for each task the share of numbers that are right, before and after its adapter learned; the bytes of
        each adapter in the store; then what each writes behind a 3, alone and all in one batch, a row each.

Each task is to count by another step, with 0 behind 19. The model is small and random. docs/storing.md says
what a shared bank costs in score on real tasks.
"""

import tempfile
from pathlib import Path

import torch
import transformers

import vblora

TASKS = {"ones": 1, "twos": 2, "down": -1, "sevens": 7}
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SIZES = {"rank": 4, "num_vectors": 60, "vector_length": 16, "targets": LAYERS}


def base_model():
    """Yours: AutoModelForCausalLM.from_pretrained("meta-llama/Llama-3.2-1B")."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # two would only slow a model of this size
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.LlamaConfig(vocab_size=20, initializer_range=0.2, eos_token_id=None, **shape)
    return transformers.LlamaForCausalLM(config)


def counted(first, step):
    """Rows of eight numbers that begin with these first ones."""
    return (first[:, None] + step * torch.arange(8)) % 20


@torch.no_grad()
def accuracy(model, step):
    """The share of numbers, behind every first one, that the model has right."""
    rows = counted(torch.arange(20), step)
    return (model.eval()(rows).logits[:, :-1].argmax(dim=2) == rows[:, 1:]).float().mean().item()


def learn(model, config, task):
    """Attach an adapter by the task's name and train it: 200 steps."""
    adapter = vblora.attach(model, config, task)
    before = accuracy(model, TASKS[task])
    optimizer = torch.optim.AdamW(adapter.param_groups(bank_lr=1e-2, logits_lr=1e-1))  # ten times the paper's
    model.train()
    for _ in range(200):
        rows = counted(torch.randint(20, (16,)), TASKS[task])
        model(rows, labels=rows).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    print(f"{task}: {before:.3f} before, {accuracy(model, TASKS[task]):.3f} after")


with tempfile.TemporaryDirectory() as out:  # a folder of yours
    model = base_model()
    learn(model, vblora.VBLoRAConfig(**SIZES), "ones")
    vblora.save(model, Path(out) / "ones")
    for task in ("twos", "down", "sevens"):
        learn(model, vblora.VBLoRAConfig(**SIZES, bank=Path(out) / "ones", train_bank=False), task)
    with vblora.Store(Path(out) / "counting.vblora", "a") as store:
        for task in TASKS:
            store.save(model, task, precision="compact", adapter=task)

    model = base_model().eval()  # another process, another day
    with vblora.Store(Path(out) / "counting.vblora") as store:
        for entry in store.entries():
            bank = "the shared bank beside it" if entry.bank else "its bank in it"
            print(f"{entry.name}: {entry.num_bytes} bytes, {bank}")
            store.load(model, entry.name)


def written(model, batch_size=1):
    """What the model writes behind a 3, so many times."""
    starts = torch.full((batch_size, 1), 3)
    return model.generate(input_ids=starts, max_new_tokens=7, do_sample=False, pad_token_id=0)


alone = []
for task in TASKS:
    vblora.activate(model, task)
    alone += written(model).tolist()
    print(f"{task}:", alone[-1])
with vblora.rows(model, list(TASKS)):
    together = written(model, len(TASKS)).tolist()
print("all in one batch:", "the same" if together == alone else together)
