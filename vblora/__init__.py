"""VB-LoRA: low-rank adapters composed from one shared bank of vectors (Li, Han, Ji, NeurIPS 2024).

    config = vblora.VBLoRAConfig(rank=4, num_vectors=90, vector_length=256, targets=["query", "value"])
    adapter = vblora.attach(model, config)

Shapes in all docstrings use one legend: `B` batch, `T` tokens, `i`/`o` in/out features, `r` rank, `h` vectors
in the bank, `b` vector length, `k` top-k, `N` sub-vectors of the whole model, `S` sites of one shape. `A` is
(r, i) and `B` is (o, r).
"""

from vblora.adapter import Adapter, AdapterConfig, head_param_groups
from vblora.attachment import activate, attach, detach, disabled
from vblora.errors import AdapterFileError, AdapterStateError, TargetError, VBLoRAError
from vblora.lora_xs import LoRAXS, LoRAXSConfig
from vblora.merging import merge, unmerge
from vblora.peft_adapters import load_peft, save_peft
from vblora.plain_lora import save_lora
from vblora.rows import rows
from vblora.storage import load, save
from vblora.store import Store
from vblora.takeover import take_over
from vblora.tied_lora import TiedLoRA, TiedLoRAConfig
from vblora.vb_lora import VBLoRA, VBLoRAConfig

__version__ = "0.1.0"

__all__ = [
    "Adapter",
    "AdapterConfig",
    "AdapterFileError",
    "AdapterStateError",
    "LoRAXS",
    "LoRAXSConfig",
    "Store",
    "TargetError",
    "TiedLoRA",
    "TiedLoRAConfig",
    "VBLoRA",
    "VBLoRAConfig",
    "VBLoRAError",
    "activate",
    "attach",
    "detach",
    "disabled",
    "head_param_groups",
    "load",
    "load_peft",
    "merge",
    "rows",
    "save",
    "save_lora",
    "save_peft",
    "take_over",
    "unmerge",
]
