"""Two processes on gloo, all sharded by FSDP2: steps equal those on the whole batch in one process.

Usage: python fsdp_check.py RANK CHECKPOINTING FOLDER; CHECKPOINTING: none or non_reentrant.
"""

import sys

import peft
import torch
import torch.distributed as dist
from ddp_check import build
from tiny_models import tokens
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

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


def check_refusals(model) -> None:
    config = vblora.VBLoRAConfig(rank=2, num_vectors=6, vector_length=16, targets=["query"])
    for call in (
        lambda: vblora.attach(model, config, "b"),
        lambda: vblora.merge(model),
        lambda: vblora.detach(model),
    ):
        try:
            call()
        except vblora.AdapterStateError as error:
            assert "sharded by FSDP" in str(error)
        else:
            raise AssertionError("not refused")


if __name__ == "__main__":
    worker(int(sys.argv[1]), sys.argv[2], sys.argv[3])
