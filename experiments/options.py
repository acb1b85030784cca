"""Checks options from YAML against a configuration class: unknown names and wrong types, all at once."""

import dataclasses
import types
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def unknown(place: str, value: object, choices: Collection[str]) -> str:
    """The sentence for a value that is none of the choices, with the likely one if there is any."""
    close = get_close_matches(str(value), list(choices), n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{place}: {value!r} is unknown{hint}; choose from {', '.join(choices)}"


def problems(place: str, options: Mapping[str, Any], kind: type, reserved: Collection[str] = ()) -> list[str]:
    """Every option that the class does not have, or whose value has another type.

    Args:
        place: where the options stand, for the message.
        options: arguments for `kind`.
        kind: a dataclass.
        reserved: fields that the caller sets itself.
    """
    hints = get_type_hints(kind)
    names = [item.name for item in dataclasses.fields(kind) if item.init and item.name not in reserved]
    found = []
    for name, value in options.items():
        if name in reserved:
            found.append(f"{place}.{name}: is set by the pipeline and cannot be given here")
        elif name not in names:
            found.append(unknown(place, name, names))
        elif not fits(value, hints[name]):
            found.append(f"{place}.{name}: {value!r} is no {_words(hints[name])}")
    return found


def fits(value: Any, hint: Any) -> bool:
    """Whether a value from YAML can stand where a type hint is written; an unknown hint lets all pass."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    kind = origin or hint
    if kind in (bool, str, types.NoneType):
        return isinstance(value, kind)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind in (list, tuple, set, Sequence):
        return isinstance(value, list) and all(fits(item, _element(arguments)) for item in value)
    return isinstance(value, Mapping) if kind in (dict, Mapping) else True


def _element(arguments: tuple[Any, ...]) -> Any:
    return arguments[0] if arguments else Any


def _words(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
