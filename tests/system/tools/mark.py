"""Leave a mark in a folder for every start and every end of a run."""

import argparse
import os
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--folder", type=Path, required=True, help="where the marks are left")
parser.add_argument("--seconds", type=float, default=0.0, help="how long it runs")
arguments = parser.parse_args()

mark = f"{os.environ['DATA20_JOB_ID']} {os.environ['DATA20_ATTEMPT']} {os.getpid()}\n"
with (arguments.folder / "started").open("a") as started:
    started.write(mark)
print("started")
time.sleep(arguments.seconds)
print("ended")
with (arguments.folder / "ended").open("a") as ended:
    ended.write(mark)
