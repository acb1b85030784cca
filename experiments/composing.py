"""From `conf/` and a command line to a `Config`: Hydra composes, the tuned table fills in, the run is named.

    cfg = load(["row=vblora_qv", "task=cola", "seed=3"])

The tuned table of a method and a model has one row a task and a row `common` for all. `${tuned:epochs}` reads
it for the run's task. A value written as {paper: 30, released: 60} is chosen by `variant`, one written as
{qv: 3e-2, all: 1e-2} by `targets`. A source written as `${hub_or_folder:...}` is the hub, or a folder if one
is given.

A run is the tuned row of its method, model and task, unless a word or an experiment file sets a value, or
chooses other data than the scale's. Then it is a variant with its own run_id: `variant=<name>` names it, else
digits do.
"""

import copy
import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from experiments.config import VARIANTS, Config, ConfigError
from experiments.identity import bank_identity, flat

CONF = Path(__file__).resolve().parents[1] / "conf"
# Words that choose a run's place, watcher or machine; they set no value.
NAMING = (
    *("seed", "variant", "force", "check", "paths.", "tracker.", "hydra.", "data.root"),
    *("scale.seeds", "scale.lengths", "model.sharded"),
)
# Groups that no run_id holds: to choose another than the scale's makes a variant.
UNNAMED = ("data", "optim", "generation", "tuned", "ablation")
EITHER = "hub_or_folder"  # the resolver of a source that is either of the places
PLACES = ("hub", "local")
BANK = "method.options.bank"
NO_NAME = f"choose {', '.join(VARIANTS)}, or set one"
RESOLVING = "ValueError raised while resolving interpolation: "  # how OmegaConf opens what `_tuned` says
# What stands in for a value that could not be read, so that the other problems can still be found.
STAND_IN: dict[type, Any] = {int: 1, float: 0.0, str: "?"}


def register() -> None:
    """Tell Hydra the schema and OmegaConf our resolvers; calling it again changes nothing."""
    ConfigStore.instance().store(name="schema", node=Config)
    OmegaConf.register_new_resolver("tuned", _tuned, replace=True)
    OmegaConf.register_new_resolver(EITHER, _hub_or_folder, replace=True)


def load(overrides: Sequence[str] = ()) -> Config:
    """Compose and check one run.

    Args:
        overrides: as on the command line: `group=choice`, `group.key=value`.

    Raises:
        ConfigError: the run is impossible; all problems in one message.
        hydra.errors.HydraException: a group, choice or key does not exist, or a value has the wrong type.
    """
    register()
    composed = composed_from(list(overrides), return_hydra_config=True)
    cfg, problems = name(composed, composed.hydra.runtime.choices, overrides)
    require(cfg, problems)
    return cfg


def require(cfg: Config, problems: Sequence[str] = ()) -> None:
    """Raise what is wrong with a configuration, with the problems known before.

    Raises:
        ConfigError: the run is impossible; all problems in one message.
    """
    from experiments.checks import check  # here, as it imports torch, which a finished run does not need

    found = [*problems, *check(cfg)]
    if found:
        raise ConfigError(found)


def name(
    composed: DictConfig, choices: Mapping[str, Any], overrides: Sequence[str]
) -> tuple[Config, list[str]]:
    """Read what Hydra composed and give the run its variant.

    Args:
        composed: the run's configuration.
        choices: of every group, as Hydra keeps them in `hydra.runtime.choices`.
        overrides: what the command line asked for.

    Returns:
        The config, and the problems found on the way.
    """
    cfg, problems = read(composed)
    given = _given(overrides, choices, cfg)
    if not given and cfg.variant not in VARIANTS and not problems:
        problems = [f"variant: {cfg.variant} names set values, but none is set; {NO_NAME}"]
    return dataclasses.replace(cfg, variant=_variant(cfg.variant, given)), problems


def read(composed: DictConfig) -> tuple[Config, list[str]]:
    """Turn Hydra's config into dataclasses.

    Returns:
        The config, and every value that could not be read, which has a stand-in there.
    """
    composed = copy.deepcopy(composed)
    with open_dict(composed):
        composed.pop("hydra", None)
    problems = [_repair(node, key, error) for node, key, error in _unreadable(composed)]
    cfg = OmegaConf.to_object(composed)
    assert isinstance(cfg, Config)
    return cfg, problems


def _tuned(key: str, default: Any = None, *, _root_: DictConfig) -> Any:
    """The value of `key` in the tuned table, for the run's task, targets and variant, else `default`."""
    task = OmegaConf.select(_root_, "task.name", default="?")
    rows = [row for row in (_root_.tuned.get(task), _root_.tuned.get("common")) if row and key in row]
    value = rows[0][key] if rows else default
    if not isinstance(value, Mapping):
        return value
    wanted = OmegaConf.select(_root_, "targets.name"), _root_.variant, VARIANTS[0]
    for choice in wanted:
        if choice in value:
            return value[choice]
    raise ValueError(f"the tuned table has {key} for {', '.join(value)} only, not for {wanted[0]}")


def _hub_or_folder(place: str | None, on_hub: str | None) -> str:
    """The source of a model or of data: the hub while the place is what conf/ says, else the folder given."""
    return "hub" if place == on_hub else "local"


def _unreadable(node: Any, place: str = "") -> Iterator[tuple[Any, str, str]]:
    """Leaves that are missing or whose interpolation fails: the parent, the full key and what is wrong."""
    keys = list(node) if isinstance(node, DictConfig) else range(len(node))
    for key in keys:
        full = f"{place}{key}"
        try:
            value = node[key]
        except OmegaConfBaseException as error:
            yield node, full, str(error).splitlines()[0]
            continue
        if OmegaConf.is_config(value) and full != "tuned":
            yield from _unreadable(value, f"{full}.")


def _repair(node: Any, full: str, error: str) -> str:
    """Put a stand-in where a value could not be read, and say what to do about it."""
    key = full.rsplit(".", 1)[-1]
    schema = OmegaConf.get_type(node)
    kinds = get_type_hints(schema) if dataclasses.is_dataclass(schema) else {}
    reads_table = "${tuned:" in str(node._get_node(key)._value())
    node[key] = STAND_IN.get(kinds.get(key, str))
    if reads_table:
        _, _, reason = error.partition(RESOLVING)
        reason = reason or "the tuned table of this method and model has no value for this task"
        return f"{full}: {reason}; set {full}=..."
    return f"{full}: {error}"


def _given(overrides: Sequence[str], choices: Mapping[str, Any], cfg: Config) -> dict[str, object]:
    """What words and an experiment file set, by full key, and the choices of groups that no run_id holds.

    A value counts as set also where it is the tuned one: it may be so for one task of a sweep only, and the
    sweep's runs belong together.
    """
    given = dict(_experiment_values(choices.get("experiment")))
    for item in OverridesParser.create().parse_overrides(list(overrides)):
        key = item.key_or_group.split("@")[0]
        if key not in choices:
            given |= flat(item.value(), key)
    own = {**_own_choices(choices["scale"]), "tuned": f"{choices['method']}/{choices['model']}"}
    naming = (*NAMING, *(["model.path"] if cfg.model.source == "local" else []))
    naming += ("model.name",) if choices["model"].startswith("local") else ()  # these leave it to the user
    alike = _alike(cfg, choices["model"], own["data"])
    naming += tuple(f"{group}.{key}" for group in alike for key in ("source", "revision"))
    given = {key: value for key, value in given.items() if not key.startswith(naming)}
    if given.get(BANK) is not None:
        given[BANK] = _bank(str(given[BANK]))
    changed = {group: choices[group] for group in UNNAMED if choices[group] != own[group]}
    if "data" in alike and changed.get("data") in PLACES:
        del changed["data"]
    return given | changed


def _alike(cfg: Config, model: str, data: str) -> list[str]:
    """The groups that come from hub or folder alike: which of them, and the commit, set no value."""
    sources = (("model", model, cfg.model.source), ("data", data, cfg.data.source))
    return [group for group, choice, source in sources if source in PLACES and _from_either(group, choice)]


@functools.cache
def _from_either(group: str, choice: str) -> bool:
    """Whether a choice of conf/ leaves it to the words where it comes from."""
    source = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{choice}.yaml"))
    return isinstance(source, dict) and f"${{{EITHER}:" in str(source.get("source"))


def _bank(path: str) -> str:
    """Digits that tell a bank of vectors; the path itself if it cannot be read, which `check` then says."""
    from vblora.errors import AdapterFileError

    try:
        return bank_identity(path)
    except AdapterFileError:
        return path


@functools.cache
def _experiment_values(experiment: str | None) -> Mapping[str, object]:
    """What an experiment file sets beside choosing groups and a grid."""
    if experiment is None:
        return {}
    content = OmegaConf.to_container(OmegaConf.load(CONF / "experiment" / f"{experiment}.yaml"))
    assert isinstance(content, dict)
    return flat({key: value for key, value in content.items() if key not in ("defaults", "hydra")})


@functools.cache
def _own_choices(scale: str) -> Mapping[str, Any]:
    """The groups that a scale chooses by itself."""
    composed = composed_from([f"scale={scale}"], return_hydra_config=True)
    return dict(composed.hydra.runtime.choices)


def composed_from(overrides: list[str], **options: Any) -> DictConfig:
    """Compose, also beside a Hydra application in this process, which finds its state as it was."""
    instance = GlobalHydra.instance()
    before, instance.hydra = instance.hydra, None
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("config", overrides, **options)
    finally:
        instance.hydra = before


def _variant(variant: str, given: Mapping[str, object]) -> str:
    """The name of a run with set values: its own, else digits of their hash.

    The digits are of what was set, not of the run, so that they are the same for all seeds and tasks of a
    sweep and its runs come together in one row of a table.
    """
    if not given or variant not in VARIANTS:
        return variant
    text = json.dumps(given, sort_keys=True, default=str)
    digits = hashlib.sha256(text.encode()).hexdigest()[:8]
    return digits if variant == "paper" else f"{variant}-{digits}"
