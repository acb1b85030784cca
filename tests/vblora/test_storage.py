import base64
import dataclasses
import json
import os
import zlib

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_models import ROBERTA_ALL, gpt2, roberta, shake, tokens

import vblora
from vblora import AdapterFileError, AdapterStateError, VBLoRAError
from vblora.adapter_file import Blob, digest
from vblora.counting import vblora_stored_bytes
from vblora.storage import file_of, load_from

SETTINGS = {"rank": 2, "num_vectors": 6, "vector_length": 16, "targets": ROBERTA_ALL}


@pytest.fixture
def model():
    model = roberta()
    vblora.attach(model, vblora.VBLoRAConfig(**SETTINGS), also_train=["classifier"])
    shake(model.vblora)
    shake(model.classifier)
    return model


def logits(model):
    with torch.no_grad():
        return model(tokens()).logits


def rewrite(path, change):
    """Write the file again after `change(header, tensors)`, with a checksum that fits."""
    with safe_open(str(path), framework="pt") as file:
        header = json.loads(file.metadata()["vblora"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # no dict
    header["sites"] = json.loads(zlib.decompress(base64.b64decode(header["sites"])))
    change(header, tensors)
    if "sites" in header:
        header["sites"] = base64.b64encode(zlib.compress(json.dumps(header["sites"]).encode())).decode()
    header["sha256"] = digest(tensors)
    save_file(tensors, str(path), {"vblora": json.dumps(header)})


def refused(folder, message, build=roberta):
    """The file is refused and the model is as before: nothing attached, no weight or generator changed."""
    model = build()
    before, state = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    with pytest.raises(AdapterFileError, match=message):
        vblora.load(model, folder)
    assert not hasattr(model, "vblora")
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("kind", ["trained", "topk"])
def test_the_head_comes_back_too(model, kind, tmp_path):
    vblora.save(model, tmp_path, kind)
    again = roberta()
    vblora.load(again, tmp_path)
    torch.testing.assert_close(logits(again), logits(model), atol=1e-6, rtol=1e-6)
    assert torch.equal(again.classifier.dense.weight, model.classifier.dense.weight)
    assert again.classifier.dense.weight.requires_grad


def test_loading_moves_no_random_generator(model, tmp_path):
    vblora.save(model, tmp_path)
    again, state = roberta(), torch.get_rng_state()
    vblora.load(again, tmp_path)
    assert torch.equal(torch.get_rng_state(), state)


def test_topk_tensors_take_the_bytes_that_the_paper_counts(model):
    adapter = model.vblora["default"]
    stored = sum(tensor.nbytes for tensor in adapter.stored().values())
    assert stored == vblora_stored_bytes(adapter.sites, adapter.config)


@pytest.mark.parametrize("num_vectors, dtype", [(256, torch.uint8), (257, torch.uint16)])
def test_indices_take_the_smallest_type(num_vectors, dtype, tmp_path):
    model = roberta()
    adapter = vblora.attach(model, vblora.VBLoRAConfig(**SETTINGS | {"num_vectors": num_vectors}))
    shake(adapter)
    assert adapter.stored()["indices"].dtype == dtype
    vblora.save(model, tmp_path, "topk")
    again = roberta()
    vblora.load(again, tmp_path)
    assert torch.equal(again.vblora["default"].bank.indices, adapter.bank.mixtures().columns)


@pytest.mark.parametrize("topk", [1, 2, 3, 6])
def test_restored_weights_are_positive_and_sum_to_one(topk, tmp_path):
    """PEFT restores the smallest weight, which at k ≥ 3 can fall below zero; here they are a softmax."""
    model = roberta()
    adapter = vblora.attach(model, vblora.VBLoRAConfig(**SETTINGS | {"topk": topk}))
    shake(adapter, 30.0)  # saturated softmax: the smallest weights are far below float32's resolution of 1
    vblora.save(model, tmp_path, "topk")
    again = roberta()
    bank = vblora.load(again, tmp_path).bank
    assert (bank.weights >= 0).all() and (bank.weights[:, 0] >= 1 / topk - 1e-6).all()
    assert torch.equal(bank.weights, adapter.bank.mixtures().weights())
    assert torch.isfinite(logits(again)).all()


def test_a_topk_adapter_cannot_be_trained(model, tmp_path):
    vblora.save(model, tmp_path, "topk")
    again = roberta()
    adapter = vblora.load(again, tmp_path)
    assert not any(p.requires_grad for p in adapter.parameters())
    with pytest.raises(AdapterStateError, match="comes from a top-k file and cannot be trained"):
        adapter.param_groups(head_lr=1.0)
    with pytest.raises(AdapterStateError, match='can only be saved with kind="topk"'):
        vblora.save(again, tmp_path)
    vblora.save(again, tmp_path / "copy", "topk")
    third = roberta()
    vblora.load(third, tmp_path / "copy")
    assert torch.equal(logits(third), logits(again))


def test_every_selection_survives_a_topk_file(tmp_path):
    for selection in vblora.admixture.SELECTIONS:
        model = roberta()
        shake(vblora.attach(model, vblora.VBLoRAConfig(**SETTINGS, selection=selection)))
        vblora.save(model, tmp_path, "topk")
        again = roberta()
        vblora.load(again, tmp_path)
        torch.testing.assert_close(logits(again), logits(model), atol=2e-6, rtol=1e-5)


def test_a_second_adapter_loads_beside_the_first(model, tmp_path):
    vblora.save(model, tmp_path)
    vblora.load(model, tmp_path, "second")
    assert torch.equal(logits(model), logits(roberta_with(tmp_path)))
    with pytest.raises(AdapterStateError, match="'second' is attached already"):
        vblora.load(model, tmp_path, "second")


def roberta_with(folder):
    model = roberta()
    vblora.load(model, folder)
    return model


def test_a_missing_file_raises(tmp_path):
    refused(tmp_path, "no such file; vblora.save writes vblora.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.999])
def test_a_truncated_file_raises(model, share, tmp_path):
    path = vblora.save(model, tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(tmp_path, "not a whole safetensors file")


def test_a_flipped_bit_anywhere_in_the_tensors_raises(model, tmp_path):
    path = vblora.save(model, tmp_path, "topk")
    content = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    for position in range(start, len(content), (len(content) - start) // 7):
        broken = bytearray(content)
        broken[position] ^= 1
        path.write_bytes(broken)
        refused(tmp_path, "checksum is wrong")


def test_a_file_in_memory_is_read_and_checked_as_one_on_disk(model):
    data = file_of(model.vblora["default"], "topk", "exact")
    again = roberta()
    load_from(again, Blob("a blob", data), "default", None)
    assert torch.equal(logits(again), logits(model))
    start = 8 + int.from_bytes(data[:8], "little")
    flipped = data[:start] + bytes([data[start] ^ 1]) + data[start + 1 :]
    for broken in (b"", data[:5], data[:-1], flipped):
        fresh = roberta()
        with pytest.raises(AdapterFileError, match="a blob: .*(cut off|checksum)"):
            load_from(fresh, Blob("a blob", broken), "default", None)
        assert not hasattr(fresh, "vblora")


def test_a_header_that_promises_more_than_there_is_raises(tmp_path):
    (tmp_path / "vblora.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")
    refused(tmp_path, "not a whole safetensors file")


def test_a_pickle_is_not_even_opened(tmp_path):
    torch.save({"a": torch.zeros(2)}, tmp_path / "vblora.safetensors")
    refused(tmp_path, "not a whole safetensors file")


def test_a_foreign_safetensors_file_raises(tmp_path):
    save_file({"a": torch.zeros(2)}, str(tmp_path / "vblora.safetensors"))
    refused(tmp_path, "a safetensors file of something else")


HEADERS = {
    "other format": (lambda h, t: h.update(format=99), "format 99 is not 2"),
    "missing field": (lambda h, t: h.pop("sites"), "must hold just"),
    "foreign field": (lambda h, t: h.update(more=1), "must hold just"),
    "wrong type": (lambda h, t: h.update(head="classifier"), "must hold just"),
    "unknown kind": (lambda h, t: h.update(kind="pickle"), "must hold just"),
    "unknown method": (lambda h, t: h.update(method="lora"), "method 'lora' is unknown"),
    "config field": (lambda h, t: h["config"].update(eval="1"), "configuration must hold just"),
    "impossible rank": (lambda h, t: h["config"].update(rank=-1), "rank -1"),
    "huge rank": (lambda h, t: h["config"].update(rank=10**12), "rank 1000000000000 is more than 32"),
    "huge bank": (lambda h, t: h["config"].update(num_vectors=10**15), r"U8, expected"),
    "other top-k": (lambda h, t: h["config"].update(topk=3), r"U8, expected"),
    "renamed site": (lambda h, t: h["sites"][0].__setitem__(0, "x"), "another model: .* has no module x"),
    "other size": (lambda h, t: h["sites"][0].__setitem__(1, 64), "the first that differs: here"),
    "no linear site": (lambda h, t: h["sites"][0].__setitem__(0, "roberta"), "cannot be adapted"),
    "splits of a foreign type": (lambda h, t: h["config"].update(splits=3), "splits 3 is not of the form"),
    "dropout of a foreign type": (lambda h, t: h["config"].update(dropout="x"), "dropout 'x' is not a"),
    "no regular expression": (lambda h, t: h["config"].update(targets="("), "is no regular expression"),
    "negative start": (lambda h, t: h["config"].update(init_logits_std=-1), "init_logits_std -1 is not"),
    "unknown head": (lambda h, t: h.update(head=["scorer"]), "this one has no module scorer"),
    "tensor missing": (lambda h, t: t.pop("adapter.weights"), r"tensors missing: \['adapter.weights'\]"),
    "tensor too many": (lambda h, t: t.update(x=torch.zeros(1)), r"do not belong: \['x'\]"),
    "tensor of other size": (
        lambda h, t: t.update({"adapter.vectors": torch.zeros(5, 16)}),
        r"adapter.vectors is \[5, 16\] F32, expected \[6, 16\]",
    ),
    "tensor of other type": (
        lambda h, t: t.update({"adapter.vectors": torch.zeros(6, 16, dtype=torch.float64)}),
        "F64, expected",
    ),
    "not a number": (lambda h, t: t["adapter.vectors"].fill_(float("nan")), "holds NaN or infinity"),
    "index beyond the bank": (lambda h, t: t["adapter.indices"].fill_(6), "beyond the 6 vectors"),
    "weights beyond 1": (
        lambda h, t: t["adapter.weights"].fill_(0.9),
        "difference to the largest is above 0",
    ),
}


@pytest.mark.parametrize("name", HEADERS)
def test_an_edited_file_with_a_fitting_checksum_raises(model, name, tmp_path):
    change, message = HEADERS[name]
    rewrite(vblora.save(model, tmp_path, "topk"), change)
    refused(tmp_path, message)


def test_metadata_that_is_no_json_raises(model, tmp_path):
    for text in ("{", "[" * 100_000, '"text"', '{"format": 1}'):
        save_file({"a": torch.zeros(1)}, str(tmp_path / "vblora.safetensors"), {"vblora": text})
        refused(tmp_path, "vblora.safetensors")


def test_a_file_of_another_model_raises(model, tmp_path):
    vblora.save(model, tmp_path)
    refused(tmp_path, "made for another model: GPT2LMHeadModel has no module roberta", gpt2)


def test_a_regular_expression_of_a_file_is_not_run(model, tmp_path):
    """This one takes longer than anyone waits on names of this length."""
    path = vblora.save(model, tmp_path)
    rewrite(path, lambda header, _: header["config"].update(targets="([a-z._0-9]+)+!"))
    vblora.load(roberta(), tmp_path)


# Fails if the adapter is attached before its tensors are checked.
def test_a_refused_file_leaves_another_adapter_active_and_trainable(model, tmp_path):
    vblora.save(model, tmp_path, "topk")
    rewrite(tmp_path / "vblora.safetensors", HEADERS["index beyond the bank"][0])
    expected, trains = logits(model), [name for name, p in model.named_parameters() if p.requires_grad]
    with pytest.raises(AdapterFileError):
        vblora.load(model, tmp_path, "second")
    assert list(model.vblora) == ["default"] and model.vblora.active == "default"
    assert torch.equal(logits(model), expected)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == trains


def test_a_head_with_counters_comes_back(tmp_path):
    def build():
        model = roberta()
        model.classifier.norm = torch.nn.BatchNorm1d(2)
        return model

    model = build()
    vblora.attach(model, vblora.VBLoRAConfig(**SETTINGS), also_train=["classifier"])
    model.classifier.norm.num_batches_tracked += 7
    vblora.save(model, tmp_path)
    again = build()
    vblora.load(again, tmp_path)
    assert again.classifier.norm.num_batches_tracked == 7


def test_a_file_has_the_users_own_permissions(model, tmp_path):
    path, other = vblora.save(model, tmp_path), tmp_path / "other"
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


def test_nan_is_not_saved_and_the_old_file_stays(model, tmp_path):
    path = vblora.save(model, tmp_path)
    content = path.read_bytes()
    with torch.no_grad():
        model.vblora["default"].bank.vectors[0, 0] = float("nan")
    with pytest.raises(VBLoRAError, match="holds NaN or infinity; nothing was saved"):
        vblora.save(model, tmp_path)
    assert path.read_bytes() == content


def test_a_failed_write_leaves_the_old_file_and_no_rest(model, tmp_path, monkeypatch):
    path = vblora.save(model, tmp_path)
    content = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        vblora.save(model, tmp_path)
    assert path.read_bytes() == content and list(tmp_path.iterdir()) == [path]


def test_an_unknown_kind_raises(model, tmp_path):
    with pytest.raises(VBLoRAError, match="kind 'best' is unknown; choose one of trained, topk"):
        vblora.save(model, tmp_path, "best")


def test_the_configuration_comes_back_field_by_field(model, tmp_path):
    vblora.save(model, tmp_path)
    loaded = vblora.load(roberta(), tmp_path).config
    assert dataclasses.asdict(loaded) == dataclasses.asdict(model.vblora["default"].config)
