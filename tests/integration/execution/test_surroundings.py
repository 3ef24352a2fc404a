import ast
import os
import signal
from pathlib import Path
from typing import Any

from service.execution.isolation import Isolation
from tests.integration.execution.runs import PYTHON, ToolRun

LOOK_AROUND = """
import os, resource, signal, sys
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
print({
    "descriptors": sorted(map(int, os.listdir("/proc/self/fd")))[:-1],
    "stdin": os.readlink("/proc/self/fd/0"),
    "blocked": int(status["SigBlk"], 16),
    "ignored": int(status["SigIgn"], 16),
    "umask": int(status["Umask"], 8),
    "capabilities": int(status["CapEff"], 16),
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "leads_session": os.getsid(0) == os.getpid(),
    "user": (os.getuid(), os.geteuid(), os.getgid(), os.getegid()),
    "oom_score": int(open("/proc/self/oom_score_adj").read()),
    "processes": sum(name.isdecimal() for name in os.listdir("/proc")),
    "environment": dict(os.environ),
})
"""


async def _look_around(tool: ToolRun) -> dict[str, Any]:
    await tool.run()
    return ast.literal_eval(tool.sink.texts[0])


async def test_a_tool_starts_with_clean_surroundings(isolation: Isolation) -> None:
    """No descriptor of ours, no signal ignored or blocked, a session of its own, no core dump."""
    handler = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    umask = os.umask(0o027)
    try:
        seen = await _look_around(ToolRun(*PYTHON, LOOK_AROUND, isolation=isolation))
    finally:
        signal.signal(signal.SIGUSR1, handler)
        os.umask(umask)

    assert seen["descriptors"] == [0, 1, 2]
    assert seen["stdin"] == "/dev/null"
    assert seen["blocked"] == 0
    # Python itself ignores these two, in the tool; signals that are the C library's own stay as
    # they were, because no program can ask for them.
    known = _mask(*signal.valid_signals())
    assert seen["ignored"] & known == _mask(signal.SIGPIPE, signal.SIGXFSZ)
    assert seen["umask"] == 0o027
    assert seen["core"] == (0, 0)
    assert seen["leads_session"]
    assert seen["user"] == (os.getuid(), os.geteuid(), os.getgid(), os.getegid())
    assert seen["oom_score"] >= 500


async def test_a_tool_gets_the_environment_it_was_given_and_its_tag(isolation: Isolation) -> None:
    tool = ToolRun(*PYTHON, LOOK_AROUND, isolation=isolation)
    tool.env["GREETING"] = "grüß dich"

    seen = await _look_around(tool)

    assert seen["environment"] == {**tool.env, "DATA20_JOB": tool.tag}


async def test_a_tool_gains_no_rights_by_its_isolation(isolation: Isolation) -> None:
    own = int(_own_status("CapEff"), 16)

    seen = await _look_around(ToolRun(*PYTHON, LOOK_AROUND, isolation=isolation))

    assert seen["capabilities"] == own


async def test_a_namespaced_tool_sees_its_own_processes_only(isolation: Isolation) -> None:
    seen = await _look_around(ToolRun(*PYTHON, LOOK_AROUND, isolation=isolation))

    if isolation is Isolation.PID_NAMESPACE:
        assert seen["processes"] == 2  # Process 1 and itself.
    else:
        assert seen["processes"] > 2


def _mask(*numbers: int) -> int:
    return sum(1 << (number - 1) for number in numbers)


def _own_status(name: str) -> str:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))
