"""The paper's experiments: configuration, pipeline, records and tables. They use vblora, not the reverse."""

import logging
import os

# bitsandbytes, which PEFT imports, warns of a missing kernel that only its own speed depends on.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
# torch reads it once, before its first tensor: huge pages for large tensors of the CPU on Linux, which for
# logits otherwise spends as much time on handing out pages of 4 KiB as on computing.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
