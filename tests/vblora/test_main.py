"""The command line, on folders of ours and of PEFT's."""

import json
import subprocess
import sys

import peft
import pytest
import torch
from test_peft_adapters import logits, ours, same, theirs
from tiny_models import MODELS, gpt2, roberta, shake
from transformers import RobertaForSequenceClassification

import vblora
from vblora.__main__ import main

SETTINGS = {"rank": 3, "num_vectors": 7, "vector_length": 16}


@pytest.fixture
def saved(tmp_path):
    """A model and the folder of its adapter, with a head."""
    model = ours(head=["classifier"])
    shake(model.classifier)
    vblora.save(model, tmp_path / "ours")
    return model, tmp_path / "ours"


def run(capsys, *words):
    status = main([str(word) for word in words])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def found(capsys, *words):
    status, out, _ = run(capsys, *words, "--json")
    assert status == 0
    return json.loads(out)


def test_inspect_tells_what_is_in_a_file(saved, capsys):
    model, folder = saved
    about = found(capsys, "inspect", folder)
    assert (about["kind"], about["method"], about["rank"], about["num_vectors"]) == (
        "trained",
        "vblora",
        3,
        7,
    )
    assert about["sites"] == 12 and about["head"] == "classifier" and about["can be trained"]
    assert about["of the head"] == sum(p.numel() for p in model.classifier.parameters())
    assert about["bytes"] == (folder / "vblora.safetensors").stat().st_size
    status, out, _ = run(capsys, "inspect", folder / "vblora.safetensors")
    assert status == 0 and "num_vectors" in out


def test_inspect_reads_pefts_folders(tmp_path, capsys):
    theirs(kind="topk").save_pretrained(tmp_path)
    about = found(capsys, "inspect", tmp_path)
    assert about["written by"] == "PEFT" and not about["can be trained"] and about["sites"] == 12


# Fails if the stand-in's layers come in another order than the file's and its rows are not put in order.
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("form", ["trained", "topk", "peft", "peft-topk", "lora"])
def test_convert_keeps_the_outputs_without_the_model(name, form, tmp_path, capsys):
    model, (build, _) = ours(name), MODELS[name]
    vblora.save(model, tmp_path / "ours")
    found(capsys, "convert", tmp_path / "ours", tmp_path / "new", "--to", form)
    again = build()
    if form in ("trained", "topk"):
        vblora.load(again, tmp_path / "new")
    else:
        again = peft.PeftModel.from_pretrained(again, tmp_path / "new")
    same(logits(again), logits(model))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", ["trained", "topk"])
def test_convert_from_peft_fits_the_model_whatever_the_order_of_its_layers(name, kind, tmp_path, capsys):
    model, (build, _) = theirs(name, kind, head=["classifier"] if name == "roberta" else None), MODELS[name]
    shake(model)
    model.save_pretrained(tmp_path / "peft")
    found(capsys, "convert", tmp_path / "peft", tmp_path / "ours", "--to", kind)
    again = build()
    adapter = vblora.load(again, tmp_path / "ours")
    other = build()
    vblora.load_peft(other, tmp_path / "peft")
    same(logits(again), logits(other))
    assert [site.name for site in adapter.sites] == [site.name for site in other.vblora["default"].sites]


def test_slices_convert_too(tmp_path, capsys):
    model = gpt2()
    splits = {"c_attn": ["query", "key", "value"]}
    config = vblora.VBLoRAConfig(rank=2, num_vectors=7, vector_length=16, targets=["query"], splits=splits)
    shake(vblora.attach(model, config))
    vblora.save(model, tmp_path / "ours", kind="topk")
    found(capsys, "convert", tmp_path / "ours", tmp_path / "lora", "--to", "lora", "--base-model", "gpt2")
    settings = json.loads((tmp_path / "lora" / "adapter_config.json").read_text(encoding="utf-8"))
    assert settings["base_model_name_or_path"] == "gpt2"
    same(logits(peft.PeftModel.from_pretrained(gpt2(), tmp_path / "lora")), logits(model))


def test_verify_and_merge_with_the_model(saved, tmp_path, capsys):
    model, folder = saved
    base = roberta()
    base.save_pretrained(tmp_path / "base")
    assert found(capsys, "verify", folder, "--model", tmp_path / "base")["sites"] == 12
    about = found(capsys, "merge", tmp_path / "base", folder, tmp_path / "merged")
    assert about["layers"] == 12 and about["least share kept"] == 1.0
    merged = RobertaForSequenceClassification.from_pretrained(tmp_path / "merged")
    assert not hasattr(merged, "vblora")
    same(logits(merged), logits(model))


def test_what_is_refused_is_told_on_stderr_with_status_1(saved, tmp_path, capsys):
    _, folder = saved
    MODELS["llama"][0]().save_pretrained(tmp_path / "llama")
    file = folder / "vblora.safetensors"
    status, out, err = run(capsys, "verify", folder, "--model", tmp_path / "llama")
    assert status == 1 and not out and "another model" in err
    status, _, err = run(capsys, "verify", folder, "--model", tmp_path / "nothing")
    assert status == 1 and "cannot load" in err
    file.write_bytes(file.read_bytes()[:-1])
    status, _, err = run(capsys, "verify", folder)
    assert status == 1 and "cut off" in err
    status, _, err = run(capsys, "inspect", tmp_path / "nothing")
    assert status == 1 and "no such file" in err
    words = ("--to", "lora", "--precision", "tiny")
    status, _, err = run(capsys, "convert", folder, tmp_path / "x", *words)
    assert status == 1 and "is of --to topk" in err


def test_lora_xs_needs_its_model(tmp_path, capsys):
    model = roberta()
    vblora.attach(model, vblora.LoRAXSConfig(rank=2, targets=["query"]))
    vblora.save(model, tmp_path)
    status, _, err = run(capsys, "inspect", tmp_path)
    assert status == 1 and "without the weights of its model" in err


def test_hostile_names_of_layers_are_refused(tmp_path):
    from vblora.stand_in import stand_in

    for name in ("", "a..b", "vblora.x", "weight.", "forward", "a.b"):
        with pytest.raises(vblora.AdapterFileError, match="cannot be the name"):
            stand_in({"a": (2, 2), name: (2, 2)}, {})
    with pytest.raises(vblora.AdapterFileError, match="cannot be the name"):
        stand_in({"a": (2, 2)}, {"a.weight": torch.zeros(1)})


def test_hostile_sizes_are_refused(tmp_path, capsys):
    from vblora.stand_in import stand_in

    with pytest.raises(vblora.AdapterFileError, match="more than any layer has"):
        stand_in({"a": (2**30, 2**40)}, {})
    theirs().save_pretrained(tmp_path)
    config = tmp_path / "adapter_config.json"
    for rank in ("many", 0, 2**40):
        config.write_text(
            json.dumps(json.loads(config.read_text(encoding="utf-8")) | {"r": rank}), encoding="utf-8"
        )
        status, _, err = run(capsys, "inspect", tmp_path)
        assert status == 1 and err.startswith("AdapterFileError")


def test_a_folder_that_cannot_be_written_is_told(saved, tmp_path, capsys):
    _, folder = saved
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    status, _, err = run(capsys, "convert", folder, tmp_path / "taken", "--to", "lora")
    assert status == 1 and "taken" in err


@pytest.fixture
def store(saved, tmp_path):
    """A store with the adapter, and one that learned against its bank."""
    model, folder = saved
    further = roberta()
    config = vblora.VBLoRAConfig(**SETTINGS, targets=["query"], bank=folder, train_bank=False)
    shake(vblora.attach(further, config).bank)
    vblora.save(further, tmp_path / "further", "topk")
    with vblora.Store(tmp_path / "users.vblora", "a") as store:
        store.save(further, "anna", precision="tiny")
    return tmp_path / "users.vblora", further


def test_store_is_filled_listed_and_emptied(saved, store, tmp_path, capsys):
    (path, _), new = store, tmp_path / "new.vblora"
    assert found(capsys, "add", new, "own", saved[1])["adapters"] == 1
    assert found(capsys, "add", new, "compact", saved[1], "--precision", "compact")["adapters"] == 2
    assert found(capsys, "add", new, "anna", path, "--name", "anna")["adapters"] == 3
    theirs(kind="topk").save_pretrained(tmp_path / "peft")
    assert found(capsys, "add", new, "peft", tmp_path / "peft")["adapters"] == 4
    assert run(capsys, "add", new, "anna", path, "--name", "anna")[0] == 1
    theirs(kind="trained").save_pretrained(tmp_path / "trained")
    assert found(capsys, "add", new, "trained", tmp_path / "trained")["kind"] == "trained"
    assert found(capsys, "remove", new, "trained")["adapters"] == 4
    assert run(capsys, "add", tmp_path / "refused", "x", tmp_path / "further")[0] == 1
    assert not (tmp_path / "refused").exists()
    status, _, err = run(capsys, "inspect", new, "--bank", saved[1])
    assert status == 1 and "--bank has no meaning" in err
    listed = found(capsys, "list", new)
    assert {name: entry["precision"] for name, entry in listed.items()} == {
        **{"own": "exact", "compact": "compact", "anna": "tiny", "peft": "exact"}
    }
    _, text, _ = run(capsys, "list", new)
    assert "anna     vblora, topk, tiny, " in text and ", bank " in text
    assert found(capsys, "inspect", new)["adapters"] == found(capsys, "verify", new)["adapters"] == 4
    assert found(capsys, "remove", new, "peft")["adapters"] == 3
    status, _, err = run(capsys, "remove", tmp_path / "typo", "anna")
    assert status == 1 and "no such file" in err and not (tmp_path / "typo").exists()


def test_an_adapter_in_a_store_is_served_as_any_other(saved, store, tmp_path, capsys):
    path, model = store
    vblora.Store(path).load(model, "anna")  # in its precision
    about = found(capsys, "inspect", path, "--name", "anna")
    assert not about["bank in the file"] and about["precision"] == "tiny"
    assert found(capsys, "verify", path, "--name", "anna")["sites"] == 2
    found(capsys, "convert", path, tmp_path / "lora", "--name", "anna", "--to", "lora")
    same(logits(peft.PeftModel.from_pretrained(roberta(), tmp_path / "lora")), logits(model))
    further = tmp_path / "further"
    status, _, err = run(capsys, "inspect", further)
    assert status == 1 and "give bank=path" in err
    assert found(capsys, "inspect", further, "--bank", path)["sites"] == 2
    status, _, err = run(capsys, "inspect", further, "--name", "anna")
    assert status == 1 and "no meaning here" in err
    status, _, err = run(capsys, "convert", path, tmp_path / "x", "--to", "lora")
    assert status == 1 and "--name says which adapter" in err


def test_the_module_runs_as_a_command(saved):
    _, folder = saved
    words = [sys.executable, "-m", "vblora", "verify", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "whole" in done.stdout
