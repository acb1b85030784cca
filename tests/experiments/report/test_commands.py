"""Tests of the command line: experiments/report/__main__.py, commands.py and tables.py."""

import itertools
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from made_records import RUN_ID, cell, failed, text_run, whole_row, write_all

from experiments import locks
from experiments.report import commands, rendering
from experiments.report.__main__ import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_tables_prints_and_writes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_all(whole_row("vblora-qv", 0.8, 3), Path("results/runs"))
    write_all(whole_row("lora-qv", 0.7, 3), Path("results/reference"))
    assert main(["tables", "scale=tiny"]) == 0
    shown = capsys.readouterr().out
    assert "Table 1 (GLUE), scale tiny" in shown and "VB-LoRA qv" in shown
    written = sorted(path.name for path in Path("results/tables/tiny").iterdir())
    assert written == ["table1.csv", "table1.md", "table1.tex"]
    assert main(["tables", "--scale", "tiny", "--epoch", "last"]) == 0
    assert Path("results/tables/tiny/table1-last.md").is_file()
    assert main(["check"]) == 0


def test_a_cell_shows_own_runs_or_the_projects_and_says_which(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_all([*cell("vblora-qv", "cola", [0.75] * 3), *cell("lora-qv", "cola", [0.5] * 3)], Path("theirs"))
    places = ["--results", "mine", "--reference", "theirs", "--tables", "out"]
    main(["tables", *places])
    assert "- All: the project's own runs" in capsys.readouterr().out
    write_all(cell("vblora-qv", "cola", [0.25]), Path("mine"))
    main(["tables", *places])
    assert "- °: the project's own runs" in capsys.readouterr().out
    table = Path("out/tiny/table1.md").read_text(encoding="utf-8")
    assert "25.0 (1) |" in table and "50.0 ± 0.0 (3)° |" in table and "75.0" not in table
    write_all(cell("lora-qv", "cola", [0.25]), Path("mine"))
    main(["tables", *places])
    assert "project" not in capsys.readouterr().out and "°" not in Path("out/tiny/table1.md").read_text(
        encoding="utf-8"
    )


def test_results_end_with_table_picture_and_page_which_is_made_again_of_other_records_only(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_all([*whole_row("vblora-qv", 0.8, 2), *whole_row("lora-qv", 0.7, 2)], Path("results/runs"))
    seen = []
    for score in (None, None, 0.5):
        if score is not None:
            write_all(cell("lora-qv", "cola", [score]), Path("results/runs"))
        assert main(["results", "scale=tiny"]) == 0
        ending = capsys.readouterr().out.splitlines()[-3:]
        assert [line.partition(":")[0] for line in ending] == ["Table", "Picture", "Page"]
        for line in ending:
            assert Path(line.split()[1].rstrip(",")).is_file(), line
        seen.append(Path("results/page.html").stat().st_mtime_ns)
    assert seen[0] == seen[1] < seen[2]


def test_refreshing_writes_every_table_of_the_projects_records_and_readme(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "PROJECT", folder)
    Path("README.md").write_text("<!-- table1:tiny -->\n<!-- /table1:tiny -->\n", encoding="utf-8")
    reference = Path("results/reference")
    write_all([*whole_row("vblora-qv", 0.8, 3), text_run("math", "vblora-all")], reference)
    write_all(whole_row("vblora-qv", 0.1, 3), Path("results/runs"))
    assert main(["refresh"]) == 0
    names = {path.stem for path in (reference / "tiny/tables").iterdir()}
    assert {"table1", "table1-last", "table4"} <= names and "table2" not in names
    for path in (reference / "tiny/tables/table1.md", Path("README.md")):  # of 0.8 and some noise, not of 0.1
        assert re.search(r"\| VB-LoRA qv \| 23,904 \| [78]\d\.", path.read_text(encoding="utf-8"))
    assert main(["check"]) == 0
    path = reference / "tiny/tables/table4.md"
    path.write_text(path.read_text(encoding="utf-8").replace("50.0", "60.0"), encoding="utf-8")
    assert main(["check"]) == 1


@pytest.mark.parametrize("words", [[], ["scale=paper"], ["family=ablations"], ["table=7"], ["table=2"]])
def test_a_terminal_shows_at_most_six_short_lines_below_a_table(
    words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_all(whole_row("vblora-qv", 0.8, 3), Path("results/runs"))
    write_all(
        [failed(f"glue/rte/tiny_roberta/lora-qv/seed{seed}") for seed in range(30)], Path("results/runs")
    )
    write_all([text_run("e2e", "vblora-all", meteor=None)], Path("results/reference"))
    Path("results/runs/tiny/x.json").write_text("{", encoding="utf-8")
    for command in ("tables", "claims"):
        main([command, *(word for word in words if command == "tables" or "scale" in word)])
        lines = capsys.readouterr().out.splitlines()
        written = [place for place, line in enumerate(lines) if line.startswith("Table: ")]
        for start, end in itertools.pairwise([0, *written]):
            below = [line for line in lines[start:end] if line.startswith("- ")]
            assert 0 < len(below) <= rendering.MOST_LINES
            assert max(map(len, below)) <= rendering.LONGEST_LINE + len("- ")
        assert written


def test_mean_is_only_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", "--center", "mean"]) == 0
    assert "mean of the seeds" in capsys.readouterr().out
    assert not Path("results").exists()


def test_thousands_of_files_with_bad_ones_among_them(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # 2,400 of them take longer than all the rest
    root = Path("results/runs")
    write_all([each for n in range(40) for each in whole_row(f"m{n}-qv", 0.5, 10)], root)
    write_all([failed("glue/rte/tiny_roberta/vblora-qv/seed0", message="| $x$ \\end{table} `")], root)
    (root / "tiny/glue/package.json").write_text('{"name": "foreign"}', encoding="utf-8")
    (root / "tiny/glue/cola/tiny_roberta/m0-qv/seed0.json").write_bytes(b"\xff")
    assert main(["tables"]) == 0
    shown = capsys.readouterr().out
    assert "Left out: 1 failed run, 2 files that are no records; make status lists them." in shown
    assert main(["status"]) == 0
    shown = capsys.readouterr().out
    for part in ("package.json: no run record", "m0-qv/seed0.json: no UTF-8", "Failed: glue/rte"):
        assert part in shown
    assert main(["check"]) == 1


@pytest.mark.parametrize("command", ["plan", "status"])
def test_plan_and_status_print(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "scale=paper", "table=1"]) == 0
    assert "450 runs" in capsys.readouterr().out


def test_status_sees_runs_that_are_running(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with locks.hold(Path("there/locks/tiny/glue/rte/tiny_roberta/lora-qv/seed0.lock")):
        assert main(["status", "cache=there", "model.path=/words/of/runs/are/taken"]) == 0
    shown = capsys.readouterr().out
    assert "0/1 (1 running)" in shown and f"lora-qv/seed0: process {os.getpid()} on" in shown


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (["family=e2e"], 2),
        (["--family", "e2e", "scale=tiny"], 2),
        (["table=3"], 3),
        (["scale=math/tiny"], 4),
        (["scale=math/tiny", "family=math", "table=4"], 4),
        ([], 1),
    ],
)
def test_family_is_asked_for_by_name_table_or_scale(
    words: list[str], number: int, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("tables", "plan", "status"):
        assert main([command, *words]) == 0
        assert f"Table {number} (" in capsys.readouterr().out
    assert sorted(path.name for path in Path("results/tables/tiny").iterdir()) == [
        f"table{number}.{kind}" for kind in ("csv", "md", "tex")
    ]


def test_median_of_text_is_only_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", "table=2", "--center", "median"]) == 0
    assert "median of the seeds" in capsys.readouterr().out
    assert not Path("results").exists()


def test_epochs_of_text_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["tables", "scale=e2e/tiny", "--epoch", "last"])
    assert "--epoch is for Table 1 only" in capsys.readouterr().err


def test_check_covers_every_family_and_scale(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_all([text_run("math", "vblora-all", 42, "paper", "gemma_7b", math=17.9)], Path("results/runs"))
    write_all([text_run("e2e", "vblora-all", bleu=68.0)], Path("results/reference"))
    assert main(["check"]) == 1
    shown = capsys.readouterr().out
    assert "scores.math is 17.9" in shown and "scores.bleu is 68.0" in shown
    assert "scales paper, tiny: 2 problems" in shown
    assert main(["check", "family=instruct"]) == 0
    assert main(["check", "scale=e2e/tiny"]) == 1


def test_params_prints(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["params"]) == 0
    assert "1,074,368" in capsys.readouterr().out


def test_check_names_what_is_wrong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("results/runs/tiny") / f"{RUN_ID}.json"
    path.parent.mkdir(parents=True)
    path.write_text("{", encoding="utf-8")
    assert main(["check"]) == 1
    assert "seed3.json: damaged" in capsys.readouterr().out


def test_scripts_writes_them_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "PROJECT", folder)
    assert main(["scripts"]) == 0
    assert len(list(folder.rglob("*.sh"))) == 15 + 8 + 8 + 8


@pytest.mark.parametrize(
    "words",
    [
        *(["tables", "scale=../x"], ["tables", "sclae=tiny"], ["table"], ["plan", "table=10"]),
        *(
            ["tables", "scale=nlu/tiny"],
            ["plan", "family=nlu"],
            ["tables", "scale=e2e/"],
            ["tables", "scale=tinny"],
        ),
        *(["plan", "table=2", "family=math"], ["status", "scale=e2e/tiny", "family=glue"]),
        *(["status", "sclae=tiny"], ["retry", "optim.epoch=3"], ["plan", "word"]),
    ],
)
def test_wrong_words_are_refused(words: list[str], folder: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize(("number", "family"), [(1, "glue"), (2, "e2e"), (3, "instruct"), (4, "math")])
def test_written_latex_compiles(number: int, family: str, folder: Path) -> None:
    write_all(whole_row("vblora-qv", 0.8, 3, scale="paper", model="roberta_base"), Path("results/runs"))
    main(["tables", "scale=paper", f"family={family}"])
    head = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs,graphicx}\begin{document}"
    body = Path(f"results/tables/paper/table{number}.tex").read_text(encoding="utf-8")
    Path("t.tex").write_text(f"{head}\n{body}\\end{{document}}\n", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]
