"""Reads the synthetic world's sentences back, from the lists of words alone."""

from experiments.data.synthetic import words

Idea = tuple[str, int]

KINDS = {"noun": words.NOUNS, "verb": words.VERBS, "quality": words.QUALITIES, "place": words.PLACES}


def _ideas() -> dict[str, Idea]:
    found: dict[str, Idea] = {}
    for kind, ideas in KINDS.items():
        for number, names in enumerate(ideas):
            for name in names:
                found[name] = (kind, number)
                if kind in ("noun", "verb"):
                    found[name + "s"] = (kind, number)
    return found


IDEAS = _ideas()
CATEGORIES = {form: number for number, name in enumerate(words.CATEGORIES) for form in (name, name + "s")}


def ideas(sentence: str) -> list[Idea]:
    """The ideas of a sentence, in order; words of form are left out."""
    return [IDEAS[word] for word in sentence.split() if word in IDEAS]


def kinds(sentence: str) -> list[tuple[str, int]]:
    """As `ideas`, with every noun replaced by its category."""
    found: list[tuple[str, int]] = []
    for word in sentence.split():
        if word in CATEGORIES:
            found.append(("category", CATEGORIES[word]))
        elif word in IDEAS:
            kind, number = IDEAS[word]
            found.append(("category", number // 3) if kind == "noun" else (kind, number))
    return [idea for idea in found if idea[0] in ("category", "verb")]


def is_plural(noun: str) -> bool:
    """Whether a noun ends in the mark of the plural."""
    return noun.endswith("s")
