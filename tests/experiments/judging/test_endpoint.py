"""The judge's client against a server on this machine that misbehaves on purpose."""

import email.utils
import json
import sys
import time
import traceback
from pathlib import Path

import pytest

from experiments.judging.endpoint import Endpoint
from experiments.judging.journal import read
from experiments.judging.settings import Judge, JudgingError, Patience
from tests.experiments.judging.bench import (
    HASTY,
    KEY,
    Behaviour,
    Handler,
    Server,
    bench,
    drip,
    drop,
    echo,
    hang,
    judge,
    status,
)

QUICK = Patience(attempts=3, timeout_seconds=0.3, first_wait_seconds=0.01, longest_wait_seconds=0.02)


def test_every_answer_is_judged_once_as_asked_for(server: Server, tmp_path: Path) -> None:
    found = bench(tmp_path).run(2, server.environment())
    assert (found["mt_bench"], found["num_judged"], found["num_invalid"]) == (7.0, 4, 0)
    assert sorted(server.users()) == sorted(call.user for call in bench(tmp_path).calls())
    assert server.keys == {f"Bearer {KEY}"}
    sent = server.asked[0]
    assert {name: sent[name] for name in sent if name != "messages"} == {
        "model": "judge-1",
        "temperature": 0.0,
        "max_tokens": 2048,
    }
    assert found["judge_model_reported"] == ["judge-1-0613"]
    assert (found["prompt_tokens"], found["completion_tokens"]) == (40, 20)


def test_a_judge_that_refuses_temperature_or_the_old_limit_can_be_asked(
    server: Server, tmp_path: Path
) -> None:
    bench(tmp_path, judge=Judge("o", None, 99, "max_completion_tokens")).run(1, server.environment())
    assert server.asked[0]["max_completion_tokens"] == 99
    assert not {"temperature", "max_tokens"} & set(server.asked[0])


PASSING: dict[str, Behaviour] = {
    "429": status(429, '{"error": {"message": "slow down"}}'),
    "500": status(500, "oops", {"Content-Type": "text/plain"}),
    "503 with a page": status(503, "<html>" * 1000, {"Content-Type": "text/html"}),
    "408": status(408),
    "dropped": drop,
    "cut answer": status(200, '{"choices": [', promise=500),
    "cut JSON": status(200, '{"choices": [{"message": {"content": "[[7'),
    "no JSON": status(200, "Bad gateway", {"Content-Type": "text/html"}),
    "empty": status(200, ""),
    "list": status(200, "[1]"),
    "null": status(200, "null"),
    "an error with status 200": status(200, '{"error": {"message": "overloaded"}}'),
    "no choices": judge(choices=[]),
    "no message": judge(choices=[{"index": 0}]),
    "content is a number": judge(choices=[{"message": {"content": 7}}]),
    "endless nesting": status(200, "[" * 100_000),
    "not UTF-8": status(200, "é", {"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("which", PASSING)
def test_what_may_pass_is_tried_again(which: str, server: Server, tmp_path: Path) -> None:
    server.script = [PASSING[which]] * 2
    notes: list[str] = []
    found = bench(tmp_path).run(1, server.environment(), notes.append)
    assert (found["mt_bench"], found["num_judged"], len(server.asked)) == (7.0, 4, 6)
    assert [note.split(" failed")[0] for note in notes[:2]] == [
        "question 81, turn 1: attempt 1 of 4",
        "question 81, turn 1: attempt 2 of 4",
    ]


@pytest.mark.parametrize("slow", [hang(20), drip(20)], ids=["silent", "dripping"])
def test_an_answer_that_takes_too_long_is_tried_again(
    slow: Behaviour, server: Server, tmp_path: Path
) -> None:
    server.script = [slow]
    start = time.monotonic()
    assert bench(tmp_path, patience=QUICK).run(1, server.environment())["num_judged"] == 4
    assert time.monotonic() - start < 19
    assert len(server.asked) == 5


def test_waits_double_up_to_their_bound_and_vary(server: Server) -> None:
    patience = Patience(first_wait_seconds=1, longest_wait_seconds=10)
    endpoint = Endpoint(Judge("j"), patience, server.environment())
    for attempt, longest in enumerate([1, 2, 4, 8, 10, 10], start=1):
        waits = {endpoint._wait(None, attempt, 0.0) for _ in range(200)}
        assert longest / 2 <= min(waits) < max(waits) <= longest
        assert len(waits) > 100
    assert 3 <= min(endpoint._wait(None, 1, 3.0) for _ in range(200)) < 4


@pytest.mark.parametrize("date", [False, True])
def test_a_wait_that_is_asked_for_is_kept(date: bool, server: Server, tmp_path: Path) -> None:
    """Without reading the header the second call came after 0.01 s."""

    def refuse(
        handler: Handler,
    ) -> None:  # the date counts from the answer, not from the first import of openai
        asked = email.utils.formatdate(time.time() + 2, usegmt=True) if date else "0.6"
        status(429, headers={"Retry-After": asked})(handler)

    server.script = [refuse]
    bench(tmp_path).run(1, server.environment())
    waited = server.times[1] - server.times[0]
    assert (0.9 if date else 0.6) <= waited < 3  # a date has whole seconds


def test_a_wait_that_is_asked_for_and_too_long_ends_the_run(server: Server, tmp_path: Path) -> None:
    server.script = [judge(), status(503, headers={"Retry-After": "3600"})]
    with pytest.raises(
        JudgingError, match="asks to wait 3600 s, longer than 300 s; judgements so far are kept"
    ):
        bench(tmp_path).run(1, server.environment())
    assert len(server.asked) == 2


def test_after_the_last_attempt_the_run_ends_and_goes_on_later(server: Server, tmp_path: Path) -> None:
    server.script = [judge(), *[status(500, "oops")] * HASTY.attempts]
    with pytest.raises(
        JudgingError, match="question 101, turn 1: 4 attempts failed, the last: status 500: 'oops'"
    ):
        bench(tmp_path).run(1, server.environment())
    assert len(server.asked) == 5
    assert bench(tmp_path).run(1, server.environment())["num_judged"] == 4
    assert len(server.asked) == 8  # the first is not asked again


REFUSED = {
    "key": (
        status(401, json.dumps({"error": {"message": f"Incorrect key {KEY}"}})),
        "refuses the key .status 401",
    ),
    "model": (status(404, '{"error": {"message": "no such model"}}'), "status 404.: .*no such model"),
    "request": (status(400, f"bad: {KEY}"), r"status 400.: 'bad: \[key\]'"),
    "permission": (status(403, "no"), "status 403.: 'no'"),
    "quota": (status(429, '{"error": {"code": "insufficient_quota"}}'), "status 429.: .*insufficient_quota"),
}


@pytest.mark.parametrize("which", REFUSED)
def test_a_refusal_ends_the_run_at_once(which: str, server: Server, tmp_path: Path) -> None:
    server.default, message = REFUSED[which]
    with pytest.raises(JudgingError, match=message):
        bench(tmp_path).run(1, server.environment())
    assert len(server.asked) == 1


@pytest.mark.parametrize("which", [*REFUSED, "500"])
def test_no_error_holds_the_key_or_the_address(which: str, server: Server, tmp_path: Path) -> None:
    """Chaining the client's error failed: its request has the key among its headers."""
    server.default = REFUSED[which][0] if which in REFUSED else status(500, f"for {KEY}")
    notes: list[str] = []
    with pytest.raises(JudgingError) as caught:
        bench(tmp_path).run(2, server.environment(), notes.append)
    error: BaseException | None = caught.value
    texts = [*notes, "".join(traceback.format_exception(error)), *(file.name for file in tmp_path.rglob("*"))]
    while error is not None:
        texts += [repr(error), repr(vars(error))]
        assert not hasattr(error, "request")
        error = error.__cause__ or error.__context__
    assert not any(KEY in text or server.url in text for text in texts)


def test_a_key_that_comes_back_is_not_stored(server: Server, tmp_path: Path) -> None:
    server.default = echo
    assert bench(tmp_path).run(1, server.environment())["mt_bench"] == 7.0
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert not any(KEY.encode() in file.read_bytes() for file in files)
    assert "You sent Bearer [key]. [[7]]" in (tmp_path / "judged" / "journal.jsonl").read_text(
        encoding="utf-8"
    )


def test_a_stand_in_key_leaves_judgements_as_they_are(server: Server, tmp_path: Path) -> None:
    server.default = judge("none is better. [[9]]")
    bench(tmp_path).run(1, server.environment("none"))
    entries = read(tmp_path / "judged" / "journal.jsonl").values()
    assert {entry["judgment"] for entry in entries} == {"none is better. [[9]]"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"OPENAI_API_KEY": ""}, "no key: set OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": "sk-secret\n"}, "holds white space or characters that no key has"),
        ({"OPENAI_API_KEY": "sk-secrét"}, "holds white space or characters that no key has"),
        ({"OPENAI_BASE_URL": "user:secret@host"}, "OPENAI_BASE_URL is no address"),
        ({"OPENAI_BASE_URL": "http://secret:99999x/v1"}, "OPENAI_BASE_URL is no address"),
        ({"OPENAI_BASE_URL": "http://:80/secret"}, "OPENAI_BASE_URL is no address"),
    ],
)
def test_a_key_or_address_that_cannot_be_one_is_refused(
    changes: dict[str, str], message: str, server: Server, tmp_path: Path
) -> None:
    with pytest.raises(JudgingError, match=message) as caught:
        bench(tmp_path).run(1, {**server.environment(), **changes})
    assert "secr" not in str(caught.value)
    assert not server.asked


def test_an_endpoint_out_of_reach_is_named_by_its_failure_alone(tmp_path: Path) -> None:
    environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    with pytest.raises(
        JudgingError, match=r"4 attempts failed, the last: the connection failed \(ConnectError\)"
    ):
        bench(tmp_path).run(1, environment)


def test_a_missing_client_is_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(JudgingError, match="the openai client is not installed; pip install"):
        Endpoint(Judge("j"), HASTY, server.environment())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": " "}, "no judge model is named"),
        ({"model": "j", "max_tokens": 0}, "max_tokens is 0"),
        ({"model": "j", "temperature": float("nan")}, "temperature is nan"),
        ({"model": "j", "limit_field": "tokens"}, "under the name 'tokens'"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(JudgingError, match=message):
        Judge(**settings)
    with pytest.raises(JudgingError, match="0 attempts"):
        Patience(attempts=0)
