import numpy as np
import pytest
import torch
import training_world as world

from experiments import tasks
from experiments.config import Config, TaskConfig
from experiments.data.examples import Example
from experiments.tasks.base import Scale
from experiments.tasks.glue import GlueTask

SCORES = [Example("a", "b", score) for score in (1.0, 2.0, 4.5)]


def glue(name: str, **data: object) -> GlueTask:
    task = tasks.build(Config(TaskConfig("glue", name), world.data_config(**data)))
    assert isinstance(task, GlueTask)
    return task


@pytest.mark.parametrize(
    ("name", "metric", "num_labels"),
    [("sst2", "accuracy", 2), ("mrpc", "accuracy", 2), ("cola", "matthews", 2), ("qnli", "accuracy", 2),
     ("rte", "accuracy", 2), ("stsb", "pearson", 1)],
)  # fmt: skip
def test_tasks_are_table_1s(name: str, metric: str, num_labels: int) -> None:
    task = glue(name)
    assert (task.family, task.name, task.metric, task.num_labels) == ("glue", name, metric, num_labels)
    assert task.kind == ("regression" if name == "stsb" else "classification")


def test_unknown_task_and_family_name_the_choices() -> None:
    with pytest.raises(ValueError, match="no GLUE task 'wnli'; choose one of sst2, mrpc"):
        glue("wnli")
    with pytest.raises(ValueError, match="no task family 'glu'; choose one of glue"):
        tasks.build(Config(TaskConfig("glu", "cola"), world.data_config()))


def test_losses_are_means_over_the_optimisers_step() -> None:
    logits, classes = torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])
    expected = (np.log(2) + np.log(1 + np.exp(2))) / 8
    assert float(glue("cola").loss(logits, classes, 8)) == pytest.approx(expected)
    targets = torch.tensor([1.0, 1.0])
    assert float(glue("stsb").loss(torch.tensor([[2.0], [4.0]]), targets, 4)) == pytest.approx((1 + 9) / 4)


def test_targets_are_standardised_only_if_asked() -> None:
    assert glue("stsb").scale(SCORES) == Scale(0.0, 1.0)
    assert glue("cola", standardise_targets=True).scale(SCORES) == Scale(0.0, 1.0)
    task = glue("stsb", standardise_targets=True)
    scale = task.scale(SCORES)
    assert (scale.mean, scale.deviation) == pytest.approx((2.5, np.std([1, 2, 4.5])))
    targets = task.encode(world.tokenizer(), SCORES, scale).labels
    assert targets.dtype == torch.float32
    assert (float(targets.mean()), float(targets.std(correction=0))) == pytest.approx((0, 1), abs=1e-6)


def test_constant_targets_are_not_divided_by_zero() -> None:
    assert glue("stsb", standardise_targets=True).scale(SCORES[:1]) == Scale(1.0, 1.0)


def test_answers_are_in_the_labels_units() -> None:
    task, scale = glue("stsb", standardise_targets=True), Scale(2.0, 0.5)
    rows = task.answers(np.array([[0.0], [1.0], [-2.0]], dtype=np.float32), SCORES, scale)
    assert [row["prediction"] for row in rows] == [2.0, 2.5, 1.0]
    assert rows[2] == {"index": 2, "label": 4.5, "prediction": 1.0, "scores": [-2.0]}


def test_a_class_is_the_greatest_logit() -> None:
    examples = [Example("a", None, 1), Example("b", None, 0)]
    rows = glue("cola").answers(np.array([[0.5, 1.5], [1.0, -1.0]]), examples, Scale())
    assert [(row["prediction"], row["label"], row["scores"]) for row in rows] == [
        (1, 1, [0.5, 1.5]),
        (0, 0, [1.0, -1.0]),
    ]


def test_synthetic_data_are_described() -> None:
    data = glue("rte").data()
    assert set(data.splits) == {"train", "validation"}
    assert data.description["source"] == "synthetic"
    assert data.description["num_train"] == len(data.splits["train"])
    assert len(str(data.description["sha256"])) == 64
