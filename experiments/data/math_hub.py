"""MetaMathQA, GSM8K and MATH from the Hugging Face hub, each pinned to a commit that the record names.

Sources: https://huggingface.co/datasets/meta-math/MetaMathQA, https://huggingface.co/datasets/openai/gsm8k,
https://huggingface.co/datasets/EleutherAI/hendrycks_math (one configuration a subject).
"""

from collections.abc import Mapping

import datasets

from experiments.data import hub, math
from experiments.data.examples import DataError, Prompted, TextSplits

SUBJECTS = (
    *("algebra", "counting_and_probability", "geometry", "intermediate_algebra"),
    *("number_theory", "prealgebra", "precalculus"),
)
REPOSITORIES = {
    "metamath": "meta-math/MetaMathQA",
    "gsm8k": "openai/gsm8k",
    "math": "EleutherAI/hendrycks_math",
}
CONFIGURATIONS: dict[str, tuple[str | None, ...]] = {
    "metamath": (None,),
    "gsm8k": ("main",),
    "math": SUBJECTS,
}


def hub_splits(
    commits: Mapping[str, str],
    train_set: str = "metamath",
    num_train: int | None = math.NUM_METAMATH,
    held_out: int = 0,
    repositories: Mapping[str, str] = REPOSITORIES,
) -> TextSplits:
    """As `math.local_splits`, from the hub.

    Args:
        commits: of each set in use, from `resolve`.
        train_set: "metamath", "gsm8k" or "math".
        num_train: only the first so many examples; None for all.
        held_out: of these, kept for validation.
        repositories: names on the hub, or local folders that `datasets` can read.

    Raises:
        DataError: the training set is unknown, or data cannot be reached or are not in their official form.
    """
    math.check_choice(train_set, num_train)
    train = _load(repositories[train_set], train_set, "train", commits[train_set], num_train)
    tests = [
        example
        for name in math.TEST_SETS
        for example in _load(repositories[name], name, "test", commits[name])
    ]
    return math.split(train, held_out) | {"test": tests}


def resolve(
    revisions: Mapping[str, str | None],
    train_set: str = "metamath",
    repositories: Mapping[str, str] = REPOSITORIES,
) -> dict[str, str]:
    """The commit of every set in use, for the record.

    Args:
        revisions: by set, a branch, a tag or a commit; one that is not named is taken at its newest.
        train_set: what is learned beside the two test sets.
        repositories: as for `hub_splits`.

    Raises:
        DataError: the training set is unknown, or the hub cannot be reached or does not know a revision.
    """
    math.check_choice(train_set)
    names = dict.fromkeys([train_set, *math.TEST_SETS])
    return {name: hub.resolve(revisions.get(name), repositories[name]) for name in names}


def _load(repository: str, name: str, split: str, commit: str, number: int | None = None) -> list[Prompted]:
    examples: list[Prompted] = []
    for configuration in CONFIGURATIONS[name]:
        try:
            rows = datasets.load_dataset(repository, configuration, split=split, revision=commit)
        except (*hub.UNREACHABLE, datasets.exceptions.DatasetsError, ValueError) as error:
            raise DataError(
                f"{repository} at {commit} cannot be read from the hub: {error}. Connect, or unset "
                "HF_HUB_OFFLINE, or use data.source=local data.root=<folder>"
            ) from error
        left = len(rows) if number is None else min(len(rows), number - len(examples))
        for place, row in enumerate(rows.select(range(left))):
            try:
                examples.append(math.MAKERS[name](row))
            except ValueError as error:
                where = f"{repository}, {configuration or 'default'}, {split}, row {place}"
                raise DataError(f"{where}: {error}; pin another commit than {commit}") from error
    return examples
