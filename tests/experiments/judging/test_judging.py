"""Whole judgings: results and files, changed answers, kills and Ctrl-C, the command line."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.judging.__main__ import main
from experiments.judging.judging import Judging, turns_of
from experiments.judging.settings import Judge, JudgingError
from tests.experiments.judging.bench import (
    KEY,
    QUESTIONS,
    Server,
    answer_rows,
    bench,
    fastchat_answers,
    hang,
    judge,
    lines,
    status,
)


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_invalid_ratings_are_counted_shown_and_left_out(server: Server, tmp_path: Path) -> None:
    server.script = [judge("[[4]]"), judge("no rating"), judge("[[12]]"), judge("[[9.5]]")]
    found = bench(tmp_path).run(1, server.environment())
    assert (found["mt_bench"], found["num_judged"]) == (6.75, 4)
    assert (found["num_invalid"], found["num_out_of_range"]) == (2, 1)
    assert found["invalid"] == ["question 101, turn 1", "question 111, turn 1"]


def test_a_judge_that_says_nothing_is_an_invalid_rating(server: Server, tmp_path: Path) -> None:
    server.default = judge(choices=[{"message": {"content": None, "refusal": "no"}}])
    found = bench(tmp_path).run(1, server.environment())
    assert (found["mt_bench"], found["num_invalid"], len(server.asked)) == (None, 4, 4)


def test_the_second_turn_has_a_mean_of_its_own(server: Server, tmp_path: Path) -> None:
    server.script = [judge("[[8]]")] * 4 + [judge("[[5]]")] * 4
    found = bench(tmp_path, two_turns=True).run(1, server.environment())
    means = {name: found[name] for name in ("mt_bench", "mt_bench_turn_2", "mt_bench_average")}
    assert means == {"mt_bench": 8.0, "mt_bench_turn_2": 5.0, "mt_bench_average": 6.5}
    assert "mt_bench_turn_2" not in bench(tmp_path).run(1, server.environment())


def test_the_result_says_who_judged_with_what_and_when(server: Server, tmp_path: Path) -> None:
    judging = bench(tmp_path)
    before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    found = judging.run(1, server.environment())
    assert found == rows(tmp_path / "judged" / "judgement.json")[0]
    assert (found["judge_model"], found["judge_model_reported"]) == ("judge-1", ["judge-1-0613"])
    assert (found["prompts"], found["temperature"]) == (["single-math-v1", "single-v1"], 0.0)
    assert before <= found["date"] <= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    judgments = tmp_path / "judged" / "model_judgment" / "judge-1_single.jsonl"
    assert found["sha256"] == {
        "judgments": hashlib.sha256(judgments.read_bytes()).hexdigest(),
        "questions": hashlib.sha256(judging.questions.read_bytes()).hexdigest(),
        "prompts": hashlib.sha256(judging.prompts.read_bytes()).hexdigest(),
        "references": hashlib.sha256(judging.references.read_bytes()).hexdigest(),
    }


def test_fastchats_show_result_reads_the_judgements(server: Server, tmp_path: Path) -> None:
    """Its steps: read the lines, drop scores of -1, average by model and turn."""
    pandas = pytest.importorskip("pandas")
    server.script = [judge("[[4]]"), judge("none"), judge("[[8]]")] + [judge("[[6]]")] * 5
    found = bench(tmp_path, two_turns=True, model_id="mine").run(1, server.environment())
    path = tmp_path / "judged" / "model_judgment" / "judge-1_single.jsonl"
    table = pandas.read_json(path, lines=True)[["model", "score", "turn"]]
    table = table[table["score"] != -1]
    first = table[table["turn"] == 1].groupby(["model", "turn"]).mean()["score"]
    assert first.to_dict() == {("mine", 1): found["mt_bench"]}
    assert table[["model", "score"]].groupby("model").mean()["score"]["mine"] == found["mt_bench_average"]
    line = rows(path)[1]
    assert (line["judge"], line["score"], line["user_prompt"]) == (
        ["judge-1", "single-math-v1"], -1, "Rate: Who is first? / Ann. / answer 1",
    )  # fmt: skip


def test_the_answers_are_written_in_fastchats_form_too(server: Server, tmp_path: Path) -> None:
    judging = bench(tmp_path, two_turns=True, judge=Judge("org/judge"), model_id="org/mine")
    judging.run(1, server.environment())
    answers = tmp_path / "judged" / "model_answer" / "org--mine.jsonl"
    assert {row["model_id"] for row in rows(answers)} == {"org/mine"}
    assert turns_of(answers) == turns_of(judging.answers)
    assert (tmp_path / "judged" / "model_judgment" / "org--judge_single.jsonl").exists()
    again = Judging(
        answers, *(getattr(judging, n) for n in ("questions", "prompts", "references", "folder", "judge"))
    )
    asked = len(server.asked)
    assert (
        again.run(1, server.environment())["num_judged"] == 8
    )  # the same answers, whatever file they are in
    assert len(server.asked) == asked


def test_only_changed_answers_are_judged_anew(server: Server, tmp_path: Path) -> None:
    bench(tmp_path).run(1, server.environment())
    judging = bench(tmp_path)
    text = judging.answers.read_text(encoding="utf-8")
    judging.answers.write_text(text.replace("answer 2", "changed"), encoding="utf-8")
    server.default = judge("[[3]]")
    assert judging.estimate().num_calls == 1
    assert judging.run(1, server.environment())["mt_bench"] == (7 * 3 + 3) / 4
    assert server.users()[4:] == ["Rate: 1 + 1? / 2 / changed"]
    judging.answers.write_text(text, encoding="utf-8")
    assert judging.run(1, server.environment())["mt_bench"] == 7.0  # what was judged first is still there
    assert len(server.asked) == 5
    lines = rows(tmp_path / "judged" / "model_judgment" / "judge-1_single.jsonl")
    assert [line["score"] for line in lines] == [7, 7, 7, 7]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_calls_at_a_time_than_allowed(concurrency: int, server: Server, tmp_path: Path) -> None:
    def slowly(handler: object) -> None:
        time.sleep(0.15)
        judge()(handler)

    server.default = slowly
    bench(tmp_path, two_turns=True).run(concurrency, server.environment())
    assert server.at_once == concurrency
    with pytest.raises(JudgingError, match="concurrency is 0; choose 1 or more"):
        bench(tmp_path, judge=Judge("other")).run(0, server.environment())


def test_a_refusal_keeps_what_other_calls_bring(server: Server, tmp_path: Path) -> None:
    def later(handler: object) -> None:
        time.sleep(0.5)
        judge()(handler)

    server.script = [status(400, "no"), later]
    with pytest.raises(JudgingError, match="status 400"):
        bench(tmp_path).run(2, server.environment())
    assert bench(tmp_path).estimate().num_kept == 1
    assert len(server.asked) == 2


BAD_ROWS = {
    "no id": ({"question_id": None}, "index 1: question_id None is missing or stands twice"),
    "id twice": ({"question_id": 81}, "index 1: question_id 81 is missing or stands twice"),
    "three turns": ({"turns": ["a", "b", "c"]}, "index 1: turns are no list of one or two texts"),
}


@pytest.mark.parametrize("which", BAD_ROWS)
def test_a_bad_row_of_answers_is_named(which: str, tmp_path: Path) -> None:
    change, message = BAD_ROWS[which]
    judging = bench(tmp_path)
    header = judging.answers.read_text(encoding="utf-8").splitlines()[0] + "\n"
    found = answer_rows(two_turns=False)
    judging.answers.write_text(header + lines([found[0], {**found[1], **change}]), encoding="utf-8")
    with pytest.raises(JudgingError, match=message):
        judging.estimate()
    judging.answers.write_text(header + lines([{**found[0], "group": "mmlu_0"}]), encoding="utf-8")
    with pytest.raises(JudgingError, match="no row of group mt_bench"):
        judging.estimate()


def arguments(judging: Judging, *more: str) -> list[str]:
    named = ("questions", "prompts", "references")
    files = [text for name in named for text in (f"--{name}", str(getattr(judging, name)))]
    patience = ["--attempts", "2", "--first-wait", "0.01", "--timeout", "30"]
    return [str(judging.answers), *files, "--model", "judge-1", *patience, *more]


def environment(server: Server) -> dict[str, str]:
    return {**os.environ, **server.environment(), "OMP_NUM_THREADS": "1"}


def start(judging: Judging, server: Server, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "experiments.judging", *arguments(judging, *more)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:  # a child of a background job would inherit that Ctrl-C is ignored
        return subprocess.Popen(command, env=environment(server), **pipes)
    finally:
        signal.signal(signal.SIGINT, before)


def until(seconds: float, condition: object) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_killed_run_goes_on_at_the_last_judgement(server: Server, tmp_path: Path) -> None:
    judging = bench(tmp_path, two_turns=True)
    server.script = [judge("[[2]]")] * 3 + [hang(60)]
    process = start(judging, server, "--concurrency", "1")
    until(60, lambda: len(server.asked) == 4)
    process.kill()
    process.communicate(timeout=30)
    kept = (tmp_path / "seed0.answers.judged" / "journal.jsonl").read_text(encoding="utf-8")
    assert kept.count("\n") == 3
    server.script = []
    result = start(judging, server, "--concurrency", "1")
    out, err = result.communicate(timeout=60)
    assert result.returncode == 0, err
    assert "5 calls to make, 3 judgements kept from before" in err
    users = server.users()
    assert len(users) == 9  # eight calls, and the one under way when the run was killed twice
    assert sorted(set(users)) == sorted(call.user for call in judging.calls())
    assert json.loads(out)["mt_bench_average"] == (3 * 2 + 5 * 7) / 8


def test_ctrl_c_waits_for_the_calls_under_way_and_loses_nothing(server: Server, tmp_path: Path) -> None:
    judging = bench(tmp_path)

    def slowly(handler: object) -> None:
        time.sleep(1.0)
        judge()(handler)

    server.default = slowly
    process = start(judging, server, "--concurrency", "2")
    until(60, lambda: len(server.asked) == 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "waiting for the calls under way" in err
    assert "stopped; the judgements so far are kept" in err
    assert "Traceback" not in err
    journal = tmp_path / "seed0.answers.judged" / "journal.jsonl"
    assert (journal.read_text(encoding="utf-8").count("\n"), len(server.asked)) == (2, 2)


def test_a_second_ctrl_c_does_not_wait(server: Server, tmp_path: Path) -> None:
    judging = bench(tmp_path)
    server.default = hang(60)
    process = start(judging, server)
    until(60, lambda: len(server.asked) == 4)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - begun < 15


def test_the_command_prints_the_result_and_names_invalid_ratings(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    server.script = [judge("none")]
    out = tmp_path / "elsewhere"
    assert main(arguments(bench(tmp_path), "--concurrency", "1", "--out", str(out))) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == rows(out / "judgement.json")[0]
    assert "in 1 judgements, left out of the mean: question 81, turn 1\n" in printed.err
    assert KEY not in printed.out + printed.err and server.url not in printed.out + printed.err


def test_a_dry_run_counts_calls_tokens_and_cost_and_asks_nothing(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("JUDGE_MODEL", "judge-1")
    judging = bench(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    options = [option for option in arguments(judging) if option not in ("--model", "judge-1")]
    assert main([*options, "--dry-run", "--price-in", "30", "--price-out", "60"]) == 0
    sent = sum(len(call.system) + len(call.user) for call in judging.calls())
    tokens = round(sent / 3.5)
    assert capsys.readouterr().err.splitlines() == [
        "4 calls to make, 0 judgements kept from before",
        f"about {tokens} tokens to send (3.5 bytes a token)",
        "about 1,000 tokens to get (250 a judgement), at most 8,192",
        f"cost: about ${tokens * 3e-5 + 0.06:.2f}, at most ${tokens * 3e-5 + 0.49152:.2f}, retried calls not "
        "counted",
    ]
    assert sorted(tmp_path.rglob("*")) == before
    assert not server.asked
    assert main([*options, "--dry-run"]) == 0
    assert "cost: give --price-in and --price-out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--questions", "nowhere.jsonl"], r"error: nowhere\.jsonl: damaged or unreadable"),
        (["--model", " "], "error: no judge model is named; set JUDGE_MODEL or give --model"),
        (["--concurrency", "0"], "error: concurrency is 0"),
        (["--temperature", "warm"], "error: .*warm"),
    ],
)
def test_a_mistake_gives_one_line(
    change: list[str],
    message: str,
    server: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    assert main(arguments(bench(tmp_path), *change)) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.match(message, last)


def test_fastchats_answers_can_be_judged_as_they_are(server: Server, tmp_path: Path) -> None:
    judging = bench(tmp_path)
    judging.answers.write_text(
        fastchat_answers({q["question_id"]: ["a"] for q in QUESTIONS}), encoding="utf-8"
    )
    assert judging.run(2, server.environment())["num_judged"] == 4
