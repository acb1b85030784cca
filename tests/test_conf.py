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
# Language models, with the scales that choose task and data for them.
TEXT_SCALES = {
    "tiny_gpt2": ["e2e/tiny"],
    "tiny_gpt2_scratch": ["e2e/tiny"],
    "gpt2_small": ["e2e/small"],
    "gpt2_medium": ["e2e/paper"],
    "gpt2_large": ["e2e/paper"],
    "tiny_llama": ["instruct/tiny", "math/tiny"],
    "tiny_llama_scratch": ["instruct/tiny", "math/tiny"],
    "llama_small": ["math/small"],
    "llama2_7b": ["instruct/paper"],
    "llama2_13b": ["instruct/paper"],
    "mistral_7b": ["math/paper"],
    "gemma_7b": ["math/paper"],
}
SHARED = ("table7", "table8", "table9", "section4")  # what several rows of a table have in common
FILES = sorted(path for path in (CONF / "tuned").rglob("*.yaml") if path.parent.name not in SHARED)
TABLES = [path for path in FILES if path.stem in SCALES]
TEXT_TABLES = [(path, scale) for path in FILES if path.stem not in SCALES for scale in TEXT_SCALES[path.stem]]
TEXT_EXPERIMENTS = ("e2e", "instruct", "math")
WHOLE = ("full", "head", "none")  # methods that adapt no layers


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).rglob("*.yaml"))


def glue_experiments() -> list[str]:
    return [name for name in names("experiment") if not name.startswith(TEXT_EXPERIMENTS)]


def compose(folder: Path, *overrides: str, model: str = "tiny_roberta") -> Config:
    local = [f"model.path={folder}", f"data.root={folder}"] if model == "minilm" else []
    return load([f"scale={SCALES[model]}", f"model={model}", *local, *overrides])


@pytest.mark.parametrize("experiment", glue_experiments())
def test_experiment_composes_for_every_model_and_opens_with_what_it_is(
    experiment: str, tmp_path: Path
) -> None:
    head = (CONF / "experiment" / f"{experiment}.yaml").read_text(encoding="utf-8").splitlines()[1:6]
    assert all(word in " ".join(head) for word in ("Expected:", "Cost:", "Command:"))
    for model in SCALES:
        compose(tmp_path, f"experiment={experiment}", model=model)


@pytest.mark.parametrize("experiment", glue_experiments())
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
    text = row in ("none", "vblora_fused")
    scale, place = ("e2e/tiny", "e2e/e2e/tiny_gpt2") if text else ("tiny", "glue/sst2/tiny_roberta")
    whole = {"full": "full-full", "head": "head-none", "none": "none-none"}
    expected = whole.get(row) or "-".join(row.rsplit("_", 1))
    assert run_id(load([f"scale={scale}", f"row={row}"])) == f"{place}/{expected}/seed0"


@pytest.mark.parametrize("group", ["tracker", "launcher", "targets"])
def test_every_choice_of_the_group_composes(group: str, tmp_path: Path) -> None:
    for choice in names(group):
        row = {"targets=full": ["row=full"], "targets=none": ["row=head"]}
        chosen = f"{group}={choice}"
        scale = "e2e/tiny" if choice == "fused" else "tiny"
        load([f"scale={scale}", chosen, *row.get(chosen, [])])


def text_words(scale: str, tmp_path: Path) -> list[str]:
    """The scale, and the folders that it must be given."""
    family, _, name = scale.partition("/")
    roots = [f"data.root={tmp_path}"] if name in ("small", "local") or scale == "instruct/paper" else []
    return [f"scale={scale}", *roots, *([f"model.path={tmp_path}"] if name in ("small", "local") else [])]


@pytest.mark.parametrize(
    ("table", "scale"),
    TEXT_TABLES,
    ids=lambda item: item if isinstance(item, str) else f"{item.parent.name}-{item.stem}",
)
def test_tuned_table_of_a_language_model_gives_all_that_is_needed(
    table: Path, scale: str, tmp_path: Path
) -> None:
    method, model = table.parent.name, table.stem
    targets = "qv" if scale.startswith("e2e") and method in ("lora", "vera") else "all"
    row = method if method in WHOLE else f"{method}_{targets}"
    for variant in ("paper", "released"):
        words = [*text_words(scale, tmp_path), f"model={model}", f"row={row}", f"variant={variant}"]
        cfg = load(words)
        assert cfg.model.name == model and build(cfg.method, cfg.targets).param_groups


@pytest.mark.parametrize("scale", ["e2e/local", "instruct/local", "math/local"])
def test_local_scale_of_a_family_runs_with_any_model_and_a_borrowed_table(scale: str, tmp_path: Path) -> None:
    tables = {"e2e": "gpt2_medium", "instruct": "llama2_7b", "math": "mistral_7b"}
    table = tables[scale.partition("/")[0]]
    cfg = load([*text_words(scale, tmp_path), "row=vblora_all", "model.name=mine", f"tuned=vblora/{table}"])
    assert cfg.scale.name == "local" and cfg.optim.bank_lr == 1e-3


@pytest.mark.parametrize("family", TEXT_EXPERIMENTS)
def test_grid_of_a_family_composes_at_tiny_and_paper_scale(family: str, tmp_path: Path) -> None:
    head = (CONF / "experiment" / f"{family}.yaml").read_text(encoding="utf-8").splitlines()[1:6]
    assert all(word in " ".join(head) for word in ("Expected:", "Cost:", "Command:"))
    for scale in (f"{family}/tiny", f"{family}/paper"):
        axes = grid(family, f"scale={scale}")
        for row in axes["row"]:
            load([*text_words(scale, tmp_path), f"experiment={family}", f"row={row}"])


def test_settings_of_the_text_tables_are_the_papers(tmp_path: Path) -> None:
    e2e = load(["scale=e2e/paper", "row=vblora_all", "model=gpt2_large"])
    assert (e2e.optim.epochs, e2e.optim.batch_size, e2e.optim.warmup_steps) == (5, 8, 500)
    assert (e2e.optim.label_smoothing, e2e.method.options["num_vectors"]) == (0.1, 350)
    assert (e2e.generation.num_beams, e2e.generation.length_penalty, e2e.generation.max_new_tokens) == (
        10,
        0.8,
        64,
    )
    words = [*text_words("instruct/paper", tmp_path), "row=vblora_all", "model=llama2_13b"]
    shapes = [load([*words, f"variant={v}"]) for v in ("paper", "released")]
    assert [cfg.method.options["rank"] for cfg in shapes] == [6, 4]
    assert [cfg.method.options["num_vectors"] for cfg in shapes] == [2048, 4096]
    assert [cfg.data.source_max_length for cfg in shapes] == [None, 16]
    math = [load(["scale=math/paper", "row=vblora_all", f"variant={v}"]) for v in ("paper", "released")]
    assert [cfg.optim.batch_size for cfg in math] == [128, 64]
    assert (math[0].optim.schedule, math[0].optim.warmup_ratio, math[0].generation.merge) == (
        "cosine",
        0.02,
        True,
    )
    assert math[0].generation.max_new_tokens_of == {"gsm8k": 1024, "math": 2048}


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
