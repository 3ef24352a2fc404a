"""Print a thousand lines, each with the tag of this run."""

import argparse
import os
from pathlib import Path

from _ticks import begin

LINES = 1000

parser = argparse.ArgumentParser()
parser.add_argument("--ticks", type=Path, required=True, help="where signs of life are written")
parser.add_argument("--seconds", type=float, default=0.0, help="how long it runs")

ticks, seconds = begin(parser)
for number in range(LINES):
    print(os.environ["DATA20_JOB"], "line", number)
    if number % 100 == 0:
        ticks.live(seconds / 10)
        print(f"::progress {number * 100 / LINES}", flush=True)
ticks.write("end")
