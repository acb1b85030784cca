"""Two steps of every row of Tables 2 to 4 on a hardly pretrained model, through the whole pipeline."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import text_world

from experiments import claims, engines, pipeline, records
from experiments.composing import load
from experiments.grading import answers
from experiments.records import RunRecord

# A model of two steps may say nothing; a machine may lack Java.
pytestmark = pytest.mark.filterwarnings("ignore:.*(empty|Java).*:UserWarning")
ROWS = [
    *[("e2e", row) for row in ("none", "full", "lora_qv", "vera_qv", "vblora_all", "vblora_fused")],
    *[("instruct", row) for row in ("none", "lora_all", "vera_all", "vblora_all")],
    *[("math", row) for row in ("none", "full", "lora_all", "lora_xs_all", "vblora_all")],
]
SCORES = {
    "e2e": {"bleu", "nist", "nist_perl", "cider"},
    "instruct": {"answered", "mt_bench"},
    "math": {"gsm8k", "gsm8k_released", "gsm8k_exact", "gsm8k_num_differ", "math"},
}
# Of a method, beside its options: of few layers a few vectors.
SMALL = {"vblora": ["method.options.num_vectors=8", "method.options.vector_length=32"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("text")


def run(family: str, row: str, folder: Path, *words: str) -> RunRecord:
    more = SMALL.get(row.partition("_")[0], [])
    cfg = load(text_world.overrides(family, folder, f"row={row}", *more, *words))
    record = pipeline.run(cfg)
    assert record.status == "success", record.error
    assert records.read(claims.record_path(cfg)) == record
    assert answers.grade(answers.read(claims.answers_path(cfg))) == (record.outcome or {})["scores"]
    assert str(folder) not in claims.record_path(cfg).read_text(encoding="utf-8")
    return record


@pytest.mark.parametrize(("family", "row"), ROWS, ids=["-".join(each) for each in ROWS])
def test_two_steps_give_a_whole_record(family: str, row: str, folder: Path) -> None:
    outcome = run(family, row, folder, "force=true").outcome or {}  # tests may run in any order
    assert outcome["scores"].keys() >= SCORES[family]
    assert outcome["metric"] in outcome["scores"]
    assert outcome["num_steps"] == (0 if row == "none" else 2)
    assert outcome["answered_by"] == ("start" if row == "none" else "last epoch")
    assert (outcome["stored_params"] == 0) == (row == "none")


@pytest.mark.parametrize("row", ["lora_all", "vblora_all"])
def test_merged_model_gives_the_answers_of_the_adapted_one(row: str, folder: Path) -> None:
    """The tuned answers differ from the untuned ones, so a merge that is left out is seen."""
    rates = {
        "lora_all": ["optim.adapter_lr=0.05"],
        "vblora_all": ["optim.bank_lr=0.1", "optim.logits_lr=0.1", "method.options.init_bank_bound=0.5"],
    }
    words = [*rates[row], "optim.epochs=4", "force=true"]
    found = [run("math", row, folder, *words, f"generation.merge={merge}") for merge in ("true", "false")]
    one, other = (record.outcome or {} for record in found)
    assert one["answers_sha256"] == other["answers_sha256"]
    plain = run("math", "none", folder, "force=true").outcome or {}
    assert one["answers_sha256"] != plain["answers_sha256"]


def test_run_cancelled_while_it_answers_goes_on_there_and_ends_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training is not repeated and no batch is answered twice."""
    words = ["generation.batch_size=4", "force=true"]
    whole = run("math", "lora_all", folder, *words).outcome
    build, asked = engines.build, []

    def dying(*arguments: Any) -> engines.Engine:
        engine = build(*arguments)

        def answer(prompts: Sequence[Sequence[int]], most: int) -> list[list[int]]:
            asked.append(len(prompts))
            if len(asked) == 2:
                raise KeyboardInterrupt
            return engine(prompts, most)

        return answer

    monkeypatch.setattr(engines, "build", dying)
    with pytest.raises(KeyboardInterrupt):
        run("math", "lora_all", folder, *words)
    again = run("math", "lora_all", folder, *words)
    assert again.outcome == whole
    assert again.circumstances["num_resumes"] == 1
    assert asked == [4, 2, 2, 4, 2]  # two groups of six: one batch was done, one was broken off


@pytest.mark.parametrize("epoch", ["last", "best"])
def test_best_epoch_is_the_one_with_the_likeliest_held_out_answers(epoch: str, folder: Path) -> None:
    """At a rate that grows useless the first epoch is best, and its weights answer."""
    words = ["optim.epochs=3", "optim.full_lr=0.5", f"generation.epoch={epoch}", "force=true"]
    outcome = run("math", "full", folder, *words).outcome or {}
    assert outcome["answered_by"] == ("last epoch" if epoch == "last" else f"epoch {outcome['best_epoch']}")
    likelihoods = [entry["scores"]["log_likelihood"] for entry in outcome["history"]]
    assert likelihoods.index(max(likelihoods)) + 1 == outcome["best_epoch"]


@pytest.mark.parametrize("row", ["lora_all", "vera_all", "vblora_all"])
def test_four_bit_layers_are_trained_merged_and_answer(row: str, folder: Path) -> None:
    words = ["model.quantization=nf4", "model.dtype=bfloat16", "generation.merge=true"]
    outcome = run("instruct", row, folder, *words, "force=true").outcome or {}
    assert outcome["num_steps"] == 2
