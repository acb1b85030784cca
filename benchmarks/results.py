"""Results on disk: a folder a machine, a JSON file a measurement, and the tables made of them."""

import json
import os
import platform
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from experiments import circumstances

PROJECT = Path(__file__).resolve().parents[1]
KEPT = PROJECT / "benchmarks" / "results"
"""The project's own, which the pages quote."""
RANGE = ("least", "most")  # of a side's only fact
PLACE = re.compile(r"<!-- bench:(\S+) (\S+) -->\n(.*?)<!-- /bench:\1 -->", re.DOTALL)
"""Of a table in a page: measurement, machine, table."""


def processor() -> str:
    """The processor's name, and how many cores of it there are."""
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        found = None
    name = found[1].strip() if found else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def write(name: str, settings: Mapping[str, Any], cases: Mapping[str, Any], root: Path) -> Path:
    """Save a measurement of this machine's processor under its name.

    Args:
        name: of the measurement.
        settings: what it was run with.
        cases: by title, facts by side; where time was taken, also the unit of work, and `sides` as
            `alternate` returns them.
        root: folder of all results.
    """
    hardware = processor()
    folder = root / re.sub(r"[^a-z0-9]+", "-", hardware.lower()).strip("-")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    about = {
        "measured_at": circumstances.now(),
        **circumstances.here(),
        "device": "cpu",
        "hardware": hardware,
    }
    text = json.dumps({"name": name, "settings": settings, "cases": cases, **about}, indent=1)
    partial = path.with_suffix(".partial")
    partial.write_text(f"{text}\n", encoding="utf-8")
    os.replace(partial, path)
    return path


def table(result: Mapping[str, Any]) -> str:
    """A measurement as Markdown: a line for each side of each case, and what it was measured on.

    What was only tried has a column for each side instead.
    """
    if all("tried" in case for case in result["cases"].values()):
        return _tried(result)
    names = [n for n in dict.fromkeys(n for *_, facts in _lines(result) for n in facts) if n not in RANGE]
    unit = next(iter(result["cases"].values())).get("unit")
    heads = ["case", "side", *names, *([f"{unit} a second", "times as fast"] if unit else [])]
    lines = [f"| {' | '.join(heads)} |", f"|:---|:---|{'---:|' * (len(heads) - 2)}"]
    for title, side, timing, facts in _lines(result):
        shown = [_fact(facts, name) for name in names]
        times = [_speed(timing), _ratio(timing)] if timing else []
        lines.append(f"| {' | '.join([title, side, *shown, *times])} |")
    return "\n".join([*lines, "", _said(result)])


def _tried(result: Mapping[str, Any]) -> str:
    sides = list(next(iter(result["cases"].values()))["tried"])
    lines = [f"| | {' | '.join(sides)} |", f"|:---|{':---|' * len(sides)}"]
    for title, case in result["cases"].items():
        cells = [case["tried"][side].replace("|", "\\|") for side in sides]
        lines.append(f"| {' | '.join([title, *cells])} |")
    names = ("torch", "transformers", "peft", "bitsandbytes", "accelerate")
    versions = ", ".join(f"{name} {result['versions'][name]}" for name in names if name in result["versions"])
    return "\n".join([*lines, "", f"{versions}; {result['hardware']}."])


def _lines(result: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Title, side, timing (nothing where only facts were counted) and facts."""
    for title, case in result["cases"].items():
        for side in case.get("sides", case.get("facts", {})):
            yield title, side, case.get("sides", {}).get(side, {}), case.get("facts", {}).get(side, {})


def _fact(facts: Mapping[str, Any], name: str) -> str:
    """A fact, with its least and most where it was measured several times."""
    if name not in facts:
        return ""
    low, high = (facts.get(end) for end in RANGE)
    return f"{facts[name]:,}" if low is None else f"{facts[name]:,} ({low:,} to {high:,})"


def _speed(timing: Mapping[str, Any]) -> str:
    return f"{timing['median_speed']:,.4g}"


def _ratio(timing: Mapping[str, Any]) -> str:
    return f"**{timing['ratio']:.2f}** ({timing['least_ratio']:.2f} to {timing['most_ratio']:.2f})"


def _said(result: Mapping[str, Any]) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in result["settings"].items() if value is not None)
    timed = "medians, and the range of the ratios to a case's first side, round by round"
    said = "; ".join(filter(None, [settings, timed if "rounds" in result["settings"] else ""]))
    return (
        f"{said + '. ' if said else ''}"
        f"{result['hardware']}, torch {result['versions']['torch']} on {result['num_threads']} thread(s)."
    )


def filled(page: str, root: Path = KEPT) -> str:
    """A page with every table of `PLACE` made anew from the file that its comment names.

    Raises:
        FileNotFoundError: there is no such file.
    """

    def made(place: re.Match[str]) -> str:
        name, machine, _ = place.groups()
        text = (root / machine / f"{name}.json").read_text(encoding="utf-8")
        return f"<!-- bench:{name} {machine} -->\n{table(json.loads(text))}\n<!-- /bench:{name} -->"

    return PLACE.sub(made, page)
