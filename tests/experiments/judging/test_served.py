"""A real model as the judge, asked over HTTP: a tiny one that `transformers serve` serves on this machine."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from experiments.judging.settings import Judge, Patience
from tests.experiments.judging.bench import bench

PATIENT = Patience(attempts=2, timeout_seconds=60)
VERDICT = "Rating: [[7]]"
# The last letters of what it is told, so that so small a model need not learn to ignore a whole question.
TEMPLATE = "{{ messages[-1]['content'][-8:] }}|"


def tokenizer() -> PreTrainedTokenizerFast:
    letters = ["<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    plain = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    plain.add_special_tokens(["<s>", "</s>"])
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=plain, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    wrapped.chat_template = TEMPLATE
    return wrapped


def trained(words: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A model that gives the verdict to whatever it is told."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(words), max_position_embeddings=256, **sizes, **ends))
    prompts = [f"answer {i}|" for i in range(10)]
    ids = torch.tensor([words(prompt[-9:] + VERDICT + "</s>")["input_ids"] for prompt in prompts])
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(120):
        loss = model(input_ids=ids, labels=ids).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def served(tmp_path: Path) -> tuple[str, str]:
    """Name and address of the model."""
    if not all(map(importlib.util.find_spec, ("fastapi", "uvicorn"))):
        pytest.skip("transformers serve needs fastapi and uvicorn: pip install 'transformers[serving]'")
    folder, port, words = tmp_path / "judge", free_port(), tokenizer()
    trained(words).save_pretrained(folder)
    words.save_pretrained(folder)
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(folder), "--device", "cpu"]
    with (tmp_path / "serve.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen([*command, "--port", str(port)], stdout=log, stderr=log, env=os.environ)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process, tmp_path / "serve.log")
        yield str(folder), f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(timeout=60)


def wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(240):
        assert process.poll() is None, log.read_text(encoding="utf-8")
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(log.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_a_model_served_by_transformers_judges(served: tuple[str, str], tmp_path: Path) -> None:
    name, address = served
    judging = bench(tmp_path, judge=Judge(name, max_tokens=20), patience=PATIENT)
    found = judging.run(2, {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": address})
    assert (found["mt_bench"], found["num_judged"], found["num_invalid"]) == (7.0, 4, 0)
    assert found["judge_model_reported"] == [f"{name}@main"]  # as the server writes a name without a revision
    assert found["completion_tokens"] >= 4 * len(VERDICT)
