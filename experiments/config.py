"""The configuration of a run: one dataclass per Hydra group, and its run_id.

`conf/` holds the values, `experiments/composing.py` reads them into these classes, `experiments/checks.py`
checks them. The rest of the code receives these classes and never sees Hydra.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

VARIANTS = ("paper", "released")  # the variants that choose values; any other variant only names a run


class ConfigError(Exception):
    """A configuration that cannot run; the message lists every problem found.

    Attributes:
        problems: one sentence for each problem.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__("\n  - ".join([f"{count} in the configuration:", *self.problems]))

    def __reduce__(self) -> tuple[type["ConfigError"], tuple[list[str]]]:
        """Copy by the problems, so that the error survives the way back from a worker process."""
        return ConfigError, (self.problems,)


@dataclass
class TaskConfig:
    """What is learned: a family of tasks and one task of it."""

    family: str = MISSING
    name: str = MISSING


@dataclass
class DataConfig:
    """Where examples come from and how they are cut.

    Attributes:
        source: "synthetic" (made here), "hub" (downloaded) or "local" (official files under `root`).
        root: folder of the local files; required for source "local".
        revision: commit of the data set on the hub; None for its newest, whose commit the record then names.
        train_fraction: part of the training set that is used, in (0, 1].
        max_length: tokens after which an input is cut off.
        padding: "longest" of the batch, or always to "max_length" as the released code does.
        group_by_length: batches of inputs of similar length.
        standardise_targets: a regression learns targets of mean 0 and deviation 1 on its training set;
            answers and scores stay in the labels' units.
        train_set: math: "metamath", or "gsm8k" or "math", whose training set is then learned instead.
        num_train: only the first so many training examples; None for all.
        held_out: training examples held back, on which the likelihood is measured while training.
        num_test: only the first so many examples of each test set; None for all.
        text_form: E2E: "plain", or "tokenised" as in the LoRA authors' files, for targets and references.
        source_max_length: tokens of the prompt that are kept, from its start; None for all.
        target_max_length: tokens of the answer that are learned; None for all.
        num_turns: MT-Bench: turns of a conversation that are answered, 1 or 2.
        mmlu_shots: MMLU with so many exemplars, such as [0, 5]; empty for no MMLU.
    """

    source: str = MISSING
    root: str | None = None
    revision: str | None = None
    train_fraction: float = 1.0
    max_length: int = MISSING
    padding: str = "longest"
    group_by_length: bool = True
    standardise_targets: bool = False
    train_set: str | None = None
    num_train: int | None = None
    held_out: int | None = None
    num_test: int | None = None
    text_form: str | None = None
    source_max_length: int | None = None
    target_max_length: int | None = None
    num_turns: int | None = None
    mmlu_shots: list[int] = field(default_factory=list)


@dataclass
class ModelConfig:
    """The backbone.

    Attributes:
        name: its name in run_ids and tables.
        source: "hub", "local" (a folder), "tiny" (shipped) or "scratch" (tiny, not pretrained).
        path: hub name or folder; not used by tiny and scratch.
        revision: commit on the hub; None for the newest, whose commit the record then names.
        dtype: number format of the weights.
        quantization: "nf4" (4 bits, double quantisation) or "int8", by bitsandbytes; None for none.
        add_pad_token: give the tokenizer a token for padding, and the embedding a row, as the released code
            for Llama 2 does; else padding takes the end-of-text token. No loss and no attention sees either.
        kind: "encoder", "gpt2" or "decoder", by the names of its layers; a decoder's are Llama's.
        layers: by the names of targets, the endings of module names that they mean here.
        splits: of fused layers whose parts are sites of their own: {layer ending: names of the parts}.
        pretrain: tiny: pretrain the backbone here, by the recipe of the shipped one, once, in some minutes.
        pretrain_seed: with `pretrain`, another seed than the recipe's.
        sharded: of several processes (`experiments.distributed`) each keeps its part of the weights only, and
            of their optimiser's state (FSDP2), for training that no device has the memory for; the first
            loads the model whole to answer. The result is the same, so it stands in no hash.
    """

    name: str = MISSING
    source: str = MISSING
    path: str | None = None
    revision: str | None = None
    dtype: str = "float32"
    quantization: str | None = None
    add_pad_token: bool | None = None
    kind: str = "encoder"
    layers: dict[str, list[str]] = field(default_factory=dict)
    splits: dict[str, list[str]] = field(default_factory=dict)
    pretrain: bool = False
    pretrain_seed: int | None = None
    sharded: bool = False


@dataclass
class MethodConfig:
    """How the backbone is tuned.

    Attributes:
        name: the method's key in run_ids and tables.
        library: "none" (full fine-tuning, head only), "vblora" or "peft".
        options: arguments of the library's own configuration class, by its names.
    """

    name: str = MISSING
    library: str = MISSING
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class TargetsConfig:
    """Which layers are adapted: endings of module names, also of the parts that `splits` names."""

    name: str = MISSING
    modules: list[str] = field(default_factory=list)
    splits: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class OptimConfig:
    """AdamW, its schedule, and learning rates; a method must be given those it uses, and no other.

    Attributes:
        epochs: passes over the training set.
        batch_size: examples in one optimiser step.
        micro_batch_size: examples in one forward; None for `batch_size`, else a divisor of it.
        warmup_ratio: part of all steps in which the rates rise from 0.
        schedule: "linear" or "cosine": how rates fall to 0 at the last step.
        max_grad_norm: clips the norm of all gradients together; None for no clipping.
        precision: of the matrix products, in training and evaluation: "float32", or "bfloat16" by autocast.
            Weights, gradients and the optimiser's state are float32 in both.
        head_lr, head_weight_decay: the task's head.
        bank_lr, logits_lr: VB-LoRA's vector bank and logits; they have no weight decay.
        adapter_lr, adapter_weight_decay: every other adapter.
        full_lr, full_weight_decay: the backbone in full fine-tuning.
        eval_every_epochs: epochs from one evaluation to the next; the last epoch is always evaluated.
        warmup_steps: in place of `warmup_ratio`, optimiser steps.
        label_smoothing: ε of text: the loss is (1-ε) times the target's and ε times the vocabulary's mean.
        optimizer: "adamw", or "paged_adamw": bitsandbytes' 32-bit AdamW whose state can leave a GPU's memory;
            None for adamw. A CPU has no such memory and takes adamw for both, with the same numbers.
        gradient_checkpointing: keep no activations inside blocks and compute them again in the backward.
    """

    epochs: int = MISSING
    batch_size: int = MISSING
    micro_batch_size: int | None = None
    warmup_ratio: float = MISSING
    schedule: str = "linear"
    max_grad_norm: float | None = None
    precision: str = "float32"
    head_lr: float | None = None
    head_weight_decay: float = 0.0
    bank_lr: float | None = None
    logits_lr: float | None = None
    adapter_lr: float | None = None
    adapter_weight_decay: float = 0.0
    full_lr: float | None = None
    full_weight_decay: float = 0.0
    eval_every_epochs: int = 1
    warmup_steps: int | None = None
    label_smoothing: float | None = None
    optimizer: str | None = None
    gradient_checkpointing: bool | None = None


@dataclass
class GenerationConfig:
    """How a language model answers; not used where answers are classes.

    Attributes:
        engine: "transformers", or "vllm" if it is installed.
        beam_search: "transformers", or "hu2021": the LoRA authors' rules (`experiments.beam_search`).
        num_beams: 1 is greedy.
        length_penalty: of beam search: scores are divided by length to this power.
        no_repeat_ngram_size: no n-gram of so many tokens twice; 0 for no such rule.
        max_new_tokens: of an answer; `max_new_tokens_of` names test sets with another number.
        batch_size: prompts generated together; they are sorted by length first. vLLM gets at least 512.
        merge: add the adapter to the weights first, as published for math.
        epoch: whose weights answer: "last", or "best" by the likelihood of the held-out examples.
    """

    engine: str = "transformers"
    beam_search: str = "transformers"
    num_beams: int = 1
    length_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    max_new_tokens: int = 256
    max_new_tokens_of: dict[str, int] = field(default_factory=dict)
    batch_size: int = 16
    merge: bool = False
    epoch: str = "last"


@dataclass
class ScaleConfig:
    """How large: records of different scales never mix.

    Attributes:
        name: folder of the records.
        num_threads: CPU threads of torch, as they can change the last bits of a result; None: torch's choice.
        seeds: the seeds of a whole grid, as Hydra's sweep syntax writes them.
        lengths: the rows of Table 6, by their names in conf/ablation, written in the same way.
    """

    name: str = MISSING
    num_threads: int | None = None
    seeds: str = "0"
    lengths: str = "b128,b256,b512,b1024"


@dataclass
class TrackerConfig:
    """Where curves can be watched; records never depend on it.

    Attributes:
        name: "none" or "wandb".
        mode: of W&B: "offline" or "online".
        project: of W&B.
        entity: of W&B: user or team; None for its default.
        footprint: VB-LoRA: keep which bank vectors were selected, and when, in a file beside the record.
        adapters: also keep what a run leaves under `paths.adapters` as an artifact of W&B.
    """

    name: str = "none"
    mode: str = "offline"
    project: str = "vblora"
    entity: str | None = None
    footprint: bool = True
    adapters: bool = False


@dataclass
class PathsConfig:
    """Folders, from where the command is called, and how often they are written to; no outcome depends on it.

    Attributes:
        results: records.
        cache: everything that can be made again: checkpoints, backbones, locks.
        adapters: each run leaves what it trained here, in `<scale>/<run_id>/`; None leaves nothing.
        save_seconds: seconds between checkpoints; 0 writes one at every step.
    """

    results: str = "results/runs"
    cache: str = ".cache"
    adapters: str | None = None
    save_seconds: float = 30.0


@dataclass
class Config:
    """A whole run.

    Attributes:
        variant: "paper" or "released" choose values where the two differ; another name tells set values apart
            (`k3`). Without a name, they get 8 digits of their hash, also where a value is the tuned one.
        force: repeat a finished run and replace its record.
        check: check the configuration and stop there.
        tuned: the table of the method and the model, read by `${tuned:...}`; no setting itself.
    """

    task: TaskConfig = field(default_factory=TaskConfig)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    method: MethodConfig = field(default_factory=MethodConfig)
    targets: TargetsConfig = field(default_factory=TargetsConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    generation: GenerationConfig = field(default_factory=GenerationConfig)
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
    seed: int = 0
    variant: str = "paper"
    force: bool = False
    check: bool = False
    tuned: dict[str, Any] = field(default_factory=dict)


def run_id(cfg: Config) -> str:
    """`<family>/<task>/<model>/<method>-<targets>[-<variant>]/seed<n>`; "paper" is not written."""
    variant = "" if cfg.variant == "paper" else f"-{cfg.variant}"
    row = f"{cfg.method.name}-{cfg.targets.name}{variant}"
    return f"{cfg.task.family}/{cfg.task.name}/{cfg.model.name}/{row}/seed{cfg.seed}"
