"""The command line: measure, save the result under the machine's name, print its table.

    python -m benchmarks                      # all that needs no data and takes minutes, one after another
    python -m benchmarks features             # what works, ours and PEFT's
    python -m benchmarks operators
    python -m benchmarks composition
    python -m benchmarks memory --preset small  # full: for a GPU; steps likewise
    python -m benchmarks steps
    python -m benchmarks handling
    python -m benchmarks watching
    python -m benchmarks sizes
    python -m benchmarks stores
    python -m benchmarks soak                 # a sweep that is killed again and again; half an hour
    python -m benchmarks batching --data DATA --vocabulary VOCABULARY
    python -m benchmarks answering --data DATA --model MODEL
    python -m benchmarks grading --data DATA
    python -m benchmarks pages

DATA holds `e2e/`, `alpaca/`, `mt_bench/`, `gsm8k/` and `math/` with their official files, VOCABULARY GPT-2's
vocab.json and merges.txt, MODEL a GPT-2 as `experiments.small_pretraining e2e` makes it. Results go to
`.cache/benchmarks`; the project's own are kept in `benchmarks/results/`, and `pages` makes the tables
and figures of docs/ from these.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks import (
    answering,
    batching,
    composition,
    features,
    grading,
    handling,
    memory,
    operators,
    presets,
    results,
    sizes,
    soak,
    steps,
    stores,
    watching,
)

MEASURES: Mapping[str, Callable[[argparse.Namespace], Mapping[str, Any]]] = {
    "features": lambda given: features.measure(),
    "operators": lambda given: operators.measure(),
    "composition": lambda given: composition.measure(given.rounds),
    "memory": lambda given: memory.measure(given.preset),
    "steps": lambda given: steps.measure(given.preset, given.rounds, given.threads),
    "handling": lambda given: handling.measure(given.rounds),
    "watching": lambda given: watching.measure(given.rounds),
    "sizes": lambda given: sizes.measure(),
    "stores": lambda given: stores.measure(given.rounds),
    "soak": lambda given: soak.measure(
        given.folder, given.runs, given.workers, given.every_seconds, given.seed
    ),
    "batching": lambda given: batching.measure(given.data, given.vocabulary, given.rounds, given.texts),
    "answering": lambda given: answering.measure(given.model, given.data, given.rounds, given.prompts),
    "grading": lambda given: grading.measure(given.data, given.rounds, given.workers, given.answers),
}
SETTINGS = ("preset", "rounds", "texts", "prompts", "answers", "every_seconds", "seed")
COUNTED = {"features", "memory", "operators", "sizes", "soak"}  # no sides are timed in turn
ON_DEMAND = {"soak"}  # it needs no data, but half an hour
WITHOUT_DATA = (
    "features",
    "operators",
    "sizes",
    "composition",
    "handling",
    "watching",
    "stores",
    "memory",
    "steps",
)


def main(arguments: list[str] | None = None) -> None:
    """Measure one thing, or make the pages' tables anew."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words:
        for name in WITHOUT_DATA:
            main([name])
        return
    options = _parser().parse_args(words)
    if options.name == "pages":
        from benchmarks import pages  # here, as only this draws, and needs matplotlib

        pages.fill()
        return
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    settings = {name: value for name, value in vars(options).items() if name in SETTINGS}
    path = results.write(options.name, settings, MEASURES[options.name](options), options.results)
    print(results.table(json.loads(path.read_text(encoding="utf-8"))), f"\n{path}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed side by side.")
    default = Path(".cache/benchmarks")
    parser.add_argument("--results", type=Path, default=default, help="folder of all results")
    commands = parser.add_subparsers(dest="name", required=True)
    about = {name: commands.add_parser(name) for name in MEASURES}
    for command in about.values():
        command.add_argument("--threads", type=int, default=1, help="of torch")
    for name in set(MEASURES) - set(WITHOUT_DATA) - ON_DEMAND:
        about[name].add_argument("--data", type=Path, required=True, help="folder of the data sets' folders")
    for name in set(MEASURES) - COUNTED:
        about[name].add_argument("--rounds", type=int, default=5, help="times that each side is counted")
    for name in ("memory", "steps"):
        about[name].add_argument("--preset", choices=presets.CASES, default="small", help="full: for a GPU")
    about["batching"].add_argument("--vocabulary", type=Path, required=True, help="GPT-2's two files")
    about["batching"].add_argument("--texts", type=int, default=128, help="of a side's sample")
    about["answering"].add_argument("--model", type=Path, required=True, help="folder of a small GPT-2")
    about["answering"].add_argument("--prompts", type=int, default=64, help="that are answered")
    about["grading"].add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    about["grading"].add_argument("--answers", type=int, help="about so many; all without it")
    about["soak"].add_argument("--runs", type=int, default=200, help="of each of the two sweeps")
    about["soak"].add_argument("--workers", type=int, default=4, help="processes of a sweep")
    about["soak"].add_argument("--folder", type=Path, help="of both sweeps, to be kept; a new one without it")
    text = "from the begin of work to a kill, on average"
    about["soak"].add_argument("--every-seconds", type=float, default=12.0, help=text)
    about["soak"].add_argument("--seed", type=int, default=0, help="of who is killed, and when")
    commands.add_parser("pages", help="make tables and figures of docs/ anew from benchmarks/results/")
    return parser


if __name__ == "__main__":
    main()
