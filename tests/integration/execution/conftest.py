"""Both isolations for the tests of a running tool, and a look at what they leave behind."""

import gc
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from service.execution.isolation import Isolation, detect_isolation


@pytest.fixture(scope="session")
def best_isolation() -> Isolation:
    """Give the best isolation this host allows."""
    return detect_isolation()


@pytest.fixture(params=list(Isolation), ids=lambda kind: kind.name.lower())
def isolation(request: pytest.FixtureRequest, best_isolation: Isolation) -> Isolation:
    """Give each isolation in turn."""
    if request.param is Isolation.PID_NAMESPACE and best_isolation is not Isolation.PID_NAMESPACE:
        pytest.skip("This host allows no PID namespace")
    return request.param


@pytest.fixture(autouse=True)
async def nothing_left() -> AsyncIterator[None]:
    """Fail the test that leaves a descriptor open or a child behind."""
    descriptors, children = _descriptors(), _children()
    yield
    gc.collect()
    assert _descriptors() == descriptors
    assert _children() <= children


def _descriptors() -> dict[str, str]:
    # Without the one that lists the folder, which is closed by the time it is looked at.
    paths = [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return {path.name: str(path.readlink()) for path in paths}


def _children() -> set[int]:
    # Our own alone: PostgreSQL starts and ends processes of its own as it likes.
    return {child.pid for child in psutil.Process().children()}
