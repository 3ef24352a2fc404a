"""Wait, and say so.

For trying out progress, output and cancelling without doing any work.
"""
# /// script
# requires-python = ">=3.11"
# dependencies = []
#
# [tool.data20]
# title = "Wait, and say so"
# category = "Demonstration"
# max_retries = 0
#
# [tool.data20.parameters.seconds]
# minimum = 0
# examples = [3, 60]
#
# [tool.data20.parameters.steps]
# minimum = 1
# maximum = 10000
# ///

import argparse
import math
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

from _notes.console import progress


class _StopRequestedError(Exception):
    """SIGTERM came."""


def main(argv: Sequence[str] | None = None) -> int:
    """Wait in steps; give 0, or 1 when told to fail, or 143 when asked to stop by SIGTERM."""
    parser = argparse.ArgumentParser(description="Wait, and say so.")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to wait in all")
    parser.add_argument("--steps", type=int, default=20, help="how often to report progress")
    parser.add_argument("--fail", action="store_true", help="end with code 1")
    args = parser.parse_args(argv)
    if not 0 <= args.seconds < math.inf:
        parser.error("--seconds must be a number of seconds, 0 or more")
    if args.steps < 1:
        parser.error("--steps must be 1 or more")
    signal.signal(signal.SIGTERM, _stop)
    started_at = time.monotonic()
    try:
        _wait(started_at, args.seconds, args.steps)
    except _StopRequestedError:
        passed = time.monotonic() - started_at
        print(
            f"Asked to stop after {passed:.1f} of {args.seconds:g} seconds; stopping.", flush=True
        )
        return 128 + signal.SIGTERM
    if args.fail:
        print("Failing, as told.", file=sys.stderr, flush=True)
        return 1
    print(f"Waited {args.seconds:g} seconds.", flush=True)
    return 0


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise _StopRequestedError


def _wait(started_at: float, seconds: float, steps: int) -> None:
    """Wait until each step's moment, counted from the start so that delays do not add up."""
    progress(0, "Waiting")
    for step in range(1, steps + 1):
        time.sleep(max(0.0, started_at + seconds * step / steps - time.monotonic()))
        print(f"tick {step} of {steps}", flush=True)
        progress(100 * step / steps, f"{seconds * step / steps:.1f} of {seconds:g} seconds")


if __name__ == "__main__":
    sys.exit(main())
