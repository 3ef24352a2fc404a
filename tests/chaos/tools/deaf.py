"""Do not heed SIGTERM."""
# /// script
# [tool.data20]
# queue = "default"
# ///

import argparse
import signal
from pathlib import Path

from _ticks import begin

signal.signal(signal.SIGTERM, signal.SIG_IGN)

parser = argparse.ArgumentParser()
parser.add_argument("--ticks", type=Path, required=True, help="where signs of life are written")
parser.add_argument("--seconds", type=float, default=0.0, help="how long it runs")

ticks, seconds = begin(parser)
ticks.live(seconds)
ticks.write("end")
