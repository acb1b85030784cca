import numpy as np
import pytest
import torch
import training_world as world

from experiments.batches import EpochSampler, Rows, collate, encode, epoch_order
from experiments.data.examples import Example

LENGTHS = np.random.default_rng(0).integers(2, 60, size=1003)


@pytest.mark.parametrize("group", [True, False])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 1003])
def test_an_epoch_holds_every_example_once(group: bool, size: int) -> None:
    order = epoch_order(LENGTHS[:size], 8, seed=1, epoch=2, group=group)
    assert sorted(order) == list(range(size))


@pytest.mark.parametrize("group", [True, False])
def test_order_is_a_function_of_seed_and_epoch(group: bool) -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return epoch_order(LENGTHS, 8, seed, epoch, group=group).tolist()

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)
    assert order(1, 2) != order(2, 1)


def padding(order: np.ndarray, batch_size: int) -> float:
    """The share of all cells that is padding."""
    batches = [LENGTHS[order[i : i + batch_size]] for i in range(0, len(order), batch_size)]
    return 1 - LENGTHS.sum() / sum(b.max() * len(b) for b in batches)


def test_grouping_saves_padding_and_mixes_long_and_short_batches() -> None:
    shuffled, grouped = (epoch_order(LENGTHS, 8, 0, 0, group=group) for group in (False, True))
    assert padding(grouped, 8) < 0.1 < 0.3 < padding(shuffled, 8)
    means = LENGTHS[grouped[:1000]].reshape(-1, 8).mean(1)
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.25


def test_sampler_follows_its_epoch() -> None:
    sampler = EpochSampler(LENGTHS, 8, 0, group=True)
    first = list(sampler)
    sampler.epoch = 1
    assert list(sampler) != first == epoch_order(LENGTHS, 8, 0, 0, group=True).tolist()


def encoded(padding: str = "longest", max_length: int = 8):
    examples = [Example("a b c", "d e", 0), Example("a", "b", 1), Example("a b c d e f g", "h i j k l", 1)]
    labels = torch.tensor([0, 1, 1])
    return encode(world.tokenizer(), examples, labels, max_length=max_length, padding=padding)


def test_batch_is_what_the_tokenizer_pads() -> None:
    table, tokenizer = encoded(), world.tokenizer()
    expected = tokenizer(["a b c", "a"], ["d e", "b"], truncation=True, max_length=8, padding=True)
    batch = collate([Rows(table, np.arange(3))[0], Rows(table, np.arange(3))[1]])
    assert batch["input_ids"].tolist() == expected["input_ids"]
    assert batch["attention_mask"].tolist() == expected["attention_mask"]
    assert batch["labels"].tolist() == [0, 1]
    assert all(tensor.dtype == torch.int64 for tensor in batch.values())


def test_a_pair_is_cut_to_max_length_and_keeps_its_separators() -> None:
    table = encoded()
    assert table.lengths.tolist() == [8, 6, 8]
    row = table.batch([2])["input_ids"][0].tolist()
    assert (row[0], row[-1], row.count(2)) == (0, 2, 3)


def test_padding_to_max_length_pads_every_batch() -> None:
    assert encoded("max_length", 12).batch([1])["input_ids"].shape == (1, 12)
    assert encoded("longest", 12).batch([1])["input_ids"].shape == (1, 6)


# Fails if the mask does not hide the padding.
def test_logits_are_equal_for_both_paddings() -> None:
    model = world.backbone().model.eval()
    with torch.no_grad():
        logits = []
        for kind in ("longest", "max_length"):
            batch = encoded(kind, 32).batch([0, 1])
            del batch["labels"]
            logits.append(model(**batch).logits)
    # Equal up to the order of float32 sums over a longer row of zeros.
    torch.testing.assert_close(logits[0], logits[1], rtol=0, atol=2e-6)
