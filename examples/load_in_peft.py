"""VB-LoRA to PEFT and back: `save_peft` writes what PeftModel loads, `load_peft` reads what PEFT trained.

Run:    python examples/load_in_peft.py
Prints: for each way the accuracy on rows not trained on, where the adapter was trained and where it was
        loaded; the largest difference of the two models' outputs, and that from the base model's, for scale.

A row is eight numbers below 16; its label says whether the fourth is 8 or more. Small random model.
"""

import tempfile

import peft
import torch
import transformers

import vblora

LAYERS = ["query", "value", "attention.output.dense", "intermediate.dense", "output.dense"]
generator = torch.Generator().manual_seed(0)
numbers = torch.randint(16, (2000, 8), generator=generator)
labels = (numbers[:, 3] >= 8).long()


def base_model():
    """Yours: AutoModelForSequenceClassification.from_pretrained("google-bert/bert-base-uncased")."""
    torch.manual_seed(0)  # the head starts at random in a pretrained model too; it is saved with the adapter
    torch.set_num_threads(1)
    small = {"vocab_size": 16, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.BertConfig(
        intermediate_size=128, initializer_range=0.2, hidden_dropout_prob=0.0, **small
    )
    return transformers.BertForSequenceClassification(config)


def fit(model, optimizer):
    """200 steps on the first 1,500 rows."""
    model.train()
    for _ in range(200):
        rows = torch.randint(1500, (32,), generator=generator)
        model(numbers[rows], labels=labels[rows]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()


@torch.no_grad()
def outputs(model):
    """Logits for the last 500 rows."""
    return model(numbers[1500:]).logits


def compare(way, trained, loaded):
    """Print how far the loaded model is the trained one."""
    found = [outputs(model) for model in (trained, loaded, base_model().eval())]
    first, second, _ = ((logits.argmax(dim=1) == labels[1500:]).float().mean() for logits in found)
    difference, change = ((found[0] - other).abs().max() for other in found[1:])
    print(f"{way}: accuracy {first:.3f} and {second:.3f}, outputs differ by {difference:.1e} of {change:.1f}")


# From here to PEFT, which needs whole layers whose sizes vector_length divides.
ours = base_model()
config = vblora.VBLoRAConfig(rank=4, num_vectors=30, vector_length=32, topk=2, targets=LAYERS)
adapter = vblora.attach(ours, config, also_train=["classifier"])
# A pretrained model takes bank_lr=1e-3, logits_lr=1e-2, the defaults.
fit(ours, torch.optim.AdamW(adapter.param_groups(bank_lr=1e-2, logits_lr=5e-2, head_lr=5e-3)))
for kind in ("trained", "topk"):  # to train on with PEFT, or for inference alone
    with tempfile.TemporaryDirectory() as folder:
        vblora.save_peft(ours, folder, kind)
        theirs = peft.PeftModel.from_pretrained(base_model(), folder).eval()
    compare(f"to PEFT, {kind}", ours, theirs)

# From PEFT to here.
config = peft.VBLoRAConfig(
    r=4, num_vectors=30, vector_length=32, topk=2, target_modules=LAYERS, modules_to_save=["classifier"]
)
theirs = peft.get_peft_model(base_model(), config)
fit(theirs, torch.optim.AdamW((p for p in theirs.parameters() if p.requires_grad), lr=1e-2))
ours = base_model().eval()
with tempfile.TemporaryDirectory() as folder:
    theirs.save_pretrained(folder)
    vblora.load_peft(ours, folder)  # goes on as ours: vblora.save writes it smaller, vblora.merge merges it
compare("from PEFT", theirs, ours)
