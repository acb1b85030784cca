"""What works: each feature tried with this project and with PEFT's VB-LoRA, on small models of random weights.

A try that raises is a no, with the error's first line; a try that gives wrong numbers raises too. What a try
says stands behind the yes.
"""

import copy
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import peft
import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

import vblora
from benchmarks import presets

Try = Callable[[], str]
BANK: dict[str, Any] = {"num_vectors": 8, "vector_length": 16, "topk": 2}
CLOSE = 1e-4  # of outputs around 1, in float32
LETTERS_SHOWN = 90  # of an error


def measure() -> dict[str, Any]:
    """Every feature, tried on both sides."""
    return {
        feature: {"tried": {side: _tried(each) for side, each in sides.items()}}
        for feature, sides in TRIES.items()
    }


def _tried(attempt: Try) -> str:
    try:
        return "; ".join(filter(None, ["yes", attempt()]))
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        shown = first if len(first) <= LETTERS_SHOWN else f"{first[:LETTERS_SHOWN]}…"
        return f"no; {type(error).__name__}: {shown}" if not isinstance(error, WrongError) else f"no; {first}"


class WrongError(Exception):
    """A try that runs and gives what it should not."""


# -- models


def encoder() -> Any:
    torch.manual_seed(0)
    return presets.roberta(2, 64, 4)().eval()


def gpt2() -> Any:
    torch.manual_seed(0)
    return presets.gpt2(2, 64, 4)().eval()


def grouped_llama(quantised: str | None = None) -> Any:
    """Key and value half as wide as query; in NF4 or in 8 bits if asked."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    heads: dict[str, Any] = {"num_attention_heads": 4, "num_key_value_heads": 2}
    model: Any = LlamaForCausalLM(LlamaConfig(vocab_size=100, **sizes, **heads)).eval()
    if quantised is None:
        return model
    kinds: dict[str, Any] = {
        "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
        "int8": {"load_in_8bit": True},
    }
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config = BitsAndBytesConfig(**kinds[quantised])
        return LlamaForCausalLM.from_pretrained(folder, quantization_config=config).eval()


WORDS = torch.arange(5, 17).view(2, 6)


def outputs(model: Any) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model.eval()(WORDS).logits.float()
        return logits


def ours(model: Any, targets: Any, name: str = "default", **more: Any) -> Any:
    """The model with our adapter, moved away from its start."""
    settings: dict[str, Any] = {**BANK, "targets": targets, **more}
    also = settings.pop("also_train", ())
    adapter = vblora.attach(model, vblora.VBLoRAConfig(rank=4, **settings), name, also)
    _shake(adapter)
    return model


def theirs(model: Any, targets: Any, **more: Any) -> Any:
    """The same with PEFT's."""
    config = peft.VBLoRAConfig(r=4, target_modules=targets, **{**BANK, **more})
    wrapped = cast(Any, peft.get_peft_model(model, config))
    _shake_peft(wrapped)
    return wrapped


@torch.no_grad()
def _shake(module: nn.Module) -> None:
    for parameter in module.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.3)


def _shake_peft(wrapped: Any, name: str = "default") -> None:
    for key, parameter in wrapped.named_parameters():
        if "vblora" in key and key.endswith(name) or f".{name}." in key and "vblora" in key:
            with torch.no_grad():
                parameter.add_(torch.randn_like(parameter) * 0.3)


def close(found: Tensor, expected: Tensor, tolerance: float = CLOSE) -> str:
    """Say the largest difference, or refuse it."""
    difference = float((found - expected).abs().max())
    if not difference <= tolerance:
        raise WrongError(f"outputs differ by {difference:.1g}")
    return f"outputs differ by {difference:.1g}" if difference else "the same bits"


def changed(model: Any, plain: Tensor) -> str:
    """Refuse an adapter that changes nothing."""
    if float((outputs(model) - plain).abs().max()) == 0:
        raise WrongError("the adapter changes nothing")
    return ""


# -- tries


def adapts(build: Callable[[], Any], attach: Callable[..., Any], targets: Any, **more: Any) -> Try:
    """An adapter attaches and changes the outputs."""
    return lambda: changed(attach(build(), targets, **more), outputs(build()))


def our_merge(build: Callable[[], Any], targets: Any, tolerance: float = CLOSE, **options: Any) -> Try:
    def attempt() -> str:
        model = ours(build(), targets)
        before = outputs(model)
        vblora.merge(model, **options)
        return close(outputs(model), before, tolerance)

    return attempt


def their_merge(build: Callable[[], Any], targets: Any, tolerance: float = CLOSE) -> Try:
    def attempt() -> str:
        model = theirs(build(), targets)
        before = outputs(model)
        model.merge_adapter()
        return close(outputs(model), before, tolerance)

    return attempt


def our_unmerge() -> str:
    """The weights are the old ones, bit for bit."""
    model = ours(encoder(), ["query"])
    weight = model.roberta.encoder.layer[0].attention.self.query.weight.clone()
    vblora.merge(model)
    vblora.unmerge(model)
    return _same_bits(model.roberta.encoder.layer[0].attention.self.query.weight, weight)


def their_unmerge() -> str:
    model = theirs(encoder(), ["query"])
    layer = model.base_model.model.roberta.encoder.layer[0].attention.self.query
    weight = layer.base_layer.weight.clone()
    model.merge_adapter()
    model.unmerge_adapter()
    return _same_bits(layer.base_layer.weight, weight)


def _same_bits(found: Tensor, expected: Tensor) -> str:
    if not torch.equal(found, expected):
        raise WrongError(f"weights differ by {float((found - expected).detach().abs().max()):.1g}")
    return ""


def our_rows() -> str:
    """Two rows of a batch with two adapters give what each gives alone."""
    model = ours(ours(encoder(), ["query"], "a"), ["query"], "b")
    alone = []
    for row, name in enumerate(("a", "b")):
        vblora.activate(model, name)
        alone.append(outputs(model)[row])
    with vblora.rows(model, ["a", "b"]):
        return close(outputs(model), torch.stack(alone))


def their_rows() -> str:
    model = theirs(encoder(), ["query"])
    model.add_adapter("b", peft.VBLoRAConfig(r=4, target_modules=["query"], **BANK))
    _shake_peft(model, "b")
    alone = []
    for row, name in enumerate(("default", "b")):
        model.set_adapter(name)
        alone.append(outputs(model)[row])
    with torch.no_grad():
        return close(model(WORDS, adapter_names=["default", "b"]).logits, torch.stack(alone))


def our_bank() -> str:
    """A second adapter trains selections alone against the first one's bank."""
    with tempfile.TemporaryDirectory() as folder:
        vblora.save(ours(encoder(), ["query"]), folder)
        model = ours(encoder(), ["value"], bank=folder, train_bank=False)
    trained = [name for name, p in model.vblora.named_parameters() if p.requires_grad]
    return f"trains {', '.join(name.rpartition('.')[2] for name in trained)}"


def their_bank() -> str:
    theirs(encoder(), ["value"], train_bank=False)
    return ""


def our_lora() -> str:
    model = ours(encoder(), ["query"])
    with tempfile.TemporaryDirectory() as folder:
        vblora.save_lora(model, folder)
        return close(outputs(peft.PeftModel.from_pretrained(encoder(), folder)), outputs(model))


def their_lora() -> str:
    model = theirs(encoder(), ["query"])
    config, state = peft.convert_to_lora(model, 4)
    again: Any = peft.get_peft_model(encoder(), config)
    peft.set_peft_model_state_dict(again, state)
    return close(outputs(again), outputs(model))


def our_damage() -> str:
    """One bit flipped among the numbers of the file is noticed."""
    with tempfile.TemporaryDirectory() as folder:
        _flip(vblora.save(ours(encoder(), ["query"]), folder))
        try:
            vblora.load(encoder(), folder)
        except vblora.AdapterFileError:
            return ""
    raise WrongError("loaded")


def their_damage() -> str:
    with tempfile.TemporaryDirectory() as folder:
        theirs(encoder(), ["query"]).save_pretrained(folder)
        _flip(Path(folder) / "adapter_model.safetensors")
        peft.PeftModel.from_pretrained(encoder(), folder)
    raise WrongError("it is loaded with the changed number")


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


def our_keys() -> str:
    """save_pretrained of an adapted model gives a folder that the plain model loads with its own weights."""
    return _saved_and_loaded(ours(encoder(), ["query"]), outputs(encoder()))


def their_keys() -> str:
    model = theirs(encoder(), ["query"])
    return _saved_and_loaded(model.base_model.model, outputs(encoder()))


def _saved_and_loaded(model: Any, plain: Tensor) -> str:
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return close(outputs(AutoModelForSequenceClassification.from_pretrained(folder)), plain)


def our_tied() -> str:
    """Merging into a weight that is the embedding's too is refused."""
    model = ours(gpt2(), ["lm_head"], num_vectors=8)
    try:
        vblora.merge(model)
    except vblora.VBLoRAError:
        return ""
    raise WrongError("the embedding changed")


def their_tied() -> str:
    model = theirs(gpt2(), ["lm_head"])
    before = model.base_model.model.transformer.wte.weight.clone()
    model.merge_adapter()
    if not torch.equal(model.base_model.model.transformer.wte.weight, before):
        raise WrongError("the embedding changes with it")
    return ""


def compiled(attach: Callable[..., Any]) -> Try:
    def attempt() -> str:
        model = attach(encoder(), ["query", "value"])
        expected = outputs(model)
        fast = torch.compile(model, backend="aot_eager")
        with torch.no_grad():
            return close(fast(WORDS).logits, expected)

    return attempt


def generates(attach: Callable[..., Any]) -> Try:
    def attempt() -> str:
        model = attach(grouped_llama(), ["q_proj", "v_proj"])
        options: dict[str, Any] = {"num_beams": 3, "max_new_tokens": 5, "do_sample": False}
        found = [model.generate(input_ids=WORDS, use_cache=cache, **options) for cache in (True, False)]
        if not torch.equal(*found):
            raise WrongError("other texts without the cache")
        return ""

    return attempt


def copies(attach: Callable[..., Any]) -> Try:
    def attempt() -> str:
        model = attach(encoder(), ["query"])
        return close(outputs(copy.deepcopy(model)), outputs(model))

    return attempt


def dispatched(attach: Callable[..., Any]) -> Try:
    """Layers that accelerate keeps on disk and brings in for each forward."""

    def attempt() -> str:
        from accelerate import cpu_offload

        expected = outputs(attach(encoder(), ["query"]))
        torch.manual_seed(0)
        model = encoder()
        cpu_offload(model.roberta.encoder, execution_device=torch.device("cpu"))
        return close(outputs(attach(model, ["query"])), expected)

    return attempt


QUANTISED = 0.1  # a dense bfloat16 weight in the place of a quantised one rounds the sum
TRIES: Mapping[str, Mapping[str, Try]] = {
    feature: {"vblora": one, "PEFT VB-LoRA": other}
    for feature, (one, other) in {
        "b that does not divide a layer (b 24, 64 inputs)": (
            adapts(encoder, ours, ["query"], vector_length=24),
            adapts(encoder, theirs, ["query"], vector_length=24),
        ),
        "GPT-2's Conv1D": (adapts(gpt2, ours, ["c_attn"]), adapts(gpt2, theirs, ["c_attn"])),
        "query and value alone in GPT-2's fused c_attn": (
            adapts(gpt2, ours, ["query", "value"], splits={"c_attn": ["query", "key", "value"]}),
            adapts(gpt2, theirs, ["c_attn.query", "c_attn.value"]),
        ),
        "grouped-query attention (key and value narrower)": (
            adapts(grouped_llama, ours, ["q_proj", "k_proj"]),
            adapts(grouped_llama, theirs, ["q_proj", "k_proj"]),
        ),
        "4-bit layers (NF4)": (
            adapts(lambda: grouped_llama("nf4"), ours, ["q_proj"]),
            adapts(lambda: grouped_llama("nf4"), theirs, ["q_proj"]),
        ),
        "8-bit layers": (
            adapts(lambda: grouped_llama("int8"), ours, ["q_proj"]),
            adapts(lambda: grouped_llama("int8"), theirs, ["q_proj"]),
        ),
        "merging": (our_merge(encoder, ["query"]), their_merge(encoder, ["query"])),
        "unmerging gives back the old bits": (our_unmerge, their_unmerge),
        "merging into 4-bit layers": (
            our_merge(lambda: grouped_llama("nf4"), ["q_proj"], QUANTISED),
            their_merge(lambda: grouped_llama("nf4"), ["q_proj"], QUANTISED),
        ),
        "merging into 8-bit layers": (
            our_merge(lambda: grouped_llama("int8"), ["q_proj"], QUANTISED),
            their_merge(lambda: grouped_llama("int8"), ["q_proj"], QUANTISED),
        ),
        "merging into an output layer tied to the embedding leaves that alone": (our_tied, their_tied),
        "an adapter for each row of a batch": (our_rows, their_rows),
        "selections alone against another adapter's bank": (our_bank, their_bank),
        "plain LoRA out": (our_lora, their_lora),
        "a flipped bit in a file is noticed": (our_damage, their_damage),
        "save_pretrained of the adapted model keeps the plain weights": (our_keys, their_keys),
        "torch.compile (aot_eager)": (compiled(ours), compiled(theirs)),
        "generate with beams, with cache and without": (generates(ours), generates(theirs)),
        "deepcopy": (copies(ours), copies(theirs)),
        "weights offloaded by accelerate": (dispatched(ours), dispatched(theirs)),
    }.items()
}
