"""Every example runs as a user runs it, without network, leaves nothing behind, and prints what it promises.

The scripts print measured numbers, so each has a check of its own here. A new script without one fails.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLES = PROJECT / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.py"))
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
NOWHERE = "http://127.0.0.1:9"  # the port of `discard`: whoever asks for the network gets an error
# Runs the code cells of a notebook one after the other, as Jupyter would, and names each behind its output.
RUN_CELLS = """
import json, sys
names = {"__name__": "__main__"}
for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
        print("cell", cell["id"])
"""


def run(folder, *words):
    """What a Python process prints in an empty folder that it must leave empty, and so its temporary one."""
    here, temporary = folder / "here", folder / "temporary"
    here.mkdir()
    temporary.mkdir()
    more = {"TMPDIR": str(temporary), "MPLBACKEND": "Agg", "PYTHONPATH": str(PROJECT)}
    more["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "compiled")  # torch's own, made by importing it
    more |= {"HF_HUB_OFFLINE": "1", "HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE}
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, cwd=here, env=os.environ | more, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [*here.iterdir(), *temporary.iterdir()] == []
    return done.stdout


def numbers(output):
    """{what: number} of the lines "what: number …"."""
    return {what: float(number) for what, number in re.findall(r"^([a-z ]+): ([\d.]+)", output, re.MULTILINE)}


# Fails if the script attaches a fresh adapter in place of loading the saved one.
def check_trainer(output):
    share = numbers(output)
    assert share["before training"] < 0.65 and share["adapter off"] < 0.8
    assert share["after training"] > 0.95
    assert share["loaded"] == share["merged"] == share["after training"]
    found = re.findall(r"^the \w+ was (\w+) (\w+): (no praise|praise)$", output, re.MULTILINE)
    good = {"good", "fine", "lovely", "bright", "clever", "warm", "fresh", "kind"}
    praise = [(how in ("really", "very")) == (what in good) for how, what, _ in found]
    right = [wanted == (said == "praise") for wanted, (*_, said) in zip(praise, found, strict=True)]
    assert len(right) == 4 and sum(right) >= 3


def check_trl_sft(output):
    share = numbers(output)
    assert share["before training"] < 0.05 and share["after training"] > 0.95
    assert abs(share["loaded"] - share["after training"]) < 0.02
    assert int(re.search(r"from (\d+) bytes", output)[1]) < 5000
    found = re.findall(r"^translate : ([a-z ]+) -> ([a-z ]+)$", output, re.MULTILINE)
    assert len(found) == 3 and all(len(words.split()) == 3 for words, _ in found)
    assert sum(len(french.split()) == 3 for _, french in found) >= 2


def check_load_in_peft(output):
    form = r"^(.+): accuracy ([\d.]+) and ([\d.]+), outputs differ by (\S+) of (\S+)$"
    found = re.findall(form, output, re.MULTILINE)
    assert [way for way, *_ in found] == ["to PEFT, trained", "to PEFT, topk", "from PEFT"]
    for _, *values in found:
        trained, loaded, difference, change = map(float, values)
        assert trained == loaded > 0.95
        assert difference < 1e-4 and change > 1


def check_serve_as_lora(output):
    written = dict(re.findall(r"^(.+): ([a-z]{10})$", output, re.MULTILINE))
    assert written.pop("base") != "defghijklm"
    assert written == dict.fromkeys(["adapter", "LoRA, torch.float32", "LoRA, torch.bfloat16"], "defghijklm")
    off = [tuple(map(float, pair)) for pair in re.findall(r"off by (\S+) of (\S+)", output)]
    assert off[0][0] < 1e-3 and off[1][0] < 0.02 * off[1][1] and off[0][1] == off[1][1] > 1
    sizes = re.findall(r"(\d+) bytes, the adapter's own file (\d+)", output)
    (float32, own), (bfloat16, _) = (tuple(map(int, pair)) for pair in sizes)
    assert own < bfloat16 / 3 < bfloat16 < float32


# Fails if each adapter trains its bank on, or if one serves all rows of the batch.
def check_many_adapters(output):
    shares = re.findall(r"^(\w+): ([\d.]+) before, ([\d.]+) after$", output, re.MULTILINE)
    steps = {"ones": 1, "twos": 2, "down": -1, "sevens": 7}
    assert [task for task, *_ in shares] == list(steps)
    assert all(float(before) < 0.3 and float(after) > 0.95 for _, before, after in shares)
    held = re.findall(r"^(\w+): (\d+) bytes, (its|the shared) bank", output, re.MULTILINE)
    sizes = {task: int(size) for task, size, _ in held}
    assert {task for task, _, whose in held if whose == "the shared"} == set(steps) - {"ones"}
    # 60 vectors of 16 numbers in two bytes each are what the others leave out.
    assert all(sizes["ones"] - sizes[task] > 0.9 * 60 * 16 * 2 for task in ("twos", "down", "sevens"))
    for task, step in steps.items():
        assert f"\n{task}: {[(3 + step * place) % 20 for place in range(8)]}\n" in output
    assert "all in one batch: the same\n" in output


CHECKS = {
    "trainer.py": check_trainer,
    "trl_sft.py": check_trl_sft,
    "load_in_peft.py": check_load_in_peft,
    "serve_as_lora.py": check_serve_as_lora,
    "many_adapters.py": check_many_adapters,
}


def test_every_script_has_a_check():
    assert sorted(CHECKS) == SCRIPTS


@pytest.mark.parametrize("name", [*SCRIPTS, *(path.name for path in NOTEBOOKS)])
def test_readme_lists_the_example(name):
    assert f"| [examples/{name}](examples/{name}) |" in (PROJECT / "README.md").read_text(encoding="utf-8")


# Fails if a script writes to the folder that it is run in.
@pytest.mark.parametrize("script", SCRIPTS)
def test_script_prints_what_it_promises(script, tmp_path):
    if script == "trl_sft.py":
        pytest.importorskip("trl", reason="TRL is not installed")
    CHECKS[script](run(tmp_path, EXAMPLES / script))


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_opens_with_how_to_run_it_and_is_short(script):
    text = (EXAMPLES / script).read_text(encoding="utf-8")
    assert f"\nRun:    python examples/{script}\nPrints: " in text.split('"""')[1]
    assert len(text.splitlines()) <= 90


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_is_kept_without_outputs(notebook):
    content = json.loads(notebook.read_text(encoding="utf-8"))
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    cells = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert [cell["id"] for cell in cells if cell["outputs"] or cell["execution_count"]] == []


def test_notebook_runs_from_the_first_cell_to_the_last(tmp_path):
    (notebook,) = NOTEBOOKS
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    output = run(tmp_path, "-c", RUN_CELLS, notebook)
    assert re.findall(r"^cell (\S+)$", output, re.MULTILINE) == [
        cell["id"] for cell in cells if cell["cell_type"] == "code"
    ]
    share = numbers(output)
    assert share["accuracy before"] < 0.65 and share["without the adapter"] < 0.65
    assert share["accuracy after"] > 0.95
    assert "RoBERTa-large, query and value: VB-LoRA 25,344, LoRA of rank 8 786,432" in output
    sizes = [int(size.replace(",", "")) for size in re.findall(r"([\d,]+) bytes", output)]
    assert len(sizes) == 4 and sizes == sorted(sizes, reverse=True)
    tried = re.search(r"selects ([\d.]+) vectors in the first tenth, ([\d.]+) in the last", output)
    assert float(tried[1]) > float(tried[2]) >= 2
