"""Two processes on gloo, all sharded by FSDP2: steps equal those on the whole batch in one process.

Usage: python fsdp_check.py RANK CASE FOLDER; CASE: none or non_reentrant checkpointing, or loaded: sharded by
transformers as it loads the model, so that the adapter stays whole.
"""

import sys

import peft
import torch
import torch.distributed as dist
from ddp_check import build
from tiny_models import LLAMA_ALL, llama, shake, tokens
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from transformers import AutoModelForCausalLM, DistributedConfig

import vblora


def worker(rank: int, checkpointing: str, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    model, adapter = build(checkpointing)
    single, alone = build("none")
    for block in model.roberta.encoder.layer:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    sides = [torch.optim.AdamW(own.param_groups(head_lr=1e-2), fused=True) for own in (adapter, alone)]
    for _ in range(2):  # the second step must compose from the updated parameters
        model(tokens(4).chunk(2)[rank]).logits.sum().backward()
        (single(tokens(4)).logits.sum() / 2).backward()
        for ours, expected in zip(adapter.parameters(), alone.parameters(), strict=True):
            assert isinstance(ours, DTensor) and isinstance(ours.grad, DTensor)
            scale = float(expected.grad.abs().max())
            torch.testing.assert_close(ours.grad.full_tensor(), expected.grad, atol=1e-5 * scale, rtol=1e-4)
        for side in sides:
            side.step()
            side.zero_grad()
    model.eval(), single.eval()
    with torch.no_grad():
        torch.testing.assert_close(model(tokens()).logits, single(tokens()).logits, atol=1e-4, rtol=1e-4)
    check_files(model, single, f"{folder}/{rank}")
    check_refusals(model)
    print("equal")
    dist.destroy_process_group()


def check_files(model, single, folder: str) -> None:
    """What is written gives the outputs of the model that was trained alone; the model stays sharded."""
    with vblora.Store(f"{folder}.vblora", "a") as store:
        store.save(model, "own")
    vblora.save(model, folder)
    vblora.save_peft(model, f"{folder}/peft")
    vblora.save_lora(model, f"{folder}/lora")
    loads = (
        lambda again: vblora.load(again, folder),
        lambda again: vblora.Store(f"{folder}.vblora").load(again, "own"),
        lambda again: vblora.load_peft(again, f"{folder}/peft"),
        lambda again: peft.PeftModel.from_pretrained(again, f"{folder}/lora"),
    )
    for load in loads:
        again, _ = build("none")
        vblora.detach(again)
        load(again.eval())
        with torch.no_grad():
            torch.testing.assert_close(again(tokens()).logits, single(tokens()).logits, atol=1e-4, rtol=1e-4)
    assert all(isinstance(p, DTensor) for p in model.parameters())


def loaded(rank: int, folder: str) -> None:
    """Forward, gradients and file of an adapter on a model that transformers sharded as it loaded it."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    single = llama().train()
    if rank == 0:
        single.save_pretrained(f"{folder}/model", is_main_process=True)
    dist.barrier()
    model = AutoModelForCausalLM.from_pretrained(
        f"{folder}/model", distributed_config=DistributedConfig(fsdp_size=2)
    ).train()
    config = vblora.VBLoRAConfig(rank=2, num_vectors=6, vector_length=16, targets=LLAMA_ALL)
    check_refusals(model, also_train=["norm"])
    for side in (model, single):
        torch.manual_seed(3)
        shake(vblora.attach(side, config))
    ours, expected = (side.vblora["default"] for side in (model, single))
    for side in (model, single):
        side(tokens(2)).logits.sum().backward()
    assert all(isinstance(p, DTensor) for p in model.model.parameters())
    for mine, theirs in zip(ours.parameters(), expected.parameters(), strict=True):
        assert not isinstance(mine, DTensor)
        torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-5, rtol=1e-4)
    if rank == 0:  # alone: nothing has to be gathered
        vblora.save(model, f"{folder}/adapter")
        again = llama()
        vblora.load(again, f"{folder}/adapter")
        torch.testing.assert_close(again.eval()(tokens()).logits, single.eval()(tokens()).logits)
    dist.barrier()
    print("equal")
    dist.destroy_process_group()


def check_refusals(model, **words) -> None:
    config = vblora.VBLoRAConfig(rank=2, num_vectors=6, vector_length=16, targets=["query"])
    calls = [lambda: vblora.attach(model, config, "b", **words)]
    if not words:
        calls += [lambda: vblora.merge(model), lambda: vblora.detach(model)]
    for call in calls:
        try:
            call()
        except vblora.AdapterStateError as error:
            assert "sharded by FSDP" in str(error)
        else:
            raise AssertionError("not refused")


if __name__ == "__main__":
    rank, case, folder = int(sys.argv[1]), *sys.argv[2:]
    loaded(rank, folder) if case == "loaded" else worker(rank, case, folder)
