import json
import pickle
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hydra.errors import HydraException

from experiments import families
from experiments.composing import composed_from, load, read, register, require
from experiments.config import Config, ConfigError, run_id
from experiments.identity import described, run_hash
from experiments.tasks import FAMILIES


def problems(*overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(overrides)
    return caught.value.problems


def test_hash_leaves_out_what_cannot_change_the_outcome() -> None:
    plain = load()
    same = load(
        ["tracker=wandb", "paths.results=elsewhere", "paths.cache=there", "force=true", "launcher=joblib"]
    )
    assert run_hash(plain) == run_hash(same) and run_id(plain) == run_id(same)


@pytest.mark.parametrize(
    "override",
    [
        "optim.epochs=9",
        "seed=1",
        "task=cola",
        "method.options.topk=3",
        "scale.num_threads=2",
        "data.padding=max_length",
    ],
)
def test_hash_changes_with_every_setting(override: str) -> None:
    assert run_hash(load()) != run_hash(load([override]))


def test_hash_is_stable_over_time() -> None:
    """A changed hash orphans every record; raise this value only with the schema."""
    assert run_hash(Config()) == "339e08c885f7f6128a7b5f35f20e23a6149bd00c08679407d1ad72c363f494f5"


def test_hash_ignores_where_a_folder_lies_but_the_record_names_it(tmp_path: Path) -> None:
    for name in ("one/model", "two/model", "one/glue"):
        (tmp_path / name).mkdir(parents=True)
    first, second = (
        load(["scale=minilm", f"model.path={tmp_path}/{place}/model", f"data.root={tmp_path}/one/glue"])
        for place in ("one", "two")
    )
    assert run_hash(first) == run_hash(second) and run_id(first) == "glue/sst2/minilm/vblora-qv/seed0"
    assert described(first)["model"]["path"] == "model" and str(tmp_path) not in str(described(first))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("versions.FAMILIES", {"glue": replace(families.FAMILIES["glue"], version=2)}),
        ("data.synthetic.VERSION", 3),
        ("versions._folder_digest", lambda folder: "other"),
    ],
)
def test_hash_changes_with_the_version_of_task_data_and_backbone(
    place: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, hub = run_hash(load()), run_hash(load(["scale=paper"]))
    monkeypatch.setattr(f"experiments.{place}", value)
    assert run_hash(load()) != before
    assert (run_hash(load(["scale=paper"])) != hub) == (place == "versions.FAMILIES")


def test_every_task_family_has_a_version() -> None:
    assert families.FAMILIES.keys() == FAMILIES.keys()


# Fails if only the names of folders, or config.json alone, are compared.
@pytest.mark.parametrize(
    "file", ["config.json", "model.safetensors", "vocab.txt", "SST-2/train.tsv", "SST-2/dev.tsv"]
)
def test_hash_changes_with_what_is_in_a_local_models_and_datas_files(file: str, tmp_path: Path) -> None:
    overrides = ["scale=minilm", f"model.path={tmp_path}", f"data.root={tmp_path}"]
    for place in ("SST-2/train.tsv", "SST-2/dev.tsv", file):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text("before", encoding="utf-8")
    before = run_hash(load(overrides))
    (tmp_path / file).write_text("after!", encoding="utf-8")
    assert run_hash(load(overrides)) != before
    assert run_hash(load([*overrides, "task=rte"])) == run_hash(load([*overrides, "task=rte"]))


def test_changed_setting_is_told_apart_by_its_hash_or_by_its_name() -> None:
    changed = load(["method.options.topk=3"])
    assert re.fullmatch("[0-9a-f]{8}", changed.variant)
    assert run_id(changed) == f"glue/sst2/tiny_roberta/vblora-qv-{changed.variant}/seed0"
    assert load(["method.options.topk=3", "variant=k3"]).variant == "k3"
    released = load(["method.options.topk=3", "variant=released"])
    assert released.variant == f"released-{changed.variant}"


def test_a_set_value_makes_a_variant_even_where_it_is_the_tuned_one() -> None:
    """Else one task of a sweep would leave the sweep's row."""
    large = ["model=roberta_large", "scale=paper", "optim.epochs=40"]
    names = {load([*large, f"task={task}"]).variant for task in ("sst2", "mrpc", "rte")}
    assert len(names) == 1 and "paper" not in names
    assert {load([*large, f"task={task}", "variant=e40"]).variant for task in ("sst2", "mrpc")} == {"e40"}


def test_words_that_say_the_same_have_one_name() -> None:
    first = load(["optim.epochs=3", "++method.options.topk=3", "tracker=none"])
    second = load(["method.options.topk=3", "++optim.epochs=3", "seed=2", "paths.cache=there"])
    assert first.variant == second.variant


def test_an_experiment_file_that_sets_values_makes_a_variant(tmp_path: Path) -> None:
    local = ["scale=minilm", f"model.path={tmp_path}", f"data.root={tmp_path}"]
    assert load([*local, "experiment=glue"]).variant == "paper"
    short = load([*local, "experiment=minilm_rates"])
    same = load([*local, "data.train_fraction=0.25", "optim.eval_every_epochs=6"])
    assert short.variant == same.variant != "paper"


def test_other_data_than_the_scales_own_are_a_variant(tmp_path: Path) -> None:
    files = ["data=local", f"data.root={tmp_path}"]
    names = [load(["scale=paper", *more]).variant for more in (["data=synthetic"], files, ["data=hub"], [])]
    assert names[0] != names[1] and names[2:] == ["paper", "paper"] and "paper" not in names[:2]
    assert load(["scale=minilm", f"model.path={tmp_path}", *files]).variant == "paper"


def test_a_tuned_table_of_another_model_is_a_variant() -> None:
    assert load(["tuned=vblora/minilm", "method.options.vector_length=24"]).variant != "paper"
    assert load(["tuned=vblora/tiny_roberta"]).variant == "paper"


def test_one_change_has_one_name_over_seeds_and_tasks() -> None:
    """So that a sweep of changed settings is one row of a table."""
    names = {
        load(["optim.epochs=3", f"task={task}", f"seed={seed}"]).variant
        for task in ("rte", "cola")
        for seed in (0, 1)
    }
    assert len(names) == 1
    assert load(["optim.epochs=4"]).variant not in names


def test_variant_name_without_a_change_is_refused() -> None:
    assert problems("variant=relased") == [
        "variant: relased names set values, but none is set; choose paper, released, or set one"
    ]


def test_all_problems_come_in_one_error() -> None:
    found = problems(
        "+method.options.rnk=3", "method.options.topk=two", "optim.epochs=0", "optim.warmup_ratio=1.5",
        "optim.adapter_lr=1", "optim.bank_lr=null", "data=local", "data.padding=long", "seed=-1",
        "task.name=colla",
    )  # fmt: skip
    text = "\n".join(found)
    for place in ("options: 'rnk'", "options.topk: 'two'", "epochs: 0", "warmup_ratio", "adapter_lr",
                  "bank_lr", "data.root", "data.padding: 'long'", "seed: -1", "colla"):  # fmt: skip
        assert place in text
    assert "did you mean rank?" in text and "did you mean longest?" in text


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["method.options.rank=0"], "rank 0"),
        (["method.options.topk=91"], "topk 91"),
        (["method.options.dropout=1.5"], "dropout 1.5"),
        (["row=lora_qv", "optim.bank_lr=1e-3"], "optim.bank_lr: method lora has no use for it"),
        (["row=lora_qv", "+method.options.num_vectors=3"], "'num_vectors' is unknown"),
        (["row=lora_qv", "method.options.r=0"], "options.r: 0"),
        (["row=lora_qv", "+method.options.target_modules=[query]"], "set by the pipeline"),
        (["row=full", "targets=qv"], "goes with targets=full only"),
        (["targets=none"], "names none"),
        (["method.options.selection=best"], "selection 'best' is unknown"),
        (["optim.head_lr=null"], "optim.head_lr: method vblora needs it"),
        (["optim.head_lr=-1"], "optim.head_lr: -1"),
        (["optim.batch_size=32", "optim.micro_batch_size=5"], "5 does not divide"),
        (["data.train_fraction=0"], "train_fraction"),
        (["data=local"], "data.root: source local needs data.root"),
        (["data=local", "data.root=/nowhere"], "/nowhere is not a folder"),
        (["data.root=here"], "reads no files"),
        (["model=local", "model.name=x"], "model.path"),
        (["task.name=mnli"], "choose one of"),
        (["task.family=gleu"], "choose one of glue"),
        (["method.name=a/b"], "is unknown; choose from"),
        (["scale.name=../out"], "is no plain name"),
        (["scale.num_threads=0"], "scale.num_threads: 0"),
        (["method=peft"], "method.name"),
        (["method=peft", "method.name=x", "method.options.peft_type=LORAA"], "did you mean LORA"),
        (["method=peft", "method.name=x", "method.options.peft_type=PREFIX_TUNING"], "learns a prompt"),
        (["optim.max_grad_norm=0"], "null means no clipping"),
        (["optim.precision=float16"], "choose from float32, bfloat16"),
        (["seed=4294967296"], "seed: 4294967296 is too large"),
        (["data.max_length=65"], "65 is more than the 64 positions of tiny_roberta"),
        (["optim.adapter_weight_decay=0.1"], "optim.adapter_weight_decay: method vblora has no use for it"),
        (["optim.full_weight_decay=0.1"], "optim.full_weight_decay: method vblora has no use for it"),
        (["model.path=x"], "source tiny reads no folder"),
        (["model.revision=x"], "model.revision: only source hub has revisions, not tiny"),
        (["data.revision=x"], "data.revision: only source hub has revisions, not synthetic"),
        (["method=peft", "method.name=x", "method.options.peft_type=ADALORA"], "a call after every step"),
        (["method=peft", "method.name=vblora", "method.options.peft_type=LORA"], "adapter_lr: method"),
    ],
)  # fmt: skip
def test_problem_is_named(overrides: list[str], expected: str) -> None:
    assert expected in "\n".join(problems(*overrides))


def test_positions_of_a_local_model_bound_the_length(tmp_path: Path) -> None:
    files = ["scale=minilm", f"model.path={tmp_path}", f"data.root={tmp_path}", "data.max_length=511"]
    for kind, expected in (("bert", None), ("roberta", "511 is more than the 510 positions of minilm")):
        facts = {"model_type": kind, "max_position_embeddings": 512, "pad_token_id": 1}
        (tmp_path / "config.json").write_text(json.dumps(facts), encoding="utf-8")
        if expected is None:
            load(files)
        else:
            assert expected in "\n".join(problems(*files))


def test_targets_that_a_tuned_mapping_lacks_are_named() -> None:
    register()
    composed = composed_from(["targets.name=qkv"])
    composed.tuned.common.bank_lr = {"qv": 1e-2, "all": 1e-3}
    cfg, found = read(composed)
    assert found == [
        "optim.bank_lr: the tuned table has bank_lr for qv, all only, not for qkv; set optim.bank_lr=..."
    ]
    assert cfg.optim.epochs == 8


def test_targets_without_a_tuned_value_still_give_the_other_problems() -> None:
    register()
    composed = composed_from(["targets=none", "optim.warmup_ratio=2"])
    composed.tuned.common.bank_lr = {"qv": 1e-2, "all": 1e-3}
    with pytest.raises(ConfigError) as caught:
        require(*read(composed))
    text = str(caught.value)
    assert "optim.bank_lr: " in text and "names none" in text and "warmup_ratio" in text


def test_own_model_has_its_own_name_and_borrows_a_table(tmp_path: Path) -> None:
    own = ["scale=local", f"model.path={tmp_path}", f"data.root={tmp_path}", "tuned=vblora/minilm"]
    cfg = load([*own, "model.name=mine", "variant=first"])
    assert run_id(cfg) == "glue/sst2/mine/vblora-qv-first/seed0" and cfg.scale.name == "local"
    assert load([*own, "model.name=mine"]).variant == load([*own, "model.name=yours"]).variant
    assert "model.name" in "\n".join(problems(*own))


def test_missing_table_asks_for_the_values() -> None:
    found = "\n".join(
        problems("model=roberta_base", "method=peft", "method.name=ia3", "method.options.peft_type=IA3")
    )
    for key in ("optim.epochs", "optim.batch_size", "optim.adapter_lr", "optim.head_lr"):
        assert f"set {key}=..." in found


@pytest.mark.parametrize(
    "override", ["optim.haed_lr=1", "modle=roberta_base", "task=colla", "optim.epochs=many"]
)
def test_hydra_names_a_misspelt_key_group_choice_or_type(override: str) -> None:
    with pytest.raises(HydraException, match=override.partition("=")[0].rpartition(".")[2]):
        load([override])


def test_config_error_survives_the_way_from_a_worker() -> None:
    error = pickle.loads(pickle.dumps(ConfigError(["one", "two"])))
    assert error.problems == ["one", "two"] and "2 problems" in str(error)


def test_run_id_writes_no_paper_variant() -> None:
    cfg = load(["row=vblora_all", "task=stsb", "seed=4"])
    assert run_id(cfg) == "glue/stsb/tiny_roberta/vblora-all/seed4"
    assert run_id(replace(cfg, variant="k3")) == "glue/stsb/tiny_roberta/vblora-all-k3/seed4"
