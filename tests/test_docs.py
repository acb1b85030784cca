"""What the documents promise is there: files of the tree, targets, switches, commands, sources, versions."""

import importlib.util
import re
import shlex
from pathlib import Path

import pages
import peft
import pytest
import transformers
from hydra.core.override_parser.overrides_parser import OverridesParser

import vblora
from experiments.composing import load

PROJECT = Path(__file__).resolve().parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
FIDELITY = (PROJECT / "docs" / "fidelity.md").read_text(encoding="utf-8")
# These pages add files to the project; `test_pages.py` carries them out in a copy.
CARRIED_OUT = ("adding-a-method.md", "adding-a-task.md")
DOCUMENTS = [path for path in sorted((PROJECT / "docs").glob("*.md")) if path.name not in CARRIED_OUT]
PAGES = [README, *(path.read_text(encoding="utf-8") for path in DOCUMENTS)]
# Groups whose first part marks a word in backticks as an override of `python -m experiments.run`.
GROUPS = "variant|seed|data|method|optim|targets|row|task|generation|model"
OVERRIDE = re.compile(rf"`((?:\+?(?:{GROUPS})[\w.]*=[^\s`…]+ ?)+)`")
RUN = ["python", "-m", "experiments.run"]
ELSEWHERE = {"examples/roberta/README.finetune_glue.md"}  # a file of fairseq, named as such
# What the switches of a section of fidelity.md are added to; elsewhere they are GLUE's.
SECTIONS = {
    "## Text generation": ["scale=e2e/paper", "row=vblora_all"],
    "## Instruction tuning": ["scale=instruct/paper", "row=lora_all", "data.root=."],
    "## Mathematical reasoning": ["scale=math/paper", "row=lora_all"],
    "## On several GPUs": ["scale=math/paper", "model=mistral_7b", "row=full", "data.held_out=100"],
}
GLUE = ["scale=paper", "row=vblora_qv", "task=mrpc"]
TINY = ["scale=tiny", "row=vblora_qv", "task=mrpc"]  # only its backbone is made here


def switches() -> list[tuple[str, list[str]]]:
    """Every override that a page names, with the words it is added to."""
    parts = {
        page.split(heading)[1].split("\n## ")[0]: base
        for page in PAGES
        for heading, base in SECTIONS.items()
        if heading in page
    }
    rest = "".join(PAGES)
    for part in parts:
        rest = rest.replace(part, "")
    found = {(words, tuple(base)) for part, base in parts.items() for words in OVERRIDE.findall(part)}
    found |= {(words, tuple(TINY if "pretrain" in words else GLUE)) for words in OVERRIDE.findall(rest)}
    return [(words, list(base)) for words, base in sorted(found)]


def commands() -> list[list[str]]:
    """The words after `experiments.run` of every command in a block, `--help` left out."""
    blocks = "\n".join(block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    lines = [shlex.split(line, comments=True) for line in blocks.replace("\\\n", " ").splitlines()]
    started = [words for words in lines if words[:3] == RUN or words[:1] == ["torchrun"]]
    return [words[words.index("experiments.run") + 1 :] for words in started if "--help" not in words]


def first_job(words: list[str]) -> list[str]:
    """The overrides of one run, or of a sweep's first job."""
    items = OverridesParser.create().parse_overrides([word for word in words if word != "-m"])
    return [
        f"{item.key_or_group}={next(item.sweep_string_iterator())}"
        if item.is_sweep_override()
        else item.input_line
        for item in items
    ]


def tree() -> dict[str, str]:
    """Path -> comment of every line of README's tree; children are indented by two spaces."""
    block = README.split("## The tree")[1].split("```")[1]
    lines, folders = {}, {}
    for indent, name, comment in re.findall(r"^( *)(\S+)(?: +(.*))?$", block, re.MULTILINE):
        depth = len(indent) // 2
        folders[depth] = name
        lines["".join(folders[level] for level in range(depth + 1))] = comment
    return lines


def test_every_file_of_the_readme_tree_exists_and_has_a_comment():
    assert [path for path, comment in tree().items() if not (PROJECT / path).exists() or not comment] == []


def test_readme_tree_names_every_module():
    named = tuple(tree())
    modules = [
        p
        for p in pages.tracked(new=False)
        if re.fullmatch(r"(vblora|experiments)/\w+(\.py|/__init__\.py)", p)
    ]
    missing = [m for m in modules if m not in named and m.removesuffix("__init__.py") not in named]
    assert [m for m in missing if m not in ("vblora/__init__.py", "experiments/__init__.py")] == []


def test_every_make_target_of_the_documents_exists():
    targets = set(
        re.findall(r"^([a-z0-9-]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    word = re.compile(r"^make ([a-z0-9-]+)|`make ([a-z0-9-]+)", re.MULTILINE)
    named = {name for page in PAGES for name in word.findall(page)}
    assert {first or second for first, second in named} <= targets


@pytest.mark.parametrize(("words", "base"), switches())
def test_every_switch_of_the_documents_composes(words, base, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4" if "sharded" in words else "1")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "vllm" or found(name))
    load([*base, *words.split()])


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_run_of_the_documents_passes_its_check(words, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4" if "model.sharded=true" in words else "1")
    for folder in re.findall(r"/path/to/(\S+)", " ".join(words)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text("{}", encoding="utf-8")
    load([word.replace("/path/to", str(tmp_path)) for word in first_job(words)])


def test_documents_have_commands():
    assert len(commands()) >= 8


def test_configuration_cites_what_is_there():
    wrong, kept = [], {PROJECT / name for name in pages.tracked()}  # not what a user's runs left
    for name in pages.tracked(new=False):
        if not name.startswith("conf/"):
            continue
        path = PROJECT / name
        text = path.read_text(encoding="utf-8")
        cited = set(re.findall(r"[\w.*/-]+\.(?:md|yaml|sh|py)\b", text)) - ELSEWHERE
        places = (PROJECT, path.parent, PROJECT / "conf")
        wrong += [(name, each) for each in cited if not any(kept & {*p.glob(each)} for p in places)]
        numbers = set(re.findall(r"\b[GMPEIA]\d+\b", text))
        wrong += [(name, number) for number in numbers if f"| {number} |" not in FIDELITY]
    assert wrong == []


def test_library_quick_start_of_the_readme_runs(monkeypatch, tmp_path):
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.RobertaConfig(vocab_size=50, **sizes)
    small = transformers.RobertaForSequenceClassification
    monkeypatch.setattr(
        transformers.AutoModelForSequenceClassification, "from_pretrained", lambda _: small(config)
    )
    monkeypatch.chdir(tmp_path)
    first, second, with_store, with_peft = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict = {}
    exec(first, names)
    exec(second, names)
    assert not hasattr(names["model"], "vblora")
    vblora.load(names["model"], "adapter/", "again")
    exec(with_store, names)
    assert names["store"].path.is_file() and list(names["model"].vblora) == ["anna"]
    bank = peft.VBLoRAConfig(vector_length=16, num_vectors=5, target_modules=["query"])
    names["peft_model"] = peft.get_peft_model(small(config), bank)
    names["peft_model"].save_pretrained("peft")
    exec(with_peft, names)
    assert hasattr(names["model"], "vblora") and Path("lora/adapter_config.json").is_file()
