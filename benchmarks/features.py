"""What works: each feature is tried with this project and with PEFT's VB-LoRA, on small random models.

A try that raises is a no, and so is one whose outputs are not those that they should be: a difference is told
as a share of the largest change that the adapter makes to an output.
"""

import copy
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from accelerate import cpu_offload
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForSequenceClassification, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

from benchmarks import presets
from benchmarks.feature_sides import BANK, Ours, Side, Theirs, logits

Build = Callable[[], Any]
Try = Callable[[Side], str]
SIDES: Mapping[str, Side] = {"vblora": Ours(), "PEFT VB-LoRA": Theirs()}
CLOSE = 1e-3  # of the adapter's change: float32
ROUNDED = 0.3  # where a quantised weight is rounded anew
LETTERS = 90  # of an error that are shown
WORDS = torch.arange(5, 17).view(2, 6)


class WrongError(Exception):
    """What was tried ran, and gave what it should not."""


def measure() -> dict[str, Any]:
    """Every feature, tried on both sides."""
    transformers.utils.logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            title: {"tried": {name: _tried(one, side) for name, side in SIDES.items()}}
            for title, one in TRIES
        }


def _tried(attempt: Try, side: Side) -> str:
    torch.manual_seed(0)
    try:
        said = attempt(side)
    except Exception as error:
        first = str(error).partition("\n")[0]
        shown = first if len(first) <= LETTERS else f"{first[:LETTERS]}…"
        return f"no: {shown}" if isinstance(error, WrongError) else f"no: {type(error).__name__}: {shown}"
    return f"yes, {said}" if said else "yes"


def _encoder() -> Any:
    torch.manual_seed(0)
    return presets.roberta(2, 64, 4)().eval()


def _gpt2() -> Any:
    torch.manual_seed(0)
    return presets.gpt2(2, 64, 4)().eval()


def _llama(**quantised: Any) -> Any:
    """Key and value are half as wide as query."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    heads: dict[str, Any] = {"num_attention_heads": 4, "num_key_value_heads": 2}
    model: Any = LlamaForCausalLM(LlamaConfig(vocab_size=104, **sizes, **heads)).eval()
    if not quantised:
        return model
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config: Any = BitsAndBytesConfig(**quantised)
        return LlamaForCausalLM.from_pretrained(folder, quantization_config=config).eval()


_nf4 = partial(_llama, load_in_4bit=True, bnb_4bit_quant_type="nf4")
_int8 = partial(_llama, load_in_8bit=True)


def _close(found: Tensor, expected: Tensor, plain: Tensor, tolerance: float = CLOSE) -> str:
    """Say how far outputs are from those expected, as a share of the adapter's change, or refuse them."""
    change = float((expected - plain).abs().max())
    if change == 0:
        raise WrongError("the adapter changes nothing")
    share = float((found - expected).abs().max()) / change
    if not share <= tolerance:
        raise WrongError(f"outputs are off by {share:.1g} of the adapter's change")
    return f"off by {share:.1g}" if share else "the same bits"


def _adapts(
    build: Build, targets: Sequence[str], ours: Mapping[str, Any] | None = None, **options: Any
) -> Try:
    """An adapter changes the outputs; `ours` are options that only this project has."""

    def attempt(side: Side) -> str:
        plain = logits(build(), WORDS)
        model = side.attach(build(), targets, **options, **(ours or {} if isinstance(side, Ours) else {}))
        changed = logits(model, WORDS)
        _close(changed, changed, plain)
        return ""

    return attempt


def _merges(build: Build, targets: Sequence[str], tolerance: float = CLOSE, dense: bool = False) -> Try:
    def attempt(side: Side) -> str:
        plain, model = logits(build(), WORDS), side.attach(build(), targets)
        expected = logits(model, WORDS)
        if dense:
            model = side.merge_dense(model)
        else:
            side.merge(model)
        return _close(logits(model, WORDS), expected, plain, tolerance)

    return attempt


def _unmerges(side: Side) -> str:
    name = "roberta.encoder.layer.0.attention.self.query"
    model = side.attach(_encoder(), ["query"])
    before = side.layer(model, name).weight.detach().clone()
    side.merge(model)
    side.unmerge(model)
    if not torch.equal(side.layer(model, name).weight, before):
        raise WrongError("the weight is another one")
    return ""


def _tied(side: Side) -> str:
    model = side.attach(_gpt2(), ["lm_head"])
    before = _gpt2().transformer.wte.weight
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            side.merge(model)
        except ValueError as error:
            said = f"refused: {type(error).__name__}"
        else:
            said = (
                "with a warning" if any("tied" in str(one.message) for one in warned) else "without a warning"
            )
    if not torch.equal(side.plain(model).transformer.wte.weight, before):
        raise WrongError(f"the embedding changes too, {said}")
    return said


def _rows(side: Side) -> str:
    model = side.attach(side.attach(_encoder(), ["query"], "a"), ["query"], "b")
    alone = []
    for row, name in enumerate(("a", "b")):
        side.activate(model, name)
        alone.append(logits(model, WORDS)[row])
    return _close(side.rows(model, WORDS, ["a", "b"]), torch.stack(alone), logits(_encoder(), WORDS))


def _bank(side: Side) -> str:
    with tempfile.TemporaryDirectory() as folder:
        first = side.attach(_encoder(), ["query"])
        model = side.shared_bank(first, _encoder(), ["value"], Path(folder) / "first")
        saved = load_file(side.save(model, Path(folder) / "further"))
    trained = [name for name, p in model.named_parameters() if p.requires_grad and "logits" not in name]
    if trained:
        raise WrongError(f"{', '.join(trained)} train")
    if any(tensor.shape == (BANK["num_vectors"], BANK["vector_length"]) for tensor in saved.values()):
        raise WrongError("they train alone, set up by hand, but the file holds the bank again")
    return ""


def _lora(side: Side) -> str:
    model = side.attach(_encoder(), ["query", "value"])
    with tempfile.TemporaryDirectory() as folder:
        found = side.lora(model, _encoder(), Path(folder))
    return _close(logits(found, WORDS), logits(model, WORDS), logits(_encoder(), WORDS))


def _damage(side: Side) -> str:
    with tempfile.TemporaryDirectory() as name:
        path = side.save(side.attach(_encoder(), ["query"]), Path(name))
        data = bytearray(path.read_bytes())
        data[-3] ^= 1
        path.write_bytes(data)
        try:
            side.load(_encoder(), Path(name))
        except ValueError:
            return ""
    raise WrongError("it is loaded with the changed number")


def _keys(side: Side) -> str:
    model, plain = side.attach(_encoder(), ["query"]), logits(_encoder(), WORDS)
    with tempfile.TemporaryDirectory() as folder:
        side.plain(model).save_pretrained(folder)
        found = logits(AutoModelForSequenceClassification.from_pretrained(folder), WORDS)
    if not torch.equal(found, plain):
        raise WrongError("the weights are others")
    return ""


def _compiles(side: Side) -> str:
    model, plain = side.attach(_encoder(), ["query", "value"]), logits(_encoder(), WORDS)
    expected = logits(model, WORDS)
    compiled: Any = torch.compile(model, backend="aot_eager")
    return _close(logits(compiled, WORDS), expected, plain)


def _generates(side: Side) -> str:
    model = side.attach(_llama(), ["q_proj", "v_proj"])
    options: dict[str, Any] = {"num_beams": 3, "max_new_tokens": 5, "do_sample": False, "pad_token_id": 0}
    words = {"input_ids": WORDS, "attention_mask": torch.ones_like(WORDS)}
    found = [model.generate(**words, use_cache=cache, **options) for cache in (True, False)]
    if not torch.equal(*found):
        raise WrongError("other words without the cache")
    return ""


def _copies(side: Side) -> str:
    model, plain = side.attach(_encoder(), ["query"]), logits(_encoder(), WORDS)
    return _close(logits(copy.deepcopy(model), WORDS), logits(model, WORDS), plain)


def _offloads(side: Side) -> str:
    """A saved adapter on layers whose weights accelerate keeps elsewhere."""
    whole, model = side.attach(_encoder(), ["query"]), _encoder()
    cpu_offload(model.roberta.encoder, execution_device=torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        side.save(whole, Path(folder))
        found = logits(side.load(model, Path(folder)), WORDS)
    return _close(found, logits(whole, WORDS), logits(_encoder(), WORDS))


SPLIT = {"splits": {"c_attn": ["query", "key", "value"]}}
TRIES: Sequence[tuple[str, Try]] = (
    ("b that does not divide a layer (24 and 64)", _adapts(_encoder, ["query"], vector_length=24)),
    ("GPT-2's Conv1D", _adapts(_gpt2, ["c_attn"])),
    ("query alone in GPT-2's fused c_attn", _adapts(_gpt2, ["c_attn.query"], ours=SPLIT)),
    ("grouped-query attention", _adapts(_llama, ["q_proj", "k_proj"])),
    ("4-bit layers (NF4)", _adapts(_nf4, ["q_proj"])),
    ("8-bit layers", _adapts(_int8, ["q_proj"])),
    ("merging", _merges(_encoder, ["query"])),
    ("merging 4-bit layers, which become dense", _merges(_nf4, ["q_proj"], ROUNDED, dense=True)),
    ("merging 4-bit layers, which stay so", _merges(_nf4, ["q_proj"], ROUNDED)),
    ("merging 8-bit layers, which become dense", _merges(_int8, ["q_proj"], ROUNDED, dense=True)),
    ("merging 8-bit layers, which stay so", _merges(_int8, ["q_proj"], ROUNDED)),
    ("unmerging gives back the old bits", _unmerges),
    ("merging into an output layer never changes the embedding tied to it", _tied),
    ("an adapter for each row of a batch", _rows),
    ("selections alone trained and stored, against another adapter's bank", _bank),
    ("plain LoRA out, exact", _lora),
    ("a flipped bit in a file is noticed", _damage),
    ("the model's own save_pretrained, the adapter still on it", _keys),
    ("torch.compile (aot_eager)", _compiles),
    ("generate with beams, with cache and without", _generates),
    ("deepcopy", _copies),
    ("layers offloaded by accelerate", _offloads),
)
