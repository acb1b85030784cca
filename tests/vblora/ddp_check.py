"""Two processes on gloo: the gradients of a split batch equal those of the whole batch in one process.

Usage: python ddp_check.py RANK CHECKPOINTING FOLDER; CHECKPOINTING: none, non_reentrant or reentrant.
"""

import sys

import torch
import torch.distributed as dist
from tiny_models import ROBERTA_ALL, roberta, shake, tokens
from torch.nn.parallel import DistributedDataParallel

import vblora


def build(checkpointing: str):
    model = roberta().train()
    if checkpointing != "none":
        model.activation_checkpointing_enable({"use_reentrant": checkpointing == "reentrant"})
        model.enable_input_require_grads()
    config = vblora.VBLoRAConfig(rank=2, num_vectors=6, vector_length=16, targets=ROBERTA_ALL)
    adapter = vblora.attach(model, config, also_train=["classifier"])
    shake(adapter)
    return model, adapter


def worker(rank: int, checkpointing: str, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    model, adapter = build(checkpointing)
    parallel = DistributedDataParallel(model)
    for _ in range(2):  # the second step must compose from the updated parameters
        try:
            loss = parallel(tokens(4).chunk(2)[rank]).logits.sum()
            with torch.no_grad():
                model(tokens(4))  # another forward in training mode is no sign of reentrant checkpointing
            loss.backward()
        except vblora.AdapterStateError as error:
            print(f"refused: {error}")
            return
        mine = [p.grad.clone() for p in adapter.parameters()]
        single, alone = build("none")
        single.load_state_dict(model.state_dict())
        (single(tokens(4)).logits.sum() / 2).backward()
        for ours, expected in zip(mine, alone.parameters(), strict=True):
            scale = float(expected.grad.abs().max())
            torch.testing.assert_close(ours, expected.grad, atol=1e-5 * scale, rtol=1e-4)
        torch.optim.AdamW(adapter.param_groups(head_lr=1e-3), lr=1e-3, fused=True).step()
        model.zero_grad()
    print("equal")
    dist.destroy_process_group()


if __name__ == "__main__":
    worker(int(sys.argv[1]), sys.argv[2], sys.argv[3])
