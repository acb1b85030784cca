"""What storing an adapter in fewer bits costs: bytes, score, and predictions that change.

    python -m experiments.fewer_bits scale=minilm row=vblora_all task=cola,mrpc seed=0,1 paths.adapters=DIR …
    python -m experiments.fewer_bits page

The words are those of `experiments.run`; values with commas make a grid. Every run must be finished and have
left its adapter under `paths.adapters`. The adapter is stored in each precision, loaded again and asked for
its answers to the validation set, with products as in training and in float32. Beside it: the smallest file
of PEFT's VB-LoRA with the same numbers, and that of PEFT's LoRA of rank 8 on the same layers. It is all
written to `.cache/precision/<scale>.json`; the project's own are kept in `results/precision/`, and `page`
makes the table of docs/storing.md from these.
"""

import itertools
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import peft
import transformers
from hydra.core.override_parser.overrides_parser import OverridesParser
from torch import nn

import vblora
from experiments import claims, fewer_bits_table, methods, models, tasks, training
from experiments.circumstances import here, now
from experiments.composing import load
from experiments.config import Config, run_id
from experiments.data.examples import Data
from experiments.fewer_bits_table import LORA_RANK
from experiments.models import Backbone
from experiments.pipeline import machine
from experiments.tasks import Task
from experiments.tasks.base import Answer
from vblora.adapter import Adapter
from vblora.adapter_file import Blob
from vblora.banks import read_bank
from vblora.encoding import PRECISIONS
from vblora.peft_files import WEIGHTS
from vblora.places import Place
from vblora.storage import file_of

OUT = Path(".cache/precision")
Asked = tuple[dict[str, float], list[Answer]]
"""Scores and answers."""


def grid(words: Sequence[str]) -> Iterator[Config]:
    """The runs that words ask for.

    Raises:
        ConfigError: one of them is impossible.
    """
    parsed = OverridesParser.create().parse_overrides(list(words))
    axes = [
        [f"{one.get_key_element()}={value}" for value in one.sweep_string_iterator()]
        if one.is_sweep_override()
        else [one.input_line or ""]
        for one in parsed
    ]
    return (load(list(chosen)) for chosen in itertools.product(*axes))


def measure(cfg: Config) -> dict[str, Any]:
    """The adapter of one run in every precision.

    Raises:
        ClaimError: the run is not finished, or has left no adapter.
        AdapterFileError: its adapter is damaged.
    """
    record, folder = claims.finished(cfg), claims.adapter_dir(cfg)
    if record is None or record.outcome is None or folder is None:
        raise claims.ClaimError(f"{run_id(cfg)}: not finished yet, or paths.adapters is not given")
    with machine(cfg):
        question = _question(cfg)
        adapter = vblora.load(question.backbone.model, folder, bank=question.bank)
        trained = question.asked()
        sizes = _sizes(cfg, question.task, [site.name for site in adapter.sites], _head(adapter))
        sizes["peft_vblora"] = _smallest_of_peft(question.backbone.model)
        files = {precision: file_of(adapter, "topk", precision) for precision in PRECISIONS}
        forms = {precision: _form(question, file, trained) for precision, file in files.items()}
    metric = question.task.metric
    about = {"run_id": record.run_id, "hash": record.hash, "metric": metric, "num_bytes": sizes}
    scores = {kind: found[0][metric] for kind, found in trained.items()}
    return about | {"recorded": record.outcome["scores"][metric], "trained": scores, "forms": forms}


@dataclass(frozen=True)
class Question:
    """The validation set of a run, and the backbone that is asked."""

    cfg: Config
    task: Task
    data: Data
    backbone: Backbone

    @property
    def bank(self) -> str | None:
        """The adapter whose bank is shared."""
        return cast("str | None", self.cfg.method.options.get("bank"))

    def asked(self) -> dict[str, Asked]:
        """Scores and answers of what is attached now, with products as in training, and in float32."""
        kinds = dict.fromkeys((self.cfg.optim.precision, "float32"))
        return {
            kind: training.evaluate(
                self.backbone,
                self.task,
                self.data.splits,
                replace(self.cfg.optim, precision=kind),
                self.cfg.data,
            )
            for kind in kinds
        }


def _question(cfg: Config) -> Question:
    task = tasks.build(cfg)
    return Question(cfg, task, task.data(), models.load(cfg.model, task, Path(cfg.paths.cache)))


def _form(question: Question, file: bytes, trained: Mapping[str, Asked]) -> dict[str, Any]:
    """What an adapter's file is and answers; `trained` is what it answered before it was stored."""
    model, task = question.backbone.model, question.task
    vblora.detach(model)
    Place(Blob("stored", file), read_bank(question.bank) if question.bank else None).attach(model)
    answered = {kind: _compared(task, now, trained[kind]) for kind, now in question.asked().items()}
    return {"bytes": len(file), "answers": answered}


def _compared(task: Task, now: Asked, before: Asked) -> dict[str, Any]:
    pairs = list(zip(now[1], before[1], strict=True))
    changed = [new["prediction"] != old["prediction"] for new, old in pairs]
    moved = [abs(a - b) for new, old in pairs for a, b in zip(new["scores"], old["scores"], strict=True)]
    return {
        "score": now[0][task.metric],
        "num_predictions": len(pairs),
        "num_changed": sum(changed) if task.num_labels > 1 else None,  # a number always changes a little
        "largest_change": max(moved),
    }


def _head(adapter: Adapter) -> list[str]:
    return [name for name, _ in adapter.head]


def _sizes(cfg: Config, task: Task, sites: list[str], head: list[str]) -> dict[str, int]:
    """Bytes that no value changes: of such an adapter without head; of PEFT's LoRA with it and without."""
    method = methods.Own(cfg.method, cfg.targets)
    method.attach(models.load(cfg.model, task, Path(cfg.paths.cache)).model, [])
    found = {precision: len(file_of(method.adapter, "topk", precision)) for precision in PRECISIONS}
    for name, modules in (("lora", []), ("lora_with_head", head)):
        model: Any = models.load(cfg.model, task, Path(cfg.paths.cache)).model
        config = peft.LoraConfig(r=LORA_RANK, target_modules=sites, modules_to_save=modules or None)
        with tempfile.TemporaryDirectory() as folder:
            cast(Any, peft.get_peft_model(model, config)).save_pretrained(folder)
            found[name] = (Path(folder) / WEIGHTS).stat().st_size
    return found


def _smallest_of_peft(model: nn.Module) -> int:
    """Bytes of PEFT's VB-LoRA with the numbers of the attached adapter and its head."""
    with tempfile.TemporaryDirectory() as folder:
        vblora.save_peft(model, folder, "topk")
        return (Path(folder) / WEIGHTS).stat().st_size


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each run of the grid and write what was found, or put the table into its page."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["page"]:
        fewer_bits_table.fill_page()
        return
    transformers.utils.logging.disable_progress_bar()
    configs = list(grid(words))
    if not words or len({cfg.scale.name for cfg in configs}) != 1:
        raise SystemExit("say which runs of one scale, in the words of experiments.run; see its --help")
    found = []
    for cfg in configs:
        found.append(measure(cfg))
        print(fewer_bits_table.line(found[-1]), flush=True)
    path = OUT / f"{configs[0].scale.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"runs": found, "measured_at": now(), **here()}, indent=1)
    path.with_suffix(".partial").write_text(f"{text}\n", encoding="utf-8")
    os.replace(path.with_suffix(".partial"), path)
    print(f"{fewer_bits_table.table(json.loads(text))}\n{path}")


if __name__ == "__main__":
    main()
