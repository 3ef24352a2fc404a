"""Refuse its arguments, which no further attempt would change."""
# /// script
# [tool.data20]
# queue = "maintenance"
# ///

import argparse
import sys
from pathlib import Path

from _ticks import begin

parser = argparse.ArgumentParser()
parser.add_argument("--ticks", type=Path, required=True, help="where signs of life are written")
parser.add_argument("--seconds", type=float, default=0.0, help="how long it runs")

ticks, seconds = begin(parser)
ticks.live(seconds)
ticks.write("end")
sys.exit(2)
