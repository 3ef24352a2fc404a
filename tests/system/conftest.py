"""One whole service, started as a user starts it, for all the tests that only talk to it."""

from collections.abc import Iterator

import pytest

from tests.system.stacks import RunningStack, running_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """Give a service that was started by `data20 up`; leave it as it is, others use it too."""
    with running_stack() as running:
        yield running
