"""Results on disk: a folder a machine, a JSON file a measurement, and the tables made of them."""

import json
import os
import platform
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from experiments import circumstances

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "benchmarks" / "results"


def hardware() -> str:
    """The processor's or GPU's name, and how many cores of it there are."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{_processor()}, {os.cpu_count()} cores"


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def write(name: str, settings: Mapping[str, Any], cases: Mapping[str, Any], root: Path = RESULTS) -> Path:
    """Save a measurement under the machine's name.

    Args:
        name: of the measurement.
        settings: what it was run with.
        cases: by title, the facts of a case, with `sides` as `alternate` returns them.
        root: folder of all results.
    """
    machine = hardware()
    folder = root / re.sub(r"[^a-z0-9]+", "-", machine.lower()).strip("-")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    about = {"measured_at": circumstances.now(), **circumstances.here(), "hardware": machine}
    text = json.dumps({"name": name, "settings": settings, "cases": cases, **about}, indent=1)
    partial = path.with_suffix(".partial")
    partial.write_text(f"{text}\n", encoding="utf-8")
    os.replace(partial, path)
    return path


def table(result: Mapping[str, Any]) -> str:
    """A measurement as Markdown: a line for each side of each case."""
    names = list(dict.fromkeys(name for _, _, _, facts in _lines(result) for name in facts))
    unit = next(iter(result["cases"].values()))["unit"]
    heads = ["case", "side", *names, "seconds", f"{unit} a second", "times as fast"]
    lines = [f"| {' | '.join(heads)} |", f"|:---|:---|{'---:|' * (len(heads) - 2)}"]
    for title, side, timing, facts in _lines(result):
        shown = [f"{facts[name]:,}" if name in facts else "–" for name in names]
        speed = f"{result['cases'][title]['amount'] / timing['median_seconds']:,.4g}"
        lines.append(f"| {' | '.join([title, side, *shown, _seconds(timing), speed, _ratio(timing)])} |")
    return "\n".join([*lines, "", _said(result)])


def _lines(result: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Title, side, timing and facts."""
    for title, case in result["cases"].items():
        for side, timing in case["sides"].items():
            yield title, side, timing, case.get("facts", {}).get(side, {})


def _seconds(timing: Mapping[str, Any]) -> str:
    return f"{timing['median_seconds']:.2f} ({timing['least_seconds']:.2f} to {timing['most_seconds']:.2f})"


def _ratio(timing: Mapping[str, Any]) -> str:
    return f"**{timing['ratio']:.2f}** ({timing['least_ratio']:.2f} to {timing['most_ratio']:.2f})"


def _said(result: Mapping[str, Any]) -> str:
    rounds = min(len(t["seconds"]) for case in result["cases"].values() for t in case["sides"].values())
    return (
        f"Medians (and range) of {rounds} rounds, the sides in turn in one process; a case's first side is "
        f"what the others are compared with. "
        f"{result['hardware']}, {result['num_threads']} threads, torch {result['versions']['torch']}."
    )


def filled(text: str, name: str, between: str) -> str:
    """A page's text with a table between its two comments `<!-- bench:name -->`.

    Raises:
        ValueError: the comments are missing.
    """
    start, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    if start not in text or end not in text:
        raise ValueError(f"the page has no lines {start} and {end}, between which the table stands")
    head, rest = text.split(start, 1)
    return f"{head}{start}\n{between}\n{end}{rest.split(end, 1)[1]}"
