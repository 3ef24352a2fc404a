"""`data20 up` as a user starts it, in a temporary folder, with two tools."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_TOOLS = {
    "no_op": '"""Do nothing."""\n',
    "failing": '''# /// script
# [tool.data20]
# max_retries = 1
# retry_delay = 1
# ///
"""Fail at once."""
raise SystemExit(1)
''',
}


@contextmanager
def whole_service() -> Generator[str]:
    """Run everything, and give its address."""
    with tempfile.TemporaryDirectory(prefix="data20-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # Root's servers run as another user.
        (folder / "tools").mkdir()
        for tool, source in _TOOLS.items():
            (folder / "tools" / f"{tool}.py").write_text(source)
        own = {
            "DATA20_TOOLS_DIR": "tools",
            "DATA20_VAR_DIR": "var",
            "DATA20_PORT": "0",
            "DATA20_LOG_LEVEL": "error",
        }
        with subprocess.Popen(
            [sys.executable, "-m", "service", "up"],
            cwd=folder,
            env={**os.environ, **own, "PYTHONPATH": str(Path(__file__).parent.parent)},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None  # noqa: S101  # A pipe was asked for.
            try:
                yield next(line.split()[-1] for line in process.stdout if "->  open" in line)
            finally:
                process.send_signal(signal.SIGINT)
                process.communicate()  # It says what it does to its end.
