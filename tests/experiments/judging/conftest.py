from collections.abc import Iterator

import pytest

from tests.experiments.judging.bench import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    """A judge on this machine that does what `script` says."""
    with serving() as running:
        yield running
