"""The command line: measure, save the result under the machine's name, print its table.

    python -m benchmarks batching --data DATA --vocabulary VOCABULARY
    python -m benchmarks answering --data DATA --model MODEL
    python -m benchmarks grading --data DATA
    python -m benchmarks readme

DATA holds `e2e/`, `alpaca/`, `mt_bench/`, `gsm8k/` and `math/` with their official files, VOCABULARY GPT-2's
vocab.json and merges.txt, MODEL a GPT-2 as `experiments.small_pretraining e2e` makes it. `readme` writes the
tables of this machine's results into README.md.
"""

import argparse
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks import answering, batching, grading, results


def main(arguments: list[str] | None = None) -> None:
    """Measure one thing, or write README's tables."""
    options = _parser().parse_args(arguments)
    if options.name == "readme":
        return _fill(options.results / options.machine, results.PROJECT / "README.md")
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    measure = MEASURES[options.name]
    settings = {"rounds": options.rounds, **SETTINGS[options.name](options)}
    path = results.write(options.name, settings, measure(options), options.results)
    print(results.table(json.loads(path.read_text(encoding="utf-8"))), f"\n{path}")


def _fill(folder: Path, readme: Path) -> None:
    for name in MEASURES:
        path = folder / f"{name}.json"
        table = results.table(json.loads(path.read_text(encoding="utf-8")))
        readme.write_text(results.filled(readme.read_text(encoding="utf-8"), name, table), encoding="utf-8")


MEASURES: Mapping[str, Callable[[argparse.Namespace], Mapping[str, Any]]] = {
    "batching": lambda given: batching.measure(given.data, given.vocabulary, given.rounds, given.batches),
    "answering": lambda given: answering.measure(given.model, given.data, given.rounds, given.prompts),
    "grading": lambda given: grading.measure(given.data, given.rounds, given.workers, given.answers),
}
SETTINGS: Mapping[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "batching": lambda given: {"num_batches": given.batches},
    "answering": lambda given: {"num_prompts": given.prompts},
    "grading": lambda given: {"workers": given.workers, "num_answers": given.answers},
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed side by side.")
    parser.add_argument("--results", type=Path, default=results.RESULTS, help="folder of all results")
    commands = parser.add_subparsers(dest="name", required=True)
    about = {name: commands.add_parser(name) for name in MEASURES}
    for command in about.values():
        command.add_argument("--data", type=Path, required=True, help="folder of the data sets' folders")
        command.add_argument("--rounds", type=int, default=5, help="times that each side is counted")
        command.add_argument("--threads", type=int, default=1, help="of torch")
    about["batching"].add_argument("--vocabulary", type=Path, required=True, help="GPT-2's two files")
    about["batching"].add_argument("--batches", type=int, default=50, help="of one sample of texts")
    about["answering"].add_argument("--model", type=Path, required=True, help="folder of a small GPT-2")
    about["answering"].add_argument("--prompts", type=int, default=64, help="that are answered")
    about["grading"].add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    about["grading"].add_argument("--answers", type=int, help="about so many; all without it")
    readme = commands.add_parser("readme", help="write README's tables from one machine's results")
    readme.add_argument("machine", help="folder of its results")
    return parser


if __name__ == "__main__":
    main()
