"""The command: one run, or a sweep with -m.

    python -m experiments.run row=vblora_qv task=cola seed=1
    python -m experiments.run -m experiment=glue launcher=joblib

Finished runs are skipped. Each run leaves a record under `results/runs/<scale>/`, a failed one too. The exit
code is 1 if any failed, was lost or is another process's, and 130 after Ctrl-C.
"""

import os
import sys
import time
import warnings
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from experiments import (
    claims,
    composing,
    distributed,
    finished,
    launching,
    progress,
    spelling,
    storage,
    sweeps,
)
from experiments.config import Config, ConfigError, run_id
from experiments.progress import NOTICE, Outcome
from experiments.records import RecordError, RunRecord

# The tokeniser's threads and our processes would share the same cores.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def attempt(composed: DictConfig) -> Outcome:
    """Run one job to its end and say how it ended; only Ctrl-C gets out."""
    about = HydraConfig.get()
    label, begin = " ".join(about.overrides.task) or "run", time.perf_counter()
    try:
        cfg, problems = composing.name(composed, about.runtime.choices, about.overrides.task)
        label = run_id(cfg)
        if not problems and distributed.size() == 1 and _is_done(cfg):
            return _skipped(cfg)
        composing.require(cfg, problems)
        return Outcome(label, "checked") if cfg.check else _run(cfg, begin)
    except claims.BusyError as error:
        return Outcome(label, "busy", str(error).partition(": ")[2])
    except Exception as error:  # the sweep goes on, and its summary names the failure
        return Outcome(label, "failed", storage.told(error))


def _is_done(cfg: Config) -> bool:
    """Whether the run is finished and in order; False where its names make no run_id, which checks tell."""
    try:
        return claims.finished(cfg) is not None and claims.is_settled(cfg)
    except RecordError:
        return False


def _run(cfg: Config, begin: float) -> Outcome:
    from experiments import pipeline, processor  # here, as they import torch, which skipping does not need

    if not distributed.is_first():
        return Outcome(run_id(cfg), "success" if pipeline.follow(cfg) else "skipped")
    if (slow := processor.slow_bfloat16(cfg)) is not None:
        progress.report(Outcome(run_id(cfg), NOTICE, slow), _sweep_dir())
    record, made = pipeline.attempt(cfg)
    if not made:
        return _skipped(cfg)
    return Outcome(run_id(cfg), record.status, _said(record), _record(cfg), time.perf_counter() - begin)


def _skipped(cfg: Config) -> Outcome:
    return Outcome(run_id(cfg), "skipped", "finished before; force=true repeats it", _record(cfg))


def _said(record: RunRecord) -> str:
    """The score, or the first line of the error."""
    if record.outcome is not None:
        metric = record.outcome["metric"]
        return f"{metric} {record.outcome['scores'][metric]:.4f}"
    return f"{record.error['type']}: {record.error['message']}".splitlines()[0] if record.error else ""


def _record(cfg: Config) -> str:
    return str(claims.record_path(cfg))


def job(composed: DictConfig) -> None:
    """What Hydra calls for each job."""
    launching.let_worker_grow()
    outcome = attempt(composed)
    if not distributed.is_first():
        progress.follow(outcome)
        return
    progress.report(outcome, _sweep_dir())


def _sweep_dir() -> Path | None:
    """The folder of the sweep that this job belongs to; None for a single run."""
    about = HydraConfig.get()
    return Path(about.sweep.dir) if about.mode == RunMode.MULTIRUN else None


def _require_one_process() -> None:
    """End if several processes were started for a sweep."""
    try:
        distributed.require_one_run()
    except distributed.LaunchError as error:
        distributed.linger()
        print(error, file=sys.stderr)
        sys.exit(1)


def main() -> None:
    """The command line."""
    words = sys.argv[1:]
    if (count := finished.known(words)) is not None:
        print(f"{count} runs: {count} skipped (finished before, and nothing has changed since)")
        return
    if problems := spelling.misspelt(words):
        print(ConfigError(problems), file=sys.stderr)
        sys.exit(1)
    if {"-m", "--multirun"} & set(words):
        _require_one_process()
    composing.register()
    # joblib starts a fresh worker where one has grown very large between jobs; nothing is lost by it.
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs", category=UserWarning)
    try:
        with launching.in_words():
            hydra.main(config_path=str(composing.CONF), config_name="config", version_base="1.3")(job)()
    except KeyboardInterrupt:
        print("cancelled; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    finally:
        sweeps.close()
    if {"-m", "--multirun"} & set(words) and not sweeps.watched():
        print("the sweep could not be watched, so nobody knows how its runs ended", file=sys.stderr)
        sys.exit(1)
    if sweeps.complete():
        finished.keep(words, [outcome.record for outcome in progress.display.outcomes])
    if busy := len(progress.display.busy()):
        print(f"{busy} runs belong to another process; call again when it is done")
    sys.exit(1 if progress.display.failures() or busy or sweeps.lost() else 0)


if __name__ == "__main__":
    main()
