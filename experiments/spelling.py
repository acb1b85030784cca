"""Keys and choices on a command line that do not exist, all at once and with what there is.

optim.epoch: 'epoch' is unknown (did you mean epochs?); choose from epochs, batch_size, …
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, get_type_hints

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException

from experiments import options
from experiments.composing import CONF
from experiments.config import Config


def misspelt(words: Sequence[str]) -> list[str]:
    """Every key and every choice on a command line that does not exist, a sentence each.

    Hydra would name the first alone, and not what there is. What it finds wrong in the syntax is left to it.
    """
    asked = [word for word in words if "=" in word and not word.startswith(("-", "~"))]
    try:
        overrides = OverridesParser.create().parse_overrides(asked)
    except HydraException:
        return []
    return [problem for override in overrides for problem in _misspelt(override)]


def _misspelt(override: Override) -> Iterator[str]:
    key = override.key_or_group
    if (CONF / key).is_dir():
        choices = sorted(str(p.relative_to(CONF / key).with_suffix("")) for p in (CONF / key).rglob("*.yaml"))
        for value in _chosen(override):
            if value not in (*choices, "null"):
                yield options.unknown(key, value, choices)
    elif not key.startswith("hydra"):
        yield from _unknown_key(key)


def _chosen(override: Override) -> list[str]:
    """The choices of a group that an override names; none for a glob, which takes what there is."""
    if isinstance(override.value(), Glob):
        return []
    if override.is_sweep_override():
        return [str(value) for value in override.sweep_string_iterator()]
    return [override.get_value_element_as_str()]


def _unknown_key(key: str) -> Iterator[str]:
    kind: Any = Config
    for part in key.split("."):
        if not dataclasses.is_dataclass(kind):
            return  # inside a mapping, whose keys are not known here
        fields = get_type_hints(kind)
        if part not in fields:
            yield options.unknown(key, part, list(fields))
            return
        kind = fields[part]
