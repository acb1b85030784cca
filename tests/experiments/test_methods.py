import pytest
import torch
from transformers import RobertaConfig, RobertaForSequenceClassification

from experiments import method_checks, methods, models
from experiments.config import MethodConfig, OptimConfig, TargetsConfig

QV = ["query", "value"]
ALL = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]
RATES = OptimConfig(
    bank_lr=1e-3, logits_lr=1e-2, adapter_lr=3e-3, full_lr=1e-5, head_lr=2e-2, head_weight_decay=0.1,
    adapter_weight_decay=0.2, full_weight_decay=0.3,
)  # fmt: skip
# Roberta of width 32 with a feed-forward of 64: two layers of a real one's proportions.
OPTIONS = {
    "vblora": {"rank": 2, "num_vectors": 5, "vector_length": 16},
    "tied_lora": {"rank": 2},
    "lora_xs": {"rank": 3},
    "lora": {"peft_type": "LORA", "r": 4, "lora_alpha": 8},
    "vera": {"peft_type": "VERA", "r": 8, "projection_prng_key": 0},
    "unilora": {"peft_type": "UNILORA", "r": 2, "theta_d_length": 40},
    "ia3": {"peft_type": "IA3", "feedforward_modules": []},
    "randlora": {"peft_type": "RANDLORA", "r": 4},
}
LIBRARIES = {"full": "none", "head": "none", "vblora": "vblora", "tied_lora": "vblora", "lora_xs": "vblora"}
EVERY = ["full", "head", *OPTIONS]


def roberta(layers: int = 2) -> RobertaForSequenceClassification:
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "max_position_embeddings": 40,
    }
    return RobertaForSequenceClassification(RobertaConfig(vocab_size=50, num_hidden_layers=layers, **sizes))


def attached(name: str, modules: list[str]) -> tuple[methods.Method, RobertaForSequenceClassification]:
    config = MethodConfig(name, LIBRARIES.get(name, "peft"), OPTIONS.get(name, {}))
    targets = TargetsConfig(
        {"full": "full", "head": "none"}.get(name, "some"), modules if name in OPTIONS else []
    )
    assert method_checks.problems(config, targets) == []
    model = roberta()
    method = methods.build(config, targets)
    method.attach(model, models.head_modules(model))
    return method, model


@pytest.mark.parametrize("name", EVERY)
def test_groups_hold_every_trainable_parameter_exactly_once(name: str) -> None:
    method, model = attached(name, QV)
    held = [p for group in method.param_groups(RATES) for p in group["params"]]
    assert len(held) == len(set(held))
    assert set(held) == {p for p in model.parameters() if p.requires_grad}
    assert all(group["params"] and group["lr"] > 0 for group in method.param_groups(RATES))


@pytest.mark.parametrize("name", EVERY)
def test_model_keeps_its_class_and_learns_with_every_method(name: str) -> None:
    method, model = attached(name, QV)
    assert type(model) is RobertaForSequenceClassification
    tokens = torch.randint(5, 50, (4, 6))
    optimizer = torch.optim.AdamW(method.param_groups(RATES))
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    for _ in range(3):  # some start at a saddle: B = 0 lets A's gradient through at the second step only
        optimizer.zero_grad()
        model(input_ids=tokens, labels=torch.tensor([0, 1, 0, 1])).loss.backward()
        optimizer.step()
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    unused = {"roberta.embeddings.token_type_embeddings.weight"} if name == "full" else set()
    assert trained - moved <= unused and moved <= trained


def test_head_trains_with_every_adapter_and_decays_on_matrices_only() -> None:
    for name in OPTIONS:
        groups = {group["name"]: group for group in attached(name, QV)[0].param_groups(RATES)}
        assert (groups["head"]["lr"], groups["head"]["weight_decay"]) == (2e-2, 0.1)
        assert {p.dim() for p in groups["head"]["params"]} == {2}
        assert groups["head_no_decay"]["weight_decay"] == 0 and len(groups["head_no_decay"]["params"]) == 2


def test_rates_reach_their_parameters() -> None:
    def rates_of(name: str) -> dict[str, tuple[float, float]]:
        return {g["name"]: (g["lr"], g["weight_decay"]) for g in attached(name, QV)[0].param_groups(RATES)}

    assert rates_of("vblora") | {"bank": (1e-3, 0.0), "logits": (1e-2, 0.0)} == rates_of("vblora")
    for name in ("lora", "tied_lora", "lora_xs", "vera"):
        assert rates_of(name)["adapter"] == (3e-3, 0.2)
    full = rates_of("full")
    assert (full["full"], full["full_no_decay"]) == ((1e-5, 0.3), (1e-5, 0.0))


@pytest.mark.parametrize("name", ["lora", "vera", "unilora"])
@pytest.mark.parametrize(
    ("modules", "per_block"), [(QV, 2), (ALL, 6), (["output.dense"], 2), (["intermediate.dense"], 1)]
)
def test_peft_adapts_the_same_layers_as_the_library(name: str, modules: list[str], per_block: int) -> None:
    """By endings, `output.dense` alone means two layers a block, in both libraries; the head is never hit."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    from vblora.sites import find_sites

    _, model = attached(name, modules)
    adapted = [n for n, module in model.named_modules() if isinstance(module, BaseTunerLayer)]
    assert adapted == [site.name for site in find_sites(roberta(), modules)]
    assert len(adapted) == 2 * per_block and not any("classifier" in n for n in adapted)


def test_counts_by_hand() -> None:
    """Two blocks, query and value of 32 x 32: four sites. Head: 32*32 + 32 and 2*32 + 2."""
    head = 32 * 32 + 32 + 2 * 32 + 2
    expected = {
        "lora": 4 * 4 * (32 + 32),
        "vera": 4 * (8 + 32),
        "tied_lora": 2 * 2 * 32 + 4 * (2 + 32),
        "lora_xs": 4 * 3 * 3,
        "unilora": 40,
        "head": 0,
    }
    for name, adapter in expected.items():
        counts = attached(name, QV)[0].counts()
        assert counts == {
            "trainable_params": adapter + head, "adapter_params": adapter, "stored_params": adapter,
            "stored_bytes": 4 * adapter,
        }  # fmt: skip


def test_counts_of_vblora_follow_the_papers_definition() -> None:
    """4 sites x 2 ranks x (2 + 2) tiles = 32 sub-vectors; bank 5 x 16; stored: bank + 1.5 each."""
    counts = attached("vblora", QV)[0].counts()
    assert counts["adapter_params"] == 5 * 16 + 32 * 5
    assert (counts["stored_params"], counts["stored_bytes"]) == (5 * 16 + 48, 4 * 5 * 16 + 32 * 6)


def test_counts_of_full_fine_tuning_leave_the_head_out() -> None:
    method, model = attached("full", [])
    total = sum(p.numel() for p in model.parameters())
    head = sum(p.numel() for p in model.classifier.parameters())
    assert (method.counts()["trainable_params"], method.counts()["stored_params"]) == (total, total - head)


def test_vera_starts_as_its_paper_says_and_shares_one_pair_over_shapes() -> None:
    _, model = attached("vera", ALL)
    block = model.roberta.encoder.layer[0]
    small, large = block.attention.self.query, block.intermediate.dense
    assert small.vera_A["default"] is large.vera_A["default"]
    assert small.vera_A["default"].shape == (8, 64) and small.vera_B["default"].shape == (64, 8)
    assert torch.all(small.vera_lambda_d["default"] == 0.1) and torch.all(small.vera_lambda_b["default"] == 0)


@pytest.mark.parametrize("name", ["lora", "vera", "tied_lora", "unilora"])
def test_adapter_draws_its_start_from_the_seed_alone(name: str) -> None:
    first, second = (
        {n: p.detach() for n, p in attached(name, QV)[1].named_parameters() if p.requires_grad}
        for _ in range(2)
    )
    assert all(torch.equal(first[n], second[n]) for n in first)
