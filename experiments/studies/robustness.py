"""Whether scale tiny shows the same everywhere: other backbones, seeds, threads, number formats, kernels.

Every row of Tables 1 to 4 runs on the shipped backbone and on others that are pretrained here from other
seeds, with the settings that ship. Then the shipped one again under conditions that differ between machines.
Finished runs are skipped, so a study that was stopped goes on. What is kept is one line a score:

    condition,backbone,family,task,row,seed,metric,score
    as it ships,2,glue,cola,VB-LoRA qv,1,matthews,0.7312
"""

import argparse
import csv
import math
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import groupby
from pathlib import Path

from experiments import records
from experiments.data.synthetic import NUM_EXAMPLES
from experiments.families import FAMILIES
from experiments.records import RunRecord
from experiments.report import grid, scales
from experiments.report.names import METHODS, UNSPOKEN_TARGETS

TITLE = "does the miniature show the same with other backbones, seeds, threads, number formats and kernels?"
PROJECT = Path(__file__).resolve().parents[2]
TABLE = PROJECT / "results" / "robustness.csv"
PAGE = PROJECT / "docs" / "robustness.md"
START, END = "<!-- robustness -->", "<!-- /robustness -->"

SHIPPED = 0
"""The backbone that ships; others are called by the seed that they are pretrained from."""
USUAL = "as it ships"
KERNELS = {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Prescott", "MKL_CBWR": "COMPATIBLE"}
CONDITIONS: dict[str, tuple[tuple[str, ...], Mapping[str, str]]] = {
    USUAL: ((), {}),
    "two threads": (("scale.num_threads=2",), {}),
    "float64": (("model.dtype=float64",), {}),
    "plain kernels": ((), KERNELS),
}
"""What a condition adds to the command line, and to the environment."""
METRICS = {"e2e": ("bleu",), "instruct": ("mt_bench",), "math": ("gsm8k", "math")}
"""The scores of generated text; GLUE's are its tasks' own."""
GUESSING = {"accuracy": 0.5, "matthews": 0.0, "pearson": 0.0}
SCRATCH = "_scratch"
"""How the names of models end that are not pretrained."""
CONTROL_ROWS = ("Head only", "Not ")
"""How the names of rows begin that tune nothing of a pretrained backbone."""
NEAR = 0.9
"""An adapter is near full fine-tuning from this share of its score on."""


@dataclass(frozen=True)
class Score:
    """One score of one run, a line of the table that is kept."""

    condition: str
    backbone: int
    family: str
    task: str
    row: str
    seed: int
    metric: str
    score: float

    @property
    def is_control(self) -> bool:
        """Nothing of the backbone is tuned, or it was not pretrained."""
        return self.row.startswith(CONTROL_ROWS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What of the study runs."""
    parser.add_argument("--families", nargs="+", choices=tuple(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--conditions", nargs="+", choices=tuple(CONDITIONS), default=list(CONDITIONS))
    parser.add_argument("--backbones", type=int, default=5, help="the shipped one and others (default: 5)")
    parser.add_argument("--seeds", type=int, default=3, help="training seeds of each run (default: 3)")
    parser.add_argument("--runs", type=Path, default=PROJECT / ".cache/robustness", help="the runs' records")
    parser.add_argument("--table", type=Path, default=TABLE, help="the scores as CSV")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page that shows what they say")
    parser.add_argument("--words", nargs="*", default=[], help="more words for experiments.run")


def main(args: argparse.Namespace) -> int:
    """Run what is missing, keep the scores, and fill the page."""
    status = 0
    for condition, backbone in _places(args):
        for family in args.families:
            status |= _run(args, condition, backbone, family)
    found = list(_scores(args))
    if not found:
        print("No run finished; the table stays as it is.")
        return status or 1
    found = sorted([*found, *_others(args)], key=astuple)
    write(args.table, found)
    page = filled(args.page.read_text(encoding="utf-8"), found)
    args.page.write_text(page, encoding="utf-8")
    print(f"{len(found)} scores: {args.table}\nThe page: {args.page}")
    return status


def _places(args: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """Condition and backbone of each part: all backbones as they ship, then the shipped one otherwise."""
    for condition in args.conditions:
        yield from ((condition, seed) for seed in range(args.backbones if condition == USUAL else 1))


def _root(args: argparse.Namespace, condition: str, backbone: int) -> Path:
    return Path(args.runs) / condition.replace(" ", "-") / f"backbone{backbone}"


def _run(args: argparse.Namespace, condition: str, backbone: int, family: str) -> int:
    """The sweeps of a family on one backbone under one condition."""
    words, environment = CONDITIONS[condition]
    other = ["model.pretrain=true", f"model.pretrain_seed={backbone}"] if backbone != SHIPPED else []
    status = 0
    for sweep in _sweeps(family, with_scratch=(condition, backbone) == (USUAL, SHIPPED)):
        command = [sys.executable, "-m", "experiments.run", "-m", f"scale={scales.find(family, 'tiny').word}"]
        command += [*sweep.split(), f"seed={','.join(map(str, range(args.seeds)))}", "tracker=none"]
        command += ["launcher=joblib", f"paths.results={_root(args, condition, backbone)}"]
        command += [*other, *words, *args.words]
        status |= subprocess.run(command, env=os.environ | environment, cwd=PROJECT, check=False).returncode
    return status


def _sweeps(family: str, *, with_scratch: bool) -> Iterator[str]:
    """The rows of the family's table, a sweep a model; what is not pretrained has no backbone to vary."""
    for model, rows in groupby(sorted(grid.load("tiny", family).rows), key=lambda row: row.model):
        if with_scratch or not model.endswith(SCRATCH):
            choices = ",".join(grid.row_choice(row.method, row.targets) for row in rows)
            yield f"experiment={family} model={model} row={choices}"


def _scores(args: argparse.Namespace) -> Iterator[Score]:
    for condition, backbone in _places(args):
        for record in records.find([_root(args, condition, backbone)], "tiny").records:
            identity = record.identity
            is_row = identity.variant not in grid.ABLATIONS and identity.family in args.families
            if record.status == "success" and is_row:
                yield from _of_run(record, condition, backbone)


def _others(args: argparse.Namespace) -> Iterator[Score]:
    """What the table holds of families and conditions that this call leaves alone."""
    mine = {(family, *place) for place in _places(args) for family in args.families}
    kept = read(args.table) if args.table.exists() else []
    return (score for score in kept if (score.family, score.condition, score.backbone) not in mine)


def _of_run(record: RunRecord, condition: str, backbone: int) -> Iterator[Score]:
    identity, outcome = record.identity, record.outcome or {}
    for metric in METRICS.get(identity.family, (outcome["metric"],)):
        row, task = _row(record), metric if identity.family in METRICS else identity.task
        facts = (condition, backbone, identity.family, task, row, identity.seed, metric)
        yield Score(*facts, round(float(outcome["scores"][metric]), 6))


def _row(record: RunRecord) -> str:
    identity = record.identity
    targets = "" if identity.targets in UNSPOKEN_TARGETS else f" {identity.targets}"
    kind = "Not pretrained, " if identity.model.endswith(SCRATCH) else ""
    return f"{kind}{METHODS[identity.method]}{targets}"


def write(path: Path, found: Sequence[Score]) -> None:
    """Keep the scores as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow([field.name for field in fields(Score)])
        lines.writerows(map(astuple, found))


def read(path: Path) -> list[Score]:
    """The scores that were kept."""
    with path.open(encoding="utf-8", newline="") as file:
        next(file)
        return [
            Score(condition, int(backbone), family, task, row, int(seed), metric, float(score))
            for condition, backbone, family, task, row, seed, metric, score in csv.reader(file)
        ]


@dataclass(frozen=True)
class Verdict:
    """What the runs of the adapters of a task say.

    Attributes:
        num_runs: of adapters.
        at_chance: those no better than guessing, or, of text, than the model that is not tuned.
        near: those that reach `NEAR` of the score of full fine-tuning on the same backbone and seed.
        rows: mean, smallest and largest score of each row.
    """

    num_runs: int
    at_chance: int
    near: int
    rows: Mapping[str, tuple[float, float, float]]


def verdict(found: Iterable[Score]) -> Verdict:
    """Judge the scores of one task under one condition."""
    of_row: dict[str, list[Score]] = defaultdict(list)
    for score in found:
        of_row[score.row].append(score)
    full = {(score.backbone, score.seed): score.score for score in of_row[METHODS["full"]]}
    adapters = [
        score
        for row, scores in of_row.items()
        for score in scores
        if row != METHODS["full"] and not score.is_control
    ]
    chance = _chance([*of_row[METHODS["none"]], *of_row[METHODS["full"]]])
    # Without a run of full fine-tuning to be measured by, none is near it.
    near = [s for s in adapters if s.score >= NEAR * full.get((s.backbone, s.seed), math.inf)]
    values = {row: [score.score for score in scores] for row, scores in of_row.items() if scores}
    return Verdict(
        num_runs=len(adapters),
        at_chance=sum(score.score <= chance for score in adapters),
        near=len(near),
        rows={row: (statistics.fmean(of), min(of), max(of)) for row, of in values.items()},
    )


def _chance(found: Sequence[Score]) -> float:
    """What guessing gives and three standard errors more; of text, a tenth of the way from untuned to full.

    Where a text's runs of either are missing it is infinite, so that the table does not hide it.
    """
    metric = found[0].metric if found else ""
    if metric in GUESSING:
        error: float = (0.5 if metric == "accuracy" else 1.0) / math.sqrt(NUM_EXAMPLES["validation"])
        return GUESSING[metric] + 3 * error
    means = {
        row: statistics.fmean(score.score for score in scores)
        for row, scores in groupby(found, key=lambda score: score.row)
    }
    if means.keys() != {METHODS["none"], METHODS["full"]}:
        return math.inf
    return means[METHODS["none"]] + 0.1 * (means[METHODS["full"]] - means[METHODS["none"]])


def filled(page: str, found: Sequence[Score]) -> str:
    """The page with the study's tables between its two comments.

    Raises:
        ValueError: the page lacks the comments.
    """
    if START not in page or END not in page:
        raise ValueError(f"the page has no lines {START} and {END}, between which the tables stand")
    before, after = page.split(START)[0], page.split(END)[1]
    return f"{before}{START}\n{markdown(found)}\n{END}{after}"


def markdown(found: Sequence[Score]) -> str:
    """All tables: what the adapters' runs say, scores by row, and the rows' means under each condition."""
    usual = [score for score in found if score.condition == USUAL]
    parts = [_verdicts(usual), *(_by_row(usual, family) for family in FAMILIES), _by_condition(found)]
    return "\n\n".join(part for part in parts if part)


def _tasks(found: Iterable[Score], family: str) -> dict[str, list[Score]]:
    order = [*FAMILIES[family].tasks, *METRICS.get(family, ())]
    mine = sorted((s for s in found if s.family == family), key=lambda score: order.index(score.task))
    return {task: list(group) for task, group in groupby(mine, key=lambda score: score.task)}


def _verdicts(found: Sequence[Score]) -> str:
    lines = [
        "| family | task | runs of adapters | at chance | within 10 % of full |",
        "|---|---|---:|---:|---:|",
    ]
    totals = [0, 0, 0]
    for family in FAMILIES:
        for task, scores in _tasks(found, family).items():
            told = verdict(scores)
            counts = (told.num_runs, told.at_chance, told.near)
            totals = [total + count for total, count in zip(totals, counts, strict=True)]
            lines.append(f"| {FAMILIES[family].title} | {task} | {_counts(*counts)} |")
    return "\n".join([*lines, f"| **all** | | {_counts(*totals)} |"])


def _counts(num_runs: int, at_chance: int, near: int) -> str:
    return f"{num_runs} | {at_chance} | {near} ({near / max(1, num_runs):.1%})"


def _by_row(found: Sequence[Score], family: str) -> str:
    tasks = _tasks(found, family)
    if not tasks:
        return ""
    told = {task: verdict(scores).rows for task, scores in tasks.items()}
    rows = sorted({score.row for scores in tasks.values() for score in scores}, key=_order)
    lines = [f"| {FAMILIES[family].title} | {' | '.join(tasks)} |", f"|---|{'---:|' * len(tasks)}"]
    for row in rows:
        lines.append(f"| {row} | {' | '.join(_spread(told[task].get(row), family) for task in tasks)} |")
    return "\n".join(lines)


def _order(row: str) -> tuple[int, int, str]:
    kinds = ("Full", "LoRA", "VeRA", "Tied", "VB-LoRA")
    place = next((place for place, kind in enumerate(kinds) if row.startswith(kind)), len(kinds))
    group = 2 if row.startswith("Not pretrained") else 1 if row.startswith(CONTROL_ROWS) else 0
    return group, place, row


def _spread(values: tuple[float, float, float] | None, family: str) -> str:
    if values is None:
        return "–"
    mean, low, high = (_shown(value, family) for value in values)
    return f"{mean} ({low}–{high})"


def _shown(value: float, family: str) -> str:
    return f"{value:.2f}" if family == "instruct" else f"{100 * value:.1f}"


def _by_condition(found: Sequence[Score]) -> str:
    """Each row's mean on the shipped backbone by condition, over tasks and the seeds that all have."""
    shipped = [score for score in found if score.backbone == SHIPPED and not score.is_control]
    conditions = [name for name in CONDITIONS if any(score.condition == name for score in shipped)]
    if len(conditions) < 2:
        return ""
    lines = [
        f"| family | row | {' | '.join(conditions)} | spread over seeds |",
        f"|---|---|{'---:|' * (len(conditions) + 1)}",
    ]
    for family in FAMILIES:
        mine = [score for score in shipped if score.family == family]
        num_tasks = len({score.task for score in mine})
        for row in sorted({score.row for score in mine}, key=_order):
            means = {
                name: _means((s for s in mine if (s.row, s.condition) == (row, name)), num_tasks)
                for name in conditions
            }
            common = set.intersection(*map(set, means.values()))
            shown = [
                _shown(statistics.fmean(of[seed] for seed in common), family) if common else "–"
                for of in means.values()
            ]
            usual = list(means[USUAL].values())
            spread = _shown(max(usual) - min(usual), family) if usual else "–"
            lines.append(f"| {FAMILIES[family].title} | {row} | {' | '.join(shown)} | {spread} |")
    return "\n".join(lines)


def _means(found: Iterable[Score], num_tasks: int) -> dict[int, float]:
    """The mean over tasks, by seed; seeds that lack a task have none."""
    by_seed: dict[int, list[float]] = defaultdict(list)
    for score in found:
        by_seed[score.seed].append(score.score)
    return {seed: statistics.fmean(scores) for seed, scores in by_seed.items() if len(scores) == num_tasks}
