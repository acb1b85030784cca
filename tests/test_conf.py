"""Every file in conf/ composes to a run that can start."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from experiments.composing import CONF, composed_from, load, read, register, require
from experiments.config import Config, run_id
from experiments.methods import build

TASKS = ["sst2", "mrpc", "cola", "qnli", "rte", "stsb"]
SCALES = {
    "tiny_roberta": "tiny",
    "tiny_scratch": "tiny",
    "minilm": "minilm",
    "roberta_base": "paper",
    "roberta_large": "paper",
}
TABLES = sorted(path for path in (CONF / "tuned").rglob("*.yaml") if path.parent.name != "table7")


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).rglob("*.yaml"))


def compose(folder: Path, *overrides: str, model: str = "tiny_roberta") -> Config:
    local = [f"model.path={folder}", f"data.root={folder}"] if model == "minilm" else []
    return load([f"scale={SCALES[model]}", f"model={model}", *local, *overrides])


@pytest.mark.parametrize("experiment", names("experiment"))
def test_experiment_composes_for_every_model_and_opens_with_what_it_is(
    experiment: str, tmp_path: Path
) -> None:
    head = (CONF / "experiment" / f"{experiment}.yaml").read_text(encoding="utf-8").splitlines()[1:6]
    assert all(word in " ".join(head) for word in ("Expected:", "Cost:", "Command:"))
    for model in SCALES:
        compose(tmp_path, f"experiment={experiment}", model=model)


@pytest.mark.parametrize("experiment", names("experiment"))
def test_every_value_of_an_experiments_grid_composes(experiment: str, tmp_path: Path) -> None:
    model = "minilm" if experiment.startswith("minilm") else "tiny_roberta"
    axes = grid(experiment, f"scale={SCALES[model]}")
    first = {key: values[0] for key, values in axes.items()}
    assert {"seed", "task"} <= axes.keys()
    for key, values in axes.items():
        for value in values:
            words = [f"{name}={chosen}" for name, chosen in (first | {key: value}).items()]
            compose(tmp_path, f"experiment={experiment}", *words, model=model)


def grid(experiment: str, scale: str) -> dict[str, list[str]]:
    """The values that an experiment sweeps over, by key."""
    register()
    composed = composed_from([scale, f"experiment={experiment}"], return_hydra_config=True)
    params = [f"{key}={value}" for key, value in composed.hydra.sweeper.params.items()]
    return {
        item.key_or_group: list(item.sweep_string_iterator()) if item.is_sweep_override() else [item.value()]
        for item in OverridesParser.create().parse_overrides(params)
    }


@pytest.mark.parametrize("table", TABLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_tuned_table_gives_every_task_all_it_needs(table: Path, tmp_path: Path) -> None:
    method, model = table.parent.name, table.stem
    row = method if method in ("full", "head") else f"{method}_qv"
    local = [f"model.path={tmp_path}", f"data.root={tmp_path}"] if model == "minilm" else []
    register()
    composed = composed_from([f"scale={SCALES[model]}", f"model={model}", f"row={row}", *local])
    for task in TASKS:
        for variant in ("paper", "released"):
            composed.task.name, composed.variant = task, variant
            cfg, problems = read(composed)
            require(cfg, problems)
            assert build(cfg.method, cfg.targets).param_groups


@pytest.mark.parametrize("row", names("row"))
def test_row_names_its_method_and_targets(row: str, tmp_path: Path) -> None:
    cfg = compose(tmp_path, f"row={row}")
    expected = {"full": "full-full", "head": "head-none"}.get(row) or "-".join(row.rsplit("_", 1))
    assert run_id(cfg) == f"glue/sst2/tiny_roberta/{expected}/seed0"


@pytest.mark.parametrize("group", ["tracker", "launcher", "optim", "data", "targets"])
def test_every_choice_of_the_group_composes(group: str, tmp_path: Path) -> None:
    for choice in names(group):
        more = {
            "data=hub": ["data.max_length=8"],
            "data=local": ["data.max_length=8", f"data.root={tmp_path}"],
        }
        row = {"targets=full": ["row=full"], "targets=none": ["row=head"]}
        chosen = f"{group}={choice}"
        compose(tmp_path, chosen, *more.get(chosen, []), *row.get(chosen, []))


def test_tuned_tables_hold_the_papers_values(tmp_path: Path) -> None:
    base = compose(tmp_path, "task=cola", model="roberta_base")
    assert (base.optim.epochs, base.optim.head_lr, base.data.max_length) == (80, 2e-2, 512)
    assert (base.optim.bank_lr, base.optim.logits_lr, base.method.options["topk"]) == (1e-3, 1e-2, 2)
    mrpc = [
        compose(tmp_path, "task=mrpc", f"variant={v}", model="roberta_base") for v in ("paper", "released")
    ]
    assert [cfg.optim.epochs for cfg in mrpc] == [30, 60]
    lora = [
        compose(tmp_path, "row=lora_qv", f"variant={v}", model="roberta_base") for v in ("paper", "released")
    ]
    assert [cfg.method.options["lora_alpha"] for cfg in lora] == [8, 16]
    vera = compose(tmp_path, "row=vera_qv", "task=qnli", model="roberta_large")
    assert (vera.method.options["r"], vera.optim.adapter_lr, vera.optim.head_lr) == (256, 1e-2, 2e-4)
