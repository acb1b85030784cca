"""A small MT-Bench in FastChat's form, and a real HTTP server that judges it or misbehaves on purpose."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from experiments.judging.judging import Judging
from experiments.judging.settings import Judge, Patience

KEY = "sk-a-key-that-nobody-may-see-0123456789"
HASTY = Patience(attempts=4, timeout_seconds=5, first_wait_seconds=0.01, longest_wait_seconds=0.05)
QUESTIONS = [
    {"question_id": 81, "category": "writing", "turns": ["Write {x}.", "Again."]},
    {"question_id": 101, "category": "reasoning", "turns": ["Who is first?", "Who is last?"]},
    {"question_id": 111, "category": "math", "turns": ["1 + 1?", "2 + 2?"]},
    {"question_id": 131, "category": "stem", "turns": ["Why?", "How?"]},
]
REFERENCES = {101: ["Ann.", "Bob."], 111: ["2", "4"]}
MULTI = "Q1 {question_1} A1 {answer_1} Q2 {question_2} A2 {answer_2}"
PROMPTS = {
    "single-v1": "Rate: {question} / {answer}",
    "single-math-v1": "Rate: {question} / {ref_answer_1} / {answer}",
    "single-v1-multi-turn": f"Rate: {MULTI}",
    "single-math-v1-multi-turn": f"Rate: R1 {{ref_answer_1}} R2 {{ref_answer_2}} {MULTI}",
}


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def fastchat_answers(turns: dict[int, list[str]], model: str = "gpt-4") -> str:
    facts = {"answer_id": "x", "model_id": model, "tstamp": 1.5}
    return lines(
        [{"question_id": i, "choices": [{"index": 0, "turns": t}], **facts} for i, t in turns.items()]
    )


def prompt_lines() -> str:
    single = {"type": "single", "system_prompt": "You judge.", "output_format": "[[rating]]"}
    rows = [{"name": name, **single, "prompt_template": text} for name, text in PROMPTS.items()]
    pair = {**single, "name": "pair-v2", "type": "pairwise", "output_format": "[[A]]", "prompt_template": "?"}
    return lines([pair, *rows])


def answer_rows(two_turns: bool) -> list[dict]:
    rows = []
    for index, question in enumerate(QUESTIONS):
        row = {"index": index, "group": "mt_bench", "question_id": question["question_id"], "references": []}
        row |= {"source": question["turns"][0], "prediction": f"answer {index}"}
        rows.append(row | ({"turns": [f"answer {index}", f"more {index}"]} if two_turns else {}))
    return rows


def bench(root: Path, two_turns: bool = False, **changes: object) -> Judging:
    """The files, and the judging of them."""
    header = {"family": "instruct", "task": "alpaca", "metric": "mt_bench", "version": 1}
    other = {"index": 9, "group": "mmlu_0", "source": "…", "references": ["A"], "prediction": "B"}
    files = {
        "seed0.answers.jsonl": lines([header, *answer_rows(two_turns), other]),
        "question.jsonl": lines(QUESTIONS),
        "judge_prompts.jsonl": prompt_lines(),
        "gpt-4.jsonl": fastchat_answers(REFERENCES),
    }
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")
    settings: dict = {"folder": root / "judged", "judge": Judge("judge-1"), "patience": HASTY} | changes
    return Judging(*(root / name for name in files), **settings)


Handler = BaseHTTPRequestHandler
Behaviour = Callable[["Handler"], None]


def judge(text: str = "Fine. Rating: [[7]]", **changes: object) -> Behaviour:
    """A well-formed answer, or with `changes` one whose fields differ."""
    body = {
        "id": "x", "object": "chat.completion", "created": 1, "model": "judge-1-0613",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }  # fmt: skip
    return status(200, json.dumps({**body, **changes}))


def status(code: int, body: str = "{}", headers: dict[str, str] | None = None, promise: int = 0) -> Behaviour:
    """A status and a body; `promise` bytes more are announced than are sent."""

    def behave(handler: Handler) -> None:
        raw = body.encode()
        handler.send_response(code)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(raw) + promise))
        handler.end_headers()
        handler.wfile.write(raw)
        handler.close_connection = bool(promise)

    return behave


def hang(seconds: float) -> Behaviour:
    """No answer for a while, then none."""
    return lambda handler: time.sleep(seconds) or drop(handler)


def drip(seconds: float) -> Behaviour:
    """A byte now and then, so that no single read takes long."""

    def behave(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        end = time.monotonic() + seconds
        with contextlib.suppress(OSError):
            while time.monotonic() < end:
                handler.wfile.write(b" ")
                time.sleep(0.05)
        handler.close_connection = True

    return behave


def drop(handler: Handler) -> None:
    """The connection is cut."""
    handler.close_connection = True
    with contextlib.suppress(OSError):
        handler.connection.shutdown(socket.SHUT_RDWR)


def echo(handler: Handler) -> None:
    """A judgement that gives away the key it was asked with."""
    judge(f"You sent {handler.headers['Authorization']}. [[7]]")(handler)


@dataclass
class Server:
    """What the server does and what it was asked.

    `script` is worked off call by call; then `default` is done. `at_once` is the most calls seen at a time.
    """

    url: str = ""
    script: list[Behaviour] = field(default_factory=list)
    default: Behaviour = judge()
    asked: list[dict] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    busy: int = 0
    at_once: int = 0

    def environment(self, key: str = KEY) -> dict[str, str]:
        return {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": self.url}

    def users(self) -> list[str]:
        """What stood in the users' messages, call by call."""
        return [request["messages"][1]["content"] for request in self.asked]


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    server, lock = Server(), threading.Lock()

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                server.asked.append(body)
                server.times.append(time.monotonic())
                server.keys.add(self.headers["Authorization"])
                server.busy += 1
                server.at_once = max(server.at_once, server.busy)
                behave = server.script.pop(0) if server.script else server.default
            try:
                behave(self)
            except OSError:
                self.close_connection = True  # the client was killed or did not wait
            finally:
                with lock:
                    server.busy -= 1

        def log_message(self, *_: object) -> None: ...

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    listening.daemon_threads = True
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{listening.server_address[1]}/v1"
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
