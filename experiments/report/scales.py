"""The scales of a family, as conf/scale has them: GLUE's in the folder itself, others' in a folder each."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

CONF = Path(__file__).resolve().parents[2] / "conf"
PLAIN_FAMILY = "glue"  # whose scales need no family before their name


@dataclass(frozen=True)
class Scale:
    """One scale of one family.

    Attributes:
        family: whose.
        name: the folder of its records and tables.
        word: its name on a command line, after `scale=`.
        model, data: what it chooses of conf/model and conf/data; empty where conf/scale does not know it.
        seeds: of a whole grid.
    """

    family: str
    name: str
    word: str
    model: str = ""
    data: str = ""
    seeds: list[int] = field(default_factory=list)

    @property
    def short(self) -> str:
        """Its name beside its family's, as `make … SCALE=` takes it."""
        return self.word.rpartition("/")[2]


def find(family: str, name: str) -> Scale:
    """The scale of a family by the name of its records' folder, or by its short name: e2e-small or small.

    A name that conf/scale does not have is a user's own, of which no more is known.
    """
    prefix = "" if family == PLAIN_FAMILY else f"{family}/"
    for path in sorted((CONF / "scale" / prefix).glob("*.yaml")):
        content = read(path)
        if name in (path.stem, content["scale"]["name"]):
            return _scale(family, f"{prefix}{path.stem}", content)
    return Scale(family, name, f"{prefix}{name}")


def make(target: str, scale: Scale, family: str = "") -> str:
    """Write the `make` command of a target for a family at a scale, without the words that are defaults.

    Args:
        target: such as tables; "reproduce" has the family in its own name.
        scale: which one.
        family: what FAMILY is called where it is not the scale's own: ablations.
    """
    name = family or scale.family
    words = ["make", f"{target}-{name}" if target == "reproduce" else target]
    words += [f"FAMILY={name}"] if target != "reproduce" and name != PLAIN_FAMILY else []
    words += [f"SCALE={scale.short}"] if scale.short != "tiny" else []
    return " ".join(words)


def known() -> set[str]:
    """Every name that a scale of conf/scale has, of any family: of its file, and of its records' folder."""
    paths = [*(CONF / "scale").rglob("*.yaml")]
    return {path.stem for path in paths} | {str(read(path)["scale"]["name"]) for path in paths}


def asked_folders(scale: Scale, model: str) -> list[str]:
    """The folders that a command at this scale must name, as words to fill in."""
    words = ["model.path=FOLDER"] if _setting("model", model or scale.model, "source") == "local" else []
    return [*words, *(["data.root=FOLDER"] if _reads_files(scale) else [])]


def has_own_name(scale: Scale) -> bool:
    """Whether the scale's model is a user's own, who gives it a name."""
    return bool(_setting("model", scale.model, "name") == "???")


@cache
def read(path: Path) -> dict[str, Any]:
    """Read a file of conf/ as plain data, which nobody changes: it is read once in a process."""
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def _scale(family: str, word: str, content: dict[str, Any]) -> Scale:
    chosen = {
        key.removeprefix("override /"): value
        for entry in content["defaults"]
        if isinstance(entry, dict)
        for key, value in entry.items()
    }
    name, seeds = content["scale"]["name"], str(content["scale"]["seeds"]).split(",")
    return Scale(family, name, word, chosen["model"], chosen["data"], [int(seed) for seed in seeds])


def _reads_files(scale: Scale) -> bool:
    """MT-Bench's questions come from files also where the training set comes from the hub."""
    source = _setting("data", scale.data, "source")
    return source == "local" or (scale.family == "instruct" and source == "hub")


def _setting(group: str, choice: str, key: str) -> Any:
    path = CONF / group / f"{choice}.yaml"
    return read(path).get(key) if path.is_file() else None
