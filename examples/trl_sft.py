"""Fine-tune a language model on prompts and completions with TRL's SFTTrainer.

Run:    python examples/trl_sft.py
Prints: the share of 200 prompts, none of them trained on, that the model completes without a mistake: before
        training, after it, and loaded from a file of so many bytes; then some completions.

A prompt is like "translate : dog bread house", its completion "chien pain maison". The model is small, random
and frozen: all that it learns is in the adapter.
"""

import itertools
import random
import tempfile

import torch
import transformers
import trl
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers

import vblora

FRENCH = {"dog": "chien", "cat": "chat", "bird": "oiseau", "house": "maison", "bread": "pain", "water": "eau"}
FRENCH |= {"sun": "soleil", "tree": "arbre", "king": "roi", "boat": "bateau", "book": "livre", "hand": "main"}
WORDS = ["<end>", "<pad>", "translate", ":", *FRENCH, *FRENCH.values()]


def base_model():
    """Yours: AutoModelForCausalLM.from_pretrained("meta-llama/Llama-3.2-1B")."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # for a small model only
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    special = {"bos_token_id": None, "eos_token_id": 0, "pad_token_id": 1}
    config = transformers.LlamaConfig(vocab_size=len(WORDS), initializer_range=0.2, **sizes, **special)
    return transformers.LlamaForCausalLM(config)


def base_tokenizer():
    """Yours: AutoTokenizer.from_pretrained("meta-llama/Llama-3.2-1B")."""
    words = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"eos_token": "<end>", "pad_token": "<pad>", "padding_side": "left"}
    inputs = ["input_ids", "attention_mask"]
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, model_input_names=inputs, **special)


triples = random.Random(0).sample(list(itertools.product(FRENCH, repeat=3)), 1200)
data = [
    {"prompt": f"translate : {' '.join(words)}", "completion": " " + " ".join(FRENCH[word] for word in words)}
    for words in triples
]
test, train = data[:200], Dataset.from_list(data[200:])
tokenizer = base_tokenizer()
prompts = tokenizer([row["prompt"] for row in test], return_tensors="pt", padding=True)


def completions(model):
    """What the model writes behind each prompt of the test, and the share that is right word for word."""
    found = model.eval().generate(**prompts.to(model.device), max_new_tokens=4, do_sample=False)
    written = found[:, prompts["input_ids"].shape[1] :]
    texts = [f" {text}" for text in tokenizer.batch_decode(written, skip_special_tokens=True)]
    return texts, sum(text == row["completion"] for text, row in zip(texts, test, strict=True)) / len(test)


model = base_model()
layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
config = vblora.VBLoRAConfig(rank=4, num_vectors=30, vector_length=32, topk=2, targets=layers)
adapter = vblora.attach(model, config)
print("before training:", completions(model)[1])
# The paper's rates, 1e-3 and 1e-2, are the defaults; so small a random model needs larger ones.
optimizer = torch.optim.AdamW(adapter.param_groups(bank_lr=2e-2, logits_lr=1e-1))
with tempfile.TemporaryDirectory() as out:  # a folder of yours
    settings = {"num_train_epochs": 10, "per_device_train_batch_size": 32, "logging_steps": 100}
    bf16 = torch.cuda.is_available()  # SFTConfig's own default is True
    arguments = trl.SFTConfig(out, bf16=bf16, save_strategy="no", disable_tqdm=True, **settings)
    work = {"train_dataset": train, "processing_class": tokenizer, "optimizers": (optimizer, None)}
    trl.SFTTrainer(model, arguments, **work).train()
    print("after training:", completions(model)[1])
    # A "topk" file is the smallest; an adapter loaded from it is for use, not for more training.
    path = vblora.save(model, out, "topk", precision="compact")
    loaded = base_model()
    vblora.load(loaded, out)
    print("loaded:", completions(loaded)[1], "from", path.stat().st_size, "bytes")
for row, text in zip(test[:3], completions(loaded)[0], strict=False):
    print(f"{row['prompt']} ->{text}")
