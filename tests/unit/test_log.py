"""What is logged, as the process writes it."""

import subprocess
import sys

import pytest

FAILING = """
import structlog
from service.log import configure_logging

configure_logging("info", "{form}")

def connect(url):
    raise OSError("nobody there")

try:
    connect("postgresql://user:" + "-".join(["my", "secret"]) + "@host/name")
except OSError:
    structlog.stdlib.get_logger("test").exception("round failed")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_tells_where_and_never_what_the_variables_held(form: str) -> None:
    """Addresses of servers hold passwords, and are variables on the way to most failures."""
    done = subprocess.run(
        [sys.executable, "-c", FAILING.format(form=form)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "nobody there" in done.stderr
    assert "connect" in done.stderr
    assert "my-secret" not in done.stderr
