"""How much disk the grid of a scale needs, by a stated formula."""

from experiments.records import Found
from experiments.report import architectures, params, scales
from experiments.report.architectures import ARCHITECTURES
from experiments.report.grid import Grid, RowKey
from vblora import counting

STATES = 3  # a checkpoint holds each trained number and AdamW's two moments of it
CHECKPOINTS = 2  # the old one goes only when the new one is whole
# Record and answers of a run, at most. GLUE: QNLI has 5,463 answers of about 80 bytes. E2E: 630 meanings with
# about seven references each. Instruction tuning: 80 answers of 1,024 tokens. Math: 6,319 questions, their
# solutions, and answers, few of which come near their 1,024 or 2,048 tokens.
KEPT_BYTES = {"glue": 500_000, "e2e": 2_000_000, "instruct": 1_000_000, "math": 30_000_000}
NUM_LABELS = 2
MIB = 2**20


def notes(found: Found, wanted: Grid) -> list[str]:
    """The disk needed, as a sum of stated parts; data sets and the environment are not counted."""
    models = list(dict.fromkeys(row.model for row in wanted.rows))
    runs = len(wanted.rows) * len(wanted.tasks) * len(wanted.seeds)
    kept = KEPT_BYTES[wanted.family]
    weights, checkpoint = _from_architectures(wanted, models) or _from_records(found)
    if not weights:
        return [f"Disk: {_mib(runs * kept)} for {runs} records; the rest is known after a first run."]
    records = runs * kept
    each = sorted({ARCHITECTURES[model].weight_bytes for model in models if model in ARCHITECTURES}) or [4]
    return [
        f"Disk: {_mib(weights + checkpoint + records)} = backbones {_mib(weights)} "
        f"+ checkpoints {_mib(checkpoint)} + {runs} records with answers {_mib(records)}.",
        f"Backbones: {' or '.join(map(str, each))} bytes a parameter{_loaded(models)}, each of "
        f"{', '.join(models)} once. Checkpoints of one job, "
        f"deleted when it ends: {CHECKPOINTS} x {STATES} x 4 bytes x trained numbers of the largest row. "
        f"A record with its answers: at most {kept / 10**6:g} MB. "
        "Data sets and the environment are not counted.",
    ]


def trained_parameters(row: RowKey) -> int:
    """What a row trains, with a classifier's head (dense and output layer), from the architecture."""
    if row.method == "full":
        return params.count(row.model, "full", "full")
    head = _head_parameters(row.model)
    if row.targets == "none":
        return head if row.method == "head" else 0
    if row.method == "vblora":
        sites = architectures.sites(row.model, row.targets)
        return head + counting.vblora_trainable_parameters(sites, params.bank_config(row.model))
    return head + params.count(row.model, row.method, row.targets)


def _head_parameters(model: str) -> int:
    """Of RoBERTa's classifier; a language model trains no head."""
    architecture = ARCHITECTURES[model]
    if not architecture.model_class.endswith("ForSequenceClassification"):
        return 0
    width = architecture.sizes["hidden_size"]
    return int(width * (width + 1) + (width + 1) * NUM_LABELS)


def _loaded(models: list[str]) -> str:
    """What is said of downloads that do not stay as they are; 4 bits are made while loading."""
    files = [scales.CONF / "model" / f"{model}.yaml" for model in models if model in ARCHITECTURES]
    quantised = any("quantization" in scales.read(path) for path in files)
    return " as downloaded (4 bits are made of them while loading)" if quantised else ""


def _from_architectures(wanted: Grid, models: list[str]) -> tuple[int, int] | None:
    """Bytes of the backbones and of one job's checkpoints, where the paper's architectures are used."""
    if not models or any(model not in ARCHITECTURES for model in models):
        return None
    weights = sum(params.count(model, "full", "full") * ARCHITECTURES[model].weight_bytes for model in models)
    largest = max(trained_parameters(row) for row in wanted.rows)
    return weights, CHECKPOINTS * STATES * counting.FLOAT_BYTES * largest


def _from_records(found: Found) -> tuple[int, int]:
    """The same as finished runs measured it; zeros where there are none."""
    facts = [record.circumstances for record in found.records]
    weights = max((int(fact.get("model_bytes") or 0) for fact in facts), default=0)
    return weights, CHECKPOINTS * max((int(fact.get("checkpoint_bytes") or 0) for fact in facts), default=0)


def _mib(num_bytes: int) -> str:
    return f"{num_bytes / MIB:,.0f} MiB"
