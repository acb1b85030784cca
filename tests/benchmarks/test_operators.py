"""What an adapter dispatches does not depend on the machine, so goals are tests here."""

import pytest

from benchmarks import operators


# PEFT's LoRA is the independent yardstick: 2,160 operators on 12 layers of RoBERTa, all linear ones.
@pytest.mark.parametrize("title", ["RoBERTa, 12 layers, all"])
def test_an_adapter_on_all_layers_dispatches_at_most_45_percent_of_loras_operators(title: str) -> None:
    found = operators.counted(operators.CASES[title])["facts"]
    assert found["PEFT LoRA"]["operators"] > 2000 and found["PEFT VB-LoRA"]["operators"] > 5000
    assert found["vblora"]["operators, share"] <= 0.45
    assert found["vblora"]["without views, share"] <= 0.65
