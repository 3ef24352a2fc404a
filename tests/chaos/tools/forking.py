"""Leave a child behind in a session of its own, which lives until somebody ends it."""

import argparse
import os
from pathlib import Path

from _ticks import begin

CHILD_SECONDS = 60.0

parser = argparse.ArgumentParser()
parser.add_argument("--ticks", type=Path, required=True, help="where signs of life are written")
parser.add_argument("--seconds", type=float, default=0.0, help="how long it runs")

ticks, seconds = begin(parser)
if os.fork() == 0:
    os.setsid()
    ticks.live(CHILD_SECONDS)
    os._exit(0)
ticks.live(seconds)
ticks.write("end")
