"""What keys of run_ids are called in tables."""

from experiments.families import FAMILIES

METHODS = {
    "full": "Full fine-tuning",
    "head": "Head only",
    "none": "Not tuned",
    "lora": "LoRA",
    "vera": "VeRA",
    "tied_lora": "Tied-LoRA",
    "lora_xs": "LoRA-XS",
    "unilora": "Uni-LoRA",
    "vblora": "VB-LoRA",
}
MODELS = {
    "roberta_base": "RoBERTa-base",
    "roberta_large": "RoBERTa-large",
    "gpt2_medium": "GPT-2 medium",
    "gpt2_large": "GPT-2 large",
    "llama2_7b": "Llama 2 7B",
    "llama2_13b": "Llama 2 13B",
    "mistral_7b": "Mistral 7B",
    "gemma_7b": "Gemma 7B",
    "minilm": "all-MiniLM-L6-v2",
    "tiny_roberta": "tiny RoBERTa",
    "tiny_scratch": "tiny RoBERTa, not pretrained",
    "tiny_gpt2": "tiny GPT-2",
    "tiny_gpt2_scratch": "tiny GPT-2, not pretrained",
    "tiny_llama": "tiny Llama",
    "tiny_llama_scratch": "tiny Llama, not pretrained",
    "gpt2_small": "small GPT-2, pretrained here",
    "llama_small": "small Llama, pretrained here",
}
TASKS = {
    "sst2": "SST-2",
    "mrpc": "MRPC",
    "cola": "CoLA",
    "qnli": "QNLI",
    "rte": "RTE",
    "stsb": "STS-B",
    "e2e": "E2E",
    "alpaca": "Alpaca",
    "metamath": "MetaMathQA",
}
TABLES = {"table1": "1", "table2": "2", "table3": "3", "table4": "4"}
UNSPOKEN_TARGETS = ("full", "none")


def table_name(family: str) -> str:
    """The table of a family: Table 1 (GLUE)."""
    return f"Table {TABLES[FAMILIES[family].table]} ({FAMILIES[family].title})"


def row_name(method: str, targets: str, variant: str = "paper") -> str:
    """A row as a table calls it: method, targets where there is a choice, a variant not the paper's."""
    parts = [METHODS.get(method, method)]
    parts += [targets] if targets not in UNSPOKEN_TARGETS else []
    parts += [f"({variant})"] if variant != "paper" else []
    return " ".join(parts)
