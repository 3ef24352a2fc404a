"""Signs of life, written into a file of this run's own, outside its workspace."""

import argparse
import os
import time
from pathlib import Path

TICK_SECONDS = 0.03


class Ticks:
    """The file of this run: `JOB:FENCE` in the folder that `--ticks` names."""

    def __init__(self, folder: Path) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._file = os.open(folder / os.environ["DATA20_JOB"], flags, 0o644)

    def write(self, word: str) -> None:
        """Append one line, whole: readers look while we write."""
        moment = time.clock_gettime(time.CLOCK_BOOTTIME)
        os.write(self._file, f"{word} {moment:.4f}\n".encode())

    def live(self, seconds: float) -> None:
        """Tick until *seconds* have passed."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.write("tick")
            time.sleep(min(left, TICK_SECONDS))


def begin(parser: argparse.ArgumentParser) -> tuple[Ticks, float]:
    """Read the arguments that all these tools have; say that the run has begun, and its tag."""
    arguments = parser.parse_args()
    ticks = Ticks(arguments.ticks)
    ticks.write("start")
    print(os.environ["DATA20_JOB"], "began", flush=True)
    return ticks, arguments.seconds
