"""How much disk the grid of a scale needs, by a stated formula."""

from experiments.records import Found
from experiments.report import architectures, params
from experiments.report.grid import Grid, RowKey
from vblora import counting

STATES = 3  # a checkpoint holds each trained number and AdamW's two moments of it
CHECKPOINTS = 2  # the old one goes only when the new one is whole
KEPT_BYTES = 500_000  # record and answers of a run, at most: QNLI has 5,463 answers of about 80 bytes
NUM_LABELS = 2
MIB = 2**20


def notes(found: Found, wanted: Grid) -> list[str]:
    """The disk needed, as a sum of stated parts; data sets and the environment are not counted."""
    models = list(dict.fromkeys(row.model for row in wanted.rows))
    runs = len(wanted.rows) * len(wanted.tasks) * len(wanted.seeds)
    weights, checkpoint = _from_architectures(wanted, models) or _from_records(found)
    if not weights:
        return [f"Disk: {_mib(runs * KEPT_BYTES)} for {runs} records; the rest is known after a first run."]
    records = runs * KEPT_BYTES
    return [
        f"Disk: {_mib(weights + checkpoint + records)} = backbones {_mib(weights)} "
        f"+ checkpoints {_mib(checkpoint)} + {runs} records with answers {_mib(records)}.",
        f"Backbones: 4 bytes a parameter, each of {', '.join(models)} once. Checkpoints of one job, "
        f"deleted when it ends: {CHECKPOINTS} x {STATES} x 4 bytes x trained numbers of the largest row. "
        "A record with its answers: at most 0.5 MB. Data sets and the environment are not counted.",
    ]


def trained_parameters(row: RowKey) -> int:
    """What a row trains, with the classification head (dense and output layer), from the architecture."""
    if row.method == "full":
        return params.count(row.model, "full", "full")
    width = architectures.ARCHITECTURES[row.model].sizes["hidden_size"]
    head = int(width * (width + 1) + (width + 1) * NUM_LABELS)
    if row.method == "vblora":
        sites = architectures.sites(row.model, row.targets)
        return head + counting.vblora_trainable_parameters(sites, params.bank_config(row.model))
    return head + params.count(row.model, row.method, row.targets)


def _from_architectures(wanted: Grid, models: list[str]) -> tuple[int, int] | None:
    """Bytes of the backbones and of one job's checkpoints, where the paper's architectures are used."""
    if not models or any(model not in architectures.ARCHITECTURES for model in models):
        return None
    weights = sum(params.count(model, "full", "full") for model in models) * counting.FLOAT_BYTES
    largest = max(trained_parameters(row) for row in wanted.rows)
    return weights, CHECKPOINTS * STATES * counting.FLOAT_BYTES * largest


def _from_records(found: Found) -> tuple[int, int]:
    """The same as finished runs measured it; zeros where there are none."""
    facts = [record.circumstances for record in found.records]
    weights = max((int(fact.get("model_bytes") or 0) for fact in facts), default=0)
    return weights, CHECKPOINTS * max((int(fact.get("checkpoint_bytes") or 0) for fact in facts), default=0)


def _mib(num_bytes: int) -> str:
    return f"{num_bytes / MIB:,.0f} MiB"
