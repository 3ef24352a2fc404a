import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from service.execution.isolation import Isolation

ROOT = Path(__file__).parents[3]
TRY = (
    "import asyncio\n"
    "from service.execution.isolation import Isolation, detect_isolation\n"
    "from tests.integration.execution.runs import ToolRun\n"
    "print(detect_isolation().name)\n"
    "outcome = asyncio.run(ToolRun('true', isolation=Isolation.PID_NAMESPACE).run())\n"
    "print(outcome.return_code, outcome.reason, outcome.message, sep='|')\n"
)


def test_the_best_isolation_is_found_by_trying(best_isolation: Isolation) -> None:
    """Where no more PID namespaces may be made, the sub-reaper is left."""
    if best_isolation is not Isolation.PID_NAMESPACE or shutil.which("unshare") is None:
        pytest.skip("This host allows no PID namespace")
    forbid = 'echo 0 > /proc/sys/user/max_pid_namespaces; exec "$@"'
    command = ("unshare", "--user", "--map-root-user", "sh", "-c", forbid, "sh")

    ended = subprocess.run(
        [*command, sys.executable, "-c", TRY], check=True, capture_output=True, text=True, cwd=ROOT
    )

    assert ended.stdout.splitlines() == [
        "SUBREAPER",
        "125|error|Cannot make a PID namespace: No space left on device",
    ]
