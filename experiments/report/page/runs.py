"""The runs of a page as compact data: what many runs share stands once, and is drawn when it is asked for."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from experiments.identity import flat
from experiments.records import RunRecord

PLACE = ("versions", "python", "platform", "device", "num_threads", "tf32", "git_commit", "git_dirty")
DIGITS = 5  # of a score: more than a table shows


class Shared:
    """Values that stand once; each is known by its number."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[str, int] = {}

    def number(self, value: Any) -> int:
        """The number of a value."""
        key = json.dumps(value, sort_keys=True)
        if key not in self._numbers:
            self._numbers[key] = len(self.values)
            self.values.append(value)
        return self._numbers[key]


def data(records: Iterable[RunRecord]) -> dict[str, Any]:
    """The runs as plain data, with settings and machines apart."""
    settings, places = Shared(), Shared()
    runs = [_run(record, settings, places) for record in records]
    return {"settings": settings.values, "places": places.values, "runs": runs}


def embedded(content: Mapping[str, Any]) -> str:
    """JSON that can stand in a script element: nothing in it can end the element."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _run(record: RunRecord, settings: Shared, places: Shared) -> dict[str, Any]:
    about, outcome = record.circumstances, record.outcome or {}
    config = {key: value for key, value in record.config.items() if key not in ("seed", "variant")}
    found = {
        "id": record.run_id,
        "scale": record.scale,
        "status": record.status,
        "hash": record.hash[:12],
        "settings": settings.number(_texts(flat(config))),
        "place": places.number(_texts(flat({key: about.get(key) for key in PLACE}))),
        "seen": {key: value for key, value in _plain(about).items() if key not in (*PLACE, "tracker_url")},
        "url": about.get("tracker_url"),
        "error": (record.error or {}).get("message", "") if record.status == "failed" else "",
    }
    if not outcome:
        return found
    metric = outcome["metric"]
    curve = [[each["step"], _rounded(each["scores"].get(metric))] for each in outcome["history"]]
    scores = {name: _rounded(value) for name, value in outcome["scores"].items()}
    counts = {key: value for key, value in _plain(outcome).items() if not isinstance(value, str)}
    return {**found, "metric": metric, "scores": scores, "curve": curve, "counts": counts}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if isinstance(value, int | float | str)}


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


def _rounded(value: Any) -> Any:
    return round(value, DIGITS) if isinstance(value, float) else value
