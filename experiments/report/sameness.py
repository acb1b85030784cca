"""Which runs may share a cell: those with equal settings, data, task and backbone. Others make no median."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from experiments.records import Found, RunRecord
from experiments.report import cells, judgements

# What the seeds of a cell must share: groups of the config, and parts of the outcome by their names here.
SETTINGS = ("task", "data", "model", "method", "targets", "optim", "generation", "scale")
MEASURED = {"task_version": "version of the task", "model_fingerprint": "backbone"}
CLOCKS_DIFFER = timedelta(hours=1)
# Where data and model came from; what was found there is compared itself.
PLACES = {"data": ("source", "revision", "root"), "model": ("source", "revision", "path")}


def differences(one: RunRecord, other: RunRecord) -> list[str]:
    """What two runs do not share, in words; nothing where a median over both means something.

    A run whose answers nobody rated yet may stand beside one with ratings.
    """
    ours, theirs = _shared(one), _shared(other)
    return [name for name, value in ours.items() if theirs.get(name, value) != value]


def mixture(runs: Sequence[RunRecord]) -> list[str]:
    """What the runs of one cell do not share, in words."""
    measure = max(runs, key=lambda run: _judge(run) is not None)
    return list({name: None for run in runs for name in differences(measure, run)})


def separate(found: Found) -> tuple[list[RunRecord], list[tuple[RunRecord, RunRecord]]]:
    """Leave one kind of runs in each cell.

    The measure is the run that ended last, of those with ratings of a judge model if there are some. A run
    that ended in the future did so by a wrong clock, and counts as older than the others. Runs that differ
    from the measure are left out.

    Returns:
        The records that stay, and each that is left out beside the one it differs from.
    """
    left_out: dict[str, tuple[RunRecord, RunRecord]] = {}
    for members in cells.by_task(found.records).values():
        measure = max(members, key=_age)
        left_out |= {run.run_id: (run, measure) for run in members if differences(measure, run)}
    return [run for run in found.records if run.run_id not in left_out], list(left_out.values())


def is_in_future(run: RunRecord) -> bool:
    """Whether a run ended later than now, by more than clocks of several machines may differ."""
    try:
        ended = datetime.fromisoformat(str(run.circumstances.get("finished_at")))
        return ended > datetime.now(UTC) + CLOCKS_DIFFER
    except (ValueError, TypeError, OverflowError):  # no time, or one without its zone
        return False


def _age(run: RunRecord) -> tuple[bool, bool, str, int]:
    """Rises from older to newer runs; times are UTC in one form, and the seed decides a tie."""
    ended = str(run.circumstances.get("finished_at", ""))
    return _judge(run) is not None, not is_in_future(run), ended, run.identity.seed


def _judge(run: RunRecord) -> str | None:
    """The judge model whose ratings a table shows; None where the run itself was graded, or nobody rated."""
    judgement = None if judgements.SCORE in (run.outcome or {})["scores"] else judgements.of(run)
    return judgement.judge if judgement else None


def _shared(run: RunRecord) -> dict[str, str]:
    """The shared parts of a finished run as text, by their names."""
    outcome = run.outcome or {}
    parts = {f"settings of {group}": _settings(run, group) for group in SETTINGS}
    parts["data"] = outcome["data"].get("sha256")
    parts |= {name: outcome[key] for key, name in MEASURED.items() if not _is_random(run, key)}
    parts |= {"judge": judge} if (judge := _judge(run)) else {}
    return {name: json.dumps(value, sort_keys=True) for name, value in parts.items()}


def _settings(run: RunRecord, group: str) -> object:
    value = run.config.get(group)
    if not isinstance(value, dict):
        return value
    places = PLACES.get(group, ()) if value.get("source") in ("hub", "local") else ()
    plain = {key: part for key, part in value.items() if key not in places}
    options = plain.get("options")
    if group == "method" and isinstance(options, dict) and options.get("bank") is not None:
        plain["options"] = options | {"bank": "shared"}  # trained by a run of the same seed, so each another
    return plain


def _is_random(run: RunRecord, key: str) -> bool:
    """A backbone that was never pretrained has other weights with each seed."""
    model = run.config.get("model")
    return key == "model_fingerprint" and isinstance(model, dict) and model.get("source") == "scratch"
