"""A whole run, from a configuration to its record.

record = run(load(["row=vblora_qv", "task=cola", "seed=0"]))
"""

import functools
import gc
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from experiments import (
    answering,
    bars,
    circumstances,
    claims,
    distributed,
    methods,
    models,
    records,
    storage,
    tasks,
    tracking,
    training,
)
from experiments.config import Config, run_id
from experiments.data.examples import Data
from experiments.families import is_generative
from experiments.grading import answers
from experiments.identity import described, run_hash
from experiments.methods import Method
from experiments.models import Backbone
from experiments.records import RunRecord
from experiments.run_state import put_back, trained
from experiments.tasks import TextTask
from experiments.training import TrainResult
from vblora import footprint_file

MEASURED = ("train_seconds", "eval_seconds", "peak_bytes", "num_resumes", "checkpoint_bytes", "model_bytes")
Rows = list[dict[str, Any]]
Parts = tuple[dict[str, Any], dict[str, Any]]
"""A record's outcome, and what of its circumstances training knows."""


def run(cfg: Config) -> RunRecord:
    """Run, unless it is finished, and return its record; see `attempt`."""
    return attempt(cfg)[0]


def attempt(cfg: Config) -> tuple[RunRecord, bool]:
    """Run, unless it is finished, and write its record.

    An error gives a record with status "failed". Ctrl-C gives one with status "cancelled" and goes on to the
    caller. Of several processes for one run, the first does all this.

    Returns:
        The record, and whether this call made it: another process may have finished the run just before.

    Raises:
        ClaimError: the run is another process's, or its place is taken by other settings.
        OSError: the record cannot be written.
        KeyboardInterrupt: after the record is written.
    """
    with claims.claim(cfg) as finished, machine(cfg), distributed.joined():
        distributed.agreed(finished is None)
        if finished is not None:
            return finished, False
        transformers.utils.logging.disable_progress_bar()  # `progress` shows ours
        started, begin = circumstances.now(), time.perf_counter()

        def write(status: str, parts: Parts | None = None, error: BaseException | None = None) -> RunRecord:
            outcome, measured = parts or (None, {})
            about = (
                circumstances.here() | measured | {"started_at": started, "finished_at": circumstances.now()}
            )
            about["total_seconds"] = time.perf_counter() - begin
            failure = _described(error) if status == "failed" and error else None
            settings = run_id(cfg), cfg.scale.name, status, run_hash(cfg), described(cfg)
            record = RunRecord(*settings, outcome, about, failure)
            # A failed repeat keeps the finished record.
            if status == "success" or not claims.holds_result(cfg):
                records.write(record, Path(cfg.paths.results))
            return record

        try:
            record = write("success", work(cfg))
            claims.settle(cfg, record)
        except KeyboardInterrupt:
            write("cancelled")
            raise
        except Exception as error:
            distributed.give_up()
            return write("failed", error=error), True
        return record, True


def follow(cfg: Config) -> bool:
    """What every other of several processes does: it trains with the first, if that one runs at all.

    Returns:
        Whether there was something to do.
    """
    with machine(cfg), distributed.joined():
        if not distributed.agreed(False):
            return False
        _trained(cfg, _ready(cfg), tracking.NoTracker())
        return True


@dataclass
class Ready:
    """What a run is made of, the method on its backbone."""

    task: tasks.Task
    data: Data
    backbone: Backbone
    method: Method


def _ready(cfg: Config) -> Ready:
    """Seed, task, data, backbone, method."""
    transformers.set_seed(cfg.seed)
    task = tasks.build(cfg)
    data = task.data()
    backbone = models.load(cfg.model, task, Path(cfg.paths.cache))
    method = methods.build(cfg.method, cfg.targets)
    method.attach(backbone.model, models.task_head(backbone.model))
    return Ready(task, data, backbone, method)


def work(cfg: Config) -> Parts:
    """Seed, task, backbone, method, training, answers, scores."""
    ready = _ready(cfg)
    task, data, counts = ready.task, ready.data, ready.method.counts()
    with tracking.tracked(cfg) as tracker:
        result, learned = _trained(cfg, ready, tracker)
        distributed.leave()
        if cfg.model.sharded:
            _reload_whole(cfg, ready, learned)
        claims.leave_adapter(cfg, ready.method.save)
        footprint = _footprint(cfg, result)
        rows, answered = _answers(cfg, ready, result)
        header = {"family": task.family, "task": task.name, "metric": metric(task), "version": task.version}
        header |= task.header() if isinstance(task, TextTask) else {}
        digest = answers.write(claims.new_answers_path(cfg), header, rows)
        outcome = {
            "scores": answers.grade(answers.read(claims.new_answers_path(cfg))),
            "metric": header["metric"],
            **{name: getattr(result, name) for name in ("best_epoch", "last_scores", "history", "num_steps")},
            **answered,
            **counts,
            "num_train_examples": len(data.splits["train"]),
            "num_eval_examples": len(rows),
            "answers_sha256": digest,
            "data": data.description,
            "task_version": task.version,
            "model_fingerprint": ready.backbone.fingerprint,
            "model_commit": ready.backbone.commit,
        }
        measured = {name: getattr(result, name) for name in MEASURED}
        _show(cfg, tracker, result, outcome, measured)
    return outcome, measured | {"tracker_url": tracker.url, "footprint_sha256": footprint}


def _reload_whole(cfg: Config, ready: Ready, learned: Mapping[str, Tensor]) -> None:
    """Let go of this process's part of the model, and load it whole, with what was learned."""
    del ready.backbone, ready.method
    _free()
    whole = _ready(replace(cfg, model=replace(cfg.model, sharded=False)))
    put_back(whole.backbone.model, learned)
    ready.backbone, ready.method = whole.backbone, whole.method


def _show(
    cfg: Config,
    tracker: tracking.Tracker,
    result: TrainResult,
    outcome: Mapping[str, Any],
    measured: Mapping[str, Any],
) -> None:
    """Let the tracker show how the run ended."""
    tracker.summarise(tracking.summary(outcome, measured))
    if result.footprint is not None:
        tracker.show_footprint(result.footprint)
    folder = claims.adapter_dir(cfg)
    if cfg.tracker.adapters and folder is not None:
        about = {"run_id": run_id(cfg), "scale": cfg.scale.name, "hash": run_hash(cfg)}
        known = {name: outcome[name] for name in ("scores", "stored_bytes", "stored_params")}
        tracker.keep_adapter(folder, about | known)


def _trained(cfg: Config, ready: Ready, tracker: tracking.Tracker) -> tuple[TrainResult, dict[str, Tensor]]:
    """Train what the method says; the model is as it was where that is nothing.

    Returns:
        What training found, and what a sharded model learned, in the first process.
    """
    groups = ready.method.param_groups(cfg.optim)
    model = ready.backbone.model
    result = _train(cfg, ready, groups, tracker) if groups else training.untrained(model)
    return result, trained(model) if cfg.model.sharded else {}


def _train(
    cfg: Config, ready: Ready, groups: Sequence[training.Group], tracker: tracking.Tracker
) -> TrainResult:
    return training.train(
        ready.backbone,
        ready.task,
        {split: ready.data.splits[split] for split in ("train", "validation")},
        groups,
        cfg.optim,
        cfg.data,
        seed=cfg.seed,
        checkpoint_dir=claims.checkpoint_dir(cfg),
        keep_best=_keeps_best(cfg),
        watched=ready.method.selecting if cfg.tracker.footprint else None,
        callbacks=bars.callbacks(run_id(cfg)),
        window=tracker.callbacks,
        identity=run_hash(cfg),
        save_seconds=cfg.paths.save_seconds,
    )


def _keeps_best(cfg: Config) -> bool:
    """Whether the best epoch's weights are needed: they answer, or are saved as those of the score."""
    generative = is_generative(cfg.task.family)
    return cfg.generation.epoch == "best" if generative else cfg.paths.adapters is not None


def _answers(cfg: Config, ready: Ready, result: TrainResult) -> tuple[Rows, dict[str, Any]]:
    """The rows to be graded: the validation set's of the best epoch, or the test set's texts generated now.

    Also what the outcome says of the weights that generated them.
    """
    task, backbone = ready.task, ready.backbone
    if not isinstance(task, TextTask):
        return result.answers, {}
    models.place(backbone.model)
    identity = f"{run_hash(cfg)} {backbone.fingerprint} {models.fingerprint(backbone.model)}"
    if cfg.generation.merge:
        ready.method.merge()
    where = claims.checkpoint_dir(cfg)
    rows = answering.answer(backbone, task, ready.data.splits["test"], cfg.generation, where, identity)
    epoch = cfg.generation.epoch if result.num_steps else "none"
    return rows, {
        "answered_by": {"best": f"epoch {result.best_epoch}", "last": "last epoch"}.get(epoch, "start")
    }


def _footprint(cfg: Config, result: TrainResult) -> str | None:
    """The SHA-256 of the file of the run's selections; None if none were recorded."""
    found = result.footprint
    return None if found is None else claims.leave_footprint(cfg, partial(footprint_file.save, found))


def metric(task: tasks.Task) -> str:
    """The score that sums up a run."""
    return task.main if isinstance(task, TextTask) else task.metric


@contextmanager
def machine(cfg: Config) -> Iterator[None]:
    """Torch's threads as configured; afterwards as before, and the run's memory free for the next one."""
    before = torch.get_num_threads()
    torch.set_num_threads(cfg.scale.num_threads or before)
    _set_libraries_aside()
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _free()


@functools.cache
def _set_libraries_aside() -> None:
    """Let the collector leave alone what was imported: it looks at half a million objects in every run."""
    gc.collect()
    gc.freeze()


def _free() -> None:
    """Give back the memory of what nothing refers to any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _described(error: BaseException) -> Mapping[str, str]:
    """An error as a record keeps it, without the frames, which hold the model."""
    trace = "".join(traceback.format_exception(error))
    return {"type": type(error).__name__, "message": storage.told(error), "traceback": trace}
