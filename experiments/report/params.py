"""The "# Params" column of Tables 1 to 4, counted from architectures, beside the printed numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

import vblora
from experiments.report import architectures, published
from experiments.report.names import MODELS, TABLES, row_name
from experiments.report.published import PublishedRow
from experiments.report.rendering import Cell, Table
from vblora import counting

# The paper's Tables 7 to 9 for VB-LoRA, each baseline's own paper; Tied-LoRA's follow from the printed counts
RANKS = {
    "lora": {"roberta": 8, "gpt2": 4, "llama2": 64, "mistral": 64, "gemma": 64},
    "vera": {"roberta_base": 1024, "roberta_large": 256, "gpt2": 1024, "llama2": 1024},
    "tied_lora": {"roberta_base": 16, "roberta_large": 8},
    "lora_xs": {"mistral": 64, "gemma": 64},
    "vblora": {"roberta": 4, "gpt2": 4, "llama2_7b": 4, "llama2_13b": 6, "mistral": 4, "gemma": 4},
}
NUM_VECTORS = {"roberta": 90, "gpt2_medium": 256, "gpt2_large": 350, "": 2048}
COUNTERS: dict[str, Callable[[Sequence[counting.Shape], int], int]] = {
    "lora": counting.lora_parameters,
    "vera": counting.vera_parameters,
    "tied_lora": counting.tied_lora_parameters,
    "lora_xs": counting.lora_xs_parameters,
}


@dataclass(frozen=True)
class Reading:
    """How a printed number that the formula does not give may have come about.

    Attributes:
        why: in words.
        value: the count under this reading; None where no reading is known.
    """

    why: str
    value: int | None


def prefixed(table: dict[str, int], model: str) -> int:
    """The value of the key that the model's name starts with."""
    return next(value for key, value in table.items() if model.startswith(key))


def bank_config(model: str) -> vblora.VBLoRAConfig:
    """VB-LoRA as the paper sets it for a model: b = 256, k = 2."""
    return vblora.VBLoRAConfig(
        rank=prefixed(RANKS["vblora"], model),
        num_vectors=prefixed(NUM_VECTORS, model),
        vector_length=256,
        topk=2,
    )


def count(model: str, method: str, targets: str) -> int:
    """Stored parameters of a row, by the one definition that `vblora.counting` has for its method."""
    if method == "full":
        return counting.model_parameters(architectures.build(model))
    sites = architectures.sites(model, targets)
    if method == "vblora":
        return counting.vblora_stored_parameters(sites, bank_config(model))
    return COUNTERS[method](sites, prefixed(RANKS[method], model))


def follows(value: int, printed: str) -> bool:
    """Whether a count, in millions and rounded to the printed digits, is the printed number."""
    millions = (Decimal(value) / 10**6).quantize(Decimal(printed), ROUND_HALF_UP)
    return millions == Decimal(printed)


def vblora_reading(model: str, targets: str, definition: str) -> int:
    """VB-LoRA's count on other sites or by another definition of what is stored."""
    return counting.vblora_stored_parameters(
        architectures.sites(model, targets), bank_config(model), definition
    )


def reading(row: PublishedRow) -> Reading:
    """Say why a printed number does not follow; only for rows where it does not."""
    if row.method == "vblora" and row.model.startswith("roberta"):
        return Reading("one adapted module a layer instead of two", vblora_reading(row.model, "q", "paper"))
    if row.method == "vblora" and row.model.startswith("llama2"):
        why = "6 per sub-vector: two eight-byte indices and both weights"
        return Reading(why, vblora_reading(row.model, "all", "eight_byte_index"))
    if row.method == "vblora":
        why = "3 per sub-vector: an index counted as a whole parameter"
        why += "" if row.model.startswith("gpt2") else ", as the released script does"
        return Reading(why, vblora_reading(row.model, "all", "whole_index"))
    if row.method == "lora" and row.model.startswith("gpt2"):
        return Reading("no reading known; Hu et al. print the same number for prefix tuning", None)
    return Reading("no reading known; the architecture has this many", None)


def table() -> Table:
    """Every row of Tables 1 to 4 that has a printed count."""
    rows = [_line(row) for name in TABLES for row in published.rows(name) if row.params]
    paper, peft = (vblora_reading("gpt2_medium", "fused", definition) for definition in ("paper", "peft"))
    large = vblora_reading("gpt2_large", "fused", "paper")
    return Table(
        title='"# Params" of Tables 1 to 4: printed, and counted from the architectures',
        header=["Table", "Model", "Row", "Printed (M)", "Counted", "Follows", "Why not; the count then"],
        alignment="lllrrll",
        blocks=[[row for row in rows if row[0].text == TABLES[name]] for name in TABLES],
        notes=[
            "Counted: stored parameters without the classification head. VB-LoRA by the paper's formula "
            "h·b + N·(k·(index bytes)/4 + (k-1)), one-byte indices up to 256 vectors and two bytes above.",
            "PEFT 0.21 has another rule: an index takes two bytes already at 256 vectors. RoBERTa's 90 "
            f"vectors count the same by both; with GPT-2 medium's 256 and c_attn as one, it gives {peft:,}, "
            f"not {paper:,}.",
            "GPT-2's query, key and value are parts of c_attn, and sites of their own. With c_attn as one "
            f"matrix, as PEFT adapts it (row=vblora_fused), VB-LoRA counts {paper:,} (medium) and {large:,} "
            "(large).",
            "Llama 2 13B: the rank 4 and 4,096 vectors of the released script give 1,170,816, or 1,140,256 "
            "with one-byte indices, which also rounds to the printed 1.1.",
            "Models are built without weights; nothing is downloaded.",
        ],
    )


def _line(row: PublishedRow) -> list[Cell]:
    value = count(row.model, row.method, row.targets)
    matches = follows(value, row.params)
    name = row_name(row.method, row.targets)
    texts = [TABLES[row.table], MODELS[row.model], name, row.params, f"{value:,}"]
    return [Cell(text) for text in [*texts, "yes" if matches else "no", "" if matches else _explain(row)]]


def _explain(row: PublishedRow) -> str:
    found = reading(row)
    return found.why if found.value is None else f"{found.why}: {found.value:,}"
