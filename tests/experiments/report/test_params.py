"""Tests of experiments/report/params.py and architectures.py: which printed counts follow."""

import pytest

from experiments.report import architectures, params, published
from experiments.report.published import PublishedRow

PRINTED = [row for n in (1, 2, 3, 4) for row in published.rows(f"table{n}") if row.params]
EXPLAINED = {
    ("roberta_base", "vblora", "qv"): (23_904, 23_472),
    ("roberta_large", "vblora", "qv"): (25_344, 24_192),
    ("gpt2_large", "vblora", "all"): (115_520, 128_480),
    ("llama2_7b", "vblora", "all"): (602_368, 758_528),
    ("llama2_13b", "vblora", "all"): (707_648, 1_074_368),
    ("mistral_7b", "vblora", "all"): (606_208, 647_168),
    ("gemma_7b", "vblora", "all"): (621_952, 670_784),
}
UNEXPLAINED = {
    ("gpt2_medium", "full", "full"): 354_823_168,
    ("gpt2_medium", "lora", "qv"): 393_216,
    ("gpt2_large", "lora", "qv"): 737_280,
}


def key(row: PublishedRow) -> tuple[str, str, str]:
    return row.model, row.method, row.targets


@pytest.mark.parametrize("row", PRINTED, ids=lambda row: "-".join(key(row)))
def test_every_printed_count_follows_or_is_accounted_for(row: PublishedRow) -> None:
    value = params.count(*key(row))
    if key(row) in EXPLAINED:
        reading = params.reading(row)
        assert (value, reading.value) == EXPLAINED[key(row)]
        assert params.follows(EXPLAINED[key(row)][1], row.params)
        assert not params.follows(value, row.params)
    elif key(row) in UNEXPLAINED:
        assert value == UNEXPLAINED[key(row)]
        assert not params.follows(value, row.params)
        assert params.reading(row).value is None
    else:
        assert params.follows(value, row.params)


@pytest.mark.parametrize(
    ("value", "printed", "expected"),
    [(294_912, "0.295", True), (23_904, "0.023", False), (23_500, "0.024", True), (802_816, "0.80", True),
     (802_816, "0.8", True), (7_241_732_096, "7242", True), (805_000, "0.80", False)],
)  # fmt: skip
def test_following_means_rounding_to_the_printed_digits(value: int, printed: str, expected: bool) -> None:
    assert params.follows(value, printed) is expected


def test_query_key_value_of_gpt2_are_slices_unless_c_attn_is_named() -> None:
    sites = architectures.sites("gpt2_medium", "all")
    names = [site.name for site in sites if ".h.0." in site.name]
    assert names[:3] == [f"transformer.h.0.attn.c_attn.{part}" for part in ("query", "key", "value")]
    assert {(site.in_features, site.out_features) for site in sites if "c_attn" in site.name} == {
        (1024, 1024)
    }
    fused = [site for site in architectures.sites("gpt2_medium", "fused") if "c_attn" in site.name]
    assert {site.out_features for site in fused} == {3072}


def test_c_attn_as_one_matrix_counts_less() -> None:
    counts = [params.count(model, "vblora", "fused") for model in ("gpt2_medium", "gpt2_large")]
    assert counts == [74_752, 112_640]
    assert params.count("gpt2_medium", "vblora", "all") == 75_904


def test_models_take_no_memory_and_have_no_adapted_head() -> None:
    for model in architectures.ARCHITECTURES:
        built = architectures.build(model)
        assert all(parameter.is_meta for parameter in built.parameters())
        for targets in architectures.layers(model)["layers"]:
            names = [site.name for site in architectures.sites(model, targets)]
            assert not any("classifier" in name or "lm_head" in name for name in names)


def test_layers_are_those_that_the_runs_adapt() -> None:
    """One source, conf/layers, whichever way it is read."""
    from experiments.composing import load

    for family, model, row in (("", "roberta_large", "vblora_qv"), ("e2e/", "gpt2_large", "vblora_all")):
        cfg = load([f"scale={family}paper", f"model={model}", f"row={row}"])
        known = architectures.layers(model)
        assert cfg.targets.modules == known["layers"][cfg.targets.name]
        assert cfg.targets.splits == known.get("splits", {})


def test_notes_show_pefts_rule_for_the_size_of_an_index() -> None:
    notes = " ".join(params.table().notes)
    assert "with GPT-2 medium's 256 and c_attn as one, it gives 77,824, not 74,752" in notes


def test_table_names_every_row() -> None:
    shown = params.table()
    rows = [row for block in shown.blocks for row in block]
    assert len(rows) == len(PRINTED)
    assert sum(row[5].text == "no" for row in rows) == len(EXPLAINED) + len(UNEXPLAINED)
    assert all(bool(row[6].text) == (row[5].text == "no") for row in rows)
