"""Train a classifier with transformers' Trainer, then save, load, merge and predict.

Run:    python examples/trainer.py
Prints: the share of 256 sentences, none of them trained on, that are judged right: before training, after it,
        with the adapter off, loaded from its file, and merged into the weights; then some predictions.

A sentence is like "the soup was never bad"; its label says whether that is praise. The model is small, random
and frozen: what is learned is in the adapter and in the head.
"""

import itertools
import random
import tempfile

import torch
import transformers
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers

import vblora

NOUNS = ["soup", "bread", "film", "song", "book", "lake", "shop", "train", "idea", "room", "game", "play"]
YES, NO = ["really", "very"], ["not", "never"]
GOOD = ["good", "fine", "lovely", "bright", "clever", "warm", "fresh", "kind"]
BAD = ["bad", "dull", "awful", "dark", "silly", "cold", "stale", "rude"]
WORDS = ["<pad>", "<unk>", "the", "was", *NOUNS, *YES, *NO, *GOOD, *BAD]


def base_model():
    """Yours: AutoModelForSequenceClassification.from_pretrained("FacebookAI/roberta-base")."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # a model this small is fastest on one
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    # Frozen random layers are of use if their weights are larger than those that a pretraining starts from.
    spread = {"initializer_range": 0.2, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = transformers.RobertaConfig(vocab_size=len(WORDS), pad_token_id=0, **sizes, **spread)
    return transformers.RobertaForSequenceClassification(config)


def base_tokenizer():
    """Yours: AutoTokenizer.from_pretrained("FacebookAI/roberta-base")."""
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", unk_token="<unk>")


sentences = random.Random(0).sample(list(itertools.product(NOUNS, YES + NO, GOOD + BAD)), 768)
texts = [f"the {noun} was {how} {what}" for noun, how, what in sentences]
labels = [int((how in YES) == (what in GOOD)) for _, how, what in sentences]
tokenizer = base_tokenizer()
data = Dataset.from_dict({**tokenizer(texts), "labels": labels})
test, train = data.select(range(256)), data.select(range(256, len(data)))
out = tempfile.TemporaryDirectory()  # removed at the end; take a path of yours


def trainer(model, optimizer=None):
    """The stock Trainer, which steps the optimizer that it is given by its own schedule."""
    arguments = transformers.TrainingArguments(
        out.name, num_train_epochs=20, per_device_train_batch_size=32, save_strategy="no", disable_tqdm=True
    )
    collator = transformers.DataCollatorWithPadding(tokenizer)
    return transformers.Trainer(model, arguments, collator, train, optimizers=(optimizer, None))


def accuracy(model):
    """The share of the test sentences that are judged right."""
    found = trainer(model).predict(test)
    return f"{(found.predictions.argmax(axis=1) == found.label_ids).mean():.3f}"


model = base_model()
layers = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]
# For RoBERTa-base in the paper: num_vectors=90, vector_length=256, bank_lr=1e-3, logits_lr=1e-2.
config = vblora.VBLoRAConfig(rank=4, num_vectors=30, vector_length=32, topk=2, targets=layers)
adapter = vblora.attach(model, config, also_train=["classifier"])
print("before training:", accuracy(model))
optimizer = torch.optim.AdamW(adapter.param_groups(bank_lr=1e-2, logits_lr=5e-2, head_lr=5e-3))
trainer(model, optimizer).train()
print("after training:", accuracy(model))
with vblora.disabled(model):
    print("adapter off:", accuracy(model))
vblora.save(model, out.name)
loaded = base_model()
vblora.load(loaded, out.name)
print("loaded:", accuracy(loaded))
vblora.merge(loaded)
vblora.detach(loaded)  # a plain RoBERTa is left, for save_pretrained or any server
print("merged:", accuracy(loaded))
for text, logits in zip(texts[:4], trainer(loaded).predict(test).predictions, strict=False):
    print(f"{text}:", ["no praise", "praise"][logits.argmax()])
