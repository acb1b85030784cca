"""Failed runs again: the commands that run exactly these, made of their records.

A run of the grid is named by its row, task and seed. A run with settings of its own gets those words that
make, of what its row composes to today, the settings that its record holds. Each command is composed before
it is started: where it would make another run, the run is refused with the reason.
"""

import json
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from experiments import composing
from experiments.config import VARIANTS, Config, run_id
from experiments.identity import asked, flat
from experiments.records import Found, RunRecord
from experiments.report import grid, scales
from experiments.report.grid import Grid
from experiments.report.scales import CONF, Scale

RUN = ("-m", "experiments.run", "-m")
FOLDERS = ("data.root", "model.path", "method.options.bank")
"""Where these lie is the user's to say; a record holds their names, and a bank's identity."""
NAMED = ("seed", "variant", "versions.", "scale.name", "task.")
"""What a command names by other words."""


class RetryError(Exception):
    """A failed run that no command made here would repeat; the message says why and what to do."""


@dataclass(frozen=True)
class Retries:
    """What there is to do.

    Attributes:
        commands: the words of each, behind `python`.
        refused: run_id -> why it is not run.
    """

    commands: list[list[str]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    def reasons(self) -> list[str]:
        """A sentence for each reason, with the runs that it keeps back."""
        by_reason: dict[str, list[str]] = defaultdict(list)
        for which, why in self.refused.items():
            by_reason[why].append(which)
        more = {why: f" and {len(ids) - 1} more" if ids[1:] else "" for why, ids in by_reason.items()}
        return [f"not run: {ids[0]}{more[why]}: {why}" for why, ids in by_reason.items()]


def failed(found: Found) -> list[RunRecord]:
    """The records of runs that failed."""
    return [record for record in found.records if record.status == "failed"]


def target(wanted: Grid, words: Sequence[str], runs: Sequence[RunRecord] = ()) -> str:
    """The shell command that runs a grid's failed runs again."""
    scale = scales.find(wanted.family, wanted.scale)
    lacking = [word for run in runs for word in _lacking(scale, run, words)]
    given = [*words, *dict.fromkeys(lacking)]
    arguments = [f"ARGS={shlex.quote(shlex.join(given))}"] if given else []
    return " ".join([scales.make("retry-failed", scale), *arguments])


def plan(found: Found, wanted: Grid, words: Sequence[str], running: Mapping[str, Any]) -> Retries:
    """The commands that run every failed run again.

    Args:
        found: the records.
        wanted: the family and the scale; runs outside its rows count too.
        words: what the runs need beside their settings: folders, a launcher.
        running: run_ids that a process runs now.
    """
    scale, refused = scales.find(wanted.family, wanted.scale), {}
    tasks: dict[tuple[str, ...], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    composer = _Composer(scale, words)
    for record in failed(found):
        if record.run_id in running:
            refused[record.run_id] = "it is running now"
            continue
        try:
            chosen = tuple(composer.words(record))
        except RetryError as error:
            refused[record.run_id] = str(error)
            continue
        tasks[chosen][record.identity.task].append(record.identity.seed)
    commands = [
        [*RUN, *chosen[:1], *grid_words, *chosen[1:]]
        for chosen, by_task in tasks.items()
        for grid_words in _products(by_task)
    ]
    return Retries(commands, refused)


def _products(by_task: Mapping[str, list[int]]) -> list[list[str]]:
    """Tasks with the same seeds make one sweep, so that it holds these runs and no other."""
    by_seeds: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for task, seeds in by_task.items():
        by_seeds[tuple(sorted(seeds))].append(task)
    return [
        [f"task={','.join(names)}", f"seed={','.join(map(str, seeds))}"] for seeds, names in by_seeds.items()
    ]


class _Composer:
    """Finds the words of failed runs; those of one row and task share them, whatever their seed."""

    def __init__(self, scale: Scale, given: Sequence[str]) -> None:
        self.scale, self.given = scale, given
        self.known: dict[str, list[str]] = {}

    def words(self, record: RunRecord) -> list[str]:
        """All words but task and seed.

        Raises:
            RetryError: there are none.
        """
        same = {**record.config, "seed": None, "run": record.run_id.rpartition("/")[0]}
        key = json.dumps(same, sort_keys=True)
        if key not in self.known:
            self.known[key] = self._words(record)
        return self.known[key]

    def _words(self, record: RunRecord) -> list[str]:
        if lacking := _lacking(self.scale, record, self.given):
            raise RetryError(f"add {' '.join(lacking)}: where model and data lie is in no record")
        words = [*self._choices(record), *self.given]
        if record.identity.variant in VARIANTS:
            words += _pins(record, self.given)
        if record.identity.variant not in VARIANTS:
            words += _settings(record, self._composed(record, words))
        elif record.identity.variant != VARIANTS[0]:
            words.append(f"variant={record.identity.variant}")
        made = self._composed(record, words)
        if run_id(made) != record.run_id:
            raise RetryError(f"with the words that were given it would be {run_id(made)}; leave them out")
        if record.identity.variant not in VARIANTS and (apart := _apart(record, made)):
            raise RetryError(f"its settings cannot be made again: {apart}; call its own command again")
        return words

    def _choices(self, record: RunRecord) -> list[str]:
        """Scale, model, row: the words that choose."""
        method, targets = record.identity.method, record.identity.targets
        row = grid.row_choice(method, targets)
        model = _model(record.identity.model, self.scale)
        if (CONF / "row" / f"{row}.yaml").is_file():
            return [f"scale={self.scale.word}", *model, f"row={row}"]
        library = method if (CONF / "method" / f"{method}.yaml").is_file() else "peft"
        return [f"scale={self.scale.word}", *model, f"method={library}", f"targets={targets}"]

    def _composed(self, record: RunRecord, words: Sequence[str]) -> Config:
        one = [*words, f"task={record.identity.task}", f"seed={record.identity.seed}"]
        plain = [word for word in one if not word.startswith(("launcher=", "hydra."))]
        try:
            composing.register()
            composed = composing.composed_from(plain, return_hydra_config=True)
            return composing.name(composed, composed.hydra.runtime.choices, plain)[0]
        except (HydraException, OmegaConfBaseException) as error:
            raise RetryError(f"its command cannot be composed: {str(error).splitlines()[0]}") from error


def _lacking(scale: Scale, record: RunRecord, words: Sequence[str]) -> list[str]:
    """The folders that a command for this run must name and that nobody has named."""
    model = "" if scales.has_own_name(scale) else record.identity.model
    needed = dict.fromkeys(scales.asked_folders(scale, model))
    local = (("model", "model.path=FOLDER"), ("data", "data.root=FOLDER"))
    needed |= {word: None for group, word in local if _place(record, group).get("source") == "local"}
    return [word for word in needed if word.partition("=")[0] not in _keys(words)]


def _pins(record: RunRecord, words: Sequence[str]) -> list[str]:
    """The commits on the hub that the run was told to take, where no word says another place."""
    given = _keys(words)
    return [
        f"{group}.revision={pinned}"
        for group, folder in (("model", "model.path"), ("data", "data.root"))
        if (pinned := _place(record, group).get("revision")) and not given & {folder, f"{group}.revision"}
    ]


def _place(record: RunRecord, group: str) -> Mapping[str, Any]:
    place = record.config.get(group)
    return place if isinstance(place, Mapping) else {}


def _keys(words: Sequence[str]) -> set[str]:
    return {word.partition("=")[0] for word in words}


def _model(name: str, scale: Scale) -> list[str]:
    if (CONF / "model" / f"{name}.yaml").is_file():
        return [f"model={name}"]
    return [f"model.name={name}"]


def _settings(record: RunRecord, made: Config) -> list[str]:
    """The words that turn what a row composes to into what a record holds, and its name."""
    now, before = _flat(made), flat(dict(record.config))
    changed = {
        key: value
        for key, value in before.items()
        if not key.startswith((*NAMED, *FOLDERS)) and (key not in now or now[key] != value)
    }
    words = [f"++{key}={_written(value)}" for key, value in changed.items()]
    return [*words, f"variant={record.identity.variant}"]


def _apart(record: RunRecord, made: Config) -> str:
    """Where a composed run and a record differ, in words; empty for one run."""
    now, before = _flat(made), flat(dict(record.config))
    keys = [
        k for k in sorted({*now, *before}) if not k.startswith("versions.") and now.get(k) != before.get(k)
    ]
    return ", ".join(f"{key} was {before.get(key)} and would be {now.get(key)}" for key in keys)


def _flat(made: Config) -> dict[str, object]:
    from vblora.errors import VBLoRAError  # here, as it imports torch

    try:
        return flat(asked(made))
    except VBLoRAError as error:
        raise RetryError(f"its bank of vectors cannot be read: {error}") from error


def _written(value: object) -> str:
    """A value in Hydra's grammar, which takes JSON's for all but mappings' keys."""
    return "{}" if value == {} else json.dumps(value, ensure_ascii=False)
