import pytest

from experiments.spelling import misspelt


def test_every_wrong_key_and_choice_is_named_with_what_there_is() -> None:
    found = misspelt(
        ["-m", "optim.epoch=3", "task=cola,colla", "sede=1", "row=nothing", "tuned=lora/mini", "+optim.foo=1"]
    )
    assert [line.split(";")[0] for line in found] == [
        "optim.epoch: 'epoch' is unknown (did you mean epochs?)",
        "task: 'colla' is unknown (did you mean cola?)",
        "sede: 'sede' is unknown (did you mean seed?)",
        "row: 'nothing' is unknown",
        "tuned: 'lora/mini' is unknown (did you mean lora/minilm?)",
        "optim.foo: 'foo' is unknown",
    ]
    assert all("choose from " in line for line in found)


@pytest.mark.parametrize(
    "word",
    [
        *("task=cola,rte", "task=glob(*)", "row=null", "tuned=lora/minilm", "seed=range(3)", "-m", "~row"),
        *("method.options.topk=3", "+method.options.topk=3", "hydra.launcher.n_jobs=8", "scale.seeds='0,1'"),
        *(
            "experiment=glue",
            "launcher=joblib",
            "optim.max_grad_norm=null",
            "data.root=/a/b",
            "task=[unclosed",
        ),
    ],
)
def test_what_exists_or_is_hydras_to_judge_passes(word: str) -> None:
    assert misspelt([word]) == []
