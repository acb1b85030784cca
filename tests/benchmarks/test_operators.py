"""What an adapter dispatches does not depend on the machine, so goals are tests here."""

import pytest
import torch

from benchmarks import composition, operators, presets


# PEFT's LoRA is the independent yardstick: 2,160 operators on 12 layers of RoBERTa, all linear ones.
@pytest.mark.parametrize("title", ["RoBERTa, 12 layers, all"])
def test_an_adapter_on_all_layers_dispatches_at_most_45_percent_of_loras_operators(title: str) -> None:
    found = operators.counted(operators.CASES[title])["facts"]
    assert found["PEFT LoRA"]["operators"] > 2000 and found["PEFT VB-LoRA"]["operators"] > 5000
    assert found["vblora"]["operators, share"] <= 0.45
    assert found["vblora"]["without views, share"] <= 0.65


def test_only_what_the_adapter_adds_is_counted() -> None:
    """The model's own operators fall away: twice the layers, twice LoRA's operators."""
    base = presets.Case(presets.roberta(1, 64, 4), presets.ROBERTA, vector_length=32)
    double = presets.Case(presets.roberta(2, 64, 4), presets.ROBERTA, vector_length=32)
    once, twice = (operators.counted(case)["facts"]["PEFT LoRA"] for case in (base, double))
    assert twice["operators"] == 2 * once["operators"] == 2 * 6 * 30  # 30 a site


def test_composition_is_timed_with_its_bytes() -> None:
    found = composition.case(2, [(512, 256), (256, 512)], 7, rounds=1)
    assert list(found["sides"]) == ["PEFT VB-LoRA", "vblora"]
    for facts in found["facts"].values():
        assert facts["operators"] > 20 and facts["MB moved"] > 0


def test_a_step_trains_the_adapter_and_the_head_on_every_side() -> None:
    case = presets.Case(presets.roberta(1, 64, 4), presets.ROBERTA, vector_length=32)
    base = presets.built(case)
    for side in presets.SIDES:
        trained = presets.Trained(case, side, base)
        before = [parameter.detach().clone() for parameter in trained.parameters]
        for _ in range(2):  # LoRA's B is zero at first, so its A moves in the second step
            trained.step()
        moved = [not torch.equal(p, old) for p, old in zip(trained.parameters, before, strict=True)]
        assert all(moved), side
        assert any(p is q for p in base.parameters() for q in trained.model.parameters()), side
