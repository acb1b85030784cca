"""The words of the synthetic world.

Every idea has two names, which mean the same by definition: `NOUNS[0]` is written "dog" or "hound".
Number is marked on the word itself: nouns take an s in the plural, verbs in the singular.
"""

Names = tuple[str, str]

CATEGORIES = ("animal", "person", "thing", "snack")
NOUNS: tuple[Names, ...] = (
    ("dog", "hound"),
    ("horse", "steed"),
    ("rabbit", "hare"),
    ("doctor", "medic"),
    ("teacher", "tutor"),
    ("kid", "youngster"),
    ("boat", "vessel"),
    ("hat", "cap"),
    ("stone", "rock"),
    ("cake", "tart"),
    ("cookie", "biscuit"),
    ("roll", "bun"),
)
VERBS: tuple[Names, ...] = (
    ("chase", "pursue"),
    ("help", "aid"),
    ("find", "discover"),
    ("move", "shift"),
    ("hide", "conceal"),
    ("see", "observe"),
)
QUALITIES: tuple[Names, ...] = (("big", "large"), ("small", "little"), ("old", "aged"), ("quick", "fast"))
PLACES: tuple[Names, ...] = (("garden", "yard"), ("forest", "wood"), ("street", "road"), ("house", "home"))
PLEASANT = ("kind", "nice", "brave", "clever", "happy", "gentle")
UNPLEASANT = ("cruel", "mean", "cowardly", "stupid", "sad", "rough")
FUNCTION_WORDS = (
    *("the", "this", "these", "one", "some", "in", "is", "are", "not", "very", "slightly", "and", "but"),
    *("who", "what", "where", "does", "do", "?"),
)


def category_of(noun: int) -> int:
    """Index into `CATEGORIES` of a noun: three nouns to each category, in order."""
    return noun * len(CATEGORIES) // len(NOUNS)


def noun_form(name: str, plural: bool) -> str:
    """A noun in its number: dog, dogs."""
    return name + "s" if plural else name


def verb_form(name: str, plural: bool) -> str:
    """A verb that agrees with its subject: (the dog) chases, (the dogs) chase."""
    return name if plural else name + "s"


def kinds() -> tuple[tuple[str, ...], ...]:
    """The vocabulary in groups of words of one kind and number, which can stand in each other's place."""
    nouns, verbs = ([name for names in group for name in names] for group in (NOUNS, VERBS))
    plain = [[name for names in group for name in names] for group in (QUALITIES, PLACES)]
    marked = [
        [word + mark for word in group] for group in (nouns, verbs, list(CATEGORIES)) for mark in ("", "s")
    ]
    return (*map(tuple, marked), *map(tuple, plain), PLEASANT + UNPLEASANT, FUNCTION_WORDS)


def vocabulary() -> tuple[str, ...]:
    """Every word that can be written, each once, in a fixed order."""
    nouns = [*CATEGORIES, *(name for names in NOUNS for name in names)]
    verbs = [name for names in VERBS for name in names]
    marked = [form for word in (*nouns, *verbs) for form in (word, word + "s")]
    plain = [name for names in (*QUALITIES, *PLACES) for name in names]
    return (*FUNCTION_WORDS, *marked, *plain, *PLEASANT, *UNPLEASANT)
