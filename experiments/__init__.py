"""The paper's experiments: configuration, pipeline, records and tables. They use vblora, not the reverse."""

import logging

# bitsandbytes, which PEFT imports, warns of a missing kernel that only its own speed depends on.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
