r"""One way of writing where LaTeX, and people, have several; the value stays the same.

"$\dfrac{270}7\text{ degrees}$."   ->   "\frac{270}{7}"
"""

import re

_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{(.*)\}", re.DOTALL)
_DELIMITERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"))
_SAME = {
    **dict.fromkeys("−–", "-"),
    **{
        "×": r"\times ",
        "·": r"\cdot ",
        "÷": "/",
        "π": r"\pi ",
        "∞": r"\infty ",
        "∪": r"\cup ",
        "√": r"\sqrt ",
    },
    **{"≤": r"\le ", "≥": r"\ge ", "°": "", "\u00a0": " ", "\n": " ", "\t": " "},
    **{r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\cfrac": r"\frac", r"\mbox": r"\text"},
    **{r"\textbf": r"\text", r"\textnormal": r"\text", r"\textrm": r"\text", r"\mathrm": r"\text"},
    **{r"\mathbf": r"\text", r"\phantom": "", r"\displaystyle": "", r"\approx": "", r"\degree": ""},
    **{r"\left.": "", r"\right.": "", r"\left": "", r"\right": "", r"\!": "", r"\$": "", "$": ""},
    **{r"\,": " ", r"\;": " ", r"\:": " ", r"\ ": " ", "~": " ", r"\quad": " ", r"\qquad": " "},
    **{"**": "^"},
}
# A command ends where its letters end: \left is no part of \leftarrow. "\\" ends a matrix's row.
_TOKEN = re.compile(r"\\(?:left|right)\.|\\[a-zA-Z]+|\\[\s\S]|\*\*|[\s\S]")
_REWRITTEN = (
    (re.compile(r"\^\s*\{?\s*\\circ\s*\}?"), " "),  # a space: "45^\circ,135^\circ" holds two numbers
    (re.compile(r"[\s,]*\\text\s*\{[\s,]*(?:and|or)\s*\}\s*|(?<=[\d)}\]])[\s,]+(?:and|or)\s+"), ", "),
    (re.compile(r"(?<![a-zA-Z\\])(pi|sqrt|infty)(?![a-zA-Z])"), r"\\\1"),
    (re.compile(r"\\sqrt\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"\\(frac|binom|sqrt)\s+(?=[{\[])"), r"\\\1"),
    (re.compile(r"\\(frac|binom|sqrt)\s*(?!\\frac|\\binom|\\sqrt)(\\[a-zA-Z]+|[^\s{}\\\[(])"), r"\\\1{\2}"),
)
_SEPARATOR = re.compile(r"(?<=\d)(?:,\s*\\!\s*|\{,\}|\\,)(?=\d{3}(?!\d))")
_THOUSANDS = re.compile(r"(?<![\d,])\d{1,3}(?:,\d{3})+(?![\d,])")
_UNIT = re.compile(r"(?<=\S)\s*\\text\s*\{[^{}]*\}\s*(?:\^\s*\{?\s*\d\s*\}?)?\s*$")
_WRAPPED = re.compile(r"\\text\s*\{([^{}]*)\}")
_PERCENT = re.compile(r"\s*(?:\\?%|\\text\s*\{\s*\\?%\s*\}|\bpercent)\s*$")


def tidy(text: str, *, is_list: bool = False) -> str:
    r"""The answer without delimiters, spacing commands, currency, degrees, units and a full stop at its end.

    A unit is a \text{} at the end with something before it. It is not compared: the question names it.

    Args:
        text: the answer.
        is_list: commas divide numbers, even before three digits: "81,256" is 81 and 256.
    """
    text = _SEPARATOR.sub("", _undelimited(text))
    text = "".join(_SAME.get(token, token) for token in _TOKEN.findall(text))
    for pattern, replacement in _REWRITTEN:
        text = pattern.sub(replacement, text)
    text = _second_arguments(text).strip().rstrip(".,;:").strip()
    text = re.sub(r"\s+", " ", _UNIT.sub("", text)).strip()
    return text.replace(",", ", ") if is_list else _joined(text)


def split_percent(text: str) -> tuple[str, bool]:
    """The text without a per cent sign at its end, and whether it had one."""
    found = _PERCENT.search(text)
    return (text[: found.start()], True) if found else (text, False)


def unwrapped(text: str) -> str:
    r"""The text with what stands in \text{} bare."""
    return _WRAPPED.sub(r"\1", text)


def _undelimited(text: str) -> str:
    """Without the delimiters, bold marks and box around the whole, and the full stop after them."""
    before = None
    while text != before:
        before, text = text, text.strip().removesuffix(".")
        if box := _BOX.fullmatch(text):
            text = box[1]
        for left, right in _DELIMITERS:
            if len(text) > len(left + right) and text.startswith(left) and text.endswith(right):
                text = text[len(left) : -len(right)]
    return text


def _joined(text: str) -> str:
    r"""Without the commas of 10,000\pi, if all are of that kind: in (10,000) they may divide a pair."""
    joined = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text)
    return text if "," in joined or re.search(r"[(\[{]\s*\d+,", text) else joined


def _second_arguments(text: str) -> str:
    r"""\frac{a}b with its second argument in braces, as TeX reads it: the next command or character."""
    for command in (r"\frac{", r"\binom{"):
        place = text.find(command)
        while place >= 0:
            end = _closing(text, place + len(command) - 1)
            following = re.compile(r"\s*(\\[a-zA-Z]+|[^\s{}\\])").match(text, end)
            if following:
                text = f"{text[:end]}{{{following[1]}}}{text[following.end() :]}"
            place = text.find(command, place + 1)
    return text


def _closing(text: str, opening: int) -> int:
    """The place behind the brace that closes the one at `opening`; the text's end if none does."""
    depth = 0
    for place in range(opening, len(text)):
        depth += (text[place] == "{") - (text[place] == "}")
        if depth == 0:
            return place + 1
    return len(text)
