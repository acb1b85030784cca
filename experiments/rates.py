"""A rate search's table: for every setting the mean over tasks and seeds, the best of each row in bold.

    python -m experiments.rates .cache/rates --scale tiny

Each line holds the rates of one setting, as the records hold them. Settings that were tried
on more seeds come first; only among those with the most can a row's best be. With --held-out what is compared
is the mean log-likelihood of a token of the held-out texts after the last epoch, in nats, so that no test set
has a part in the choice.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from experiments import records
from experiments.families import FAMILIES
from experiments.records import Identity, RunRecord
from experiments.tasks.text import VALIDATION_METRIC

Row = tuple[str, str, str]
Scores = dict[str, dict[int, float]]

RATES = ("full_lr", "bank_lr", "logits_lr", "adapter_lr", "head_lr")
TASKS = tuple(task for family in FAMILIES.values() for task in family.tasks)


def collect(found: Iterable[RunRecord], held_out: bool = False) -> dict[Row, dict[str, Scores]]:
    """Scores of finished runs by row (model, method, targets), rates, task of the search, and seed.

    Args:
        found: the search's records.
        held_out: compare what was measured while training, after the last epoch, not the test set's score.
    """
    done = [(r.identity, r.config["optim"], r.outcome) for r in found if r.outcome is not None]
    tasks = [task for task in TASKS if any(identity.task == task for identity, *_ in done)]
    rows: dict[Row, dict[str, Scores]] = defaultdict(
        lambda: defaultdict(lambda: {task: {} for task in tasks})
    )
    for identity, optim, outcome in done:
        rates = ", ".join(f"{name} {optim[name]:g}" for name in RATES if optim[name] is not None)
        scores = rows[identity.model, identity.method, identity.targets][rates][identity.task]
        scores[identity.seed] = _likelihood(identity, outcome) if held_out else _score(outcome)
    return rows


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _rating(of_ten: float) -> str:
    return f"{of_ten:.2f}"


def _nats(likelihood: float) -> str:
    return f"{likelihood:.3f}"


def _score(outcome: Mapping[str, Any]) -> float:
    return float(outcome["scores"][outcome["metric"]])


def _likelihood(identity: Identity, outcome: Mapping[str, Any]) -> float:
    found = outcome["last_scores"].get(VALIDATION_METRIC)
    if found is None:
        raise SystemExit(f"{identity} has no likelihood of held-out texts; leave --held-out away")
    return float(found)


def lines(rows: dict[Row, dict[str, Scores]], show: Callable[[float], str] = _percent) -> list[str]:
    """The table as Markdown; a setting that lacks a task on all seeds has no mean."""
    tasks = next((list(scores) for settings in rows.values() for scores in settings.values()), [])
    titles = ("model", "method", "targets", "rates", "seeds", "mean", *tasks)
    table = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    for row, settings in sorted(rows.items()):
        ranked = sorted(settings.items(), key=lambda item: _rank(item[1]), reverse=True)
        for place, (rates, scores) in enumerate(ranked):
            num_seeds, average = _rank(scores)
            shown = show(average) if num_seeds else "–"
            shown = f"**{shown}**" if num_seeds and place == 0 else shown
            cells = [show(mean(of.values())) if of else "–" for of in scores.values()]
            table.append(f"| {' | '.join([*row, rates, str(num_seeds), shown, *cells])} |")
    return table


def _rank(scores: Scores) -> tuple[int, float]:
    """Seeds that all tasks have, and the mean over the tasks' means."""
    seeds = set.intersection(*(set(of) for of in scores.values()))
    return len(seeds), mean(mean(of[seed] for seed in seeds) for of in scores.values()) if seeds else 0.0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="The table of a rate search, as Markdown.")
    parser.add_argument("roots", type=Path, nargs="+", help="folders of the search's records")
    parser.add_argument("--scale", default="tiny", help="scale of the search")
    parser.add_argument("--held-out", action="store_true", help="compare the likelihood of held-out texts")
    args = parser.parse_args()
    found = records.find(args.roots, args.scale)
    for problem in found.problems:
        print(f"left out: {problem.path}: {problem.message}")
    rated = {record.identity.family for record in found.records} == {"instruct"}
    show = _nats if args.held_out else _rating if rated else _percent
    print("\n".join(lines(collect(found.records, args.held_out), show)))


if __name__ == "__main__":
    main()
